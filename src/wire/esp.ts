// ESP, RFC 4303 §2; with AES-GCM, RFC 4106 §3.
//   | SPI 4 | sequence 4 | IV 8 | ciphertext of payload, padding 1 2 3 …, pad length 1, next header 1 | ICV 8, 12 or 16 |
import type { DropReason } from "../drop.ts";
import { checkField, header } from "./layout.ts";

const HEADER = header({ spi: 4, sequence: 4 });
/** Octets of the header: what is in clear whatever the cipher. */
export const OCTETS: number = HEADER.octets;
/** Octets of the trailer behind the padding: pad length and next header. */
export const TRAILER_OCTETS = 2;
/** Padding brings the trailer's end to a multiple of so many octets, for ciphers without blocks. */
export const ALIGNMENT = 4;
/** Next header of dummy packets, which a receiver throws away (RFC 4303 §2.6). */
export const NEXT_NONE = 59;
const AT = HEADER.at;

/** Security parameters index: with the destination it names the receiver's state. */
export const spi = (v: DataView, at: number): number => v.getUint32(at + AT.spi);
/** The lower 32 bits of the sequence number; the first packet has 1. */
export const sequence = (v: DataView, at: number): number => v.getUint32(at + AT.sequence);

/** Octets of padding behind `octets` of payload. */
export const padding = (octets: number): number => -(octets + TRAILER_OCTETS) & (ALIGNMENT - 1);

/** Writes the trailer behind a payload that ends at `at`; returns where it ends (RFC 4303 §2.4: 1, 2, 3 …). */
export function writeTrailer(v: DataView, at: number, pad: number, nextHeader: number): number {
	for (let i = 0; i < pad; i++) v.setUint8(at + i, i + 1);
	v.setUint8(at + pad, pad);
	v.setUint8(at + pad + 1, nextHeader);
	return at + pad + TRAILER_OCTETS;
}

/** What an ESP header means. */
export interface Esp {
	readonly spi: number;
	readonly sequence: number;
}

/** Bytes → meaning. Nothing but the length can be judged without the state's key. */
export function read(v: DataView, at: number, end: number): Esp | DropReason {
	if (end - at < OCTETS) return "esp-truncated";
	return { spi: spi(v, at), sequence: sequence(v, at) };
}

/** Meaning → bytes. Throws RangeError for a field too large. */
export function write(v: DataView, at: number, packet: Esp): void {
	checkField("esp.spi", packet.spi, 32);
	checkField("esp.sequence", packet.sequence, 32);
	writePlain(v, at, packet.spi, packet.sequence);
}

/** `write` for the path of a frame: nothing checked. */
export function writePlain(v: DataView, at: number, index: number, number: number): void {
	v.setUint32(at + AT.spi, index);
	v.setUint32(at + AT.sequence, number);
}
