import type { SharedState } from "./shared-state.ts";
import type { Entry } from "./tables.ts";

/**
 * Lets nodes know of each other's networks and entries as if all had been told: who takes part where first, then what is
 * owned there, a node's own before what it heard. Entries are the same objects on all nodes. Those who watch a table are told
 * of each entry once.
 */
export function settleStates(states: readonly SharedState[]): void {
	const networkTime = Math.max(...states.map(({ networkClock }) => networkClock.time));
	const tableTime = Math.max(...states.map(({ tableClock }) => tableClock.time));
	const networks = new Set(states.flatMap(({ own }) => [...own.keys()]));
	for (const network of networks) {
		const inside = states.filter(({ attachments, nodeName }) => attachments.has(network, nodeName));
		for (const { attachments, nodeName } of inside) {
			const lTime = attachments.get(network, nodeName)?.lTime ?? 0;
			for (const each of states) {
				if (each.attachments.get(network, nodeName) === undefined)
					each.attachments.join(network, nodeName, lTime);
			}
		}
		const owned = inside.flatMap(({ tables, nodeName }) =>
			tables.ofNetwork(network).filter(({ owner, deleting }) => owner === nodeName && !deleting),
		);
		for (const state of inside) {
			for (const entry of owned) take(state, entry);
			const own = state.own.get(network);
			if (own !== undefined) own.inSync = true;
		}
	}
	for (const { networkClock, tableClock } of states) {
		networkClock.witness(networkTime);
		tableClock.witness(tableTime);
	}
}

function take({ tables, watchers }: SharedState, entry: Entry): void {
	const before = tables.get(entry.table, entry.network, entry.key);
	if (before !== undefined && before.lTime >= entry.lTime) return;
	tables.put(entry);
	watchers.tell(before, entry);
}
