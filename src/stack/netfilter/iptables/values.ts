import { formatIp4, type Ip4, parseIp4 } from "../../../addr/index.ts";
import { badParameter } from "./refusal.ts";

/** Services by name, as /etc/services has the common ones. */
const SERVICES: Readonly<Record<string, number>> = {
	ftp: 21,
	ssh: 22,
	telnet: 23,
	smtp: 25,
	domain: 53,
	http: 80,
	ntp: 123,
	snmp: 161,
	https: 443,
	bootps: 67,
	bootpc: 68,
};

/** IP protocols by name, as /etc/protocols has them. */
const PROTOCOLS: Readonly<Record<string, number>> = {
	all: 0,
	icmp: 1,
	igmp: 2,
	ipencap: 4,
	tcp: 6,
	udp: 17,
	dccp: 33,
	ipv6: 41,
	gre: 47,
	esp: 50,
	ah: 51,
	ospf: 89,
	vrrp: 112,
	sctp: 132,
	udplite: 136,
};
const PROTOCOL_NAMES = new Map(Object.entries(PROTOCOLS).map(([name, number]) => [number, name]));

/** A whole number, decimal, hexadecimal or octal as C reads it; undefined for anything else. */
export function parseNumber(text: string): number | undefined {
	if (/^0x[0-9a-f]+$/i.test(text)) return Number(text);
	if (/^0[0-7]+$/.test(text)) return parseInt(text, 8);
	return /^\d+$/.test(text) ? Number(text) : undefined;
}

/** A port by number or name. */
export function parsePort(text: string): number {
	const port = parseNumber(text) ?? SERVICES[text];
	if (port === undefined || port > 0xffff) throw badParameter(`invalid port/service \`${text}' specified`);
	return port;
}

/** `80` or `1000:2000`; a side left out is the end of all ports. */
export function parsePortRange(text: string): [number, number] {
	const colon = text.indexOf(":");
	if (colon < 0) {
		const port = parsePort(text);
		return [port, port];
	}
	const [low, high] = [text.slice(0, colon), text.slice(colon + 1)];
	const range: [number, number] = [low === "" ? 0 : parsePort(low), high === "" ? 0xffff : parsePort(high)];
	if (range[0] > range[1]) throw badParameter("invalid portrange (min > max)");
	return range;
}

/** `80` or `1000:2000`. */
export const formatPortRange = ([low, high]: readonly [number, number]): string =>
	low === high ? String(low) : `${String(low)}:${String(high)}`;

/** An IP protocol by number or name. */
export function parseProtocol(text: string): number {
	const protocol = parseNumber(text) ?? PROTOCOLS[text.toLowerCase()];
	if (protocol === undefined || protocol > 255) throw badParameter(`unknown protocol "${text}" specified`);
	return protocol;
}

/** `tcp`, or the number of a protocol without a name. */
export const formatProtocol = (protocol: number): string => PROTOCOL_NAMES.get(protocol) ?? String(protocol);

/** `value` or `value/mask`, 32 bits each. */
export function parseMasked(option: string, text: string): [number, number] {
	const slash = text.indexOf("/");
	const value = parseNumber(slash < 0 ? text : text.slice(0, slash));
	const mask = slash < 0 ? 0xffff_ffff : parseNumber(text.slice(slash + 1));
	if (value === undefined || mask === undefined || value > 0xffff_ffff || mask > 0xffff_ffff)
		throw badParameter(`${option}: bad integer value for option "--${option}", or out of range`);
	return [value, mask];
}

/** `0x100`. */
export const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;

/** `10.0.0.1` or `10.0.0.1-10.0.0.9`, as signed integers. */
export function parseAddressRange(text: string): [number, number] {
	const [low, high, ...more] = text.split("-").map((part) => {
		const address = parseIp4(part);
		if (address === undefined) throw badParameter(`Bad IP address "${part}"`);
		return address;
	});
	if (low === undefined || more.length > 0) throw badParameter(`Bad IP address "${text}"`);
	return [low, high ?? low];
}

/** `10.0.0.1`, or the range. */
export const formatAddressRange = ([low, high]: readonly [number, number]): string => {
	const first = formatIp4(low as Ip4);
	return low === high ? first : `${first}-${formatIp4(high as Ip4)}`;
};

/** A text as `iptables-save` prints it: quoted unless it is a plain word (`xtables_save_string`). */
export const quoted = (text: string): string =>
	/^[\w-]+$/.test(text) ? text : `"${text.replaceAll(/["\\']/g, (character) => `\\${character}`)}"`;

/** Words of one list: `a,b`. */
export const words = (text: string): string[] => text.split(",").filter((word) => word !== "");

/** ` ! ` in front of what is turned round, else a space. */
export const turned = (inverted: boolean): string => (inverted ? " ! " : " ");
