/** A recorded and an emulated frame that stand for each other, by index; one of them alone if the other is missing. */
export interface Pair {
	readonly recorded?: number;
	readonly emulated?: number;
}

/** Above so many combinations frames are paired by their position alone. */
const MOST_COMBINATIONS = 4_000_000;

/**
 * Pairs two lists in order, so that one missing frame does not shift all that follow. `exact` tells frames that are
 * the same but for what is random, `alike` gives the shape of a frame: what is left over between exact pairs is
 * paired by shape, so that a frame with one wrong field is compared and not called missing.
 */
export function align(
	recorded: readonly { readonly exact: string; readonly alike: string }[],
	emulated: readonly { readonly exact: string; readonly alike: string }[],
): Pair[] {
	const [n, m] = [recorded.length, emulated.length];
	if (n * m > MOST_COMBINATIONS) {
		return Array.from({ length: Math.max(n, m) }, (_, i) =>
			pair(i < n ? i : undefined, i < m ? i : undefined),
		);
	}
	const pairs: Pair[] = [];
	let [i, j] = [0, 0];
	for (const [a, b] of [...common(recorded, emulated, "exact"), [n, m] as const]) {
		pairs.push(...between(recorded, emulated, i, a, j, b));
		if (a < n) pairs.push({ recorded: a, emulated: b });
		[i, j] = [a + 1, b + 1];
	}
	return pairs;
}

function between(
	recorded: readonly { readonly alike: string }[],
	emulated: readonly { readonly alike: string }[],
	i: number,
	iEnd: number,
	j: number,
	jEnd: number,
): Pair[] {
	const pairs: Pair[] = [];
	const [from, to] = [i, j];
	const matches = common(recorded.slice(from, iEnd), emulated.slice(to, jEnd), "alike");
	for (const [a, b] of [...matches.map(([x, y]) => [x + from, y + to] as const), [iEnd, jEnd] as const]) {
		while (i < a) pairs.push({ recorded: i++ });
		while (j < b) pairs.push({ emulated: j++ });
		if (a < iEnd) pairs.push({ recorded: i++, emulated: j++ });
	}
	return pairs;
}

/** Indices of a longest common subsequence. */
function common<Key extends string>(
	left: readonly Readonly<Record<Key, string>>[],
	right: readonly Readonly<Record<Key, string>>[],
	key: Key,
): (readonly [number, number])[] {
	const width = right.length + 1;
	const best = new Uint32Array((left.length + 1) * width);
	const at = (i: number, j: number): number => best[i * width + j] ?? 0;
	for (let i = left.length - 1; i >= 0; i--) {
		for (let j = right.length - 1; j >= 0; j--) {
			best[i * width + j] =
				left[i]?.[key] === right[j]?.[key] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
		}
	}
	const found: (readonly [number, number])[] = [];
	for (let [i, j] = [0, 0]; i < left.length && j < right.length;) {
		if (left[i]?.[key] === right[j]?.[key]) found.push([i++, j++]);
		else if (at(i + 1, j) >= at(i, j + 1)) i++;
		else j++;
	}
	return found;
}

const pair = (recorded: number | undefined, emulated: number | undefined): Pair => ({
	...(recorded !== undefined && { recorded }),
	...(emulated !== undefined && { emulated }),
});
