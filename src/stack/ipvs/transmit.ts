import { ANY_IP4, type Ip4, isLoopbackIp4 } from "../../addr/index.ts";
import type { DropReason } from "../../drop.ts";
import { type Frame, icmp, ipv4 } from "../../wire/index.ts";
import type { InDevice } from "../in-device.ts";
import type { Namespace } from "../namespace.ts";
import { ACCEPT, DROP, STOLEN, type Verdict } from "../netfilter/index.ts";
import { Route } from "../route.ts";
import type { Connection } from "./connection.ts";
import { errorToServer, type Quoted, redirect } from "./packet.ts";
import type { Destination } from "./service.ts";
import type { IpvsSettings } from "./settings.ts";
import type { Tracking } from "./tracking.ts";

const IPIP = 4;
/** The least MTU of a way that a tunnel may take. */
const LEAST_MTU = 68;

/**
 * Takes packets of clients to real servers. A packet for a real server on this very host goes on as it is
 * (`ACCEPT`); any other is sent from here, as a packet of this host, by the hooks OUTPUT and POSTROUTING.
 * Reference: net/netfilter/ipvs/ip_vs_xmit.c.
 */
export class Transmitter {
	readonly #ns: Namespace;
	readonly #settings: IpvsSettings;
	readonly #tracking: Tracking;

	constructor(ns: Namespace, settings: IpvsSettings, tracking: Tracking) {
		this.#ns = ns;
		this.#settings = settings;
		this.#tracking = tracking;
	}

	/** A packet of the client's. Takes the frame unless the answer is `ACCEPT`. `inDevice` is null on OUTPUT. */
	send(frame: Frame, connection: Connection, inDevice: InDevice | null): Verdict {
		switch (connection.forward) {
			case "masquerading":
				return this.#masquerade(frame, connection, inDevice);
			case "gatewaying":
				return this.#gateway(frame, connection, inDevice);
			case "ipip":
				return this.#tunnel(frame, connection, inDevice);
		}
	}

