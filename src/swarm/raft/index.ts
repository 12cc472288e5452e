export { ELECTION_TICKS } from "./election.ts";
export type { Entry, Member, Payload, RaftDisk, RaftMessage, Snapshot } from "./message.ts";
export { Raft, type RaftOptions, type RaftRole, type Ready } from "./raft.ts";
export { type ManagerDisk, RaftNode, type RaftNodeOptions } from "./raft-node.ts";
