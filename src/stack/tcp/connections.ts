import { ANY_IP4, formatIp4, type Ip4, isMulticastIp4, toIp4, toPort } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import { keyedHash } from "../../sim/index.ts";
import { type Frame, icmp, ipv4, tcp } from "../../wire/index.ts";
import type { InDevice } from "../in-device.ts";
import type { IcmpError } from "../ipv4/icmp.ts";
import type { Namespace } from "../namespace.ts";
import { errorOf } from "../socket-error.ts";
import { CORE_CONF, type CoreConf, TCP_CONF, type TcpChoices, type TcpConf } from "./conf.ts";
import { Reno } from "./congestion.ts";
import { Effects } from "./effects.ts";
import { type ListenOptions, TcpListener } from "./listener.ts";
import { LocalPortSearch, openPort } from "./local-port.ts";
import { open } from "./machine.ts";
import type { Beginning } from "./open.ts";
import { type Ends, type PassiveOpener, PassiveOpens } from "./passive-opens.ts";
import { Segment } from "./segment.ts";
import { refuse } from "./send-segment.ts";
import { between } from "./sequence.ts";
import { TcpSocket } from "./socket.ts";
import { Tcb, type TcpTuning } from "./tcb.ts";

/** Who to connect to, and how. */
export interface ConnectOptions extends TcpTuning {
	readonly address: Ip4 | string;
	readonly port: number;
	/** Local address and port; chosen by route and at random unless said. */
	readonly from?: Ip4 | string;
	readonly localPort?: number;
}

/** The TCP connections and listeners of one namespace (RFC 9293). Reference: net/ipv4/tcp_ipv4.c, inet_hashtables.c. */
export class Tcp {
	readonly #ns: Namespace;
	// Made with the first connection, and for the first segment: most namespaces of a large lab see neither.
	#effects: Effects | undefined;
	#segment: Segment | undefined;
	/** By local and remote port; sockets of one slot are chained. */
	readonly #connections = new Map<number, TcpSocket>();
	readonly #listeners = new Map<number, TcpListener[]>();
	/** Connections by local port. */
	readonly #ports = new Map<number, number>();
	readonly #passive: PassiveOpens;
	readonly #secret: number;
	#search: LocalPortSearch | undefined;
	#conf: (TcpConf & TcpChoices) | undefined;
	#coreConf: CoreConf | undefined;
	#count = 0;

	constructor(ns: Namespace) {
		this.#ns = ns;
		this.#secret = ns.kernel.rng.uint32() | 0;
		const opener: PassiveOpener = {
			kernel: ns.kernel,
			settings: () => this.#conf ?? TCP_CONF,
			make: (tuning, ends) => this.#make(tuning, ...ends),
			beginning: (ends) => this.#beginning(...ends),
		};
		this.#passive = new PassiveOpens(opener, this.#secret);
	}

