export type { Executor, TaskController, TaskExit } from "./executor.ts";
export type * from "./objects.ts";
export { Store, type StoreAction, type StoreEvent, type Proposer, type StoreSnapshot, type Transaction } from "./store/store.ts";
