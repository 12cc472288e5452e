import { IPv6 } from "ip-num";
import { type kind, refuse } from "./kind.ts";
import type { Mac } from "./mac.ts";

/** An IPv6 address as an unsigned 128-bit integer. */
export type Ip6 = bigint & { readonly [kind]: "Ip6" };

const MOST = (1n << 128n) - 1n;

/** Reads the forms of RFC 4291 §2.2, without zone; undefined for anything else. */
export function parseIp6(text: string): Ip6 | undefined {
	// The package keeps a zone in its text and loses it in its value; an address on a wire has none.
	if (!/^[0-9a-fA-F:.]{2,45}$/.test(text)) return undefined;
	try {
		return new IPv6(text).getValue() as Ip6;
	} catch {
		return undefined;
	}
}

/** The text of RFC 5952: lower case, no leading zeros, the longest run of zeros as `::`. */
export function formatIp6(ip: Ip6): string {
	const groups = Array.from({ length: 8 }, (_, i) => Number((ip >> BigInt(112 - 16 * i)) & 0xffffn));
	if (ip >> 32n === 0xffffn) {
		const octets = [24n, 16n, 8n, 0n].map((shift) => String((ip >> shift) & 255n));
		return `::ffff:${octets.join(".")}`;
	}
	let best = { at: -1, length: 1 };
	for (let at = 0; at < 8; at++) {
		let length = 0;
		while (at + length < 8 && groups[at + length] === 0) length++;
		if (length > best.length) best = { at, length };
	}
	const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(":");
	if (best.at < 0) return hex(groups);
	return `${hex(groups.slice(0, best.at))}::${hex(groups.slice(best.at + best.length))}`;
}

/** An Ip6 from text or number. Throws RangeError or TypeError that names `argument`. */
export function toIp6(value: Ip6 | string | bigint, argument: string): Ip6 {
	if (typeof value === "string")
		return parseIp6(value) ?? refuse(argument, value, "an IPv6 address such as fd00::1");
	if (typeof value === "bigint" && value >= 0n && value <= MOST) return value as Ip6;
	return refuse(argument, String(value), "an IPv6 address such as fd00::1");
}

/** The interface identifier of a MAC: bit 1 of the first octet flipped, ff:fe in the middle (RFC 4291 appendix A). */
export function linkLocalOf(mac: Mac): Ip6 {
	const octets = BigInt(mac) ^ 0x0200_0000_0000n;
	const identifier = ((octets >> 24n) << 40n) | 0xff_fe00_0000n | (octets & 0xff_ffffn);
	return ((0xfe80n << 112n) | identifier) as Ip6;
}
