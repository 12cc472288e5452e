// MessagePack as HashiCorp's go-msgpack 0.5 writes structs: maps from field name to value, names in alphabetic order,
// text and octets both "raw" (the specification of before 2013, without str8 and bin), numbers unsigned.
//   | 80+n, de, df: map | a0+n, da, db: raw | 00-7f, cc, cd, ce, cf: number | c0 nil | c2, c3 false, true |
import type { DropReason } from "../drop.ts";
import { type OctetWriter, readUtf8, utf8 } from "./octet-writer.ts";

const NIL = 0xc0;
const FALSE = 0xc2;
const TRUE = 0xc3;
const MAP16 = 0xde;
const MAP32 = 0xdf;
const RAW16 = 0xda;
const RAW32 = 0xdb;
const UINT8 = 0xcc;
const UINT16 = 0xcd;
const UINT32 = 0xce;
const INT8 = 0xd0;
const INT64 = 0xd3;
/** How deep values nobody asked for may be nested. */
const DEEPEST = 32;

/** One field of a struct: its name on the wire, and how its value is written and read. */
export interface Field<Value> {
	readonly key: string;
	/** What it holds when the octets do not mention it, or say nil. */
	readonly zero: () => Value;
	/** True when the value is left out (`omitempty`). */
	readonly omits?: (value: Value) => boolean;
	/** Writes the value; `name` is what errors call it. */
	readonly write: (writer: OctetWriter, value: Value, name: string) => void;
	/** The value at the reader; undefined when it is another kind of value, or malformed. */
	readonly read: (reader: Reader) => Value | undefined;
}

/** A kind of struct: how it is written and read. */
export interface Struct<Value> {
	/** Writes behind what is there. Throws RangeError for what the fields cannot hold. */
	write(writer: OctetWriter, value: Value): void;
	/** Reads from where the reader is. Never throws. Fields of octets are views. */
	read(reader: Reader): Value | DropReason;
}

/** A struct by its fields, written in the order of their names on the wire. */
export function struct<Value extends object>(fields: {
	readonly [Name in keyof Value]: Field<Value[Name]>;
}): Struct<Value> {
	const list = (Object.entries(fields) as [keyof Value & string, Field<unknown>][])
		.map(([name, field]) => ({ name, field, key: utf8(field.key, name) }))
		.sort((a, b) => (a.field.key < b.field.key ? -1 : 1));
	const byKey = new Map(list.map((entry) => [entry.field.key, entry]));
	return {
		write(writer, value) {
			let count = 0;
			for (const { name, field } of list) if (field.omits?.(value[name]) !== true) count++;
			writer.put8(0x80 | count);
			for (const { name, field, key } of list) {
				if (field.omits?.(value[name]) === true) continue;
				putRaw(writer, key);
				field.write(writer, value[name], name);
			}
		},
		read(reader) {
			const found: Record<string, unknown> = {};
			for (const { name, field } of list) found[name] = field.zero();
			const count = reader.map();
			if (count === undefined) return "msgpack-malformed";
			for (let i = 0; i < count; i++) {
				const key = reader.text();
				if (key === undefined) return "msgpack-malformed";
				const entry = byKey.get(key);
				if (entry === undefined) {
					if (!reader.skip()) return "msgpack-malformed";
					continue;
				}
				if (reader.nil()) continue;
				const value = entry.field.read(reader);
				if (value === undefined) return "msgpack-malformed";
				found[entry.name] = value;
			}
			return found as Value;
		},
	};
}

/** A whole number of up to 32 bits; `omitEmpty` leaves 0 out. */
export const uint = (
	key: string,
	bits: 8 | 16 | 32,
	{ omitEmpty = false }: { readonly omitEmpty?: boolean } = {},
): Field<number> => ({
	key,
	zero: () => 0,
	...(omitEmpty ? { omits: (value: number) => value === 0 } : {}),
	write: (writer, value, name) => {
		if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits)
			throw new RangeError(`${name} is ${String(value)}, expected a whole number of ${String(bits)} bits`);
		if (value < 0x80) writer.put8(value);
		else if (value < 0x100) {
			writer.put8(UINT8);
			writer.put8(value);
		} else if (value < 0x1_0000) {
			writer.put8(UINT16);
			writer.put16(value);
		} else {
			writer.put8(UINT32);
			writer.put32(value);
		}
	},
	read: (reader) => {
		const value = reader.uint();
		return value === undefined || value >= 2 ** bits ? undefined : value;
	},
});

