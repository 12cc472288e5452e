import { ANY_IP4, BROADCAST_IP4, type Ip4, isLoopbackIp4, isMulticastIp4 } from "../addr/index.ts";
import type { DropReason } from "../drop.ts";
import type { Device } from "../link/index.ts";
import type { InDevice } from "./in-device.ts";
import type { Namespace } from "./namespace.ts";
import type { Route } from "./route.ts";

/** What happens to a received packet's address pair: decided once per flow, kept while routes stay as they are. */
export interface InputDecision {
	readonly source: Ip4;
	readonly destination: Ip4;
	readonly device: Device;
	readonly generation: number;
	/** The route, or why there is none. */
	readonly verdict: Route | DropReason;
	/** The packet goes back out of the device it came in by, to a router the sender could have used itself. */
	readonly redirect: boolean;
}

/** Slots of the cache of input decisions; a power of two. */
const DECISIONS = 16;

/**
 * Where packets that come in go: who may speak, then the local table, then the main one. The flows seen last are
 * remembered while the tables stay as they are. Reference: net/ipv4/route.c, fib_frontend.c.
 */
export class InputRoutes {
	readonly #ns: Namespace;
	#decisions: (InputDecision | undefined)[] | undefined;

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	/** What becomes of a packet of these addresses that came in by a device (`ip_route_input`). */
	decide(source: Ip4, destination: Ip4, inDevice: InDevice, mark: number): InputDecision {
		const generation = this.#ns.generation;
		const decisions = (this.#decisions ??= new Array<InputDecision | undefined>(DECISIONS).fill(undefined));
		const slot =
			(source ^ (source >>> 8) ^ Math.imul(destination, 5) ^ (destination >>> 7)) & (DECISIONS - 1);
		const known = decisions[slot];
		if (
			known?.source === source &&
			known.destination === destination &&
			known.device === inDevice.device &&
			known.generation === generation &&
			this.#ns.rules === null
		) {
			return known;
		}
		const verdict = this.#route(source, destination, inDevice, mark);
		const decision: InputDecision = {
			source,
			destination,
			device: inDevice.device,
			generation,
			verdict,
			redirect: typeof verdict !== "string" && this.#redirects(source, inDevice, verdict),
		};
		decisions[slot] = decision;
		return decision;
	}

	/** `ip_route_input_slow`: who may speak, then where to. */
	#route(source: Ip4, destination: Ip4, inDevice: InDevice, mark: number): Route | DropReason {
		if (destination === BROADCAST_IP4) return this.#ns.broadcastRoute;
		if (isMulticastIp4(destination)) {
			if (inDevice.igmp?.has(destination) !== true) return "ip-nomcast";
			return this.#judgeGroupSource(source, destination, inDevice) ?? this.#ns.broadcastRoute;
		}
		if (isMulticastIp4(source) || source === BROADCAST_IP4) return "ip-martian-source";
		const loopback = inDevice.device === this.#ns.loopback;
		const mayLoop = loopback || inDevice.conf.route_localnet !== 0 || this.#ns.confAll.route_localnet !== 0;
		if (source === ANY_IP4 || destination === ANY_IP4) return "ip-martian-source";
		if (isLoopbackIp4(source) && !mayLoop) return "ip-martian-source";
		if (isLoopbackIp4(destination) && !mayLoop) return "ip-martian-source";
		const { rules } = this.#ns;
		const route =
			rules === null
				? (this.#ns.localFib.lookup(destination) ?? this.#ns.fib.lookup(destination))
				: rules.lookup({ destination, source, mark, iif: inDevice.device });
		if (!loopback) {
			const martian = this.#judgeSource(source, inDevice, destination, mark);
			if (martian !== undefined) return martian;
		}
		if (route?.type === "local" || route?.type === "broadcast") return route;
		if (!this.forwards(inDevice)) return "ip-forwarding-off";
		return route ?? "ip-no-route";
	}

	/** `ip_mc_validate_source`: a host without an address may only speak to groups of the link. */
	#judgeGroupSource(source: Ip4, destination: Ip4, inDevice: InDevice): DropReason | undefined {
		if (source === ANY_IP4) return destination >>> 8 === 0xe0_0000 ? undefined : "ip-martian-source";
		return this.isMartian(source, inDevice) ? "ip-martian-source" : undefined;
	}

	/** `fib_validate_source`: an own address may not come in from outside, and `rp_filter` may ask for more. */
	#judgeSource(
		source: Ip4,
		inDevice: InDevice,
		destination: Ip4 = ANY_IP4,
		mark = 0,
	): DropReason | undefined {
		const own = this.#ns.isOwnAddress(source);
		if (own && inDevice.conf.accept_local === 0 && this.#ns.confAll.accept_local === 0)
			return "ip-martian-source";
		const mode = Math.max(inDevice.conf.rp_filter, this.#ns.confAll.rp_filter);
		if (mode === 0 || own) return undefined;
		const valid = inDevice.conf.src_valid_mark !== 0 || this.#ns.confAll.src_valid_mark !== 0;
		const key = { destination: source, source: destination, mark: valid ? mark : 0, iif: null };
		const back = this.#ns.rules === null ? this.#ns.fib.lookup(source) : this.#ns.rules.lookup(key);
		// A route that ends here leads back to nobody.
		if (back?.device == null) return "ip-rpfilter";
		return mode === 1 && back.device !== inDevice.device ? "ip-rpfilter" : undefined;
	}

	/** True for a source that may not speak on a device. */
	isMartian(source: Ip4, inDevice: InDevice): boolean {
		if (isMulticastIp4(source) || source === BROADCAST_IP4 || isLoopbackIp4(source)) return true;
		return this.#judgeSource(source, inDevice) !== undefined;
	}

	/** Whether packets that come in by the device may leave by others (`ip_forward`, per device). */
	forwards(inDevice: InDevice): boolean {
		return inDevice.conf.forwarding !== 0;
	}

	#redirects(source: Ip4, inDevice: InDevice, route: Route): boolean {
		if (route.type !== "unicast" || route.device !== inDevice.device) return false;
		if (inDevice.conf.send_redirects === 0 && this.#ns.confAll.send_redirects === 0) return false;
		// The sender must be a neighbour of the better router (`inet_addr_onlink`, shared_media).
		return this.#ns.isOnLink(inDevice, source);
	}
}
