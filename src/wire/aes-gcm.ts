import { ghash } from "@noble/ciphers/_polyval.js";
import { unsafe } from "@noble/ciphers/aes.js";

const BLOCK = 16;
/** Octets of salt and IV together. */
export const NONCE_OCTETS = 12;

// What is at work during a call, for all keys: calls do not overlap.
const counter = new Uint8Array(BLOCK);
const counterView = new DataView(counter.buffer);
const mask = new Uint8Array(BLOCK);
const lengths = new Uint8Array(BLOCK);
const lengthsView = new DataView(lengths.buffer);
const tag = new Uint8Array(BLOCK);
/** Aligned room for the octets at work, as the cipher asks for. */
let work = new Uint8Array(2048);

/**
 * AES-GCM under one key, in place and at once (NIST SP 800-38D, 96-bit nonces, tags cut to `icvOctets`).
 *
 * The web's own cipher answers later, which would let virtual time depend on the machine, so the block cipher and the
 * hash are @noble/ciphers'. The key schedule is made once; a packet costs no more than its octets.
 */
export class AesGcm {
	/** Octets of the tag. */
	readonly icvOctets: number;
	readonly #schedule: Uint32Array;
	readonly #hashKey = new Uint8Array(BLOCK);

	constructor(key: Uint8Array, icvOctets: number) {
		this.icvOctets = icvOctets;
		this.#schedule = unsafe.expandKeyLE(key);
		counter.fill(0);
		unsafe.ctr32(this.#schedule, false, counter, new Uint8Array(BLOCK), this.#hashKey);
	}

	/** Encrypts `octets` at `at` in place and writes the tag behind them. */
	seal(nonce: Uint8Array, aad: Uint8Array, bytes: Uint8Array, at: number, octets: number): void {
		const text = this.#take(bytes, at, octets);
		this.#begin(nonce);
		unsafe.ctr32(this.#schedule, false, counter, text, text);
		bytes.set(text, at);
		this.#authenticate(aad, text);
		for (let i = 0; i < this.icvOctets; i++) bytes[at + octets + i] = tag[i]!;
	}

	/** Decrypts `octets` at `at` in place if the tag behind them is right; says whether it was. Else nothing changes. */
	open(nonce: Uint8Array, aad: Uint8Array, bytes: Uint8Array, at: number, octets: number): boolean {
		const text = this.#take(bytes, at, octets);
		this.#begin(nonce);
		this.#authenticate(aad, text);
		for (let i = 0; i < this.icvOctets; i++) {
			if (bytes[at + octets + i] !== tag[i]) return false;
		}
		unsafe.ctr32(this.#schedule, false, counter, text, text);
		bytes.set(text, at);
		return true;
	}

	#take(bytes: Uint8Array, at: number, octets: number): Uint8Array {
		if (work.length < octets) work = new Uint8Array(1 << (32 - Math.clz32(octets)));
		const text = work.subarray(0, octets);
		text.set(bytes.subarray(at, at + octets));
		return text;
	}

	/** Sets the counter to the nonce and 1, whose key stream masks the tag, and leaves it at 2 for the text. */
	#begin(nonce: Uint8Array): void {
		counter.set(nonce);
		counterView.setUint32(NONCE_OCTETS, 1);
		mask.fill(0);
		unsafe.ctr32(this.#schedule, false, counter, mask, mask);
	}

	#authenticate(aad: Uint8Array, text: Uint8Array): void {
		// Both lengths in bits; a packet's fit the lower words.
		lengthsView.setUint32(4, aad.length * 8);
		lengthsView.setUint32(12, text.length * 8);
		const hash = ghash.create(this.#hashKey, aad.length + text.length);
		hash.update(aad).update(text).update(lengths).digestInto(tag);
		for (let i = 0; i < BLOCK; i++) tag[i] = tag[i]! ^ mask[i]!;
	}
}
