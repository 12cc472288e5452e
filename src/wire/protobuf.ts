// Protocol buffers, version 3, as far as Docker's control plane uses them.
//   | tag varint: field number, 3 bits of wire type | value: varint, 8 octets, or length and octets, or 4 octets | …
// Fields that hold their zero value are left out, as proto3 has it; fields nobody knows are passed over.
import type { DropReason } from "../drop.ts";
import { OctetWriter } from "./octet-writer.ts";
import { putNested, putText, Reader } from "./protobuf-octets.ts";
import { type Field, required, text } from "./protobuf-scalars.ts";

export { Reader } from "./protobuf-octets.ts";
export * from "./protobuf-scalars.ts";

/** A kind of message: how it is written and read. */
export interface Codec<Message> {
	/** Meaning → bytes. Throws RangeError for what the fields cannot hold. */
	write(message: Message): Uint8Array<ArrayBuffer>;
	/** Bytes → meaning, from `from` up to `to`. Never throws. Fields of octets are views of `bytes`. */
	read(bytes: Uint8Array, from?: number, to?: number): Message | DropReason;
	/** Writes behind what is there. Throws as `write`. */
	writeTo(writer: OctetWriter, message: Message): void;
}

/**
 * A message by its fields, which are written in the order of the declaration:
 * `message<PeerRecord>({ endpointIp: text(1), … })`.
 */
export function message<Message extends object>(fields: {
	readonly [Name in keyof Message]-?: Field<Message[Name]>;
}): Codec<Message> {
	const list = Object.entries(fields) as [keyof Message & string, Field<unknown>][];
	const byNumber = new Map(list.map((entry) => [entry[1].number, entry]));
	const writeTo = (writer: OctetWriter, value: Message): void => {
		for (const [name, field] of list) field.write(writer, field.number, value[name], name);
	};
	return {
		writeTo,
		write: (value) => written(writeTo, value),
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

function written<Message>(
	writeTo: (writer: OctetWriter, value: Message) => void,
	value: Message,
): Uint8Array<ArrayBuffer> {
	const writer = OctetWriter.begin();
	writeTo(writer, value);
	return writer.finish();
}

/** What is kept in another shape than its message has: `from` gives undefined for a message that means nothing. */
export function mapped<Meaning extends object, Message extends object>(
	codec: Codec<Message>,
	to: (meaning: Meaning) => Message,
	from: (message: Message) => Meaning | undefined,
): Codec<Meaning> {
	const writeTo = (writer: OctetWriter, meaning: Meaning): void => {
		codec.writeTo(writer, to(meaning));
	};
	return {
		writeTo,
		write: (meaning) => written(writeTo, meaning),
		read(bytes, first, last) {
			const found = codec.read(bytes, first, last);
			return typeof found === "object" ? (from(found) ?? "protobuf-malformed") : found;
		},
	};
}

function readInner<Message>(reader: Reader, codec: Codec<Message>): Message | undefined {
	const inner = reader.octets();
	const value = inner === undefined ? undefined : codec.read(inner);
	return typeof value === "string" ? undefined : value;
}

/** repeated string. */
export const texts = (number: number): Field<readonly string[]> => ({
	number,
	zero: () => [],
	write: (writer, at, values, name) => {
		for (const value of values) putText(writer, at, value, name);
	},
	read: (reader, before) => append(before, reader.text()),
});

/** repeated messages of one kind. */
export const messages = <Message>(number: number, codec: Codec<Message>): Field<readonly Message[]> => ({
	number,
	zero: () => [],
	write: (writer, at, values) => {
		for (const value of values)
			putNested(writer, at, () => {
				codec.writeTo(writer, value);
			});
	},
	read: (reader, before) => append(before, readInner(reader, codec)),
});

/** repeated uint64, not packed. */
export const uints = (number: number): Field<readonly number[]> => repeated(number, required(number));

const repeated = <Value>(number: number, one: Field<Value>): Field<readonly Value[]> => ({
	number,
	zero: () => [],
	write: (writer, at, values, name) => {
		for (const value of values) one.write(writer, at, value, name);
	},
	read: (reader, before) => append(before, one.read(reader, one.zero())),
});

/** A message within the message; undefined when it is absent. */
export const optional = <Message extends object>(
	number: number,
	codec: Codec<Message>,
): Field<Message | undefined> => ({
	number,
	zero: () => undefined,
	write: (writer, at, value) => {
		if (value === undefined) return;
		putNested(writer, at, () => {
			codec.writeTo(writer, value);
		});
	},
	read: (reader) => readInner(reader, codec),
});

/** A message that is always there, though nothing is in it (gogoproto `nullable = false`). */
export const always = <Message>(number: number, codec: Codec<Message>): Field<Message> => ({
	number,
	zero: () => {
		const empty = codec.read(NO_OCTETS);
		if (typeof empty === "string") throw new RangeError("a message that is always there may be empty");
		return empty;
	},
	write: (writer, at, value) => {
		putNested(writer, at, () => {
			codec.writeTo(writer, value);
		});
	},
	read: (reader) => readInner(reader, codec),
});

const NO_OCTETS = new Uint8Array(0);
const pair = message<{ readonly key: string; readonly value: string }>({ key: text(1), value: text(2) });

/** map<string, string>. gogoproto writes keys and values that are empty, too. */
export const map = (number: number): Field<Readonly<Record<string, string>>> => ({
	number,
	zero: () => ({}),
	write: (writer, at, values, name) => {
		for (const key of Object.keys(values))
			putNested(writer, at, () => {
				putText(writer, 1, key, name);
				putText(writer, 2, values[key] ?? "", name);
			});
	},
	read: (reader, before) => {
		const entry = readInner(reader, pair);
		if (entry === undefined) return undefined;
		// By definition, as a key may be `__proto__`.
		return Object.defineProperty(before, entry.key, {
			value: entry.value,
			configurable: true,
			enumerable: true,
			writable: true,
		});
	},
});

/** Adds to the list that this message's reading made. */
function append<Value>(list: readonly Value[], value: Value | undefined): readonly Value[] | undefined {
	if (value === undefined) return undefined;
	(list as Value[]).push(value);
	return list;
}
