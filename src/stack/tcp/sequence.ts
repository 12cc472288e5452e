// Sequence numbers are kept as signed 32-bit integers: they wrap by `| 0`, and a number is before another when
// their difference is negative (RFC 9293 §3.4).

/** True when `a` comes before `b`. */
export const before = (a: number, b: number): boolean => ((a - b) | 0) < 0;
/** True when `a` comes after `b`. */
export const after = (a: number, b: number): boolean => ((b - a) | 0) < 0;
/** True when `low <= x <= high`. */
export const between = (x: number, low: number, high: number): boolean =>
	(high - low) >>> 0 >= (x - low) >>> 0;
/** Octets from `from` to `to`. */
export const distance = (from: number, to: number): number => (to - from) | 0;
