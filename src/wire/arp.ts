// ARP for Ethernet and IPv4, RFC 826.
//   | hardware 2 | protocol 2 | hlen 1 | plen 1 | operation 2 | sender MAC 6 | sender IP 4 | target MAC 6 | target IP 4 |
import type { Ip4, Mac } from "../addr/index.ts";
import type { DropReason } from "../drop.ts";
import { macAt, setMac } from "./ethernet.ts";
import { checkField, header } from "./layout.ts";

const HEADER = header({
	hardware: 2,
	protocol: 2,
	hardwareLength: 1,
	protocolLength: 1,
	operation: 2,
	senderMac: 6,
	senderIp: 4,
	targetMac: 6,
	targetIp: 4,
});
/** Octets of the packet. */
export const OCTETS: number = HEADER.octets;
const AT = HEADER.at;
const ETHERNET = 1;
const IPV4 = 0x0800;
const LENGTHS = 0x0604;
/** Operation of a question. */
export const REQUEST = 1;
/** Operation of an answer. */
export const REPLY = 2;

/** 1 asks, 2 answers; other values are kept. */
export const operation = (v: DataView, at: number): number => v.getUint16(at + AT.operation);
/** Who speaks, Ethernet (`ar$sha`). */
export const senderMac = (v: DataView, at: number): Mac => macAt(v, at + AT.senderMac);
/** Who speaks, IPv4 (`ar$spa`). */
export const senderIp = (v: DataView, at: number): Ip4 => v.getInt32(at + AT.senderIp) as Ip4;
/** Who is meant, Ethernet (`ar$tha`); zero in a question. */
export const targetMac = (v: DataView, at: number): Mac => macAt(v, at + AT.targetMac);
/** Who is meant, IPv4 (`ar$tpa`). */
export const targetIp = (v: DataView, at: number): Ip4 => v.getInt32(at + AT.targetIp) as Ip4;

/** What an ARP packet means. */
export interface Arp {
	/** 1 asks, 2 answers. */
	readonly operation: number;
	readonly senderMac: Mac;
	readonly senderIp: Ip4;
	readonly targetMac: Mac;
	readonly targetIp: Ip4;
}

/** Bytes → meaning. Other hardware and protocol types are not understood. */
export function read(v: DataView, at: number, end: number): Arp | DropReason {
	if (end - at < OCTETS) return "arp-truncated";
	const known =
		v.getUint16(at + AT.hardware) === ETHERNET &&
		v.getUint16(at + AT.protocol) === IPV4 &&
		v.getUint16(at + AT.hardwareLength) === LENGTHS;
	if (!known) return "arp-unsupported";
	return {
		operation: operation(v, at),
		senderMac: senderMac(v, at),
		senderIp: senderIp(v, at),
		targetMac: targetMac(v, at),
		targetIp: targetIp(v, at),
	};
}

/** Meaning → bytes. Throws RangeError for an operation beyond 16 bits. */
export function write(v: DataView, at: number, arp: Arp): void {
	checkField("arp.operation", arp.operation, 16);
	v.setUint16(at + AT.hardware, ETHERNET);
	v.setUint16(at + AT.protocol, IPV4);
	v.setUint16(at + AT.hardwareLength, LENGTHS);
	v.setUint16(at + AT.operation, arp.operation);
	setMac(v, at + AT.senderMac, arp.senderMac);
	v.setUint32(at + AT.senderIp, arp.senderIp);
	setMac(v, at + AT.targetMac, arp.targetMac);
	v.setUint32(at + AT.targetIp, arp.targetIp);
}
