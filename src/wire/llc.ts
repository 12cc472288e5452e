// 802.2 LLC and SNAP behind an 802.3 length.   | DSAP 1 | SSAP 1 | control 1 (2) | [SNAP: OUI 3 | protocol 2] |
import type { DropReason } from "../drop.ts";
import { checkField, header } from "./layout.ts";

const HEADER = header({ dsap: 1, ssap: 1, control: 1 });
/** Octets with a control field of one octet (unnumbered PDUs, all that Ethernet sees in practice). */
export const OCTETS: number = HEADER.octets;
/** Octets of the SNAP extension: OUI and protocol. */
export const SNAP_OCTETS = 5;
/** DSAP and SSAP of the spanning tree protocol. */
export const SAP_STP = 0x42;
/** DSAP and SSAP that announce SNAP. */
export const SAP_SNAP = 0xaa;
/** Unnumbered information. */
export const UI = 0x03;

/** Destination service access point. */
export const dsap = (v: DataView, at: number): number => v.getUint8(at + HEADER.at.dsap);
/** Source service access point. */
export const ssap = (v: DataView, at: number): number => v.getUint8(at + HEADER.at.ssap);
/** The first control octet. */
export const control = (v: DataView, at: number): number => v.getUint8(at + HEADER.at.control);

/** What an LLC header means. */
export interface Llc {
	readonly dsap: number;
	readonly ssap: number;
	/** The first control octet. */
	readonly control: number;
	/** The second one, of all but unnumbered PDUs. */
	readonly extended?: number;
	/** With SAP 0xaa twice and UI: whose protocol it is. */
	readonly snap?: { readonly oui: number; readonly protocol: number };
}

/** Octets of a header. */
export const octets = (llc: Llc): number =>
	(isUnnumbered(llc.control) ? OCTETS : OCTETS + 1) + (llc.snap === undefined ? 0 : SNAP_OCTETS);

/** Bytes → meaning. */
export function read(v: DataView, at: number, end: number): Llc | DropReason {
	if (end - at < OCTETS) return "llc-truncated";
	const first = control(v, at);
	const short = isUnnumbered(first);
	if (!short && end - at < OCTETS + 1) return "llc-truncated";
	const llc: Llc = {
		dsap: dsap(v, at),
		ssap: ssap(v, at),
		control: first,
		...(short ? {} : { extended: v.getUint8(at + OCTETS) }),
	};
	if (llc.dsap !== SAP_SNAP || llc.ssap !== SAP_SNAP || llc.control !== UI) return llc;
	if (end - at < OCTETS + SNAP_OCTETS) return "llc-truncated";
	const oui = v.getUint32(at + OCTETS - 1) & 0xff_ffff;
	return { ...llc, snap: { oui, protocol: v.getUint16(at + OCTETS + 3) } };
}

/** Meaning → bytes. Throws RangeError for a field too large. */
export function write(v: DataView, at: number, llc: Llc): void {
	checkField("llc.dsap", llc.dsap, 8);
	checkField("llc.ssap", llc.ssap, 8);
	checkField("llc.control", llc.control, 8);
	v.setUint8(at + HEADER.at.dsap, llc.dsap);
	v.setUint8(at + HEADER.at.ssap, llc.ssap);
	v.setUint8(at + HEADER.at.control, llc.control);
	if (!isUnnumbered(llc.control)) {
		checkField("llc.extended", llc.extended ?? 0, 8);
		v.setUint8(at + OCTETS, llc.extended ?? 0);
	}
	if (llc.snap === undefined) return;
	checkField("llc.snap.oui", llc.snap.oui, 24);
	checkField("llc.snap.protocol", llc.snap.protocol, 16);
	v.setUint8(at + OCTETS, llc.snap.oui >>> 16);
	v.setUint16(at + OCTETS + 1, llc.snap.oui & 0xffff);
	v.setUint16(at + OCTETS + 3, llc.snap.protocol);
}

/** Unnumbered PDUs have a control field of one octet, whose two lowest bits are set. */
const isUnnumbered = (value: number): boolean => (value & 3) === 3;
