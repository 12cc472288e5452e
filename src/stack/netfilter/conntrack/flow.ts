import type { Frame } from "../../../wire/index.ts";
import type { KnownWay } from "../known-ways/known-way.ts";
import type { TcpTrack } from "./tcp.ts";

/** Bits of `Flow.status` (`enum ip_conntrack_status`). */
export const STATUS = {
	/** Packets went both ways. */
	seenReply: 2,
	/** Never given up early: `[ASSURED]`. */
	assured: 4,
	/** In the table: its first packet left the namespace or arrived in it. */
	confirmed: 8,
	sourceNat: 16,
	destinationNat: 32,
	sourceNatDone: 128,
	destinationNatDone: 256,
	/** Taken out of the table. */
	dying: 512,
} as const;

/** What a packet is to its flow (`enum ip_conntrack_info`): kept in `Frame.flowInfo`. */
export const INFO = {
	established: 0,
	related: 1,
	new: 2,
	establishedReply: 3,
	relatedReply: 4,
	untracked: 7,
} as const;

/** The way a packet goes: as the first one did, or back. */
export type Direction = 0 | 1;
/** As the first packet of the flow. */
export const ORIGINAL = 0;
/** Back to where the first packet came from. */
export const REPLY = 1;

/** Whether packets of an `INFO` go back (`CTINFO2DIR`). */
export const directionOf = (info: number): Direction => (info >= INFO.establishedReply ? REPLY : ORIGINAL);

/**
 * An answer that this host makes for a packet belongs to the packet's flow, if it has one, even one that is in no table
 * yet: so it is translated back (`nf_ct_attach`).
 */
export function attach(answer: Frame, cause: Frame): void {
	if (cause.flow === null) return;
	answer.flow = cause.flow;
	answer.flowInfo = directionOf(cause.flowInfo) === ORIGINAL ? INFO.relatedReply : INFO.related;
}

const ICMP = 1;
/** The answer's ICMP type for each query's, and back; -1 where there is none (RFC 792, RFC 950). */
const ICMP_INVERSE: readonly number[] = (() => {
	const inverse = new Array<number>(19).fill(-1);
	for (const [ask, answer] of [
		[8, 0],
		[13, 14],
		[15, 16],
		[17, 18],
	] as const) {
		inverse[ask] = answer;
		inverse[answer] = ask;
	}
	return inverse;
})();

/** True where an answer to a packet with these ports is known. */
export const isInvertible = (protocol: number, ports: number): boolean =>
	protocol !== ICMP || (ICMP_INVERSE[(ports >>> 8) & 255] ?? -1) >= 0;

/** The ports of packets the other way (`nf_ct_invert_tuple`). */
export function invertPorts(protocol: number, ports: number): number {
	if (protocol !== ICMP) return (ports << 16) | (ports >>> 16);
	return (ports & ~0xff00) | ((ICMP_INVERSE[(ports >>> 8) & 255] ?? 0) << 8);
}

/**
 * One direction of a flow: who speaks to whom (`struct nf_conntrack_tuple`). All numbers are signed 32-bit
 * integers, which cost no object. `ports` is the source port in the upper half and the destination port in the
 * lower; for ICMP queries the identifier in the upper half, type and code in the lower.
 */
export class Tuple {
	// What a look-up reads comes first, in one line of cache.
	ports: number;
	source: number;
	destination: number;
	readonly protocol: number;
	next: Tuple | null = null;
	readonly flow: Flow;
	readonly direction: Direction;
	/** The way of its packets through the hooks, once known, and how many went the long way since it was looked for. */
	way: KnownWay | null = null;
	unnoted = 0;
	/** Where it is in the table. */
	hash = 0;

	constructor(
		flow: Flow,
		direction: Direction,
		protocol: number,
		source: number,
		destination: number,
		ports: number,
	) {
		this.flow = flow;
		this.direction = direction;
		this.protocol = protocol;
		this.source = source;
		this.destination = destination;
		this.ports = ports;
	}
}

/** One flow (`struct nf_conn`): a connection, an exchange of datagrams, a query and its answer. */
export class Flow {
	/** When it is forgotten unless another packet comes; a duration in nanoseconds until it is confirmed. */
	expires = 0;
	/** Bits of `STATUS`. */
	status = 0;
	readonly original: Tuple;
	/** What answers look like here: the inverse of `original` unless addresses are translated. */
	readonly reply: Tuple;
	/** The table it is or will be in: a frame that came from elsewhere may carry another namespace's flow. */
	readonly home: object;
	/** `connmark`. */
	mark = 0;
	/** TCP's part. */
	tcp: TcpTrack | null = null;
	/** From when on an exchange of datagrams counts as a stream (`udp.stream_ts`). */
	streamFrom = 0;
	/** Number of the device MASQUERADE chose its address for, 0 for none. */
	masqueradeIndex = 0;
	/** Packets and octets each way, while `nf_conntrack_acct` is on. */
	packetsThere = 0;
	octetsThere = 0;
	packetsBack = 0;
	octetsBack = 0;
	/** Its neighbours in the list of all flows. */
	older: Flow | null = null;
	newer: Flow | null = null;

	constructor(home: object, protocol: number, source: number, destination: number, ports: number) {
		this.home = home;
		this.original = new Tuple(this, ORIGINAL, protocol, source, destination, ports);
		this.reply = new Tuple(this, REPLY, protocol, destination, source, invertPorts(protocol, ports));
	}

	/** IP protocol number. */
	get protocol(): number {
		return this.original.protocol;
	}

	/** The tuple of packets of a direction. */
	tuple(direction: Direction): Tuple {
		return direction === ORIGINAL ? this.original : this.reply;
	}
}
