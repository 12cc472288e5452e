import type { Rng } from "../sim/index.ts";

const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz";

/** So many digits and small letters by chance. */
export function base36(rng: Rng, digits: number): string {
	let text = "";
	for (let i = 0; i < digits; i++) text += DIGITS[rng.below(36)] ?? "";
	return text;
}

/** The id of an object: 25 digits and small letters (swarmkit identity/randomid.go). */
export const newId = (rng: Rng): string => base36(rng, 25);

/** Digits of the root certificate's digest in a token, and of a token's secret. */
export const DIGEST_DIGITS = 50;
const SECRET_DIGITS = 25;
const TOKEN = /^SWMTKN-1-([0-9a-z]{50})-([0-9a-z]{25})$/;

/** A new token to join with: `SWMTKN-1-<digest of the root certificate>-<secret>` (swarmkit ca/config.go). */
export const newToken = (rootDigest: string, rng: Rng): string =>
	`SWMTKN-1-${rootDigest}-${base36(rng, SECRET_DIGITS)}`;

/** The digest in a token; undefined for a text that is none. */
export const digestIn = (token: string): string | undefined => TOKEN.exec(token)?.[1];

/** 50 digits that stand for octets: their digest, as far as one here needs to be told from another. */
export function digestOf(octets: Uint8Array): string {
	let text = "";
	for (let part = 0; text.length < DIGEST_DIGITS; part++) {
		// FNV-1a, begun anew for each part.
		let hash = (0x811c_9dc5 ^ Math.imul(part, 0x9e37_79b1)) >>> 0;
		for (const octet of octets) hash = Math.imul(hash ^ octet, 0x0100_0193) >>> 0;
		text += hash.toString(36).padStart(7, "0").slice(-5);
	}
	return text.slice(0, DIGEST_DIGITS);
}
