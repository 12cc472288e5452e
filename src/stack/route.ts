import { compareIp4, formatIp4, type Ip4 } from "../addr/index.ts";
import { type Device, hasCarrier } from "../link/index.ts";
import type { Generation } from "./generation.ts";
import type { Neighbour } from "./neighbour/neighbour.ts";

/** `rtm_type`: what happens to packets that match. */
export type RouteType = "unicast" | "local" | "broadcast" | "unreachable" | "prohibit" | "blackhole";

/** Who made the route: `proto` in `ip route`. */
export type RouteProtocol = "kernel" | "static" | "boot";

/** How far the destination is: `scope` in `ip route`. */
export type RouteScope = "global" | "link" | "host";

/** One route. Made by `Fib`'s callers; identity matters, since sockets and caches keep it. */
export class Route {
	/** Network address; bits behind `length` are zero. */
	readonly network: Ip4;
	readonly length: number;
	readonly type: RouteType;
	/** The device packets leave by; `null` for types that end here. */
	readonly device: Device | null;
	/** Next hop, 0 when the destination itself is on the link. */
	readonly via: Ip4;
	/** Preferred source address, 0 for none (`src`). */
	readonly source: Ip4;
	readonly metric: number;
	readonly scope: RouteScope;
	readonly protocol: RouteProtocol;
	/** Longest packet by this route, 0 for the device's MTU. */
	readonly mtu: number;
	/** Whether the host hears what it sends to a group it is in itself (`IP_MULTICAST_LOOP`). */
	readonly loop: boolean;
	/** The neighbour last used by this route, so that a flow looks it up once. */
	neighbour: Neighbour | null = null;

	constructor(route: {
		readonly network: Ip4;
		readonly length: number;
		readonly type?: RouteType;
		readonly device: Device | null;
		readonly via?: Ip4;
		readonly source?: Ip4;
		readonly metric?: number;
		readonly scope?: RouteScope;
		readonly protocol?: RouteProtocol;
		readonly mtu?: number;
		readonly loop?: boolean;
	}) {
		this.network = route.network;
		this.length = route.length;
		this.type = route.type ?? "unicast";
		this.device = route.device;
		this.via = route.via ?? (0 as Ip4);
		this.source = route.source ?? (0 as Ip4);
		this.metric = route.metric ?? 0;
		this.scope = route.scope ?? "global";
		this.protocol = route.protocol ?? "boot";
		this.mtu = route.mtu ?? 0;
		this.loop = route.loop ?? true;
	}

	/** The line of `ip route show`. */
	get text(): string {
		const to =
			this.length === 0
				? "default"
				: this.length === 32
					? formatIp4(this.network)
					: `${formatIp4(this.network)}/${String(this.length)}`;
		const parts = [this.type === "unicast" ? to : `${this.type} ${to}`];
		if (this.via !== 0) parts.push(`via ${formatIp4(this.via)}`);
		if (this.device !== null) parts.push(`dev ${this.device.name}`);
		if (this.protocol !== "boot") parts.push(`proto ${this.protocol}`);
		if (this.scope !== "global") parts.push(`scope ${this.scope}`);
		if (this.source !== 0) parts.push(`src ${formatIp4(this.source)}`);
		if (this.metric !== 0) parts.push(`metric ${String(this.metric)}`);
		if (this.device !== null && this.type !== "local" && this.device.isUp && !hasCarrier(this.device))
			parts.push(this.device.ignoreLinkdown ? "dead linkdown" : "linkdown");
		if (this.mtu !== 0) parts.push(`mtu ${String(this.mtu)}`);
		return `${parts.join(" ")} `;
	}
}

/** A route leads out by a device that is up; without carrier too, unless the device is told to ignore such routes. */
const isUsable = (device: Device, route: Route): boolean =>
	device.isUp && (!device.ignoreLinkdown || route.type === "local" || hasCarrier(device));

/** The 32-bit mask of a prefix length, signed, for use with `&`. */
export const signedMask = (length: number): number => (length === 0 ? 0 : -1 << (32 - length));

/** Routes up to which a table is looked through one after the other. */
const FEW = 12;
const NO_ROUTES: readonly Route[] = [];

const isOf = (route: Route, network: Ip4, length: number): boolean =>
	route.length === length && ((route.network ^ network) & signedMask(length)) === 0;

/**
 * A routing table: longest prefix first, then lowest metric, then first come. Most namespaces have a handful of routes,
 * in one list of just that length; a table with more has an index.
 */
