import type { Kernel } from "../stack/index.ts";

/** The time of day on a machine, as Go prints it: `2026-11-23T17:22:54.61959081Z` (RFC 3339, zeros at the end left out). */
export function timestamp(kernel: Kernel): string {
	const now = kernel.epoch + BigInt(Math.floor(kernel.world.scheduler.now));
	return rfc3339({ seconds: Number(now / 1_000_000_000n), nanos: Number(now % 1_000_000_000n) });
}

/** An instant: seconds since 1970-01-01, and nanoseconds behind them. */
export interface UnixTime {
	readonly seconds: number;
	readonly nanos: number;
}

/** An instant as Go prints it. */
export function rfc3339({ seconds, nanos }: UnixTime): string {
	const days = Math.floor(seconds / DAY);
	const second = seconds - days * DAY;
	const [year, month, day] = civil(days);
	const two = (value: number): string => String(value).padStart(2, "0");
	const rest = nanos === 0 ? "" : `.${String(nanos).padStart(9, "0").replace(/0+$/, "")}`;
	const time = [second / 3600, (second / 60) % 60, second % 60]
		.map((part) => two(Math.floor(part)))
		.join(":");
	// Joined, not added: one string without its parts.
	return [String(year).padStart(4, "0"), "-", two(month), "-", two(day), "T", time, rest, "Z"].join("");
}

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z$/;

/** The instant that such a text names; undefined for another text. */
export function unixTime(text: string): UnixTime | undefined {
	const parts = RFC3339.exec(text);
	if (parts === null) return undefined;
	const [, year, month, day, hour, minute, second, fraction = ""] = parts;
	const days = daysFromCivil(Number(year), Number(month), Number(day));
	const seconds = days * DAY + Number(hour) * 3600 + Number(minute) * 60 + Number(second);
	return { seconds, nanos: Number(fraction.padEnd(9, "0")) };
}

const DAY = 86_400;

/** Days from 1970-01-01 to a date, as `civil` counts them. */
function daysFromCivil(year: number, month: number, day: number): number {
	const years = month <= 2 ? year - 1 : year;
	const era = Math.floor(years / 400);
	const ofEra = years - era * 400;
	const ofYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
	return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468;
}

/** The date so many days after 1970-01-01, counted from March so that leap days come last. */
function civil(days: number): readonly [year: number, month: number, day: number] {
	const shifted = days + 719_468;
	const era = Math.floor(shifted / 146_097);
	const ofEra = shifted - era * 146_097;
	const years = Math.floor(
		(ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
	);
	const ofYear = ofEra - (365 * years + Math.floor(years / 4) - Math.floor(years / 100));
	const part = Math.floor((5 * ofYear + 2) / 153);
	const month = part < 10 ? part + 3 : part - 9;
	return [years + era * 400 + (month <= 2 ? 1 : 0), month, ofYear - Math.floor((153 * part + 2) / 5) + 1];
}
