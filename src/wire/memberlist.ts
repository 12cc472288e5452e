// Messages of HashiCorp's memberlist (SWIM with Lifeguard's additions), as Docker 20.10 speaks it: version 2 of 1 to 5.
//   | type 1 | MessagePack struct |                                  0 to 5, 11, 13
//   | 7 | count 1 | lengths 2 each | messages |                      compound
//   | 8 | octets of the layer above |                                user, in datagrams
//   | 8 | {UserMsgLen} | octets |                                    user, in streams
//   | 6 | {Join, Nodes, UserStateLen} | nodes | octets of the layer above |   push/pull, in streams only
import type { DropReason } from "../drop.ts";
import { bool, raw, rawOrNil, Reader, struct, type Struct, text, uint } from "./msgpack.ts";
import { OctetWriter } from "./octet-writer.ts";

/** The port of datagrams and streams. */
export const PORT = 7946;
/** Types of messages. */
export const TYPE = {
	PING: 0,
	INDIRECT_PING: 1,
	ACK: 2,
	SUSPECT: 3,
	ALIVE: 4,
	DEAD: 5,
	PUSH_PULL: 6,
	COMPOUND: 7,
	USER: 8,
	COMPRESS: 9,
	ENCRYPT: 10,
	NACK: 11,
	HAS_CRC: 12,
	ERR: 13,
} as const;
/** States of a member in a push/pull. */
export const STATE = { ALIVE: 0, SUSPECT: 1, DEAD: 2, LEFT: 3 } as const;
/** Octets in front of a compound's lengths. */
export const COMPOUND_OCTETS = 2;
/** Octets that a message in a compound costs beyond its own. */
export const COMPOUND_EACH_OCTETS = 2;
/** A compound counts its messages in one octet. */
const MOST_PARTS = 255;
/** The longest state that a stream may carry (`maxPushStateBytes`). */
export const MOST_STREAM_OCTETS: number = 10 * 1024 * 1024;
/** A member's state in a push/pull is longer than this; a count of more than fit is a lie. */
const LEAST_STATE_OCTETS = 16;

/** Who asks, and where the answer goes. */
interface Source {
	/** 4 or 16 octets; empty when the answer goes to where the datagram came from. */
	readonly sourceAddr: Uint8Array;
	readonly sourcePort: number;
	readonly sourceNode: string;
}

/** Are you there? */
export interface Ping extends Source {
	readonly type: "ping";
	readonly seqNo: number;
	/** Whom it is for: another one does not answer. */
	readonly node: string;
}

/** Ask somebody for me whether it is there. */
export interface IndirectPing extends Source {
	readonly type: "indirect-ping";
	readonly seqNo: number;
	/** Whether the helper is to say that it heard nothing. */
	readonly nack: boolean;
	readonly target: Uint8Array;
	readonly port: number;
	readonly node: string;
}

/** I am here. */
export interface Ack {
	readonly type: "ack";
	readonly seqNo: number;
	readonly payload: Uint8Array | null;
}

/** I asked for you and heard nothing. */
export interface Nack {
	readonly type: "nack";
	readonly seqNo: number;
}

/** A member does not answer. */
export interface Suspect {
	readonly type: "suspect";
	readonly incarnation: number;
	readonly node: string;
	readonly from: string;
}

/** A member is there, as it said itself. */
export interface Alive {
	readonly type: "alive";
	readonly incarnation: number;
	readonly node: string;
	readonly addr: Uint8Array;
	readonly port: number;
	readonly meta: Uint8Array;
	/** Versions of the protocol: lowest and highest understood, spoken; the same three of the layer above. */
	readonly vsn: Uint8Array;
}

/** A member is gone; it left when it says so itself. */
export interface Dead {
	readonly type: "dead";
	readonly incarnation: number;
	readonly node: string;
	readonly from: string;
}

/** Octets of the layer above. */
export interface User {
	readonly type: "user";
	readonly payload: Uint8Array;
}

/** A refusal, in streams. */
export interface Err {
	readonly type: "err";
	readonly error: string;
}

/** A member in a push/pull. */
export interface PushNodeState {
	readonly name: string;
	readonly addr: Uint8Array;
	readonly port: number;
	readonly meta: Uint8Array;
	readonly incarnation: number;
	/** `STATE`. */
	readonly state: number;
	readonly vsn: Uint8Array;
}

