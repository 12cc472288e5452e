import type { TableChange, TableEntry } from "../../cnm/index.ts";
import type { Nanoseconds } from "../../sim/index.ts";

/** An entry of a table, also when it was deleted. */
export interface Entry {
	readonly table: string;
	readonly network: string;
	readonly key: string;
	/** Who owns it. */
	readonly owner: string;
	readonly lTime: number;
	readonly value: Uint8Array;
	/** It was deleted: kept so that nobody takes older news for newer. */
	readonly deleting: boolean;
	/** How long it is still kept, when it was deleted. */
	reapTime: Nanoseconds;
	/** It as the octets of an event, once somebody asked for them. */
	octets?: Uint8Array;
}

/** Tables by network, table and key. */
export class Tables {
	readonly #networks = new Map<string, Map<string, Map<string, Entry>>>();
	#deleted = 0;

	/** How many deleted entries are kept. */
	get deleted(): number {
		return this.#deleted;
	}

	/** An entry, also when it was deleted. */
	get(table: string, network: string, key: string): Entry | undefined {
		return this.#networks.get(network)?.get(table)?.get(key);
	}

	/** An entry that was not deleted. */
	live(table: string, network: string, key: string): Entry | undefined {
		const entry = this.get(table, network, key);
		return entry?.deleting === true ? undefined : entry;
	}

	/** Puts an entry in place of what was there. */
	put(entry: Entry): void {
		const { network, table, key } = entry;
		let tables = this.#networks.get(network);
		if (tables === undefined) this.#networks.set(network, (tables = new Map<string, Map<string, Entry>>()));
		let entries = tables.get(table);
		if (entries === undefined) tables.set(table, (entries = new Map<string, Entry>()));
		if (entries.get(key)?.deleting === true) this.#deleted--;
		if (entry.deleting) this.#deleted++;
		entries.set(key, entry);
	}

	/** Takes an entry away without a trace. */
	remove({ network, table, key, deleting }: Entry): void {
		if (deleting) this.#deleted--;
		const tables = this.#networks.get(network);
		const entries = tables?.get(table);
		entries?.delete(key);
		if (entries?.size === 0) tables?.delete(table);
		if (tables?.size === 0) this.#networks.delete(network);
	}

	/** What is known of a table, in the order of the keys' making. */
	entries(table: string, network: string): TableEntry[] {
		const entries = this.#networks.get(network)?.get(table)?.values() ?? [];
		return [...entries]
			.filter(({ deleting }) => !deleting)
			.map(({ key, value, owner }) => ({ key, value, owner }));
	}

	/** All entries of a network, by table and key, deleted ones too. */
	ofNetwork(network: string): Entry[] {
		const tables = [...(this.#networks.get(network) ?? [])].sort(byName);
		return tables.flatMap(([, entries]) => [...entries].sort(byName).map(([, entry]) => entry));
	}

	/** All entries that a node owns. */
	ofOwner(owner: string): Entry[] {
		return [...this.#all()].filter((entry) => entry.owner === owner);
	}

	/** `period` has passed: deleted entries are forgotten when their time is over. */
	reap(period: Nanoseconds): void {
		if (this.#deleted === 0) return;
		for (const entry of [...this.#all()]) {
			if (!entry.deleting) continue;
			if (entry.reapTime > 0) entry.reapTime -= period;
			else this.remove(entry);
		}
	}

	*#all(): Generator<Entry> {
		for (const tables of this.#networks.values())
			for (const entries of tables.values()) yield* entries.values();
	}
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);

/** Who looks at which table. */
export class Watchers {
	readonly #byTable = new Map<string, Set<(change: TableChange) => void>>();

	/** Calls back for each change told of a table; returns what ends it. */
	add(table: string, listener: (change: TableChange) => void): () => void {
		const told = (change: TableChange): void => {
			listener(change);
		};
		const listeners = this.#byTable.get(table) ?? new Set();
		this.#byTable.set(table, listeners.add(told));
		return () => {
			listeners.delete(told);
		};
	}

	/** Tells of an entry's change, by what it was before. */
	tell(before: Entry | undefined, now: Entry): void {
		const was = before?.deleting === false ? before : undefined;
		if (was === undefined && now.deleting) return;
		const { table, network, key, owner } = now;
		const change: TableChange = {
			table,
			network,
			key,
			owner,
			kind: now.deleting ? "delete" : was === undefined ? "create" : "update",
			value: now.deleting && was !== undefined ? was.value : now.value,
			...(was === undefined || now.deleting ? {} : { previous: was.value }),
		};
		for (const listener of [...(this.#byTable.get(table) ?? [])]) listener(change);
	}
}
