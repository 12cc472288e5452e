import type { Instant, Nanoseconds, Timer } from "../sim/index.ts";
import type { Kernel } from "../stack/index.ts";

/** Time as the daemons of a cluster see it. A lab's scheduler is one, too. */
export interface Clock {
	/** Nanoseconds of the lab. */
	readonly now: Instant;
	/** Fires `timer` after `delay`; an armed one is moved. */
	after(delay: Nanoseconds, timer: Timer): void;
	/** Fires `timer` at an instant; an armed one is moved. */
	at(due: Instant, timer: Timer): void;
}

/**
 * A machine's clock as programs in Go have it: exact, for their runtime sleeps by high-resolution timers. It stands still
 * while the machine is paused.
 */
export class MachineClock implements Clock {
	readonly #kernel: Kernel;

	constructor(kernel: Kernel) {
		this.#kernel = kernel;
	}

	get now(): Instant {
		return this.#kernel.world.scheduler.now;
	}

	after(delay: Nanoseconds, timer: Timer): void {
		timer.power = this.#kernel.power;
		this.#kernel.world.scheduler.after(delay, timer);
	}

	at(due: Instant, timer: Timer): void {
		timer.power = this.#kernel.power;
		this.#kernel.world.scheduler.at(due, timer);
	}
}
