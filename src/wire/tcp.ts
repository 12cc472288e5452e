// TCP, RFC 9293 §3.1; options RFC 9293 §3.2, 7323 (timestamps, window scale), 2018 (SACK).
//   | source port 2 | destination port 2 | sequence 4 | acknowledgment 4 | offset 4 bits, reserved 4, flags 8 |
//   | window 2 | checksum 2 | urgent 2 | options 0 to 40 |
import type { Ip4 } from "../addr/index.ts";
import type { DropReason } from "../drop.ts";
import { fold, pseudoHeader4, sum } from "./checksum.ts";
import { checkField, header } from "./layout.ts";

const HEADER = header({
	sourcePort: 2,
	destinationPort: 2,
	sequence: 4,
	acknowledgment: 4,
	offset: 1,
	flags: 1,
	window: 2,
	checksum: 2,
	urgent: 2,
});
/** Octets without options. */
export const MIN_OCTETS: number = HEADER.octets;
const AT = HEADER.at;
const MAX_OPTIONS = 40;
const PROTOCOL = 6;

/** No more data from the sender. */
export const FIN = 0x01;
/** Begins a connection. */
export const SYN = 0x02;
/** Ends the connection. */
export const RST = 0x04;
/** Hand the data on. */
export const PSH = 0x08;
/** The acknowledgment number counts. */
export const ACK = 0x10;
/** The urgent pointer counts. */
export const URG = 0x20;
/** Congestion was experienced (RFC 3168). */
export const ECE = 0x40;
/** Congestion window reduced (RFC 3168). */
export const CWR = 0x80;

/** Port it comes from. */
export const sourcePort = (v: DataView, at: number): number => v.getUint16(at + AT.sourcePort);
/** Port it is for. */
export const destinationPort = (v: DataView, at: number): number => v.getUint16(at + AT.destinationPort);
/** Sequence number of the first octet of data. */
export const sequence = (v: DataView, at: number): number => v.getUint32(at + AT.sequence);
/** Next sequence number the sender expects. */
export const acknowledgment = (v: DataView, at: number): number => v.getUint32(at + AT.acknowledgment);
/** Octets of the header, options included. */
export const headerOctets = (v: DataView, at: number): number => (v.getUint8(at + AT.offset) >>> 4) * 4;
/** FIN to CWR, in place. */
export const flags = (v: DataView, at: number): number => v.getUint8(at + AT.flags);
/** Octets the sender takes, before scaling. */
export const window = (v: DataView, at: number): number => v.getUint16(at + AT.window);
/** The checksum field. */
export const checksum = (v: DataView, at: number): number => v.getUint16(at + AT.checksum);
/** Urgent pointer. */
export const urgent = (v: DataView, at: number): number => v.getUint16(at + AT.urgent);

/** True when the segment adds up under its addresses. */
export const isChecksumGood = (
	v: DataView,
	at: number,
	octets: number,
	source: Ip4,
	destination: Ip4,
): boolean => fold(sum(v, at, octets, pseudoHeader4(source, destination, PROTOCOL, octets))) === 0xffff;

/** Computes the checksum of a segment of `octets` octets. */
export function writeChecksum(v: DataView, at: number, octets: number, source: Ip4, destination: Ip4): void {
	v.setUint16(at + AT.checksum, 0);
	const total = sum(v, at, octets, pseudoHeader4(source, destination, PROTOCOL, octets));
	v.setUint16(at + AT.checksum, ~fold(total) & 0xffff);
}

/** One option. What is not understood, and what follows the end of options, is kept as octets. */
export type TcpOption =
	| { readonly kind: "nop" }
	| { readonly kind: "mss"; readonly octets: number }
	| { readonly kind: "window-scale"; readonly shift: number }
	| { readonly kind: "sack-permitted" }
	| { readonly kind: "sack"; readonly blocks: readonly { readonly left: number; readonly right: number }[] }
	| { readonly kind: "timestamps"; readonly value: number; readonly echo: number }
	| { readonly kind: "unknown"; readonly number: number; readonly data: Uint8Array }
	/** End of options (kind 0) and the padding behind it. */
	| { readonly kind: "end"; readonly padding: Uint8Array };

/** What a TCP header means. */
export interface Tcp {
	readonly sourcePort: number;
	readonly destinationPort: number;
	readonly sequence: number;
	readonly acknowledgment: number;
	/** The four bits between offset and flags, 0 where absent. */
	readonly reserved?: number;
	/** FIN, SYN … as bits. */
	readonly flags: number;
	readonly window: number;
	readonly urgent: number;
	readonly options: readonly TcpOption[];
}

/** True when a header carries a flag. */
export const hasFlag = (segment: Tcp, flag: number): boolean => (segment.flags & flag) !== 0;

/** Bytes → meaning. The checksum needs the addresses: see `isChecksumGood`. */
export function read(v: DataView, at: number, end: number): Tcp | DropReason {
	if (end - at < MIN_OCTETS) return "tcp-truncated";
	const length = headerOctets(v, at);
	if (length < MIN_OCTETS || length > end - at) return "tcp-truncated";
	const options = readOptions(v, at + MIN_OCTETS, at + length);
	if (typeof options === "string") return options;
	const reserved = v.getUint8(at + AT.offset) & 15;
	return {
		sourcePort: sourcePort(v, at),
		destinationPort: destinationPort(v, at),
		sequence: sequence(v, at),
		acknowledgment: acknowledgment(v, at),
		...(reserved === 0 ? {} : { reserved }),
		flags: flags(v, at),
		window: window(v, at),
		urgent: urgent(v, at),
		options,
	};
}