/** True or false. */
export const bool = (key: string): Field<boolean> => ({
	key,
	zero: () => false,
	write: (writer, value) => {
		writer.put8(value ? TRUE : FALSE);
	},
	read: (reader) => reader.bool(),
});

/** Text, UTF-8. */
export const text = (
	key: string,
	{ omitEmpty = false }: { readonly omitEmpty?: boolean } = {},
): Field<string> => ({
	key,
	zero: () => "",
	...(omitEmpty ? { omits: (value: string) => value === "" } : {}),
	write: (writer, value, name) => {
		putRaw(writer, utf8(value, name));
	},
	read: (reader) => reader.text(),
});

const NOTHING = new Uint8Array(0);
/** Octets; what is read is a view. */
export const raw = (
	key: string,
	{ omitEmpty = false }: { readonly omitEmpty?: boolean } = {},
): Field<Uint8Array> => ({
	key,
	zero: () => NOTHING,
	...(omitEmpty ? { omits: (value: Uint8Array) => value.length === 0 } : {}),
	write: putRaw,
	read: (reader) => reader.raw(),
});

/** Octets that may be missing, which is nil on the wire. */
export const rawOrNil = (key: string): Field<Uint8Array | null> => ({
	key,
	zero: () => null,
	write: (writer, value) => {
		if (value === null) writer.put8(NIL);
		else putRaw(writer, value);
	},
	read: (reader) => reader.raw(),
});

function putRaw(writer: OctetWriter, octets: Uint8Array): void {
	const { length } = octets;
	if (length < 0x20) writer.put8(0xa0 | length);
	else if (length < 0x1_0000) {
		writer.put8(RAW16);
		writer.put16(length);
	} else {
		writer.put8(RAW32);
		writer.put32(length);
	}
	writer.put(octets);
}

/** Goes through MessagePack values. What cannot be read is undefined, and the reader is not to be used any more. */
export class Reader {
	readonly bytes: Uint8Array;
	/** Where the next value begins. */
	at: number;
	readonly end: number;
	readonly #view: DataView;

	constructor(bytes: Uint8Array, at = 0, end: number = bytes.length) {
		this.bytes = bytes;
		this.at = at;
		this.end = end;
		this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	}

	/** Octets that are left. */
	get left(): number {
		return this.end - this.at;
	}

	/** Passes over nil; false when the next value is another one. */
	nil(): boolean {
		if (this.left === 0 || this.bytes[this.at] !== NIL) return false;
		this.at++;
		return true;
	}

	/** How many pairs follow; nil counts as none. */
	map(): number | undefined {
		const tag = this.#number(1);
		if (tag === undefined) return undefined;
		if (tag >> 4 === 0x8) return tag & 0xf;
		if (tag === NIL) return 0;
		return tag === MAP16 ? this.#number(2) : tag === MAP32 ? this.#number(4) : undefined;
	}

	/** A number without sign, or one with a sign that is not negative; up to 2^53 - 1. */
	uint(): number | undefined {
		const tag = this.#number(1);
		if (tag === undefined || tag < 0x80) return tag;
		if (tag < UINT8 || tag > INT64) return undefined;
		const octets = 1 << ((tag - UINT8) & 3);
		const value = octets === 8 ? this.#wide() : this.#number(octets);
		if (value === undefined || value > Number.MAX_SAFE_INTEGER) return undefined;
		return tag >= INT8 && value >= 2 ** (8 * octets - 1) ? undefined : value;
	}

	/** True or false. */
	bool(): boolean | undefined {
		const tag = this.#number(1);
		return tag === FALSE ? false : tag === TRUE ? true : undefined;
	}

	/** Text: raw octets that are UTF-8. */
	text(): string | undefined {
		const length = this.#rawLength();
		return length === undefined ? undefined : readUtf8(this.bytes, this.at, (this.at += length));
	}

