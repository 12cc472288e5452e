import type { Nanoseconds } from "../../sim/index.ts";
import { AWARENESS_MAX } from "./scale.ts";

/** How well this node itself does, by what became of its probes: 0 is well (Lifeguard's; memberlist's awareness.go). */
export class Awareness {
	#score = 0;

	/** 0 to 7. */
	get score(): number {
		return this.#score;
	}

	/** Better (below 0) or worse. */
	apply(delta: number): void {
		this.#score = Math.min(Math.max(this.#score + delta, 0), AWARENESS_MAX - 1);
	}

	/** A time, longer the worse it does. */
	scale(time: Nanoseconds): Nanoseconds {
		return time * (this.#score + 1);
	}
}
