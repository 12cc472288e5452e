/** Far beyond what any cluster counts to, and a number that a message can carry. */
const LATEST = Number.MAX_SAFE_INTEGER - 1;

/** Counts events, so that what was caused comes after its cause on all nodes (serf's LamportClock). */
export class LamportClock {
	#time = 0;

	/** The time now. */
	get time(): number {
		return this.#time;
	}

	/** Something happens here: the time of it. */
	increment(): number {
		if (this.#time < LATEST) this.#time++;
		return this.#time;
	}

	/** Something happened elsewhere at `time`: what happens here is later from now on. */
	witness(time: number): void {
		if (time >= this.#time) this.#time = Math.min(time + 1, LATEST);
	}
}
