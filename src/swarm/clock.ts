import type { Instant, Nanoseconds, Timer } from "../sim/index.ts";
import type { Kernel } from "../stack/index.ts";

/** A machine's time as its daemon has it: to the nanosecond, and standing still while the machine is paused. */
export class Clock {
	readonly #kernel: Kernel;

	constructor(kernel: Kernel) {
		this.#kernel = kernel;
	}

	/** Virtual nanoseconds since the lab's epoch. */
	get now(): Instant {
		return this.#kernel.world.scheduler.now;
	}

	/** Fires `timer` after `delay`; an armed timer is moved. */
	after(delay: Nanoseconds, timer: Timer): void {
		timer.power = this.#kernel.power;
		this.#kernel.world.scheduler.after(delay, timer);
	}
}
