import { type DropReason, isDrop } from "../../drop.ts";
import { networkdb } from "../../wire/index.ts";
import type { BroadcastQueue } from "./broadcast-queue.ts";
import type { BulkSync } from "./bulk-sync.ts";
import type { NetworkDbCarrier } from "./networkdb.ts";
import type { SharedState, Way } from "./shared-state.ts";
import type { Ticker } from "./ticker.ts";

const { CHANGE, MEMBERSHIP, TYPE } = networkdb;
/** A queue longer than this is not filled further from bulk syncs. */
const MOST_QUEUED_ON_SYNC = 500;
/** How often messages may lie in each other. */
const DEEPEST = 8;

/** The parts of networkdb that news of others goes to. */
export interface NetworkDbDelegateOptions {
	readonly state: SharedState;
	/** News for all nodes: of networks, of nodes. */
	readonly networkQueue: BroadcastQueue;
	readonly nodeQueue: BroadcastQueue;
	readonly bulkSync: BulkSync;
	/** Tells what lies in the networks' queues. */
	readonly gossip: Ticker;
	/** Forgets what was deleted. */
	readonly reaper: Ticker;
	readonly carrier: Pick<NetworkDbCarrier, "wake" | "dropped">;
}

/** Networkdb as memberlist sees it: messages that came in, news for all, what nodes that meet exchange (libnetwork's delegate.go). */
export class NetworkDbDelegate {
	readonly #state: SharedState;
	readonly #networkQueue: BroadcastQueue;
	readonly #nodeQueue: BroadcastQueue;
	readonly #bulkSync: BulkSync;
	readonly #gossip: Ticker;
	readonly #reaper: Ticker;
	readonly #carrier: NetworkDbDelegateOptions["carrier"];

	constructor({
		state,
		networkQueue,
		nodeQueue,
		bulkSync,
		gossip,
		reaper,
		carrier,
	}: NetworkDbDelegateOptions) {
		this.#state = state;
		this.#networkQueue = networkQueue;
		this.#nodeQueue = nodeQueue;
		this.#bulkSync = bulkSync;
		this.#gossip = gossip;
		this.#reaper = reaper;
		this.#carrier = carrier;
	}

	/** Whether anything is to be told to all. */
	get hasBroadcasts(): boolean {
		return this.#networkQueue.size > 0 || this.#nodeQueue.size > 0;
	}

	/** Takes what is to be told to all. Each queue fills the whole limit, as Docker 20.10 has it. */
	broadcasts(overhead: number, limit: number): Uint8Array[] {
		return [...this.#networkQueue.take(overhead, limit), ...this.#nodeQueue.take(overhead, limit)];
	}

	/** A message came in; its octets are valid during the call. */
	heard(payload: Uint8Array): void {
		this.#heard(payload, "gossip", 0);
		this.#reaper.wake();
	}

	/** What this node knows of who takes part in what; for a join as news. */
	localState(join: boolean): Uint8Array {
		const { networkClock, own, attachments, nodeName: self } = this.#state;
		if (join) {
			const lTime = networkClock.increment();
			for (const network of own.keys()) attachments.renew(network, self, lTime);
		}
		const networks = [...attachments.all()].map(([networkId, { lTime, node: nodeName, leaving }]) => ({
			networkId,
			lTime,
			nodeName,
			leaving,
		}));
		const state = { lTime: networkClock.time, nodeName: self, networks };
		return networkdb.write(TYPE.PUSH_PULL, networkdb.networkPushPull, state);
	}

	/** Takes over what another node knows. */
	mergeState(octets: Uint8Array): void {
		const message = networkdb.gossipMessage.read(octets);
		const known = isDrop(message) ? message : networkdb.networkPushPull.read(message.data);
		if (isDrop(known) || isDrop(message) || message.type !== TYPE.PUSH_PULL) {
			this.#carrier.dropped(isDrop(known) ? known : "networkdb-unknown");
			return;
		}
		const { lTime, nodeName, networks } = known;
		this.#state.nodeEvent({ type: MEMBERSHIP.JOIN, lTime, nodeName });
		for (const { leaving, ...entry } of networks)
			this.#state.networkEvent({ ...entry, type: leaving ? MEMBERSHIP.LEAVE : MEMBERSHIP.JOIN });
		this.#reaper.wake();
	}

	#heard(payload: Uint8Array, way: Way, depth: number): void {
		const message = networkdb.gossipMessage.read(payload);
		const why = isDrop(message) ? message : this.#take(message, way, depth);
		if (why !== undefined) this.#carrier.dropped(why);
	}

	#take({ type, data }: networkdb.GossipMessage, way: Way, depth: number): DropReason | undefined {
		const state = this.#state;
		switch (type) {
			case TYPE.NODE_EVENT: {
				const event = networkdb.nodeEvent.read(data);
				if (isDrop(event)) return event;
				if (state.nodeEvent(event)) this.#tellOn(this.#nodeQueue, type, data);
				return undefined;
			}
			case TYPE.NETWORK_EVENT: {
				const event = networkdb.networkEvent.read(data);
				if (isDrop(event)) return event;
				if (state.networkEvent(event))
					this.#tellOn(this.#networkQueue, type, data, `${event.networkId}/${event.nodeName}`);
				return undefined;
			}
			case TYPE.TABLE_EVENT: {
				const event = networkdb.tableEvent.read(data);
				if (isDrop(event)) return event;
				if (event.type < CHANGE.CREATE || event.type > CHANGE.DELETE) return "networkdb-unknown";
				const own = state.tableEvent(event, way) ? state.own.get(event.networkId) : undefined;
				if (own !== undefined && (way === "gossip" || own.queue.size <= MOST_QUEUED_ON_SYNC))
					this.#tellOn(own.queue, type, data, `${event.tableName}/${event.key}`);
				return undefined;
			}
			case TYPE.BULK_SYNC: {
				const sync = networkdb.bulkSyncMessage.read(data);
				if (isDrop(sync)) return sync;
				if (depth > DEEPEST) return "memberlist-nested";
				if (sync.lTime > 0) state.tableClock.witness(sync.lTime);
				this.#heard(sync.payload, "bulk", depth + 1);
				this.#bulkSync.heard(sync);
				return undefined;
			}
			case TYPE.COMPOUND: {
				if (depth > DEEPEST) return "memberlist-nested";
				const messages = networkdb.readCompound(data);
				if (isDrop(messages)) return messages;
				for (const each of messages) this.#heard(each, way, depth + 1);
				return undefined;
			}
			default:
				return "networkdb-unknown";
		}
	}

	/** Passes an event on as it was heard. */
	#tellOn(queue: BroadcastQueue, type: number, data: Uint8Array, name?: string): void {
		const message = networkdb.gossipMessage.write({ type, data });
		queue.add({ message, ...(name === undefined ? {} : { name }) });
		this.#carrier.wake();
		this.#gossip.wake();
	}
}
