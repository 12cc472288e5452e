import type { Instant, Nanoseconds } from "../../sim/index.ts";
import { ByteRing } from "./byte-ring.ts";
import type { Congestion } from "./congestion.ts";
import { invalidSpacing, keepAliveOf, TCP_CONF, type TcpChoices, type TcpConf } from "./conf.ts";
import { Cubic } from "./cubic.ts";
import type { Effects } from "./effects.ts";
import * as limits from "./limits.ts";
import type { SocketFamily, SocketProgram } from "../socket-program.ts";
import { SendQueue } from "./send-queue.ts";

/** RFC 9293 §3.3.2, in the words of `ss`. LISTEN is a listener's, which has no such block. */
export type State =
	| "closed"
	| "syn-sent"
	| "syn-received"
	| "established"
	| "fin-wait-1"
	| "fin-wait-2"
	| "close-wait"
	| "closing"
	| "last-ack"
	| "time-wait";

/** What the retransmission timer is armed for (`icsk_pending`). */
export type Pending = "none" | "rto" | "probe" | "loss-probe" | "reorder";

/** `tcp_ca_state`. */
export type CaState = "open" | "disorder" | "cwr" | "recovery" | "loss";

/** Bits of `ackPending` (`ICSK_ACK_…`). */
export const ACK_SCHEDULED = 1;
export const ACK_TIMER = 2;
export const ACK_PUSHED = 4;
export const ACK_PUSHED_2 = 8;
export const ACK_NOW = 16;

/** When a silent connection is asked whether it is still there. */
export interface KeepAlive {
	/** Silence before the first question, and time between questions, in nanoseconds (`TCP_KEEPIDLE`, `TCP_KEEPINTVL`). */
	readonly idle: Nanoseconds;
	readonly interval: Nanoseconds;
	/** Questions without an answer before it fails (`TCP_KEEPCNT`). */
	readonly probes: number;
}

/** What programs may set on a socket before it connects or listens. */
export interface TcpTuning {
	/** `SO_RCVBUF`; the kernel doubles it. The window no longer grows by itself then. */
	readonly receiveBuffer?: number;
	/** `SO_SNDBUF`; the kernel doubles it. */
	readonly sendBuffer?: number;
	/** `IP_TTL` and `IP_TOS`; `net.ipv4.ip_default_ttl` and 0 unless said. */
	readonly ttl?: number;
	readonly tos?: number;
	/** `TCP_CONGESTION`; `net.ipv4.tcp_congestion_control` unless said. */
	readonly congestion?: "cubic" | "reno";
	/** `TCP_NODELAY`. */
	readonly noDelay?: boolean;
	/**
	 * `TCP_MAXSEG`: the most octets that a segment of this connection carries either way, from 88 to 32767; what the path
	 * allows is not exceeded.
	 */
	readonly maxSegment?: number;
	/** `SO_KEEPALIVE`: with the times of `net.ipv4.tcp_keepalive_…`, or its own in nanoseconds. */
	readonly keepAlive?: boolean | KeepAlive;
	/** `TCP_USER_TIMEOUT` in nanoseconds; 0 is none. */
	readonly userTimeout?: Nanoseconds;
	/**
	 * `SO_LINGER` in nanoseconds: 0 makes a close a reset; else closing waits so long for what was written to be
	 * acknowledged. Without it closing never waits.
	 */
	readonly linger?: Nanoseconds;
	/**
	 * The address family, `inet` unless said. One of `inet6` is open to both, as what Go and Node open unless they are given
	 * an address: `ss` shows it as `*`. Here IPv4 is all that reaches it.
	 */
	readonly family?: SocketFamily;
	/** The program that has it, for `ss -p`. */
	readonly program?: SocketProgram;
}

/**
 * Everything TCP knows of one connection (`struct tcp_sock`): the transmission control block of RFC 9293. The
 * machine's functions change it in place; it knows no clock, no namespace and no other connection.
 *
 * Sequence numbers are signed 32-bit integers, windows and sizes octets, `cwnd` and its kin segments, times virtual
 * nanoseconds, round-trip times microseconds as in Linux.
 */
export class Tcb {
	readonly effects: Effects;
	/** `net.ipv4.tcp_…` of the namespace. */
	readonly conf: Readonly<TcpConf & TcpChoices>;
	state: State = "closed";
	/** When the present step happens. */
	now: Instant = 0;

