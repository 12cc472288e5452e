import { type Frame, ipv4, tcp, udp } from "../../../wire/index.ts";
import type { InDevice } from "../../in-device.ts";
import type { Namespace } from "../../namespace.ts";
import type { Route } from "../../route.ts";
import type { Conntrack } from "../conntrack/conntrack.ts";
import { STATUS, type Tuple } from "../conntrack/flow.ts";
import { ACCEPT, PRIORITY } from "../hooks.ts";
import type { KnownWay } from "./known-way.ts";
import { Notes } from "./notes.ts";

/** Version 4, no options. */
const PLAIN_HEADER = 0x45;
/** The fragment field without Don't Fragment and the reserved bit. */
const FRAGMENT = 0x3fff;
/** Packets that go the long way before one is noted: a flow of a few packets is not worth it. */
const UNNOTED = 2;
/** Segments between the first and the last of a connection acknowledge, and nothing more that changes its state. */
const isPlain = (flags: number): boolean => (flags & (tcp.SYN | tcp.FIN | tcp.RST | tcp.ACK)) === tcp.ACK;

/**
 * The ways of established flows through one namespace. What the hooks and the routes make of a packet is the same for all
 * packets of one direction of an established flow: each tuple of connection tracking remembers it (`Tuple.way`), and
 * packets after the first few are found once, tracked, and sent the way that is known.
 *
 *     receive, output → tuple → its way, still true? ─ yes → tracked → counted, rewritten → protocol, or neighbour and device
 *                                                    └ no ─→ the hooks, noted now and then
 *
 * Remembered: each rule that counted, addresses, ports and mark in the end, TTL, the connection of IPVS, the neighbour and
 * the device. Done anew for each packet: everything of connection tracking (windows, timeouts, accounting), IPVS's
 * state, counters and timers, all counters, taps and queues of the device.
 *
 * A way is true only while `Namespace.generation` is what it was, which changes with devices, addresses, routes, settings,
 * path MTUs, rules, hooks and IPVS's services; while the flow's status is what it was; while the neighbour is in its table
 * and IPVS has made no connection since; and for packets that come by the same device, or with the same route, and with
 * the same mark. Everything else takes the long way: other protocols than UDP and TCP, options, fragments, what is too long
 * or at the end of its TTL, segments that open or end a connection or lie outside its windows, what comes by bridge ports
 * or with checksums that are not known to be good, namespaces with policy routing or IPsec, connections of IPVS that
 * connection tracking does not see or that are not masqueraded; and flows that met a rule which does not go by the flow
 * alone (`Extension.ofFlow`).
 *
 * It cannot be seen from outside: `World.remembersWays` switches it off, and `test/properties/known-ways.test.ts`
 * compares. Linux has the like in its flowtables (nf_flow_table_core.c), which can be seen: packets there pass no rules.
 */
export class KnownWays {
	/** What is noted of the packet that goes the long way now. */
	notes: Notes | null = null;
	readonly #ns: Namespace;
	readonly #conntrack: Conntrack;
	/** Where the last packet's transport header starts. */
	#transport = 0;
	/** The tuple found last: packets of a flow often come one behind the other. */
	#last: Tuple | null = null;

	constructor(ns: Namespace, conntrack: Conntrack) {
		this.#ns = ns;
		this.#conntrack = conntrack;
	}

