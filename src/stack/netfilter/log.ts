import type { Scheduler } from "../../sim/index.ts";

/** Lines kept; older ones fall out, as they do of the kernel's ring buffer. */
const MOST_LINES = 10_000;

/** One line of the kernel's log. */
export interface LogLine {
	/** Virtual nanoseconds since the lab's epoch. */
	readonly time: number;
	readonly text: string;
}

/** What the kernel says of a namespace's packets: lines of LOG rules, and of a full table (`dmesg`). */
export class Log {
	readonly lines: LogLine[] = [];
	/** Called with each line. */
	readonly listeners: ((line: LogLine) => void)[] = [];
	readonly #scheduler: Scheduler;

	constructor(scheduler: Scheduler) {
		this.#scheduler = scheduler;
	}

	/** Adds a line. */
	write(text: string): void {
		const line = { time: this.#scheduler.now, text };
		this.lines.push(line);
		if (this.lines.length > MOST_LINES) this.lines.splice(0, this.lines.length - MOST_LINES);
		for (const listener of this.listeners) listener(line);
	}
}
