import type { Ip4 } from "../../addr/index.ts";
import { checksum, type Frame, ipv4, tcp } from "../../wire/index.ts";
import { type IpSocket, sendPacket } from "../ipv4/send.ts";
import type { Namespace } from "../namespace.ts";
import type { Route } from "../route.ts";
import type { ByteRing } from "./byte-ring.ts";
import type { OutSegment } from "./effects.ts";
import type { Segment } from "./segment.ts";

const PROTOCOL = 6;

/** Writes a segment as bytes: header and options in Linux's order, payload, checksum. Returns the sum so far folded in. */
function build(
	frame: Frame,
	segment: OutSegment,
	ring: ByteRing,
	sourcePort: number,
	destinationPort: number,
	source: Ip4,
	destination: Ip4,
): void {
	const { view, start } = frame;
	const header = tcp.MIN_OCTETS + segment.options;
	const total = header + segment.octets;
	frame.end = start + total;
	view.setUint32(start, (sourcePort << 16) | destinationPort);
	view.setInt32(start + 4, segment.sequence);
	view.setInt32(start + 8, segment.acknowledgment);
	view.setUint32(start + 12, ((header >>> 2) << 28) | (segment.flags << 16) | segment.window);
	view.setUint32(start + 16, 0);
	if (segment.options > 0) writeOptions(view, start + tcp.MIN_OCTETS, segment);
	let sum = checksum.pseudoHeader4(source, destination, PROTOCOL, total);
	sum = checksum.sum(view, start, header, sum);
	if (segment.octets > 0) sum = ring.copySummed(segment.sequence, view, start + header, segment.octets, sum);
	view.setUint16(start + 16, ~checksum.fold(sum) & 0xffff);
}

function writeOptions(view: DataView, from: number, segment: OutSegment): void {
	let at = from;
	if (segment.mss > 0) {
		view.setUint32(at, 0x0204_0000 | segment.mss);
		at += 4;
	}
	if (segment.timestamps) {
		// In a SYN the two octets of padding are the permission of SACK.
		view.setUint32(at, segment.sackPermitted ? 0x0402_080a : 0x0101_080a);
		view.setInt32(at + 4, segment.tsval);
		view.setInt32(at + 8, segment.tsecr);
		at += 12;
	} else if (segment.sackPermitted) {
		view.setUint32(at, 0x0101_0402);
		at += 4;
	}
	if (segment.windowScale >= 0) {
		view.setUint32(at, 0x0103_0300 | segment.windowScale);
		at += 4;
	}
	if (segment.blocks > 0) {
		view.setUint32(at, 0x0101_0500 | (2 + 8 * segment.blocks));
		at += 4;
		for (let i = 0; i < 2 * segment.blocks; i++) view.setInt32(at + 4 * i, segment.edges[i] as number);
	}
}

/** Sends one segment by a route. */
export function sendSegment(
	ns: Namespace,
	segment: OutSegment,
	ring: ByteRing,
	route: Route,
	source: Ip4,
	sourcePort: number,
	destination: Ip4,
	destinationPort: number,
	socket: IpSocket,
	flowHash: number,
): void {
	const frame = ns.kernel.world.frames.begin(tcp.MIN_OCTETS + segment.options + segment.octets);
	build(frame, segment, ring, sourcePort, destinationPort, source, destination);
	frame.trusted = true;
	frame.flowHash = flowHash;
	sendPacket(ns, frame, route, source, destination, PROTOCOL, socket);
}

/** Resets carry no identification and refuse fragments; their TOS is that of what they answer. */
const RESET: IpSocket = { ttl: 64, tos: 0, mtuDiscovery: "do", nextIdent: () => undefined };

/**
 * Answers a segment that no connection wants: RST, as RFC 9293 §3.10.7.1 has it for the CLOSED state. The frame starts
 * at its IPv4 header and stays the caller's. Reference: `tcp_v4_send_reset`.
 */
export function refuse(ns: Namespace, frame: Frame, segment: Segment): void {
	const { view, start } = frame;
	const source = ipv4.source(view, start);
	const destination = ipv4.destination(view, start);
	const route = ns.route(source);
	if (segment.rst || !ns.isOwnAddress(destination) || route === undefined) return;
	const at = start + ipv4.headerOctets(view, start);
	const reset = ns.kernel.world.frames.begin(tcp.MIN_OCTETS);
	reset.end = reset.start + tcp.MIN_OCTETS;
	tcp.write(reset.view, reset.start, {
		sourcePort: tcp.destinationPort(view, at),
		destinationPort: tcp.sourcePort(view, at),
		sequence: segment.ack ? segment.acknowledgment >>> 0 : 0,
		acknowledgment: segment.ack ? 0 : segment.end >>> 0,
		flags: segment.ack ? tcp.RST : tcp.RST | tcp.ACK,
		window: 0,
		urgent: 0,
		options: [],
	});
	tcp.writeChecksum(reset.view, reset.start, tcp.MIN_OCTETS, destination, source);
	reset.trusted = true;
	RESET.ttl = ns.ipv4.conf.ip_default_ttl;
	RESET.tos = ipv4.tos(view, start);
	sendPacket(ns, reset, route, destination, source, PROTOCOL, RESET);
}
