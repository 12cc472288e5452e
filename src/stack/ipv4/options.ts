import { formatIp4, type Ip4 } from "../../addr/index.ts";
import { type Frame, icmp, ipv4 } from "../../wire/index.ts";
import type { InDevice } from "../in-device.ts";
import type { Namespace } from "../namespace.ts";
import type { Route } from "../route.ts";

// Kinds of option (RFC 791 §3.1, RFC 2113), with the bits that say copied and class.
const END = 0;
const NOP = 1;
const RECORD_ROUTE = 7;
const TIMESTAMP = 68;
const LOOSE_SOURCE_ROUTE = 131;
const STRICT_SOURCE_ROUTE = 137;
/** What a timestamp option records (its lower four flag bits). */
const TIMES = 0;
const TIMES_AND_ADDRESSES = 1;
const TIMES_OF_GIVEN = 3;
const MOST_OVERFLOWS = 15;

/** What this host noted in the options of a packet, by offsets in its IPv4 header; 0 for none (`struct ip_options`). */
export interface NotedOptions {
	/** The record route option, if an address was put into it. */
	readonly recordRoute: number;
	/** The timestamp option, if an address was put into it. */
	readonly timestamp: number;
}

/** Where in the header the mistake is, for the sender (`pp_ptr`). */
class Mistake {
	readonly at: number;

	constructor(at: number) {
		this.at = at;
	}
}

/**
 * Reads the options of a packet that came in, and writes into those that ask for it: this host's address into a record
 * route, the time into a timestamp. Routers write their outgoing address over it when they forward the packet. Source
 * routes are refused, as Linux does unless told otherwise; for a malformed option the sender gets a parameter problem.
 * Takes the frame when it returns undefined (`ip_rcv_options`, `ip_options_compile`).
 */
export function readOptions(
	ns: Namespace,
	frame: Frame,
	inDevice: InDevice,
	route: Route,
): NotedOptions | undefined {
	const { view, start } = frame;
	const noted = compile(ns, frame, specificAddress(ns, frame, inDevice, route));
	if (noted instanceof Mistake) {
		ns.ipv4.icmp.tell(frame, inDevice, icmp.PARAMETER_PROBLEM, 0, noted.at * 0x100_0000);
		return void inDevice.device.dropIn(frame, "ip-options", `octet ${String(noted.at)} of the header`);
	}
	if (noted === "source-route") {
		if ((inDevice.conf.log_martians | ns.confAll.log_martians) !== 0 && ns.kernel.log.mayWarn()) {
			const [from, to] = [ipv4.source(view, start), ipv4.destination(view, start)];
			ns.kernel.log.say(`IPv4: source route option ${formatIp4(from)} -> ${formatIp4(to)}`);
		}
		return void inDevice.device.dropIn(frame, "ip-options", "source route");
	}
	ipv4.writeChecksum(view, start);
	frame.changed();
	return noted;
}

/** The address that speaks of itself in options: the one spoken to, else that of the way back (`fib_compute_spec_dst`). */
function specificAddress(ns: Namespace, frame: Frame, inDevice: InDevice, route: Route): Ip4 {
	const { view, start } = frame;
	if (route.type === "local") return ipv4.destination(view, start);
	const source = ipv4.source(view, start);
	const back = ns.route(source);
	return back === undefined ? ns.selectSource(inDevice, source, "link") : ns.sourceFor(back, source);
}

function compile(ns: Namespace, frame: Frame, own: Ip4): NotedOptions | Mistake | "source-route" {
	const { view, start } = frame;
	const end = start + ipv4.headerOctets(view, start);
	const seen = new Set<number>();
	let [recordRoute, timestamp] = [0, 0];
	for (let at = start + ipv4.MIN_OCTETS; at < end;) {
		const kind = view.getUint8(at);
		if (kind === END) {
			// What is behind the end is nobody's.
			for (let i = at; i < end; i++) view.setUint8(i, END);
			break;
		}
		if (kind === NOP) {
			at++;
			continue;
		}
		const octets = end - at < 2 ? 0 : view.getUint8(at + 1);
		if (octets < 2 || octets > end - at || seen.has(kind)) return new Mistake(at - start);
		if (kind === LOOSE_SOURCE_ROUTE || kind === STRICT_SOURCE_ROUTE) {
			if (octets < 3) return new Mistake(at + 1 - start);
			if (view.getUint8(at + 2) < 4) return new Mistake(at + 2 - start);
			return "source-route";
		}
		if (kind === RECORD_ROUTE || kind === TIMESTAMP) seen.add(kind);
		const fault =
			kind === RECORD_ROUTE
				? noteRoute(view, at, octets, own)
				: kind === TIMESTAMP
					? noteTime(ns, view, at, octets, own)
					: -1;
		if (fault > 0) return new Mistake(at + fault - start);
		if (fault === 0 && kind === RECORD_ROUTE) recordRoute = at - start;
		if (fault === 0 && kind === TIMESTAMP) timestamp = at - start;
		at += octets;
	}
	return { recordRoute, timestamp };
}

