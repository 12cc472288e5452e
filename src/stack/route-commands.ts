import {
	ANY_IP4,
	formatIp4,
	type Ip4,
	network,
	parsePrefix4,
	type Prefix4,
	toIp4,
	toPrefix4,
} from "../addr/index.ts";
import { NetError } from "../errors.ts";
import type { Device } from "../link/index.ts";
import type { Namespace } from "./namespace.ts";
import { type Fib, Route, type RouteType } from "./route.ts";
import { routeGetText, type RouteQuery } from "./route-get.ts";
import { toTable } from "./rule-commands.ts";
import { TABLES } from "./rules.ts";

/** The part of `ip route add` behind the destination. */
export interface RouteOptions {
	/** Next hop. */
	readonly via?: Ip4 | string;
	readonly dev?: Device | string;
	/** Preferred source address. */
	readonly src?: Ip4 | string;
	readonly metric?: number;
	readonly mtu?: number;
	/** `main` unless said. */
	readonly table?: number | string;
	/** The word before the destination: `unreachable`, `prohibit`, `blackhole`; `unicast` unless said. */
	readonly type?: Exclude<RouteType, "local" | "broadcast">;
}

/** `ip route` of one namespace. */
export class RouteCommands {
	readonly #ns: Namespace;

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	/**
	 * `ip route add TO …`; TO is a prefix or `default`. Throws `NetError`: ENODEV, EINVAL (host bits set),
	 * ENETUNREACH (gateway not on a link), EEXIST.
	 */
	add(to: string | Prefix4, options: RouteOptions): Route {
		const route = this.#read(to, options);
		const fib = this.#table(options.table);
		const same = fib.find(route.network, route.length).some((each) => each.metric === route.metric);
		if (same)
			throw new NetError("EEXIST", "RTNETLINK answers: File exists", { context: { route: route.text } });
		fib.add(route);
		this.#ns.settingsChanged();
		return route;
	}

	/** `ip route replace TO …`. */
	replace(to: string | Prefix4, options: RouteOptions): Route {
		const route = this.#read(to, options);
		const fib = this.#table(options.table);
		const old = fib.find(route.network, route.length).find((each) => each.metric === route.metric);
		if (old !== undefined) fib.remove(old);
		fib.add(route);
		this.#ns.settingsChanged();
		return route;
	}

	/** `ip route del TO [via …] [dev …]`. Throws `NetError` ESRCH for what is not there. */
	del(to: string | Prefix4, options: Partial<RouteOptions> = {}): void {
		const prefix = readTo(to);
		const via = options.via === undefined ? undefined : toIp4(options.via, "via");
		const device = options.dev === undefined ? undefined : this.#device(options.dev);
		const fib = this.#table(options.table);
		const route = fib
			.find(network(prefix), prefix.length)
			.find(
				(each) => (via === undefined || each.via === via) && (device === undefined || each.device === device),
			);
		if (route === undefined)
			throw new NetError("ESRCH", "RTNETLINK answers: No such process", { context: { to } });
		fib.remove(route);
		this.#ns.settingsChanged();
	}

	/**
	 * `ip route get`: the way a packet of this host would go. Throws `NetError` ENETUNREACH; of a route that ends here
	 * EHOSTUNREACH, EACCES or EINVAL.
	 */
	get(to: Ip4 | string, options: RouteQuery = {}): Route {
		const source = options.from === undefined ? ANY_IP4 : toIp4(options.from, "from");
		const route = this.#ns.route(toIp4(to, "to"), source, options.mark ?? 0);
		if (route === undefined) throw new NetError("ENETUNREACH", "RTNETLINK answers: Network is unreachable");
		if (route.type === "unreachable")
			throw new NetError("EHOSTUNREACH", "RTNETLINK answers: No route to host");
		if (route.type === "prohibit") throw new NetError("EACCES", "RTNETLINK answers: Permission denied");
		if (route.type === "blackhole") throw new NetError("EINVAL", "RTNETLINK answers: Invalid argument");
		return route;
	}

	/** The two lines of `ip route get`, learned path MTUs and redirects included. Throws as `get` does. */
	showGet(to: Ip4 | string, options: RouteQuery = {}): string {
		return routeGetText(this.#ns, this.get(to, options), toIp4(to, "to"), options);
	}

	/** `ip route flush cache`: forgets learned path MTUs and redirects. */
	flushCache(): void {
		this.#ns.ipv4.redirects?.flush();
		this.#ns.ipv4.pathMtus.flush();
	}

	/** The lines of `ip route show`, `ip route show table …`. */
	show(filter: { readonly table?: number | string } = {}): string {
		return this.#table(filter.table)
			.routes()
			.map((route) => `${route.text}\n`)
			.join("");
	}

	#table(table: number | string | undefined): Fib {
		const number = toTable(table ?? "main");
		if (number === TABLES["local"]) return this.#ns.localFib;
		return number === TABLES["main"] ? this.#ns.fib : this.#ns.policyRouting().table(number);
	}

	#device(device: Device | string): Device {
		return typeof device === "string" ? this.#ns.device(device) : device;
	}

	#read(to: string | Prefix4, options: RouteOptions): Route {
		const prefix = readTo(to);
		const net = network(prefix);
		const type = options.type ?? "unicast";
		if (net !== prefix.address) {
			throw new NetError("EINVAL", "Error: Invalid prefix for given prefix length.", {
				remedy: `Write ${formatIp4(net)}/${String(prefix.length)}.`,
				context: { to },
			});
		}
		const via = options.via === undefined ? ANY_IP4 : toIp4(options.via, "via");
		const source = options.src === undefined ? ANY_IP4 : toIp4(options.src, "src");
		if (source !== ANY_IP4 && !this.#ns.isOwnAddress(source)) {
			throw new NetError("EINVAL", "Error: Invalid prefsrc address.", {
				context: { src: formatIp4(source) },
			});
		}
		let device = options.dev === undefined ? null : this.#device(options.dev);
		if (type === "unicast") device = this.#egress(via, device);
		const scope = type === "unicast" && via === ANY_IP4 ? "link" : "global";
		return new Route({
			network: net,
			length: prefix.length,
			type,
			device,
			via,
			source,
			scope,
			metric: options.metric ?? 0,
			mtu: options.mtu ?? 0,
		});
	}

	/** The device of a route: the named one, or the one on whose link the gateway is (`fib_check_nh`). */
	#egress(via: Ip4, device: Device | null): Device {
		if (device !== null && !device.isUp) {
			throw new NetError("ENETDOWN", "Error: Device for nexthop is not up.", {
				context: { device: device.place },
			});
		}
		if (via === ANY_IP4) {
			if (device !== null) return device;
			throw new NetError("ENODEV", "RTNETLINK answers: No such device", {
				remedy: "Name a gateway (via) or a device (dev).",
			});
		}
		const own = this.#ns.isOwnAddress(via);
		const onLink = this.#ns.fib.lookup(via);
		const reachable = onLink?.type === "unicast" && onLink.scope === "link" && onLink.device !== null;
		if (own || !reachable || (device !== null && onLink.device !== device)) {
			throw new NetError("ENETUNREACH", "Error: Nexthop has invalid gateway.", {
				remedy: "A gateway is a neighbour: an address in the subnet of one of the devices.",
				context: { namespace: this.#ns.name, via: formatIp4(via) },
			});
		}
		return onLink.device;
	}
}

function readTo(to: string | Prefix4): Prefix4 {
	if (to === "default") return toPrefix4("0.0.0.0/0", "to");
	return typeof to === "string" ? (parsePrefix4(to) ?? toPrefix4(to, "to")) : to;
}
