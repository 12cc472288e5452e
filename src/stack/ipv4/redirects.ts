import type { Ip4 } from "../../addr/index.ts";
import { seconds, Timer } from "../../sim/index.ts";
import type { Kernel } from "../kernel.ts";
import { Route } from "../route.ts";

/** How long a redirect is believed (`ip_rt_gc_timeout`). */
const EXPIRES = seconds(300);

interface Redirect {
	/** The router that said it, and the better one. */
	readonly from: Ip4;
	readonly gateway: Ip4;
	readonly timer: Timer;
	/** The way it makes of each route it was asked about. */
	readonly ways: WeakMap<Route, Route>;
}

/**
 * Better first hops that routers told of, per destination (ICMP redirects; `fib_nh_exception`). Each is believed for
 * five minutes, and only where the route still leads to the router that said it.
 */
export class Redirects {
	readonly #kernel: Kernel;
	readonly #changed: () => void;
	readonly #known = new Map<Ip4, Redirect>();

	/** `changed` is called when ways that were decided before may be wrong. */
	constructor(kernel: Kernel, changed: () => void) {
		this.#kernel = kernel;
		this.#changed = changed;
	}

	/** The way to a destination that the table leads to by `route`. */
	apply(route: Route, destination: Ip4): Route {
		const redirect = this.#known.get(destination);
		if (redirect === undefined || route.via !== redirect.from) return route;
		const known = redirect.ways.get(route);
		if (known !== undefined) return known;
		const way = new Route({
			network: route.network,
			length: route.length,
			type: route.type,
			device: route.device,
			via: redirect.gateway,
			source: route.source,
			metric: route.metric,
			scope: route.scope,
			protocol: route.protocol,
			mtu: route.mtu,
		});
		redirect.ways.set(route, way);
		return way;
	}

	/** Seconds for which a redirect for the destination is still believed; undefined when there is none. */
	expires(destination: Ip4): number | undefined {
		const due = this.#known.get(destination)?.timer.due;
		return due === undefined ? undefined : Math.floor((due - this.#kernel.world.scheduler.now) / 1e9);
	}

	/** Notes that `from` said to send what is for `destination` to `gateway`. */
	learn(destination: Ip4, from: Ip4, gateway: Ip4): void {
		this.#known.get(destination)?.timer.cancel();
		const timer = new Timer(() => {
			this.#known.delete(destination);
			this.#changed();
		});
		this.#kernel.world.scheduler.at(this.#kernel.world.scheduler.now + EXPIRES, timer);
		this.#known.set(destination, { from, gateway, timer, ways: new WeakMap() });
		this.#changed();
	}

	/** `ip route flush cache`. */
	flush(): void {
		for (const { timer } of this.#known.values()) timer.cancel();
		this.#known.clear();
		this.#changed();
	}
}
