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

/**
 * A local port for a socket that is bound to port 0 (`inet_csk_find_open_port`): from a place drawn at random, ports of
 * the parity that connections do not begin with, then the others; undefined when none is free. Listening sockets have
 * `SO_REUSEADDR` here as programs set it for them (Go's `net.Listen`, Node), and with it the lower half of the range
 * comes first.
 */
export function openPort(
	[low, high]: readonly [low: number, high: number],
	rng: Rng,
	isFree: (port: number) => boolean,
): number | undefined {
	const end = high + 1;
	const middle = end - low < 4 ? end : low + (((end - low) >> 2) << 1);
	for (const [from, to] of [
		[low, middle],
		[middle, end],
	] as const) {
		const count = to - from > 1 ? (to - from) & ~1 : to - from;
		if (count === 0) continue;
		const first = rng.below(count) | 1;
		for (const parity of [0, 1]) {
			for (let i = 0; i < count; i += 2) {
				const port = from + ((first - parity + i) % count);
				if (isFree(port)) return port;
			}
		}
	}
	return undefined;
}