export class Fib {
	readonly #changes: Generation;
	/** In the order in which they are asked, while there is no index. */
	#few: readonly Route[] = NO_ROUTES;
	#index: FibIndex | null = null;

	/** Each change of the table is one of `changes`. */
	constructor(changes: Generation) {
		this.#changes = changes;
	}

	/**
	 * The route of a destination whose device is up, if any; by `device`, or one that ends packets, if that is said
	 * (`flowi4_oif`).
	 */
	lookup(destination: Ip4, device?: Device): Route | undefined {
		if (this.#index !== null) return this.#index.lookup(destination, device);
		const few = this.#few;
		for (let i = 0; i < few.length; i++) {
			const route = few[i]!;
			if (((route.network ^ destination) & signedMask(route.length)) === 0 && leads(route, device))
				return route;
		}
		return undefined;
	}

	/** The routes with exactly this destination. */
	find(network: Ip4, length: number): readonly Route[] {
		if (this.#index !== null) return this.#index.find(network, length);
		return this.#few.filter((route) => isOf(route, network, length));
	}

	add(route: Route): void {
		this.#changes.generation++;
		if (this.#index === null && this.#few.length < FEW) {
			const after = (each: Route): boolean =>
				each.length < route.length || (each.length === route.length && each.metric > route.metric);
			const at = this.#few.findIndex(after);
			// Copies are as long as they must be; what grows in place takes room for seventeen.
			this.#few = this.#few.toSpliced(at < 0 ? this.#few.length : at, 0, route);
			return;
		}
		if (this.#index === null) {
			this.#index = new FibIndex();
			for (const each of this.#few) this.#index.add(each);
			this.#few = NO_ROUTES;
		}
		this.#index.add(route);
	}

	/** Takes a route out; says whether it was there. */
	remove(route: Route): boolean {
		if (this.#index !== null) {
			const removed = this.#index.remove(route);
			if (removed) this.#changes.generation++;
			return removed;
		}
		if (!this.#few.includes(route)) return false;
		this.#changes.generation++;
		this.#few = this.#few.filter((each) => each !== route);
		return true;
	}

	/** All routes as `ip route show` lists them: by destination, shorter prefixes first, then by metric. */
	routes(): Route[] {
		return [...(this.#index?.all() ?? this.#few)].sort(
			(a, b) => compareIp4(a.network, b.network) || a.length - b.length || a.metric - b.metric,
		);
	}
}

/** Whether packets can go by it; by `device`, if that is said. */
const leads = (route: Route, device: Device | undefined): boolean =>
	route.device === null ||
	((device === undefined || route.device === device) && isUsable(route.device, route));

/** A large table: one map per prefix length in use, longest first, keyed by the masked address. */
class FibIndex {
	#lengths: number[] = [];
	#masks: number[] = [];
	#maps: Map<number, Route[]>[] = [];

	lookup(destination: Ip4, device: Device | undefined): Route | undefined {
		for (let i = 0; i < this.#maps.length; i++) {
			const routes = this.#maps[i]!.get(destination & this.#masks[i]!);
			const route = routes?.find((each) => leads(each, device));
			if (route !== undefined) return route;
		}
		return undefined;
	}

	find(network: Ip4, length: number): readonly Route[] {
		const index = this.#lengths.indexOf(length);
		return this.#maps[index]?.get(network & signedMask(length)) ?? [];
	}

	add(route: Route): void {
		let index = this.#lengths.indexOf(route.length);
		if (index < 0) {
			index = this.#lengths.findIndex((length) => length < route.length);
			if (index < 0) index = this.#lengths.length;
			this.#lengths.splice(index, 0, route.length);
			this.#masks.splice(index, 0, signedMask(route.length));
			this.#maps.splice(index, 0, new Map());
		}
		const map = this.#maps[index]!;
		const key = route.network & signedMask(route.length);
		const routes = map.get(key) ?? [];
		map.set(
			key,
			[...routes, route].sort((a, b) => a.metric - b.metric),
		);
	}

	remove(route: Route): boolean {
		const index = this.#lengths.indexOf(route.length);
		const map = this.#maps[index];
		const key = route.network & signedMask(route.length);
		const routes = map?.get(key);
		if (map === undefined || routes?.includes(route) !== true) return false;
		const left = routes.filter((each) => each !== route);
		if (left.length > 0) map.set(key, left);
		else map.delete(key);
		if (map.size === 0) {
			this.#lengths.splice(index, 1);
			this.#masks.splice(index, 1);
			this.#maps.splice(index, 1);
		}
		return true;
	}

	all(): readonly Route[] {
		return this.#maps.flatMap((map) => [...map.values()].flat());
	}
}
