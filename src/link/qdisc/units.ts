/** A share of frames: a number from 0 to 1, or a text such as `"5%"`. */
export type Share = number | string;

/** An amount of octets: a number, or a text as tc(8) reads it (`"10kb"`, counted by 1024). */
export type Size = number | string;

/** The largest value of a 32-bit draw: what tc scales shares to. */
const CERTAIN = 0xffff_ffff;

/** A share as tc hands it to the kernel: 0 for never, 2^32 - 1 for always. Throws RangeError that names the option. */
export function readShare(value: Share | undefined, name: string): number {
	if (value === undefined) return 0;
	const part =
		typeof value === "number" ? value : /^\d+(\.\d+)?%$/.test(value) ? Number.parseFloat(value) / 100 : NaN;
	if (part >= 0 && part <= 1) return Math.round(part * CERTAIN);
	throw new RangeError(
		`${name} is ${JSON.stringify(value)}, expected a share from 0 to 1 or a text such as "5%"`,
	);
}

const SIZES: Readonly<Record<string, number>> = {
	"": 1,
	b: 1,
	k: 1024,
	kb: 1024,
	m: 1024 ** 2,
	mb: 1024 ** 2,
	g: 1024 ** 3,
	gb: 1024 ** 3,
	kbit: 128,
	mbit: 128 * 1024,
	gbit: 128 * 1024 ** 2,
};

/** Octets of an amount. Throws RangeError that names the option. */
export function readSize(value: Size, name: string): number {
	const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/.exec(String(value).toLowerCase());
	const unit = match?.[2] === undefined ? undefined : SIZES[match[2]];
	const octets = match?.[1] === undefined || unit === undefined ? NaN : Math.floor(Number(match[1]) * unit);
	if (octets >= 1 && octets <= CERTAIN) return octets;
	throw new RangeError(`${name} is ${JSON.stringify(value)}, expected octets or a size such as "10kb"`);
}

/** A whole number in a range. Throws RangeError that names the option. */
export function readCount(value: number, name: string, least: number, most: number = CERTAIN): number {
	if (Number.isInteger(value) && value >= least && value <= most) return value;
	throw new RangeError(`${name} is ${String(value)}, expected a whole number from ${String(least)}`);
}

/** `25%`, as tc prints a share. */
export const shareText = (share: number): string => `${general((100 * share) / CERTAIN, 6)}%`;

/** `20ms`, as tc prints a time of netem. */
export function timeText(nanoseconds: number): string {
	for (const [scale, unit] of [
		[1e9, "s"],
		[1e6, "ms"],
		[1e3, "us"],
	] as const) {
		if (nanoseconds >= scale) return `${general(nanoseconds / scale, 3)}${unit}`;
	}
	return `${String(nanoseconds)}ns`;
}

/** `10Kb`, as tc prints octets. */
export function sizeText(octets: number): string {
	const [kilo, mega] = [Math.round(octets / 1024), Math.round(octets / 1024 ** 2)];
	if (octets >= 1024 ** 2 && Math.abs(mega * 1024 ** 2 - octets) < 1024) return `${String(mega)}Mb`;
	if (octets >= 1024 && Math.abs(kilo * 1024 - octets) < 16) return `${String(kilo)}Kb`;
	return `${String(Math.floor(octets))}b`;
}

/** `10Mbit`, as tc prints octets per second. */
export function rateText(octetsPerSecond: number): string {
	let rate = octetsPerSecond * 8;
	let unit = 0;
	while (unit < 4 && rate >= 1000 && !(rate % 1000 !== 0 && rate < 1e6)) {
		rate = Math.floor(rate / 1000);
		unit++;
	}
	return `${String(rate)}${["", "K", "M", "G", "T"][unit] ?? ""}bit`;
}

/** C's `%.{digits}g`: from 10^digits on with an exponent, of two figures at least. */
function general(value: number, digits: number): string {
	const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
	if (Number(exponent) < digits) return String(Number(value.toPrecision(digits)));
	return `${String(Number(mantissa))}e+${String(Number(exponent)).padStart(2, "0")}`;
}
