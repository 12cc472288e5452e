import { formatIp4 } from "../../addr/index.ts";
import type { NetworkPeer, NetworkTables, SettledTable, TableChange, TableEntry } from "../../cnm/index.ts";
import type { DropReason } from "../../drop.ts";
import { NetError } from "../../errors.ts";
import { type Rng, seconds } from "../../sim/index.ts";
import { networkdb } from "../../wire/index.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";
import { BulkSync, writeEvent } from "./bulk-sync.ts";
import { NODE_REAP_PERIOD } from "./cluster-nodes.ts";
import { NetworkDbDelegate } from "./networkdb-delegate.ts";
import type { Member } from "./member.ts";
import { someOf } from "./members.ts";
import { GOSSIP_INTERVAL, GOSSIP_NODES, PACKET_OCTETS } from "./scale.ts";
import { REAP_ENTRY, REAP_PERIOD, SharedState } from "./shared-state.ts";
import type { Entry } from "./tables.ts";
import { Ticker } from "./ticker.ts";
import type { Endpoint } from "./transport.ts";
import type { Clock } from "../clock.ts";

const { CHANGE, MEMBERSHIP, TYPE } = networkdb;
const BULK_SYNC_INTERVAL = seconds(30);
/** Nodes of which one is to be reached by a periodic bulk sync. */
const BULK_SYNC_NODES = 2;
/** What networkdb counts for a packet of events, and for each event in it. */
const COMPOUND_OCTETS = 5;
const COMPOUND_EACH_OCTETS = 4;

/** What networkdb needs from memberlist. */
export interface NetworkDbCarrier {
	/** There is something to be told to all. */
	readonly wake: () => void;
	readonly sendBestEffort: (to: Member, payload: Uint8Array) => void;
	readonly sendReliable: (to: Endpoint, payload: Uint8Array, done: (sent: boolean) => void) => void;
	readonly dropped: (reason: DropReason) => void;
	readonly log: (line: string) => void;
}

/**
 * Tables per network that all nodes of a network share: each node tells of its own entries, and passes on what it hears
 * (libnetwork's networkdb, Docker 20.10). Lamport clocks say which news is newer; bulk syncs mend what gossip lost.
 */
export class NetworkDb implements NetworkTables {
	readonly nodeName: string;
	readonly state: SharedState;
	/** What memberlist asks, and tells of others. */
	readonly delegate: NetworkDbDelegate;
	readonly #carrier: NetworkDbCarrier;
	readonly #rng: Rng;
	readonly #networkQueue: BroadcastQueue;
	readonly #nodeQueue: BroadcastQueue;
	readonly #bulkSync: BulkSync;
	readonly #gossip: Ticker;
	readonly #reaper: Ticker;
	readonly #tickers: readonly Ticker[];

