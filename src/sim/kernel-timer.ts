import type { Jiffies } from "./jiffies.ts";
import { type Scheduler, Timer } from "./scheduler.ts";

/**
 * A `struct timer_list`: armed for a tick of a machine's clock, it fires when the machine's timer wheel comes to it.
 * Times here are ticks (jiffies).
 */
export class KernelTimer {
	readonly #scheduler: Scheduler;
	readonly #jiffies: Jiffies;
	readonly #timer: Timer;
	#expires = 0;

	constructor(scheduler: Scheduler, jiffies: Jiffies, action: () => void) {
		this.#scheduler = scheduler;
		this.#jiffies = jiffies;
		this.#timer = new Timer(action);
	}

	/** True while armed (`timer_pending`). */
	get pending(): boolean {
		return this.#timer.pending;
	}

	/** Ticks left until it is due, 0 when it is not armed: what `brctl showstp` prints. */
	get left(): number {
		return this.pending ? Math.max(0, this.#expires - this.#jiffies.jiffiesAt(this.#scheduler.now)) : 0;
	}

	/** Arms it for `ticks` from now, or moves it there (`mod_timer`). */
	after(ticks: number): void {
		this.#arm(this.#jiffies.jiffiesAt(this.#scheduler.now) + ticks);
	}

	/** Arms it for the whole second near `ticks` from now (`round_jiffies`). */
	afterRounded(ticks: number): void {
		const { now } = this.#scheduler;
		this.#arm(this.#jiffies.rounded(now, this.#jiffies.jiffiesAt(now) + ticks));
	}

	#arm(expires: number): void {
		this.#expires = expires;
		this.#scheduler.atTick(this.#jiffies.fires(this.#scheduler.now, expires), this.#timer);
	}

	/** Does nothing when it is not armed (`del_timer`). */
	cancel(): void {
		this.#timer.cancel();
	}
}