/** All that a member knows. */
export interface PushPull {
	readonly type: "push-pull";
	readonly join: boolean;
	readonly nodes: readonly PushNodeState[];
	/** Octets of the layer above. */
	readonly userState: Uint8Array;
}

/** What a datagram holds once its wrappings are off. */
export type Message = Ping | IndirectPing | Ack | Nack | Suspect | Alive | Dead | User | Err;
/** What a stream holds once its wrappings are off. */
export type StreamMessage = PushPull | User | Ping | Ack | Err;

const omitEmpty = { omitEmpty: true } as const;
const source = {
	sourceAddr: raw("SourceAddr", omitEmpty),
	sourcePort: uint("SourcePort", 16, omitEmpty),
	sourceNode: text("SourceNode", omitEmpty),
};
const accusation = { incarnation: uint("Incarnation", 32), node: text("Node"), from: text("From") };
const seqNo = uint("SeqNo", 32);
type Body<Kind extends Message> = Omit<Kind, "type">;

const ping = struct<Body<Ping>>({ seqNo, node: text("Node"), ...source });
const indirectPing = struct<Body<IndirectPing>>({
	seqNo,
	nack: bool("Nack"),
	target: raw("Target"),
	port: uint("Port", 16),
	node: text("Node"),
	...source,
});
const ack = struct<Body<Ack>>({ seqNo, payload: rawOrNil("Payload") });
const nack = struct<Body<Nack>>({ seqNo });
const suspect = struct<Body<Suspect>>(accusation);
const alive = struct<Body<Alive>>({
	incarnation: uint("Incarnation", 32),
	node: text("Node"),
	addr: raw("Addr"),
	port: uint("Port", 16),
	meta: raw("Meta"),
	vsn: raw("Vsn"),
});
const dead = struct<Body<Dead>>(accusation);
const err = struct<Body<Err>>({ error: text("Error") });
const pushNodeState = struct<PushNodeState>({
	name: text("Name"),
	addr: raw("Addr"),
	port: uint("Port", 16),
	meta: raw("Meta"),
	incarnation: uint("Incarnation", 32),
	state: uint("State", 8),
	vsn: raw("Vsn"),
});
const pushPullHeader = struct<{ join: boolean; nodes: number; userStateLen: number }>({
	join: bool("Join"),
	nodes: uint("Nodes", 32),
	userStateLen: uint("UserStateLen", 32),
});
const userMsgHeader = struct<{ userMsgLen: number }>({ userMsgLen: uint("UserMsgLen", 32) });

/** Meaning → the octets of a datagram's message, or of a stream's ping, ack and error. Throws RangeError. */
export function write(message: Message): Uint8Array<ArrayBuffer> {
	const writer = OctetWriter.begin();
	switch (message.type) {
		case "ping":
			return body(writer, TYPE.PING, ping, message);
		case "indirect-ping":
			return body(writer, TYPE.INDIRECT_PING, indirectPing, message);
		case "ack":
			return body(writer, TYPE.ACK, ack, message);
		case "nack":
			return body(writer, TYPE.NACK, nack, message);
		case "suspect":
			return body(writer, TYPE.SUSPECT, suspect, message);
		case "alive":
			return body(writer, TYPE.ALIVE, alive, message);
		case "dead":
			return body(writer, TYPE.DEAD, dead, message);
		case "err":
			return body(writer, TYPE.ERR, err, message);
		case "user":
			writer.put8(TYPE.USER);
			writer.put(message.payload);
			return writer.finish();
	}
}

function body<Value>(
	writer: OctetWriter,
	type: number,
	kind: Struct<Value>,
	value: Value,
): Uint8Array<ArrayBuffer> {
	writer.put8(type);
	kind.write(writer, value);
	return writer.finish();
}

/** The octets of one message of a datagram, none that wraps others → meaning. Never throws. Octets in it are views. */
export function read(octets: Uint8Array): Message | DropReason {
	const reader = new Reader(octets, 1);
	switch (octets[0]) {
		case TYPE.PING:
			return typed("ping", ping.read(reader));
		case TYPE.INDIRECT_PING:
			return typed("indirect-ping", indirectPing.read(reader));
		case TYPE.ACK:
			return typed("ack", ack.read(reader));
		case TYPE.NACK:
			return typed("nack", nack.read(reader));
		case TYPE.SUSPECT:
			return typed("suspect", suspect.read(reader));
		case TYPE.ALIVE:
			return typed("alive", alive.read(reader));
		case TYPE.DEAD:
			return typed("dead", dead.read(reader));
		case TYPE.USER:
			return { type: "user", payload: octets.subarray(1) };
		default:
			return "memberlist-unknown";
	}
}

