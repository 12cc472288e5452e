import { dissect, type Field, type Layer } from "../../src/wire/index.ts";
import { type Exception, RecordedScenario, recordedFrames, report } from "./recording.ts";

/** A frame and when it passed, in seconds of its own clock. */
export interface TimedFrame {
	readonly time: number;
	readonly data: Uint8Array;
}

/** The frames of a recorded pcap in test/golden, times in seconds since 1970. */
export const recording = (path: string): TimedFrame[] =>
	recordedFrames(path).map(({ time, data }) => ({ time: Number(time) / 1e9, data }));

/** Picks frames by their layers: `keep(frames, (layers) => has(layers, "arp"))`. */
export const keep = (
	frames: readonly TimedFrame[],
	which: (layers: readonly Layer[]) => boolean,
): TimedFrame[] => frames.filter((frame) => which(dissect(frame.data)));

/** True when a frame has a layer of the protocol, quoted ones aside. */
export const has = (layers: readonly Layer[], protocol: string): boolean =>
	layers.some((layer) => layer.protocol === protocol && !layer.quoted);

/** The value of the first field of a name. */
export const value = (layers: readonly Layer[], name: string): Field["value"] | undefined =>
	layers.flatMap((layer) => layer.fields).find((field) => field.name === name)?.value;

/** Compares the interfaces of one scenario, in seconds; what was drawn at random corresponds through all of them. */
export class Comparison {
	readonly #scenario: RecordedScenario;

	/** `randomMacs`: addresses that the recorded machine drew, as text. */
	constructor({
		time,
		exceptions = [],
		randomMacs = [],
	}: {
		/** Seconds a frame may be off. */
		readonly time: number;
		readonly exceptions?: readonly Exception[];
		readonly randomMacs?: readonly string[];
	}) {
		this.#scenario = new RecordedScenario({ tolerance: { absolute: time * 1000 }, exceptions, randomMacs });
	}

	/**
	 * The report of one interface's differences, if there are any; `offset` leads from our clock to the recording's, and
	 * single frames may be off by milliseconds of their own.
	 */
	differences(
		name: string,
		recorded: readonly TimedFrame[],
		emulated: readonly TimedFrame[],
		offset: number,
		frameTolerances: readonly {
			readonly frame: number;
			readonly absolute: number;
			readonly why: string;
		}[] = [],
	): string[] {
		const nanoseconds = (seconds: number): number => Math.round(seconds * 1e9);
		const found = this.#scenario.differences(
			name,
			recorded.map(({ time, data }) => ({ time: BigInt(nanoseconds(time)), data })),
			emulated.map(({ time, data }) => ({ time: nanoseconds(time), data })),
			{ anchor: { recorded: BigInt(nanoseconds(offset)), emulated: 0 }, frameTolerances },
		);
		return found.length === 0 ? [] : [report(name, found)];
	}
}
