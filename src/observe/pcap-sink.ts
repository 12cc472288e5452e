import { assert } from "../assert.ts";

/** Up to so many octets a loop over 32-bit words beats `set`, which needs a view of the source. */
const LOOP_COPY_LIMIT = 64;

/**
 * Growing bytes that a capture file is written into, little-endian.
 *
 *     0                      length        bytes.length
 *     | written, not drained | free …      |
 *
 * A writer reserves room and stores through `view`. Whoever saves the file drains it, at the end or now and then:
 * memory stays bounded by what is written in between.
 */
export class PcapSink {
	/** The store. Replaced when it grows, as is `view`: read both anew after `reserve`. */
	bytes: Uint8Array<ArrayBuffer>;
	view: DataView<ArrayBuffer>;
	/** Octets written and not drained. */
	length = 0;

	/** `octets`: room to start with. */
	constructor(octets: number = 65_536) {
		if (!Number.isInteger(octets) || octets < 1) {
			throw new RangeError(`octets is ${String(octets)}, expected a whole number above 0`);
		}
		this.bytes = new Uint8Array(octets);
		this.view = new DataView(this.bytes.buffer);
	}

	/** Makes room for `octets` more and says where they start; the caller fills every one of them. */
	reserve(octets: number): number {
		const at = this.length;
		const end = at + octets;
		if (end > this.bytes.length) this.#grow(end);
		this.length = end;
		return at;
	}

	/** Copies octets `start` to `end` of `from` to the reserved place `at`. */
	copy(at: number, from: DataView, start: number, end: number): void {
		const octets = end - start;
		if (octets > LOOP_COPY_LIMIT) {
			this.bytes.set(new Uint8Array(from.buffer, from.byteOffset + start, octets), at);
			return;
		}
		const view = this.view;
		let i = 0;
		// Four words at a time: half the cost of one at a time.
		for (const whole = octets & ~15; i < whole; i += 16) {
			view.setInt32(at + i, from.getInt32(start + i, true), true);
			view.setInt32(at + i + 4, from.getInt32(start + i + 4, true), true);
			view.setInt32(at + i + 8, from.getInt32(start + i + 8, true), true);
			view.setInt32(at + i + 12, from.getInt32(start + i + 12, true), true);
		}
		for (const whole = octets & ~3; i < whole; i += 4) {
			view.setInt32(at + i, from.getInt32(start + i, true), true);
		}
		for (; i < octets; i++) view.setUint8(at + i, from.getUint8(start + i));
	}

	/** Appends a copy of `octets`. */
	append(octets: Uint8Array): void {
		const at = this.reserve(octets.length);
		this.bytes.set(octets, at);
	}

	/** A copy of everything written since the last `drain`. */
	toBytes(): Uint8Array<ArrayBuffer> {
		return this.bytes.slice(0, this.length);
	}

	/** Hands over what `toBytes` gives and forgets it: for files that are saved in parts. */
	drain(): Uint8Array<ArrayBuffer> {
		const part = this.toBytes();
		this.length = 0;
		return part;
	}

	#grow(least: number): void {
		assert(least <= 2 ** 32, "a capture of more than 4 GiB is drained in parts");
		const bytes = new Uint8Array(Math.max(least, this.bytes.length * 2));
		bytes.set(this.bytes.subarray(0, this.length));
		this.bytes = bytes;
		this.view = new DataView(bytes.buffer);
	}
}
