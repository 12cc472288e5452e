import { closeSync, openSync, writeSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Capture, CaptureSink } from "../observe/index.ts";

/** Writes what a capture has so far as a pcapng file; folders on the way are made. Rejects as `writeFile` does. */
export async function saveCapture(capture: Capture, path: string): Promise<void> {
	await mkdir(dirname(path), { recursive: true });
	await writeFile(path, capture.toPcapng());
}

/** A sink that is a file. */
export interface FileSink extends CaptureSink {
	/** Ends the file; nothing may be written after. */
	close(): void;
}

/** A file as a sink for `capture.streamTo`. The caller closes it after `capture.stop()`. Throws as `openSync` does. */
export function fileSink(path: string): FileSink {
	const file = openSync(path, "w");
	return {
		write: (part) => {
			for (let at = 0; at < part.length;) at += writeSync(file, part, at);
		},
		close: () => closeSync(file),
	};
}