	/**
	 * A packet that came in, before PREROUTING; the frame starts at its IPv4 header. True when it went its way, known or
	 * noted; then the frame was taken.
	 */
	enter(frame: Frame, inDevice: InDevice): boolean {
		const tuple = this.#find(frame);
		if (tuple === null) return false;
		const { way } = tuple;
		if (way?.inDevice !== inDevice || inDevice.device.layer3 !== null || !this.#isTrue(way, tuple, frame))
			return this.#isWorthNoting(tuple) && this.#enterNoted(frame, inDevice, tuple);
		if (this.#isOfFlow(frame, tuple)) this.#follow(frame, way);
		else this.#enterTracked(frame, inDevice);
		return true;
	}

	/**
	 * A packet of this host, before OUTPUT; the frame starts at its IPv4 header. As `Ipv4.output`; undefined when the way is
	 * not known, and the frame the caller's still.
	 */
	leave(frame: Frame, route: Route): boolean | undefined {
		const tuple = this.#find(frame);
		if (tuple === null) return undefined;
		const { way } = tuple;
		if (way?.route !== route || way.inDevice !== null || !this.#isTrue(way, tuple, frame))
			return this.#isWorthNoting(tuple) ? this.#leaveNoted(frame, route, tuple) : undefined;
		if (!this.#isOfFlow(frame, tuple)) return this.#ns.ipv4.outputAfter(PRIORITY.conntrack, frame, route);
		this.#follow(frame, way);
		return true;
	}

	/** The tuple of a packet that may go a known way. */
	#find(frame: Frame): Tuple | null {
		if (frame.flow !== null || frame.flowInfo !== 0 || !frame.trusted) return null;
		if (frame.ipvs || frame.longestFragment !== 0) return null;
		const { view, start, end } = frame;
		if (view.getUint8(start) !== PLAIN_HEADER || (view.getUint16(start + 6) & FRAGMENT) !== 0) return null;
		const protocol = ipv4.protocol(view, start);
		const at = start + ipv4.MIN_OCTETS;
		const left = end - at;
		if (protocol === ipv4.PROTOCOL_UDP) {
			if (left < udp.OCTETS) return null;
			const octets = udp.length(view, at);
			if (octets < udp.OCTETS || octets > left) return null;
		} else if (protocol === ipv4.PROTOCOL_TCP) {
			if (left < tcp.MIN_OCTETS) return null;
			const header = tcp.headerOctets(view, at);
			if (header < tcp.MIN_OCTETS || header > left || !isPlain(tcp.flags(view, at))) return null;
		} else return null;
		const ports = view.getInt32(at);
		this.#transport = at;
		const source = view.getInt32(start + 12);
		const destination = view.getInt32(start + 16);
		const last = this.#last;
		if (
			last?.ports === ports &&
			last.source === source &&
			last.destination === destination &&
			last.protocol === protocol &&
			(last.flow.status & STATUS.dying) === 0 &&
			last.flow.expires > this.#ns.world.scheduler.now
		)
			return last;
		return (this.#last = this.#conntrack.lookup(source, destination, ports, protocol));
	}

	#isTrue(way: KnownWay, { flow }: Tuple, { mark, end, view, start }: Frame): boolean {
		const ns = this.#ns;
		return (
			way.generation === ns.generation &&
			way.status === flow.status &&
			way.markIn === mark &&
			ns.rules === null &&
			ns.ipsec === null &&
			way.isOpen(end - start, ipv4.ttl(view, start))
		);
	}

	/** Tracks the packet; whether connection tracking takes it for one of the flow. */
	#isOfFlow(frame: Frame, tuple: Tuple): boolean {
		this.#conntrack.goOn(frame, tuple, this.#transport);
		return frame.flow === tuple.flow;
	}

	/** Takes the frame. */
	#follow(frame: Frame, way: KnownWay): void {
		way.walk(frame, this.#transport);
		const { device, neighbour, inDevice } = way;
		if (device === null || neighbour === null) {
			// Only what came in by a device is delivered here.
			return this.#ns.deliver(frame, inDevice!, ipv4.protocol(frame.view, frame.start));
		}
		frame.routed = true;
		this.#ns.ipv4.toNeighbour(frame, device, neighbour);
	}

	#isWorthNoting(tuple: Tuple): boolean {
		const ns = this.#ns;
		if (tuple.unnoted++ < UNNOTED) return false;
		tuple.unnoted = 0;
		const confirmed = (tuple.flow.status & STATUS.confirmed) !== 0;
		return (
			confirmed && this.notes === null && ns.hooks.decideByFlow && ns.rules === null && ns.ipsec === null
		);
	}

	/** The long way, noted. Takes the frame. */
	#enterNoted(frame: Frame, inDevice: InDevice, tuple: Tuple): boolean {
		const chain = this.#ns.hooks.prerouting;
		this.notes = new Notes(frame, tuple, inDevice, null, this.#ns.generation);
		try {
			if (chain === null || chain.run(frame, inDevice, null, null) === ACCEPT)
				this.#ns.ipv4.routeIn(frame, inDevice, false);
		} finally {
			this.notes = null;
		}
		return true;
	}

	/** What is left of the long way of a packet that connection tracking has seen. Takes the frame. */
	#enterTracked(frame: Frame, inDevice: InDevice): void {
		const chain = this.#ns.hooks.prerouting;
		if (chain === null || chain.runAfter(PRIORITY.conntrack, frame, inDevice, null, null) === ACCEPT)
			this.#ns.ipv4.routeIn(frame, inDevice, false);
	}

	#leaveNoted(frame: Frame, route: Route, tuple: Tuple): boolean {
		this.notes = new Notes(frame, tuple, null, route, this.#ns.generation);
		try {
			return this.#ns.ipv4.outputAfter(-Infinity, frame, route);
		} finally {
			this.notes = null;
		}
	}
}
