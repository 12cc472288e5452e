// What many of swarmkit's messages have in common (api/types.proto, objects.proto).
import { rfc3339, unixTime } from "../../cnm/index.ts";
import { protobuf } from "../../wire/index.ts";
import type { EncryptionKey, Meta, ServicePort } from "../objects.ts";

const { always, int32, int64, map, mapped, message, octets, optional, text, uint, valued, word } = protobuf;

/** A message without anything in it. */
export const empty: protobuf.Codec<object> = message<object>({});

/** So many seconds and nanoseconds: what `google.protobuf.Timestamp` and `Duration` are. */
interface SecondsAndNanos {
	readonly seconds: number;
	readonly nanos: number;
}
const secondsAndNanos = message<SecondsAndNanos>({ seconds: int64(1), nanos: int32(2) });
const BILLION = 1_000_000_000;
/** The first and the last second that a timestamp names, and the longest duration (timestamp.proto, duration.proto). */
const [FIRST_SECOND, LAST_SECOND] = [-62_135_596_800, 253_402_300_799];
const MOST_SECONDS = 315_576_000_000;
const isNanos = (nanos: number): boolean => nanos >= 0 && nanos < BILLION;

interface Text {
	readonly text: string;
}
const stamp = mapped<Text, SecondsAndNanos>(
	secondsAndNanos,
	({ text: said }) => {
		const time = unixTime(said);
		if (time === undefined) throw new RangeError(`${said} is no instant, expected 2026-11-23T17:22:54Z`);
		return time;
	},
	({ seconds, nanos }) =>
		isNanos(nanos) && seconds >= FIRST_SECOND && seconds <= LAST_SECOND
			? { text: rfc3339({ seconds, nanos }) }
			: undefined,
);

/** A field whose value stands for a message; what `absent` stands for is not written. */
function standing<Value, Message extends object>(
	number: number,
	codec: protobuf.Codec<Message>,
	absent: Value,
	to: (value: Value) => Message,
	from: (message: Message) => Value,
): protobuf.Field<Value> {
	const inner = optional(number, codec);
	return {
		number,
		zero: () => absent,
		write: (writer, at, value, name) => {
			if (value !== absent) inner.write(writer, at, to(value), name);
		},
		read: (reader) => {
			const found = inner.read(reader, undefined);
			return found === undefined ? undefined : from(found);
		},
	};
}

/** An instant as RFC 3339 has it; "" for none. */
export const instant = (number: number): protobuf.Field<string> =>
	standing<string, Text>(
		number,
		stamp,
		"",
		(value) => ({ text: value }),
		(value) => value.text,
	);

interface Length {
	readonly nanoseconds: number;
}
const span = mapped<Length, SecondsAndNanos>(
	secondsAndNanos,
	({ nanoseconds }) => {
		const seconds = Math.floor(nanoseconds / BILLION);
		return { seconds, nanos: nanoseconds - seconds * BILLION };
	},
	({ seconds, nanos }) =>
		isNanos(nanos) && seconds >= 0 && seconds <= MOST_SECONDS
			? { nanoseconds: seconds * BILLION + nanos }
			: undefined,
);

/** Nanoseconds as a duration; `absent` is what it is when it is not said, and is not said then. */
export const duration = (number: number, absent = 0): protobuf.Field<number> =>
	standing<number, Length>(
		number,
		span,
		absent,
		(value) => ({ nanoseconds: value }),
		(value) => value.nanoseconds,
	);

/** The same where it is said always (gogoproto `stdduration`, not nullable). */
export const givenDuration = (number: number): protobuf.Field<number> => ({
	...duration(number),
	write: (writer, at, value, name) => {
		always(number, span).write(writer, at, { nanoseconds: value }, name);
	},
});

interface Index {
	readonly index: number;
}
const indexed = message<Index>({ index: uint(1) });

