import { ANY_IP4 } from "../addr/index.ts";
import type { TunnelHeader } from "../link/index.ts";
import { checksum, ethernet, type Frame, ipv4, udp, vlan, vxlan } from "../wire/index.ts";
import { DEFAULT_TTL } from "./ipv4/ttl.ts";
import type { Kernel } from "./kernel.ts";
import type { Namespace } from "./namespace.ts";

const ICMP = 1;
const UDP = 17;
const TCP = 6;
/** Octets of a tunnel message before the inner packet: the VXLAN header and the inner Ethernet header. */
const INNER = vxlan.OCTETS + ethernet.OCTETS;
/** Tunnels in tunnels through one host before it is taken for a loop (`XMIT_RECURSION_LIMIT`). */
const MOST_TUNNELS = 8;

/**
 * Sends a tunnel's frame as UDP over IPv4 from this namespace. Takes the frame.
 * Reference: `udp_tunnel_xmit_skb`, `iptunnel_xmit`.
 */
export function sendTunnel(ns: Namespace, frame: Frame, header: TunnelHeader): void {
	const { destination, device } = header;
	// What a tunnel says to a group does not come back to it.
	const route =
		device === null ? ns.route(destination, header.source) : ns.routeBy(device, destination, false);
	if (route?.device == null) return ns.drop(frame, "ip-no-route");
	if (++frame.tunnelDepth > MOST_TUNNELS) return ns.drop(frame, "tunnel-recursion");
	const source = header.source !== ANY_IP4 ? header.source : ns.sourceFor(route, destination);
	// The outer packet is of another flow than the inner one (`skb_scrub_packet`).
	frame.forgetFlow();
	frame.push(udp.OCTETS);
	const { view } = frame;
	const octets = frame.end - frame.start;
	udp.writePlain(view, frame.start, header.sourcePort, header.destinationPort, octets);
	if (header.checksum) {
		const pseudo = checksum.pseudoHeader4(source, destination, UDP, octets);
		const message = frame.start + udp.OCTETS;
		const headers = pseudo + header.sourcePort + header.destinationPort + octets;
		const inner = frame.trusted ? sumOfTrusted(view, message, frame.end) : -1;
		const sum =
			inner < 0
				? checksum.sum(view, frame.start, octets, pseudo)
				: headers + inner + sumOfHeaders(view, message);
		udp.setChecksum(view, frame.start, udp.sent(checksum.fold(sum)));
	}
	frame.push(ipv4.MIN_OCTETS);
	ipv4.writePlain(
		view,
		frame.start,
		octets + ipv4.MIN_OCTETS,
		header.tos,
		ns.kernel.nextIdent(source, destination, UDP),
		header.dontFragment ? ipv4.DONT_FRAGMENT : 0,
		header.ttl === 0 ? DEFAULT_TTL : header.ttl,
		UDP,
		source,
		destination,
	);
	ns.ipv4.output(frame, route);
}

/** The sum of a tunnel message's own header and the inner Ethernet header. */
function sumOfHeaders(view: DataView, message: number): number {
	const a = view.getInt32(message);
	const b = view.getInt32(message + 4);
	const c = view.getInt32(message + 8);
	const d = view.getInt32(message + 12);
	const e = view.getInt32(message + 16);
	const high = (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16) + (e >>> 16);
	const low = (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff) + (e & 0xffff);
	return high + low + view.getUint16(message + 20);
}

/**
 * The sum of the packet inside a tunnel message whose checksums are known to be right, without adding it up: a
 * header with a right checksum sums to zero, and what its transport's checksum covers sums to the complement of
 * the pseudo header (local checksum offload; Documentation/networking/checksum-offloads.rst). -1 where that cannot
 * be said: no IPv4, a fragment, no checksum, octets behind the packet.
 */
function sumOfTrusted(view: DataView, message: number, end: number): number {
	const at = message + INNER;
	if (
		end - at < ipv4.MIN_OCTETS ||
		ethernet.type(view, message + INNER - ethernet.OCTETS) !== ethernet.TYPE_IPV4
	)
		return -1;
	const octets = ipv4.totalLength(view, at);
	if (octets !== end - at || ipv4.isFragment(view, at)) return -1;
	const protocol = ipv4.protocol(view, at);
	if (protocol === ICMP) return 0xffff;
	const header = ipv4.headerOctets(view, at);
	if (protocol === UDP ? udp.checksum(view, at + header) === 0 : protocol !== TCP) return -1;
	const covered = checksum.pseudoHeader4(
		ipv4.source(view, at),
		ipv4.destination(view, at),
		protocol,
		octets - header,
	);
	return ~checksum.fold(covered) & 0xffff;
}

/**
 * The hash of the flow in an Ethernet frame, under the machine's key: EtherType, protocol, addresses and,
 * for whole TCP and UDP packets, ports; the same both ways. ARP has no more than its EtherType, so all ARP
 * shares one value. Reference: `__skb_get_hash`, `__flow_hash_consistentify` in net/core/flow_dissector.c.
 */
export function hashFrame(kernel: Kernel, frame: Frame): number {
	const { view, start } = frame;
	let at = start + ethernet.OCTETS;
	let type = ethernet.type(view, start);
	while ((type === vlan.TPID_CUSTOMER || type === vlan.TPID_SERVICE) && frame.end - at >= vlan.OCTETS) {
		type = vlan.innerType(view, at);
		at += vlan.OCTETS;
	}
	if (type !== ethernet.TYPE_IPV4 || frame.end - at < ipv4.MIN_OCTETS) return kernel.hashFlow(type, 0, 0);
	const protocol = ipv4.protocol(view, at);
	const transport = at + ipv4.headerOctets(view, at);
	let source = ipv4.source(view, at) as number;
	let destination = ipv4.destination(view, at) as number;
	let low = 0;
	let high = 0;
	if ((protocol === TCP || protocol === UDP) && !ipv4.isFragment(view, at) && frame.end - transport >= 4) {
		low = udp.sourcePort(view, transport);
		high = udp.destinationPort(view, transport);
	}
	// One order for both directions.
	if (destination < source || (destination === source && high < low)) {
		[source, destination] = [destination, source];
		[low, high] = [high, low];
	}
	return kernel.hashFlow(
		source ^ Math.imul(type, 0x9e37_79b1) ^ (protocol << 8),
		destination,
		(low << 16) | high,
	);
}
