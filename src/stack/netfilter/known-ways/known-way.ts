import type { Device } from "../../../link/index.ts";
import { checksum, type Frame, ipv4 } from "../../../wire/index.ts";
import type { InDevice } from "../../in-device.ts";
import { priorityOf } from "../../ipv4/priority.ts";
import type { Neighbour } from "../../neighbour/neighbour.ts";
import type { Route } from "../../route.ts";

/** Offsets in the IPv4 header, and of the checksums in the two transports whose ways are known. */
const SOURCE = 12;
const DESTINATION = 16;
const HEADER_CHECKSUM = 10;
const TTL = 8;
const TCP_CHECKSUM = 16;
const UDP_CHECKSUM = 6;

/** A rule, as far as a packet that it meant is concerned. */
export interface CountedRule {
	packets: number;
	octets: number;
}

/** Somebody beside netfilter whom the flow's packets pass, and who keeps account of them: the IP virtual server. */
export interface Waypoint {
	/** False once it would make something else of the next packet. */
	holds(): boolean;
	/** One more packet passes; the frame starts at its IPv4 header and stays the caller's. */
	pass(frame: Frame): void;
}

/** What is written into a packet on its way: addresses and ports in the end, and by what the checksums change. */
export interface Rewriting {
	readonly source: number;
	readonly destination: number;
	/** As in `Tuple`. */
	readonly ports: number;
	/** Ones' complement sums to add to the complement of each checksum; 0 where it stays as it is. */
	readonly header: number;
	readonly transport: number;
	/** The TTL is one less. */
	readonly forwarded: boolean;
}

/** Where the packets of a flow end up in a namespace: with a protocol here, or at a neighbour by a device. */
export interface WayOut {
	readonly device: Device;
	readonly neighbour: Neighbour;
	/** The longest packet that goes this way whole. */
	readonly mtu: number;
}

/** How a packet has to come for the way to be its own, and what its flow was when the way was found. */
export interface WayIn {
	/** Null for packets of this host, which come with a route. */
	readonly inDevice: InDevice | null;
	readonly route: Route | null;
	readonly mark: number;
	readonly generation: number;
	readonly status: number;
}

/**
 * The way of one direction of an established flow through the hooks of a namespace, as the last packet that went it the
 * long way found it: the rules that counted it, what was written into it, where it left. See `KnownWays`.
 */
export class KnownWay {
	// Out of their objects and into fields of their own: they are read for every packet.
	readonly inDevice: InDevice | null;
	readonly route: Route | null;
	readonly markIn: number;
	readonly generation: number;
	readonly status: number;
	/** Null where packets are delivered here. */
	readonly device: Device | null;
	readonly neighbour: Neighbour | null;
	readonly mtu: number;
	readonly markOut: number;
	readonly forwarded: boolean;
	/** It was routed by `ip_forward`, which gives packets the priority of their TOS. */
	readonly setsPriority: boolean;
	readonly waypoint: Waypoint | null;
	readonly #rules: readonly CountedRule[];
	readonly #source: number;
	readonly #destination: number;
	readonly #ports: number;
	readonly #headerSum: number;
	readonly #transportSum: number;

	constructor(
		{ inDevice, route, mark, generation, status }: WayIn,
		rules: readonly CountedRule[],
		{ source, destination, ports, header, transport, forwarded }: Rewriting,
		waypoint: Waypoint | null,
		setsPriority: boolean,
		markOut: number,
		out: WayOut | null,
	) {
		this.inDevice = inDevice;
		this.route = route;
		this.markIn = mark;
		this.generation = generation;
		this.status = status;
		this.device = out === null ? null : out.device;
		this.neighbour = out === null ? null : out.neighbour;
		this.mtu = out === null ? 0xffff : out.mtu;
		this.markOut = markOut;
		this.forwarded = forwarded;
		this.setsPriority = setsPriority;
		this.waypoint = waypoint;
		this.#rules = rules;
		this.#source = source;
		this.#destination = destination;
		this.#ports = ports;
		this.#headerSum = header;
		this.#transportSum = transport;
	}

	/** Whether what it depends on beside the tables is as it was, and a packet of these octets and TTL may go it. */
	isOpen(octets: number, ttl: number): boolean {
		const { neighbour, waypoint } = this;
		if (octets > this.mtu || (this.forwarded && ttl <= 1)) return false;
		if (neighbour !== null && (neighbour.dead || this.device!.noArp)) return false;
		return waypoint === null || waypoint.holds();
	}

	/** What the hooks do to a packet of the flow that goes this way; its transport header is at `transport`. */
	walk(frame: Frame, transport: number): void {
		const { view, start } = frame;
		const rules = this.#rules;
		const octets = frame.end - start;
		for (let i = 0; i < rules.length; i++) {
			const rule = rules[i]!;
			rule.packets++;
			rule.octets += octets;
		}
		if (this.waypoint !== null) this.waypoint.pass(frame);
		frame.mark = this.markOut;
		if (this.setsPriority) frame.priority = priorityOf(ipv4.tos(view, start));
		if (this.#headerSum !== 0 || this.#transportSum !== 0) frame.changed();
		if (this.#headerSum !== 0) {
			if (this.forwarded) view.setUint8(start + TTL, view.getUint8(start + TTL) - 1);
			view.setInt32(start + SOURCE, this.#source);
			view.setInt32(start + DESTINATION, this.#destination);
			mend(view, start + HEADER_CHECKSUM, this.#headerSum);
		}
		if (this.#transportSum !== 0) this.#mendTransport(view, transport, ipv4.protocol(view, start));
	}

	#mendTransport(view: DataView, transport: number, protocol: number): void {
		view.setInt32(transport, this.#ports);
		if (protocol === ipv4.PROTOCOL_TCP) return mend(view, transport + TCP_CHECKSUM, this.#transportSum);
		const field = transport + UDP_CHECKSUM;
		// Zero says that there is none; one that comes out as zero is sent as all ones.
		if (view.getUint16(field) === 0) return;
		mend(view, field, this.#transportSum);
		if (view.getUint16(field) === 0) view.setUint16(field, 0xffff);
	}
}

/** RFC 1624 eq. 3, its last two terms added up beforehand. */
function mend(view: DataView, field: number, sum: number): void {
	const total = (~view.getUint16(field) & 0xffff) + sum;
	view.setUint16(field, ~((total & 0xffff) + (total >>> 16)) & 0xffff);
}

/** What one 32-bit word that changes adds to the complement of a checksum over it, not folded. */
export const change32 = (from: number, to: number): number =>
	from === to ? 0 : (~(from >>> 16) & 0xffff) + (~from & 0xffff) + (to >>> 16) + (to & 0xffff);

/** What the TTL's decrement adds to the complement of the header's checksum. */
export const TTL_LESS_ONE = 0xfeff;

/** A sum of such changes in 16 bits. */
export const folded: (sum: number) => number = checksum.fold;
