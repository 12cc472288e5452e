import { ANY_IP4, BROADCAST_IP4, formatIp4, type Ip4, isMulticastIp4, toIp4, toPort } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import type { Device } from "../link/index.ts";
import type { Operation } from "../sim/index.ts";
import { checksum, type Frame, ipv4, udp } from "../wire/index.ts";
import type { IcmpError } from "./ipv4/icmp.ts";
import { type IpSocket, type MtuDiscovery, sendPacket } from "./ipv4/send.ts";
import { Memberships } from "./memberships.ts";
import type { Namespace } from "./namespace.ts";
import type { Route } from "./route.ts";
import { errorOf } from "./socket-error.ts";
import type { SocketFamily, SocketProgram } from "./socket-program.ts";
import type { Udp } from "./udp.ts";

const PROTOCOL = 17;
/** `net.core.rmem_default`: what waits in a socket, with its bookkeeping. */
const RECEIVE_BUFFER = 212_992;
/** What a short datagram is charged for in the receive buffer. */
const DATAGRAM_CHARGE = 768;
/** The longest payload: an IPv4 packet less its headers. */
const LONGEST = 65_507;

/** A datagram as a program gets it. */
export interface Datagram {
	/** The payload; the receiver's own copy. */
	readonly data: Uint8Array;
	readonly address: string;
	readonly port: number;
	/** The address it was sent to. */
	readonly to: string;
	readonly ttl: number;
}

/** Where a UDP socket is bound and how it sends. */
export interface UdpOptions {
	/** Local port; without it one of `ip_local_port_range`. */
	readonly port?: number;
	/** Local address; without it all of the namespace's. */
	readonly address?: Ip4 | string;
	readonly ttl?: number;
	readonly tos?: number;
	/** `IP_MTU_DISCOVER`, `want` unless said. */
	readonly mtuDiscovery?: MtuDiscovery;
	/** May send to broadcast addresses (`SO_BROADCAST`). */
	readonly broadcast?: boolean;
	/** Shares the port with other sockets that allow it (`SO_REUSEADDR`); each gets its copy of what is for a group. */
	readonly reuseAddress?: boolean;
	/** TTL of packets to groups (`IP_MULTICAST_TTL`); 1 unless said. */
	readonly multicastTtl?: number;
	/** The device by which packets to groups leave (`IP_MULTICAST_IF`); without it the routes decide. */
	readonly multicastDevice?: Device;
	/** Whether this host gets what the socket sends to groups it is in (`IP_MULTICAST_LOOP`); yes unless said. */
	readonly multicastLoop?: boolean;
	/** The mark of the packets sent (`SO_MARK`), which a VXLAN device with `gbp` sends along. */
	readonly mark?: number;
	/**
	 * The address family, `inet` unless said. One of `inet6` is open to both, as what Go and Node open unless they are given
	 * an address: `ss` shows it as `*`. Here IPv4 is all that reaches it.
	 */
	readonly family?: SocketFamily;
	/** The program that has it, for `ss -p`. */
	readonly program?: SocketProgram;
}

/** Called with each datagram in place of the queue: payload at `at`, valid only during the call. */
export type DatagramHandler = (frame: Frame, at: number, octets: number, source: Ip4, port: number) => void;

/** A UDP socket. */
export class UdpSocket implements IpSocket {
	readonly address: Ip4;
	readonly port: number;
	ttl: number;
	tos: number;
	mtuDiscovery: MtuDiscovery;
	/** Mark of its packets (`SO_MARK`); it counts from the next `connect` or unconnected `send`. */
	mark: number;
	/** Takes datagrams at once, without a copy, instead of queueing them. */
	handler: DatagramHandler | null = null;
	/** Told of ICMP errors about this socket's datagrams, whether connected or not (`IP_RECVERR`). */
	errorHandler: ((error: IcmpError) => void) | null = null;

	/** Shares its port (`SO_REUSEADDR`). */
	readonly reuseAddress: boolean;
	readonly family: SocketFamily;
	/** Who has it. */
	readonly program: SocketProgram | undefined;

	readonly #ns: Namespace;
	readonly #udp: Udp;
	readonly #broadcast: boolean;
	/** What it sends with; a socket bound to a group or broadcast address uses its device's (`inet_saddr`). */
	readonly #source: Ip4;
	readonly #multicastDevice: Device | undefined;
	readonly #multicastLoop: boolean;
	/** What this socket decides about packets to groups. */
	readonly #toGroups: IpSocket;
	#memberships: Memberships | undefined;
	#peer: Ip4 = ANY_IP4;
	#peerPort = 0;
	#flowHash = 0;
	#ident: number | undefined;
	#route: Route | undefined;
	#routeGeneration = -1;
	#queue: Datagram[] = [];
	#charged = 0;
	#waiters: { resolve(datagram: Datagram): void; reject(error: unknown): void }[] = [];
	#error: NetError | undefined;
	#closed = false;