	constructor(nodeName: string, clock: Clock, rng: Rng, carrier: NetworkDbCarrier) {
		this.nodeName = nodeName;
		this.#carrier = carrier;
		this.#rng = rng;
		const state = (this.state = new SharedState(nodeName, carrier.log));
		const cluster = (): number => state.nodes.in("active").size;
		this.#networkQueue = new BroadcastQueue(cluster);
		this.#nodeQueue = new BroadcastQueue(cluster);
		this.#bulkSync = new BulkSync({
			clock,
			nodeName,
			nodes: state.nodes,
			tables: state.tables,
			time: () => state.tableClock.time,
			common: (node) => state.common(node),
			send: carrier.sendReliable,
			log: carrier.log,
		});
		const ticks = rng.fork("ticks");
		const ticker = (period: number, action: (done: () => void) => void, needed?: () => boolean): Ticker =>
			new Ticker({ clock, rng: ticks, period, action, ...(needed === undefined ? {} : { needed }) });
		this.#gossip = ticker(
			GOSSIP_INTERVAL,
			(done) => {
				for (const [network, { queue }] of state.own) this.#tellSome(network, queue);
				done();
			},
			() => [...state.own.values()].some(({ queue }) => queue.size > 0),
		);
		this.#reaper = ticker(
			REAP_PERIOD,
			(done) => {
				state.reap();
				done();
			},
			() => state.tables.deleted > 0 || state.attachments.leaving > 0,
		);
		const bulkSyncs = ticker(BULK_SYNC_INTERVAL, (done) => {
			const networks = [...state.own.keys()];
			this.#syncNetworks(
				networks.filter((network) => state.attachments.has(network, nodeName)),
				done,
			);
		});
		const nodeReaper = ticker(NODE_REAP_PERIOD, (done) => {
			state.nodes.reap();
			done();
		});
		this.#tickers = [this.#reaper, this.#gossip, bulkSyncs, nodeReaper];
		this.delegate = new NetworkDbDelegate({
			state,
			networkQueue: this.#networkQueue,
			nodeQueue: this.#nodeQueue,
			bulkSync: this.#bulkSync,
			gossip: this.#gossip,
			reaper: this.#reaper,
			carrier,
		});
	}

	/** Begins to tell others. */
	start(): void {
		for (const ticker of this.#tickers) ticker.start();
	}

	/** Ends at once. */
	stop(): void {
		for (const ticker of this.#tickers) ticker.stop();
		this.#bulkSync.stop();
	}

	// ── for the engine ────────────────────────────────────────────────────────────────────────────

	joinNetwork(network: string): void {
		const { state, nodeName } = this;
		if (state.attachments.has(network, nodeName)) return;
		this.#sendNetworkEvent(MEMBERSHIP.JOIN, state.join(network), network);
		const own = state.own.get(network);
		this.#bulkSync.sync([...state.attachments.nodes(network)], "all", () => {
			if (own !== undefined) own.inSync = true;
		});
	}

	leaveNetwork(network: string): void {
		const { state, nodeName } = this;
		if (!state.attachments.has(network, nodeName)) return;
		const lTime = state.networkClock.increment();
		this.#sendNetworkEvent(MEMBERSHIP.LEAVE, lTime, network);
		state.leave(network, lTime);
		this.#reaper.wake();
	}

	create(table: string, network: string, key: string, value: Uint8Array): void {
		const { attachments, tables } = this.state;
		const at = `table ${table} with network id ${network} and key ${key}`;
		const context = { table, network, key };
		if (!attachments.has(network, this.nodeName))
			throw new NetError("ENOENT", `cannot create entry in ${at}, the network is not joined`, { context });
		if (tables.live(table, network, key) !== undefined)
			throw new NetError("EEXIST", `cannot create entry in ${at}, already exists`, { context });
		this.#change(CHANGE.CREATE, table, network, key, value);
	}

	update(table: string, network: string, key: string, value: Uint8Array): void {
		if (this.state.tables.live(table, network, key) === undefined) {
			throw new NetError(
				"ENOENT",
				`cannot update entry as the entry in table ${table} with network id ${network} and key ${key} does not exist`,
				{ context: { table, network, key } },
			);
		}
		this.#change(CHANGE.UPDATE, table, network, key, value);
	}

	delete(table: string, network: string, key: string): void {
		const entry = this.state.tables.live(table, network, key);
		if (entry === undefined) {
			throw new NetError(
				"ENOENT",
				`cannot delete entry ${table} with network id ${network} and key ${key} does not exist or is already being deleted`,
				{ context: { table, network, key } },
			);
		}
		this.#change(CHANGE.DELETE, table, network, key, entry.value);
	}

	entries(table: string, network: string): readonly TableEntry[] {
		return this.state.tables.entries(table, network);
	}

	peers(network: string): readonly NetworkPeer[] {
		const { nodes, silent, attachments } = this.state;
		const active = nodes.in("active");
		return attachments.nodes(network).map((name) => {
			const member = active.get(name)?.member ?? silent?.members.get(name);
			return { name, ip: member === undefined ? "unknown" : formatIp4(member.ip) };
		});
	}

	watch(
		table: string,
		listener: (change: TableChange) => void,
		settled: (table: SettledTable) => void,
	): () => void {
		return this.state.watchers.add(table, listener, settled);
	}

	#change(type: number, table: string, network: string, key: string, value: Uint8Array): void {
		const deleting = type === CHANGE.DELETE;
		const entry: Entry = {
			table,
			network,
			key,
			owner: this.nodeName,
			lTime: this.state.tableClock.increment(),
			value: value.slice(),
			deleting,
			reapTime: deleting ? REAP_ENTRY : 0,
		};
		this.state.tables.put(entry);
		this.state.own.get(network)?.queue.add({ name: `${table}/${key}`, message: writeEvent(entry, type) });
		this.#reaper.wake();
		this.#gossip.wake();
	}

	#sendNetworkEvent(type: number, lTime: number, networkId: string): void {
		const { nodeName } = this;
		const event = { type, lTime, nodeName, networkId };
		this.#networkQueue.add({
			name: `${networkId}/${nodeName}`,
			message: networkdb.write(TYPE.NETWORK_EVENT, networkdb.networkEvent, event),
		});
		this.#carrier.wake();
	}

	/** Tells all that this node is there, or leaves; `finished` is called when they were told often enough. */
	sendNodeEvent(type: number, finished: () => void): void {
		const { nodeName } = this;
		const event = { type, lTime: this.state.networkClock.increment(), nodeName };
		this.#nodeQueue.add({
			message: networkdb.write(TYPE.NODE_EVENT, networkdb.nodeEvent, event),
			finished,
		});
		this.#carrier.wake();
	}

	/** Fetches all entries from one node. */
	syncWith(node: string, done: () => void): void {
		this.#bulkSync.sync([node], "all", done);
	}

	// ── in rounds ─────────────────────────────────────────────────────────────────────────────────

	/** What is to be told of a network, to three of its nodes. */
	#tellSome(network: string, queue: BroadcastQueue): void {
		if (queue.size === 0) return;
		const { nodes, attachments } = this.state;
		const some = someOf(
			this.#rng,
			attachments.nodes(network),
			GOSSIP_NODES,
			(name) => name === this.nodeName,
		);
		const events = queue.take(COMPOUND_EACH_OCTETS, PACKET_OCTETS - COMPOUND_OCTETS);
		if (some.length === 0) return;
		const compound = networkdb.writeCompound(events);
		for (const name of some) {
			const node = nodes.in("active").get(name);
			if (node === undefined) break;
			this.#carrier.sendBestEffort(node.member, compound);
		}
	}

	/** Fetches the entries of networks, for each from one of its nodes; one exchange serves all networks shared with it. */
	#syncNetworks(networks: readonly string[], done: () => void): void {
		const [network, ...others] = networks;
		if (network === undefined) {
			done();
			return;
		}
		const nodes = someOf(
			this.#rng,
			this.state.attachments.nodes(network),
			BULK_SYNC_NODES,
			(name) => name === this.nodeName,
		);
		this.#bulkSync.sync(nodes, "one", (synced) => {
			this.#syncNetworks(
				others.filter((other) => synced?.includes(other) !== true),
				done,
			);
		});
	}
}
