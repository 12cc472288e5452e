import { type Frame, tcp } from "../../../wire/index.ts";
import type { ConntrackConf } from "./conf.ts";
import { type Direction, ORIGINAL, REPLY, STATUS } from "./flow.ts";
import { fits, type Sender, senderOf, sequenceAfter } from "./tcp-window.ts";

/** States of a tracked connection, by number; the names are those that `conntrack -L` prints. */
export const TCP_STATES = [
	"NONE",
	"SYN_SENT",
	"SYN_RECV",
	"ESTABLISHED",
	"FIN_WAIT",
	"CLOSE_WAIT",
	"LAST_ACK",
	"TIME_WAIT",
	"CLOSE",
	"SYN_SENT2",
] as const;

/** One of `TCP_STATES`. */
export type TcpState = (typeof TCP_STATES)[number];

const [NONE, SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE, SYN_SENT2] = [
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
] as const;
const INVALID = 10;
const IGNORE = 11;

/** Kinds of segments, by the flag that decides. */
const SYN = 0;
const SYN_ACK = 1;
const FIN = 2;
const ACK = 3;
const RST = 4;
const NO_FLAG = 5;

/**
 * What a segment does to the state, in the order of `TCP_STATES`: S SYN_SENT, R SYN_RECV, E ESTABLISHED,
 * F FIN_WAIT, W CLOSE_WAIT, L LAST_ACK, T TIME_WAIT, C CLOSE, 2 SYN_SENT2, `-` invalid, `.` ignored.
 * Reference: `tcp_conntracks` in net/netfilter/nf_conntrack_proto_tcp.c.
 */
const ARROWS: readonly [Readonly<Record<string, string>>, Readonly<Record<string, string>>] = [
	{
		syn: "SS.....SS2",
		synAck: "--R------R",
		fin: "--FFLLLTC-",
		ack: "E-EEWWTTC-",
		rst: "-CCCCCCCCC",
		none: "----------",
	},
	{
		syn: "-2-----S-2",
		synAck: "-R.......R",
		fin: "--FFLLLTC-",
		ack: "-.REWWTTC.",
		rst: "-CCCCCCCCC",
		none: "----------",
	},
];
const LETTERS = "-SREFWLTC2";
const KINDS = ["syn", "synAck", "fin", "ack", "rst", "none"] as const;

/** `[direction * 60 + kind * 10 + state]`. */
const NEXT: Uint8Array = Uint8Array.from(
	ARROWS.flatMap((rows) =>
		KINDS.flatMap((kind) =>
			Array.from(rows[kind] ?? "", (letter) =>
				letter === "-" ? INVALID : letter === "." ? IGNORE : LETTERS.indexOf(letter),
			),
		),
	),
);

const FLAGS = tcp.SYN | tcp.ACK | tcp.FIN | tcp.RST | tcp.URG;
/** Combinations of these flags that a sane stack sends (`tcp_valid_flags`). */
const SANE: ReadonlySet<number> = new Set([
	tcp.SYN,
	tcp.SYN | tcp.URG,
	tcp.SYN | tcp.ACK,
	tcp.RST,
	tcp.RST | tcp.ACK,
	tcp.FIN | tcp.ACK,
	tcp.FIN | tcp.ACK | tcp.URG,
	tcp.ACK,
	tcp.ACK | tcp.URG,
]);

/** True for flags that make no sense together, which scanners send. */
export const hasStrangeFlags = (flags: number): boolean => !SANE.has(flags & FLAGS);

function kindOf(flags: number): number {
	if ((flags & tcp.RST) !== 0) return RST;
	if ((flags & tcp.SYN) !== 0) return (flags & tcp.ACK) !== 0 ? SYN_ACK : SYN;
	if ((flags & tcp.FIN) !== 0) return FIN;
	return (flags & tcp.ACK) !== 0 ? ACK : NO_FLAG;
}

/** What tracking makes of a segment. */
export type TcpJudgement = "accept" | "invalid" | "again" | "forget";

