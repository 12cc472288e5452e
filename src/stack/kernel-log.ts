import { type Instant, seconds } from "../sim/index.ts";

/** Lines kept: the oldest go first, as in the kernel's ring. */
const MOST_LINES = 2000;
/** `net.core.message_cost` and `message_burst`: ten messages about the network in five seconds. */
const WINDOW = seconds(5);
const BURST = 10;

/** One line of `dmesg`. */
export interface LogLine {
	readonly time: Instant;
	readonly text: string;
}

/** What the kernel of one machine says (`dmesg`). */
export class KernelLog {
	readonly #clock: { readonly now: Instant };
	readonly #lines: LogLine[] = [];
	#windowBegan: Instant = -WINDOW;
	#said = 0;

	constructor(clock: { readonly now: Instant }) {
		this.#clock = clock;
	}

	/** All lines, oldest first. */
	get lines(): readonly LogLine[] {
		return this.#lines;
	}

	/** Adds a line. */
	say(text: string): void {
		this.#lines.push({ time: this.#clock.now, text });
		if (this.#lines.length > MOST_LINES) this.#lines.shift();
	}

	/** Whether one more message about a packet may be said now; counts it if so (`net_ratelimit`). */
	mayWarn(): boolean {
		const { now } = this.#clock;
		if (now - this.#windowBegan >= WINDOW) {
			this.#windowBegan = now;
			this.#said = 0;
		}
		return ++this.#said <= BURST;
	}
}
