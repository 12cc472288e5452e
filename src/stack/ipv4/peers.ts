import type { Ip4 } from "../../addr/index.ts";
import { type Instant, milliseconds, type Nanoseconds, seconds } from "../../sim/index.ts";

/** Messages to a peer that may follow each other at once (`XRLIM_BURST_FACTOR`). */
const BURST = 6;
/** A peer nobody heard of has been quiet so long (`inet_getpeer`). */
const UNKNOWN = seconds(60);
/** First pause between redirects to one peer, doubled each time (`ip_rt_redirect_load`). */
const REDIRECT_LOAD = milliseconds(20);
/** Redirects a peer gets before it is left alone (`ip_rt_redirect_number`). */
const MOST_REDIRECTS = 9;
/** A peer left alone this long is told again (`ip_rt_redirect_silence`). */
const REDIRECT_SILENCE: Nanoseconds = milliseconds(20) * 2 ** 10;
/** Peers remembered; the oldest are forgotten beyond. */
const MOST_PEERS = 65_664;

interface Peer {
	tokens: Nanoseconds;
	last: Instant;
	redirects: number;
	lastRedirect: Instant;
}

/** What a namespace remembers of hosts it sends ICMP errors to (`inet_peer`): enough to keep to the rate limits. */
export class Peers {
	readonly #clock: { readonly now: Instant };
	readonly #peers = new Map<Ip4, Peer>();

	constructor(clock: { readonly now: Instant }) {
		this.#clock = clock;
	}

	/**
	 * Whether one more error may go to the peer now, `pause` (`icmp_ratelimit`) apart but for a burst; counts it if so
	 * (`inet_peer_xrlim_allow`).
	 */
	mayTell(peer: Ip4, pause: Nanoseconds): boolean {
		const known = this.#peer(peer);
		const now = this.#clock.now;
		known.tokens = Math.min(BURST * pause, known.tokens + now - known.last);
		known.last = now;
		if (known.tokens < pause) return false;
		known.tokens -= pause;
		return true;
	}

	/** Whether one more redirect may go to the peer now (`ip_rt_send_redirect`); counts it if so. */
	mayRedirect(peer: Ip4): boolean {
		const known = this.#peer(peer);
		const now = this.#clock.now;
		if (now > known.lastRedirect + REDIRECT_SILENCE) known.redirects = 0;
		if (known.redirects >= MOST_REDIRECTS) {
			known.lastRedirect = now;
			return false;
		}
		const pause = known.redirects === 0 ? 0 : REDIRECT_LOAD * 2 ** known.redirects;
		if (now <= known.lastRedirect + pause && known.redirects > 0) return false;
		known.lastRedirect = now;
		known.redirects++;
		return true;
	}

	#peer(ip: Ip4): Peer {
		let peer = this.#peers.get(ip);
		if (peer === undefined) {
			if (this.#peers.size >= MOST_PEERS) {
				const oldest = this.#peers.keys().next();
				if (oldest.done !== true) this.#peers.delete(oldest.value);
			}
			peer = { tokens: 0, last: this.#clock.now - UNKNOWN, redirects: 0, lastRedirect: -seconds(3600) };
			this.#peers.set(ip, peer);
		}
		return peer;
	}
}
