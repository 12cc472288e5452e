// IGMP: version 1 RFC 1112, version 2 RFC 2236, version 3 RFC 3376.
//   | type 1 | code 1 | checksum 2 | group 4 |              queries, reports of versions 1 and 2, leave
//   … | resv 4 bits, S 1, QRV 3 | QQIC 1 | sources 2 | source 4 … |    what a query of version 3 has more
//   | type 1 | 0 1 | checksum 2 | 0 2 | records 2 | record … |         report of version 3
//   record: | type 1 | aux words 1 | sources 2 | group 4 | source 4 … | aux … |
import type { Ip4 } from "../addr/index.ts";
import type { DropReason } from "../drop.ts";
import { checksum as checksumOf } from "./checksum.ts";
import * as ipv4 from "./ipv4.ts";
import { checkField, header } from "./layout.ts";

const HEADER = header({ type: 1, code: 1, checksum: 2, group: 4 });
const QUERY3 = header({ flags: 1, qqic: 1, sources: 2 });
const RECORD = header({ type: 1, auxWords: 1, sources: 2, group: 4 });
/** Octets of the shortest message. */
export const OCTETS: number = HEADER.octets;
/** Octets of a query of version 3 without sources. */
export const QUERY3_OCTETS: number = HEADER.octets + QUERY3.octets;
/** Octets of a group record without sources. */
export const RECORD_OCTETS: number = RECORD.octets;
const AT = HEADER.at;
const COUNT = AT.group + 2;

/** 224.0.0.1: all hosts of the link, where queries go; in which each host is without a report. */
export const ALL_HOSTS: Ip4 = (0xe000_0001 | 0) as Ip4;
/** Octets of the IPv4 header in front of a message: it has the router alert option. */
export const PACKET_HEADER: number = ipv4.MIN_OCTETS + 4;
/** Internetwork control. */
const TOS = 0xc0;

/** A router asks who is in a group, or in any. */
export const QUERY = 0x11;
/** "I am in this group", version 1. */
export const REPORT_1 = 0x12;
/** "I am in this group", version 2. */
export const REPORT_2 = 0x16;
/** "I am in it no longer", version 2. */
export const LEAVE = 0x17;
/** What groups and sources a host listens to, version 3. */
export const REPORT_3 = 0x22;

// Types of group records, RFC 3376 §4.2.12.
/** Answer: only these sources. */
export const MODE_IS_INCLUDE = 1;
/** Answer: all but these sources. */
export const MODE_IS_EXCLUDE = 2;
/** Change: from now on only these sources; with none, the group is left. */
export const CHANGE_TO_INCLUDE = 3;
/** Change: from now on all but these sources; with none, the group is joined. */
export const CHANGE_TO_EXCLUDE = 4;
/** Change: these sources too. */
export const ALLOW_NEW_SOURCES = 5;
/** Change: these sources no longer. */
export const BLOCK_OLD_SOURCES = 6;

/** What the message is. */
export const type = (v: DataView, at: number): number => v.getUint8(at + AT.type);
/** Time to answer in, tenths of a second, in queries; see `duration` for version 3. */
export const code = (v: DataView, at: number): number => v.getUint8(at + AT.code);
/** The group, 0 in a general query. */
export const group = (v: DataView, at: number): Ip4 => v.getInt32(at + AT.group) as Ip4;
/** How often reports are repeated, as a querier of version 3 asks; 0 for no wish. */
export const robustness = (v: DataView, at: number): number => v.getUint8(at + OCTETS) & 7;
/** The querier's interval in seconds, coded as `duration` decodes. */
export const qqic = (v: DataView, at: number): number => v.getUint8(at + OCTETS + QUERY3.at.qqic);
/** Sources of a query of version 3. */
export const sourceCount = (v: DataView, at: number): number => v.getUint16(at + OCTETS + QUERY3.at.sources);
/** Times above 127 are floating point numbers (RFC 3376 §4.1.1, §4.1.7). */
export const duration = (coded: number): number =>
	coded < 0x80 ? coded : ((coded & 15) | 16) << (((coded >> 4) & 7) + 3);

/** A group record of a report of version 3. */
export interface GroupRecord {
	readonly type: number;
	readonly group: Ip4;
	readonly sources: readonly Ip4[];
	/** Auxiliary data, a multiple of 4 octets; nobody has defined any. */
	readonly aux: Uint8Array;
}

/** A query, a report of version 1 or 2, a leave, or a type nobody knows. */
export interface IgmpMessage {
	readonly type: number;
	readonly code: number;
	readonly group: Ip4;
	/** What a query of version 3 has more. */
	readonly query3?: { readonly flags: number; readonly qqic: number; readonly sources: readonly Ip4[] };
	/** Octets behind; part of the checksum. */
	readonly data: Uint8Array;
}

/** A report of version 3. */
export interface IgmpReport {
	readonly type: typeof REPORT_3;
	/** Reserved. */
	readonly code: number;
	/** Reserved. */
	readonly reserved: number;
	readonly records: readonly GroupRecord[];
	/** Octets behind; part of the checksum. */
	readonly data: Uint8Array;
}

/** What an IGMP message means. */
export type Igmp = IgmpMessage | IgmpReport;

const isReport = (message: Igmp): message is IgmpReport => "records" in message;

/** Octets of a message. */
export function octets(message: Igmp): number {
	const rest = message.data.length + OCTETS;
	if (isReport(message)) {
		return message.records.reduce(
			(sum, record) => sum + RECORD_OCTETS + 4 * record.sources.length + record.aux.length,
			rest,
		);
	}
	return rest + (message.query3 === undefined ? 0 : QUERY3.octets + 4 * message.query3.sources.length);
}

