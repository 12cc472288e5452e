// IPv6, RFC 8200 §3. The layout has its place here; the stack does not speak it yet.
//   | version 4 bits, class 8, flow label 20 | payload length 2 | next header 1 | hop limit 1 | source 16 | destination 16 |
import type { Ip6 } from "../addr/index.ts";
import type { DropReason } from "../drop.ts";
import { checkField, header } from "./layout.ts";

const HEADER = header({
	first: 4,
	payloadLength: 2,
	nextHeader: 1,
	hopLimit: 1,
	source: 16,
	destination: 16,
});
/** Octets of the fixed header. */
export const OCTETS: number = HEADER.octets;
const AT = HEADER.at;

/** 6, if it is IPv6. */
export const version = (v: DataView, at: number): number => v.getUint8(at) >>> 4;
/** DSCP and ECN. */
export const trafficClass = (v: DataView, at: number): number => (v.getUint16(at) >>> 4) & 0xff;
/** Flow label, 20 bits (RFC 6437). */
export const flowLabel = (v: DataView, at: number): number => v.getUint32(at) & 0xf_ffff;
/** Octets behind the fixed header. */
export const payloadLength = (v: DataView, at: number): number => v.getUint16(at + AT.payloadLength);
/** What follows: a protocol or an extension header. */
export const nextHeader = (v: DataView, at: number): number => v.getUint8(at + AT.nextHeader);
/** Routers the packet may still pass. */
export const hopLimit = (v: DataView, at: number): number => v.getUint8(at + AT.hopLimit);
/** Source address. */
export const source = (v: DataView, at: number): Ip6 => address(v, at + AT.source);
/** Destination address. */
export const destination = (v: DataView, at: number): Ip6 => address(v, at + AT.destination);

const address = (v: DataView, at: number): Ip6 =>
	((v.getBigUint64(at) << 64n) | v.getBigUint64(at + 8)) as Ip6;

/** Writes DSCP and ECN. */
export const setTrafficClass = (v: DataView, at: number, value: number): void => {
	v.setUint16(at, (v.getUint16(at) & 0xf00f) | (value << 4));
};

/** What an IPv6 header means. */
export interface Ipv6 {
	readonly trafficClass: number;
	readonly flowLabel: number;
	readonly payloadLength: number;
	readonly nextHeader: number;
	readonly hopLimit: number;
	readonly source: Ip6;
	readonly destination: Ip6;
}

/** Bytes → meaning. */
export function read(v: DataView, at: number, end: number): Ipv6 | DropReason {
	if (end - at < OCTETS) return "ipv6-truncated";
	if (version(v, at) !== 6) return "ip-version";
	if (payloadLength(v, at) > end - at - OCTETS) return "ipv6-truncated";
	return {
		trafficClass: trafficClass(v, at),
		flowLabel: flowLabel(v, at),
		payloadLength: payloadLength(v, at),
		nextHeader: nextHeader(v, at),
		hopLimit: hopLimit(v, at),
		source: source(v, at),
		destination: destination(v, at),
	};
}

/** Meaning → bytes. Throws RangeError for a field too large. */
export function write(v: DataView, at: number, ip: Ipv6): void {
	checkField("ipv6.trafficClass", ip.trafficClass, 8);
	checkField("ipv6.flowLabel", ip.flowLabel, 20);
	checkField("ipv6.payloadLength", ip.payloadLength, 16);
	checkField("ipv6.nextHeader", ip.nextHeader, 8);
	checkField("ipv6.hopLimit", ip.hopLimit, 8);
	v.setUint32(at, 0x6000_0000 + ip.trafficClass * 0x10_0000 + ip.flowLabel);
	v.setUint16(at + AT.payloadLength, ip.payloadLength);
	v.setUint8(at + AT.nextHeader, ip.nextHeader);
	v.setUint8(at + AT.hopLimit, ip.hopLimit);
	for (const [place, ip6] of [[AT.source, ip.source] as const, [AT.destination, ip.destination] as const]) {
		v.setBigUint64(at + place, ip6 >> 64n);
		v.setBigUint64(at + place + 8, ip6 & 0xffff_ffff_ffff_ffffn);
	}
}
