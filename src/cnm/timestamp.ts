import type { Kernel } from "../stack/index.ts";

/** The time of day on a machine, as Go prints it: `2026-11-23T17:22:54.61959081Z` (RFC 3339, zeros at the end left out). */
export function timestamp(kernel: Kernel): string {
	const now = kernel.epoch + BigInt(Math.floor(kernel.world.scheduler.now));
	const [seconds, fraction] = [now / 1_000_000_000n, now % 1_000_000_000n];
	const days = Number(seconds / 86_400n);
	const second = Number(seconds % 86_400n);
	const [year, month, day] = civil(days);
	const two = (value: number): string => String(value).padStart(2, "0");
	const rest = fraction === 0n ? "" : `.${fraction.toString().padStart(9, "0").replace(/0+$/, "")}`;
	const time = [second / 3600, (second / 60) % 60, second % 60]
		.map((part) => two(Math.floor(part)))
		.join(":");
	return `${String(year)}-${two(month)}-${two(day)}T${time}${rest}Z`;
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