/** Bytes → meaning: lengths and checksum are judged. */
export function read(v: DataView, at: number, end: number): Igmp | DropReason {
	const message = parse(v, at, end);
	if (typeof message === "string") return message;
	return checksumOf(v, at, end - at) === 0 ? message : "igmp-csum";
}

/** `read` without the checksum, for those who show broken messages as well. */
export function parse(v: DataView, at: number, end: number): Igmp | DropReason {
	if (end - at < OCTETS) return "igmp-truncated";
	const data = (from: number): Uint8Array =>
		new Uint8Array(v.buffer, v.byteOffset + from, end - from).slice();
	if (type(v, at) === REPORT_3) {
		const records: GroupRecord[] = [];
		let next = at + OCTETS;
		for (let i = v.getUint16(at + COUNT); i > 0; i--) {
			if (end - next < RECORD_OCTETS) return "igmp-truncated";
			const sources = next + RECORD_OCTETS;
			const aux = sources + 4 * v.getUint16(next + RECORD.at.sources);
			const behind = aux + 4 * v.getUint8(next + RECORD.at.auxWords);
			if (behind > end) return "igmp-truncated";
			records.push({
				type: v.getUint8(next),
				group: v.getInt32(next + RECORD.at.group) as Ip4,
				sources: addresses(v, sources, aux),
				aux: data(aux).slice(0, behind - aux),
			});
			next = behind;
		}
		const reserved = v.getUint16(at + AT.group);
		return { type: REPORT_3, code: code(v, at), reserved, records, data: data(next) };
	}
	const message = { type: type(v, at), code: code(v, at), group: group(v, at) };
	if (message.type !== QUERY || end - at < QUERY3_OCTETS) return { ...message, data: data(at + OCTETS) };
	const sources = at + QUERY3_OCTETS;
	const behind = sources + 4 * sourceCount(v, at);
	if (behind > end) return "igmp-truncated";
	const query3 = {
		flags: v.getUint8(at + OCTETS),
		qqic: qqic(v, at),
		sources: addresses(v, sources, behind),
	};
	return { ...message, query3, data: data(behind) };
}

function addresses(v: DataView, from: number, to: number): Ip4[] {
	return Array.from({ length: (to - from) / 4 }, (_, i) => v.getInt32(from + 4 * i) as Ip4);
}

/** Meaning → bytes, checksum included. Throws RangeError for what no message can say. */
export function write(v: DataView, at: number, message: Igmp): void {
	checkField("igmp.type", message.type, 8);
	checkField("igmp.code", message.code, 8);
	v.setUint8(at, message.type);
	v.setUint8(at + AT.code, message.code);
	let next = at + OCTETS;
	if (isReport(message)) {
		checkField("igmp.reserved", message.reserved, 16);
		checkField("igmp.records", message.records.length, 16);
		v.setUint16(at + AT.group, message.reserved);
		v.setUint16(at + COUNT, message.records.length);
		for (const record of message.records) next = writeRecord(v, next, record);
	} else {
		v.setUint32(at + AT.group, message.group);
		if (message.query3 !== undefined) next = writeQuery3(v, next, message.query3);
	}
	for (const [i, octet] of message.data.entries()) v.setUint8(next + i, octet);
	v.setUint16(at + AT.checksum, 0);
	v.setUint16(at + AT.checksum, checksumOf(v, at, next + message.data.length - at));
}

function writeQuery3(v: DataView, at: number, query: NonNullable<IgmpMessage["query3"]>): number {
	checkField("igmp.flags", query.flags, 8);
	checkField("igmp.qqic", query.qqic, 8);
	v.setUint8(at, query.flags);
	v.setUint8(at + QUERY3.at.qqic, query.qqic);
	v.setUint16(at + QUERY3.at.sources, query.sources.length);
	return writeAddresses(v, at + QUERY3.octets, query.sources);
}

function writeRecord(v: DataView, at: number, record: GroupRecord): number {
	checkField("igmp.record", record.type, 8);
	checkField("igmp.sources", record.sources.length, 16);
	checkField("igmp.auxWords", record.aux.length / 4, 8);
	v.setUint8(at, record.type);
	v.setUint8(at + RECORD.at.auxWords, record.aux.length / 4);
	v.setUint16(at + RECORD.at.sources, record.sources.length);
	v.setUint32(at + RECORD.at.group, record.group);
	const aux = writeAddresses(v, at + RECORD_OCTETS, record.sources);
	for (const [i, octet] of record.aux.entries()) v.setUint8(aux + i, octet);
	return aux + record.aux.length;
}

function writeAddresses(v: DataView, at: number, list: readonly Ip4[]): number {
	for (const [i, address] of list.entries()) v.setUint32(at + 4 * i, address);
	return at + 4 * list.length;
}

/** Octets of a whole packet with a message. */
export const packetOctets = (message: Igmp): number => PACKET_HEADER + octets(message);

/**
 * A whole packet as Linux sends one: TTL 1, no fragments, identification 0, and the option that makes routers look
 * (`igmp_send_report`, `br_ip4_multicast_alloc_query`).
 */
export function writePacket(v: DataView, at: number, source: Ip4, destination: Ip4, message: Igmp): void {
	ipv4.write(v, at, {
		tos: TOS,
		totalLength: packetOctets(message),
		ident: 0,
		reservedFlag: false,
		dontFragment: true,
		moreFragments: false,
		fragmentOffset: 0,
		ttl: 1,
		protocol: ipv4.PROTOCOL_IGMP,
		source,
		destination,
		options: Uint8Array.of(ipv4.ROUTER_ALERT >>> 24, (ipv4.ROUTER_ALERT >>> 16) & 0xff, 0, 0),
	});
	write(v, at + PACKET_HEADER, message);
}
