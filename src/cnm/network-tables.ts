/** One change of a table that the nodes of a network share. */
export interface TableChange {
	/** `overlay_peer_table`, `endpoint_table`. */
	readonly table: string;
	readonly network: string;
	/** The id of an endpoint. */
	readonly key: string;
	/** By what was known here before, not by what the event said. */
	readonly kind: "create" | "update" | "delete";
	/** What the entry is now; what it was, when it is deleted. Not to be changed. */
	readonly value: Uint8Array;
	/** What it was before an update. */
	readonly previous?: Uint8Array;
	/** The name in the gossip of the node that owns the entry. */
	readonly owner: string;
}

/** An entry of a table. */
export interface TableEntry {
	readonly key: string;
	readonly value: Uint8Array;
	readonly owner: string;
}

/**
 * All entries of a table of a network, as its nodes know them when all were told all: one object that the nodes have in
 * common. What each of them would make of it for itself is made once, by `derived`.
 */
export class SettledTable<E extends TableEntry = TableEntry> {
	readonly table: string;
	readonly network: string;
	/** By key; nobody changes it. Each node's own entries are there, too. */
	readonly entries: ReadonlyMap<string, E>;
	readonly #derived = new Map<unknown, unknown>();

	constructor(table: string, network: string, entries: ReadonlyMap<string, E>) {
		this.table = table;
		this.network = network;
		this.entries = entries;
	}

	/** What `make` makes of the table: made for the first who asks with this function, the same object for all others. */
	derived<T>(make: (table: SettledTable) => T): T {
		const known = this.#derived.get(make);
		if (known !== undefined) return known as T;
		const made = make(this);
		this.#derived.set(make, made);
		return made;
	}
}

/** A node that takes part in a network. */
export interface NetworkPeer {
	/** Its name in the gossip, twelve hexadecimal digits. */
	readonly name: string;
	readonly ip: string;
}

/**
 * What a global network's driver and the names of services need of the gossip (libnetwork's networkdb): tables per
 * network, that each node writes its own entries of and reads all. Declared here, implemented by `swarm/gossip`; tests
 * bring tables of their own.
 */
export interface NetworkTables {
	/** This node's name in the gossip. */
	readonly nodeName: string;
	/** This node takes part in a network from now on: it hears of its entries and others of this node's. */
	joinNetwork(network: string): void;
	/** It takes part no longer: its own entries go everywhere, and all entries here without a change told. */
	leaveNetwork(network: string): void;
	/** Makes an entry of this node's. Throws `NetError` EEXIST, or ENOENT when it does not take part. */
	create(table: string, network: string, key: string, value: Uint8Array): void;
	/** Throws `NetError` ENOENT. */
	update(table: string, network: string, key: string, value: Uint8Array): void;
	/** Throws `NetError` ENOENT. */
	delete(table: string, network: string, key: string): void;
	/** What is known now, own entries too. */
	entries(table: string, network: string): readonly TableEntry[];
	/** Nodes that take part, this one too. */
	peers(network: string): readonly NetworkPeer[];
	/**
	 * Calls back for each change of other nodes' entries in a table; returns what ends it. `settled` is told of a whole table
	 * that this node now has in common with others: nothing that it knew is missing there.
	 */
	watch(
		table: string,
		listener: (change: TableChange) => void,
		settled: (table: SettledTable) => void,
	): () => void;
}
