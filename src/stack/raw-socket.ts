import { ANY_IP4, BROADCAST_IP4, formatIp4, type Ip4, toIp4 } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import type { Device } from "../link/index.ts";
import type { Operation } from "../sim/index.ts";
import { type Frame, ipv4 } from "../wire/index.ts";
import type { IcmpError } from "./ipv4/icmp.ts";
import { type IpSocket, type MtuDiscovery, sendPacket } from "./ipv4/send.ts";
import type { Namespace } from "./namespace.ts";
import type { Route } from "./route.ts";
import { errorOf } from "./socket-error.ts";

/** `IPPROTO_RAW`: sends packets of any protocol with the header they bring, and receives none. */
export const PROTOCOL_RAW = 255;
/** Packets that wait in a socket; more are lost, as with a full receive buffer. */
const MOST_WAITING = 256;
const LONGEST = 65_535;

/** Which packets a raw socket gets and how it sends. */
export interface RawOptions {
	/** IP protocol, 1 to 255; 255 (`IPPROTO_RAW`) implies `headerIncluded`. */
	readonly protocol: number;
	/** Packets are sent with the IPv4 header that the program wrote (`IP_HDRINCL`). */
	readonly headerIncluded?: boolean;
	/** Local address: only packets to it come in, and packets leave with it. */
	readonly address?: Ip4 | string;
	readonly ttl?: number;
	readonly tos?: number;
	/** `want` unless said. */
	readonly mtuDiscovery?: MtuDiscovery;
	/** May send to broadcast addresses (`SO_BROADCAST`). */
	readonly broadcast?: boolean;
	/** Mark of its packets (`SO_MARK`). */
	readonly mark?: number;
}

/** A packet as a raw socket gets it. */
export interface RawPacket {
	/** IPv4 header and all behind it; the receiver's own copy. */
	readonly data: Uint8Array;
	readonly address: string;
	/** The device it came in by. */
	readonly device: Device;
}

/** The raw sockets of one namespace (`socket(AF_INET, SOCK_RAW, …)`). Reference: net/ipv4/raw.c. */
export class RawSockets {
	readonly #ns: Namespace;
	readonly #sockets: RawSocket[] = [];

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	/** Opens a socket. Throws `NetError` EPROTONOSUPPORT, EADDRNOTAVAIL. */
	open(options: RawOptions): RawSocket {
		const { protocol } = options;
		if (!Number.isInteger(protocol) || protocol < 1 || protocol > 255) {
			throw new NetError("EPROTONOSUPPORT", "socket: Protocol not supported", { context: { protocol } });
		}
		const address = options.address === undefined ? ANY_IP4 : toIp4(options.address, "address");
		if (address !== ANY_IP4 && !this.#ns.isOwnAddress(address)) {
			throw new NetError("EADDRNOTAVAIL", "bind: Cannot assign requested address", {
				context: { namespace: this.#ns.name, address: formatIp4(address) },
			});
		}
		const socket = new RawSocket(this.#ns, options, address, () => {
			const at = this.#sockets.indexOf(socket);
			if (at >= 0) this.#sockets.splice(at, 1);
		});
		this.#sockets.push(socket);
		return socket;
	}