/** The TCP part of a flow (`struct ip_ct_tcp`). */
export class TcpTrack {
	state: number = NONE;
	readonly seen: readonly [Sender, Sender];
	lastDirection: Direction = ORIGINAL;
	lastKind: number = NO_FLAG;
	lastSequence = 0;
	lastAcknowledgment = 0;
	lastEnd = 0;
	lastWindow = 0;
	/** Times the same segment came in a row. */
	retransmissions = 0;
	/** Both sides sent a SYN first. */
	simultaneous = false;
	/** A SYN that was let through in the middle may be answered by a challenge (RFC 5961). */
	challenged = false;

	/** Begins with the first segment; undefined when no connection begins like that (`tcp_new`). */
	static begin(frame: Frame, at: number, conf: ConntrackConf): TcpTrack | undefined {
		const next = NEXT[kindOf(tcp.flags(frame.view, at)) * 10 + NONE]!;
		if (next >= INVALID) return undefined;
		if (next !== SYN_SENT && conf.nf_conntrack_tcp_loose === 0) return undefined;
		return new TcpTrack(frame, at, next === SYN_SENT);
	}

	private constructor(frame: Frame, at: number, fromStart: boolean) {
		this.seen = [senderOf(frame, at, fromStart), senderOf(null, 0, fromStart)];
	}

	/** The name of the state. */
	get stateName(): TcpState {
		return TCP_STATES[this.state] ?? "NONE";
	}

	/**
	 * One segment of the flow (`nf_conntrack_tcp_packet`): "accept" counts and gives `lifetime` its new value;
	 * "invalid" changed nothing; "again" means that the flow is over and the segment begins another; "forget" that it was
	 * refused at once and nothing is kept.
	 */
	segment(frame: Frame, at: number, direction: Direction, status: number, conf: ConntrackConf): TcpJudgement {
		const flags = tcp.flags(frame.view, at);
		const kind = kindOf(flags);
		const old = this.state;
		let next = NEXT[direction * 60 + kind * 10 + old]!;
		let judged = false;
		switch (next) {
			case INVALID:
				return "invalid";
			case SYN_SENT:
				if (old < TIME_WAIT) break;
				// A connection that was closed, or reset by the same side, may be opened anew (RFC 1122 §4.2.2.13).
				if (
					this.seen[0].closedFirst ||
					this.seen[1].closedFirst ||
					(this.lastDirection === direction && this.lastKind === RST)
				)
					return "again";
				return this.#ignore(frame, at, direction, kind);
			case IGNORE:
				if (
					kind === SYN_ACK &&
					this.lastKind === SYN &&
					this.lastDirection !== direction &&
					tcp.acknowledgment(frame.view, at) === this.lastEnd
				) {
					// It answers a SYN that was let through: both ends are in step, and so are we now.
					next = SYN_RECV;
					this.#restart();
					break;
				}
				return this.#ignore(frame, at, direction, kind);
			case TIME_WAIT:
				if (
					old === LAST_ACK &&
					kind === ACK &&
					this.lastDirection !== direction &&
					this.lastKind === SYN &&
					this.challenged
				) {
					this.challenged = false;
					return "accept";
				}
				break;
			case SYN_SENT2:
				this.simultaneous = true;
				break;
			case SYN_RECV:
				if (direction === REPLY && kind === ACK && this.simultaneous) next = ESTABLISHED;
				break;
			case CLOSE:
				if (kind !== RST) break;
				next = this.#reset(frame, at, direction, status, conf);
				if (next === INVALID) return "invalid";
				judged = this.#answersIgnored(frame, at, status);
				break;
		}
		if (!judged && !fits(this, frame, at, direction, kind === ACK, conf)) return "invalid";
		this.lastKind = kind;
		this.lastDirection = direction;
		this.state = next;
		if (old !== next && next === FIN_WAIT) this.seen[direction].closedFirst = true;
		if ((status & STATUS.seenReply) === 0 && kind === RST) return "forget";
		return "accept";
	}

