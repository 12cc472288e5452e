import type { Rng } from "../../sim/index.ts";
import type { Kernel } from "../../stack/index.ts";
import type { Clock } from "../manager/clock.ts";
import type { Store } from "../store/store.ts";
import type { ManagerStatusOf } from "./control-nodes.ts";
import type { ControlClient } from "./requests.ts";

/** What the commands on one manager share. */
export interface ManagerContext {
	/** This manager's copy. */
	readonly store: Store;
	/** The way to the leader. */
	readonly client: ControlClient;
	readonly kernel: Kernel;
	readonly clock: Clock;
	readonly rng: Rng;
	/** This node's id. */
	readonly nodeId: string;
	/** The name of a network of this engine's own, by name or id: such ones are not for services. */
	readonly localNetwork: (term: string) => string | undefined;
	/** What is known of a manager in the group; undefined for a node that is none. */
	readonly managerStatus: ManagerStatusOf;
}
