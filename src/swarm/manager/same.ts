/** Whether two plain values say the same; what is undefined or empty may as well be absent, as it is once it was sent. */
export function same(a: unknown, b: unknown): boolean {
	if (a === b || (isNothing(a) && isNothing(b))) return true;
	if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
	if (Array.isArray(a) || Array.isArray(b)) {
		return (
			Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((each, i) => same(each, b[i]))
		);
	}
	const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
	for (const key of new Set([...Object.keys(left), ...Object.keys(right)]))
		if (!same(left[key], right[key])) return false;
	return true;
}

const isNothing = (value: unknown): boolean =>
	value === undefined || (typeof value === "object" && value !== null && Object.keys(value).length === 0);
