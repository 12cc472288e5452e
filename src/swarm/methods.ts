import { type Codec, type Method, protobuf } from "./control/index.ts";
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

const { bool, bytes, json, message, nested, oneOf, repeated, string, uint } = protobuf;

// The calls between nodes, with swarmkit's names and numbers of fields (api/*.proto). Objects of the store, and what a
// node says of itself, go as JSON in the fields where swarmkit has messages.

const PACKAGE = "/docker.swarmkit.v1";
const ROLES = ["worker", "manager"] as const satisfies readonly NodeRole[];
const AVAILABILITIES = ["active", "pause", "drain"] as const satisfies readonly NodeAvailability[];
const nothing = message({});

/** Nothing is asked. */
export interface Nothing {
	readonly nothing?: undefined;
}

/** The root certificate, for whoever wants to join: its digest is in the token. */
export const getRootCaCertificate: Method<Nothing, { readonly certificate: Uint8Array }> = {
	path: `${PACKAGE}.CA/GetRootCACertificate`,
	request: nothing,
	reply: message({ certificate: [1, bytes] }),
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
	request: message({
		role: [1, oneOf(ROLES)],
		csr: [2, bytes],
		token: [3, string],
		availability: [4, oneOf(AVAILABILITIES)],
	}),
	reply: message({ nodeId: [1, string], accepted: [2, bool] }),
};

const ISSUANCE = ["unknown", "renew", "pending", "issued", "failed", "rotate"] as const;
const issuance = message({ state: [1, oneOf(ISSUANCE)] });

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
	request: message({ nodeId: [1, string] }),
	reply: message({
		status: [1, nested(issuance)],
		certificate: [
			2,
			nested(
				message({
					role: [1, oneOf(ROLES)],
					csr: [2, bytes],
					status: [3, nested(issuance)],
					certificate: [4, bytes],
					cn: [5, string],
				}),
			),
		],
	}),
};

const named = message({ type: [1, string], name: [2, string] });
const label = message({ key: [1, string], value: [2, string] });

/** What a node says of itself, with how it trusts its cluster: the root certificate, its issuer and that one's key. */
export interface Described {
	readonly hostname: string;
	readonly platform: { readonly architecture: string; readonly os: string } | undefined;
	readonly resources: { readonly nanoCpus: number; readonly memoryBytes: number } | undefined;
	readonly engine:
		| {
				readonly version: string;
				readonly labels: readonly ({ readonly key: string; readonly value: string } | undefined)[];
				readonly plugins: readonly ({ readonly type: string; readonly name: string } | undefined)[];
		  }
		| undefined;
	readonly tls:
		| { readonly trustRoot: Uint8Array; readonly issuer: Uint8Array; readonly issuerKey: Uint8Array }
		| undefined;
}

const described: Codec<Described> = message({
	hostname: [1, string],
	platform: [2, nested(message({ architecture: [1, string], os: [2, string] }))],
	resources: [3, nested(message({ nanoCpus: [1, uint], memoryBytes: [2, uint] }))],
	engine: [
		4,
		nested(
			message({
				version: [1, string],
				labels: [2, repeated(nested(label))],
				plugins: [3, repeated(nested(named))],
			}),
		),
	],
	tls: [5, nested(message({ trustRoot: [1, bytes], issuer: [2, bytes], issuerKey: [3, bytes] }))],
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
	readonly managers: readonly (WeightedPeer | undefined)[];
	readonly keys: readonly (EncryptionKey | undefined)[];
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
	request: message({ description: [1, nested(described)], sessionId: [2, string] }),
	reply: message({
		sessionId: [1, string],
		node: [2, json<NodeObject>()],
		managers: [
			3,
			repeated(
				nested(
					message({
						peer: [1, nested(message({ nodeId: [1, string], addr: [2, string] }))],
						weight: [2, uint],
					}),
				),
			),
		],
		keys: [4, repeated(json<EncryptionKey>())],
		rootCa: [5, bytes],
		networks: [6, json<readonly NetworkObject[]>()],
		certificate: [7, bytes],
		description: [8, nested(described)],
	}),
};

/** A node is still there; it is told when to say so again. */
export const heartbeat: Method<
	{ readonly sessionId: string },
	{ readonly period: { readonly seconds: number; readonly nanos: number } | undefined }
> = {
	path: `${PACKAGE}.Dispatcher/Heartbeat`,
	request: message({ sessionId: [1, string] }),
	reply: message({ period: [1, nested(message({ seconds: [1, uint], nanos: [2, uint] }))] }),
};

/** What became of tasks. */
export const updateTaskStatus: Method<
	{
		readonly sessionId: string;
		readonly updates: readonly (
			{ readonly taskId: string; readonly status: TaskStatus | undefined } | undefined
		)[];
	},
	Nothing
> = {
	path: `${PACKAGE}.Dispatcher/UpdateTaskStatus`,
	request: message({
		sessionId: [1, string],
		updates: [3, repeated(nested(message({ taskId: [1, string], status: [2, json<TaskStatus>()] })))],
	}),
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
	readonly changes: readonly (AssignmentChange | undefined)[];
}

/** A node asks what it is to run. */
export const assignments: Method<{ readonly sessionId: string }, AssignmentsMessage> = {
	path: `${PACKAGE}.Dispatcher/Assignments`,
	request: message({ sessionId: [1, string] }),
	reply: message({
		type: [1, oneOf(["complete", "incremental"])],
		appliesTo: [2, string],
		resultsIn: [3, string],
		changes: [
			4,
			repeated(
				nested(
					message({
						task: [1, json<TaskObject>()],
						network: [3, json<NetworkObject>()],
						action: [2, oneOf(["update", "remove"])],
					}),
				),
			),
		],
	}),
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
	request: message({ target: [1, string], addresses: [3, repeated(string)], containerId: [2, string] }),
	reply: message({ attachmentId: [1, string] }),
};

/** It is there no longer. */
export const detachNetwork: Method<{ readonly attachmentId: string }, Nothing> = {
	path: `${PACKAGE}.ResourceAllocator/DetachNetwork`,
	request: message({ attachmentId: [1, string] }),
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
	request: message({ message: [1, json<RaftMessage<Proposal, StoreSnapshot>>()] }),
	reply: nothing,
};

/** A new manager wants to be a member. */
export const joinRaft: Method<
	{ readonly addr: string },
	{ readonly raftId: number; readonly members: readonly Member[] | undefined }
> = {
	path: `${PACKAGE}.RaftMembership/Join`,
	request: message({ addr: [1, string] }),
	reply: message({ raftId: [1, uint], members: [2, json<readonly Member[]>()] }),
};

/** A manager says that it goes. */
export const leaveRaft: Method<{ readonly raftId: number }, Nothing> = {
	path: `${PACKAGE}.RaftMembership/Leave`,
	request: message({ raftId: [1, uint] }),
	reply: nothing,
};

/** Whether a manager answers at the address it gave. */
export const checkHealth: Method<{ readonly service: string }, { readonly serving: boolean }> = {
	path: `${PACKAGE}.Health/Check`,
	request: message({ service: [1, string] }),
	reply: message({ serving: [1, bool] }),
};

/** A call of the control API, `ListNodes` for example: what is asked and answered is plain data. */
export const control = (name: string): Method<{ readonly body: unknown }, { readonly body: unknown }> => ({
	path: `${PACKAGE}.Control/${name}`,
	request: message({ body: [1, json<unknown>()] }),
	reply: message({ body: [1, json<unknown>()] }),
});
