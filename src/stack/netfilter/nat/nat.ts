import { ANY_IP4, type Ip4 } from "../../../addr/index.ts";
import type { Device } from "../../../link/index.ts";
import type { Rng } from "../../../sim/index.ts";
import { type Frame, icmp, ipv4 } from "../../../wire/index.ts";
import type { InDevice } from "../../in-device.ts";
import type { Namespace } from "../../namespace.ts";
import type { Route } from "../../route.ts";
import type { Conntrack } from "../conntrack/conntrack.ts";
import {
	type Direction,
	directionOf,
	type Flow,
	INFO,
	invertPorts,
	ORIGINAL,
	REPLY,
	STATUS,
} from "../conntrack/flow.ts";
import { ACCEPT, DROP, type HookPoint, PRIORITY, type Verdict } from "../hooks.ts";
import { type NatRange, uniqueTuple } from "./range.ts";
import { type Manip, quoteAt, translate } from "./translate.ts";

/** The rules that are asked about the first packet of a flow: the nat table. */
export type NatRules = (
	frame: Frame,
	inDevice: InDevice | null,
	out: Device | null,
	route: Route | null,
) => Verdict;

/** `HOOK2MANIP`: what is translated where. */
const MANIP: Readonly<Record<Exclude<HookPoint, "FORWARD">, Manip>> = {
	PREROUTING: "destination",
	INPUT: "source",
	OUTPUT: "destination",
	POSTROUTING: "source",
};
const NOT_TRANSLATED: NatRange = {};

/**
 * Network address translation: what the rules decide about the first packet of a flow is written into its two
 * tuples, and done to all its packets, both ways, and to ICMP errors about them. Reference:
 * net/netfilter/nf_nat_core.c.
 */
export class Nat {
	readonly #ns: Namespace;
	readonly #conntrack: Conntrack;
	readonly #rng: Rng;

	constructor(ns: Namespace, conntrack: Conntrack) {
		this.#ns = ns;
		this.#conntrack = conntrack;
		this.#rng = ns.kernel.rng.fork(`nat/${ns.name}`);
	}