	/** `ip_vs_nat_xmit`. */
	#masquerade(frame: Frame, connection: Connection, inDevice: InDevice | null): Verdict {
		const route = this.#way(frame, connection.destination, inDevice, true, 0, false);
		if (route === undefined) return DROP;
		const local = route.type === "local";
		// From the world, but to 127.0.0.0/8.
		if (local && inDevice !== null && isLoopbackIp4(connection.address))
			return this.drop(frame, inDevice, "ip-martian-source");
		const { view, start } = frame;
		const transport = start + ipv4.headerOctets(view, start);
		redirect(frame, transport, connection.protocol, connection.address, connection.port);
		frame.ipvs = true;
		if (connection.tracked) this.#tracking.update(frame, connection, "to-server");
		else this.#tracking.untrack(frame);
		return local ? ACCEPT : this.#output(frame, route);
	}

	/** `ip_vs_dr_xmit`: the packet stays as it is, the next hop is the real server. */
	#gateway(frame: Frame, connection: Connection, inDevice: InDevice | null): Verdict {
		const route = this.#way(frame, connection.destination, inDevice, false, 0, false);
		if (route === undefined) return DROP;
		this.#pass(frame, connection);
		return route.type === "local" ? ACCEPT : this.#output(frame, by(connection.destination, route));
	}

	/** `ip_vs_tunnel_xmit`: the packet in another one to the real server. */
	#tunnel(frame: Frame, connection: Connection, inDevice: InDevice | null): Verdict {
		const route = this.#way(frame, connection.destination, inDevice, false, ipv4.MIN_OCTETS, false);
		if (route === undefined) return DROP;
		if (route.type === "local") {
			this.#pass(frame, connection);
			return ACCEPT;
		}
		const ns = this.#ns;
		const { view, start } = frame;
		const tos = ipv4.tos(view, start);
		const ttl = ipv4.ttl(view, start);
		const refuses = this.#settings.pmtu_disc !== 0 && ipv4.dontFragment(view, start);
		const source = ns.sourceFor(route, connection.address);
		const octets = frame.end - start + ipv4.MIN_OCTETS;
		frame.forgetFlow();
		frame.ipvs = true;
		frame.push(ipv4.MIN_OCTETS);
		ipv4.writePlain(
			frame.view,
			frame.start,
			octets,
			tos,
			refuses ? 0 : ns.kernel.nextIdent(source, connection.address, IPIP),
			refuses ? ipv4.DONT_FRAGMENT : 0,
			ttl,
			IPIP,
			source,
			connection.address,
		);
		return this.#output(frame, route);
	}

	/** An ICMP error of the client about a packet of the real server (`ip_vs_icmp_xmit`). */
	sendError(
		frame: Frame,
		quoted: Quoted,
		connection: Connection,
		inDevice: InDevice | null,
		forwarding: boolean,
	): Verdict {
		if (connection.forward !== "masquerading") {
			const verdict = this.send(frame, connection, inDevice);
			connection.inPackets++;
			return verdict;
		}
		const route = this.#way(frame, connection.destination, inDevice, !forwarding, 0, true);
		if (route === undefined) return DROP;
		const local = route.type === "local";
		if (local && (forwarding || (inDevice !== null && isLoopbackIp4(connection.address)))) {
			return this.drop(frame, inDevice, "ip-martian-source");
		}
		errorToServer(frame, quoted, connection.address, connection.port);
		this.#pass(frame, connection);
		return local ? ACCEPT : this.#output(frame, route);
	}

	/** Ends a packet. Takes the frame. */
	drop(frame: Frame, inDevice: InDevice | null, reason: DropReason, detail?: string): Verdict {
		if (inDevice === null) this.#ns.drop(frame, reason, detail);
		else inDevice.device.dropIn(frame, reason, detail);
		return DROP;
	}

	/** Tells a packet's sender why it ends; the frame stays the caller's. */
	tell(frame: Frame, inDevice: InDevice | null, type: number, code: number, info = 0): void {
		const from = inDevice ?? this.#ns.inDevice(this.#ns.loopback);
		if (from !== undefined) this.#ns.ipv4.icmp.tell(frame, from, type, code, info);
	}

	#pass(frame: Frame, connection: Connection): void {
		frame.ipvs = true;
		if (!connection.tracked) this.#tracking.untrack(frame);
	}

	#output(frame: Frame, route: Route): Verdict {
		this.#ns.ipv4.output(frame, route);
		return STOLEN;
	}

	/**
	 * The way to a real server, with what a router does before a packet takes it: TTL, MTU (`__ip_vs_get_out_rt`). `mayRedirect`: a
	 * packet for another host may end here; `outer`: octets a tunnel puts in front.
	 * Undefined when the packet ended here; then the frame was taken.
	 */
	#way(
		frame: Frame,
		destination: Destination,
		inDevice: InDevice | null,
		mayRedirect: boolean,
		outer: number,
		isError: boolean,
	): Route | undefined {
		const { view, start } = frame;
		const route = this.#route(destination);
		if (route?.device == null) {
			this.tell(frame, inDevice, icmp.UNREACHABLE, icmp.HOST_UNREACHABLE);
			return this.#end(frame, inDevice, "ip-no-route");
		}
		if (route.type === "local") {
			// A packet that was for another host may not end here unless its destination is rewritten.
			const wasLocal = this.#ns.isOwnAddress(ipv4.destination(view, start));
			return mayRedirect || wasLocal ? route : this.#end(frame, inDevice, "ip-martian-source");
		}
		if (isLoopbackIp4(ipv4.source(view, start))) return this.#end(frame, inDevice, "ip-martian-source");
		if (ipv4.ttl(view, start) <= 1) {
			this.tell(frame, inDevice, icmp.TIME_EXCEEDED, icmp.TTL_EXCEEDED);
			return this.#end(frame, inDevice, "ip-ttl-exceeded");
		}
		ipv4.decrementTtl(view, start);
		frame.changed();
		const mtu = this.#ns.ipv4.mtuOf(route, destination.address) - outer;
		if (mtu < LEAST_MTU) return this.#end(frame, inDevice, "ip-frag-needed");
		// A tunnel that does not discover MTUs fragments whatever is too long.
		if (outer > 0 && this.#settings.pmtu_disc === 0) return route;
		if (frame.end - start > mtu && ipv4.dontFragment(view, start) && !isError) {
			this.tell(frame, inDevice, icmp.UNREACHABLE, icmp.FRAG_NEEDED, mtu);
			return this.#end(frame, inDevice, "ip-frag-needed", `next-hop MTU ${String(mtu)}`);
		}
		return route;
	}

	#end(frame: Frame, inDevice: InDevice | null, reason: DropReason, detail?: string): undefined {
		this.drop(frame, inDevice, reason, detail);
		return undefined;
	}

	#route(destination: Destination): Route | undefined {
		const { generation } = this.#ns;
		if (destination.routeGeneration !== generation) {
			destination.routeGeneration = generation;
			destination.route = this.#ns.route(destination.address);
		}
		return destination.route;
	}
}

/** The route with the real server itself as next hop, whatever the packet says (`FLOWI_FLAG_KNOWN_NH`). */
function by(destination: Destination, route: Route): Route {
	if (route.via !== ANY_IP4) return route;
	const known = KNOWN_NEXT_HOPS.get(destination);
	if (known?.from === route) return known.route;
	const made = nextHop(route, destination.address);
	KNOWN_NEXT_HOPS.set(destination, { from: route, route: made });
	return made;
}

/** Made once per destination and route, so that it keeps the neighbour found last. */
const KNOWN_NEXT_HOPS = new WeakMap<Destination, { readonly from: Route; readonly route: Route }>();

const nextHop = (
	{ network, length, type, device, source, metric, scope, protocol, mtu }: Route,
	via: Ip4,
): Route => new Route({ network, length, type, device, via, source, metric, scope, protocol, mtu });
