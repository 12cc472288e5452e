import { protobuf } from "../wire/index.ts";
import { messageOf, type Method } from "./control/index.ts";
import type { Described } from "./description.ts";
import {
	type AttachmentConfig,
	attachmentConfig,
	type Certificate,
	certificate,
	CONTROL,
	described,
	empty,
	encryptionKey,
	type Issuance,
	issuance,
	member,
	node,
	type NodeMessage,
	type Proposal,
	raftMessages,
	task,
	type TaskMessage,
	taskStatus,
} from "./messages/index.ts";
import {
	type EncryptionKey,
	NODE_AVAILABILITIES,
	NODE_ROLES,
	type NodeAvailability,
	type NodeRole,
	type TaskStatus,
} from "./objects.ts";
import type { Member, RaftMessage } from "./raft/index.ts";
import type { StoreSnapshot } from "./store/store.ts";
import type { Reader } from "./store/tables.ts";

const { bool, mapped, message, messages, octets, optional, text, uint, word } = protobuf;

// The calls between nodes, with swarmkit's names and numbers of fields (api/*.proto). What they are about, tasks and
// nodes, has its messages in messages/.

const PACKAGE = "/docker.swarmkit.v1";
const nothing = messageOf<Nothing>(empty);

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
			role: word(1, NODE_ROLES),
			csr: octets(2),
			token: text(3),
			availability: word(4, NODE_AVAILABILITIES),
		}),
	),
	reply: messageOf(message({ nodeId: text(1), accepted: bool(2) })),
};

/** What became of it: answered when the certificate is there. */
export const nodeCertificateStatus: Method<
	{ readonly nodeId: string },
	{ readonly status: Issuance | undefined; readonly certificate: Certificate | undefined }
> = {
	path: `${PACKAGE}.NodeCA/NodeCertificateStatus`,
	request: messageOf(message({ nodeId: text(1) })),
	reply: messageOf(message({ status: optional(1, issuance), certificate: optional(2, certificate) })),
};

/** A manager, as nodes are told of it. */
export interface WeightedPeer {
	readonly peer: { readonly nodeId: string; readonly addr: string } | undefined;
	readonly weight: number;
}

/** What a node is told about itself and its cluster. */
export interface SessionMessage {
	readonly sessionId: string;
	readonly node: NodeMessage | undefined;
	readonly managers: readonly WeightedPeer[];
	readonly keys: readonly EncryptionKey[];
	readonly rootCa: Uint8Array;
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
			node: optional(2, node),
			managers: messages(
				3,
				message({
					peer: optional(1, message({ nodeId: text(1), addr: text(2) })),
					weight: uint(2),
				}),
			),
			keys: messages(4, encryptionKey),
			rootCa: octets(5),
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
			updates: messages(3, message({ taskId: text(1), status: optional(2, taskStatus) })),
		}),
	),
	reply: nothing,
};

/** One task: to be there, with the networks that it is on, or to be there no longer. */
export interface AssignmentChange {
	readonly task: TaskMessage | undefined;
	readonly action: "update" | "remove";
}
interface AssignmentFields {
	readonly assignment: { readonly task: TaskMessage | undefined } | undefined;
	readonly action: AssignmentChange["action"];
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
				mapped<AssignmentChange, AssignmentFields>(
					message<AssignmentFields>({
						assignment: optional(
							1,
							message<{ readonly task: TaskMessage | undefined }>({ task: optional(1, task) }),
						),
						action: word(2, ["update", "remove"]),
					}),
					({ task: of, action }) => ({ assignment: { task: of }, action }),
					({ assignment, action }) => ({ task: assignment?.task, action }),
				),
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

interface AttachRequest {
	readonly target: string;
	readonly addresses: readonly string[];
	readonly containerId: string;
}
interface AttachFields {
	readonly config: AttachmentConfig | undefined;
	readonly containerId: string;
}

/** A standalone container wants to be on a network. */
export const attachNetwork: Method<AttachRequest, { readonly attachmentId: string }> = {
	path: `${PACKAGE}.ResourceAllocator/AttachNetwork`,
	request: messageOf(
		mapped<AttachRequest, AttachFields>(
			message<AttachFields>({ config: optional(1, attachmentConfig), containerId: text(2) }),
			({ target, addresses, containerId }) => ({
				config: { target, addresses, aliases: [], driverOptions: {} },
				containerId,
			}),
			({ config, containerId }) =>
				config && { target: config.target, addresses: config.addresses, containerId },
		),
	),
	reply: messageOf(message({ attachmentId: text(1) })),
};

/** It is there no longer. */
export const detachNetwork: Method<{ readonly attachmentId: string }, Nothing> = {
	path: `${PACKAGE}.ResourceAllocator/DetachNetwork`,
	request: messageOf(message({ attachmentId: text(1) })),
	reply: nothing,
};

/** From one manager's raft to another's: of what is in this store. */
export const processRaftMessage = (
	reader: Reader,
): Method<{ readonly message: RaftMessage<Proposal, StoreSnapshot> | undefined }, Nothing> => ({
	path: `${PACKAGE}.Raft/ProcessRaftMessage`,
	request: messageOf(message({ message: optional(1, raftMessages(reader)) })),
	reply: nothing,
});

/** A new manager wants to be a member. */
export const joinRaft: Method<
	{ readonly addr: string },
	{ readonly raftId: number; readonly members: readonly Member[] }
> = {
	path: `${PACKAGE}.RaftMembership/Join`,
	request: messageOf(message({ addr: text(1) })),
	reply: messageOf(message({ raftId: uint(1), members: messages(2, member) })),
};

interface Leaving {
	readonly raftId: number;
}

/** A manager says that it goes. */
export const leaveRaft: Method<Leaving, Nothing> = {
	path: `${PACKAGE}.RaftMembership/Leave`,
	request: messageOf(
		mapped<Leaving, { readonly node: Member | undefined }>(
			message<{ readonly node: Member | undefined }>({ node: optional(1, member) }),
			({ raftId }) => ({ node: { raftId, nodeId: "", addr: "" } }),
			({ node: who }) => who && { raftId: who.raftId },
		),
	),
	reply: nothing,
};

/** Whether a manager answers at the address it gave. */
export const checkHealth: Method<{ readonly service: string }, { readonly serving: boolean }> = {
	path: `${PACKAGE}.Health/Check`,
	request: messageOf(message({ service: text(1) })),
	reply: messageOf(message({ serving: bool(1) })),
};

/** A call of the control API, `updateNode` for example: what is asked and answered is plain data. */
export function control(name: string): Method<Body, Body> | undefined {
	const bodies = Object.hasOwn(CONTROL, name) ? CONTROL[name] : undefined;
	return (
		bodies && {
			path: CONTROL_PATH + name,
			request: messageOf(bodies.request),
			reply: messageOf(bodies.reply),
		}
	);
}
interface Body {
	readonly body: unknown;
}

/** What the paths of the control API's calls begin with. */
export const CONTROL_PATH: string = `${PACKAGE}.Control/`;
