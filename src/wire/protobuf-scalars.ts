// Fields of protocol buffers that hold one value: numbers, words, text, octets.
import { type OctetWriter } from "./octet-writer.ts";
import { putOctets, putTag, putText, putVarint, putVarint64, type Reader, WIRE } from "./protobuf-octets.ts";

const { VARINT, FIXED32 } = WIRE;

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

const checkUint = (value: number, name: string): void => {
	if (!Number.isSafeInteger(value) || value < 0)
		throw new RangeError(`${name} is ${String(value)}, expected a whole number from 0 to 2^53 - 1`);
};
const readUint = (reader: Reader): number | undefined =>
	reader.wire === VARINT ? reader.varint() : undefined;

/** uint32, uint64 and enums without negative values: whole numbers that a double holds exactly. */
export const uint = (number: number): Field<number> => ({
	number,
	zero: () => 0,
	write: (writer, at, value, name) => {
		checkUint(value, name);
		if (value === 0) return;
		putTag(writer, at, VARINT);
		putVarint(writer, value);
	},
	read: readUint,
});

/** The same as proto2 has it where it is required: written even when it is 0. */
export const required = (number: number): Field<number> => ({
	number,
	zero: () => 0,
	write: (writer, at, value, name) => {
		checkUint(value, name);
		putTag(writer, at, VARINT);
		putVarint(writer, value);
	},
	read: readUint,
});

/** uint64 with all of its bits. */
export const uint64 = (number: number): Field<bigint> => ({
	number,
	zero: () => 0n,
	write: (writer, at, value) => {
		if (value === 0n) return;
		putTag(writer, at, VARINT);
		putVarint64(writer, value);
	},
	read: (reader) => (reader.wire === VARINT ? reader.varint64() : undefined),
});

/** int64, as far as a double holds it exactly: negative numbers take ten octets. */
export const int64 = (number: number): Field<number> => ({
	number,
	zero: () => 0,
	write: (writer, at, value, name) => {
		if (!Number.isSafeInteger(value))
			throw new RangeError(`${name} is ${String(value)}, expected a whole number of 53 bits`);
		if (value === 0) return;
		putTag(writer, at, VARINT);
		if (value > 0) putVarint(writer, value);
		else putVarint64(writer, BigInt(value));
	},
	read: (reader) => (reader.wire === VARINT ? reader.signed() : undefined),
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
		else putVarint64(writer, BigInt(value));
	},
	read: (reader) => (reader.wire === VARINT ? reader.low32() : undefined),
});

const scratch = new DataView(new ArrayBuffer(4));
const scratchOctets = new Uint8Array(scratch.buffer);
/** Digits that tell any two single-precision numbers apart, and those that every one of them has. */
const [FEWEST_DIGITS, MOST_DIGITS] = [6, 9];

/** float. It reads as the shortest decimal number that is the same one in single precision: 0.1, as Go prints it. */
export const float = (number: number): Field<number> => ({
	number,
	zero: () => 0,
	write: (writer, at, value) => {
		if (value === 0) return;
		putTag(writer, at, FIXED32);
		scratch.setFloat32(0, value, true);
		writer.put(scratchOctets);
	},
	read: (reader) => {
		const value = reader.float();
		if (value === undefined || !Number.isFinite(value)) return undefined;
		for (let digits = FEWEST_DIGITS; digits < MOST_DIGITS; digits++) {
			const shorter = Number(value.toPrecision(digits));
			if (Math.fround(shorter) === value) return shorter;
		}
		return value;
	},
});

const readBool = (reader: Reader): boolean | undefined => {
	const value = readUint(reader);
	return value === undefined ? undefined : value !== 0;
};

/** bool. */
export const bool = (number: number): Field<boolean> => ({
	number,
	zero: () => false,
	write: (writer, at, value) => {
		if (!value) return;
		putTag(writer, at, VARINT);
		writer.put8(1);
	},
	read: readBool,
});

/** The same as proto2 has it where it is required: written even when it is false. */
export const requiredBool = (number: number): Field<boolean> => ({
	number,
	zero: () => false,
	write: (writer, at, value) => {
		putTag(writer, at, VARINT);
		writer.put8(value ? 1 : 0);
	},
	read: readBool,
});

/** string: UTF-8, anything else is malformed. */
export const text = (number: number): Field<string> => ({
	number,
	zero: () => "",
	write: (writer, at, value, name) => {
		if (value !== "") putText(writer, at, value, name);
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

/** An enum, as one of a list of words: its place there. A place beyond it reads as the first. */
export const word = <const Word extends string>(
	number: number,
	words: readonly [Word, ...Word[]],
): Field<Word> =>
	valued(number, Object.fromEntries(words.map((each, place) => [each, place])) as Record<Word, number>);

/** An enum by its words and their values; one of them is 0. A value that none has reads as that one. */
export const valued = <Word extends string>(
	number: number,
	values: Readonly<Record<Word, number>>,
): Field<Word> => {
	const place = uint(number);
	const words = new Map((Object.keys(values) as Word[]).map((each) => [values[each], each]));
	const zero = words.get(0);
	if (zero === undefined) throw new RangeError("no word has the value 0");
	return {
		number,
		zero: () => zero,
		write: (writer, at, value, name) => {
			place.write(writer, at, values[value], name);
		},
		read: (reader) => {
			const value = readUint(reader);
			return value === undefined ? undefined : (words.get(value) ?? zero);
		},
	};
};
