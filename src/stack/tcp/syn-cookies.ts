import type { Ip4 } from "../../addr/index.ts";
import { keyedHash, type Instant, seconds } from "../../sim/index.ts";
import type { Segment } from "./segment.ts";

/** Lowest bits of the timestamp of a SYN,ACK, which hold the client's options. */
const OPTION_BITS = 6;
const OPTION_MASK = (1 << OPTION_BITS) - 1;
const NO_SCALE = 0xf;
const SACK = 0x10;
/** The top octet of the initial sequence number counts minutes. */
const COUNT_BITS = 24;
const DATA_MASK = (1 << COUNT_BITS) - 1;
const MINUTE = seconds(60);
/** Minutes for which a cookie is good. */
const MOST_AGE = 2;
/** Segment sizes that a cookie can say. */
const SIZES = [536, 1300, 1440, 1460] as const;

/**
 * SYN cookies: a listener whose queue of requests is full answers SYNs without remembering them. What it has to know
 * of the client lies in the initial sequence number and the timestamp of the SYN,ACK, and comes back with the third
 * segment. Reference: net/ipv4/syncookies.c.
 */
export class SynCookies {
	readonly #key: number;
	/** When a SYN was last answered so; no cookie is believed long after. */
	#lastSent: Instant = -Infinity;

	constructor(key: number) {
		this.#key = key;
	}

	/** The initial sequence number that answers a SYN at `now` (`secure_tcp_syn_cookie`). */
	sequence(syn: Segment, from: Ip4, to: Ip4, ports: number, now: Instant): number {
		this.#lastSent = now;
		const count = Math.floor(now / MINUTE);
		const size = SIZES.findLastIndex((each) => syn.mss >= each);
		const secret = (this.#hash(from, to, ports, count + 1) + Math.max(0, size)) & DATA_MASK;
		return (this.#hash(from, to, ports, 0) + syn.sequence + (count << COUNT_BITS) + secret) | 0;
	}

	/** The timestamp for it, below `timestamp`: its lowest bits hold window scale and SACK (`cookie_init_timestamp`). */
	timestamp(syn: Segment, timestamp: number): number {
		const options = (syn.windowScale >= 0 ? syn.windowScale : NO_SCALE) | (syn.sackPermitted ? SACK : 0);
		const marked = (timestamp & ~OPTION_MASK) | options;
		return ((marked - timestamp) | 0) > 0 ? (marked - (1 << OPTION_BITS)) | 0 : marked;
	}

	/**
	 * Makes of the third segment of a handshake the SYN that it answers, if the cookie in its acknowledgment is one of
	 * ours and not too old (`check_tcp_syn_cookie`); `timestampOffset` is what was added to its timestamp.
	 */
	syn(
		ack: Segment,
		from: Ip4,
		to: Ip4,
		ports: number,
		now: Instant,
		timestampOffset: number,
	): Segment | undefined {
		if (now - this.#lastSent > MOST_AGE * MINUTE) return undefined;
		const sequence = (ack.sequence - 1) | 0;
		const cookie = (ack.acknowledgment - 1 - this.#hash(from, to, ports, 0) - sequence) | 0;
		const minutes = Math.floor(now / MINUTE);
		const age = (minutes - (cookie >>> COUNT_BITS)) & (0xff_ff_ff_ff >>> COUNT_BITS);
		if (age >= MOST_AGE) return undefined;
		const size = SIZES[(cookie - this.#hash(from, to, ports, minutes - age + 1)) & DATA_MASK];
		if (size === undefined) return undefined;
		const options = (ack.tsecr - timestampOffset) & OPTION_MASK;
		const scale = options & NO_SCALE;
		return Object.assign(Object.create(Object.getPrototypeOf(ack) as object) as Segment, ack, {
			sequence,
			end: ack.sequence,
			octets: 0,
			mss: size,
			windowScale: ack.timestamps && scale !== NO_SCALE ? scale : -1,
			sackPermitted: ack.timestamps && (options & SACK) !== 0,
		});
	}

	#hash(from: Ip4, to: Ip4, ports: number, count: number): number {
		return keyedHash(this.#key, count, from, to, ports) | 0;
	}
}
