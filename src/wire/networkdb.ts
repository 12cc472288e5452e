// Messages of libnetwork's networkdb (networkdb.proto): what memberlist's user messages and push/pulls carry.
import type { DropReason } from "../drop.ts";
import { bool, type Codec, int32, message, messages, octets, text, texts, uint } from "./protobuf.ts";

/** Types of messages. */
export const TYPE = {
	NETWORK_EVENT: 1,
	TABLE_EVENT: 2,
	PUSH_PULL: 3,
	BULK_SYNC: 4,
	COMPOUND: 5,
	NODE_EVENT: 6,
} as const;
/** What a node or network event says. */
export const MEMBERSHIP = { JOIN: 1, LEAVE: 2 } as const;
/** What a table event says. */
export const CHANGE = { CREATE: 1, UPDATE: 2, DELETE: 3 } as const;

/** Any message with its type in front. */
export interface GossipMessage {
	/** `TYPE`. */
	readonly type: number;
	readonly data: Uint8Array;
}

/** A node is part of the cluster, or leaves it. */
export interface NodeEvent {
	/** `MEMBERSHIP`. */
	readonly type: number;
	/** Lamport time, by the clock of nodes and networks. */
	readonly lTime: number;
	readonly nodeName: string;
}

/** A node takes part in a network, or no longer. */
export interface NetworkEvent {
	/** `MEMBERSHIP`. */
	readonly type: number;
	readonly lTime: number;
	readonly nodeName: string;
	readonly networkId: string;
}

/** A node's part in a network, in a push/pull. */
export interface NetworkEntry {
	readonly networkId: string;
	readonly lTime: number;
	readonly nodeName: string;
	readonly leaving: boolean;
}

/** All that a node knows of who takes part in which network. */
export interface NetworkPushPull {
	readonly lTime: number;
	readonly networks: readonly NetworkEntry[];
	readonly nodeName: string;
}

/** An entry of a table was made, changed or deleted. */
export interface TableEvent {
	/** `CHANGE`. */
	readonly type: number;
	/** Lamport time, by the clock of tables. */
	readonly lTime: number;
	/** Who owns the entry. */
	readonly nodeName: string;
	readonly networkId: string;
	readonly tableName: string;
	readonly key: string;
	readonly value: Uint8Array;
	/** Seconds that a deleted entry is still remembered. */
	readonly residualReapTime: number;
}

/** All entries of some networks. */
export interface BulkSyncMessage {
	readonly lTime: number;
	/** Whether an answer of the same kind is wanted. */
	readonly unsolicited: boolean;
	readonly nodeName: string;
	readonly networks: readonly string[];
	/** A compound of table events. */
	readonly payload: Uint8Array;
}

/** One message of a compound. */
export interface SimpleMessage {
	readonly payload: Uint8Array;
}

/** Several messages. */
export interface CompoundMessage {
	readonly messages: readonly SimpleMessage[];
}

/** How a `GossipMessage` is written and read. */
export const gossipMessage: Codec<GossipMessage> = message<GossipMessage>({ type: uint(1), data: octets(2) });
/** How a `NodeEvent` is written and read. */
export const nodeEvent: Codec<NodeEvent> = message<NodeEvent>({
	type: uint(1),
	lTime: uint(2),
	nodeName: text(3),
});
/** How a `NetworkEvent` is written and read. */
export const networkEvent: Codec<NetworkEvent> = message<NetworkEvent>({
	type: uint(1),
	lTime: uint(2),
	nodeName: text(3),
	networkId: text(4),
});
/** How a `NetworkEntry` is written and read. */
export const networkEntry: Codec<NetworkEntry> = message<NetworkEntry>({
	networkId: text(1),
	lTime: uint(2),
	nodeName: text(3),
	leaving: bool(4),
});
/** How a `NetworkPushPull` is written and read. */
export const networkPushPull: Codec<NetworkPushPull> = message<NetworkPushPull>({
	lTime: uint(1),
	networks: messages(2, networkEntry),
	nodeName: text(3),
});
/** How a `TableEvent` is written and read. */
export const tableEvent: Codec<TableEvent> = message<TableEvent>({
	type: uint(1),
	lTime: uint(2),
	nodeName: text(3),
	networkId: text(4),
	tableName: text(5),
	key: text(6),
	value: octets(7),
	residualReapTime: int32(8),
});
/** How a `BulkSyncMessage` is written and read. */
export const bulkSyncMessage: Codec<BulkSyncMessage> = message<BulkSyncMessage>({
	lTime: uint(1),
	unsolicited: bool(2),
	nodeName: text(3),
	networks: texts(4),
	payload: octets(5),
});
const simpleMessage: Codec<SimpleMessage> = message<SimpleMessage>({ payload: octets(1) });
/** How a `CompoundMessage` is written and read. */
export const compoundMessage: Codec<CompoundMessage> = message<CompoundMessage>({
	messages: messages(1, simpleMessage),
});

/** A message with its type in front, as octets. Throws RangeError. */
export function write<Message>(type: number, codec: Codec<Message>, value: Message): Uint8Array<ArrayBuffer> {
	return gossipMessage.write({ type, data: codec.write(value) });
}

/** Several messages, each with its type in front, as one. */
export function writeCompound(list: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
	return write(TYPE.COMPOUND, compoundMessage, { messages: list.map((payload) => ({ payload })) });
}

/** The messages of a compound; a reason when it is none. */
export function readCompound(data: Uint8Array): readonly Uint8Array[] | DropReason {
	const compound = compoundMessage.read(data);
	return typeof compound === "string" ? compound : compound.messages.map(({ payload }) => payload);
}
