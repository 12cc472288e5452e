// The octets of protocol buffers: tags, varints, and values with their length in front.
import { type OctetWriter, readUtf8, utf8 } from "./octet-writer.ts";

/** Kinds of values, as they stand in tags. */
export const WIRE = { VARINT: 0, FIXED64: 1, LENGTH: 2, GROUP: 3, END_GROUP: 4, FIXED32: 5 } as const;
const { VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 } = WIRE;
/** A varint has 64 bits at most. */
export const MOST_VARINT = 10;
const HIGHEST_FIELD = 0x1fff_ffff;

/** A field's number and the kind of its value. */
export function putTag(writer: OctetWriter, number: number, wire: number): void {
	putVarint(writer, number * 8 + wire);
}

/** A whole number from 0 to 2^53 - 1. */
export function putVarint(writer: OctetWriter, value: number): void {
	let rest = value;
	while (rest > 0x7f) {
		writer.put8((rest % 0x80) | 0x80);
		rest = Math.floor(rest / 0x80);
	}
	writer.put8(rest);
}

/** 64 bits, negative numbers by their complement: ten octets. */
export function putVarint64(writer: OctetWriter, value: bigint): void {
	let rest = BigInt.asUintN(64, value);
	while (rest > 0x7fn) {
		writer.put8(Number(rest & 0x7fn) | 0x80);
		rest >>= 7n;
	}
	writer.put8(Number(rest));
}

/** Octets behind their length. */
export function putOctets(writer: OctetWriter, number: number, value: Uint8Array): void {
	putTag(writer, number, LENGTH);
	putVarint(writer, value.length);
	writer.put(value);
}

/** Text as UTF-8. Throws RangeError for half a surrogate pair. */
export function putText(writer: OctetWriter, number: number, value: string, name: string): void {
	for (let i = 0; i < value.length; i++) {
		if (value.charCodeAt(i) <= 0x7f) continue;
		putOctets(writer, number, utf8(value, name));
		return;
	}
	putTag(writer, number, LENGTH);
	putVarint(writer, value.length);
	writer.putAscii(value);
}

/** What `body` writes, behind its length. */
export function putNested(writer: OctetWriter, number: number, body: () => void): void {
	putTag(writer, number, LENGTH);
	// Most are shorter than 128 octets, whose length takes one; longer ones are moved.
	const at = writer.length;
	writer.put8(0);
	body();
	writer.setVarintLength(at);
}

/** Goes through the fields of a message, tag by tag. */
export class Reader {
	/** The number of the field that `next` came to. */
	field = 0;
	/** Its wire type. */
	wire = 0;
	/** True when the octets ended inside a tag, or it was none. */
	failed = false;
	readonly #bytes: Uint8Array;
	#at: number;
	readonly #end: number;

	constructor(bytes: Uint8Array, from: number, to: number) {
		this.#bytes = bytes;
		this.#at = from;
		this.#end = to;
	}

	/** Reads the next tag. False at the end, or when it failed. */
	next(): boolean {
		if (this.#at >= this.#end) return false;
		const tag = this.varint();
		this.wire = (tag ?? 0) & 7;
		this.field = Math.floor((tag ?? 0) / 8);
		this.failed = tag === undefined || this.field === 0 || this.field > HIGHEST_FIELD;
		return !this.failed;
	}

	/** A varint; undefined when it does not end, or is beyond 2^53 - 1. */
	varint(): number | undefined {
		let value = 0;
		for (let i = 0, scale = 1; i < MOST_VARINT && this.#at < this.#end; i++, scale *= 0x80) {
			const octet = this.#bytes[this.#at++]!;
			value += (octet & 0x7f) * scale;
			if (octet < 0x80) return value <= Number.MAX_SAFE_INTEGER ? value : undefined;
		}
		return undefined;
	}

	/** A varint's 64 bits; undefined when it does not end. */
	varint64(): bigint | undefined {
		// Two halves of 28 bits and a rest: numbers hold these, and few values need more than the first.
		let [low, middle, high] = [0, 0, 0];
		for (let i = 0; i < MOST_VARINT && this.#at < this.#end; i++) {
			const octet = this.#bytes[this.#at++]!;
			const bits = octet & 0x7f;
			if (i < 4) low |= bits << (7 * i);
			else if (i < 8) middle |= bits << (7 * (i - 4));
			else high |= bits << (7 * (i - 8));
			if (octet < 0x80)
				return BigInt.asUintN(64, BigInt(low) | (BigInt(middle) << 28n) | (BigInt(high) << 56n));
		}
		return undefined;
	}

	/** A varint as a signed number; undefined when it does not end, or is beyond 2^53 - 1 either way. */
	signed(): number | undefined {
		const bits = this.varint64();
		if (bits === undefined) return undefined;
		const value = Number(BigInt.asIntN(64, bits));
		return Number.isSafeInteger(value) ? value : undefined;
	}

	/** Four octets, the lowest first, as a single-precision number. */
	float(): number | undefined {
		if (this.wire !== FIXED32 || this.#end - this.#at < 4) return undefined;
		const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.#at, 4);
		this.#at += 4;
		return view.getFloat32(0, true);
	}

	/** A varint's lowest 32 bits with their sign; undefined when it does not end. */
	low32(): number | undefined {
		let value = 0;
		for (let i = 0; i < MOST_VARINT && this.#at < this.#end; i++) {
			const octet = this.#bytes[this.#at++]!;
			if (i < 5) value |= (octet & 0x7f) << (7 * i);
			if (octet < 0x80) return value;
		}
		return undefined;
	}

	/** Octets with their length in front, as a view. */
	octets(): Uint8Array | undefined {
		const length = this.#length();
		return length === undefined ? undefined : this.#bytes.subarray(this.#at, (this.#at += length));
	}

	/** Text with its length in front. */
	text(): string | undefined {
		const length = this.#length();
		return length === undefined ? undefined : readUtf8(this.#bytes, this.#at, (this.#at += length));
	}

	#length(): number | undefined {
		if (this.wire !== LENGTH) return undefined;
		const length = this.varint();
		return length === undefined || length > this.#end - this.#at ? undefined : length;
	}

	/** Passes over a value of any kind; false when it ends too early. */
	skip(): boolean {
		// Groups hold fields until a tag that ends them, and may hold groups.
		for (let depth = 0; ;) {
			if (this.wire === VARINT) {
				if (this.low32() === undefined) return false;
			} else if (this.wire === FIXED64 || this.wire === FIXED32) {
				const octets = this.wire === FIXED64 ? 8 : 4;
				if (octets > this.#end - this.#at) return false;
				this.#at += octets;
			} else if (this.wire === LENGTH) {
				if (this.octets() === undefined) return false;
			} else if (this.wire === GROUP) depth++;
			else if (this.wire === END_GROUP && depth > 0) depth--;
			else return false;
			if (depth === 0) return true;
			if (!this.next()) return false;
		}
	}
}
