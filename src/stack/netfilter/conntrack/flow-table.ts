import { invertPorts, STATUS, type Flow, type Tuple } from "./flow.ts";

/** Few: most namespaces track next to nothing. */
const FIRST_BUCKETS = 16;

/** Spreads a tuple under a key; the same cost for all. */
function hashTuple(
	key: number,
	source: number,
	destination: number,
	ports: number,
	protocol: number,
): number {
	let h = Math.imul(source ^ key, 0x9e37_79b1);
	h = Math.imul(h ^ (h >>> 15) ^ destination, 0x85eb_ca6b);
	h = Math.imul(h ^ (h >>> 13) ^ ports, 0xc2b2_ae35);
	h ^= (h >>> 16) ^ Math.imul(protocol, 0x27d4_eb2f);
	return h ^ (h >>> 15);
}

/**
 * All tuples of all confirmed flows, found by what a packet says. Chained buckets that double when they are as
 * many as the tuples; nothing is allocated to look.
 */
export class FlowTable {
	/** Flows in the table. */
	size = 0;
	/** The first of the list of all flows, by age. */
	oldest: Flow | null = null;
	#newest: Flow | null = null;
	readonly #key: number;
	#buckets: (Tuple | null)[] = new Array<Tuple | null>(FIRST_BUCKETS).fill(null);

	/** `key` makes the buckets' order the machine's own. */
	constructor(key: number) {
		this.#key = key;
	}

	/** The tuple packets with these fields belong to, expired or not. */
	find(source: number, destination: number, ports: number, protocol: number): Tuple | null {
		const hash = hashTuple(this.#key, source, destination, ports, protocol);
		let tuple: Tuple | null = this.#buckets[hash & (this.#buckets.length - 1)]!;
		while (tuple !== null) {
			if (
				tuple.ports === ports &&
				tuple.source === source &&
				tuple.destination === destination &&
				tuple.protocol === protocol
			)
				return tuple;
			tuple = tuple.next;
		}
		return null;
	}

	/** Whether packets that answer such ones would be taken for another flow's (`nf_conntrack_tuple_taken`). */
	isAnswerTaken(source: number, destination: number, ports: number, flow: Flow): boolean {
		const { protocol } = flow;
		const found = this.find(destination, source, invertPorts(protocol, ports), protocol);
		return found !== null && found.flow !== flow;
	}

	add(flow: Flow): void {
		if (this.size >= this.#buckets.length >> 1) this.#grow();
		this.size++;
		flow.older = this.#newest;
		if (this.#newest === null) this.oldest = flow;
		else this.#newest.newer = flow;
		this.#newest = flow;
		this.#insert(flow.original);
		this.#insert(flow.reply);
	}

	#insert(tuple: Tuple): void {
		tuple.hash = hashTuple(this.#key, tuple.source, tuple.destination, tuple.ports, tuple.protocol);
		const at = tuple.hash & (this.#buckets.length - 1);
		tuple.next = this.#buckets[at]!;
		this.#buckets[at] = tuple;
	}

	#grow(): void {
		this.#buckets = new Array<Tuple | null>(this.#buckets.length * 4).fill(null);
		for (let flow = this.oldest; flow !== null; flow = flow.newer) {
			this.#insert(flow.original);
			this.#insert(flow.reply);
		}
	}

	/** All flows, oldest first. */
	all(): Flow[] {
		const flows: Flow[] = [];
		for (let flow = this.oldest; flow !== null; flow = flow.newer) flows.push(flow);
		return flows;
	}

	/** Takes out a flow that is in. */
	remove(flow: Flow): void {
		this.size--;
		if (flow.older === null) this.oldest = flow.newer;
		else flow.older.newer = flow.newer;
		if (flow.newer === null) this.#newest = flow.older;
		else flow.newer.older = flow.older;
		flow.older = null;
		flow.newer = null;
		this.#unlink(flow.original);
		this.#unlink(flow.reply);
	}

	#unlink(gone: Tuple): void {
		const at = gone.hash & (this.#buckets.length - 1);
		let tuple: Tuple | null = this.#buckets[at]!;
		if (tuple === gone) this.#buckets[at] = gone.next;
		else {
			while (tuple !== null && tuple.next !== gone) tuple = tuple.next;
			if (tuple !== null) tuple.next = gone.next;
		}
		gone.next = null;
	}

	/**
	 * A flow to give up for a new one: the first that is not assured in the buckets around a tuple, eight of them
	 * at most (`early_drop`).
	 */
	victim(source: number, destination: number, ports: number, protocol: number): Flow | undefined {
		const first = hashTuple(this.#key, source, destination, ports, protocol);
		for (let i = 0; i < 8; i++) {
			let tuple: Tuple | null = this.#buckets[(first + i) & (this.#buckets.length - 1)]!;
			for (; tuple !== null; tuple = tuple.next) {
				if ((tuple.flow.status & STATUS.assured) === 0) return tuple.flow;
			}
		}
		return undefined;
	}
}
