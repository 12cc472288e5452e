import type { NetError } from "../errors.ts";
import type { Store } from "./store/store.ts";

/** What decides for the cluster: the allocator, the scheduler, the orchestrators. One at a time, on the node that leads. */
export interface ClusterLogic {
	/** The node leads, and its store has everything that was agreed upon. */
	start(): void;
	/** It leads no longer: nothing more may be written. */
	stop(): void;
	/**
	 * A call of the control API, `CreateService` for example, with plain data; false for one that it does not know. Ends
	 * with plain data, or refused: an `RpcError` keeps its code on the way to a node that asked from elsewhere.
	 */
	call?(
		name: string,
		request: unknown,
		done: (result: { readonly body: unknown } | NetError) => void,
	): boolean;
}

/** Made for each time that the node leads. */
export type ClusterLogicFactory = (store: Store) => ClusterLogic;
