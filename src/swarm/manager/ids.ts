import type { Rng } from "../../sim/index.ts";

/** Digits of a cluster's ids. */
const DIGITS = 25;

/** An id of the cluster's: 25 digits and small letters (swarmkit identity/randomid.go). */
export function newId(rng: Rng): string {
	let text = "";
	while (text.length < DIGITS) text += rng.below(36).toString(36);
	return text;
}
