import { retransmitLimit } from "./scale.ts";

/** Something to be told to everybody. */
export interface Broadcast {
	readonly message: Uint8Array;
	/** What it is about: a newer broadcast about the same takes its place. */
	readonly name?: string;
	/** Called once when it is told no more: often enough, or something newer took its place. */
	readonly finished?: () => void;
}

interface Queued extends Broadcast {
	readonly id: number;
}

/**
 * Broadcasts, each to be sent a number of times that grows with the cluster (memberlist's TransmitLimitedQueue). What was
 * sent least comes first; of these the longest that fits, then the newest.
 */
export class BroadcastQueue {
	readonly #nodes: () => number;
	/** By how often they were sent; each in the order in which they are taken. */
	readonly #tiers: Queued[][] = [];
	readonly #named = new Map<string, { readonly queued: Queued; tier: number }>();
	#nextId = 0;
	#size = 0;

	/** `nodes` says how many there are in the cluster. */
	constructor(nodes: () => number) {
		this.#nodes = nodes;
	}

	/** Broadcasts that wait. */
	get size(): number {
		return this.#size;
	}

	/** Adds one; what it takes the place of is finished. */
	add(broadcast: Broadcast): void {
		const queued = { ...broadcast, id: this.#nextId++ };
		const { name } = queued;
		const old = name === undefined ? undefined : this.#named.get(name);
		if (old !== undefined) {
			const tier = this.#tiers[old.tier] ?? [];
			tier.splice(tier.indexOf(old.queued), 1);
			this.#size--;
		}
		this.#insert(queued, 0);
		old?.queued.finished?.();
	}

	/**
	 * Takes messages of at most `limit` octets in all, each costing `overhead` beyond its own, and counts them as sent.
	 */
	take(overhead: number, limit: number): Uint8Array[] {
		const taken: Uint8Array[] = [];
		if (this.#size === 0) return taken;
		const most = retransmitLimit(this.#nodes());
		const again: (readonly [Queued, number])[] = [];
		const over: Queued[] = [];
		let left = limit - overhead;
		for (const [tier, list] of this.#tiers.entries()) {
			for (let at = 0; left > 0 && (at = fitting(list, left, at)) < list.length;) {
				const [queued] = list.splice(at, 1);
				if (queued === undefined) break;
				this.#size--;
				left -= overhead + queued.message.length;
				taken.push(queued.message);
				if (tier + 1 < most) again.push([queued, tier + 1]);
				else over.push(queued);
			}
		}
		for (const [queued, tier] of again) this.#insert(queued, tier);
		for (const { name } of over) if (name !== undefined) this.#named.delete(name);
		for (const { finished } of over) finished?.();
		return taken;
	}

	#insert(queued: Queued, tier: number): void {
		while (this.#tiers.length <= tier) this.#tiers.push([]);
		const list = this.#tiers[tier] ?? [];
		let low = 0;
		for (let high = list.length; low < high;) {
			const middle = (low + high) >> 1;
			const other = list[middle];
			if (other !== undefined && isBefore(other, queued)) low = middle + 1;
			else high = middle;
		}
		list.splice(low, 0, queued);
		if (queued.name !== undefined) this.#named.set(queued.name, { queued, tier });
		this.#size++;
	}
}

const isBefore = (a: Queued, b: Queued): boolean =>
	a.message.length === b.message.length ? a.id > b.id : a.message.length > b.message.length;

/** Where the first message of at most `octets` is, from `from` on. */
function fitting(list: readonly Queued[], octets: number, from: number): number {
	let low = from;
	for (let high = list.length; low < high;) {
		const middle = (low + high) >> 1;
		if ((list[middle]?.message.length ?? 0) > octets) low = middle + 1;
		else high = middle;
	}
	return low;
}
