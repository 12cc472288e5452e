import { type Instant, Timer } from "../../sim/index.ts";
import { type SuspicionTerms, suspicionTerms, suspicionTimeout } from "./scale.ts";
import type { Clock } from "../clock.ts";

/**
 * A node is under suspicion: unless it is cleared it is dead after a time that gets shorter with every other node that
 * suspects it, too (Lifeguard's; memberlist's suspicion.go).
 */
export class Suspicion {
	readonly #clock: Clock;
	readonly #terms: SuspicionTerms;
	readonly #start: Instant;
	readonly #timer: Timer;
	/** Who suspected it first, and who confirmed. */
	readonly #from: Set<string>;
	#confirmed = 0;

	/** Begins in a cluster of `nodes`; `dead` is called when the time is over. */
	constructor(clock: Clock, nodes: number, from: string, dead: () => void) {
		this.#clock = clock;
		this.#terms = suspicionTerms(nodes);
		this.#start = clock.now;
		this.#from = new Set([from]);
		this.#timer = new Timer(dead);
		clock.after(suspicionTimeout(this.#terms, 0), this.#timer);
	}

	/** Somebody suspects it. True when that is news: from another one, and wanted still. */
	confirm(from: string): boolean {
		if (this.#confirmed >= this.#terms.confirmations || this.#from.has(from)) return false;
		this.#from.add(from);
		this.#confirmed++;
		const due = this.#start + suspicionTimeout(this.#terms, this.#confirmed);
		this.#clock.at(Math.max(due, this.#clock.now), this.#timer);
		return true;
	}

	/** It is cleared, or dead by somebody else's word. */
	cancel(): void {
		this.#timer.cancel();
	}
}
