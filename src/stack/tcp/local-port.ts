import { keyedHash, type Rng } from "../../sim/index.ts";

/** Slots that remember how far searches have moved on (`INET_TABLE_PERTURB_SIZE`). */
const SLOTS = 1 << 16;

/**
 * The search for a local port to connect from (`__inet_hash_connect`): ports of the range's own parity first, from a
 * place that is the destination's and moves on by two with each connection.
 */
export class LocalPortSearch {
	readonly #key: number;
	readonly #rng: Rng;
	/** By a hash of the destination. */
	readonly #moved = new Map<number, number>();

	constructor(key: number, rng: Rng) {
		this.#key = key;
		this.#rng = rng;
	}

	/** A port of the range that is free, or undefined. Addresses and port are the connection's other three parts. */
	find(
		[low, high]: readonly [low: number, high: number],
		local: number,
		remote: number,
		remotePort: number,
		isFree: (port: number) => boolean,
	): number | undefined {
		const half = (high - low + 2) >> 1;
		const place = keyedHash(this.#key, remote, local, remotePort, 0);
		const slot = place & (SLOTS - 1);
		const moved = this.#moved.get(slot) ?? this.#rng.uint32();
		const first = Math.floor(((place + moved) % (2 * half)) / 2);
		for (let i = 0; i < 2 * half; i++) {
			const port = low + 2 * ((first + i) % half) + (i < half ? 0 : 1);
			if (port > high || !isFree(port)) continue;
			// Now and then one is left out.
			const passed = i === 0 && this.#rng.below(16) === 0 ? 2 : 2 * i;
			this.#moved.set(slot, (moved + passed + 2) >>> 0);
			return port;
		}
		return undefined;
	}
}
