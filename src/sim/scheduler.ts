import { assert } from "../assert.ts";
import { Lane, type LaneClock, type Sink } from "./lane.ts";
import type { Power } from "./power.ts";
import type { Instant, Nanoseconds } from "./time.ts";
import { TimerWheel } from "./timer-wheel.ts";

/** Deliveries that may wait at once; more are a flood without end. */
const MOST_PENDING = 4_000_000;

/** Something to do at an instant, armed and cancelled as often as needed without a new object. */
export class Timer {
	readonly #action: () => void;
	/** The wheel's entry while armed. */
	node = -1;
	/** When it fires, while armed. */
	due: Instant = 0;

	constructor(action: () => void) {
		this.#action = action;
	}

	/** True from arming to firing or cancelling. */
	get pending(): boolean {
		return this.node >= 0;
	}

	/** Set by the scheduler that armed it. */
	disarm: ((timer: Timer) => void) | null = null;
	/** The machine it belongs to, if it stands still while that one does. */
	power: Power | null = null;
	#held = false;

	/** Does nothing when the timer is not armed. */
	cancel(): void {
		if (this.node >= 0) this.disarm?.(this);
		this.#held = false;
	}

	/** Called by the scheduler. */
	fire(): void {
		this.node = -1;
		if (this.power !== null && !this.power.on) {
			this.#held = true;
			this.power.hold(this);
			return;
		}
		this.#action();
	}

	/** Its machine goes on: whether it still waits to fire, not armed anew nor cancelled since it came due. */
	release(): boolean {
		const held = this.#held;
		this.#held = false;
		return held;
	}
}

/**
 * The one clock of a lab, and the order of everything in it.
 *
 * Deliveries over wires wait in lanes, one FIFO ring per distinct delay; timers and deliveries with a delay
 * of their own wait in the timing wheel. What is due first comes first; of things due at the same
 * instant, what was asked for first. Time moves only by `step`, `run` and `runUntil`, and never back.
 */
