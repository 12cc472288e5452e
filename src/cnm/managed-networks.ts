import type { ClusterNetwork } from "./cluster.ts";
import type { Departures } from "./departures.ts";
import type { Network } from "./network.ts";
import type { NetworkStore } from "./networks.ts";

/** The cluster's networks on this node, and who needs each of them here. */
export class ManagedNetworks {
	readonly #store: NetworkStore;
	readonly #departures: Departures;
	readonly #users = new Map<string, Set<string>>();

	constructor(store: NetworkStore, departures: Departures) {
		this.#store = store;
		this.#departures = departures;
	}

	/** `user`, a task's or container's id, needs a network: made when it is not here. Throws `DockerError`, nothing changed. */
	need(network: ClusterNetwork, user: string): Network {
		const made = this.#store.instantiate(network);
		const users = this.#users.get(network.id) ?? new Set<string>();
		this.#users.set(network.id, users.add(user));
		return made;
	}

	/** `user` needs it no longer: it goes with the last one, unless containers are on it. */
	drop(id: string, user: string): void {
		const users = this.#users.get(id);
		users?.delete(user);
		const network = this.#store.all.find((each) => each.id === id);
		if ((users?.size ?? 0) > 0 || network?.about.scope !== "swarm") return;
		this.#departures.finish(network);
		if (network.endpoints.some(({ loadBalancer }) => !loadBalancer)) return;
		this.#users.delete(id);
		this.#store.release(network);
	}

	/** Nobody needs it any more. */
	forget(id: string): void {
		this.#users.delete(id);
	}
}