	/** The programs of the namespace end. */
	closeAll(): void {
		for (const socket of [...this.#sockets]) socket.close();
	}

	/** A packet for this host, which stays the caller's. Returns whether a socket took a copy (`raw_local_deliver`). */
	see(frame: Frame, device: Device, protocol: number): boolean {
		let taken = false;
		for (const socket of [...this.#sockets]) taken = socket.see(frame, device, protocol) || taken;
		return taken;
	}

	/** An ICMP error about a packet of ours (`raw_icmp_error`). */
	error(error: IcmpError): void {
		for (const socket of [...this.#sockets]) socket.fail(error);
	}
}

/** One raw socket. */
export class RawSocket implements IpSocket {
	readonly protocol: number;
	readonly address: Ip4;
	ttl: number;
	tos: number;
	mtuDiscovery: MtuDiscovery;
	/** Mark of its packets (`SO_MARK`). */
	mark: number;
	/** Takes packets at once instead of queueing them. */
	onPacket: ((packet: RawPacket) => void) | null = null;
	readonly #ns: Namespace;
	readonly #headerIncluded: boolean;
	readonly #broadcast: boolean;
	readonly #close: () => void;
	#peer: Ip4 = ANY_IP4;
	#ident = 0;
	#queue: RawPacket[] = [];
	#waiters: { resolve(packet: RawPacket): void; reject(error: unknown): void }[] = [];
	#error: NetError | undefined;
	#closed = false;

	constructor(ns: Namespace, options: RawOptions, address: Ip4, close: () => void) {
		this.#ns = ns;
		this.#close = close;
		this.protocol = options.protocol;
		this.address = address;
		this.ttl = options.ttl ?? 64;
		this.tos = options.tos ?? 0;
		this.mtuDiscovery = options.mtuDiscovery ?? "want";
		this.mark = options.mark ?? 0;
		this.#headerIncluded = options.headerIncluded === true || options.protocol === PROTOCOL_RAW;
		this.#broadcast = options.broadcast ?? false;
	}

	/** Fixes the peer: only its packets come in, and ICMP errors are reported. Throws `NetError` ENETUNREACH. */
	connect(address: Ip4 | string): void {
		const peer = toIp4(address, "address");
		if (this.#ns.route(peer, this.address, this.mark) === undefined) {
			throw new NetError("ENETUNREACH", "connect: Network is unreachable", {
				context: { address: formatIp4(peer) },
			});
		}
		this.#peer = peer;
		this.#ident = this.#ns.kernel.rng.below(0x1_0000);
	}

	nextIdent(): number | undefined {
		if (this.#peer === ANY_IP4) return undefined;
		return (this.#ident = (this.#ident + 1) & 0xffff);
	}

	/**
	 * Sends what is behind the IPv4 header, or with `headerIncluded` the whole packet, of which the kernel writes total
	 * length and checksum, and source and identification where they are 0. Throws `NetError`: EDESTADDRREQ, EINVAL (no
	 * header), EMSGSIZE, ENETUNREACH, EHOSTUNREACH, EACCES, EPERM, and once what an ICMP error left.
	 */
	send(data: Uint8Array, to?: Ip4 | string): void {
		if (this.#closed) throw new NetError("EBADF", "sendto: Bad file descriptor");
		this.#throwPending();
		const destination = to === undefined ? this.#peer : toIp4(to, "to");
		if (destination === ANY_IP4) throw refused("EDESTADDRREQ", "Destination address required");
		const route = this.#way(destination);
		const source = this.address !== ANY_IP4 ? this.address : this.#ns.sourceFor(route, destination);
		if (this.#headerIncluded) return this.#sendWhole(data, route, source);
		if (data.length > LONGEST - ipv4.MIN_OCTETS) throw refused("EMSGSIZE", "Message too long");
		const frame = this.#ns.kernel.world.frames.begin(data.length);
		frame.end = frame.start + data.length;
		frame.bytes.set(data, frame.start);
		frame.mark = this.mark;
		const error = sendPacket(this.#ns, frame, route, source, destination, this.protocol, this);
		if (error !== undefined) throw error;
	}

	#way(destination: Ip4): Route {
		const route = this.#ns.route(destination, this.address, this.mark);
		if (route === undefined) throw refused("ENETUNREACH", "Network is unreachable");
		if (route.type === "unreachable") throw refused("EHOSTUNREACH", "No route to host");
		if (route.type === "prohibit") throw refused("EACCES", "Permission denied");
		if (route.type === "blackhole") throw refused("EINVAL", "Invalid argument");
		if ((route.type === "broadcast" || destination === BROADCAST_IP4) && !this.#broadcast)
			throw refused("EACCES", "Permission denied");
		return route;
	}

	/** `raw_send_hdrinc`. */
	#sendWhole(data: Uint8Array, route: Route, source: Ip4): void {
		if (data.length < ipv4.MIN_OCTETS) throw refused("EINVAL", "Invalid argument");
		if (data.length > (route.device?.mtu ?? 0)) throw refused("EMSGSIZE", "Message too long");
		const frame = this.#ns.kernel.world.frames.from(data);
		const { view, start } = frame;
		frame.mark = this.mark;
		const header = ipv4.headerOctets(view, start);
		if (header < ipv4.MIN_OCTETS || header > data.length) {
			frame.release();
			throw refused("EINVAL", "Invalid argument");
		}
		ipv4.setTotalLength(view, start, data.length);
		if (ipv4.source(view, start) === ANY_IP4) ipv4.setSource(view, start, source);
		if (ipv4.ident(view, start) === 0) {
			const destination = ipv4.destination(view, start);
			const from = ipv4.source(view, start);
			ipv4.setIdent(view, start, this.#ns.kernel.nextIdent(from, destination, ipv4.protocol(view, start)));
		}
		ipv4.writeChecksum(view, start);
		this.#ns.ipv4.output(frame, route);
	}

	/** A packet for this host, which stays the caller's. Returns whether the socket took a copy. */
	see(frame: Frame, device: Device, protocol: number): boolean {
		const { view, start } = frame;
		if (protocol !== this.protocol || protocol === PROTOCOL_RAW) return false;
		const source = ipv4.source(view, start);
		if (this.address !== ANY_IP4 && this.address !== ipv4.destination(view, start)) return false;
		if (this.#peer !== ANY_IP4 && this.#peer !== source) return false;
		const packet: RawPacket = { data: frame.toBytes(), address: formatIp4(source), device };
		const waiter = this.#waiters.shift();
		if (this.onPacket !== null) this.onPacket(packet);
		else if (waiter !== undefined) waiter.resolve(packet);
		else if (this.#queue.length < MOST_WAITING) this.#queue.push(packet);
		return true;
	}

	/** The next packet. Rejects with the error an ICMP message left, or when the socket is closed. */
	receive(): Operation<RawPacket> {
		return this.#ns.kernel.driver.operation<RawPacket>(
			(settle) => {
				const packet = this.#queue.shift();
				if (packet !== undefined) settle.resolve(packet);
				else if (this.#error !== undefined) settle.reject(this.#takeError());
				else if (this.#closed) settle.reject(new NetError("EBADF", "recvfrom: Bad file descriptor"));
				else this.#waiters.push(settle);
			},
			{ what: `recvfrom on ${this.#ns.name} raw protocol ${String(this.protocol)}` },
		);
	}

	/** An ICMP error about a packet of this host (`raw_err`): only fatal ones reach a connected socket. */
	fail(error: IcmpError): void {
		if (error.protocol !== this.protocol || this.#peer !== error.destination) return;
		if (this.address !== ANY_IP4 && this.address !== error.source) return;
		const meant = errorOf(error, this.mtuDiscovery !== "dont");
		if (meant?.fatal !== true) return;
		const failure = new NetError(meant.code, meant.text, { context: { from: formatIp4(error.from) } });
		const waiter = this.#waiters.shift();
		if (waiter !== undefined) waiter.reject(failure);
		else this.#error = failure;
	}

	#throwPending(): void {
		if (this.#error === undefined) return;
		const error = this.#takeError();
		throw new NetError(error.code, `sendto: ${error.message}`, { context: error.context });
	}

	#takeError(): NetError {
		const error = this.#error;
		this.#error = undefined;
		return error ?? refused("EINVAL", "Invalid argument");
	}

	/** Operations that wait are rejected. */
	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.onPacket = null;
		this.#close();
		for (const waiter of this.#waiters.splice(0))
			waiter.reject(new NetError("EBADF", "recvfrom: Bad file descriptor"));
	}
}

const refused = (code: string, text: string): NetError => new NetError(code, `sendto: ${text}`);