export class Scheduler implements LaneClock {
	#now: Instant = 0;
	#halted = false;
	#sequence = 0;
	readonly #lanes: Lane[] = [];
	readonly #wheel = new TimerWheel();
	readonly #timers: Sink<Timer> = {
		deliver: (timer) => {
			timer.fire();
		},
	};
	readonly #disarm = (timer: Timer): void => {
		this.#wheel.remove(timer.node);
		timer.node = -1;
	};
	readonly #mostPending: number;
	/** Called when too much waits; throws the error that ends the run. */
	onOverflow: (pending: number) => void = (pending) => {
		throw new Error(`${String(pending)} deliveries wait at once: a flood without end`);
	};

	constructor({ maxPending = MOST_PENDING }: { readonly maxPending?: number } = {}) {
		this.#mostPending = maxPending;
	}

	/** Virtual nanoseconds since the lab's epoch. */
	get now(): Instant {
		return this.#now;
	}

	nextSequence(): number {
		return this.#sequence++;
	}

	checkPending(): void {
		const { pending } = this;
		if (pending >= this.#mostPending) this.onOverflow(pending);
	}

	/** Deliveries and timers that wait. */
	get pending(): number {
		let sum = this.#wheel.size;
		for (const lane of this.#lanes) sum += lane.size;
		return sum;
	}

	/** True when nothing is left to happen. */
	get idle(): boolean {
		return this.pending === 0;
	}

	/** The queue of deliveries that wait `delay`: one per distinct delay. */
	lane(delay: Nanoseconds): Lane {
		assert(Number.isInteger(delay) && delay >= 0, "a delay is whole nanoseconds, not negative");
		const known = this.#lanes.find((lane) => lane.delay === delay);
		if (known !== undefined) return known;
		const lane = new Lane(delay, this);
		this.#lanes.push(lane);
		return lane;
	}

	/** Fires `timer` after `delay`; an armed timer is moved. */
	after(delay: Nanoseconds, timer: Timer): void {
		this.at(this.#now + delay, timer);
	}

	/** Fires `timer` at an instant; an armed timer is moved. */
	at(due: Instant, timer: Timer): void {
		assert(due >= this.#now, "nothing is asked for in the past");
		timer.cancel();
		timer.disarm = this.#disarm;
		timer.due = due;
		timer.node = this.#wheel.add(due, this.#sequence++, this.#timers, timer);
	}

	/**
	 * Fires `timer` at a tick of a machine's clock. Of timers at one tick the one armed last fires first, and all
	 * of them before anything else of that instant: Linux puts timers at the head of their slot's list.
	 */
	atTick(due: Instant, timer: Timer): void {
		assert(due >= this.#now, "nothing is asked for in the past");
		timer.cancel();
		timer.disarm = this.#disarm;
		timer.due = due;
		timer.node = this.#wheel.add(due, -this.#sequence++, this.#timers, timer);
	}

	/** Delivers `item` to `sink` after a delay of its own. */
	wire<T extends object>(sink: Sink<T>, item: T, delay: Nanoseconds): void {
		assert(delay >= 0, "nothing is asked for in the past");
		if ((this.#sequence & 0xfff) === 0) this.checkPending();
		this.#wheel.add(this.#now + delay, this.#sequence++, sink, item);
	}

	/** When the next thing happens; undefined when nothing is left. */
	get nextDue(): Instant | undefined {
		let due = this.#wheel.headDue;
		for (const lane of this.#lanes) if (lane.headDue < due) due = lane.headDue;
		return due === Infinity ? undefined : due;
	}

	/** Does the next thing, if there is one. */
	step(): boolean {
		return this.#run(Infinity, 1) === 1;
	}

	/** Does everything due up to an instant, that instant included; then it is that instant. */
	runUntil(instant: Instant): number {
		const done = this.#run(instant, Infinity);
		if (instant > this.#now) this.#now = instant;
		return done;
	}

	/** Does what is due up to an instant, but no more than `most` things, and stops at `halt`. Says how many were done. */
	run(until: Instant = Infinity, most: number = Infinity): number {
		return this.#run(until, most);
	}

	/** Ends the present `run` when the thing being done is done. */
	halt(): void {
		this.#halted = true;
	}

	/** Asked of a method, since what is done in between may have called `halt`. */
	#isStopped(): boolean {
		return this.#halted;
	}

	#run(until: Instant, most: number): number {
		const lanes = this.#lanes;
		const wheel = this.#wheel;
		let done = 0;
		this.#halted = false;
		while (done < most) {
			let due = wheel.headDue;
			let sequence = wheel.headSequence;
			// What comes after it, of the lanes alone.
			let nextDue = Infinity;
			let nextSequence = Infinity;
			let first: Lane | null = null;
			for (let i = 0; i < lanes.length; i++) {
				const lane = lanes[i]!;
				const laneDue = lane.headDue;
				if (laneDue < due || (laneDue === due && lane.headSequence < sequence)) {
					if (first !== null) {
						nextDue = due;
						nextSequence = sequence;
					}
					first = lane;
					due = laneDue;
					sequence = lane.headSequence;
				} else if (laneDue < nextDue || (laneDue === nextDue && lane.headSequence < nextSequence)) {
					nextDue = laneDue;
					nextSequence = lane.headSequence;
				}
			}
			if (due > until || due === Infinity) break;
			this.#now = due;
			if (first === null) {
				done++;
				wheel.shift();
				if (this.#isStopped()) break;
				continue;
			}
			// A burst waits in one lane: what is asked for meanwhile comes later, unless it is a timer's.
			do {
				done++;
				first.shift();
			} while (
				!this.#isStopped() &&
				done < most &&
				first.headDue === due &&
				wheel.headDue > due &&
				(due < nextDue || first.headSequence < nextSequence)
			);
			if (this.#isStopped()) break;
		}
		return done;
	}
}
