export {
	Engine,
	type EngineOptions,
	type JoinOptions,
	type SettleOptions,
	Swarm,
	type SwarmMachine,
	type SwarmUpdateOptions,
} from "./engine/index.ts";
export * from "./api/index.ts";
export { clusterNetwork } from "./cluster-network.ts";
export {
	Gossip,
	type GossipMember,
	type GossipOptions,
	type MemberChange,
	type MemberState,
	primaryFirst,
	type SwarmKey,
} from "./gossip/index.ts";
export type { Executor, TaskController, TaskExit } from "./executor.ts";
export * from "./manager/index.ts";
export type * from "./objects.ts";
export { TASK_STATES } from "./objects.ts";
export { type Proposer, Store, type StoreEvent, type StoreSnapshot } from "./store/store.ts";
export type { Reader } from "./store/tables.ts";
export type { StoreAction, Transaction } from "./store/transaction.ts";
export type { RemoteManager } from "./agent/index.ts";
export { RpcError } from "./control/index.ts";
export type { ClusterLogicFactory } from "./cluster-logic.ts";
export type { SwarmInfo, SwarmInitOptions, SwarmJoinOptions, SwarmNodeOptions } from "./membership.ts";
export { SwarmNode } from "./node.ts";
