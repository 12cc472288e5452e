import type { Rng } from "../../sim/index.ts";

/** Digits of a cluster's ids, and of those drawn at once. */
const DIGITS = 25;
const DRAWN = 5;

/** An id of the cluster's: 25 digits and small letters (swarmkit identity/randomid.go). */
export function newId(rng: Rng): string {
	const drawn = Array.from({ length: DIGITS / DRAWN }, () =>
		rng
			.below(36 ** DRAWN)
			.toString(36)
			.padStart(DRAWN, "0"),
	);
	return drawn.join("");
}
