import type { Rng } from "../../sim/index.ts";
import type { Kernel } from "../../stack/index.ts";
import { kernelClock } from "../manager/clock.ts";
import type { Store } from "../store/store.ts";
import { ClusterNetworks } from "./cluster-networks.ts";
import type { ManagerStatusOf } from "./control-nodes.ts";
import type { ManagerContext } from "./manager-context.ts";
import { Nodes } from "./nodes.ts";
import type { ControlClient } from "./requests.ts";
import { Services } from "./services.ts";

/** What a manager's commands work on. */
export interface ManagerApiOptions {
	/** This manager's copy of the cluster's state. */
	readonly store: Store;
	/** The way to the leader: its own `ControlApi`, or what sends requests there. */
	readonly client: ControlClient;
	/** This machine's: time, and what drives the clock while somebody waits. */
	readonly kernel: Kernel;
	/** A stream of its own: names of services that are given none. */
	readonly rng: Rng;
	/** This node's id. */
	readonly nodeId: string;
	/** The name of a network of this engine's own, by name or id. */
	readonly localNetwork?: (term: string) => string | undefined;
	/** What is known of a manager in the group; undefined for a node that is none. */
	readonly managerStatus?: ManagerStatusOf;
}

/** What a user calls on a manager: `docker service …`, `docker node …`, the cluster's part of `docker network …`. */
export class ManagerApi {
	readonly services: Services;
	readonly nodes: Nodes;
	readonly networks: ClusterNetworks;

	constructor({ store, client, kernel, rng, nodeId, localNetwork, managerStatus }: ManagerApiOptions) {
		const context: ManagerContext = {
			store,
			client,
			kernel,
			rng,
			nodeId,
			clock: kernelClock(kernel),
			localNetwork: localNetwork ?? (() => undefined),
			managerStatus: managerStatus ?? ((id) => store.get("node", id)?.managerStatus),
		};
		this.services = new Services(context);
		this.nodes = new Nodes(context);
		this.networks = new ClusterNetworks(context);
	}
}