/** Puts an address into a record route. Returns 0, -1 when it was full already, or the offset of a mistake. */
function noteRoute(view: DataView, at: number, octets: number, own: Ip4): number {
	if (octets < 3) return 1;
	const pointer = view.getUint8(at + 2);
	if (pointer < 4) return 2;
	if (pointer > octets) return -1;
	if (pointer + 3 > octets) return 2;
	view.setUint32(at + pointer - 1, own);
	view.setUint8(at + 2, pointer + 4);
	return 0;
}

/** Puts the time into a timestamp option. Returns 0 if an address was put in too, -1 if not, or the offset of a mistake. */
function noteTime(ns: Namespace, view: DataView, at: number, octets: number, own: Ip4): number {
	if (octets < 4) return 1;
	const pointer = view.getUint8(at + 2);
	if (pointer < 5) return 2;
	const flags = view.getUint8(at + 3);
	const form = flags & 15;
	if (pointer > octets) {
		if (form === TIMES_OF_GIVEN) return -1;
		const overflows = flags >>> 4;
		if (overflows === MOST_OVERFLOWS) return 3;
		view.setUint8(at + 3, form | ((overflows + 1) << 4));
		return -1;
	}
	if (pointer + 3 > octets) return 2;
	if (form === TIMES) {
		view.setUint32(at + pointer - 1, ns.kernel.timeOfDay);
		view.setUint8(at + 2, pointer + 4);
		return -1;
	}
	if (form !== TIMES_AND_ADDRESSES && form !== TIMES_OF_GIVEN) return -1;
	if (pointer + 7 > octets) return 2;
	if (form === TIMES_OF_GIVEN) {
		if (!ns.isOwnAddress(view.getInt32(at + pointer - 1) as Ip4)) return -1;
	} else view.setUint32(at + pointer - 1, own);
	view.setUint32(at + pointer + 3, ns.kernel.timeOfDay);
	view.setUint8(at + 2, pointer + 8);
	return form === TIMES_OF_GIVEN ? -1 : 0;
}

/** A router's own addresses in options are those of the way out (`ip_forward_options`). The frame stays the caller's. */
export function forwardOptions(ns: Namespace, frame: Frame, route: Route, noted: NotedOptions): void {
	const { view, start } = frame;
	const own = ns.sourceFor(route, ipv4.destination(view, start));
	const { recordRoute, timestamp } = noted;
	if (recordRoute !== 0) {
		const at = start + recordRoute;
		view.setUint32(at + view.getUint8(at + 2) - 5, own);
	}
	if (timestamp !== 0) {
		const at = start + timestamp;
		view.setUint32(at + view.getUint8(at + 2) - 9, own);
	}
	ipv4.writeChecksum(view, start);
}

/**
 * The options of the answer to a packet: its record route and timestamp go on, with one more entry of this host where
 * there is room (`ip_options_echo`, `ip_options_build`). Padded to whole words; empty for none.
 */
export function echoOptions(ns: Namespace, frame: Frame, noted: NotedOptions, own: Ip4): Uint8Array {
	const { view, start, bytes } = frame;
	const copies: Uint8Array[] = [];
	const end = start + ipv4.headerOctets(view, start);
	for (let at = start + ipv4.MIN_OCTETS; at < end;) {
		const kind = view.getUint8(at);
		if (kind === END) break;
		const octets = kind === NOP ? 1 : view.getUint8(at + 1);
		if (kind === RECORD_ROUTE || kind === TIMESTAMP) {
			const copy = bytes.slice(at, at + octets);
			const copyView = new DataView(copy.buffer);
			if (kind === RECORD_ROUTE && noted.recordRoute !== 0) noteRoute(copyView, 0, octets, own);
			if (kind === TIMESTAMP) noteTime(ns, copyView, 0, octets, own);
			copies.push(copy);
		}
		at += octets;
	}
	const length = copies.reduce((sum, copy) => sum + copy.length, 0);
	const all = new Uint8Array((length + 3) & ~3);
	let at = 0;
	for (const copy of copies) {
		all.set(copy, at);
		at += copy.length;
	}
	return all;
}
