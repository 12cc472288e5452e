import { formatIp4, type Ip4, parseIp4 } from "./ip4.ts";
import { refuse } from "./kind.ts";

/** An IPv4 address and the length of its subnet's prefix: `10.0.0.7/24` keeps the 7. */
export interface Prefix4 {
	readonly address: Ip4;
	/** 0 to 32. */
	readonly length: number;
}

/** Reads `10.0.0.7/24`; an address alone is a /32. Undefined for anything else. */
export function parsePrefix4(text: string): Prefix4 | undefined {
	const slash = text.indexOf("/");
	const address = parseIp4(slash < 0 ? text : text.slice(0, slash));
	const digits = slash < 0 ? "32" : text.slice(slash + 1);
	if (address === undefined || !/^(0|[1-9]\d?)$/.test(digits) || Number(digits) > 32) return undefined;
	return { address, length: Number(digits) };
}

/** `10.0.0.7/24`. */
export const formatPrefix4 = (prefix: Prefix4): string =>
	`${formatIp4(prefix.address)}/${String(prefix.length)}`;

/** A Prefix4 from text or object. Throws RangeError or TypeError that names `argument`. */
export function toPrefix4(value: Prefix4 | string, argument: string): Prefix4 {
	if (typeof value === "string")
		return parsePrefix4(value) ?? refuse(argument, value, "a prefix such as 10.0.0.1/24");
	return (
		parsePrefix4(formatPrefix4(value)) ??
		refuse(argument, formatPrefix4(value), "a prefix such as 10.0.0.1/24")
	);
}

/** The netmask of a length, unsigned. */
export const mask = (length: number): number => (length === 0 ? 0 : (-1 << (32 - length)) >>> 0);

/** The first address: host bits zero. */
export const network = (prefix: Prefix4): Ip4 => (prefix.address & mask(prefix.length)) as Ip4;

/** The last address: host bits one. */
export const broadcast = (prefix: Prefix4): Ip4 => (prefix.address | ~mask(prefix.length)) as Ip4;

/** True when the address is in the prefix. */
export const contains = (prefix: Prefix4, ip: Ip4): boolean =>
	((prefix.address ^ ip) & mask(prefix.length)) === 0;
