// VXLAN, RFC 7348 §5; Group Based Policy draft-smith-vxlan-group-policy; GPE draft-ietf-nvo3-vxlan-gpe.
//   | flags 1 | 1 | group policy 2 | VNI 3 | reserved 1 |
import type { Vni } from "../addr/index.ts";
import type { DropReason } from "../drop.ts";
import { checkField, header } from "./layout.ts";

const HEADER = header({ flags: 4, vni: 4 });
/** Octets of the header. */
export const OCTETS: number = HEADER.octets;
const FLAGS = HEADER.at.flags;
const VNI = HEADER.at.vni;

// Bits of the first word.
/** I: the VNI is valid. */
export const FLAG_VNI = 0x0800_0000;
/** G: a group policy identifier is in the lower half of the word. */
export const FLAG_GBP = 0x8000_0000;
/** P of GPE: the last octet of the word is the next protocol. */
export const FLAG_GPE_PROTOCOL = 0x0400_0000;
/** O of GPE: operations and management. */
export const FLAG_GPE_OAM = 0x0100_0000;
/** What a receiver with GBP looks past: G and the lower three octets (`VXLAN_GBP_USED_BITS`). */
const GBP_BITS = 0x80ff_ffff;
/** D (don't learn), A (policy applied) and the identifier: what a packet's mark holds of it (`VXLAN_GBP_MASK`). */
const POLICY = 0x0048_ffff;

/** The whole first word: flags and everything reserved. */
export const flags = (v: DataView, at: number): number => v.getUint32(at + FLAGS);
/** VXLAN network identifier. */
export const vni = (v: DataView, at: number): Vni => (v.getUint32(at + VNI) >>> 8) as Vni;
/** The octet behind the VNI. */
export const reserved = (v: DataView, at: number): number => v.getUint32(at + VNI) & 0xff;
/** The group policy identifier. */
export const group = (v: DataView, at: number): number => v.getUint32(at + FLAGS) & 0xffff;

/** The group policy as a packet's mark: D, A and the identifier; 0 without the G flag. */
export const policy = (v: DataView, at: number): number => {
	const word = v.getUint32(at + FLAGS);
	return (word & FLAG_GBP) === 0 ? 0 : word & POLICY;
};

/** True when nothing is set that a receiver without extensions (or with GBP) does not know. */
export const reservedAreZero = (v: DataView, at: number, gbp: boolean): boolean =>
	(v.getUint32(at + FLAGS) & ~FLAG_VNI & (gbp ? ~GBP_BITS : -1)) === 0 &&
	(v.getUint32(at + VNI) & 0xff) === 0;

/** What a VXLAN header means. */
export interface Vxlan {
	readonly vni: Vni;
	/** The first word less the I flag; 0 from a plain sender. */
	readonly flags: number;
	/** The octet behind the VNI; 0 from a plain sender. */
	readonly reserved: number;
	/** Group policy identifier, when the G flag says that there is one. */
	readonly group?: number;
	/** Next protocol, when GPE's P flag says that there is one. */
	readonly nextProtocol?: number;
}

/** Bytes → meaning. The only judgement of this header: without the I flag it is none. */
export function read(v: DataView, at: number, end: number): Vxlan | DropReason {
	if (end - at < OCTETS) return "vxlan-truncated";
	const word = flags(v, at);
	if ((word & FLAG_VNI) === 0) return "vxlan-invalid-hdr";
	const rest = (word & ~FLAG_VNI) >>> 0;
	return {
		vni: vni(v, at),
		flags: rest,
		reserved: reserved(v, at),
		...((rest & FLAG_GBP) !== 0 ? { group: rest & 0xffff } : {}),
		...((rest & FLAG_GPE_PROTOCOL) !== 0 ? { nextProtocol: rest & 0xff } : {}),
	};
}

/** Meaning → bytes: writes all octets, so a reused buffer cannot leak into the header. Throws RangeError. */
export function write(v: DataView, at: number, message: Vxlan): void {
	checkField("vxlan.vni", message.vni, 24);
	checkField("vxlan.flags", message.flags, 32);
	checkField("vxlan.reserved", message.reserved, 8);
	v.setUint32(at + FLAGS, (message.flags | FLAG_VNI) >>> 0);
	v.setUint32(at + VNI, message.vni * 256 + message.reserved);
}

/** `write` of a plain header for the path of a frame. */
export function writeVni(v: DataView, at: number, value: Vni): void {
	v.setUint32(at + FLAGS, FLAG_VNI);
	v.setUint32(at + VNI, value << 8);
}

/** Adds the group policy that a packet's mark holds to a plain header (`vxlan_build_gbp_hdr`). */
export function writePolicy(v: DataView, at: number, mark: number): void {
	v.setUint32(at + FLAGS, (FLAG_VNI | FLAG_GBP | (mark & POLICY)) >>> 0);
}
