import type { Lab } from "../../src/index.ts";
import type { Capture } from "../../src/observe/index.ts";
import { describe } from "../../src/wire/index.ts";
import type { TimedFrame } from "./golden.ts";

/** Does things at their recorded instants (seconds of the recording's clock), then lets the lab run to `end`. */
export async function atInstants(
	lab: Lab,
	start: number,
	commands: readonly (readonly [at: number, command: () => unknown])[],
	end: number,
): Promise<void> {
	for (const [at, command] of [...commands].sort((a, b) => a[0] - b[0])) {
		await lab.advance(Math.max(0, (at - start) * 1000 - lab.now / 1e6));
		command();
	}
	await lab.advance(Math.max(0, (end - start) * 1000 - lab.now / 1e6));
}

/**
 * What a capture has of one interface, between two instants of its own clock in seconds. What bridges that came up with
 * the lab said of themselves within the second that followed is left out: recorded bridges were up before anybody captured.
 */
export function emulated(capture: Capture, place: string, from = -Infinity, to = Infinity): TimedFrame[] {
	return capture
		.sightings(place)
		.map((row) => ({ time: row.time / 1e9, data: row.data }))
		.filter((frame) => frame.time >= from && frame.time <= to)
		.filter((frame) => frame.time > BRIDGES_REPORTED || !isSnoopersReport(frame.data));
}

/** Seconds after which a bridge has told which groups it is in: two reports, a second and some ticks apart at most. */
export const BRIDGES_REPORTED = 1.1;

/** Whether a frame is the report of a bridge that has come up: it listens to all snoopers (224.0.0.106). */
export const isSnoopersReport = (data: Uint8Array): boolean =>
	describe(data).includes("IGMP v3 report 224.0.0.106 to_ex {}");

/**
 * Emulated frames with some exchanged for the next, by number: what comes in just as an answer goes out, of which that
 * machine's two processors told the other way round.
 */
export function exchanged(frames: readonly TimedFrame[], numbers: readonly number[]): TimedFrame[] {
	const list = [...frames];
	for (const number of numbers) list.splice(number - 1, 2, ...list.slice(number - 1, number + 1).reverse());
	return list;
}
