import { IPv4 } from "ip-num";
import { type kind, refuse } from "./kind.ts";
import type { Mac } from "./mac.ts";

/**
 * An IPv4 address as a 32-bit integer, signed: from 128.0.0.0 on it is negative. V8 makes an object of every larger number
 * that is passed or kept, for addresses as 172.17.0.2 once per call on the way of a frame. Compare by `compareIp4`.
 */
export type Ip4 = number & { readonly [kind]: "Ip4" };

/** 0.0.0.0: no address, or all of a host's. */
export const ANY_IP4: Ip4 = 0 as Ip4;
/** 255.255.255.255: everyone on the link (RFC 919). */
export const BROADCAST_IP4: Ip4 = -1 as Ip4;

/** Addresses that were read: most are read many times, 172.18.0.1 on every node. */
const known = new Map<string, Ip4>();
const MOST_KNOWN = 4096;

/** Reads four decimal octets without leading zeros; undefined for anything else. */
export function parseIp4(text: string): Ip4 | undefined {
	const before = known.get(text);
	if (before !== undefined) return before;
	// The package accepts white space around some parts; an address has none.
	if (!/^[0-9.]{7,15}$/.test(text)) return undefined;
	try {
		const address = (Number(new IPv4(text).getValue()) | 0) as Ip4;
		if (known.size >= MOST_KNOWN) known.clear();
		known.set(text, address);
		return address;
	} catch {
		return undefined;
	}
}

/** `10.0.1.6`. */
export function formatIp4(ip: Ip4): string {
	return `${String(ip >>> 24)}.${String((ip >>> 16) & 255)}.${String((ip >>> 8) & 255)}.${String(ip & 255)}`;
}

/** An Ip4 from text, or from a number with or without sign. Throws RangeError or TypeError that names `argument`. */
export function toIp4(value: Ip4 | string | number, argument: string): Ip4 {
	if (typeof value === "string")
		return parseIp4(value) ?? refuse(argument, value, "an IPv4 address such as 10.0.1.6");
	if (Number.isInteger(value) && value >= -0x8000_0000 && value <= 0xffff_ffff) return (value | 0) as Ip4;
	return refuse(argument, value, "an IPv4 address such as 10.0.1.6 or a whole number below 2^32");
}

/** Orders addresses by their octets, 0.0.0.0 first. */
export const compareIp4 = (a: Ip4, b: Ip4): number => (a >>> 0) - (b >>> 0);

/** 224.0.0.0/4 (RFC 5771). */
export const isMulticastIp4 = (ip: Ip4): boolean => ip >>> 28 === 0xe;

/** 127.0.0.0/8 (RFC 1122 §3.2.1.3). */
export const isLoopbackIp4 = (ip: Ip4): boolean => ip >>> 24 === 127;

/** The Ethernet group address of an IPv4 group: 01:00:5e and its low 23 bits (RFC 1112 §6.4). */
export const multicastMacOf = (group: Ip4): Mac => (0x0100_5e00_0000 + (group & 0x7f_ffff)) as Mac;
