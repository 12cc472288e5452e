import { ANY_IP4, type Ip4, isMulticastIp4 } from "../../addr/index.ts";
import type { DropReason } from "../../drop.ts";
import { BRIDGING, type Device } from "../../link/index.ts";
import { ethernet, type Frame, icmp, ipv4 } from "../../wire/index.ts";
import type { InDevice } from "../in-device.ts";
import { InputRoutes } from "../input-routes.ts";
import { ACCEPT, STOLEN } from "../netfilter/hooks.ts";
import type { Namespace } from "../namespace.ts";
import type { Neighbour } from "../neighbour/neighbour.ts";
import type { Route } from "../route.ts";
import { type Ipv4Conf, IPV4_CONF } from "./conf.ts";
import { fragment } from "./fragment.ts";
import { checkHeader } from "./header-check.ts";
import { Icmp } from "./icmp.ts";
import { logMartian } from "./martian.ts";
import { forwardOptions, type NotedOptions, readOptions } from "./options.ts";
import { PathMtus } from "./path-mtu.ts";
import { Peers } from "./peers.ts";
import { priorityOf } from "./priority.ts";
import { Reassembly } from "./reassembly.ts";
import { Redirects } from "./redirects.ts";

/**
 * IPv4 of one namespace.
 *
 *     receive → checks → [PREROUTING] → route ┬─ local: reassemble → [INPUT] → protocol (icmp, udp, raw …)
 *                                             └─ forward: TTL → redirect? → [FORWARD] ─┐
 *     send → header → route → output → [OUTPUT] → route again? ────────────────────────┴→ way out
 *     way out: [POSTROUTING] → fragment? → neighbour → device
 *
 * Inside, frames start at their IPv4 header. Reference: net/ipv4/ip_input.c, ip_forward.c, ip_output.c, route.c.
 */
export class Ipv4 {
	readonly ns: Namespace;
	readonly icmp: Icmp;
	/** `net.ipv4.<name>`. */
	conf: Ipv4Conf = IPV4_CONF;
	// Tables are made when first needed: most namespaces never are.
	#inputRoutes: InputRoutes | undefined;
	#pathMtus: PathMtus | undefined;
	#peers: Peers | undefined;
	/** Better first hops that routers told of, made when the first is believed. */
	redirects: Redirects | undefined;
	#reassembly: Reassembly | undefined;
	/** By frame, with the journey it was on: frames are used again. */
	#options: WeakMap<Frame, { readonly journey: number; readonly noted: NotedOptions }> | undefined;

	constructor(ns: Namespace) {
		this.ns = ns;
		this.icmp = new Icmp(this);
	}

