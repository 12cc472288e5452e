import { ANY_IP4, type Ip4 } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import { type Frame, icmp, ipv4 } from "../wire/index.ts";
import type { IcmpError } from "./ipv4/icmp.ts";
import { type IpSocket, type MtuDiscovery, sendPacket } from "./ipv4/send.ts";
import type { Namespace } from "./namespace.ts";

const PROTOCOL = 1;

/** An echo reply to a ping socket. The frame is only lent for the call. */
export interface EchoReply {
	readonly sequence: number;
	readonly from: Ip4;
	readonly ttl: number;
	/** The payload; the receiver's own copy. */
	readonly data: Uint8Array;
}

/** The ping sockets of one namespace: ICMP echo for programs (`socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)`). */
export class Pings {
	readonly #ns: Namespace;
	readonly #sockets = new Map<number, PingSocket>();

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	/** Opens a socket with an identifier of its own. */
	open(): PingSocket {
		const id = this.#ns.kernel.nextPingId((each) => this.#sockets.has(each));
		const socket = new PingSocket(this.#ns, id, () => this.#sockets.delete(id));
		this.#sockets.set(id, socket);
		return socket;
	}

	/** The programs of the namespace end. */
	closeAll(): void {
		for (const socket of [...this.#sockets.values()]) socket.close();
	}

	/** An echo reply; `at` is its ICMP header. Returns false when nobody waits for it. */
	reply(frame: Frame, at: number): boolean {
		const socket = this.#sockets.get(icmp.id(frame.view, at));
		if (socket?.onReply == null) return false;
		socket.onReply({
			sequence: icmp.sequence(frame.view, at),
			from: ipv4.source(frame.view, frame.start),
			ttl: ipv4.ttl(frame.view, frame.start),
			data: frame.bytes.slice(at + icmp.OCTETS, frame.end),
		});
		return true;
	}

	/** An ICMP error about one of our echo requests; `at` is the quoted ICMP header. */
	error(error: IcmpError, view: DataView, at: number): void {
		if (icmp.type(view, at) !== icmp.ECHO_REQUEST) return;
		this.#sockets.get(icmp.id(view, at))?.onError?.(error, icmp.sequence(view, at));
	}
}

/** One ping socket. */
export class PingSocket implements IpSocket {
	readonly id: number;
	ttl = 64;
	tos = 0;
	mtuDiscovery: MtuDiscovery = "want";
	onReply: ((reply: EchoReply) => void) | null = null;
	onError: ((error: IcmpError, sequence: number) => void) | null = null;
	readonly #ns: Namespace;
	readonly #close: () => void;

	constructor(ns: Namespace, id: number, close: () => void) {
		this.#ns = ns;
		this.id = id;
		this.#close = close;
	}

	/** Not connected: packets that refuse fragments carry identification 0. */
	nextIdent(): undefined {
		return undefined;
	}

	/**
	 * Sends one echo request with `data`. `confirm` says that answers come, which keeps the neighbour entry
	 * fresh (`MSG_CONFIRM`). Returns the journey's id. Throws `NetError` ENETUNREACH, EHOSTUNREACH, EMSGSIZE.
	 */
	send(destination: Ip4, sequence: number, data: Uint8Array, confirm: boolean, from: Ip4 = ANY_IP4): number {
		const ns = this.#ns;
		const route = ns.route(destination, from);
		if (route === undefined) throw new NetError("ENETUNREACH", "Network is unreachable");
		if (route.type === "unreachable") throw new NetError("EHOSTUNREACH", "No route to host");
		if (route.type === "prohibit") throw new NetError("EACCES", "Permission denied");
		if (route.type === "blackhole") throw new NetError("EINVAL", "Invalid argument");
		const octets = icmp.OCTETS + data.length;
		const frame = ns.kernel.world.frames.begin(octets);
		frame.end = frame.start + octets;
		icmp.writeEcho(frame.view, frame.start, icmp.ECHO_REQUEST, this.id, sequence);
		frame.bytes.set(data, frame.start + icmp.OCTETS);
		icmp.writeChecksum(frame.view, frame.start, octets);
		frame.trusted = true;
		const { id } = frame;
		const source = from !== ANY_IP4 ? from : ns.sourceFor(route, destination);
		if (confirm && route.device !== null) {
			const inDevice = ns.inDevice(route.device);
			if (inDevice !== undefined) ns.neighbours(inDevice).confirm(route.via !== 0 ? route.via : destination);
		}
		const error = sendPacket(ns, frame, route, source, destination, PROTOCOL, this);
		if (error !== undefined) throw error;
		return id;
	}

	close(): void {
		this.onReply = null;
		this.onError = null;
		this.#close();
	}
}