function readOptions(v: DataView, from: number, end: number): TcpOption[] | DropReason {
	const options: TcpOption[] = [];
	const bytes = (at: number, to: number): Uint8Array =>
		new Uint8Array(v.buffer, v.byteOffset + at, to - at).slice();
	for (let at = from; at < end;) {
		const number = v.getUint8(at);
		if (number === 0) {
			options.push({ kind: "end", padding: bytes(at + 1, end) });
			break;
		}
		if (number === 1) {
			options.push({ kind: "nop" });
			at++;
			continue;
		}
		const length = at + 1 < end ? v.getUint8(at + 1) : 0;
		if (length < 2 || at + length > end) return "tcp-options";
		options.push(readOption(v, at, number, length, bytes));
		at += length;
	}
	return options;
}

function readOption(
	v: DataView,
	at: number,
	number: number,
	length: number,
	bytes: (at: number, to: number) => Uint8Array,
): TcpOption {
	if (number === 2 && length === 4) return { kind: "mss", octets: v.getUint16(at + 2) };
	if (number === 3 && length === 3) return { kind: "window-scale", shift: v.getUint8(at + 2) };
	if (number === 4 && length === 2) return { kind: "sack-permitted" };
	if (number === 5 && length > 2 && (length - 2) % 8 === 0) {
		const blocks = Array.from({ length: (length - 2) / 8 }, (_, i) => ({
			left: v.getUint32(at + 2 + 8 * i),
			right: v.getUint32(at + 6 + 8 * i),
		}));
		return { kind: "sack", blocks };
	}
	if (number === 8 && length === 10)
		return { kind: "timestamps", value: v.getUint32(at + 2), echo: v.getUint32(at + 6) };
	return { kind: "unknown", number, data: bytes(at + 2, at + length) };
}

function optionOctets(option: TcpOption): number {
	switch (option.kind) {
		case "nop":
			return 1;
		case "mss":
			return 4;
		case "window-scale":
			return 3;
		case "sack-permitted":
			return 2;
		case "sack":
			return 2 + 8 * option.blocks.length;
		case "timestamps":
			return 10;
		case "unknown":
			return 2 + option.data.length;
		case "end":
			return 1 + option.padding.length;
	}
}

/** Octets of a header. */
export const octets = (segment: Tcp): number =>
	MIN_OCTETS + segment.options.reduce((total, option) => total + optionOctets(option), 0);

/** Meaning → bytes, checksum zero: see `writeChecksum`. Throws RangeError for what no header can say. */
export function write(v: DataView, at: number, segment: Tcp): void {
	checkField("tcp.sourcePort", segment.sourcePort, 16);
	checkField("tcp.destinationPort", segment.destinationPort, 16);
	checkField("tcp.sequence", segment.sequence, 32);
	checkField("tcp.acknowledgment", segment.acknowledgment, 32);
	checkField("tcp.reserved", segment.reserved ?? 0, 4);
	checkField("tcp.flags", segment.flags, 8);
	checkField("tcp.window", segment.window, 16);
	checkField("tcp.urgent", segment.urgent, 16);
	const length = octets(segment);
	if (length % 4 !== 0 || length > MIN_OCTETS + MAX_OPTIONS) {
		throw new RangeError(
			`tcp.options has ${String(length - MIN_OCTETS)} octets, expected a multiple of 4 up to 40`,
		);
	}
	v.setUint16(at + AT.sourcePort, segment.sourcePort);
	v.setUint16(at + AT.destinationPort, segment.destinationPort);
	v.setUint32(at + AT.sequence, segment.sequence);
	v.setUint32(at + AT.acknowledgment, segment.acknowledgment);
	v.setUint8(at + AT.offset, ((length / 4) << 4) | (segment.reserved ?? 0));
	v.setUint8(at + AT.flags, segment.flags);
	v.setUint16(at + AT.window, segment.window);
	v.setUint16(at + AT.checksum, 0);
	v.setUint16(at + AT.urgent, segment.urgent);
	let place = at + MIN_OCTETS;
	for (const option of segment.options) {
		writeOption(v, place, option);
		place += optionOctets(option);
	}
}

function writeOption(v: DataView, at: number, option: TcpOption): void {
	const length = optionOctets(option);
	const put = (number: number): void => {
		v.setUint8(at, number);
		v.setUint8(at + 1, length);
	};
	switch (option.kind) {
		case "nop":
			return v.setUint8(at, 1);
		case "mss":
			checkField("tcp.mss", option.octets, 16);
			put(2);
			return v.setUint16(at + 2, option.octets);
		case "window-scale":
			checkField("tcp.windowScale", option.shift, 8);
			put(3);
			return v.setUint8(at + 2, option.shift);
		case "sack-permitted":
			return put(4);
		case "sack":
			put(5);
			for (const [i, block] of option.blocks.entries()) {
				v.setUint32(at + 2 + 8 * i, block.left);
				v.setUint32(at + 6 + 8 * i, block.right);
			}
			return;
		case "timestamps":
			put(8);
			v.setUint32(at + 2, option.value);
			return v.setUint32(at + 6, option.echo);
		case "unknown":
			checkField("tcp.option", option.number, 8);
			put(option.number);
			for (const [i, octet] of option.data.entries()) v.setUint8(at + 2 + i, octet);
			return;
		case "end":
			v.setUint8(at, 0);
			for (const [i, octet] of option.padding.entries()) v.setUint8(at + 1 + i, octet);
			return;
	}
}
