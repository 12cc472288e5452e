// 802.1Q tag behind the MAC addresses, IEEE 802.1Q-2018 §9.6.
//   | TPID 2 (in the place of the type) | PCP 3 bits, DEI 1, VID 12 | type 2 |
// Offsets here count from behind the TPID, where an Ethernet header of 14 octets ends.
import type { DropReason } from "../drop.ts";
import { checkField, header } from "./layout.ts";

const HEADER = header({ tci: 2, type: 2 });
/** Octets a tag adds to a frame. */
export const OCTETS: number = HEADER.octets;
/** TPID of 802.1Q: customer VLANs. */
export const TPID_CUSTOMER = 0x8100;
/** TPID of 802.1ad: service VLANs, the outer tag of QinQ. */
export const TPID_SERVICE = 0x88a8;

/** Priority, drop eligible and VLAN in one word. */
export const tci = (v: DataView, at: number): number => v.getUint16(at + HEADER.at.tci);
/** Priority, 0 to 7. */
export const pcp = (v: DataView, at: number): number => v.getUint16(at + HEADER.at.tci) >>> 13;
/** Drop eligible, 0 or 1. */
export const dei = (v: DataView, at: number): number => (v.getUint16(at + HEADER.at.tci) >>> 12) & 1;
/** VLAN identifier, 0 for priority only. */
export const vid = (v: DataView, at: number): number => v.getUint16(at + HEADER.at.tci) & 0xfff;
/** EtherType of what is behind the tag. */
export const innerType = (v: DataView, at: number): number => v.getUint16(at + HEADER.at.type);

/** What a tag means, and the type of what is behind it. */
export interface Vlan {
	/** Priority, 0 to 7. */
	readonly pcp: number;
	/** Drop eligible. */
	readonly dei: boolean;
	/** 0 (priority only) to 4095. */
	readonly vid: number;
	readonly type: number;
}

/** Bytes → meaning. */
export function read(v: DataView, at: number, end: number): Vlan | DropReason {
	if (end - at < OCTETS) return "vlan-truncated";
	return { pcp: pcp(v, at), dei: dei(v, at) === 1, vid: vid(v, at), type: innerType(v, at) };
}

/** Meaning → bytes. Throws RangeError for a field too large. */
export function write(v: DataView, at: number, tag: Vlan): void {
	checkField("vlan.pcp", tag.pcp, 3);
	checkField("vlan.vid", tag.vid, 12);
	checkField("vlan.type", tag.type, 16);
	v.setUint16(at + HEADER.at.tci, (tag.pcp << 13) | (tag.dei ? 0x1000 : 0) | tag.vid);
	v.setUint16(at + HEADER.at.type, tag.type);
}
