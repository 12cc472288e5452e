import { ANY_IP4, formatIp4, type Ip4, isMulticastIp4, toIp4, toPort } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import type { Device } from "../link/index.ts";
import { type Frame, ipv4, udp } from "../wire/index.ts";
import type { InDevice } from "./in-device.ts";
import type { IcmpError } from "./ipv4/icmp.ts";
import type { Namespace } from "./namespace.ts";
import { type UdpOptions, UdpSocket } from "./udp-socket.ts";

const NONE: readonly never[] = [];

/** The UDP ports and sockets of one namespace (RFC 768). Reference: net/ipv4/udp.c. */
export class Udp {
	/** The last destination that was no group and no broadcast address, so that not every datagram asks the tables. */
	#unicast = -1;
	#unicastGeneration = -1;
	readonly #ns: Namespace;
	readonly #sockets = new Map<number, UdpSocket[]>();
	/** Ports of tunnels, which are no sockets of programs. */
	#claimed: readonly number[] = NONE;

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	/** Opens a socket. Throws `NetError` EADDRINUSE, EADDRNOTAVAIL. */
	open(options: UdpOptions = {}): UdpSocket {
		const address = options.address === undefined ? ANY_IP4 : toIp4(options.address, "address");
		if (
			address !== ANY_IP4 &&
			!this.#ns.isOwnAddress(address) &&
			!this.#ns.isBroadcast(address) &&
			!isMulticastIp4(address)
		) {
			throw new NetError("EADDRNOTAVAIL", `bind: Cannot assign requested address`, {
				context: { namespace: this.#ns.name, address: formatIp4(address) },
			});
		}
		const port =
			options.port === undefined || options.port === 0 ? this.#freePort() : toPort(options.port, "port");
		const others = this.#sockets.get(port) ?? [];
		const clash = others.some(
			(each) =>
				!(each.reuseAddress && options.reuseAddress === true) &&
				(each.address === ANY_IP4 || address === ANY_IP4 || each.address === address),
		);
		if (clash || this.#claimed.includes(port)) {
			throw new NetError("EADDRINUSE", "bind: Address already in use", {
				context: { namespace: this.#ns.name, address: formatIp4(address), port },
			});
		}
		const socket = new UdpSocket(this.#ns, this, address, port, options);
		this.#sockets.set(port, [...others, socket]);
		return socket;
	}

	/** All sockets (`ss -ua`), and ports of tunnels, which no program has. */
	*sockets(): Generator<UdpSocket> {
		for (const sockets of this.#sockets.values()) yield* sockets;
	}

	/** Ports of tunnels. */
	get tunnels(): readonly number[] {
		return this.#claimed;
	}

	/** Takes a socket out; called by its `close`. */
	remove(socket: UdpSocket): void {
		const left = (this.#sockets.get(socket.port) ?? []).filter((each) => each !== socket);
		if (left.length > 0) this.#sockets.set(socket.port, left);
		else this.#sockets.delete(socket.port);
	}

	/** The programs of the namespace end. */
	closeAll(): void {
		for (const socket of [...this.#sockets.values()].flat()) socket.close();
	}

	/** Takes a port for a tunnel. Throws `NetError` EADDRINUSE. */
	claim(port: number): void {
		if (this.#claimed.includes(port) || this.#sockets.has(port)) {
			throw new NetError("EADDRINUSE", "RTNETLINK answers: Address already in use", {
				context: { namespace: this.#ns.name, port },
			});
		}
		this.#claimed = this.#claimed.concat(port);
	}

	free(port: number): void {
		this.#claimed = this.#claimed.filter((each) => each !== port);
	}

	#freePort(): number {
		const [low, high] = this.#ns.localPortRange;
		const count = high - low + 1;
		const first = this.#ns.kernel.rng.below(count);
		for (let i = 0; i < count; i++) {
			const port = low + ((first + i) % count);
			if (!this.#sockets.has(port) && !this.#claimed.includes(port)) return port;
		}
		throw new NetError("EADDRINUSE", "bind: Address already in use", {
			context: { namespace: this.#ns.name },
		});
	}

	/** A datagram for this host; the frame starts at its IPv4 header. Takes the frame (`__udp4_lib_rcv`). */
	receive(frame: Frame, inDevice: InDevice): void {
		const { view, start } = frame;
		const device = inDevice.device;
		const at = start + ipv4.headerOctets(view, start);
		if (frame.end - at < udp.OCTETS) return device.dropIn(frame, "udp-truncated");
		const octets = udp.length(view, at);
		if (octets < udp.OCTETS || octets > frame.end - at) return device.dropIn(frame, "udp-truncated");
		const source = ipv4.source(view, start);
		const destination = ipv4.destination(view, start);
		if (!frame.trusted && !udp.isChecksumGood(view, at, octets, source, destination)) {
			return device.dropIn(frame, "udp-csum");
		}
		const port = udp.destinationPort(view, at);
		const tunnel = this.#ns.tunnel(port);
		if (tunnel !== undefined) {
			const tos = ipv4.tos(view, start);
			frame.forgetFlow();
			frame.start = at + udp.OCTETS;
			frame.end = at + octets;
			frame.secPath = null; // `skb_scrub_packet`
			return tunnel.receiveTunnel(frame, source, tos);
		}
		const sourcePort = udp.sourcePort(view, at);
		if (destination !== this.#unicast || this.#ns.generation !== this.#unicastGeneration) {
			if (isMulticastIp4(destination) || this.#ns.isBroadcast(destination)) {
				return this.#toAll(frame, at, octets, source, sourcePort, port, device);
			}
			this.#unicast = destination;
			this.#unicastGeneration = this.#ns.generation;
		}
		const socket = this.#match(port, destination, source, sourcePort);
		if (socket === undefined) {
			this.#ns.ipv4.icmp.tell(frame, inDevice, 3, 3, 0);
			return device.dropIn(frame, "no-socket", `udp port ${String(port)}`);
		}
		socket.take(frame, at + udp.OCTETS, octets - udp.OCTETS, source, sourcePort);
	}

	/** What is for a group goes to every socket it fits, a copy each (`__udp4_lib_mcast_deliver`). Takes the frame. */
	#toAll(
		frame: Frame,
		at: number,
		octets: number,
		source: Ip4,
		sourcePort: number,
		port: number,
		device: Device,
	): void {
		const destination = ipv4.destination(frame.view, frame.start);
		let last: UdpSocket | undefined;
		for (const socket of this.#sockets.get(port) ?? []) {
			if (socket.score(destination, source, sourcePort) < 0) continue;
			if (last !== undefined) {
				const copy = frame.clone();
				last.take(copy, at - frame.start + copy.start + udp.OCTETS, octets - udp.OCTETS, source, sourcePort);
			}
			last = socket;
		}
		if (last === undefined) return device.dropIn(frame, "no-socket", `udp port ${String(port)}`);
		last.take(frame, at + udp.OCTETS, octets - udp.OCTETS, source, sourcePort);
	}

	/** The socket a packet is for: connected to the sender first, then bound to the address, then to all. */
	#match(port: number, address: Ip4, peer: Ip4, peerPort: number): UdpSocket | undefined {
		const sockets = this.#sockets.get(port);
		if (sockets === undefined) return undefined;
		let best: UdpSocket | undefined;
		let most = -1;
		for (const socket of sockets) {
			const score = socket.score(address, peer, peerPort);
			if (score <= most) continue;
			best = socket;
			most = score;
		}
		return best;
	}

	/** An ICMP error about one of our datagrams. */
	error(error: IcmpError, view: DataView, transport: number): void {
		const socket = this.#match(
			udp.sourcePort(view, transport),
			error.source,
			error.destination,
			udp.destinationPort(view, transport),
		);
		socket?.fail(error);
	}
}
