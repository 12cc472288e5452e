import { type Instant, microseconds, type Nanoseconds, type Rng, Timer } from "../../sim/index.ts";
import type { Clock } from "../clock.ts";

/** How late a goroutine may run after its time came. */
const LATEST = microseconds(800);

/** What a ticker does, and when it may rest. */
export interface TickerOptions {
	readonly clock: Clock;
	/** How late each tick is. */
	readonly rng: Rng;
	readonly period: Nanoseconds;
	/** Done at a tick. It calls `done` at once or later; ticks until then become one. */
	readonly action: (done: () => void) => void;
	/** Whether there is something to do at the next tick; always, unless said. */
	readonly needed?: () => boolean;
}

/**
 * Go's `time.Ticker` with a loop that reads it: ticks come at whole periods from its beginning, never at others, and one
 * that comes while the loop is busy waits for it. A ticker that is not needed has no timer; `wake` brings it back into
 * its step. Ticks are not rounded to the kernel's, for Go sleeps by high-resolution timers; they are late by what it takes
 * until the goroutine runs.
 */
export class Ticker {
	readonly #options: TickerOptions;
	readonly #timer: Timer;
	#start: Instant = 0;
	#running = false;
	#busy = false;
	/** The tick that is being worked on, or was last. */
	#tick = 0;

	constructor(options: TickerOptions) {
		this.#options = options;
		this.#timer = new Timer(() => {
			this.#work();
		});
	}

	/** Begins: the first tick comes after one period. */
	start(): void {
		this.#start = this.#options.clock.now;
		this.#running = true;
		this.wake();
	}

	/** Ends for good; what is being worked on is not waited for. */
	stop(): void {
		this.#running = false;
		this.#timer.cancel();
	}

	/** There may be something to do again. */
	wake(): void {
		if (!this.#running || this.#busy || this.#timer.pending || !this.#isNeeded()) return;
		this.#arm(this.#passed() + 1);
	}

	#isNeeded(): boolean {
		return this.#options.needed?.() ?? true;
	}

	/** Ticks that came so far. */
	#passed(): number {
		return Math.floor((this.#options.clock.now - this.#start) / this.#options.period);
	}

	#arm(tick: number): void {
		const { clock, rng, period } = this.#options;
		clock.at(this.#start + tick * period + rng.below(LATEST), this.#timer);
	}

	#work(): void {
		this.#busy = true;
		this.#tick = this.#passed();
		let finished = false;
		this.#options.action(() => {
			if (finished) return;
			finished = true;
			this.#busy = false;
			if (!this.#running || this.#timer.pending || !this.#isNeeded()) return;
			// A tick that came meanwhile was kept.
			if (this.#passed() > this.#tick) this.#options.clock.after(0, this.#timer);
			else this.#arm(this.#tick + 1);
		});
	}
}
