import type {
	NetworkPeer,
	NetworkTables,
	SettledTable,
	TableChange,
	TableEntry,
} from "../../src/cnm/index.ts";
import { SharedState } from "../../src/swarm/gossip/shared-state.ts";
import { settleStates } from "../../src/swarm/gossip/settle.ts";
import type { Entry } from "../../src/swarm/gossip/tables.ts";
import { networkdb } from "../../src/wire/index.ts";

const { CHANGE } = networkdb;

/** What one node of a cluster knows, by networkdb's rules; who tells it what, and when, is the test's. */
export class KnownTables implements NetworkTables {
	readonly nodeName: string;
	readonly state: SharedState;

	constructor(nodeName: string) {
		this.nodeName = nodeName;
		this.state = new SharedState(nodeName, () => undefined);
	}

	joinNetwork(network: string): void {
		if (!this.state.attachments.has(network, this.nodeName)) this.state.join(network);
	}

	leaveNetwork(network: string): void {
		this.state.leave(network, this.state.networkClock.increment());
	}

	/** It knows that another node takes part in a network. */
	meet(network: string, node: string): void {
		if (this.state.attachments.get(network, node) === undefined)
			this.state.attachments.join(network, node, 1);
	}

	create(table: string, network: string, key: string, value: Uint8Array): void {
		this.#put(table, network, key, value, false);
	}

	update(table: string, network: string, key: string, value: Uint8Array): void {
		this.#put(table, network, key, value, false);
	}

	delete(table: string, network: string, key: string): void {
		const value = this.state.tables.live(table, network, key)?.value ?? new Uint8Array(0);
		this.#put(table, network, key, value, true);
	}

	#put(table: string, network: string, key: string, value: Uint8Array, deleting: boolean): void {
		const lTime = this.state.tableClock.increment();
		const reapTime = deleting ? 1800e9 : 0;
		this.state.tables.put({
			table,
			network,
			key,
			owner: this.nodeName,
			lTime,
			value,
			deleting,
			reapTime,
		});
	}

	/** What this node says of a key. */
	said(table: string, network: string, key: string): Entry | undefined {
		return this.state.tables.get(table, network, key);
	}

	/** It is told of an entry by itself. */
	hear({ table, network, key, owner, lTime, value, deleting }: Entry): void {
		this.state.tableEvent(
			{
				type: deleting ? CHANGE.DELETE : CHANGE.CREATE,
				lTime,
				nodeName: owner,
				networkId: network,
				tableName: table,
				key,
				value,
				residualReapTime: deleting ? 1800 : 0,
			},
			"gossip",
		);
	}

	/** Nodes know all of each other at once. */
	static settle(nodes: readonly KnownTables[]): void {
		settleStates(nodes.map(({ state }) => state));
	}

	entries(table: string, network: string): readonly TableEntry[] {
		return this.state.tables.entries(table, network);
	}

	peers(): readonly NetworkPeer[] {
		return [];
	}

	watch(
		table: string,
		listener: (change: TableChange) => void,
		settled: (table: SettledTable) => void,
	): () => void {
		return this.state.watchers.add(table, listener, settled);
	}
}
