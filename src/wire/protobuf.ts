// Protocol buffers, version 3, as far as Docker's control plane uses them.
//   | tag varint: field number, 3 bits of wire type | value: varint, 8 octets, or length and octets, or 4 octets | …
// Fields that hold their zero value are left out, as proto3 has it; fields nobody knows are passed over.
import type { DropReason } from "../drop.ts";
import { OctetWriter, readUtf8, utf8 } from "./octet-writer.ts";

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const GROUP = 3;
const END_GROUP = 4;
const FIXED32 = 5;
/** A varint has 64 bits at most. */
const MOST_VARINT = 10;
const HIGHEST_FIELD = 0x1fff_ffff;

/** A kind of message: how it is written and read. */
export interface Codec<Message> {
	/** Meaning → bytes. Throws RangeError for what the fields cannot hold. */
	write(message: Message): Uint8Array<ArrayBuffer>;
	/** Bytes → meaning, from `from` up to `to`. Never throws. Fields of octets are views of `bytes`. */
	read(bytes: Uint8Array, from?: number, to?: number): Message | DropReason;
	/** Writes behind what is there. Throws as `write`. */
	writeTo(writer: OctetWriter, message: Message): void;
}

/** One field of a message: its number, and how its value is written and read. */
export interface Field<Value> {
	readonly number: number;
	/** What it holds when the bytes do not mention it. */
	readonly zero: () => Value;
	/** Writes tag and value, or nothing for the zero value. */
	readonly write: (writer: OctetWriter, number: number, value: Value, name: string) => void;
	/** The value after the reader's tag; `before` is what earlier occurrences gave. Undefined when it is malformed. */
	readonly read: (reader: Reader, before: Value) => Value | undefined;
}

/**
 * A message by its fields, which are written in the order of the declaration:
 * `message<PeerRecord>({ endpointIp: text(1), … })`.
 */
export function message<Message extends object>(fields: {
	readonly [Name in keyof Message]: Field<Message[Name]>;
}): Codec<Message> {
	const list = Object.entries(fields) as [keyof Message & string, Field<unknown>][];
	const byNumber = new Map(list.map((entry) => [entry[1].number, entry]));
	const writeTo = (writer: OctetWriter, value: Message): void => {
		for (const [name, field] of list) field.write(writer, field.number, value[name], name);
	};
	return {
		writeTo,
		write(value) {
			const writer = OctetWriter.begin();
			writeTo(writer, value);
			return writer.finish();
		},
		read(bytes, from = 0, to = bytes.length) {
			const reader = new Reader(bytes, from, to);
			const found: Record<string, unknown> = {};
			for (const [name, field] of list) found[name] = field.zero();
			while (reader.next()) {
				const entry = byNumber.get(reader.field);
				if (entry === undefined) {
					if (!reader.skip()) return "protobuf-malformed";
					continue;
				}
				const [name, field] = entry;
				const value = field.read(reader, found[name]);
				if (value === undefined) return "protobuf-malformed";
				found[name] = value;
			}
			return reader.failed ? "protobuf-malformed" : (found as Message);
		},
	};
}

/** uint32, uint64 and enums without negative values: whole numbers that a double holds exactly. */
export const uint = (number: number): Field<number> => ({
	number,
	zero: () => 0,
	write: (writer, at, value, name) => {
		if (!Number.isSafeInteger(value) || value < 0)
			throw new RangeError(`${name} is ${String(value)}, expected a whole number from 0 to 2^53 - 1`);
		if (value === 0) return;
		putTag(writer, at, VARINT);
		putVarint(writer, value);
	},
	read: (reader) => (reader.wire === VARINT ? reader.varint() : undefined),
});

