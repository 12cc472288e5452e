import { timestamp } from "../../cnm/index.ts";
import type { Instant, Nanoseconds, Timer } from "../../sim/index.ts";
import type { Kernel } from "../../stack/index.ts";

/** The time on a manager's machine. */
export interface Clock {
	/** The lab's time. */
	readonly now: Instant;
	/** The time of day, RFC 3339. */
	timestamp(): string;
	/** Nanoseconds between a time of day and now. */
	since(timestamp: string): Nanoseconds;
	/** Arms a timer as a program that sleeps does. */
	arm(timer: Timer, delay: Nanoseconds): void;
}

/** The clock of a machine's kernel. */
export function kernelClock(kernel: Kernel): Clock {
	const { scheduler } = kernel.world;
	// Thousands of writes may be of one instant.
	let [at, text] = [-1, ""];
	return {
		get now() {
			return scheduler.now;
		},
		timestamp: () => {
			if (scheduler.now !== at) [at, text] = [scheduler.now, timestamp(kernel)];
			return text;
		},
		since: (then) => Number(kernel.epoch + BigInt(Math.floor(scheduler.now)) - nanosecondsOf(then)),
		arm: (timer, delay) => {
			kernel.sleep(timer, delay);
		},
	};
}

/** Nanoseconds since 1970 of a time of day in UTC: `2026-11-23T17:22:54.61959081Z`. */
export function nanosecondsOf(text: string): bigint {
	const match = /^(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)(?:\.(\d+))?Z$/.exec(text);
	if (match === null) throw new RangeError(`${JSON.stringify(text)} is no RFC 3339 time in UTC`);
	const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
		number,
		number,
		number,
		number,
		number,
		number,
	];
	const seconds = ((daysOf(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
	return BigInt(seconds) * 1_000_000_000n + BigInt((match[7] ?? "").padEnd(9, "0").slice(0, 9));
}

/** Days from 1970-01-01 to a date; years begin in March, so that leap days come last. */
function daysOf(year: number, month: number, day: number): number {
	const from = month > 2 ? year : year - 1;
	const era = Math.floor(from / 400);
	const ofEra = from - era * 400;
	const ofYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
	return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468;
}
