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
export type * from "./objects.ts";
export { Store, type StoreAction, type StoreEvent, type Proposer, type Transaction } from "./store/store.ts";