	// ── sending ──
	readonly queue: SendQueue = new SendQueue();
	readonly sendRing: ByteRing = new ByteRing();
	iss = 0;
	sndUna = 0;
	sndNxt = 0;
	/** Behind the last octet the program wrote, FIN counted. */
	writeSeq = 0;
	pushedSeq = 0;
	/** The smallest segment's end that Nagle waits for. */
	sndSml = 0;
	sndWnd = 0;
	sndWl1 = 0;
	maxWindow = 0;
	sndScale = 0;
	/** Octets of data a segment may carry, timestamps off. */
	mss: number = limits.MSS_DEFAULT;
	/** What the other side takes, and what this side told it. */
	mssClamp: number = limits.MSS_DEFAULT;
	advertisedMss: number = limits.MSS_DEFAULT;
	/** `TCP_MAXSEG`. */
	readonly userMss: number;
	pathMtu = 1500;
	headerOctets = 20;
	noDelay = false;
	/** The program closed its side: a FIN waits or was sent. */
	finQueued = false;
	sendBuffer: number;
	sendBufferFixed = false;
	/** A program waits for room. */
	sendFull = false;
	lastSendAt: Instant = 0;

	// ── receiving ──
	readonly receiveRing: ByteRing = new ByteRing();
	irs = 0;
	rcvNxt = 0;
	rcvWup = 0;
	rcvWnd = 0;
	copiedSeq = 0;
	rcvScale = 0;
	windowClamp = 0;
	rcvSsthresh = 0;
	receiveBuffer: number;
	receiveBufferFixed = false;
	/** Memory that received segments take, and of which segments: end and charge in turn (`sk_rmem_alloc`). */
	charged = 0;
	readonly charges: number[] = [];
	chargesHead = 0;
	/** Out of order: left, right, charge in turn, sorted (`out_of_order_queue`). */
	readonly gaps: number[] = [];
	finReceived = false;
	/** Behind a FIN that came out of order. */
	finAt: number | undefined;
	/** The program reads no more. */
	readShut = false;
	rcvRtt = 0;
	rcvRttSeq = 0;
	rcvRttTime: Instant = 0;
	rcvRttEcho = 0;
	spaceSeq = 0;
	spaceTime: Instant = 0;
	space = 0;

	// ── acknowledging ──
	ackPending = 0;
	quick = 0;
	pingpong = false;
	/** 0 until data came. */
	ato: Nanoseconds = 0;
	ackTimeout: Instant = 0;
	rcvMss: number = limits.MSS_DEFAULT;
	lastSegmentSize = 0;
	lastReceiveAt: Instant = 0;
	lastInvalidAckAt: Instant = -Infinity;
	lastChallengeAt: Instant = -Infinity;
	/** Blocks to report, newest first: left and right in turn. */
	readonly sacks: number[] = [];
	dsack = false;
	dsackLeft = 0;
	dsackRight = 0;
	compressedAcks = 0;
	compressedNxt = 0;
	duplicateAcksSent = 0;
	compressTimer = false;

	// ── options ──
	timestamps = false;
	sackOk = false;
	windowScaling = false;
	timestampOffset = 0;
	tsRecent = 0;
	tsRecentAt: Instant = -1;
	rcvTsval = 0;
	rcvTsecr = 0;
	lastAckSent = 0;

	// ── round trips ──
	/** Eight times the smoothed round trip, in microseconds; 0 while unknown. */
	srtt = 0;
	/** Four times the mean deviation. */
	mdev = 0;
	mdevMax = 0;
	rttvar = 0;
	rttSeq = 0;
	rto: Nanoseconds = limits.RTO_FIRST;
	backoff = 0;
	/** Microseconds; Infinity while unknown. */
	minRtt: number = Infinity;
	minRttAt: Instant = 0;
	/** The latest sample, -1 when the acknowledgment gave none. */
	rackRtt = 0;

	// ── what is on its way ──
	packetsOut = 0;
	sackedOut = 0;
	lostOut = 0;
	resentOut = 0;
	/** Segments delivered in all. */
	delivered = 0;
	lost = 0;
	highSeq = 0;
	/** `snd_una` when the window was last reduced; undefined when there is nothing to undo. */
	undoMarker: number | undefined;
	/** Behind the highest SACKed octet. */
	highestSack = 0;
	undoResent = 0;
	/** When the first of the present retransmissions went, -1 for none. */
	retransStamp: Instant = -1;
	totalRetrans = 0;
	synRetransmitted = false;
	priorSsthresh = 0;

