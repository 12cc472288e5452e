export type { RemoteManager } from "./agent/index.ts";
export { RpcError } from "./control/index.ts";
export type { NodeChange } from "./dispatcher/index.ts";
export type { Executor, TaskController, TaskExit } from "./executor.ts";
export type { LeaderLogic, LeaderLogicFactory } from "./leader-logic.ts";
export type { SwarmInfo, SwarmInitOptions, SwarmJoinOptions, SwarmNodeOptions } from "./membership.ts";
export { SwarmNode } from "./node.ts";
export type * from "./objects.ts";
export {
	Store,
	type StoreAction,
	type StoreEvent,
	type Proposer,
	type StoreSnapshot,
	type Transaction,
} from "./store/store.ts";
