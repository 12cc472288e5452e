import { protobuf } from "../wire/index.ts";
import { json, jsons, messageOf, type Method } from "./control/index.ts";
import type {
	EncryptionKey,
	NetworkObject,
	NodeAvailability,
	NodeObject,
	NodeRole,
	TaskObject,
	TaskStatus,
} from "./objects.ts";
import type { Member, RaftMessage } from "./raft/index.ts";
import type { StoreSnapshot } from "./store/store.ts";
import type { StoreAction } from "./store/transaction.ts";

const { bool, message, messages, octets, optional, text, texts, uint, word } = protobuf;

// The calls between nodes, with swarmkit's names and numbers of fields (api/*.proto). Objects of the store, and what a
// node says of itself, go as JSON in the fields where swarmkit has messages.

const PACKAGE = "/docker.swarmkit.v1";
const ROLES = ["worker", "manager"] as const satisfies readonly NodeRole[];
const AVAILABILITIES = ["active", "pause", "drain"] as const satisfies readonly NodeAvailability[];
const nothing = messageOf<Nothing>(message<object>({}));

/** Nothing is asked. */
export interface Nothing {
	readonly nothing?: undefined;
}

/** The root certificate, for whoever wants to join: its digest is in the token. */
export const getRootCaCertificate: Method<Nothing, { readonly certificate: Uint8Array }> = {
	path: `${PACKAGE}.CA/GetRootCACertificate`,
	request: nothing,
	reply: messageOf(message({ certificate: octets(1) })),
};

/** A certificate wanted: by a token, or anew by one that is in the cluster. */
export const issueNodeCertificate: Method<
	{
		readonly role: NodeRole;
		readonly csr: Uint8Array;
		readonly token: string;
		readonly availability: NodeAvailability;
	},
	{ readonly nodeId: string; readonly accepted: boolean }
> = {
	path: `${PACKAGE}.NodeCA/IssueNodeCertificate`,
	request: messageOf(
		message({
			role: word(1, ROLES),
			csr: octets(2),
			token: text(3),
			availability: word(4, AVAILABILITIES),
		}),
	),
	reply: messageOf(message({ nodeId: text(1), accepted: bool(2) })),
};

const ISSUANCE = ["unknown", "renew", "pending", "issued", "failed", "rotate"] as const;
const issuance = message({ state: word(1, ISSUANCE) });

/** What became of it: answered when the certificate is there. */
export const nodeCertificateStatus: Method<
	{ readonly nodeId: string },
	{
		readonly status: { readonly state: (typeof ISSUANCE)[number] } | undefined;
		readonly certificate:
			| {
					readonly role: NodeRole;
					readonly csr: Uint8Array;
					readonly status: { readonly state: (typeof ISSUANCE)[number] } | undefined;
					readonly certificate: Uint8Array;
					readonly cn: string;
			  }
			| undefined;
	}
> = {
	path: `${PACKAGE}.NodeCA/NodeCertificateStatus`,
	request: messageOf(message({ nodeId: text(1) })),
	reply: messageOf(
		message({
			status: optional(1, issuance),
			certificate: optional(
				2,
				message({
					role: word(1, ROLES),
					csr: octets(2),
					status: optional(3, issuance),
					certificate: octets(4),
					cn: text(5),
				}),
			),
		}),
	),
};

const named = message({ type: text(1), name: text(2) });
const label = message({ key: text(1), value: text(2) });

/** What a node says of itself, with how it trusts its cluster: the root certificate, its issuer and that one's key. */
export interface Described {
	readonly hostname: string;
	readonly platform: { readonly architecture: string; readonly os: string } | undefined;
	readonly resources: { readonly nanoCpus: number; readonly memoryBytes: number } | undefined;
	readonly engine:
		| {
				readonly version: string;
				readonly labels: readonly { readonly key: string; readonly value: string }[];
				readonly plugins: readonly { readonly type: string; readonly name: string }[];
		  }
		| undefined;
	readonly tls:
		| { readonly trustRoot: Uint8Array; readonly issuer: Uint8Array; readonly issuerKey: Uint8Array }
		| undefined;
}

const described: protobuf.Codec<Described> = message({
	hostname: text(1),
	platform: optional(2, message({ architecture: text(1), os: text(2) })),
	resources: optional(3, message({ nanoCpus: uint(1), memoryBytes: uint(2) })),
	engine: optional(
		4,
		message({
			version: text(1),
			labels: messages(2, label),
			plugins: messages(3, named),
		}),
	),
	tls: optional(5, message({ trustRoot: octets(1), issuer: octets(2), issuerKey: octets(3) })),
});

/** A manager, as nodes are told of it. */
export interface WeightedPeer {
	readonly peer: { readonly nodeId: string; readonly addr: string } | undefined;
	readonly weight: number;
}

/** What a node is told about itself and its cluster. */
export interface SessionMessage {
	readonly sessionId: string;
	/** Without its description, which goes by itself. */
	readonly node: NodeObject | undefined;
	readonly description: Described | undefined;
	readonly managers: readonly WeightedPeer[];
	readonly keys: readonly EncryptionKey[];
	readonly rootCa: Uint8Array;
	/** The networks that its load balancers are on. */
	readonly networks: readonly NetworkObject[] | undefined;
	/** Its certificate, which swarmkit has in the node. */
	readonly certificate: Uint8Array;
}

/** A node registers, and hears of what concerns it as long as it stays. */
export const session: Method<
	{ readonly description: Described | undefined; readonly sessionId: string },
	SessionMessage
