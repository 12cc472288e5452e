import { assert } from "../assert.ts";
import type { Instant } from "../sim/index.ts";
import type { Direction } from "./capture-file.ts";

/**
 * One sighting of a frame, as capture writers take it: octets `start` to `end` of `view` are copied before the call
 * returns. The caller may use one object again and again.
 */
export interface PcapRecord {
	/** Nanoseconds since the writer's `epoch`. */
	readonly time: Instant;
	readonly view: DataView;
	readonly start: number;
	/** Exclusive. */
	readonly end: number;
	/** Octets the frame had on its wire. */
	readonly originalLength: number;
}

/** What pcapng can say beyond that. */
export interface PcapngRecord extends PcapRecord {
	/** Index that `PcapngWriter.addInterface` gave. */
	readonly interface: number;
	readonly direction: Direction | undefined;
	/** Shared by all sightings of one packet. Whole, at least 0. */
	readonly packetId: number | undefined;
	readonly comments: readonly string[] | undefined;
}

const WORD = 0x1_0000_0000;
const SECOND = 1_000_000_000;

/**
 * Timestamps as capture files want them, from virtual time without a bigint per packet: the epoch is split once,
 * an instant is added to its parts.
 */
export class PcapClock {
	/** The last time's seconds and nanoseconds. */
	seconds = 0;
	nanoseconds = 0;
	/** The last time's 64 bits. */
	high = 0;
	low = 0;

	readonly #epochSeconds: number;
	readonly #epochNanoseconds: number;
	readonly #epochHigh: number;
	readonly #epochLow: number;
	/** The second and the 2^32 nanoseconds of the last time, and the instants at which they start. */
	#second = 0;
	#secondStart = Number.POSITIVE_INFINITY;
	#word = 0;
	#wordStart = Number.POSITIVE_INFINITY;

	/** `epoch`: nanoseconds from 1970-01-01 UTC to virtual time 0. */
	constructor(epoch: bigint) {
		checkTime(epoch, "epoch");
		this.#epochSeconds = Number(epoch / BigInt(SECOND));
		this.#epochNanoseconds = Number(epoch % BigInt(SECOND));
		this.#epochHigh = Number(epoch >> 32n);
		this.#epochLow = Number(epoch & 0xffff_ffffn);
	}

	/** Splits an instant in `seconds` and `nanoseconds`. */
	split(time: Instant): void {
		// Packets come many to a second: the division is rarely needed.
		let nanoseconds = time - this.#secondStart;
		if (!(nanoseconds >= 0 && nanoseconds < SECOND)) nanoseconds = this.#enterSecond(time);
		this.seconds = this.#second;
		this.nanoseconds = nanoseconds;
	}

	/** Puts an instant in `high` and `low`. */
	words(time: Instant): void {
		let low = time - this.#wordStart;
		if (!(low >= 0 && low < WORD)) low = this.#enterWord(time);
		this.high = this.#word;
		this.low = low;
	}

	#enterSecond(time: Instant): number {
		assert(time >= 0, "a frame is captured at or after the epoch");
		const past = Math.floor((time + this.#epochNanoseconds) / SECOND);
		this.#secondStart = past * SECOND - this.#epochNanoseconds;
		this.#second = this.#epochSeconds + past;
		return time - this.#secondStart;
	}

	#enterWord(time: Instant): number {
		assert(time >= 0, "a frame is captured at or after the epoch");
		const past = Math.floor((time + this.#epochLow) / WORD);
		this.#wordStart = past * WORD - this.#epochLow;
		this.#word = this.#epochHigh + past;
		return time - this.#wordStart;
	}
}

/** Throws RangeError unless `time` is nanoseconds since 1970 that 64 bits hold. */
export function checkTime(time: bigint, argument: string): void {
	if (time >= 0n && time < 1n << 64n) return;
	throw new RangeError(`${argument} is ${String(time)}, expected nanoseconds since 1970 from 0 to 2^64 - 1`);
}

/** Throws RangeError unless `value` is a whole number from 0 to `most`. */
export function checkNumber(value: number, most: number, argument: string): void {
	if (Number.isInteger(value) && value >= 0 && value <= most) return;
	throw new RangeError(`${argument} is ${String(value)}, expected a whole number from 0 to ${String(most)}`);
}
