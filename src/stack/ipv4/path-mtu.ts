import type { Ip4 } from "../../addr/index.ts";
import { type Instant, seconds } from "../../sim/index.ts";

/** `net.ipv4.route.mtu_expires`. */
const EXPIRES = seconds(600);
/** `net.ipv4.route.min_pmtu`. */
const MIN_PMTU = 552;

/** Path MTUs learned from ICMP "fragmentation needed", per destination, for ten minutes (RFC 1191; `fib_nh_exception`). */
export class PathMtus {
	readonly #clock: { readonly now: Instant };
	readonly #changed: () => void;
	readonly #known = new Map<Ip4, { readonly mtu: number; readonly until: Instant }>();

	/** `changed` is called when a destination is found to have another path MTU than was believed. */
	constructor(clock: { readonly now: Instant }, changed: () => void) {
		this.#clock = clock;
		this.#changed = changed;
	}

	/** Destinations with an entry, expired ones that nobody asked for since included. */
	get size(): number {
		return this.#known.size;
	}

	/** The path MTU to a destination while it is believed. */
	get(destination: Ip4): number | undefined {
		const known = this.#known.get(destination);
		if (known === undefined) return undefined;
		if (known.until > this.#clock.now) return known.mtu;
		this.#known.delete(destination);
		return undefined;
	}

	/** Seconds for which the path MTU to a destination is still believed; undefined when none is known. */
	expires(destination: Ip4): number | undefined {
		if (this.get(destination) === undefined) return undefined;
		return Math.floor(((this.#known.get(destination)?.until ?? 0) - this.#clock.now) / 1e9);
	}

	/** Notes what a router said. Smaller than `min_pmtu` is taken as that. */
	learn(destination: Ip4, mtu: number): void {
		const believed = Math.max(mtu, MIN_PMTU);
		const changes = this.get(destination) !== believed;
		this.#known.set(destination, { mtu: believed, until: this.#clock.now + EXPIRES });
		if (changes) this.#changed();
	}

	/** `ip route flush cache`. */
	flush(): void {
		this.#known.clear();
	}
}
