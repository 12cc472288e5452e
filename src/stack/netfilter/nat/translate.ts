import { checksum, type Frame, icmp, ipv4, tcp } from "../../../wire/index.ts";

const ICMP = ipv4.PROTOCOL_ICMP;
const TCP = ipv4.PROTOCOL_TCP;
const UDP = ipv4.PROTOCOL_UDP;
const TCP_CHECKSUM = 16;
const UDP_CHECKSUM = 6;
const SOURCE = 12;
const DESTINATION = 16;
const HEADER_CHECKSUM = 10;
const ICMP_CHECKSUM = 2;
const ICMP_ID = 4;

/** Which half of an address pair is translated (`enum nf_nat_manip_type`). */
export type Manip = "source" | "destination";

/**
 * Writes another address and port, or ICMP identifier, into the packet whose IPv4 header is at `at`, and mends its
 * checksums by what changed. What a quoted packet has not got is left alone. `end` is where the octets end.
 * Reference: `nf_nat_ipv4_manip_pkt` and `l4proto_manip_pkt` in net/netfilter/nf_nat_proto.c.
 */
export function translate(
	view: DataView,
	at: number,
	end: number,
	manip: Manip,
	address: number,
	port: number,
): void {
	const field = at + (manip === "source" ? SOURCE : DESTINATION);
	const old = view.getInt32(field);
	if (ipv4.fragmentOffset(view, at) === 0) translateTransport(view, at, end, manip, old, address, port);
	if (old === address) return;
	view.setInt32(field, address);
	view.setUint16(at + HEADER_CHECKSUM, checksum.update32(view.getUint16(at + HEADER_CHECKSUM), old, address));
}

function translateTransport(
	view: DataView,
	at: number,
	end: number,
	manip: Manip,
	old: number,
	now: number,
	port: number,
): void {
	const transport = at + ipv4.headerOctets(view, at);
	switch (ipv4.protocol(view, at)) {
		case TCP: {
			if (end - transport < 8) return;
			const from = writePort(view, transport, manip, port);
			if (end - transport < tcp.MIN_OCTETS) return;
			mend(view, transport + TCP_CHECKSUM, old, now, from, port);
			return;
		}
		case UDP: {
			if (end - transport < 8) return;
			const from = writePort(view, transport, manip, port);
			const field = transport + UDP_CHECKSUM;
			// Zero says that there is none; one that comes out as zero is sent as all ones.
			if (view.getUint16(field) === 0) return;
			mend(view, field, old, now, from, port);
			if (view.getUint16(field) === 0) view.setUint16(field, 0xffff);
			return;
		}
		case ICMP: {
			if (end - transport < icmp.OCTETS || !icmp.isQuery(icmp.type(view, transport))) return;
			const from = view.getUint16(transport + ICMP_ID);
			if (from === port) return;
			view.setUint16(transport + ICMP_ID, port);
			const field = transport + ICMP_CHECKSUM;
			view.setUint16(field, checksum.update16(view.getUint16(field), from, port));
			return;
		}
	}
}

/** Returns the port that was there. */
function writePort(view: DataView, transport: number, manip: Manip, port: number): number {
	const field = transport + (manip === "source" ? 0 : 2);
	const from = view.getUint16(field);
	view.setUint16(field, port);
	return from;
}

function mend(view: DataView, field: number, old: number, now: number, from: number, to: number): void {
	let sum = view.getUint16(field);
	if (old !== now) sum = checksum.update32(sum, old, now);
	if (from !== to) sum = checksum.update16(sum, from, to);
	view.setUint16(field, sum);
}

/** The quoted packet of an ICMP error starts here, given where the error's IPv4 header does. */
export const quoteAt = (frame: Frame): number =>
	frame.start + ipv4.headerOctets(frame.view, frame.start) + icmp.OCTETS;
