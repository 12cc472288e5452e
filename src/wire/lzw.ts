// LZW as Go's compress/lzw has it with LSB order and literals of 8 bits: codes of 9 to 12 bits, the lowest bits first;
// 256 clears the table, 257 ends the octets. The first code is always a clear.
import type { DropReason } from "../drop.ts";
import { OctetWriter } from "./octet-writer.ts";

const CLEAR = 256;
const END = 257;
const FIRST_WIDTH = 9;
const LAST_WIDTH = 12;
const HIGHEST = (1 << LAST_WIDTH) - 1;
const NO_CODE = -1;

/**
 * Which code stands for a code and an octet behind it: `generation << 12 | code` at `code << 8 | octet`. A new generation
 * empties the table at once. Shared by all encoders, since none of them is interrupted.
 */
const follows = new Uint32Array(1 << (LAST_WIDTH + 8));
const GENERATIONS = 1 << (32 - LAST_WIDTH);
let generation = 0;

function nextGeneration(): number {
	if (++generation === GENERATIONS) {
		follows.fill(0);
		generation = 1;
	}
	return generation;
}

/** Compresses; undefined as soon as it is known that more than `most` octets are needed. */
export function compress(octets: Uint8Array, most: number = Infinity): Uint8Array<ArrayBuffer> | undefined {
	const writer = new BitWriter();
	let stamp = nextGeneration();
	let width = FIRST_WIDTH;
	let highest = END;
	let code = NO_CODE;
	writer.put(CLEAR, width);
	for (const octet of octets) {
		if (code === NO_CODE) {
			code = octet;
			continue;
		}
		const at = (code << 8) | octet;
		const entry = follows[at]!;
		if (entry >>> LAST_WIDTH === stamp) {
			code = entry & HIGHEST;
			continue;
		}
		writer.put(code, width);
		if (writer.length > most) return writer.discard();
		code = octet;
		if (++highest === 1 << width) width++;
		if (highest === HIGHEST) {
			writer.put(CLEAR, width);
			stamp = nextGeneration();
			width = FIRST_WIDTH;
			highest = END;
		} else follows[at] = ((stamp << LAST_WIDTH) | highest) >>> 0;
	}
	if (code !== NO_CODE) {
		writer.put(code, width);
		if (++highest === 1 << width) width++;
		if (highest === HIGHEST) {
			writer.put(CLEAR, width);
			width = FIRST_WIDTH;
		}
	}
	writer.put(END, width);
	const packed = writer.finish();
	return packed.length > most ? undefined : packed;
}

/** Codes into octets, the lowest bits first. */
class BitWriter {
	readonly #writer = OctetWriter.begin();
	#bits = 0;
	#count = 0;

	/** Whole octets so far. */
	get length(): number {
		return this.#writer.length;
	}

	put(code: number, width: number): void {
		this.#bits |= code << this.#count;
		this.#count += width;
		while (this.#count >= 8) {
			this.#writer.put8(this.#bits & 0xff);
			this.#bits >>>= 8;
			this.#count -= 8;
		}
	}

	discard(): undefined {
		this.#writer.discard();
	}

	finish(): Uint8Array<ArrayBuffer> {
		if (this.#count > 0) this.#writer.put8(this.#bits);
		return this.#writer.finish();
	}
}

// What a code stands for: the code before it and its last octet. Shared as above.
const prefix = new Uint16Array(HIGHEST + 1);
const suffix = new Uint8Array(HIGHEST + 1);
const expansion = new Uint8Array(HIGHEST + 1);

/** Decompresses. Never throws: codes that mean nothing, octets without an end and more than `most` are reasons. */
export function decompress(packed: Uint8Array, most: number): Uint8Array | DropReason {
	const writer = OctetWriter.begin();
	let width = FIRST_WIDTH;
	let highest = END;
	let last = NO_CODE;
	let bits = 0;
	let count = 0;
	for (let at = 0; ;) {
		while (count < width) {
			if (at === packed.length) return refused(writer, "lzw-malformed");
			bits |= packed[at++]! << count;
			count += 8;
		}
		const code = bits & ((1 << width) - 1);
		bits >>>= width;
		count -= width;
		if (code === END) return writer.finish();
		if (code === CLEAR) {
			width = FIRST_WIDTH;
			highest = END;
			last = NO_CODE;
			continue;
		}
		if (code > highest) return refused(writer, "lzw-malformed");
		let from = expansion.length;
		let chain = code;
		if (code === highest && last !== NO_CODE) {
			// The code being defined just now: the last one and, once more, its first octet.
			chain = last;
			from--;
		}
		for (; chain >= CLEAR; chain = prefix[chain]!) expansion[--from] = suffix[chain]!;
		expansion[--from] = chain;
		if (code === highest && last !== NO_CODE) expansion[expansion.length - 1] = chain;
		if (writer.length + expansion.length - from > most) return refused(writer, "lzw-too-long");
		writer.put(expansion.subarray(from));
		if (last !== NO_CODE) {
			suffix[highest] = chain;
			prefix[highest] = last;
		}
		last = code;
		if (++highest === 1 << width) {
			if (width < LAST_WIDTH) width++;
			else {
				// The table is full; nothing is defined until it is cleared.
				last = NO_CODE;
				highest--;
			}
		}
	}
}

function refused(writer: OctetWriter, reason: DropReason): DropReason {
	writer.discard();
	return reason;
}
