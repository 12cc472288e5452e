import { type CaptureFile, CaptureFormatError } from "./capture-file.ts";
import { isPcap, readPcap } from "./pcap.ts";
import { isPcapng, readPcapng } from "./pcapng-read.ts";

/** Reads a capture file of either format. Throws CaptureFormatError when it is neither. */
export function readCapture(bytes: Uint8Array): CaptureFile {
	if (isPcapng(bytes)) return readPcapng(bytes);
	if (isPcap(bytes)) return readPcap(bytes);
	throw new CaptureFormatError("not-a-capture", 0, "neither pcap nor pcapng");
}
