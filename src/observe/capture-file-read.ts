import {
	CaptureFormatError,
	type CaptureFile,
	type CapturePacket,
	type CaptureReading,
} from "./capture-file.ts";
import { collect } from "./capture-file-collect.ts";
import { isPcap, openPcap } from "./pcap.ts";
import { isPcapng, openPcapng } from "./pcapng-read.ts";

/**
 * Begins to read a capture file, pcap or pcapng. Its packets are views of `bytes`, which must not change while they
 * are in use. Throws CaptureFormatError if nothing at all can be read.
 */
export function openCapture(bytes: Uint8Array): CaptureReading {
	if (isPcap(bytes)) return openPcap(bytes);
	if (isPcapng(bytes)) return openPcapng(bytes);
	const compressed = bytes[0] === 0x1f && bytes[1] === 0x8b;
	const message = compressed
		? "the bytes are compressed by gzip: unpack them first"
		: "neither a pcap nor a pcapng file";
	throw new CaptureFormatError("bad-magic", 0, message);
}

/**
 * Reads a capture file as far as it is whole. Damage on the way does not throw: it is the `problem` of the result.
 * Throws CaptureFormatError if nothing at all can be read.
 */
export const readCapture = (bytes: Uint8Array): CaptureFile => collect(openCapture(bytes));

/** Gives every whole packet of a capture file in turn, then throws CaptureFormatError if it is damaged from there on. */
export function* packetsOf(bytes: Uint8Array): Generator<CapturePacket, void, void> {
	yield* openCapture(bytes).packets();
}
