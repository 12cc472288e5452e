import { seconds, Timer } from "../../sim/index.ts";
import { networkdb } from "../../wire/index.ts";
import type { ClusterNodes } from "./cluster-nodes.ts";
import type { Entry, Tables } from "./tables.ts";
import type { Endpoint } from "./transport.ts";
import type { Clock } from "../clock.ts";

const { CHANGE, TYPE } = networkdb;
/** How long an answer is waited for. */
const ANSWER_TIMEOUT = seconds(30);

/** What bulk syncs are made of. */
export interface BulkSyncParts {
	readonly clock: Clock;
	readonly nodeName: string;
	readonly nodes: ClusterNodes;
	readonly tables: Tables;
	/** The Lamport time of tables. */
	readonly time: () => number;
	/** Networks that this node and another one take part in. */
	readonly common: (node: string) => readonly string[];
	readonly send: (to: Endpoint, payload: Uint8Array, done: (sent: boolean) => void) => void;
	readonly log: (line: string) => void;
}

/** Exchanges all entries of the networks that two nodes share, by TCP (libnetwork's cluster.go, `bulkSyncNode`). */
export class BulkSync {
	readonly #parts: BulkSyncParts;
	/** Who is called when a node answers. */
	readonly #awaited = new Map<string, () => void>();
	readonly #timers = new Set<Timer>();

	constructor(parts: BulkSyncParts) {
		this.#parts = parts;
	}

	/**
	 * Syncs with nodes, one after the other: with `all`, or else until one was reached. `done` gets the networks that were
	 * synced with the last one; undefined when it was not reached.
	 */
	sync(
		nodes: readonly string[],
		reach: "all" | "one",
		done: (synced: readonly string[] | undefined) => void,
	): void {
		let synced: readonly string[] | undefined = [];
		const next = (at: number): void => {
			const node = nodes[at];
			if (node === undefined) {
				done(synced);
				return;
			}
			if (node === this.#parts.nodeName) {
				next(at + 1);
				return;
			}
			const networks = this.#parts.common(node);
			this.#syncWith(node, networks, (reached) => {
				synced = reached ? networks : undefined;
				if (!reached)
					this.#parts.log(`bulk sync to node ${node} failed: failed to send a TCP message during bulk sync`);
				next(reached && reach === "one" ? nodes.length : at + 1);
			});
		};
		next(0);
	}

	#syncWith(node: string, networks: readonly string[], done: (reached: boolean) => void): void {
		const answered = (): void => {
			this.#cancel(patience);
			this.#awaited.delete(node);
			done(true);
		};
		const patience = new Timer(() => {
			this.#timers.delete(patience);
			this.#parts.log(`Bulk sync to node ${node} timed out`);
			answered();
		});
		if (!this.#isKnown(node)) {
			done(true);
			return;
		}
		this.#awaited.set(node, answered);
		this.#send(node, networks, true, (sent) => {
			if (!sent) {
				this.#awaited.delete(node);
				done(false);
			} else if (this.#awaited.get(node) === answered) {
				this.#timers.add(patience);
				this.#parts.clock.after(ANSWER_TIMEOUT, patience);
			}
		});
	}

	/** A node sent its entries, which were taken over: it is answered if it wants that. */
	heard({ nodeName, networks, unsolicited }: networkdb.BulkSyncMessage): void {
		if (!unsolicited) this.#awaited.get(nodeName)?.();
		else if (this.#isKnown(nodeName)) this.#send(nodeName, networks, false, () => undefined);
	}

	/** Nobody waits any more. */
	stop(): void {
		for (const timer of this.#timers) timer.cancel();
		this.#timers.clear();
		this.#awaited.clear();
	}

	#isKnown(node: string): boolean {
		return this.#parts.nodes.in("active").has(node);
	}

	#cancel(timer: Timer): void {
		timer.cancel();
		this.#timers.delete(timer);
	}

	#send(
		node: string,
		networks: readonly string[],
		unsolicited: boolean,
		done: (sent: boolean) => void,
	): void {
		const { nodes, nodeName, tables, time, send } = this.#parts;
		const to = nodes.in("active").get(node)?.member;
		if (to === undefined) {
			done(true);
			return;
		}
		const events = networks.flatMap((network) => tables.all(network).map(eventOf));
		const message = {
			lTime: time(),
			unsolicited,
			nodeName,
			networks,
			payload: networkdb.writeCompound(events),
		};
		send(to, networkdb.write(TYPE.BULK_SYNC, networkdb.bulkSyncMessage, message), done);
	}
}

/** An entry as the event that made it; octets of live ones are kept with them. */
function eventOf(entry: Entry): Uint8Array {
	if (entry.octets !== undefined) return entry.octets;
	const octets = writeEvent(entry, entry.deleting ? CHANGE.DELETE : CHANGE.CREATE);
	if (!entry.deleting) entry.octets = octets;
	return octets;
}

/** An entry as an event. */
export function writeEvent(entry: Entry, type: number): Uint8Array {
	const { lTime, owner, network, table, key, value, reapTime } = entry;
	return networkdb.write(TYPE.TABLE_EVENT, networkdb.tableEvent, {
		type,
		lTime,
		nodeName: owner,
		networkId: network,
		tableName: table,
		key,
		value,
		residualReapTime: Math.trunc(reapTime / seconds(1)),
	});
}