	/** Where packets that come in go. */
	get inputRoutes(): InputRoutes {
		return (this.#inputRoutes ??= new InputRoutes(this.ns));
	}

	/** Path MTUs learned from ICMP. */
	get pathMtus(): PathMtus {
		return (this.#pathMtus ??= new PathMtus(this.ns.kernel.world.scheduler, () => {
			this.ns.settingsChanged();
		}));
	}

	/** Believes a redirect: what is for `destination` goes to `gateway` now, no longer to `from`. */
	follow(destination: Ip4, from: Ip4, gateway: Ip4): void {
		this.redirects ??= new Redirects(this.ns.kernel, () => {
			this.ns.settingsChanged();
		});
		this.redirects.learn(destination, from, gateway);
	}

	/** What is remembered of hosts that were told of errors. */
	get peers(): Peers {
		return (this.#peers ??= new Peers(this.ns.kernel.world.scheduler));
	}

	// ── in ────────────────────────────────────────────────────────────────────────────────────────

	/** An IPv4 frame for this namespace; it starts at its Ethernet header. Takes the frame (`ip_rcv`). */
	receive(frame: Frame, inDevice: InDevice): void {
		const group = (ethernet.dstHigh(frame.view, frame.start) & 0x0100) !== 0;
		frame.pull(ethernet.OCTETS);
		const reason = checkHeader(frame);
		if (reason !== null) return this.#refuse(frame, inDevice.device, reason);
		if (frame.bridging !== 0) {
			// It passed PREROUTING at a bridge port (`ip_sabotage_in`), where its way may have been decided, too.
			const rerouted = (frame.bridging & BRIDGING.rerouted) !== 0;
			frame.bridging = 0;
			return this.routeIn(frame, inDevice, group, !rerouted);
		}
		const { ways } = this.ns;
		if (ways !== null && !group && ways.enter(frame, inDevice)) return;
		const chain = this.ns.hooks.prerouting;
		if (chain !== null && chain.run(frame, inDevice, null, null) !== ACCEPT) return;
		this.routeIn(frame, inDevice, group);
	}

	/**
	 * What follows PREROUTING: the packet goes where it is for (`ip_rcv_finish`). `group` says that it came to a
	 * link-layer group, `redirects` whether its sender may be told of a better way. Takes the frame, which starts at its
	 * IPv4 header.
	 */
	routeIn(frame: Frame, inDevice: InDevice, group: boolean, redirects = true): void {
		const { view, start } = frame;
		if (inDevice.device.layer3 !== null) {
			const child = inDevice.device.layer3.layer3Child(ipv4.destination(view, start));
			if (child?.input.claimsPacket(frame) === true) return this.deliver(frame, inDevice, child);
		}
		const decision = this.inputRoutes.decide(
			ipv4.source(view, start),
			ipv4.destination(view, start),
			inDevice,
			frame.mark,
		);
		const route = decision.verdict;
		if (typeof route === "string") return this.#turnAway(frame, inDevice, route);
		if (ipv4.headerOctets(view, start) > ipv4.MIN_OCTETS && !this.#readOptions(frame, inDevice, route))
			return;
		if (route.type === "local") return this.deliver(frame, inDevice);
		if (route.type === "broadcast" && !this.#forwardsBroadcast(inDevice, route))
			return this.deliver(frame, inDevice);
		// A packet sent to everyone on the link is not for anyone elsewhere.
		if (group) return this.#refuse(frame, inDevice.device, "ip-broadcast");
		this.#forward(frame, inDevice, route, redirects && decision.redirect);
	}

	/**
	 * Whether a packet that came up by another namespace's device is for this host; it starts at its IPv4 header
	 * (`ipvlan_l3_rcv`).
	 */
	claimsPacket({ view, start, mark }: Frame, inDevice: InDevice): boolean {
		const { verdict } = this.inputRoutes.decide(
			ipv4.source(view, start),
			ipv4.destination(view, start),
			inDevice,
			mark,
		);
		return typeof verdict !== "string" && verdict.type === "local";
	}

	/** Options are rare: what was noted in them is kept beside the frame. Takes the frame when they are refused. */
	#readOptions(frame: Frame, inDevice: InDevice, route: Route): boolean {
		const noted = readOptions(this.ns, frame, inDevice, route);
		if (noted === undefined) return false;
		(this.#options ??= new WeakMap()).set(frame, { journey: frame.id, noted });
		return true;
	}

	/** What was noted in the options of a packet that came in. */
	optionsOf(frame: Frame): NotedOptions | undefined {
		if (ipv4.headerOctets(frame.view, frame.start) === ipv4.MIN_OCTETS) return undefined;
		const known = this.#options?.get(frame);
		return known?.journey === frame.id ? known.noted : undefined;
	}

	#refuse(frame: Frame, device: Device, reason: DropReason): void {
		device.dropIn(frame, reason);
	}

	/** Packets without a way: some senders are told why, some are not. */
	#turnAway(frame: Frame, inDevice: InDevice, reason: DropReason): void {
		if (reason === "ip-martian-source" || reason === "ip-rpfilter") logMartian(this.ns, frame, inDevice);
		if (reason === "ip-no-route") this.icmp.tell(frame, inDevice, icmp.UNREACHABLE, icmp.NET_UNREACHABLE, 0);
		inDevice.device.dropIn(frame, reason);
	}

	/** The way a packet that came in by a device would go, or why there is none (`ip_route_input`). */
	wayIn(frame: Frame, inDevice: InDevice): Route | DropReason {
		const { view, start } = frame;
		return this.inputRoutes.decide(
			ipv4.source(view, start),
			ipv4.destination(view, start),
			inDevice,
			frame.mark,
		).verdict;
	}

	/** A subnet's broadcast, not everyone's, is routed where `bc_forwarding` is on for the device and for all. */
	#forwardsBroadcast(inDevice: InDevice, route: Route): boolean {
		return route.device !== null && inDevice.conf.bc_forwarding !== 0 && this.ns.confAll.bc_forwarding !== 0;
	}

	/** Keeps a fragment; returns the whole datagram with its last one. Takes the frame (`ip_defrag`). */
	reassemble(frame: Frame, inDevice: InDevice): Frame | undefined {
		return (this.#reassembly ??= new Reassembly(this)).add(frame, inDevice);
	}

	/**
	 * For this namespace: whole datagrams to their protocol, or to that of an ipvlan child in l3s mode, behind the INPUT
	 * of this namespace. Takes the frame (`ip_local_deliver`, `ipvlan_nf_input`).
	 */
	deliver(frame: Frame, inDevice: InDevice, child?: Device): void {
		if (ipv4.isFragment(frame.view, frame.start)) {
			const whole = this.reassemble(frame, inDevice);
			if (whole === undefined) return;
			return this.deliver(whole, inDevice, child);
		}
		const chain = this.ns.hooks.input;
		if (chain !== null && chain.run(frame, inDevice, null, null) !== ACCEPT) return;
		if (child !== undefined) return child.input.receivePacket(frame);
		this.ns.ways?.notes?.delivered(frame);
		this.ns.deliver(frame, inDevice, ipv4.protocol(frame.view, frame.start));
	}

	/**
	 * A packet that came out of ESP: it passes PREROUTING, is routed anew if that changed its destination, and goes to
	 * its protocol. Takes the frame (`xfrm4_transport_finish`).
	 */
	receiveAgain(frame: Frame, inDevice: InDevice): void {
		const before = ipv4.destination(frame.view, frame.start);
		const chain = this.ns.hooks.prerouting;
		if (chain !== null && chain.run(frame, inDevice, null, null) !== ACCEPT) return;
		if (ipv4.destination(frame.view, frame.start) === before) this.deliver(frame, inDevice);
		else this.routeIn(frame, inDevice, false);
	}

	/** `ip_forward`. Takes the frame. */
	#forward(frame: Frame, inDevice: InDevice, route: Route, redirect: boolean): void {
		const { view, start } = frame;
		if (route.type !== "unicast" && route.type !== "broadcast") {
			if (route.type === "unreachable")
				this.icmp.tell(frame, inDevice, icmp.UNREACHABLE, icmp.HOST_UNREACHABLE, 0);
			if (route.type === "prohibit")
				this.icmp.tell(frame, inDevice, icmp.UNREACHABLE, icmp.ADMIN_PROHIBITED, 0);
			return inDevice.device.dropIn(frame, "ip-unreachable-route", route.text);
		}
		const ipsec = this.ns.ipsec;
		if (ipsec?.permits(frame, inDevice, "fwd") === false) return;
		if (ipv4.ttl(view, start) <= 1) {
			this.icmp.tell(frame, inDevice, icmp.TIME_EXCEEDED, icmp.TTL_EXCEEDED, 0);
			return inDevice.device.dropIn(frame, "ip-ttl-exceeded");
		}
		const wayMtu = this.mtuOf(route, ipv4.destination(view, start));
		const mtu = ipsec === null ? wayMtu : ipsec.mtuFor(frame, route, wayMtu);
		if (frame.end - start > mtu && ipv4.dontFragment(view, start)) {
			this.icmp.tell(frame, inDevice, icmp.UNREACHABLE, icmp.FRAG_NEEDED, mtu);
			return inDevice.device.dropIn(frame, "ip-frag-needed", `next-hop MTU ${String(mtu)}`);
		}
		ipv4.decrementTtl(view, start);
		frame.priority = priorityOf(ipv4.tos(view, start));
		frame.changed();
		const notes = this.ns.ways?.notes;
		if (notes != null) {
			if (redirect) notes.spoil();
			else notes.forwarded();
		}
		if (redirect) this.icmp.redirect(frame, inDevice, route);
		const chain = this.ns.hooks.forward;
		if (chain !== null && chain.run(frame, inDevice, route.device, route) !== ACCEPT) return;
		this.forwardOn(frame, inDevice, route);
	}

	/** What follows FORWARD, for a packet that was put together there, too. Takes the frame (`ip_forward_finish`). */
	forwardOn(frame: Frame, inDevice: InDevice, route: Route): void {
		const noted = this.optionsOf(frame);
		if (noted !== undefined) forwardOptions(this.ns, frame, route, noted);
		this.#out(frame, inDevice, route, this.mtuOf(route, ipv4.destination(frame.view, frame.start)));
	}

	// ── out ───────────────────────────────────────────────────────────────────────────────────────

	/** The longest packet by a route to a destination: path MTU if one is known, route's, device's. */
	mtuOf(route: Route, destination: Ip4): number {
		const mtu = route.mtu > 0 ? route.mtu : (route.device?.mtu ?? 0);
		const known = this.#pathMtus;
		return known === undefined || known.size === 0 ? mtu : Math.min(mtu, known.get(destination) ?? mtu);
	}

	/**
	 * Sends a packet of this host. The frame starts at its complete IPv4 header. Takes the frame.
	 * Longer than the way allows, it is fragmented, or dropped when it forbids that: senders that want to
	 * know ask `mtuOf` first. False when netfilter dropped it, which senders see as EPERM (`ip_local_out`).
	 */
	output(frame: Frame, route: Route): boolean {
		const { ways } = this.ns;
		return (
			(ways === null ? undefined : ways.leave(frame, route)) ?? this.outputAfter(-Infinity, frame, route)
		);
	}

	/** `output`, for a packet that functions up to a priority have seen. */
	outputAfter(priority: number, frame: Frame, route: Route): boolean {
		let way = route;
		const chain = this.ns.hooks.output;
		if (chain !== null) {
			const before = ipv4.destination(frame.view, frame.start);
			const { mark } = frame;
			const verdict =
				priority === -Infinity
					? chain.run(frame, null, route.device, route)
					: chain.runAfter(priority, frame, null, route.device, route);
			if (verdict !== ACCEPT) return verdict === STOLEN;
			const destination = ipv4.destination(frame.view, frame.start);
			if (destination !== before || (frame.mark !== mark && this.ns.rules !== null)) {
				// Another destination has another way, another mark may have one (`ip_route_me_harder`).
				const other = this.ns.route(destination, ipv4.source(frame.view, frame.start), frame.mark);
				if (other?.device == null) {
					this.ns.dropOut(frame, route, other === undefined ? "ip-no-route" : "ip-unreachable-route");
					return false;
				}
				way = other;
			}
		}
		return this.#out(frame, null, way, this.mtuOf(way, ipv4.destination(frame.view, frame.start)));
	}

	#out(frame: Frame, inDevice: InDevice | null, route: Route, mtu: number): boolean {
		frame.routed = true;
		const chain = this.ns.hooks.postrouting;
		if (chain !== null) {
			const verdict = chain.run(frame, inDevice, route.device, route);
			if (verdict !== ACCEPT) return verdict === STOLEN;
		}
		const { ipsec } = this.ns;
		const policy = ipsec === null ? undefined : ipsec.outPolicy(frame, route);
		if (ipsec === null || policy === undefined) return this.#finish(frame, route, mtu);
		const packet = ipsec.protect(frame, route, policy);
		if (packet === undefined) return true;
		return ipsec.transformed ? this.#protected(packet, route) : this.#finish(packet, route, mtu);
	}

	/** What IPsec made of a packet is a new one of this host: it passes OUTPUT and POSTROUTING again (`xfrm_output_resume`). */
	#protected(frame: Frame, route: Route): boolean {
		frame.routed = true;
		for (const chain of [this.ns.hooks.output, this.ns.hooks.postrouting]) {
			if (chain === null) continue;
			const verdict = chain.run(frame, null, route.device, route);
			if (verdict !== ACCEPT) return verdict === STOLEN;
		}
		return this.#finish(frame, route, this.mtuOf(route, ipv4.destination(frame.view, frame.start)));
	}

	/** `ip_finish_output`: fragments what is too long. Takes the frame. */
	#finish(frame: Frame, route: Route, mtu: number): boolean {
		const { longestFragment } = frame;
		if (frame.end - frame.start <= mtu && longestFragment === 0) {
			this.#toNeighbour(frame, route);
			return true;
		}
		if (ipv4.dontFragment(frame.view, frame.start)) {
			this.ns.dropOut(frame, route, "ip-frag-needed", `MTU ${String(mtu)}`);
			return true;
		}
		// What came in fragments leaves in fragments no longer than those (`ip_do_fragment`).
		const longest = longestFragment === 0 ? mtu : Math.min(mtu, longestFragment);
		fragment(frame, longest, (piece) => {
			this.#toNeighbour(piece, route);
		});
		return true;
	}

	/** `ip_finish_output2`: the link address of the next hop, then the device. Takes the frame. */
	#toNeighbour(frame: Frame, route: Route): void {
		const device = route.device;
		if (device === null) return this.ns.dropOut(frame, route, "ip-unreachable-route", route.text);
		const destination = ipv4.destination(frame.view, frame.start);
		const nextHop = route.via !== 0 ? route.via : destination;
		let neighbour = route.neighbour;
		if (neighbour?.ip !== nextHop || neighbour.dead) {
			const found = this.#findNeighbour(frame, route, device, nextHop);
			if (found === undefined) return this.ns.dropOut(frame, route, "device-gone");
			neighbour = found;
		}
		const notes = this.ns.ways?.notes;
		if (notes != null && neighbour.facts.state !== "noarp")
			notes.sent(frame, route, neighbour, this.mtuOf(route, destination));
		this.toNeighbour(frame, device, neighbour);
	}

	/** One that is not the last spoken to by the route (`ip_neigh_for_gw`). The frame stays the caller's. */
	#findNeighbour(frame: Frame, route: Route, device: Device, nextHop: Ip4): Neighbour | undefined {
		const known = route.neighbour;
		const loopback = device === this.ns.loopback;
		// All that loopback leads to is one neighbour (`__ipv4_neigh_lookup_noref`).
		if (loopback && known?.dead === false) return known;
		const inDevice = this.ns.inDevice(device);
		if (inDevice === undefined) return undefined;
		const neighbour = this.ns.neighbours(inDevice).ensure(loopback ? ANY_IP4 : nextHop);
		// Remembered but for groups that the host may be in itself: with those there is more to do.
		if (!route.loop || !isMulticastIp4(nextHop)) route.neighbour = neighbour;
		else this.#hearItself(frame, inDevice, nextHop);
		return neighbour;
	}

	/** The host hears what it says to a group it is in itself (`ip_mc_output`). The frame stays the caller's. */
	#hearItself(frame: Frame, inDevice: InDevice, group: Ip4): void {
		if (inDevice.igmp?.has(group) === true) this.ns.loopBack(frame.clone(), inDevice);
	}

	/** A packet to a neighbour whose address is known, or has to be found first. Takes the frame. */
	toNeighbour(frame: Frame, device: Device, neighbour: Neighbour): void {
		if (neighbour.connected) {
			frame.push(ethernet.OCTETS);
			ethernet.writeParts(
				frame.view,
				frame.start,
				neighbour.macHigh,
				neighbour.macLow,
				device.macHigh,
				device.macLow,
				ethernet.TYPE_IPV4,
			);
			return device.transmit(frame);
		}
		const inDevice = this.ns.inDevice(device);
		if (inDevice === undefined) return device.dropOut(frame, "device-gone");
		this.ns.neighbours(inDevice).output(frame, neighbour);
	}
}