	// ── congestion ──
	congestion: Congestion;
	caState: CaState = "open";
	cwnd: number = limits.INITIAL_WINDOW;
	cwndCount = 0;
	cwndClamp = 0x7fff_ffff;
	ssthresh = 0x7fff_ffff;
	cwndUsed = 0;
	cwndStamp: Instant = 0;
	cwndLimited = false;
	maxPacketsOut = 0;
	cwndUsageSeq = 0;
	priorCwnd = 0;
	prrDelivered = 0;
	prrOut = 0;
	reordering: number = limits.DUPLICATES;
	reorderSeen = 0;
	frto = false;
	/** `snd_nxt` when the loss probe went; undefined when none is out. */
	tlpHighSeq: number | undefined;
	tlpRetrans = false;
	/** What recovery wants sent when the acknowledgment is digested. */
	rexmit: "none" | "lost" | "new" = "none";
	/** Octets a second (`sk_pacing_rate`). */
	pacingRate: number = Infinity;

	// ── RACK ──
	rackSentAt: Instant = 0;
	rackEnd = 0;
	rackAdvanced = false;
	rackReoSteps = 1;
	rackReoPersist = 0;
	rackDsackSeen = false;
	rackLastDelivered = 0;

	// ── timers and retries ──
	pending: Pending = "none";
	/** When the retransmission timer is due, unrounded. */
	timeoutAt: Instant = 0;
	retries = 0;
	probesOut = 0;
	probesSince: Instant = -1;
	lastHeardAt: Instant = 0;
	keepAlive: KeepAlive | undefined;
	userTimeout: Nanoseconds = 0;
	/** No program holds it any more. */
	orphan = false;
	/** It is a request or a TIME-WAIT entry, no full socket. */
	bare = false;
	/** A bare block in FIN-WAIT-2. */
	waitsForFin = false;
	/** The program that listens has no room for one connection more (`sk_acceptq_is_full`). */
	acceptQueueFull = false;
	/** errno and its text, once it failed. */
	error: { readonly code: string; readonly text: string } | undefined;
	/** What an ICMP error said that was not believed yet (`sk_err_soft`). */
	softError: { readonly code: string; readonly text: string } | undefined;
	/** From this the RTO of a lost SYN follows. */
	synSentAt: Instant = 0;

	constructor(
		effects: Effects,
		tuning: TcpTuning,
		congestion?: Congestion,
		conf: Readonly<TcpConf & TcpChoices> = TCP_CONF,
	) {
		this.effects = effects;
		this.conf = conf;
		this.receiveBuffer = conf.tcp_rmem[1];
		this.sendBuffer = conf.tcp_wmem[1];
		this.congestion = congestion ?? new Cubic();
		this.noDelay = tuning.noDelay ?? false;
		const { keepAlive } = tuning;
		if (keepAlive !== undefined && keepAlive !== false)
			this.keepAlive = keepAlive === true ? keepAliveOf(conf) : keepAlive;
		this.userTimeout = tuning.userTimeout ?? 0;
		this.userMss = tuning.maxSegment ?? Infinity;
		if (tuning.receiveBuffer !== undefined) {
			this.receiveBuffer = Math.max(2 * tuning.receiveBuffer, limits.RECEIVE_BUFFER_LEAST);
			this.receiveBufferFixed = true;
		}
		if (tuning.sendBuffer !== undefined) {
			this.sendBuffer = Math.max(2 * tuning.sendBuffer, limits.SEND_BUFFER_LEAST);
			this.sendBufferFixed = true;
		}
	}

	/** Nanoseconds between two answers to segments out of the window. */
	get invalidSpacing(): Nanoseconds {
		return invalidSpacing(this.conf);
	}

	/** Segments believed to be in the network (`tcp_packets_in_flight`). */
	get inFlight(): number {
		return this.packetsOut - this.sackedOut - this.lostOut + this.resentOut;
	}

	/** The clock of the timestamps option: milliseconds from a start drawn at random. */
	get timestamp(): number {
		return (Math.floor(this.now / 1e6) + this.timestampOffset) | 0;
	}

	/** What is left of the window this side offered (`tcp_receive_window`). */
	get offeredWindow(): number {
		return Math.max(0, (this.rcvWup + this.rcvWnd - this.rcvNxt) | 0);
	}

	/** Behind the last octet the other side takes (`tcp_wnd_end`). */
	get windowEnd(): number {
		return (this.sndUna + this.sndWnd) | 0;
	}

	/** Octets that wait to be read. */
	get readable(): number {
		return (
			((this.rcvNxt - this.copiedSeq) | 0) - (this.finReceived && this.copiedSeq !== this.rcvNxt ? 1 : 0)
		);
	}

	/** More data may come in and be read. */
	get mayReceiveMore(): boolean {
		return !this.finReceived && !this.readShut;
	}
}
