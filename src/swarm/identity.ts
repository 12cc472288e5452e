import type { Rng } from "../sim/index.ts";

/** Digits that one number is drawn for. */
const DRAWN = 5;

/** So many digits and small letters by chance; a multiple of five. */
function base36(rng: Rng, digits: number): string {
	const drawn = Array.from({ length: digits / DRAWN }, () =>
		rng
			.below(36 ** DRAWN)
			.toString(36)
			.padStart(DRAWN, "0"),
	);
	return drawn.join("");
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

const PARTS = 8;

/**
 * 50 digits that stand for octets: 256 bits to base 36, as a token has a digest of SHA-256. It is no such digest: octets
 * here need to be told from other ones, no more.
 */
export function digestOf(octets: Uint8Array): string {
	let digest = 0n;
	for (let part = 0; part < PARTS; part++) {
		// FNV-1a, begun anew for each part.
		let hash = (0x811c_9dc5 ^ Math.imul(part, 0x9e37_79b1)) >>> 0;
		for (const octet of octets) hash = Math.imul(hash ^ octet, 0x0100_0193) >>> 0;
		digest = (digest << 32n) | BigInt(hash);
	}
	return digest.toString(36).padStart(DIGEST_DIGITS, "0");
}

/** A token's digest as Go prints one: 64 hexadecimal digits. */
export function hexOfDigest(digest: string): string {
	let value = 0n;
	for (const digit of digest) value = value * 36n + BigInt(Number.parseInt(digit, 36));
	return value.toString(16).padStart(64, "0");
}
