// Ethernet II, IEEE 802.3-2018 §3.   | dst 6 | src 6 | type 2 |
import { BROADCAST_MAC, type Mac } from "../addr/index.ts";
import type { DropReason } from "../drop.ts";
import { checkField, header } from "./layout.ts";

const HEADER = header({ dst: 6, src: 6, type: 2 });
/** Octets of the header. */
export const OCTETS: number = HEADER.octets;
const DST = HEADER.at.dst;
const SRC = HEADER.at.src;
const TYPE = HEADER.at.type;

/** IPv4 (RFC 894). */
export const TYPE_IPV4 = 0x0800;
/** ARP (RFC 826). */
export const TYPE_ARP = 0x0806;
/** 802.1Q customer tag. */
export const TYPE_VLAN = 0x8100;
/** 802.1ad service tag, the outer one of QinQ. */
export const TYPE_SERVICE_VLAN = 0x88a8;
/** IPv6 (RFC 2464). */
export const TYPE_IPV6 = 0x86dd;
/** Smallest value that is an EtherType; below, the field is the length of an 802.3 frame. */
export const FIRST_TYPE = 0x0600;
/** ff:ff:ff:ff:ff:ff. */
export const BROADCAST: Mac = BROADCAST_MAC;

// The view. Addresses come whole, or as their first two and last four octets, which tables use as keys; the latter as
// a signed integer, since V8 makes an object of every number from 2^31 on that it passes.
/** Destination, whole. */
export const dst = (v: DataView, at: number): Mac =>
	(v.getUint16(at + DST) * 0x1_0000_0000 + v.getUint32(at + DST + 2)) as Mac;
/** Source, whole. */
export const src = (v: DataView, at: number): Mac =>
	(v.getUint16(at + SRC) * 0x1_0000_0000 + v.getUint32(at + SRC + 2)) as Mac;
/** The first two octets of the destination. */
export const dstHigh = (v: DataView, at: number): number => v.getUint16(at + DST);
/** The last four octets of the destination. */
export const dstLow = (v: DataView, at: number): number => v.getInt32(at + DST + 2);
/** The first two octets of the source. */
export const srcHigh = (v: DataView, at: number): number => v.getUint16(at + SRC);
/** The last four octets of the source. */
export const srcLow = (v: DataView, at: number): number => v.getInt32(at + SRC + 2);
/** EtherType, or the length of an 802.3 frame. */
export const type = (v: DataView, at: number): number => v.getUint16(at + TYPE);

/** What an Ethernet header means. `type` below 0x0600 is a length (802.3). */
export interface Ethernet {
	readonly dst: Mac;
	readonly src: Mac;
	readonly type: number;
}

/** Bytes → meaning. */
export function read(v: DataView, at: number, end: number): Ethernet | DropReason {
	if (end - at < OCTETS) return "ethernet-truncated";
	return { dst: dst(v, at), src: src(v, at), type: type(v, at) };
}

/** Meaning → bytes. Throws RangeError for a type beyond 16 bits. */
export function write(v: DataView, at: number, frame: Ethernet): void {
	checkField("ethernet.type", frame.type, 16);
	setMac(v, at + DST, frame.dst);
	setMac(v, at + SRC, frame.src);
	v.setUint16(at + TYPE, frame.type);
}

/** `write` for the path of a frame: addresses in two parts, nothing checked. */
export function writeParts(
	v: DataView,
	at: number,
	toHigh: number,
	toLow: number,
	fromHigh: number,
	fromLow: number,
	etherType: number,
): void {
	v.setUint16(at + DST, toHigh);
	v.setUint32(at + DST + 2, toLow);
	v.setUint16(at + SRC, fromHigh);
	v.setUint32(at + SRC + 2, fromLow);
	v.setUint16(at + TYPE, etherType);
}

/** Writes the six octets of an address. */
export function setMac(v: DataView, at: number, mac: Mac): void {
	v.setUint16(at, Math.floor(mac / 0x1_0000_0000));
	v.setUint32(at + 2, mac % 0x1_0000_0000);
}

/** Reads the six octets of an address. */
export const macAt = (v: DataView, at: number): Mac =>
	(v.getUint16(at) * 0x1_0000_0000 + v.getUint32(at + 2)) as Mac;
