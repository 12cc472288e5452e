import {
	CaptureFormatError,
	type CaptureFile,
	type CapturePacket,
	type CaptureProblem,
	type CaptureReading,
} from "./capture-file.ts";

/** Reads to the end or to the first damage. */
export function collect(reading: CaptureReading): CaptureFile {
	const packets: CapturePacket[] = [];
	let problem: CaptureProblem | undefined;
	try {
		for (const packet of reading.packets()) packets.push(packet);
	} catch (error) {
		if (!(error instanceof CaptureFormatError)) throw error;
		problem = { kind: error.kind, offset: error.offset, message: error.message };
	}
	const { format, interfaces, names, sections, secrets, statistics } = reading;
	return { format, interfaces, packets, names, sections, secrets, statistics, ...(problem && { problem }) };
}
