import { type Nanoseconds, seconds } from "../../sim/index.ts";
import { networkdb } from "../../wire/index.ts";
import { Attachments } from "./attachments.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";
import { ClusterNodes, type CommonNodes } from "./cluster-nodes.ts";
import { LamportClock } from "./lamport-clock.ts";
import { type Entry, Tables, Watchers } from "./tables.ts";

const { CHANGE, MEMBERSHIP } = networkdb;
/** Between two looks at what was deleted. */
export const REAP_PERIOD: Nanoseconds = seconds(5);
/** How long deleted entries are kept. */
export const REAP_ENTRY: Nanoseconds = seconds(30 * 60);
/** How long networks that were left are remembered: a little longer, so that no entry outlives its network. */
export const REAP_NETWORK: Nanoseconds = REAP_ENTRY + 5 * REAP_PERIOD;
/** Deleted entries that nobody knew here are told on only when this much of their time is left. */
const WORTH_TELLING = REAP_ENTRY / 6;

/** A network that this node takes part in, or left not long ago. */
export interface OwnNetwork {
	/** What is to be told to the network's nodes. */
	readonly queue: BroadcastQueue;
	/** Entries of all nodes were fetched once. */
	inSync: boolean;
}

/** By which way an event came: gossip may be old, what comes by TCP is not. */
export type Way = "gossip" | "bulk";

/**
 * What a node knows of nodes, networks and tables, and the rules by which events change it (libnetwork's delegate.go). A
 * rule says whether the event was news that others should hear, too.
 */
export class SharedState {
	readonly nodeName: string;
	readonly networkClock: LamportClock = new LamportClock();
	readonly tableClock: LamportClock = new LamportClock();
	readonly attachments: Attachments = new Attachments();
	readonly tables: Tables = new Tables();
	readonly watchers: Watchers = new Watchers();
	readonly own: Map<string, OwnNetwork> = new Map();
	readonly nodes: ClusterNodes;
	readonly #log: (line: string) => void;
	/** Nodes that are known to be there and are not spoken to. */
	silent: CommonNodes | undefined;

	constructor(nodeName: string, log: (line: string) => void) {
		this.nodeName = nodeName;
		this.#log = log;
		this.nodes = new ClusterNodes((name) => {
			if (name !== nodeName) this.#forget(name);
		}, log);
	}

	/** Networks that this node and another one take part in. */
	common(node: string): string[] {
		return [...this.own.keys()].filter((network) => this.attachments.has(network, node));
	}

	/** This node takes part in a network from now on; the Lamport time of that. */
	join(network: string): number {
		const lTime = this.networkClock.increment();
		this.attachments.join(network, this.nodeName, lTime);
		const queue = new BroadcastQueue(() => this.attachments.nodes(network).length);
		this.own.set(network, { queue, inSync: false });
		return lTime;
	}

	/** This node takes part no longer: its entries are deleted, those of others forgotten. */
	leave(network: string, lTime: number): void {
		for (const entry of this.tables.all(network)) {
			if (entry.owner !== this.nodeName) this.tables.remove(entry);
			else if (!entry.deleting) this.tables.put(deleted(entry, entry.lTime + 1));
		}
		this.attachments.leave(network, this.nodeName, lTime, REAP_NETWORK);
	}

	/** A node says that it is there, or leaves. */
	nodeEvent({ type, lTime, nodeName }: networkdb.NodeEvent): boolean {
		this.networkClock.witness(lTime);
		const node = this.nodes.find(nodeName);
		if (node === undefined || node.lTime >= lTime) return false;
		this.nodes.heard(nodeName, lTime);
		// One that memberlist does not have would never be found to be gone.
		if (node.state !== "active") {
			this.#log(`node: ${nodeName} is unknown to memberlist`);
			return false;
		}
		return type === MEMBERSHIP.LEAVE && nodeName !== this.nodeName && this.nodes.change(nodeName, "left");
	}

	/** A node takes part in a network, or no longer. */
	networkEvent({ type, lTime, nodeName, networkId }: networkdb.NetworkEvent): boolean {
		this.networkClock.witness(lTime);
		if (nodeName === this.nodeName) return false;
		const leaves = type === MEMBERSHIP.LEAVE;
		const known = this.attachments.get(networkId, nodeName);
		if (known === undefined) {
			if (leaves || !this.nodes.in("active").has(nodeName)) return false;
			this.attachments.join(networkId, nodeName, lTime);
			return true;
		}
		if (known.lTime >= lTime) return false;
		if (!leaves) this.attachments.join(networkId, nodeName, lTime);
		else {
			this.attachments.leave(networkId, nodeName, lTime, REAP_NETWORK);
			for (const entry of this.tables.all(networkId)) {
				if (entry.owner !== nodeName || entry.deleting) continue;
				const now = deleted(entry, entry.lTime);
				this.tables.put(now);
				this.watchers.tell(entry, now);
			}
		}
		return true;
	}

	/** An entry was made, changed or deleted. */
	tableEvent(event: networkdb.TableEvent, way: Way): boolean {
		const { type, lTime, nodeName, networkId, tableName, key, value } = event;
		if (nodeName === this.nodeName) return false;
		this.tableClock.witness(lTime);
		const own = this.own.get(networkId);
		if (
			own === undefined ||
			!this.attachments.has(networkId, this.nodeName) ||
			!this.attachments.has(networkId, nodeName)
		)
			return false;
		const before = this.tables.get(tableName, networkId, key);
		const deletes = type === CHANGE.DELETE;
		if (before === undefined ? deletes && way === "gossip" : before.lTime >= lTime) return false;
		const reapTime = seconds(Math.max(event.residualReapTime, 0));
		const now: Entry = {
			table: tableName,
			network: networkId,
			key,
			owner: nodeName,
			lTime,
			value: value.slice(),
			deleting: deletes,
			reapTime: deletes && reapTime === 0 ? REAP_ENTRY : reapTime,
		};
		this.tables.put(now);
		if (before === undefined && deletes) return own.inSync && now.reapTime > WORTH_TELLING;
		this.watchers.tell(before, now);
		return own.inSync;
	}

	/** A node is gone from the cluster, and with it all that it owned. */
	#forget(node: string): void {
		this.attachments.forget(node);
		for (const entry of this.tables.ofOwner(node)) {
			this.tables.remove(entry);
			this.watchers.tell(entry, deleted(entry, entry.lTime));
		}
	}

	/** A period has passed for all that was deleted. */
	reap(): void {
		this.tables.reap(REAP_PERIOD);
		for (const [network, node] of this.attachments.reap(REAP_PERIOD))
			if (node === this.nodeName) this.own.delete(network);
	}
}

/** An entry as it is once it was deleted. */
function deleted({ table, network, key, owner, value }: Entry, lTime: number): Entry {
	return { table, network, key, owner, value, lTime, deleting: true, reapTime: REAP_ENTRY };
}
