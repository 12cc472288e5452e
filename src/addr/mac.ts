import { type kind, refuse } from "./kind.ts";

/** An Ethernet address (EUI-48) as a 48-bit integer: cheap to compare, hash and keep. */
export type Mac = number & { readonly [kind]: "Mac" };

/** ff:ff:ff:ff:ff:ff, every station. */
export const BROADCAST_MAC: Mac = 0xffff_ffff_ffff as Mac;
/** 00:00:00:00:00:00: no station; the default entry of a VXLAN table. */
export const ZERO_MAC: Mac = 0 as Mac;

const MOST = 0xffff_ffff_ffff;
const TEXT = /^[0-9a-f]{1,2}([:-][0-9a-f]{1,2}){5}$/i;

/** Reads `02:42:0a:00:01:06` (or with dashes); undefined for anything else. */
export function parseMac(text: string): Mac | undefined {
	if (!TEXT.test(text)) return undefined;
	let mac = 0;
	for (const octet of text.split(/[:-]/)) mac = mac * 256 + Number.parseInt(octet, 16);
	return mac as Mac;
}

/** `02:42:0a:00:01:06`. */
export function formatMac(mac: Mac): string {
	return mac
		.toString(16)
		.padStart(12, "0")
		.replace(/(..)(?=.)/g, "$1:");
}

/** A Mac from text or number. Throws RangeError or TypeError that names `argument`. */
export function toMac(value: Mac | string | number, argument: string): Mac {
	if (typeof value === "string")
		return parseMac(value) ?? refuse(argument, value, "six octets such as 02:42:0a:00:01:06");
	if (Number.isInteger(value) && value >= 0 && value <= MOST) return value as Mac;
	return refuse(argument, value, "a whole number below 2^48 or six octets such as 02:42:0a:00:01:06");
}

/** True for group addresses, broadcast among them: the lowest bit of the first octet (IEEE 802-2014 §8.2.2). */
export const isMulticastMac = (mac: Mac): boolean => Math.floor(mac / 0x100_0000_0000) % 2 === 1;

/** True for addresses that no vendor gave out: the second lowest bit of the first octet. */
export const isLocallyAdministered = (mac: Mac): boolean => Math.floor(mac / 0x200_0000_0000) % 2 === 1;

/** True for 01:80:c2:00:00:0X, which bridges treat by rules of their own (IEEE 802.1D-2004 table 7-10). */
export const isLinkLocalGroup = (mac: Mac): boolean => Math.floor(mac / 16) === 0x0180_c200_000;

/** The upper 16 bits: the first two octets, as tables and headers hold them. */
export const macHigh = (mac: Mac): number => Math.floor(mac / 0x1_0000_0000);

/** The lower 32 bits, the last four octets, as a signed integer: what V8 keeps without an object of its own. */
export const macLow = (mac: Mac): number => mac | 0;

/** The address of its two parts. */
export const macOfParts = (high: number, low: number): Mac => (high * 0x1_0000_0000 + (low >>> 0)) as Mac;
