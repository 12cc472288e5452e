import * as ethernet from "./ethernet.ts";
import type { Frame } from "./frame.ts";
import * as vlan from "./vlan.ts";

/** Both addresses, which stay in front of a tag. */
const MACS = 12;

/** Puts a VLAN tag behind the addresses of a frame: `tci` is priority, drop eligible and VLAN id in one word. */
export function pushTag(frame: Frame, tpid: number, tci: number): void {
	frame.push(vlan.OCTETS);
	frame.bytes.copyWithin(frame.start, frame.start + vlan.OCTETS, frame.start + vlan.OCTETS + MACS);
	frame.view.setUint16(frame.start + MACS, tpid);
	frame.view.setUint16(frame.start + ethernet.OCTETS, tci);
	frame.changed();
}

/** Takes the outermost VLAN tag off a frame that has one. */
export function popTag(frame: Frame): void {
	frame.bytes.copyWithin(frame.start + vlan.OCTETS, frame.start, frame.start + MACS);
	frame.pull(vlan.OCTETS);
	frame.changed();
}

/** True when the outermost tag of a frame is whole and has this TPID. */
export const hasTag = (frame: Frame, tpid: number): boolean =>
	ethernet.type(frame.view, frame.start) === tpid && frame.end - frame.start >= ethernet.OCTETS + vlan.OCTETS;
