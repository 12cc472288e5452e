import type { Scheduler, Timer } from "./scheduler.ts";

/**
 * Whether a machine runs. While it is paused its timers that come due wait, and all of them fire, in the order in which
 * they were due, when it goes on: as those of a virtual machine that was stopped do.
 */
export class Power {
	#on = true;
	#held: Timer[] = [];

	/** False while the machine is paused. */
	get on(): boolean {
		return this.#on;
	}

	/** Stops the machine. */
	pause(): void {
		this.#on = false;
	}

	/** It goes on. */
	resume(scheduler: Scheduler): void {
		this.#on = true;
		const held = this.#held;
		this.#held = [];
		for (const timer of held) if (timer.release()) scheduler.at(scheduler.now, timer);
	}

	/** A timer came due while the machine is paused. Called by the timer. */
	hold(timer: Timer): void {
		this.#held.push(timer);
	}
}