/** int32: negative numbers take ten octets. */
export const int32 = (number: number): Field<number> => ({
	number,
	zero: () => 0,
	write: (writer, at, value, name) => {
		if ((value | 0) !== value)
			throw new RangeError(`${name} is ${String(value)}, expected a whole number of 32 bits`);
		if (value === 0) return;
		putTag(writer, at, VARINT);
		if (value > 0) putVarint(writer, value);
		else {
			for (let bits = value, i = 0; i < MOST_VARINT - 1; i++, bits >>= 7) writer.put8((bits & 0x7f) | 0x80);
			writer.put8(1);
		}
	},
	read: (reader) => (reader.wire === VARINT ? reader.low32() : undefined),
});

/** bool. */
export const bool = (number: number): Field<boolean> => ({
	number,
	zero: () => false,
	write: (writer, at, value) => {
		if (!value) return;
		putTag(writer, at, VARINT);
		writer.put8(1);
	},
	read: (reader) => {
		if (reader.wire !== VARINT) return undefined;
		const value = reader.varint();
		return value === undefined ? undefined : value !== 0;
	},
});

/** string: UTF-8, anything else is malformed. */
export const text = (number: number): Field<string> => ({
	number,
	zero: () => "",
	write: (writer, at, value, name) => {
		if (value !== "") putOctets(writer, at, utf8(value, name));
	},
	read: (reader) => reader.text(),
});

const NOTHING = new Uint8Array(0);
/** bytes. What is read is a view of the message's octets. */
export const octets = (number: number): Field<Uint8Array> => ({
	number,
	zero: () => NOTHING,
	write: (writer, at, value) => {
		if (value.length > 0) putOctets(writer, at, value);
	},
	read: (reader) => reader.octets(),
});

/** repeated string. */
export const texts = (number: number): Field<readonly string[]> => ({
	number,
	zero: () => [],
	write: (writer, at, values, name) => {
		for (const value of values) putOctets(writer, at, utf8(value, name));
	},
	read: (reader, before) => append(before, reader.text()),
});

/** repeated messages of one kind. */
export const messages = <Message>(number: number, codec: Codec<Message>): Field<readonly Message[]> => ({
	number,
	zero: () => [],
	write: (writer, at, values) => {
		for (const value of values) putOctets(writer, at, codec.write(value));
	},
	read: (reader, before) => {
		const inner = reader.octets();
		const value = inner === undefined ? undefined : codec.read(inner);
		return append(before, typeof value === "string" ? undefined : value);
	},
});

/** A message within the message; undefined when it is absent. */
export const optional = <Message extends object>(
	number: number,
	codec: Codec<Message>,
): Field<Message | undefined> => ({
	number,
	zero: () => undefined,
	write: (writer, at, value) => {
		if (value !== undefined) putOctets(writer, at, codec.write(value));
	},
	read: (reader) => {
		const inner = reader.octets();
		const value = inner === undefined ? undefined : codec.read(inner);
		return typeof value === "string" ? undefined : value;
	},
});

/** An enum, as one of a list of words: its place there. A place beyond it reads as the first. */
export const word = <const Word extends string>(
	number: number,
	words: readonly [Word, ...Word[]],
): Field<Word> => {
	const place = uint(number);
	return {
		number,
		zero: () => words[0],
		write: (writer, at, value, name) => {
			place.write(writer, at, words.indexOf(value), name);
		},
		read: (reader) => {
			const value = place.read(reader, 0);
			return value === undefined ? undefined : (words[value] ?? words[0]);
		},
	};
};

/** Adds to the list that this message's reading made. */
function append<Value>(list: readonly Value[], value: Value | undefined): readonly Value[] | undefined {
	if (value === undefined) return undefined;
	(list as Value[]).push(value);
	return list;
}

function putTag(writer: OctetWriter, number: number, wire: number): void {
	putVarint(writer, number * 8 + wire);
}

function putVarint(writer: OctetWriter, value: number): void {
	let rest = value;
	while (rest > 0x7f) {
		writer.put8((rest % 0x80) | 0x80);
		rest = Math.floor(rest / 0x80);
	}
	writer.put8(rest);
}

function putOctets(writer: OctetWriter, number: number, value: Uint8Array): void {
	putTag(writer, number, LENGTH);
	putVarint(writer, value.length);
	writer.put(value);
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