	constructor(ns: Namespace, owner: Udp, address: Ip4, port: number, options: UdpOptions) {
		this.#ns = ns;
		this.#udp = owner;
		this.address = address;
		this.#source = isMulticastIp4(address) || ns.isBroadcast(address) ? ANY_IP4 : address;
		this.port = port;
		this.ttl = options.ttl ?? ns.ipv4.conf.ip_default_ttl;
		this.tos = options.tos ?? 0;
		this.mtuDiscovery = options.mtuDiscovery ?? "want";
		this.mark = options.mark ?? 0;
		this.#broadcast = options.broadcast ?? false;
		this.reuseAddress = options.reuseAddress ?? false;
		this.family = options.family ?? "inet";
		this.program = options.program;
		this.#multicastDevice = options.multicastDevice;
		this.#multicastLoop = options.multicastLoop ?? true;
		this.#toGroups = {
			ttl: options.multicastTtl ?? 1,
			tos: this.tos,
			mtuDiscovery: this.mtuDiscovery,
			nextIdent: () => this.nextIdent(),
		};
	}

	/**
	 * Joins a group on a device, or where the routes say the group is (`IP_ADD_MEMBERSHIP`). Throws `NetError`:
	 * EINVAL for no group, ENODEV, EADDRINUSE when the socket is in it, ENOBUFS beyond `igmp_max_memberships`.
	 */
	join(group: Ip4 | string, device?: Device): void {
		(this.#memberships ??= new Memberships(this.#ns)).join(group, device);
	}

	/** Leaves a group (`IP_DROP_MEMBERSHIP`). Throws `NetError` EADDRNOTAVAIL when the socket is not in it. */
	leave(group: Ip4 | string, device?: Device): void {
		(this.#memberships ??= new Memberships(this.#ns)).leave(group, device);
	}

	/** Where it is connected to, if it is. */
	get peer(): { readonly address: Ip4; readonly port: number } | undefined {
		return this.#peerPort === 0 ? undefined : { address: this.#peer, port: this.#peerPort };
	}

	/** Octets of memory that waiting datagrams take (Recv-Q of `ss`). */
	get waiting(): number {
		return this.#charged;
	}

	/** How well a packet to `address` from `peer` fits this socket; negative when it does not. */
	score(address: Ip4, peer: Ip4, peerPort: number): number {
		let score = 0;
		if (this.address !== ANY_IP4) {
			if (this.address !== address) return -1;
			score += 1;
		}
		if (this.#peerPort !== 0) {
			if (this.#peer !== peer || this.#peerPort !== peerPort) return -1;
			score += 2;
		}
		return score;
	}

	/** Fixes the peer: only its datagrams come in, and ICMP errors are reported. Throws `NetError` ENETUNREACH. */
	connect(address: Ip4 | string, port: number): void {
		const peer = toIp4(address, "address");
		this.#peerPort = toPort(port, "port");
		this.#peer = peer;
		if (this.#routeTo(peer) === undefined) {
			this.#peerPort = 0;
			throw new NetError("ENETUNREACH", "connect: Network is unreachable", {
				context: { address: formatIp4(peer) },
			});
		}
		const { rng } = this.#ns.kernel;
		this.#flowHash = rng.uint32() | 0 || 1;
		this.#ident = rng.below(0x1_0000);
	}

	nextIdent(): number | undefined {
		if (this.#ident === undefined) return undefined;
		return (this.#ident = (this.#ident + 1) & 0xffff);
	}

	#routeTo(destination: Ip4): Route | undefined {
		const generation = this.#ns.generation;
		if (this.#peerPort !== 0 && destination === this.#peer && this.#routeGeneration === generation)
			return this.#route;
		const route = this.#ns.route(destination, this.address, this.mark);
		if (this.#peerPort !== 0 && destination === this.#peer) {
			this.#route = route;
			this.#routeGeneration = generation;
		}
		return route;
	}

	/** By the socket's device, else by that of its address, else by where the routes say. */
	#routeToGroup(group: Ip4): Route | undefined {
		const device =
			this.#multicastDevice ??
			(this.address === ANY_IP4 ? undefined : this.#ns.localFib.lookup(this.address)?.device) ??
			this.#ns.route(group)?.device;
		return device == null ? undefined : this.#ns.routeBy(device, group, this.#multicastLoop);
	}

	/**
	 * Sends one datagram, to the connected peer or to `to`. Throws `NetError`: EDESTADDRREQ, EMSGSIZE,
	 * ENETUNREACH, EHOSTUNREACH, EACCES (broadcast without `broadcast`), and once the error that an ICMP
	 * message left on a connected socket (ECONNREFUSED …).
	 */
	send(data: Uint8Array, to?: { readonly address: Ip4 | string | number; readonly port: number }): void {
		if (this.#closed) throw new NetError("EBADF", "sendto: Bad file descriptor");
		this.#throwPending("sendto");
		const address = to === undefined ? this.#peer : toIp4(to.address, "address");
		const port = to === undefined ? this.#peerPort : toPort(to.port, "port");
		if (port === 0) throw new NetError("EDESTADDRREQ", "sendto: Destination address required");
		if (data.length > LONGEST)
			throw new NetError("EMSGSIZE", "sendto: Message too long", { context: { octets: data.length } });
		const toGroup = isMulticastIp4(address);
		const route = toGroup ? this.#routeToGroup(address) : this.#routeTo(address);
		if (route === undefined) throw unreachableNet(address);
		if (route.type === "unreachable") throw new NetError("EHOSTUNREACH", "sendto: No route to host");
		if (route.type === "prohibit") throw new NetError("EACCES", "sendto: Permission denied");
		if (route.type === "blackhole") throw new NetError("EINVAL", "sendto: Invalid argument");
		if ((route.type === "broadcast" || address === BROADCAST_IP4) && !this.#broadcast) {
			throw new NetError("EACCES", "sendto: Permission denied", {
				remedy: "Open the socket with broadcast: true.",
			});
		}
		const source = this.#source !== ANY_IP4 ? this.#source : this.#ns.sourceFor(route, address);
		const frame = this.#ns.kernel.world.frames.begin(data.length);
		const { view } = frame;
		const end = frame.start + data.length;
		frame.bytes.set(data, frame.start);
		frame.end = end;
		frame.push(udp.OCTETS);
		const octets = data.length + udp.OCTETS;
		udp.writePlain(view, frame.start, this.port, port, octets);
		const sum = checksum.sum(
			view,
			frame.start,
			octets,
			checksum.pseudoHeader4(source, address, PROTOCOL, octets),
		);
		udp.setChecksum(view, frame.start, udp.sent(checksum.fold(sum)));
		frame.trusted = true;
		frame.flowHash = this.#flowHash;
		frame.mark = this.mark;
		const socket = toGroup ? this.#toGroups : this;
		const error = sendPacket(this.#ns, frame, route, source, address, PROTOCOL, socket);
		if (error !== undefined) throw error;
	}

	/** A datagram came in. Takes the frame; the payload is at `at`. */
	take(frame: Frame, at: number, octets: number, source: Ip4, port: number): void {
		if (this.handler !== null) {
			this.handler(frame, at, octets, source, port);
			return frame.release();
		}
		const charge = octets + DATAGRAM_CHARGE;
		if (this.#waiters.length === 0 && this.#charged + charge > RECEIVE_BUFFER) {
			return this.#ns.world.drop(frame, "socket-rcvbuff", this.#ns, `udp port ${String(this.port)}`);
		}
		const header = frame.start;
		const datagram: Datagram = {
			data: frame.bytes.slice(at, at + octets),
			address: formatIp4(source),
			port,
			to: formatIp4(ipv4.destination(frame.view, header)),
			ttl: ipv4.ttl(frame.view, header),
		};
		frame.release();
		const waiter = this.#waiters.shift();
		if (waiter !== undefined) return waiter.resolve(datagram);
		this.#queue.push(datagram);
		this.#charged += charge;
	}

	/** The next datagram. Rejects with the error an ICMP message left, or when the socket is closed. */
	receive(): Operation<Datagram> {
		return this.#ns.kernel.driver.operation<Datagram>(
			(settle) => {
				const datagram = this.#queue.shift();
				if (datagram !== undefined) {
					this.#charged -= datagram.data.length + DATAGRAM_CHARGE;
					settle.resolve(datagram);
				} else if (this.#error !== undefined) {
					settle.reject(this.#takeError());
				} else if (this.#closed) {
					settle.reject(new NetError("EBADF", "recvfrom: Bad file descriptor"));
				} else {
					this.#waiters.push(settle);
				}
			},
			{ what: `recvfrom on ${this.#ns.name} udp port ${String(this.port)}` },
		);
	}

	/** Datagrams until the socket is closed. */
	async *[Symbol.asyncIterator](): AsyncGenerator<Datagram> {
		while (!this.#closed) {
			try {
				yield await this.receive();
			} catch (error) {
				if (error instanceof NetError && error.code === "EBADF") return;
				throw error;
			}
		}
	}

	/** An ICMP error about a datagram of this socket (`udp_err`): only fatal ones reach a connected socket. */
	fail(error: IcmpError): void {
		this.errorHandler?.(error);
		if (this.#peerPort === 0) return;
		const meant = errorOf(error, this.mtuDiscovery !== "dont");
		if (meant?.fatal !== true) return;
		const failure = new NetError(meant.code, meant.text, { context: { from: formatIp4(error.from) } });
		const waiter = this.#waiters.shift();
		if (waiter !== undefined) waiter.reject(failure);
		else this.#error = failure;
	}

	#throwPending(call: string): void {
		if (this.#error === undefined) return;
		const error = this.#takeError();
		throw new NetError(error.code, `${call}: ${error.message}`, { context: error.context });
	}

	#takeError(): NetError {
		const error = this.#error;
		this.#error = undefined;
		return error ?? new NetError("EINVAL", "Invalid argument");
	}

	/** Gives the port back. Operations that wait are rejected. */
	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#memberships?.drop();
		this.#udp.remove(this);
		for (const waiter of this.#waiters.splice(0))
			waiter.reject(new NetError("EBADF", "recvfrom: Bad file descriptor"));
	}
}

const unreachableNet = (address: Ip4): NetError =>
	new NetError("ENETUNREACH", "sendto: Network is unreachable", { context: { address: formatIp4(address) } });
