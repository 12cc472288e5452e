// IPv4, RFC 791 §3.1.
//   | version 4, ihl 4 | tos 1 | total length 2 | identification 2 | flags 3 bits, offset 13 | ttl 1 | protocol 1 |
//   | checksum 2 | source 4 | destination 4 | options 0 to 40 |
import type { Ip4 } from "../addr/index.ts";
import type { DropReason } from "../drop.ts";
import { checksum as checksumOf, fold, update16, update32 } from "./checksum.ts";
import { checkField, header } from "./layout.ts";

const HEADER = header({
	versionIhl: 1,
	tos: 1,
	totalLength: 2,
	ident: 2,
	fragment: 2,
	ttl: 1,
	protocol: 1,
	checksum: 2,
	source: 4,
	destination: 4,
});
/** Octets without options. */
export const MIN_OCTETS: number = HEADER.octets;
/** Octets with all the options that fit. */
export const MAX_OCTETS = 60;
const TOS = HEADER.at.tos;
const TOTAL_LENGTH = HEADER.at.totalLength;
const IDENT = HEADER.at.ident;
const FRAGMENT = HEADER.at.fragment;
const TTL = HEADER.at.ttl;
const PROTOCOL = HEADER.at.protocol;
const CHECKSUM = HEADER.at.checksum;
const SOURCE = HEADER.at.source;
const DESTINATION = HEADER.at.destination;

/** Bits of the flags and offset field. */
export const RESERVED_FLAG = 0x8000;
/** Don't Fragment. */
export const DONT_FRAGMENT = 0x4000;
/** More Fragments: not the last one. */
export const MORE_FRAGMENTS = 0x2000;
const OFFSET = 0x1fff;

/** Protocol number of ICMP. */
export const PROTOCOL_ICMP = 1;
/** Protocol number of IGMP. */
export const PROTOCOL_IGMP = 2;
/** Protocol number of TCP. */
export const PROTOCOL_TCP = 6;
/** Protocol number of UDP. */
export const PROTOCOL_UDP = 17;
/** Protocol number of ESP. */
export const PROTOCOL_ESP = 50;

/** The router alert option (RFC 2113): routers look at the packet though it is not for them. */
export const ROUTER_ALERT = 0x9404_0000;

/** 4, if it is IPv4. */
export const version = (v: DataView, at: number): number => v.getUint8(at) >>> 4;
/** Octets of the header, options included. */
export const headerOctets = (v: DataView, at: number): number => (v.getUint8(at) & 15) * 4;
/** The TOS octet: DSCP and ECN (RFC 2474, RFC 3168). */
export const tos = (v: DataView, at: number): number => v.getUint8(at + TOS);
/** Octets of header and payload. */
export const totalLength = (v: DataView, at: number): number => v.getUint16(at + TOTAL_LENGTH);
/** Identification, which fragments of one packet share. */
export const ident = (v: DataView, at: number): number => v.getUint16(at + IDENT);
/** The three flag bits, in place. */
export const flags = (v: DataView, at: number): number => v.getUint16(at + FRAGMENT) & ~OFFSET;
/** Whether Don't Fragment is set. */
export const dontFragment = (v: DataView, at: number): boolean =>
	(v.getUint16(at + FRAGMENT) & DONT_FRAGMENT) !== 0;
/** Whether More Fragments is set. */
export const moreFragments = (v: DataView, at: number): boolean =>
	(v.getUint16(at + FRAGMENT) & MORE_FRAGMENTS) !== 0;
/** In octets. */
export const fragmentOffset = (v: DataView, at: number): number => (v.getUint16(at + FRAGMENT) & OFFSET) * 8;
/** Whether this is a part of a packet: first, middle or last. */
export const isFragment = (v: DataView, at: number): boolean =>
	(v.getUint16(at + FRAGMENT) & (MORE_FRAGMENTS | OFFSET)) !== 0;
