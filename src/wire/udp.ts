// UDP, RFC 768.   | source port 2 | destination port 2 | length 2 | checksum 2 |
import type { Ip4 } from "../addr/index.ts";
import type { DropReason } from "../drop.ts";
import { fold, pseudoHeader4, sum } from "./checksum.ts";
import { checkField, header } from "./layout.ts";

const HEADER = header({ sourcePort: 2, destinationPort: 2, length: 2, checksum: 2 });
/** Octets of the header. */
export const OCTETS: number = HEADER.octets;
const AT = HEADER.at;
const PROTOCOL = 17;

/** Port it comes from. */
export const sourcePort = (v: DataView, at: number): number => v.getUint16(at + AT.sourcePort);
/** Port it is for. */
export const destinationPort = (v: DataView, at: number): number => v.getUint16(at + AT.destinationPort);
/** Header and payload. */
export const length = (v: DataView, at: number): number => v.getUint16(at + AT.length);
/** 0 says that the sender computed none. */
export const checksum = (v: DataView, at: number): number => v.getUint16(at + AT.checksum);

/** The field for a folded sum: its complement, 0 sent as 0xffff since 0 means "none". */
export const sent = (folded: number): number => (folded === 0xffff ? 0xffff : ~folded & 0xffff);

/** Writes the checksum field. */
export const setChecksum = (v: DataView, at: number, value: number): void => {
	v.setUint16(at + AT.checksum, value);
};

/** True when the datagram adds up under its addresses, or carries no checksum. */
export function isChecksumGood(
	v: DataView,
	at: number,
	octets: number,
	source: Ip4,
	destination: Ip4,
): boolean {
	if (checksum(v, at) === 0) return true;
	return fold(sum(v, at, octets, pseudoHeader4(source, destination, PROTOCOL, octets))) === 0xffff;
}

/** Writes a header without checksum; nothing checked. */
export function writePlain(v: DataView, at: number, from: number, to: number, octets: number): void {
	v.setUint32(at, ((from << 16) | to) >>> 0);
	v.setUint32(at + AT.length, octets << 16);
}

/** What a UDP header means. */
export interface Udp {
	readonly sourcePort: number;
	readonly destinationPort: number;
	/** Header and payload. */
	readonly length: number;
	/** As it stands; 0 for none. */
	readonly checksum: number;
}

/** Bytes → meaning. The checksum needs the addresses: see `isChecksumGood`. */
export function read(v: DataView, at: number, end: number): Udp | DropReason {
	if (end - at < OCTETS) return "udp-truncated";
	const octets = length(v, at);
	if (octets < OCTETS || octets > end - at) return "udp-truncated";
	return {
		sourcePort: sourcePort(v, at),
		destinationPort: destinationPort(v, at),
		length: octets,
		checksum: checksum(v, at),
	};
}

/** Meaning → bytes, the checksum as given. Throws RangeError for a field too large. */
export function write(v: DataView, at: number, datagram: Udp): void {
	checkField("udp.sourcePort", datagram.sourcePort, 16);
	checkField("udp.destinationPort", datagram.destinationPort, 16);
	checkField("udp.length", datagram.length, 16);
	checkField("udp.checksum", datagram.checksum, 16);
	writePlain(v, at, datagram.sourcePort, datagram.destinationPort, datagram.length);
	setChecksum(v, at, datagram.checksum);
}
