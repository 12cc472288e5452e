import { decodeUtf8, encodeUtf8 } from "./utf8.ts";

// Protocol buffers, as gRPC's messages are made of: | field number · 8 + wire type, varint | value |, proto3.

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** How one field's value is written, and read. Values that are proto3's zeros are left out. */
export interface FieldType<T> {
	readonly wire: typeof VARINT | typeof LENGTH;
	/** Nothing for a zero. */
	write(value: T): readonly (number | Uint8Array)[];
	read(values: readonly (number | Uint8Array)[]): T;
}

/** A message's fields: number and type by name. */
export type Fields = Readonly<Record<string, readonly [number: number, type: FieldType<unknown>]>>;
/** What a message with such fields is in the program. */
export type MessageOf<F> = {
	readonly [K in keyof F]: F[K] extends readonly [number, FieldType<infer T>] ? T : never;
};

/** Octets ↔ meaning of one kind of message. */
export interface Codec<T> {
	write(value: T): Uint8Array;
	/** Undefined for octets that are no such message. */
	read(bytes: Uint8Array): T | undefined;
}

/** A whole number, not negative, up to 2^53. */
export const uint: FieldType<number> = {
	wire: VARINT,
	write: (value) => (value === 0 ? [] : [value]),
	read: (values) => lastOf(values, (value) => typeof value === "number") ?? 0,
};

/** Octets. */
export const bytes: FieldType<Uint8Array> = {
	wire: LENGTH,
	write: (value) => (value.length === 0 ? [] : [value]),
	read: (values) => lastOf(values, (value) => typeof value !== "number") ?? new Uint8Array(0),
};

/** UTF-8. */
export const string: FieldType<string> = {
	wire: LENGTH,
	write: (value) => (value === "" ? [] : [encodeUtf8(value)]),
	read: (values) => decodeUtf8(bytes.read(values)),
};

/** True or false. */
export const bool: FieldType<boolean> = {
	wire: VARINT,
	write: (value) => (value ? [1] : []),
	read: (values) => uint.read(values) !== 0,
};

/** One of a list of words, by its place there. */
export function oneOf<const W extends string>(words: readonly [W, ...W[]]): FieldType<W> {
	return {
		wire: VARINT,
		write: (value) => uint.write(words.indexOf(value)),
		read: (values) => words[uint.read(values)] ?? words[0],
	};
}

/** A plain object of the cluster's, as JSON; undefined when it is absent. */
export function json<T>(): FieldType<T | undefined> {
	return {
		wire: LENGTH,
		write: (value) => (value === undefined ? [] : [encodeUtf8(JSON.stringify(value))]),
		read: (values) => {
			const [text] = values;
			if (text === undefined || typeof text === "number") return undefined;
			try {
				return JSON.parse(decodeUtf8(text)) as T;
			} catch {
				return undefined;
			}
		},
	};
}

/** A field that may stand several times. */
export function repeated<T>(type: FieldType<T>): FieldType<readonly T[]> {
	return {
		wire: type.wire,
		// A zero in a list is written all the same.
		write: (list) => list.flatMap((value) => orZero(type, type.write(value))),
		read: (values) => values.map((value) => type.read([value])),
	};
}

const orZero = (
	type: { readonly wire: number },
	written: readonly (number | Uint8Array)[],
): readonly (number | Uint8Array)[] =>
	written.length > 0 ? written : [type.wire === VARINT ? 0 : new Uint8Array(0)];

/** A message within a message; undefined when it is absent. */
export function nested<T>(codec: Codec<T>): FieldType<T | undefined> {
	return {
		wire: LENGTH,
		write: (value) => (value === undefined ? [] : [codec.write(value)]),
		read: (values) => {
			const [first] = values;
			return first === undefined || typeof first === "number" ? undefined : codec.read(first);
		},
	};
}

/** The codec of messages with these fields. */
export function message<const F extends Fields>(fields: F): Codec<MessageOf<F>> {
	const list = Object.entries(fields) as [string, readonly [number, FieldType<unknown>]][];
	return {
		write: (value) => {
			const writer = new Writer();
			for (const [name, [number, type]] of list) {
				for (const part of type.write((value as Readonly<Record<string, unknown>>)[name]))
					writer.field(number, part);
			}
			return writer.done();
		},
		read: (octets) => {
			const found = split(octets);
			if (found === undefined) return undefined;
			return Object.fromEntries(
				list.map(([name, [number, type]]) => [name, type.read(found.get(number) ?? [])]),
			) as MessageOf<F>;
		},
	};
}

function lastOf<T, U extends T>(values: readonly T[], is: (value: T) => value is T & U): U | undefined {
	return values.findLast(is);
}

class Writer {
	readonly #parts: number[] = [];

	field(number: number, value: number | Uint8Array): void {
		if (typeof value === "number") {
			this.#varint(number * 8 + VARINT);
			this.#varint(value);
			return;
		}
		this.#varint(number * 8 + LENGTH);
		this.#varint(value.length);
		for (const octet of value) this.#parts.push(octet);
	}

	#varint(value: number): void {
		let rest = value;
		while (rest >= 0x80) {
			this.#parts.push((rest % 0x80) | 0x80);
			rest = Math.floor(rest / 0x80);
		}
		this.#parts.push(rest);
	}

	done(): Uint8Array {
		return Uint8Array.from(this.#parts);
	}
}

/** Values by field number; undefined when the octets end too early. */
function split(octets: Uint8Array): Map<number, (number | Uint8Array)[]> | undefined {
	const found = new Map<number, (number | Uint8Array)[]>();
	let at = 0;
	const varint = (): number | undefined => {
		let value = 0;
		for (let scale = 1; scale < 2 ** 63; scale *= 128) {
			const octet = octets[at++];
			if (octet === undefined) return undefined;
			value += (octet & 0x7f) * scale;
			if (octet < 0x80) return value;
		}
		return undefined;
	};
	const take = (length: number): Uint8Array | undefined => {
		if (at + length > octets.length) return undefined;
		at += length;
		return octets.slice(at - length, at);
	};
	while (at < octets.length) {
		const key = varint();
		if (key === undefined) return undefined;
		const [number, wire] = [Math.floor(key / 8), key % 8];
		let value: number | Uint8Array | undefined;
		if (wire === VARINT) value = varint();
		else if (wire === FIXED64) value = take(8);
		else if (wire === FIXED32) value = take(4);
		else if (wire === LENGTH) {
			const length = varint();
			value = length === undefined ? undefined : take(length);
		}
		if (value === undefined) return undefined;
		const list = found.get(number);
		if (list === undefined) found.set(number, [value]);
		else list.push(value);
	}
	return found;
}
