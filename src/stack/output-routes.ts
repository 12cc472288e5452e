import { ANY_IP4, type Ip4, isMulticastIp4 } from "../addr/index.ts";
import type { Device } from "../link/index.ts";
import type { Namespace } from "./namespace.ts";
import { Route } from "./route.ts";

/** Destinations remembered; a power of two. */
const SLOTS = 8;

/**
 * Where packets of this host go (`ip_route_output_key`): the local table first, then the main one. The
 * destinations last spoken to are remembered for one generation of the tables.
 */
export class OutputRoutes {
	readonly #ns: Namespace;
	#routes: (Route | undefined)[] | undefined;
	#destinations: Ip4[] | undefined;
	#generation = -1;
	/** On-link routes by a device, last made first. */
	#byDevice: Map<Device, Route[]> | undefined;
	#byDeviceGeneration = -1;
	/** The way by `lo` that stands for an own address's route. */
	#byLoopback: WeakMap<Route, Route> | undefined;

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	/** The route to a destination. */
	find(destination: Ip4, source: Ip4, mark: number): Route | undefined {
		if (this.#ns.rules !== null) {
			const route = this.#ns.rules.lookup({ destination, source, mark, iif: null });
			return route?.type === "local" ? this.#loop(route) : this.#redirected(route, destination);
		}
		const slot = (destination ^ (destination >>> 8)) & (SLOTS - 1);
		const generation = this.#ns.generation;
		const routes = (this.#routes ??= new Array<Route | undefined>(SLOTS).fill(undefined));
		if (this.#generation !== generation) {
			this.#generation = generation;
			routes.fill(undefined);
		}
		const destinations = (this.#destinations ??= new Array<Ip4>(SLOTS).fill(ANY_IP4));
		const known = routes[slot];
		if (known !== undefined && destinations[slot] === destination) return known;
		const route = this.#lookup(destination);
		routes[slot] = route;
		destinations[slot] = destination;
		return route;
	}

	/**
	 * The route to a destination by one device (`flowi4_oif`): the tables' if they have one that leaves by it, else the
	 * destination is taken to be on its link. Groups are always on the link. Undefined while the device is down.
	 */
	by(device: Device, destination: Ip4, loop = true): Route | undefined {
		if (!device.isUp) return undefined;
		if (!isMulticastIp4(destination)) {
			const local = this.#ns.localFib.lookup(destination, device);
			if (local !== undefined) return local.type === "local" ? this.#loop(local) : local;
			const route = this.#ns.fib.lookup(destination, device);
			if (route !== undefined) return route;
		}
		const generation = this.#ns.generation;
		const byDevice = (this.#byDevice ??= new Map<Device, Route[]>());
		if (this.#byDeviceGeneration !== generation) byDevice.clear();
		this.#byDeviceGeneration = generation;
		const known = byDevice.get(device)?.find((each) => each.network === destination && each.loop === loop);
		if (known !== undefined) return known;
		const route = new Route({ network: destination, length: 32, device, scope: "link", loop });
		byDevice.set(device, [route, ...(byDevice.get(device) ?? []).slice(0, SLOTS - 1)]);
		return route;
	}

	#lookup(destination: Ip4): Route | undefined {
		const local = this.#ns.localFib.lookup(destination);
		if (local === undefined) {
			return this.#redirected(this.#ns.fib.lookup(destination), destination);
		}
		return local.type === "local" ? this.#loop(local) : local;
	}

	/**
	 * What a router said of a better first hop. A group is on the link of the device that the tables name, never behind a
	 * gateway (`__mkroute_output`).
	 */
	#redirected(route: Route | undefined, destination: Ip4): Route | undefined {
		if (route === undefined) return undefined;
		if (isMulticastIp4(destination))
			return route.device === null ? route : this.by(route.device, destination);
		return this.#ns.ipv4.redirects?.apply(route, destination) ?? route;
	}

	/** Packets to an own address leave and come back by `lo`, whichever device holds it. */
	#loop(local: Route): Route {
		const device = this.#ns.loopback;
		if (local.device === device) return local;
		const known = this.#byLoopback?.get(local);
		if (known !== undefined) return known;
		const { network, length, source } = local;
		const route = new Route({ network, length, type: "local", device, source, scope: "host" });
		(this.#byLoopback ??= new WeakMap<Route, Route>()).set(local, route);
		return route;
	}
}
