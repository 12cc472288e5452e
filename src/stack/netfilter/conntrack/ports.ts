import { checksum, type Frame, icmp, ipv4, tcp, udp } from "../../../wire/index.ts";
import { isInvertible } from "./flow.ts";
import { hasStrangeFlags } from "./tcp.ts";

/** No ports can be read: the packet is cut short, damaged, or of no kind that is known. No 32-bit integer. */
export const NO_PORTS = 0x1_0000_0000;
/** The highest ICMP type that is known (`NR_ICMP_TYPES`). */
const MOST_ICMP_TYPE = 18;

/**
 * What `Tuple.ports` is for a packet whose transport header starts at `at`, or `NO_PORTS` for one that must be
 * INVALID (`tcp_error`, `udp_error`, `icmp_pkt_to_tuple`). `judge` says that checksums are added up, too. ICMP errors
 * have none of their own: 0.
 */
export function readPorts(frame: Frame, at: number, protocol: number, judge: boolean): number {
	const { view, start } = frame;
	const left = frame.end - at;
	switch (protocol) {
		case ipv4.PROTOCOL_UDP: {
			if (left < udp.OCTETS) return NO_PORTS;
			const octets = udp.length(view, at);
			if (octets < udp.OCTETS || octets > left) return NO_PORTS;
			if (
				judge &&
				!udp.isChecksumGood(view, at, octets, ipv4.source(view, start), ipv4.destination(view, start))
			)
				return NO_PORTS;
			return view.getInt32(at);
		}
		case ipv4.PROTOCOL_TCP: {
			if (left < tcp.MIN_OCTETS) return NO_PORTS;
			const header = tcp.headerOctets(view, at);
			if (header < tcp.MIN_OCTETS || header > left || hasStrangeFlags(tcp.flags(view, at))) return NO_PORTS;
			if (
				judge &&
				!tcp.isChecksumGood(view, at, left, ipv4.source(view, start), ipv4.destination(view, start))
			)
				return NO_PORTS;
			return view.getInt32(at);
		}
		case ipv4.PROTOCOL_ICMP: {
			if (left < icmp.OCTETS) return NO_PORTS;
			const type = icmp.type(view, at);
			if (type > MOST_ICMP_TYPE || (judge && checksum.checksum(view, at, left) !== 0)) return NO_PORTS;
			return icmp.isError(type) ? 0 : queryPorts(view, at);
		}
		default:
			return 0;
	}
}

/** The same of a packet quoted by an ICMP error, of which eight octets are enough. */
export function readQuotedPorts(frame: Frame, at: number, protocol: number): number {
	const left = frame.end - at;
	if (protocol === ipv4.PROTOCOL_TCP || protocol === ipv4.PROTOCOL_UDP)
		return left < 4 ? NO_PORTS : frame.view.getInt32(at);
	if (protocol !== ipv4.PROTOCOL_ICMP) return 0;
	return left < icmp.OCTETS ? NO_PORTS : queryPorts(frame.view, at);
}

function queryPorts(view: DataView, at: number): number {
	const ports = (icmp.id(view, at) << 16) | view.getUint16(at);
	return isInvertible(ipv4.PROTOCOL_ICMP, ports) ? ports : NO_PORTS;
}