const typed = <Type extends string, Value extends object>(
	type: Type,
	value: Value | DropReason,
): (Value & { readonly type: Type }) | DropReason => (typeof value === "string" ? value : { type, ...value });

/** One message for several: they must be at most 255, each of at most 65,535 octets. */
export function compound(messages: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
	if (messages.length > MOST_PARTS)
		throw new RangeError(`a compound of ${String(messages.length)} messages, expected at most 255`);
	const writer = OctetWriter.begin();
	writer.put8(TYPE.COMPOUND);
	writer.put8(messages.length);
	for (const { length } of messages) {
		if (length > 0xffff)
			throw new RangeError(`a message of ${String(length)} octets in a compound, expected at most 65535`);
		writer.put16(length);
	}
	for (const message of messages) writer.put(message);
	return writer.finish();
}

/** The messages in a compound, as views; when it ends too early those that are whole, and a reason. */
export function parts(octets: Uint8Array): { readonly messages: Uint8Array[]; readonly cut?: DropReason } {
	const messages: Uint8Array[] = [];
	const [, count] = octets;
	let at = COMPOUND_OCTETS + COMPOUND_EACH_OCTETS * (count ?? 0);
	if (count === undefined || at > octets.length) return { messages, cut: "memberlist-truncated" };
	for (let i = 0; i < count; i++) {
		const length = octets[2 + 2 * i]! * 256 + octets[3 + 2 * i]!;
		if (length > octets.length - at) return { messages, cut: "memberlist-truncated" };
		messages.push(octets.subarray(at, (at += length)));
	}
	return { messages };
}

/** Meaning → what a stream carries, without its wrappings. Throws RangeError. */
export function writeStream(message: StreamMessage): Uint8Array<ArrayBuffer> {
	if (message.type !== "push-pull" && message.type !== "user") return write(message);
	if (message.type === "user") {
		const { payload } = message;
		const writer = OctetWriter.begin();
		writer.put8(TYPE.USER);
		userMsgHeader.write(writer, { userMsgLen: payload.length });
		writer.put(payload);
		return writer.finish();
	}
	const { join, nodes, userState } = message;
	const writer = OctetWriter.begin();
	writer.put8(TYPE.PUSH_PULL);
	pushPullHeader.write(writer, { join, nodes: nodes.length, userStateLen: userState.length });
	for (const node of nodes) pushNodeState.write(writer, node);
	writer.put(userState);
	return writer.finish();
}

/** What a stream carried, without its wrappings → meaning. Never throws. Octets in it are views. */
export function readStream(octets: Uint8Array): StreamMessage | DropReason {
	const reader = new Reader(octets, 1);
	switch (octets[0]) {
		case TYPE.PING:
			return typed("ping", ping.read(reader));
		case TYPE.ACK:
			return typed("ack", ack.read(reader));
		case TYPE.ERR:
			return typed("err", err.read(reader));
		case TYPE.USER: {
			const header = userMsgHeader.read(reader);
			if (typeof header === "string") return header;
			const payload = tail(reader, header.userMsgLen);
			return payload === undefined ? "memberlist-truncated" : { type: "user", payload };
		}
		case TYPE.PUSH_PULL:
			return readPushPull(reader);
		default:
			return "memberlist-unknown";
	}
}

function readPushPull(reader: Reader): PushPull | DropReason {
	const header = pushPullHeader.read(reader);
	if (typeof header === "string") return header;
	if (header.nodes * LEAST_STATE_OCTETS > reader.left) return "memberlist-truncated";
	const nodes: PushNodeState[] = [];
	for (let i = 0; i < header.nodes; i++) {
		const node = pushNodeState.read(reader);
		if (typeof node === "string") return node;
		nodes.push(node);
	}
	const userState = tail(reader, header.userStateLen);
	if (userState === undefined) return "memberlist-truncated";
	return { type: "push-pull", join: header.join, nodes, userState };
}

const tail = (reader: Reader, octets: number): Uint8Array | undefined =>
	octets > reader.left ? undefined : reader.bytes.subarray(reader.at, reader.at + octets);