	/** `net.ipv4.tcp_…`, open to be changed. */
	get conf(): TcpConf & TcpChoices {
		return (this.#conf ??= { ...TCP_CONF });
	}

	/** `net.core.…` of sockets. */
	get coreConf(): CoreConf {
		return (this.#coreConf ??= { ...CORE_CONF });
	}

	/** Connections, TIME-WAIT included. */
	get count(): number {
		return this.#count;
	}

	/** All who listen (`ss -tln`). */
	*listening(): Generator<TcpListener> {
		for (const listeners of this.#listeners.values()) yield* listeners;
	}

	/** All connections (`ss -tan`). */
	*sockets(): Generator<TcpSocket> {
		for (const first of this.#connections.values()) {
			for (let each: TcpSocket | null = first; each !== null; each = each.next) yield each;
		}
	}

	// ── programs ──────────────────────────────────────────────────────────────────────────────────

	/**
	 * Listens on a port. Throws `NetError` EADDRINUSE, EADDRNOTAVAIL, EINVAL (`maxSegment`).
	 */
	listen(options: ListenOptions): TcpListener {
		checkMaxSegment(options);
		const address = options.address === undefined ? ANY_IP4 : toIp4(options.address, "address");
		if (address !== ANY_IP4 && !this.#ns.isOwnAddress(address)) throw this.#notOurs(address);
		const port = options.port === 0 ? this.#freePort() : toPort(options.port, "port");
		const others = this.#listeners.get(port) ?? [];
		if (others.some((each) => each.address === ANY_IP4 || address === ANY_IP4 || each.address === address)) {
			throw new NetError("EADDRINUSE", "bind: Address already in use", {
				context: { namespace: this.#ns.name, address: formatIp4(address), port },
			});
		}
		const { somaxconn } = this.#coreConf ?? CORE_CONF;
		const listener = new TcpListener(address, port, options, somaxconn, (gone) => {
			this.#stopListening(gone);
		});
		this.#listeners.set(port, [...others, listener]);
		return listener;
	}

	#stopListening(listener: TcpListener): void {
		const left = (this.#listeners.get(listener.port) ?? []).filter((each) => each !== listener);
		if (left.length > 0) this.#listeners.set(listener.port, left);
		else this.#listeners.delete(listener.port);
		this.#passive.stopped(listener);
	}

	#notOurs(address: Ip4): NetError {
		return new NetError("EADDRNOTAVAIL", "bind: Cannot assign requested address", {
			context: { namespace: this.#ns.name, address: formatIp4(address) },
		});
	}

	/**
	 * Begins a connection: the SYN is sent, the socket calls back. Throws `NetError` ENETUNREACH, EHOSTUNREACH, EACCES,
	 * EINVAL (by the route, or `maxSegment`), EADDRNOTAVAIL, EADDRINUSE.
	 */
	connect(options: ConnectOptions): TcpSocket {
		checkMaxSegment(options);
		const ns = this.#ns;
		const remote = toIp4(options.address, "address");
		const remotePort = toPort(options.port, "port");
		const route = ns.route(remote);
		if (route === undefined || isMulticastIp4(remote) || ns.isBroadcast(remote)) {
			throw new NetError("ENETUNREACH", "connect: Network is unreachable", {
				context: { address: formatIp4(remote) },
			});
		}
		if (route.type === "unreachable") throw new NetError("EHOSTUNREACH", "connect: No route to host");
		if (route.type === "prohibit") throw new NetError("EACCES", "connect: Permission denied");
		if (route.type === "blackhole") throw new NetError("EINVAL", "connect: Invalid argument");
		const local = options.from === undefined ? ns.sourceFor(route, remote) : toIp4(options.from, "from");
		if (options.from !== undefined && !ns.isOwnAddress(local)) throw this.#notOurs(local);
		const localPort =
			options.localPort === undefined || options.localPort === 0
				? this.#portTo(local, remote, remotePort)
				: toPort(options.localPort, "localPort");
		if (this.#find(local, localPort, remote, remotePort) !== undefined) {
			throw new NetError("EADDRNOTAVAIL", "connect: Cannot assign requested address", {
				context: { namespace: ns.name, localPort },
			});
		}
		const socket = this.#make(options, local, localPort, remote, remotePort);
		open(socket.tcb, this.#beginning(local, localPort, remote, remotePort), ns.kernel.world.scheduler.now);
		socket.apply();
		return socket;
	}

	#make(tuning: TcpTuning, local: Ip4, localPort: number, remote: Ip4, remotePort: number): TcpSocket {
		const conf = this.#conf ?? TCP_CONF;
		const reno = (tuning.congestion ?? conf.tcp_congestion_control) === "reno";
		const tcb = new Tcb((this.#effects ??= new Effects()), tuning, reno ? new Reno() : undefined, conf);
		const socket = new TcpSocket(this.#ns, this, tcb, tuning, [local, localPort], [remote, remotePort]);
		socket.ttl = tuning.ttl ?? this.#ns.ipv4.conf.ip_default_ttl;
		socket.tos = tuning.tos ?? 0;
		const key = localPort * 0x1_0000 + remotePort;
		socket.next = this.#connections.get(key) ?? null;
		this.#connections.set(key, socket);
		this.#ports.set(localPort, (this.#ports.get(localPort) ?? 0) + 1);
		this.#count++;
		return socket;
	}

	/** Numbers that a connection begins with: hard to guess, and rising with time as RFC 6528 has it (`secure_tcp_seq`). */
	#beginning(local: Ip4, localPort: number, remote: Ip4, remotePort: number): Beginning {
		const ns = this.#ns;
		const ports = (localPort << 16) | remotePort;
		const now = ns.kernel.world.scheduler.now;
		const hash = keyedHash(this.#secret, ns.kernel.rng.uint32() | 0, local, remote, ports);
		const route = ns.route(remote);
		const deviceMtu = route === undefined ? 1500 : route.mtu > 0 ? route.mtu : (route.device?.mtu ?? 1500);
		return {
			iss: (hash + Math.floor(now / 64)) | 0,
			timestampOffset: keyedHash(this.#secret, hash, remote, local, ports) | 0,
			pathMtu: route === undefined ? 1500 : ns.ipv4.mtuOf(route, remote),
			localMtu: Math.min(deviceMtu, 65_535),
		};
	}

	#portTo(local: Ip4, remote: Ip4, remotePort: number): number {
		this.#search ??= new LocalPortSearch(this.#secret, this.#ns.kernel.rng.fork("tcp/ports"));
		const port = this.#search.find(this.#ns.localPortRange, local, remote, remotePort, (each) => {
			return !this.#listeners.has(each) && this.#find(local, each, remote, remotePort) === undefined;
		});
		if (port === undefined) throw this.#noPort();
		return port;
	}

	#freePort(): number {
		const { localPortRange, kernel } = this.#ns;
		const port = openPort(
			localPortRange,
			kernel.rng,
			(each) => !this.#ports.has(each) && !this.#listeners.has(each),
		);
		if (port === undefined) throw this.#noPort();
		return port;
	}

	#noPort(): NetError {
		return new NetError("EADDRNOTAVAIL", "connect: Cannot assign requested address", {
			remedy: "All local ports are in use.",
			context: { namespace: this.#ns.name },
		});
	}

	/** The programs of the namespace end: their sockets are closed for them (`exit_files`). */
	closeAll(): void {
		for (const listener of [...this.#listeners.values()].flat()) listener.close();
		for (const socket of [...this.sockets()]) socket.close();
	}

	/** The namespace is no more: what is left of connections goes without a word to the other side (`tcp_sk_exit_batch`). */
	purge(): void {
		for (const listener of [...this.#listeners.values()].flat()) listener.close();
		for (const socket of [...this.sockets()]) socket.vanish();
	}

	// ── segments ──────────────────────────────────────────────────────────────────────────────────

	#find(local: Ip4, localPort: number, remote: Ip4, remotePort: number): TcpSocket | undefined {
		let each = this.#connections.get(localPort * 0x1_0000 + remotePort) ?? null;
		for (; each !== null; each = each.next) {
			if (each.remoteAddress === remote && each.localAddress === local) return each;
		}
		return undefined;
	}

	/** A segment for this host; the frame starts at its IPv4 header. Takes the frame (`tcp_v4_rcv`). */
	receive(frame: Frame, inDevice: InDevice): void {
		const { view, start } = frame;
		const { device } = inDevice;
		const at = start + ipv4.headerOctets(view, start);
		const segment = (this.#segment ??= new Segment());
		const malformed = segment.read(view, frame.bytes, at, frame.end);
		if (malformed !== undefined) return device.dropIn(frame, malformed);
		const source = ipv4.source(view, start);
		const destination = ipv4.destination(view, start);
		if (!frame.trusted && !tcp.isChecksumGood(view, at, frame.end - at, source, destination))
			return device.dropIn(frame, "tcp-csum");
		const port = tcp.destinationPort(view, at);
		const socket = this.#find(destination, port, source, tcp.sourcePort(view, at));
		let iss: number | undefined;
		if (socket !== undefined) {
			if (socket.tcb.bare && socket.state === "syn-received") this.#passive.prepare(socket);
			const verdict = socket.take(segment);
			if (verdict === "done") return frame.release();
			if (verdict === "refuse") {
				// The reading goes on from the frame: a callback may have used the one segment.
				segment.read(view, frame.bytes, at, frame.end);
				refuse(this.#ns, frame, segment);
				return device.dropIn(frame, "tcp-reset");
			}
			// Well behind what TIME-WAIT may still see of the old connection (`tcp_timewait_state_process`).
			iss = (socket.tcb.sndNxt + 65_537) | 0;
			segment.read(view, frame.bytes, at, frame.end);
		}
		const listener = this.#listener(port, destination);
		if (listener !== undefined && !segment.rst) {
			const ends: Ends = [destination, port, source, tcp.sourcePort(view, at)];
			if (segment.ack) {
				const verdict = segment.syn ? "none" : this.#passive.thirdSegment(listener, segment, ends);
				if (verdict === "connection") return frame.release();
				if (verdict === "full") return device.dropIn(frame, "socket-backlog");
				refuse(this.#ns, frame, segment);
				return device.dropIn(frame, "no-socket", `tcp port ${String(port)}`);
			}
			if (!segment.syn || segment.fin) return device.dropIn(frame, "tcp-flags");
			if (!this.#passive.syn(listener, segment, ends, iss)) return device.dropIn(frame, "socket-backlog");
			return frame.release();
		}
		if (!segment.rst) refuse(this.#ns, frame, segment);
		device.dropIn(frame, "no-socket", `tcp port ${String(port)}`);
	}

	#listener(port: number, address: Ip4): TcpListener | undefined {
		const listeners = this.#listeners.get(port);
		return (
			listeners?.find((each) => each.address === address) ??
			listeners?.find((each) => each.address === ANY_IP4)
		);
	}

	/** A handshake is complete. A request's listener gets the connection. */
	connected(socket: TcpSocket): void {
		this.#passive.connected(socket);
	}

	/** A connection is over. */
	remove(socket: TcpSocket): void {
		this.#passive.forget(socket);
		const key = socket.localPort * 0x1_0000 + socket.remotePort;
		let each = this.#connections.get(key) ?? null;
		if (each === socket) {
			if (socket.next === null) this.#connections.delete(key);
			else this.#connections.set(key, socket.next);
		} else {
			for (; each !== null; each = each.next) {
				if (each.next === socket) {
					each.next = socket.next;
					break;
				}
			}
		}
		socket.next = null;
		const left = (this.#ports.get(socket.localPort) ?? 1) - 1;
		if (left > 0) this.#ports.set(socket.localPort, left);
		else this.#ports.delete(socket.localPort);
		this.#count--;
	}

	/** An ICMP error about one of our segments; `transport` is where its quoted header starts (`tcp_v4_err`). */
	error(error: IcmpError, view: DataView, transport: number): void {
		const socket = this.#find(
			error.source,
			tcp.sourcePort(view, transport),
			error.destination,
			tcp.destinationPort(view, transport),
		);
		if (socket === undefined) return;
		const { tcb } = socket;
		// Only about what is on its way: others may guess (RFC 5927 §4.1).
		if (!between(tcp.sequence(view, transport) | 0, tcb.sndUna, tcb.sndNxt)) return;
		if (error.type === icmp.UNREACHABLE && error.code === icmp.FRAG_NEEDED) {
			const route = this.#ns.route(error.destination);
			if (route !== undefined) socket.pathChanged(this.#ns.ipv4.mtuOf(route, error.destination));
			return;
		}
		const meant = errorOf(error, true);
		if (meant !== undefined) socket.fail(meant);
	}
}

/** `TCP_MIN_MSS` and `MAX_TCP_WINDOW`. */
function checkMaxSegment({ maxSegment }: TcpTuning): void {
	if (maxSegment === undefined || (Number.isInteger(maxSegment) && maxSegment >= 88 && maxSegment <= 32_767))
		return;
	throw new NetError("EINVAL", "setsockopt: Invalid argument", { context: { maxSegment } });
}