/** The index of a write; undefined for none. */
export const version = (number: number): protobuf.Field<number | undefined> =>
	standing<number | undefined, Index>(
		number,
		indexed,
		undefined,
		(value) => ({ index: value ?? 0 }),
		(value) => value.index,
	);

/** The same where it is always there. */
export const givenVersion = (number: number): protobuf.Field<number> => {
	const field = always(number, indexed);
	return {
		number,
		zero: () => 0,
		write: (writer, at, value, name) => {
			field.write(writer, at, { index: value }, name);
		},
		read: (reader) => field.read(reader, NO_INDEX)?.index,
	};
};
const NO_INDEX: Index = { index: 0 };

/** Stands in every object. */
export const meta: protobuf.Codec<Meta> = message<Meta>({
	version: givenVersion(1),
	createdAt: instant(2),
	updatedAt: instant(3),
});

/** A name and labels. */
export interface Annotations {
	readonly name: string;
	readonly labels: Readonly<Record<string, string>>;
}
export const annotations: protobuf.Codec<Annotations> = message<Annotations>({
	name: text(1),
	labels: map(2),
});
export const NO_ANNOTATIONS: Annotations = { name: "", labels: {} };

/** A driver of networks or addresses, and what it is told. */
export interface Driver {
	readonly name: string;
	readonly options: Readonly<Record<string, string>>;
}
export const driver: protobuf.Codec<Driver> = message<Driver>({ name: text(1), options: map(2) });

/** A published port. */
export const port: protobuf.Codec<ServicePort> = message<ServicePort>({
	name: text(1),
	protocol: word(2, ["tcp", "udp", "sctp"]),
	targetPort: uint(3),
	publishedPort: uint(4),
	publishMode: word(5, ["ingress", "host"]),
});

const SUBSYSTEMS = { "networking:gossip": 0, "networking:ipsec": 1 } as const;
interface KeyMessage {
	readonly subsystem: string;
	/** AES_128_GCM, the only one. */
	readonly algorithm: "AES_128_GCM";
	readonly key: Uint8Array;
	readonly lamportTime: number;
}

/** A key of the gossip's or the encrypted networks'. */
export const encryptionKey: protobuf.Codec<EncryptionKey> = mapped<EncryptionKey, KeyMessage>(
	message<KeyMessage>({
		subsystem: text(1),
		algorithm: valued(2, { AES_128_GCM: 0 }),
		key: octets(3),
		lamportTime: uint(4),
	}),
	({ subsystem, key, lamportTime }) => ({
		subsystem,
		algorithm: "AES_128_GCM",
		key: octetsOf(key),
		lamportTime,
	}),
	({ subsystem, key, lamportTime }) =>
		isSubsystem(subsystem) ? { subsystem, key: digitsOf(key), lamportTime } : undefined,
);

const isSubsystem = (text: string): text is EncryptionKey["subsystem"] => Object.hasOwn(SUBSYSTEMS, text);

/** Octets by their hexadecimal digits. */
function octetsOf(digits: string): Uint8Array {
	const found = new Uint8Array(digits.length / 2);
	for (let i = 0; i < found.length; i++) found[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
	return found;
}

function digitsOf(found: Uint8Array): string {
	let digits = "";
	for (const octet of found) digits += octet.toString(16).padStart(2, "0");
	return digits;
}

/** What is left out where there is nothing: a property for a list that has something in it. */
export const unlessEmpty = <Name extends string, Value>(
	name: Name,
	list: readonly Value[],
): { readonly [N in Name]?: readonly Value[] } =>
	(list.length === 0 ? {} : { [name]: list }) as { readonly [N in Name]?: readonly Value[] };

/** The same for a map. */
export const unlessBare = <Name extends string, Value>(
	name: Name,
	values: Readonly<Record<string, Value>>,
): { readonly [N in Name]?: Readonly<Record<string, Value>> } =>
	(Object.keys(values).length === 0 ? {} : { [name]: values }) as {
		readonly [N in Name]?: Readonly<Record<string, Value>>;
	};