> = {
	path: `${PACKAGE}.Dispatcher/Session`,
	request: messageOf(message({ description: optional(1, described), sessionId: text(2) })),
	reply: messageOf(
		message({
			sessionId: text(1),
			node: json<NodeObject>(2),
			managers: messages(
				3,
				message({
					peer: optional(1, message({ nodeId: text(1), addr: text(2) })),
					weight: uint(2),
				}),
			),
			keys: jsons<EncryptionKey>(4),
			rootCa: octets(5),
			networks: json<readonly NetworkObject[]>(6),
			certificate: octets(7),
			description: optional(8, described),
		}),
	),
};

/** A node is still there; it is told when to say so again. */
export const heartbeat: Method<
	{ readonly sessionId: string },
	{ readonly period: { readonly seconds: number; readonly nanos: number } | undefined }
> = {
	path: `${PACKAGE}.Dispatcher/Heartbeat`,
	request: messageOf(message({ sessionId: text(1) })),
	reply: messageOf(message({ period: optional(1, message({ seconds: uint(1), nanos: uint(2) })) })),
};

/** What became of tasks. */
export const updateTaskStatus: Method<
	{
		readonly sessionId: string;
		readonly updates: readonly { readonly taskId: string; readonly status: TaskStatus | undefined }[];
	},
	Nothing
> = {
	path: `${PACKAGE}.Dispatcher/UpdateTaskStatus`,
	request: messageOf(
		message({
			sessionId: text(1),
			updates: messages(3, message({ taskId: text(1), status: json<TaskStatus>(2) })),
		}),
	),
	reply: nothing,
};

/** One task, or a network that tasks are on: to be there, or to be there no longer. */
export interface AssignmentChange {
	readonly task: TaskObject | undefined;
	readonly network: NetworkObject | undefined;
	readonly action: "update" | "remove";
}

/** What a node is to run: all of it first, changes from then on. */
export interface AssignmentsMessage {
	readonly type: "complete" | "incremental";
	readonly appliesTo: string;
	readonly resultsIn: string;
	readonly changes: readonly AssignmentChange[];
}

/** A node asks what it is to run. */
export const assignments: Method<{ readonly sessionId: string }, AssignmentsMessage> = {
	path: `${PACKAGE}.Dispatcher/Assignments`,
	request: messageOf(message({ sessionId: text(1) })),
	reply: messageOf(
		message({
			type: word(1, ["complete", "incremental"]),
			appliesTo: text(2),
			resultsIn: text(3),
			changes: messages(
				4,
				message({
					task: json<TaskObject>(1),
					network: json<NetworkObject>(3),
					action: word(2, ["update", "remove"]),
				}),
			),
		}),
	),
};

/** Whether somebody wants a task's logs: nodes listen, and nobody ever does. */
export const listenSubscriptions: Method<Nothing, Nothing> = {
	path: `${PACKAGE}.LogBroker/ListenSubscriptions`,
	request: nothing,
	reply: nothing,
};

/** A standalone container wants to be on a network. */
export const attachNetwork: Method<
	{ readonly target: string; readonly addresses: readonly string[]; readonly containerId: string },
	{ readonly attachmentId: string }
> = {
	path: `${PACKAGE}.ResourceAllocator/AttachNetwork`,
	request: messageOf(message({ target: text(1), addresses: texts(3), containerId: text(2) })),
	reply: messageOf(message({ attachmentId: text(1) })),
};

/** It is there no longer. */
export const detachNetwork: Method<{ readonly attachmentId: string }, Nothing> = {
	path: `${PACKAGE}.ResourceAllocator/DetachNetwork`,
	request: messageOf(message({ attachmentId: text(1) })),
	reply: nothing,
};

/** What managers' logs agree upon. */
export interface Proposal {
	/** Who waits for it. */
	readonly id: string;
	readonly actions: readonly StoreAction[];
}

/** From one manager's raft to another's. */
export const processRaftMessage: Method<
	{ readonly message: RaftMessage<Proposal, StoreSnapshot> | undefined },
	Nothing
> = {
	path: `${PACKAGE}.Raft/ProcessRaftMessage`,
	request: messageOf(message({ message: json<RaftMessage<Proposal, StoreSnapshot>>(1) })),
	reply: nothing,
};

/** A new manager wants to be a member. */
export const joinRaft: Method<
	{ readonly addr: string },
	{ readonly raftId: number; readonly members: readonly Member[] | undefined }
> = {
	path: `${PACKAGE}.RaftMembership/Join`,
	request: messageOf(message({ addr: text(1) })),
	reply: messageOf(message({ raftId: uint(1), members: json<readonly Member[]>(2) })),
};

/** A manager says that it goes. */
export const leaveRaft: Method<{ readonly raftId: number }, Nothing> = {
	path: `${PACKAGE}.RaftMembership/Leave`,
	request: messageOf(message({ raftId: uint(1) })),
	reply: nothing,
};

/** Whether a manager answers at the address it gave. */
export const checkHealth: Method<{ readonly service: string }, { readonly serving: boolean }> = {
	path: `${PACKAGE}.Health/Check`,
	request: messageOf(message({ service: text(1) })),
	reply: messageOf(message({ serving: bool(1) })),
};

/** A call of the control API, `ListNodes` for example: what is asked and answered is plain data. */
export const control = (name: string): Method<{ readonly body: unknown }, { readonly body: unknown }> => ({
	path: `${PACKAGE}.Control/${name}`,
	request: messageOf(message({ body: json<unknown>(1) })),
	reply: messageOf(message({ body: json<unknown>(1) })),
});