	/** Lets a segment pass that may belong to a connection we are not in step with, and remembers it. */
	#ignore(frame: Frame, at: number, direction: Direction, kind: number): TcpJudgement {
		const { view } = frame;
		this.lastKind = kind;
		this.lastDirection = direction;
		this.lastSequence = tcp.sequence(view, at);
		this.lastEnd = sequenceAfter(frame, at);
		this.lastWindow = tcp.window(view, at);
		if (kind === SYN && direction === ORIGINAL) this.challenged = true;
		return "accept";
	}

	/** Begins the windows anew from the SYN that was let through. */
	#restart(): void {
		const client = this.seen[this.lastDirection];
		client.end = this.lastEnd;
		client.mostEnd = this.lastEnd;
		client.mostWindow = Math.max(1, this.lastWindow);
		client.mostAcknowledged = -1;
		const server = this.seen[this.lastDirection === ORIGINAL ? REPLY : ORIGINAL];
		server.mostWindow = 0;
		this.challenged = false;
		this.state = SYN_SENT;
	}

	/** The state after a reset, or `INVALID` for one that lies before what was acknowledged. */
	#reset(frame: Frame, at: number, direction: Direction, status: number, conf: ConntrackConf): number {
		const other = this.seen[direction === ORIGINAL ? REPLY : ORIGINAL];
		if (other.mostAcknowledged < 0 || this.lastKind === SYN) return CLOSE;
		const sequence = tcp.sequence(frame.view, at);
		const established = this.state === ESTABLISHED && (status & STATUS.assured) !== 0;
		if (sequence === 0 && !established) return CLOSE;
		const before = (sequence - other.mostAcknowledged) | 0;
		if (before < 0 && conf.nf_conntrack_tcp_ignore_invalid_rst === 0) return INVALID;
		if (!established || before === 0) return CLOSE;
		if (this.lastKind === ACK && this.lastDirection === direction && sequence === this.lastEnd) return CLOSE;
		// Not exactly what is expected next: the receiver will ask (RFC 5961 §3.2).
		return this.state;
	}

	/** A reset that answers a segment we let through, whose numbers the windows do not know. */
	#answersIgnored(frame: Frame, at: number, status: number): boolean {
		const answered =
			((status & STATUS.seenReply) !== 0 && this.lastKind === SYN) ||
			((status & STATUS.assured) === 0 && this.lastKind === ACK);
		return answered && tcp.acknowledgment(frame.view, at) === this.lastEnd;
	}

	/** Seconds the flow lives after a segment. */
	lifetime(frame: Frame, at: number, status: number, conf: ConntrackConf): number {
		const own = stateTimeout(this.state, conf);
		const {
			nf_conntrack_tcp_timeout_max_retrans: retrans,
			nf_conntrack_tcp_timeout_unacknowledged: unacked,
		} = conf;
		if (this.retransmissions >= conf.nf_conntrack_tcp_max_retrans && own > retrans) return retrans;
		if ((tcp.flags(frame.view, at) & tcp.RST) !== 0) return conf.nf_conntrack_tcp_timeout_close;
		if ((this.seen[0].unacknowledged || this.seen[1].unacknowledged) && own > unacked) return unacked;
		if (this.lastWindow === 0 && own > retrans) return retrans;
		const picked = (status & STATUS.seenReply) === 0 && this.state === ESTABLISHED;
		return picked ? Math.min(own, unacked) : own;
	}

	/** True for the segment that makes a connection one that is never given up early. */
	assures(old: number, status: number): boolean {
		return (
			(status & STATUS.seenReply) !== 0 &&
			(old === SYN_RECV || old === ESTABLISHED) &&
			this.state === ESTABLISHED
		);
	}
}

function stateTimeout(state: number, conf: ConntrackConf): number {
	switch (state) {
		case SYN_RECV:
			return conf.nf_conntrack_tcp_timeout_syn_recv;
		case ESTABLISHED:
			return conf.nf_conntrack_tcp_timeout_established;
		case FIN_WAIT:
			return conf.nf_conntrack_tcp_timeout_fin_wait;
		case CLOSE_WAIT:
			return conf.nf_conntrack_tcp_timeout_close_wait;
		case LAST_ACK:
			return conf.nf_conntrack_tcp_timeout_last_ack;
		case TIME_WAIT:
			return conf.nf_conntrack_tcp_timeout_time_wait;
		case CLOSE:
			return conf.nf_conntrack_tcp_timeout_close;
		default:
			return conf.nf_conntrack_tcp_timeout_syn_sent;
	}
}
