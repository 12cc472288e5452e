import { MOST_BLOCKS } from "./segment.ts";

/** A segment to be sent: everything its header says; the payload lies in the sender's ring at `sequence`. */
export interface OutSegment {
	sequence: number;
	acknowledgment: number;
	flags: number;
	window: number;
	octets: number;
	/** Octets of options, a multiple of four. */
	options: number;
	/** 0 when the option is not sent. */
	mss: number;
	/** -1 when the option is not sent. */
	windowScale: number;
	sackPermitted: boolean;
	timestamps: boolean;
	tsval: number;
	tsecr: number;
	blocks: number;
	readonly edges: Int32Array;
	/** Sent by no full socket (request, TIME-WAIT): the IPv4 identification is 0. */
	bare: boolean;
}

/** The timers of a connection. `retransmit` serves RTO, zero-window probes, TLP and the reordering timeout in turn. */
export const TIMERS = ["retransmit", "delayed-ack", "keepalive", "compressed-ack"] as const;
/** One of `TIMERS`, by its place there. */
export type TimerIndex = 0 | 1 | 2 | 3;
export const RETRANSMIT: TimerIndex = 0;
export const DELAYED_ACK: TimerIndex = 1;
export const KEEPALIVE: TimerIndex = 2;
export const COMPRESSED_ACK: TimerIndex = 3;

/** Leave the timer as it is. */
export const LEAVE = -1;
/** Stop the timer. */
export const STOP = -2;

/**
 * What a step of the state machine asks for: segments to send, timers to arm, programs to wake. One object per
 * namespace, used again for every step, read before the next.
 */
export class Effects {
	readonly #segments: OutSegment[] = [];
	#count = 0;
	/** Nanoseconds from now, `LEAVE` or `STOP`, by `TimerIndex`. */
	readonly timers: Float64Array = new Float64Array(4).fill(LEAVE);
	/** Something can be read: data, end of stream. */
	readable = false;
	/** There is room to write. */
	writable = false;
	/** The handshake is complete. */
	connected = false;
	/** The connection is over; nothing is left of it. */
	closed = false;
	/** The segment that came in is to be answered by a reset of no connection (`tcp_v4_send_reset`). */
	refuse = false;
	/** The segment is a SYN for a new connection in place of this TIME-WAIT entry. */
	reopen = false;
	/** The peer acknowledged something new: the way to it works (`sk_dst_confirm`). */
	confirm = false;

	/** Forgets everything. */
	clear(): void {
		this.#count = 0;
		this.timers.fill(LEAVE);
		this.readable = false;
		this.writable = false;
		this.connected = false;
		this.closed = false;
		this.refuse = false;
		this.reopen = false;
		this.confirm = false;
	}

	/** How many segments are to be sent. */
	get count(): number {
		return this.#count;
	}

	/** The segment to be sent as the i-th. */
	segment(i: number): OutSegment {
		const segment = this.#segments[i];
		if (segment === undefined) throw new RangeError(`there is no segment ${String(i)}`);
		return segment;
	}

	/** One more segment, to be filled in by the caller. */
	add(): OutSegment {
		const known = this.#segments[this.#count];
		const segment = known ?? {
			sequence: 0,
			acknowledgment: 0,
			flags: 0,
			window: 0,
			octets: 0,
			options: 0,
			mss: 0,
			windowScale: -1,
			sackPermitted: false,
			timestamps: false,
			tsval: 0,
			tsecr: 0,
			blocks: 0,
			edges: new Int32Array(2 * MOST_BLOCKS),
			bare: false,
		};
		if (known === undefined) this.#segments.push(segment);
		this.#count++;
		return segment;
	}
}
