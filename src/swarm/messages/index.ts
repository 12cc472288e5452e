export { attachmentsIn, type NetworkOf } from "./attachment.ts";
export { encryptionKey, empty } from "./common.ts";
export { CONTROL } from "./control.ts";
export {
	type Certificate,
	certificate,
	described,
	type Issuance,
	issuance,
	networksAt,
	node,
	type NodeMessage,
	nodeTold,
} from "./node.ts";
export { member, raftMessages } from "./raft.ts";
export type { Proposal } from "./store.ts";
export { networksOf, task, type TaskMessage, taskNamed, taskStatus, taskTold } from "./task.ts";
export { type AttachmentConfig, attachmentConfig } from "./task-spec.ts";