/** Routers the packet may still pass. */
export const ttl = (v: DataView, at: number): number => v.getUint8(at + TTL);
/** Number of the protocol behind the header. */
export const protocol = (v: DataView, at: number): number => v.getUint8(at + PROTOCOL);
/** The header checksum field. */
export const checksum = (v: DataView, at: number): number => v.getUint16(at + CHECKSUM);
/** Source address. */
export const source = (v: DataView, at: number): Ip4 => v.getInt32(at + SOURCE) as Ip4;
/** Destination address. */
export const destination = (v: DataView, at: number): Ip4 => v.getInt32(at + DESTINATION) as Ip4;

// Changes in place. Those of a whole header leave the checksum to `writeChecksum`, the others mend it.
/** Changes the total length; the checksum is left to `writeChecksum`. */
export const setTotalLength = (v: DataView, at: number, octets: number): void => {
	v.setUint16(at + TOTAL_LENGTH, octets);
};
/** Changes the protocol; the checksum is left to `writeChecksum`. */
export const setProtocol = (v: DataView, at: number, value: number): void => {
	v.setUint8(at + PROTOCOL, value);
};
/** Changes the identification; the checksum is left to `writeChecksum`. */
export const setIdent = (v: DataView, at: number, value: number): void => {
	v.setUint16(at + IDENT, value);
};
/** Offset in octets; clears Don't Fragment. */
export const setFragment = (v: DataView, at: number, offset: number, more: boolean): void => {
	v.setUint16(at + FRAGMENT, (offset >>> 3) | (more ? MORE_FRAGMENTS : 0));
};
/** One router passed: TTL − 1, checksum mended. */
export function decrementTtl(v: DataView, at: number): void {
	const old = v.getUint16(at + TTL);
	v.setUint16(at + TTL, old - 0x0100);
	v.setUint16(at + CHECKSUM, update16(v.getUint16(at + CHECKSUM), old, old - 0x0100));
}
/** Changes the TOS octet and mends the checksum. */
export function setTos(v: DataView, at: number, value: number): void {
	const old = v.getUint16(at);
	const now = (old & 0xff00) | value;
	v.setUint16(at, now);
	v.setUint16(at + CHECKSUM, update16(v.getUint16(at + CHECKSUM), old, now));
}
/** Changes the source and mends the checksum. */
export function setSource(v: DataView, at: number, ip: Ip4): void {
	v.setUint16(at + CHECKSUM, update32(v.getUint16(at + CHECKSUM), v.getInt32(at + SOURCE), ip));
	v.setUint32(at + SOURCE, ip);
}
/** Changes the destination and mends the checksum. */
export function setDestination(v: DataView, at: number, ip: Ip4): void {
	v.setUint16(at + CHECKSUM, update32(v.getUint16(at + CHECKSUM), v.getInt32(at + DESTINATION), ip));
	v.setUint32(at + DESTINATION, ip);
}
/** Computes the checksum of the header as it stands. */
export function writeChecksum(v: DataView, at: number): void {
	v.setUint16(at + CHECKSUM, 0);
	v.setUint16(at + CHECKSUM, checksumOf(v, at, headerOctets(v, at)));
}
/** True when the header adds up, as a receiver judges it. */
export const isChecksumGood = (v: DataView, at: number): boolean =>
	checksumOf(v, at, headerOctets(v, at)) === 0;

/** What an IPv4 header means. The checksum is kept, so that bytes written again are the bytes read. */
export interface Ipv4 {
	readonly tos: number;
	/** Header and payload. */
	readonly totalLength: number;
	readonly ident: number;
	readonly reservedFlag: boolean;
	readonly dontFragment: boolean;
	readonly moreFragments: boolean;
	/** Octets before this fragment's payload, a multiple of 8. */
	readonly fragmentOffset: number;
	readonly ttl: number;
	readonly protocol: number;
	readonly source: Ip4;
	readonly destination: Ip4;
	/** As they stand, padding included; a multiple of 4 octets, at most 40. */
	readonly options: Uint8Array;
}

/** Octets of a header. */
export const octets = (ip: Ipv4): number => MIN_OCTETS + ip.options.length;

/** Bytes → meaning: version, lengths and checksum are judged. */
export function read(v: DataView, at: number, end: number): Ipv4 | DropReason {
	const parsed = readQuoted(v, at, end);
	if (typeof parsed === "string") return parsed;
	if (parsed.totalLength > end - at) return "ip-truncated";
	if (!isChecksumGood(v, at)) return "ip-csum";
	return parsed;
}