	/** Octets, as a view. */
	raw(): Uint8Array | undefined {
		const length = this.#rawLength();
		return length === undefined ? undefined : this.bytes.subarray(this.at, (this.at += length));
	}

	/** Passes over a value of any kind; false when there is none. */
	skip(depth = 0): boolean {
		const tag = this.bytes[this.at];
		if (this.left === 0 || tag === undefined || depth > DEEPEST) return false;
		const rule = SKIPPED.find(({ from, to }) => tag >= from && tag <= to);
		if (rule === undefined) return false;
		this.at++;
		const count = rule.sized === 0 ? tag & rule.mask : this.#number(rule.sized);
		if (count === undefined) return false;
		const octets = rule.octets + rule.octetsEach * count;
		if (octets > this.left) return false;
		this.at += octets;
		for (let i = rule.valuesEach * count; i > 0; i--) if (!this.skip(depth + 1)) return false;
		return true;
	}

	#rawLength(): number | undefined {
		const tag = this.#number(1);
		if (tag === undefined) return undefined;
		const length =
			tag >> 5 === 0x5
				? tag & 0x1f
				: tag === RAW16
					? this.#number(2)
					: tag === RAW32
						? this.#number(4)
						: undefined;
		return length === undefined || length > this.left ? undefined : length;
	}

	#number(octets: number): number | undefined {
		if (octets > this.left) return undefined;
		const { at } = this;
		this.at += octets;
		if (octets === 1) return this.#view.getUint8(at);
		return octets === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
	}

	#wide(): number | undefined {
		if (this.left < 8) return undefined;
		this.at += 8;
		return Number(this.#view.getBigUint64(this.at - 8));
	}
}

/** How to pass over a value: by its tag, what follows it. */
interface Skipped {
	readonly from: number;
	readonly to: number;
	/** Octets of the count behind the tag; 0 when it is in the tag's lower bits (`mask`). */
	readonly sized: number;
	readonly mask: number;
	readonly octets: number;
	readonly octetsEach: number;
	readonly valuesEach: number;
}

const skipped = (from: number, to: number, rule: Partial<Skipped>): Skipped => ({
	from,
	to,
	sized: 0,
	mask: 0,
	octets: 0,
	octetsEach: 0,
	valuesEach: 0,
	...rule,
});
const SKIPPED: readonly Skipped[] = [
	skipped(0x00, 0x7f, {}),
	skipped(0x80, 0x8f, { mask: 0xf, valuesEach: 2 }),
	skipped(0x90, 0x9f, { mask: 0xf, valuesEach: 1 }),
	skipped(0xa0, 0xbf, { mask: 0x1f, octetsEach: 1 }),
	skipped(0xc0, 0xc0, {}),
	skipped(0xc2, 0xc3, {}),
	...[0xc4, 0xd9].map((tag) => skipped(tag, tag, { sized: 1, octetsEach: 1 })),
	...[0xc5, RAW16].map((tag) => skipped(tag, tag, { sized: 2, octetsEach: 1 })),
	...[0xc6, RAW32].map((tag) => skipped(tag, tag, { sized: 4, octetsEach: 1 })),
	...[1, 2, 4].map((sized, i) => skipped(0xc7 + i, 0xc7 + i, { sized, octets: 1, octetsEach: 1 })),
	skipped(0xca, 0xca, { octets: 4 }),
	skipped(0xcb, 0xcb, { octets: 8 }),
	...[UINT8, INT8].flatMap((first) =>
		[1, 2, 4, 8].map((octets, i) => skipped(first + i, first + i, { octets })),
	),
	...[2, 3, 5, 9, 17].map((octets, i) => skipped(0xd4 + i, 0xd4 + i, { octets })),
	skipped(0xdc, 0xdc, { sized: 2, valuesEach: 1 }),
	skipped(0xdd, 0xdd, { sized: 4, valuesEach: 1 }),
	skipped(MAP16, MAP16, { sized: 2, valuesEach: 2 }),
	skipped(MAP32, MAP32, { sized: 4, valuesEach: 2 }),
	skipped(0xe0, 0xff, {}),
];
