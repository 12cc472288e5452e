import { hashText } from "./hash.ts";

/**
 * A stream of chance with a seed: the same seed gives the same draws on every machine.
 * One stream per purpose (`fork`), so that a new draw here never shifts the draws there.
 *
 * Generator: sfc32 (C. Doty-Humphrey, PractRand), 128 bits of state, 32-bit integer arithmetic only.
 */
export class Rng {
	readonly #seed: string;
	#a: number;
	#b: number;
	#c: number;
	#counter = 1;
	#spare: number | undefined;

	constructor(seed: number | string) {
		this.#seed = String(seed);
		this.#a = hashText(this.#seed, 1) | 0;
		this.#b = hashText(this.#seed, 2) | 0;
		this.#c = hashText(this.#seed, 3) | 0;
		for (let i = 0; i < 12; i++) this.uint32();
	}

	/** A stream of its own, given by this one's seed and the name alone, not by what was drawn. */
	fork(name: string): Rng {
		return new Rng(`${this.#seed}/${name}`);
	}

	/** 0 to 2^32 - 1. */
	uint32(): number {
		const t = (this.#a + this.#b + this.#counter) | 0;
		this.#counter = (this.#counter + 1) | 0;
		this.#a = this.#b ^ (this.#b >>> 9);
		this.#b = (this.#c + (this.#c << 3)) | 0;
		this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0;
		return t >>> 0;
	}

	/** A whole number from 0 to `n - 1`; `n` up to 2^53. */
	below(n: number): number {
		return Math.floor(this.float() * n);
	}

	/** From 0 up to but not including 1, 53 bits. */
	float(): number {
		return (this.uint32() * 0x20_0000 + (this.uint32() >>> 11)) / 0x20_0000_0000_0000;
	}

	/** A whole number from `low` to `high`, both included. */
	between(low: number, high: number): number {
		return low + this.below(high - low + 1);
	}

	/** True with probability `p`. */
	chance(p: number): boolean {
		return p > 0 && this.float() < p;
	}

	/** Normally distributed, mean 0, deviation 1 (Marsaglia's polar method). */
	normal(): number {
		if (this.#spare !== undefined) {
			const spare = this.#spare;
			this.#spare = undefined;
			return spare;
		}
		for (;;) {
			const x = 2 * this.float() - 1;
			const y = 2 * this.float() - 1;
			const square = x * x + y * y;
			if (square === 0 || square >= 1) continue;
			const scale = Math.sqrt((-2 * Math.log(square)) / square);
			this.#spare = y * scale;
			return x * scale;
		}
	}

	/** A list in an order of chance: each is as likely. */
	shuffled<T>(list: readonly T[]): T[] {
		if (list.length < 2) return [...list];
		const left = [...list];
		const result: T[] = [];
		while (left.length > 0) result.push(...left.splice(this.below(left.length), 1));
		return result;
	}

	/** Fills an array with chance. */
	bytes(target: Uint8Array): void {
		for (let i = 0; i < target.length; i++) target[i] = this.uint32() & 0xff;
	}
}
