/** How long ago, as docker's lists say it: "50 seconds", "About a minute" (docker/go-units `HumanDuration`). */
export function humanDuration(nanoseconds: number): string {
	const seconds = Math.trunc(nanoseconds / 1e9);
	if (seconds < 1) return "Less than a second";
	if (seconds === 1) return "1 second";
	if (seconds < 60) return `${String(seconds)} seconds`;
	const minutes = Math.trunc(seconds / 60);
	if (minutes === 1) return "About a minute";
	if (minutes < 60) return `${String(minutes)} minutes`;
	const hours = Math.trunc(nanoseconds / 3600e9 + 0.5);
	if (hours === 1) return "About an hour";
	if (hours < 48) return `${String(hours)} hours`;
	const days = Math.trunc(hours / 24);
	if (days < 14) return `${String(days)} days`;
	if (days < 60) return `${String(Math.trunc(days / 7))} weeks`;
	if (days < 730) return `${String(Math.trunc(days / 30))} months`;
	return `${String(Math.trunc(days / 365))} years`;
}

/** `running` as `Running`. */
export const capital = (word: string): string => word.slice(0, 1).toUpperCase() + word.slice(1);

/** Names in the order of docker's lists: numbers within them count as numbers (`sortorder.NaturalLess`). */
export function natural(a: string, b: string): number {
	const [left, right] = [parts(a), parts(b)];
	for (let i = 0; i < Math.min(left.length, right.length); i++) {
		const [x = "", y = ""] = [left[i], right[i]];
		const numbers = /^\d/.test(x) && /^\d/.test(y);
		if (numbers && Number(x) !== Number(y)) return Number(x) - Number(y);
		if (!numbers && x !== y) return x < y ? -1 : 1;
	}
	return left.length - right.length;
}

const parts = (text: string): readonly string[] => text.match(/\d+|\D+/g) ?? [];
