export * from "./capture-file.ts";
export { openCapture, packetsOf, readCapture } from "./capture-file-read.ts";
export { CaptureLog, type Sighting } from "./capture-log.ts";
export { Capture, type CaptureHost, type CaptureSelection, type CaptureSink } from "./capture.ts";
export { type EspHolder, espSa } from "./esp-sa.ts";
export {
	isPcap,
	openPcap,
	type PcapOptions,
	type PcapPacket,
	PcapWriter,
	readPcap,
	writePcap,
} from "./pcap.ts";
export type { PcapRecord, PcapngRecord } from "./pcap-record.ts";
export { PcapSink } from "./pcap-sink.ts";
export { isPcapng, openPcapng, readPcapng } from "./pcapng-read.ts";
export {
	type PcapngContent,
	type PcapngDetails,
	type PcapngInterface,
	type PcapngOptions,
	PcapngWriter,
	writePcapng,
} from "./pcapng.ts";
export { gossipSights, type GossipSight, readGossip } from "./gossip.ts";
export { findPacket, type Hop, hopTable, type PacketFilter, trace } from "./trace.ts";
