/**
 * Stops at a bug of ours. `rule` says what must hold, as a sentence: "time never goes back".
 *
 * Not for callers' mistakes (`NetError`, `RangeError`) and never reachable by bytes from a wire (`DropReason`).
 */
export function assert(condition: boolean, rule: string): asserts condition {
	if (!condition) throw new Error(`vethwork is broken, this must hold: ${rule}`);
}

/** Marks a case that the types exclude: adding a variant without handling it stops compiling here. */
export function unreachable(value: never): never {
	throw new Error(`vethwork is broken, unexpected ${String(value)}`);
}