	/** Registers the hooks; `rules` are asked where they stand. */
	start(rules: Readonly<Record<keyof typeof MANIP, NatRules>>): void {
		for (const point of ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"] as const) {
			const manip = MANIP[point];
			const priority = manip === "source" ? PRIORITY.natSource : PRIORITY.natDestination;
			const ask = rules[point];
			this.#ns.hooks.register(
				point,
				priority,
				(frame, inDevice, out, route) => this.#hook(frame, inDevice, out, route, manip, ask),
				"by-flow",
			);
		}
	}

	/** `nf_nat_inet_fn`. */
	#hook(
		frame: Frame,
		inDevice: InDevice | null,
		out: Device | null,
		route: Route | null,
		manip: Manip,
		ask: NatRules,
	): Verdict {
		const flow = this.#conntrack.flowOf(frame);
		if (flow === null) return ACCEPT;
		const info = frame.flowInfo;
		const direction = directionOf(info);
		if (info === INFO.related || info === INFO.relatedReply) {
			if (ipv4.protocol(frame.view, frame.start) === ipv4.PROTOCOL_ICMP)
				return this.#related(frame, inDevice, flow, direction, manip);
		}
		if (info !== INFO.established && info !== INFO.establishedReply) {
			const done = manip === "source" ? STATUS.sourceNatDone : STATUS.destinationNatDone;
			if ((flow.status & done) === 0) {
				const verdict = ask(frame, inDevice, out, route);
				if (verdict !== ACCEPT) return verdict;
				// No rule said anything: the flow keeps its addresses, and only a taken port is changed.
				if ((flow.status & done) === 0) this.setup(flow, manip, NOT_TRANSLATED);
			}
		}
		if (
			flow.masqueradeIndex !== 0 &&
			manip === "source" &&
			out !== null &&
			direction === ORIGINAL &&
			flow.masqueradeIndex !== out.index
		) {
			// Another way out has another address (`nf_nat_oif_changed`).
			this.#conntrack.forget(flow);
			this.#ns.world.drop(frame, "conntrack-device", out);
			return DROP;
		}
		if (this.#applies(flow, direction, manip)) {
			const answer = flow.tuple(direction === ORIGINAL ? REPLY : ORIGINAL);
			const address = manip === "source" ? answer.destination : answer.source;
			translate(
				frame.view,
				frame.start,
				frame.end,
				manip,
				address,
				portOf(flow, invertPorts(flow.protocol, answer.ports), manip),
			);
			frame.changed();
		}
		return ACCEPT;
	}

	/** Whether packets of a direction are translated at hooks for this half: answers have the halves exchanged. */
	#applies(flow: Flow, direction: Direction, manip: Manip): boolean {
		const source = (manip === "source") === (direction === ORIGINAL);
		return (flow.status & (source ? STATUS.sourceNat : STATUS.destinationNat)) !== 0;
	}

	/** An ICMP error about a translated packet: the quoted packet and the sender change (`nf_nat_icmp_reply_translation`). */
	#related(frame: Frame, inDevice: InDevice | null, flow: Flow, direction: Direction, manip: Manip): Verdict {
		const { view, start, end } = frame;
		const at = start + ipv4.headerOctets(view, start);
		if (
			icmp.type(view, at) === icmp.REDIRECT &&
			(flow.status & (STATUS.sourceNat | STATUS.destinationNat)) !== 0
		) {
			this.#ns.world.drop(frame, "nat-redirect", inDevice?.device ?? this.#ns);
			return DROP;
		}
		if (!this.#applies(flow, direction, manip)) return ACCEPT;
		const answer = flow.tuple(direction === ORIGINAL ? REPLY : ORIGINAL);
		// The quoted packet went the other way: its other half is what the one who sent it knows.
		const quoted: Manip = manip === "source" ? "destination" : "source";
		translate(
			view,
			quoteAt(frame),
			end,
			quoted,
			quoted === "source" ? answer.source : answer.destination,
			portOf(flow, answer.ports, quoted),
		);
		icmp.writeChecksum(view, at, end - at);
		translate(view, start, end, manip, manip === "source" ? answer.destination : answer.source, 0);
		frame.changed();
		return ACCEPT;
	}

	/**
	 * Decides what a flow's half is translated to, once, before it is confirmed (`nf_nat_setup_info`). A range that
	 * says nothing keeps the addresses; a port that is taken is changed where the range allows it.
	 */
	setup(flow: Flow, manip: Manip, range: NatRange): void {
		const done = manip === "source" ? STATUS.sourceNatDone : STATUS.destinationNatDone;
		if ((flow.status & (STATUS.confirmed | done)) !== 0) return;
		const { reply } = flow;
		const current = {
			source: reply.destination,
			destination: reply.source,
			ports: invertPorts(flow.protocol, reply.ports),
		};
		const chosen = uniqueTuple(this.#conntrack.table, flow, current, manip, range, this.#rng);
		if (
			chosen.source !== current.source ||
			chosen.destination !== current.destination ||
			chosen.ports !== current.ports
		) {
			reply.source = chosen.destination;
			reply.destination = chosen.source;
			reply.ports = invertPorts(flow.protocol, chosen.ports);
			flow.status |= manip === "source" ? STATUS.sourceNat : STATUS.destinationNat;
		}
		flow.status |= done;
	}

	/** The address MASQUERADE gives packets that leave by a route; 0 when the device has none (`nf_nat_masquerade_ipv4`). */
	masqueradeAddress(out: Device, route: Route | null, destination: Ip4): Ip4 {
		const inDevice = this.#ns.inDevice(out);
		if (inDevice === undefined) return ANY_IP4;
		const next = route !== null && route.via !== ANY_IP4 ? route.via : destination;
		return this.#ns.selectSource(inDevice, next, "global");
	}

	/** A device went down: flows that masquerade behind it are over. */
	deviceDown(device: Device): void {
		this.#conntrack.forgetAll((flow) => flow.masqueradeIndex !== 0 && flow.masqueradeIndex === device.index);
	}

	/** An address is gone: flows that masquerade behind it are over. */
	addressGone(device: Device, address: Ip4): void {
		this.#conntrack.forgetAll(
			(flow) =>
				flow.masqueradeIndex !== 0 &&
				flow.masqueradeIndex === device.index &&
				flow.reply.destination === address,
		);
	}
}

/** The port of one half, or the ICMP identifier, which both halves share. */
function portOf(flow: Flow, ports: number, manip: Manip): number {
	if (flow.protocol === ipv4.PROTOCOL_ICMP || manip === "source") return ports >>> 16;
	return ports & 0xffff;
}
