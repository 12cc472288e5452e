import type { NetworkDriver } from "./driver.ts";
import type { Network } from "./network.ts";
import type { NetworkTables } from "./network-tables.ts";

/**
 * A node's share in the gossip of its cluster (libnetwork's agent): the cluster's networks that are on this node take
 * part, their drivers hear of other nodes' entries, and what their endpoints have to tell is told.
 */
export class Agent {
	readonly #drivers: ReadonlyMap<string, NetworkDriver>;
	readonly #networks: () => readonly Network[];
	#tables: NetworkTables | undefined;
	#watches: (() => void)[] = [];

	/** `networks`: those on this node. */
	constructor(drivers: ReadonlyMap<string, NetworkDriver>, networks: () => readonly Network[]) {
		this.#drivers = drivers;
		this.#networks = networks;
	}

	/** What the nodes of the cluster's networks share; undefined without a cluster. */
	get tables(): NetworkTables | undefined {
		return this.#tables;
	}

	/** The gossip runs: networks that are here take part (`agentSetup`). */
	start(tables: NetworkTables): void {
		this.stop();
		this.#tables = tables;
		for (const table of new Set([...this.#drivers.values()].flatMap((driver) => driver.tables ?? []))) {
			const driverOf = (id: string): NetworkDriver | undefined => {
				const network = this.#networks().find((each) => each.id === id);
				const takesPart = network?.tables !== undefined && network.driver.tables?.includes(table) === true;
				return takesPart ? network.driver : undefined;
			};
			const end = tables.watch(
				table,
				(change) => {
					driverOf(change.network)?.eventNotify?.(change);
				},
				(settled) => {
					driverOf(settled.network)?.eventSettled?.(settled);
				},
			);
			this.#watches.push(end);
		}
		for (const network of this.#networks()) {
			this.join(network);
			for (const endpoint of network.endpoints)
				if (endpoint.sandbox !== null) network.publish(endpoint, endpoint.sandbox);
		}
	}

	/** The gossip ends here. */
	stop(): void {
		for (const network of this.#networks()) this.leave(network);
		for (const end of this.#watches.splice(0)) end();
		this.#tables = undefined;
	}

	/** A network takes part; its driver hears of what is known (`joinCluster`, `addDriverWatches`). Nothing for a host's own. */
	join(network: Network): void {
		const tables = this.#tables;
		if (tables === undefined || network.about.scope === "local" || network.tables !== undefined) return;
		tables.joinNetwork(network.id);
		network.tables = tables;
		for (const table of network.driver.tables ?? []) {
			for (const { key, value, owner } of tables.entries(table, network.id)) {
				if (owner === tables.nodeName) continue;
				network.driver.eventNotify?.({ table, network: network.id, key, kind: "create", value, owner });
			}
		}
	}

	/** It takes part no longer. */
	leave(network: Network): void {
		if (network.tables === undefined) return;
		for (const endpoint of network.endpoints) endpoint.published.length = 0;
		network.tables.leaveNetwork(network.id);
		network.tables = undefined;
	}
}