/** `read` for packets quoted inside ICMP errors: cut short by design, checksum as it was at the reporter. */
export function readQuoted(v: DataView, at: number, end: number): Ipv4 | DropReason {
	if (end - at < MIN_OCTETS) return "ip-truncated";
	if (version(v, at) !== 4) return "ip-version";
	const length = headerOctets(v, at);
	if (length < MIN_OCTETS || totalLength(v, at) < length) return "ip-inhdr";
	if (length > end - at) return "ip-truncated";
	return {
		tos: tos(v, at),
		totalLength: totalLength(v, at),
		ident: ident(v, at),
		reservedFlag: (flags(v, at) & RESERVED_FLAG) !== 0,
		dontFragment: dontFragment(v, at),
		moreFragments: moreFragments(v, at),
		fragmentOffset: fragmentOffset(v, at),
		ttl: ttl(v, at),
		protocol: protocol(v, at),
		source: source(v, at),
		destination: destination(v, at),
		options: new Uint8Array(v.buffer, v.byteOffset + at + MIN_OCTETS, length - MIN_OCTETS).slice(),
	};
}

/** Meaning → bytes, checksum included. Throws RangeError for what no header can say. */
export function write(v: DataView, at: number, ip: Ipv4): void {
	checkField("ipv4.tos", ip.tos, 8);
	checkField("ipv4.totalLength", ip.totalLength, 16);
	checkField("ipv4.ident", ip.ident, 16);
	checkField("ipv4.ttl", ip.ttl, 8);
	checkField("ipv4.protocol", ip.protocol, 8);
	if (ip.fragmentOffset % 8 !== 0 || ip.fragmentOffset < 0 || ip.fragmentOffset > OFFSET * 8) {
		throw new RangeError(
			`ipv4.fragmentOffset is ${String(ip.fragmentOffset)}, expected a multiple of 8 from 0 to ${String(OFFSET * 8)}`,
		);
	}
	if (ip.options.length % 4 !== 0 || ip.options.length > MAX_OCTETS - MIN_OCTETS) {
		throw new RangeError(
			`ipv4.options has ${String(ip.options.length)} octets, expected a multiple of 4 up to 40`,
		);
	}
	const length = octets(ip);
	const bits =
		(ip.reservedFlag ? RESERVED_FLAG : 0) |
		(ip.dontFragment ? DONT_FRAGMENT : 0) |
		(ip.moreFragments ? MORE_FRAGMENTS : 0);
	writePlain(
		v,
		at,
		ip.totalLength,
		ip.tos,
		ip.ident,
		bits | (ip.fragmentOffset >>> 3),
		ip.ttl,
		ip.protocol,
		ip.source,
		ip.destination,
	);
	if (length === MIN_OCTETS) return;
	v.setUint8(at, 0x40 | (length / 4));
	for (const [i, octet] of ip.options.entries()) v.setUint8(at + MIN_OCTETS + i, octet);
	writeChecksum(v, at);
}

/**
 * `write` without options for the path of a frame: nothing checked, checksum from the numbers at hand. Of a length of more
 * than 16 bits the lower ones are written, as `htons` has it.
 */
export function writePlain(
	v: DataView,
	at: number,
	length: number,
	typeOfService: number,
	identification: number,
	fragment: number,
	timeToLive: number,
	protocolNumber: number,
	from: Ip4,
	to: Ip4,
): void {
	const first = 0x4500 | typeOfService;
	const octets = length & 0xffff;
	const life = (timeToLive << 8) | protocolNumber;
	const total =
		first +
		octets +
		identification +
		fragment +
		life +
		(from >>> 16) +
		(from & 0xffff) +
		(to >>> 16) +
		(to & 0xffff);
	v.setUint32(at, (first << 16) | octets);
	v.setUint32(at + IDENT, (identification << 16) | fragment);
	v.setUint32(at + TTL, (life << 16) | (~fold(total) & 0xffff));
	v.setUint32(at + SOURCE, from);
	v.setUint32(at + DESTINATION, to);
}
