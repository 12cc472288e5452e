import { SettledTable } from "../../cnm/index.ts";
import type { SharedState } from "./shared-state.ts";
import type { Entry } from "./tables.ts";

/**
 * Lets nodes know of each other's networks and entries as if all had been told: who takes part where first, then what is
 * owned there. What all know alike is one table that they have in common, so that a cluster of thousands costs what is in
 * it, and not that times its nodes; a node that knows more, as of nodes that are not settled now, is told of each entry
 * for itself.
 */
export function settleStates(states: readonly SharedState[]): void {
	const networkTime = Math.max(...states.map(({ networkClock }) => networkClock.time));
	const tableTime = Math.max(...states.map(({ tableClock }) => tableClock.time));
	const networks = new Set(states.flatMap(({ own }) => [...own.keys()]));
	for (const network of networks) {
		const inside = states.filter(({ attachments, nodeName }) => attachments.has(network, nodeName));
		const parts = inside.flatMap(({ attachments, nodeName }) => attachments.get(network, nodeName) ?? []);
		const byNode = new Map(parts.map((part) => [part.node, part]));
		const common = { byNode, nodes: [...byNode.keys()] };
		for (const { attachments } of states) attachments.settle(network, common);
		for (const table of tablesOf(network, inside)) settleTable(table, inside);
		for (const { own } of inside) {
			const here = own.get(network);
			if (here !== undefined) here.inSync = true;
		}
	}
	for (const { networkClock, tableClock } of states) {
		networkClock.witness(networkTime);
		tableClock.witness(tableTime);
	}
}

/** What the nodes of a network own there, by table: what they knew alike before first, as it was heard first. */
function tablesOf(network: string, inside: readonly SharedState[]): SettledTable<Entry>[] {
	const layers = inside.map(({ tables }) => tables.layers(network));
	const states = new Map(inside.map((state) => [state.nodeName, state]));
	const before = [...new Set(layers.flatMap(({ common }) => common))].flatMap((each) => [...each.values()]);
	const owned = [
		...before.filter((entry) => {
			const { table, key, owner } = entry;
			return states.get(owner)?.tables.get(table, network, key) === entry;
		}),
		...layers.flatMap(({ own }, i) =>
			own.filter(({ owner, deleting }) => owner === inside[i]?.nodeName && !deleting).sort(byKey),
		),
	];
	const tables = new Map<string, Map<string, Entry>>();
	for (const entry of owned) {
		let entries = tables.get(entry.table);
		if (entries === undefined) tables.set(entry.table, (entries = new Map<string, Entry>()));
		entries.set(entry.key, entry);
	}
	return [...tables].map(([table, entries]) => new SettledTable(table, network, entries));
}

const byKey = (a: Entry, b: Entry): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

/** All nodes of a network know what one of its tables says. */
function settleTable(settled: SettledTable<Entry>, inside: readonly SharedState[]): void {
	const missing = new Map<ReadonlyMap<string, Entry>, readonly string[]>();
	const missingOf = (below: ReadonlyMap<string, Entry>): readonly string[] => {
		let keys = missing.get(below);
		if (keys === undefined) {
			const lost = [...below.values()].filter((entry) => settled.entries.get(entry.key) !== entry);
			missing.set(below, (keys = lost.map(({ key }) => key)));
		}
		return keys;
	};
	for (const { tables, watchers } of inside) {
		if (tables.fits(settled, missingOf)) {
			tables.lay(settled);
			watchers.tellSettled(settled);
			continue;
		}
		for (const entry of settled.entries.values()) {
			const before = tables.get(entry.table, entry.network, entry.key);
			if (before !== undefined && before.lTime >= entry.lTime) continue;
			tables.put(entry);
			watchers.tell(before, entry);
		}
	}
}
