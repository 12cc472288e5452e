export { ByteSink } from "./byte-sink.ts";
export {
	type CaptureFile,
	CaptureFormatError,
	type CaptureInterface,
	type CaptureName,
	type CapturePacket,
	type CaptureProblem,
} from "./capture-file.ts";
export { CaptureLog, type Sighting } from "./capture-log.ts";
export { Capture, type CaptureHost, type CaptureSelection, type CaptureSink } from "./capture.ts";
export { isPcap, LINKTYPE_ETHERNET, type PcapOptions, type PcapPacket, PcapWriter, readPcap, writePcap } from "./pcap.ts";
export { isPcapng, readPcapng } from "./pcapng-read.ts";
export { type PcapngOptions, PcapngWriter } from "./pcapng.ts";
export { readCapture } from "./read-capture.ts";
export { findPacket, type Hop, hopTable, trace } from "./trace.ts";
