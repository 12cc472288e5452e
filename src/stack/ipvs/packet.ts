import type { Ip4 } from "../../addr/index.ts";
import { checksum, type Frame, icmp, ipv4, tcp, udp } from "../../wire/index.ts";

const TCP = ipv4.PROTOCOL_TCP;
const UDP = ipv4.PROTOCOL_UDP;
/** Where the checksum lies in a TCP and in a UDP header. */
const TCP_CHECKSUM = 16;
const UDP_CHECKSUM = 6;

/** Whether IPVS balances the protocol. */
export const isBalanced = (protocol: number): boolean => protocol === TCP || protocol === UDP;

/** Octets a transport header has at least. */
export const transportOctets = (protocol: number): number => (protocol === TCP ? tcp.MIN_OCTETS : udp.OCTETS);

/** Another destination address and port, checksums mended (`tcp_dnat_handler`, `udp_dnat_handler`). */
export function redirect(
	frame: Frame,
	transport: number,
	protocol: number,
	address: Ip4,
	port: number,
): void {
	const { view, start } = frame;
	const before = ipv4.destination(view, start);
	mend(view, transport, protocol, before, address, view.getUint16(transport + 2), port);
	view.setUint16(transport + 2, port);
	ipv4.setDestination(view, start, address);
	frame.changed();
}

/** Another source address and port, checksums mended (`tcp_snat_handler`, `udp_snat_handler`). */
export function resource(
	frame: Frame,
	transport: number,
	protocol: number,
	address: Ip4,
	port: number,
): void {
	const { view, start } = frame;
	mend(view, transport, protocol, ipv4.source(view, start), address, view.getUint16(transport), port);
	view.setUint16(transport, port);
	ipv4.setSource(view, start, address);
	frame.changed();
}

function mend(
	view: DataView,
	transport: number,
	protocol: number,
	from: Ip4,
	to: Ip4,
	fromPort: number,
	toPort: number,
): void {
	const at = transport + (protocol === TCP ? TCP_CHECKSUM : UDP_CHECKSUM);
	const old = view.getUint16(at);
	// A datagram without checksum stays without.
	if (protocol === UDP && old === 0) return;
	let mended = checksum.update32(old, from, to);
	if (fromPort !== toPort) mended = checksum.update16(mended, fromPort, toPort);
	view.setUint16(at, protocol === UDP && mended === 0 ? 0xffff : mended);
}

/** The packet that an ICMP error is about: where its headers lie, who spoke with whom. */
export interface Quoted {
	readonly protocol: number;
	readonly source: Ip4;
	readonly sourcePort: number;
	readonly destination: Ip4;
	readonly destinationPort: number;
	/** Where the ICMP header, the quoted IPv4 header and the quoted ports lie. */
	readonly icmp: number;
	readonly header: number;
	readonly ports: number;
}

/** Reads what an ICMP error quotes; undefined for other messages and for what IPVS does not look at. */
export function quotedIn(frame: Frame): Quoted | undefined {
	const { view, start, end } = frame;
	const at = start + ipv4.headerOctets(view, start);
	const header = at + icmp.OCTETS;
	if (end - header < ipv4.MIN_OCTETS) return undefined;
	const type = icmp.type(view, at);
	if (type !== icmp.UNREACHABLE && type !== icmp.SOURCE_QUENCH && type !== icmp.TIME_EXCEEDED)
		return undefined;
	const protocol = ipv4.protocol(view, header);
	const ports = header + ipv4.headerOctets(view, header);
	if (!isBalanced(protocol) || ports < header + ipv4.MIN_OCTETS || end - ports < 4) return undefined;
	if (ipv4.fragmentOffset(view, header) !== 0) return undefined;
	return {
		protocol,
		source: ipv4.source(view, header),
		sourcePort: view.getUint16(ports),
		destination: ipv4.destination(view, header),
		destinationPort: view.getUint16(ports + 2),
		icmp: at,
		header,
		ports,
	};
}

/** Whether the ICMP message adds up. */
export function isIcmpGood(frame: Frame, at: number): boolean {
	return frame.trusted || checksum.checksum(frame.view, at, frame.end - at) === 0;
}

/** An error from the real servers' side comes from the virtual address, about a packet to it (`ip_vs_nat_icmp`). */
export function errorToClient(frame: Frame, quoted: Quoted, virtual: Ip4, virtualPort: number): void {
	const { view, start } = frame;
	ipv4.setSource(view, start, virtual);
	ipv4.setDestination(view, quoted.header, virtual);
	view.setUint16(quoted.ports + 2, virtualPort);
	sumUp(frame, quoted);
}

/** An error from the client goes to the real server, about a packet of its own (`ip_vs_nat_icmp`). */
export function errorToServer(frame: Frame, quoted: Quoted, server: Ip4, serverPort: number): void {
	const { view, start } = frame;
	ipv4.setDestination(view, start, server);
	ipv4.setSource(view, quoted.header, server);
	view.setUint16(quoted.ports, serverPort);
	sumUp(frame, quoted);
}

/** The quoted header and the message get sums of their own; what the quoted transport's says is left. */
function sumUp(frame: Frame, quoted: Quoted): void {
	ipv4.writeChecksum(frame.view, quoted.header);
	icmp.writeChecksum(frame.view, quoted.icmp, frame.end - quoted.icmp);
	frame.changed();
}
