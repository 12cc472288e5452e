import type { Ip4 } from "../../addr/index.ts";
import { type Instant, seconds } from "../../sim/index.ts";

/** `net.ipv4.route.mtu_expires`. */
const EXPIRES = seconds(600);
/** `net.ipv4.route.min_pmtu`. */
const MIN_PMTU = 552;

/** Path MTUs learned from ICMP "fragmentation needed", per destination, for ten minutes (RFC 1191; `fib_nh_exception`). */
export class PathMtus {
	readonly #clock: { readonly now: Instant };
	readonly #known = new Map<Ip4, { readonly mtu: number; readonly until: Instant }>();

	constructor(clock: { readonly now: Instant }) {
		this.#clock = clock;
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
		this.#known.set(destination, { mtu: Math.max(mtu, MIN_PMTU), until: this.#clock.now + EXPIRES });
	}

	/** `ip route flush cache`. */
	flush(): void {
		this.#known.clear();
	}
}
