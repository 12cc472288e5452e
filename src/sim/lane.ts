import type { Instant, Nanoseconds } from "./time.ts";

/** Takes what was queued for it, when it is due. */
export interface Sink<T extends object = object> {
	deliver(item: T): void;
}

/** What a lane needs of the clock it belongs to. */
export interface LaneClock {
	readonly now: Instant;
	/** The next number of the order in which things were asked for. */
	nextSequence(): number;
	/** Called when a lane must grow: the place to stop a flood that has no end. */
	checkPending(): void;
}

const FIRST_CAPACITY = 64;
/** Holds the place of a delivery that was made ahead of its time. */
const DONE = {};
const NOBODY: Sink = { deliver: () => undefined };

/**
 * The queue of deliveries that all wait the same time: the hop over a veth pair, a cable. Because the wait
 * is the same, what was put in first is due first: a ring of parallel arrays, no object per delivery.
 */
export class Lane {
	readonly delay: Nanoseconds;
	readonly #clock: LaneClock;
	#due = new Float64Array(FIRST_CAPACITY);
	#sequence = new Float64Array(FIRST_CAPACITY);
	#sinks: (Sink | null)[] = new Array<Sink | null>(FIRST_CAPACITY).fill(null);
	#items: (object | null)[] = new Array<object | null>(FIRST_CAPACITY).fill(null);
	#mask = FIRST_CAPACITY - 1;
	#head = 0;
	/** Deliveries that wait. */
	size = 0;
	/** When the first delivery is due; Infinity when none waits. */
	headDue: Instant = Infinity;
	/** The place of the first delivery in the order of asking. */
	headSequence = 0;

	constructor(delay: Nanoseconds, clock: LaneClock) {
		this.delay = delay;
		this.#clock = clock;
	}

	/** Queues `item` for `sink`, due `delay` from now. */
	push<T extends object>(sink: Sink<T>, item: T): void {
		if (this.size > this.#mask) this.#grow();
		const slot = (this.#head + this.size) & this.#mask;
		const due = this.#clock.now + this.delay;
		const sequence = this.#clock.nextSequence();
		if (this.size === 0) {
			this.headDue = due;
			this.headSequence = sequence;
		}
		this.#due[slot] = due;
		this.#sequence[slot] = sequence;
		this.#sinks[slot] = sink;
		this.#items[slot] = item;
		this.size++;
	}

	/** Makes the first delivery. Only for a lane that is not empty. */
	shift(): void {
		const head = this.#head;
		const sink = this.#sinks[head]!;
		const item = this.#items[head]!;
		this.#items[head] = null;
		const next = (head + 1) & this.#mask;
		this.#head = next;
		if (--this.size === 0) {
			this.headDue = Infinity;
		} else {
			this.headDue = this.#due[next]!;
			this.headSequence = this.#sequence[next]!;
		}
		sink.deliver(item);
	}

	/** Makes what waits for one sink now, in its order, ahead of its time; all else keeps its place. */
	hurry(wanted: Sink<never>): void {
		// What is put in meanwhile waits as long as anything else.
		for (let i = 0, waiting = this.size; i < waiting; i++) {
			// Asked anew each time: the ring may have grown.
			const slot = (this.#head + i) & this.#mask;
			const sink = this.#sinks[slot]!;
			if (sink !== wanted) continue;
			const item = this.#items[slot]!;
			this.#sinks[slot] = NOBODY;
			this.#items[slot] = DONE;
			sink.deliver(item);
		}
	}

	#grow(): void {
		this.#clock.checkPending();
		const capacity = (this.#mask + 1) * 2;
		const due = new Float64Array(capacity);
		const sequence = new Float64Array(capacity);
		const sinks = new Array<Sink | null>(capacity).fill(null);
		const items = new Array<object | null>(capacity).fill(null);
		for (let i = 0; i < this.size; i++) {
			const from = (this.#head + i) & this.#mask;
			due[i] = this.#due[from]!;
			sequence[i] = this.#sequence[from]!;
			sinks[i] = this.#sinks[from]!;
			items[i] = this.#items[from]!;
		}
		[this.#due, this.#sequence, this.#sinks, this.#items] = [due, sequence, sinks, items];
		this.#mask = capacity - 1;
		this.#head = 0;
	}
}
