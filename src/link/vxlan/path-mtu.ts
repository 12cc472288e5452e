import { ANY_IP4, BROADCAST_IP4, isLoopbackIp4, isMulticastIp4 } from "../../addr/index.ts";
import { copyOctets, ethernet, type Frame, type FramePool, icmp, ipv4 } from "../../wire/index.ts";

/** Longest IPv4 packet with an ICMP error (RFC 1812 §4.3.2.3). */
const LONGEST = 576;
const HEADERS = ipv4.MIN_OCTETS + icmp.OCTETS;

/**
 * What a tunnel tells a sender on the other side of a bridge whose packet is too long for it: "fragmentation needed",
 * spoken in the name of the packet's own destination, since the tunnel has no address there. Undefined for packets
 * that may be fragmented and for those no error is told about. The frame stays the caller's; the caller owns the
 * reply. Reference: `iptunnel_pmtud_check_icmp`, `iptunnel_pmtud_build_icmp` in net/ipv4/ip_tunnel_core.c.
 */
export function fragmentationNeeded(frame: Frame, mtu: number, frames: FramePool): Frame | undefined {
	const { view, start } = frame;
	const ip = start + ethernet.OCTETS;
	if (mtu < LONGEST || ipv4.flags(view, ip) !== ipv4.DONT_FRAGMENT || ipv4.fragmentOffset(view, ip) !== 0) {
		return undefined;
	}
	const source = ipv4.source(view, ip);
	const destination = ipv4.destination(view, ip);
	if (destination === BROADCAST_IP4 || isMulticastIp4(destination)) return undefined;
	if (source === ANY_IP4 || source === BROADCAST_IP4 || isLoopbackIp4(source) || isMulticastIp4(source)) {
		return undefined;
	}
	const transport = ip + ipv4.headerOctets(view, ip);
	const isIcmp = ipv4.protocol(view, ip) === ipv4.PROTOCOL_ICMP && transport < frame.end;
	if (isIcmp && icmp.isError(icmp.type(view, transport))) return undefined;

	const quoted = Math.min(frame.end - ip, LONGEST - HEADERS);
	const reply = frames.begin(ethernet.OCTETS + HEADERS + quoted);
	reply.end = reply.start + ethernet.OCTETS + HEADERS + quoted;
	const out = reply.view;
	ethernet.write(out, reply.start, {
		dst: ethernet.src(view, start),
		src: ethernet.dst(view, start),
		type: ethernet.TYPE_IPV4,
	});
	const header = reply.start + ethernet.OCTETS;
	ipv4.writePlain(
		out,
		header,
		HEADERS + quoted,
		0,
		0,
		ipv4.DONT_FRAGMENT,
		ipv4.ttl(view, ip),
		ipv4.PROTOCOL_ICMP,
		destination,
		source,
	);
	const message = header + ipv4.MIN_OCTETS;
	copyOctets(frame, ip, reply, message + icmp.OCTETS, quoted);
	icmp.writeError(out, message, icmp.UNREACHABLE, icmp.FRAG_NEEDED, mtu);
	icmp.writeChecksum(out, message, icmp.OCTETS + quoted);
	reply.trusted = true;
	return reply;
}
