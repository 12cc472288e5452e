/** A point in virtual time: whole nanoseconds since the lab's epoch. Exact for 104 days. */
export type Instant = number;
/** A stretch of virtual time in whole nanoseconds. */
export type Nanoseconds = number;
/** A duration as users write it: a number is milliseconds, a string carries a unit (`"150us"`, `"1.5s"`). */
export type Duration = number | string;

/** Nanoseconds of `n` microseconds. */
export const microseconds = (n: number): Nanoseconds => Math.round(n * 1e3);
/** Nanoseconds of `n` milliseconds. */
export const milliseconds = (n: number): Nanoseconds => Math.round(n * 1e6);
/** Nanoseconds of `n` seconds. */
export const seconds = (n: number): Nanoseconds => Math.round(n * 1e9);

const UNITS: Readonly<Record<string, number>> = {
	ns: 1,
	us: 1e3,
	µs: 1e3,
	ms: 1e6,
	s: 1e9,
	m: 60e9,
	min: 60e9,
	h: 3600e9,
};

/** Nanoseconds of a duration. Throws RangeError or TypeError that names `argument`. */
export function parseDuration(value: Duration, argument: string): Nanoseconds {
	const nanoseconds = typeof value === "number" ? value * 1e6 : scaled(value, UNITS);
	if (nanoseconds !== undefined && Number.isFinite(nanoseconds) && nanoseconds >= 0)
		return Math.round(nanoseconds);
	throw new RangeError(
		`${argument} is ${JSON.stringify(value)}, expected milliseconds or a number with a unit such as "150us", "20ms", "5s"`,
	);
}

// tc(8): "bit" is bits per second, "bps" octets per second; k, m, g and t count by 1000.
const RATES: Readonly<Record<string, number>> = {
	bit: 1,
	kbit: 1e3,
	mbit: 1e6,
	gbit: 1e9,
	tbit: 1e12,
	bps: 8,
	kbps: 8e3,
	mbps: 8e6,
	gbps: 8e9,
};

/** Bits per second of a rate: a number, or a string as tc(8) reads it (`"100mbit"`). Throws as `parseDuration`. */
export function parseRate(value: number | string, argument: string): number {
	const bits = typeof value === "number" ? value : scaled(value.toLowerCase(), RATES);
	if (bits !== undefined && Number.isFinite(bits) && bits > 0) return bits;
	throw new RangeError(
		`${argument} is ${JSON.stringify(value)}, expected bits per second or a rate such as "100mbit"`,
	);
}

function scaled(text: string, units: Readonly<Record<string, number>>): number | undefined {
	const match = /^(\d+(?:\.\d+)?)\s*([a-zµ]+)$/.exec(text);
	const unit = match?.[2] === undefined ? undefined : units[match[2]];
	return match?.[1] === undefined || unit === undefined ? undefined : Number(match[1]) * unit;
}

/** `1.5s`, `20ms`, `150us`, `7ns`: the largest unit that leaves a whole part. */
export function formatDuration(nanoseconds: Nanoseconds): string {
	if (nanoseconds >= 1e9) return `${String(nanoseconds / 1e9)}s`;
	if (nanoseconds >= 1e6) return `${String(nanoseconds / 1e6)}ms`;
	if (nanoseconds >= 1e3) return `${String(nanoseconds / 1e3)}us`;
	return `${String(nanoseconds)}ns`;
}
