import type { SettledTable, TableChange, TableEntry } from "../../cnm/index.ts";
import { LayeredMap } from "../../layered-map.ts";
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

type Keyed = LayeredMap<string, Entry>;

/** Tables by network, table and key. What nodes that were settled know alike lies below what they heard since. */
export class Tables {
	readonly #networks = new Map<string, Map<string, Keyed>>();
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
		const entries = this.#keyed(entry.table, entry.network);
		if (entries.get(entry.key)?.deleting === true) this.#deleted--;
		if (entry.deleting) this.#deleted++;
		entries.set(entry.key, entry);
	}

	#keyed(table: string, network: string): Keyed {
		let tables = this.#networks.get(network);
		if (tables === undefined) this.#networks.set(network, (tables = new Map<string, Keyed>()));
		let entries = tables.get(table);
		if (entries === undefined) tables.set(table, (entries = new LayeredMap()));
		return entries;
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
	all(network: string): Entry[] {
		const tables = [...(this.#networks.get(network) ?? [])].sort(byName);
		return tables.flatMap(([, entries]) => [...entries].sort(byName).map(([, entry]) => entry));
	}

	/** All entries that a node owns. */
	ofOwner(owner: string): Entry[] {
		const found: Entry[] = [];
		for (const tables of this.#networks.values())
			for (const entries of tables.values())
				for (const entry of entries.values()) if (entry.owner === owner) found.push(entry);
		return found;
	}

	/** `period` has passed: deleted entries are forgotten when their time is over. */
	reap(period: Nanoseconds): void {
		if (this.#deleted === 0) return;
		// Nothing that nodes have in common was deleted.
		const own = [...this.#networks.values()].flatMap((tables) =>
			[...tables.values()].flatMap((entries) => [...entries.own.values()]),
		);
		for (const entry of own) {
			if (!entry.deleting) continue;
			if (entry.reapTime > 0) entry.reapTime -= period;
			else this.remove(entry);
		}
	}

	// ── what is known by many ─────────────────────────────────────────────────────────────────────

	/** The layers of a network's tables: what is here alone, and the maps that many have in common. */
	layers(network: string): { readonly own: Entry[]; readonly common: ReadonlyMap<string, Entry>[] } {
		const tables = [...(this.#networks.get(network)?.values() ?? [])];
		return {
			own: tables.flatMap(({ own }) => [...own.values()]),
			common: tables.flatMap(({ common }) => common ?? []),
		};
	}

	/**
	 * Whether a table that many have in common says all that is known here, and nothing that is known to be over here, so that
	 * it may be laid below. `missing` tells what of another common table is not in it.
	 */
	fits(
		settled: SettledTable<Entry>,
		missing: (below: ReadonlyMap<string, Entry>) => readonly string[],
	): boolean {
		const entries = this.#networks.get(settled.network)?.get(settled.table);
		if (entries === undefined) return true;
		for (const [key, entry] of entries.own) {
			const there = settled.entries.get(key);
			if (entry.deleting ? there !== undefined : there !== entry) return false;
		}
		const { common } = entries;
		return common === undefined || missing(common).every((key) => entries.get(key)?.deleting ?? true);
	}

	/** Lays a table that many have in common below what is known here; it `fits`. */
	lay(settled: SettledTable<Entry>): void {
		this.#keyed(settled.table, settled.network).lay(settled.entries);
	}
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);

interface Watcher {
	readonly changed: (change: TableChange) => void;
	readonly settled: (table: SettledTable) => void;
}

/** Who looks at which table. */
export class Watchers {
	readonly #byTable = new Map<string, Set<Watcher>>();

	/** Calls back for each change told of a table, and for a table that is known as a whole; returns what ends it. */
	add(
		table: string,
		changed: (change: TableChange) => void,
		settled: (table: SettledTable) => void,
	): () => void {
		const watcher = { changed, settled };
		const watchers = this.#byTable.get(table) ?? new Set();
		this.#byTable.set(table, watchers.add(watcher));
		return () => {
			watchers.delete(watcher);
		};
	}

	/** Tells of a table that is now known as a whole. */
	tellSettled(table: SettledTable): void {
		for (const { settled } of [...(this.#byTable.get(table.table) ?? [])]) settled(table);
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
		for (const { changed } of [...(this.#byTable.get(table) ?? [])]) changed(change);
	}
}
