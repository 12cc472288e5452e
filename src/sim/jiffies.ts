import type { Instant, Nanoseconds } from "./time.ts";

/** Slots of one level of the wheel as powers of two: 64 slots, each level 8 times coarser (kernel/time/timer.c). */
const LEVEL_SLOTS = 64;
const LEVEL_SHIFT = 3;
const LEVELS = 9;
/** Ticks of a slot of each level, and the ticks from which on a wait is for the next one. */
const GRANULES: readonly number[] = Array.from({ length: LEVELS }, (_, level) => 2 ** (level * LEVEL_SHIFT));
const LIMITS: readonly number[] = GRANULES.map((granule) => (LEVEL_SLOTS - 1) * granule);

/**
 * The lateness of a Linux timer. The kernel counts time in jiffies, and its timer wheel fires a timer at the
 * end of the slot it lies in: the longer the wait, the coarser the slots (1, 8, 64 … jiffies). At 250 Hz a
 * timer of one second fires 4 to 36 ms late, one of five seconds up to 260 ms: the recordings show it.
 *
 * Reference: `calc_index`, `calc_wheel_index` in kernel/time/timer.c (6.1).
 */
export class Jiffies {
	readonly #tick: Nanoseconds;
	readonly #phase: Nanoseconds;
	/** The instant last asked for, and its tick: much happens at one. */
	#askedAt: Instant = -1;
	#asked = 0;

	/** `phase` is where between two ticks the lab's epoch lies. */
	constructor({ hz, phase }: { readonly hz: number; readonly phase: Nanoseconds }) {
		this.#tick = Math.round(1e9 / hz);
		this.#phase = phase;
	}

	/** Ticks up to an instant. */
	jiffiesAt(now: Instant): number {
		if (now !== this.#askedAt) {
			this.#askedAt = now;
			this.#asked = Math.floor((now + this.#phase) / this.#tick);
		}
		return this.#asked;
	}

	/** A time in ticks, rounded up (`nsecs_to_jiffies`). */
	ticks(delay: Nanoseconds): number {
		return Math.ceil(delay / this.#tick);
	}

	/** Ticks in nanoseconds. */
	nanoseconds(ticks: number): Nanoseconds {
		return ticks * this.#tick;
	}

	/**
	 * The whole second next to a tick, so that timers that need not be exact fire together (`round_jiffies`): the one
	 * before while less than a quarter of a second has passed, unless that is over.
	 */
	rounded(now: Instant, expires: number): number {
		const second = Math.round(1e9 / this.#tick);
		const passed = expires % second;
		const whole = passed < second >> 2 ? expires - passed : expires - passed + second;
		return whole > this.jiffiesAt(now) ? whole : expires;
	}

	/** When a timer armed now for `delay` fires. */
	expiry(now: Instant, delay: Nanoseconds): Instant {
		return this.fires(now, this.jiffiesAt(now) + this.ticks(delay));
	}

	/** When a timer armed now for the tick `expires` fires. */
	fires(now: Instant, expires: number): Instant {
		const clock = this.jiffiesAt(now);
		let level = 0;
		while (level < LEVELS - 1 && expires - clock >= LIMITS[level]!) level++;
		const granule = GRANULES[level]!;
		const slot = (Math.floor(Math.max(expires, clock) / granule) + 1) * granule;
		return Math.max(now, slot * this.#tick - this.#phase);
	}
}
