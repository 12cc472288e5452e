import { readFileSync } from "node:fs";
import { LINK_TYPE_ETHERNET } from "../../src/observe/capture-file.ts";
import { readCapture } from "../../src/observe/capture-file-read.ts";
import { describe as tell } from "../../src/wire/index.ts";
import {
	EPHEMERAL_PORTS,
	FIRST_EPHEMERAL_PORT,
	LAST_EPHEMERAL_PORT,
	type Normalisation,
	NORMALISED,
} from "./normalise.ts";
import { align, type Pair } from "./recording-align.ts";
import { type ComparedField, DissectedFrame, fieldsOf, isDns } from "./recording-fields.ts";

/** A frame that a real machine's interface saw. */
export interface RecordedFrame {
	/** Nanoseconds since 1970. */
	readonly time: bigint;
	readonly data: Uint8Array;
}

/** A frame of the emulation. What `capture.sightings(place)` gives will do. */
export interface EmulatedFrame {
	/** Virtual nanoseconds since the lab's epoch. */
	readonly time: number;
	readonly data: Uint8Array;
}

/** How far a frame's time may be from the recorded one: the sum of both. */
export interface Tolerance {
	/** Milliseconds; 60 unless said: the recorded machines were emulated ones and slow. */
	readonly absolute?: number;
	/** Part of the time since the anchor. */
	readonly relative?: number;
}

/** Frames that are left out, and why. */
export interface Selection {
	/** The frames that stay. Frame numbers are those of the whole capture. */
	readonly keep: (frame: DissectedFrame) => boolean;
	/** Whose frames are asked: the recording's alone unless said. */
	readonly of?: "recorded" | "both";
	readonly why: string;
}

/** A field that may differ in this scenario, and why. Only for what the list in `normalise.ts` cannot know. */
export interface Exception {
	/** As differences name it: `ipv4.ttl`, `inner udp.checksum`, `quoted ipv4.checksum`. */
	readonly field: string;
	/** Only in these recorded frames. */
	readonly frames?: readonly number[];
	readonly why: string;
}

export interface ScenarioOptions {
	readonly tolerance?: Tolerance;
	/** Addresses that the recorded machine drew at random, as text: each stands for one of the emulation's. */
	readonly randomMacs?: readonly string[];
	readonly exceptions?: readonly Exception[];
	/** Recorded UDP ports of DNS messages; 53 unless said. */
	readonly dnsPorts?: readonly number[];
}

export interface ComparisonOptions {
	/** One instant on both clocks; the first frame of each list unless said. */
	readonly anchor?: { readonly recorded: bigint; readonly emulated: number };
	readonly select?: readonly Selection[];
	/** Instead of the scenario's. */
	readonly tolerance?: Tolerance;
	/** Recorded frames that may be further off, by their number, and why. */
	readonly frameTolerances?: readonly (Tolerance & { readonly frame: number; readonly why: string })[];
	readonly exceptions?: readonly Exception[];
}

/** One thing that is not as it was recorded. */
export interface Difference {
	readonly interface: string;
	/** Number of the recorded frame in its capture; of the emulated one if there is none recorded. */
	readonly frame: number;
	/** Name of the field; `time`; `frame` if one is missing or too many; `fields` if they are others. */
	readonly field: string;
	/** What was recorded, "" for nothing. */
	readonly recorded: string;
	readonly emulated: string;
	/** Both frames in one line each. */
	readonly recordedFrame: string;
	readonly emulatedFrame: string;
}

/** The frames of a recording in test/golden: `recordedFrames("k6-ip-forwarding/ping-a")`. */
export function recordedFrames(path: string): RecordedFrame[] {
	const file = readCapture(readFileSync(new URL(`../golden/${path}.pcap`, import.meta.url)));
	if (file.problem !== undefined) throw new Error(`${path}: ${file.problem.message}`);
	if (file.interfaces[0]?.linkType !== LINK_TYPE_ETHERNET)
		throw new Error(`${path} is not a recording of Ethernet frames`);
	return file.packets.map(({ time = 0n, data }) => ({ time, data }));
}

/**
 * One scenario that was recorded and emulated, on any number of interfaces. What was drawn at random corresponds one
 * to one through all of them: make one object, compare every interface with it.
 */
export class RecordedScenario {
	readonly #options: ScenarioOptions;
	readonly #random: ReadonlySet<string>;
	readonly #mappings = new Map<
		string,
		{ readonly there: Map<string, string>; readonly back: Map<string, string> }
	>();
	readonly #offsets = new Map<string, number>();

	constructor(options: ScenarioOptions = {}) {
		this.#options = options;
		this.#random = new Set(options.randomMacs?.map((mac) => mac.toLowerCase()));
	}

	/** What differs on one interface: frame by frame, field by field. Empty if nothing does. */
	differences(
		name: string,
		recorded: readonly RecordedFrame[],
		emulated: readonly EmulatedFrame[],
		options: ComparisonOptions = {},
	): Difference[] {
		const selections = options.select ?? [];
		const both = selections.filter(({ of }) => of === "both");
		const theirs = this.#views(recorded, selections);
		const ours = this.#views(emulated, both);
		const start = options.anchor ?? {
			recorded: theirs[0]?.frame.time ?? 0n,
			emulated: ours[0]?.frame.time ?? 0,
		};
		return align(theirs, ours).flatMap((pair) => this.#compare(name, pair, theirs, ours, start, options));
	}

	#views<F extends RecordedFrame | EmulatedFrame>(
		frames: readonly F[],
		selections: readonly Selection[],
	): View<F>[] {
		return frames
			.map((frame, i) => ({ frame, dissected: new DissectedFrame(i + 1, frame.data) }))
			.filter(({ dissected }) => selections.every(({ keep }) => keep(dissected)))
			.map(({ frame, dissected }) => {
				const fields = fieldsOf(dissected.layers, new Set());
				const alike = fields.map((field) => `${field.path}/${String(field.octets)}`).join(" ");
				const exact = fields
					.map((field) => `${field.path}/${String(field.octets)}=${this.#fixed(field)}`)
					.join(" ");
				return { frame, dissected, alike, exact };
			});
	}

	#dnsLayers({ layers }: DissectedFrame): Set<number> {
		const ports = this.#options.dnsPorts ?? [53];
		return new Set(
			layers.flatMap((layer, i) => (layer.protocol === "udp" && isDns(layer, ports) ? [i] : [])),
		);
	}

	/** What of a field has to be equal, for pairing frames. */
	#fixed(field: ComparedField): string {
		if (NORMALISED[field.name] !== undefined || isEphemeral(field)) return "";
		return MAC_FIELD.test(field.name) && this.#random.size > 0 ? "" : field.text;
	}

	#compare(
		name: string,
		pair: Pair,
		recorded: readonly View<RecordedFrame>[],
		emulated: readonly View<EmulatedFrame>[],
		start: { readonly recorded: bigint; readonly emulated: number },
		options: ComparisonOptions,
	): Difference[] {
		const theirs = pair.recorded === undefined ? undefined : recorded[pair.recorded];
		const ours = pair.emulated === undefined ? undefined : emulated[pair.emulated];
		const lines = { recordedFrame: line(theirs, start.recorded), emulatedFrame: line(ours, start.emulated) };
		const number = (theirs ?? ours)?.dissected.number ?? 0;
		const differs = (field: string, was: string, is: string): Difference => ({
			interface: name,
			frame: number,
			field,
			recorded: was,
			emulated: is,
			...lines,
		});
		if (theirs === undefined) return [differs("frame", "", "extra")];
		if (ours === undefined) return [differs("frame", "recorded", "")];

		const found: Difference[] = [];
		const [was, is] = [Number(theirs.frame.time - start.recorded), ours.frame.time - start.emulated];
		const allowed = this.#allowed(number, was, options);
		if (Math.abs(is - was) > allowed) {
			found.push(
				differs("time", milliseconds(was), `${milliseconds(is)}, ${milliseconds(allowed)} off are allowed`),
			);
		}
		const dns = this.#dnsLayers(theirs.dissected);
		const [before, after] = [fieldsOf(theirs.dissected.layers, dns), fieldsOf(ours.dissected.layers, dns)];
		const shape = (fields: readonly ComparedField[]): string[] =>
			fields.map(({ path, octets }) => `${path} ${String(octets)}`);
		const [shapeBefore, shapeAfter] = [shape(before), shape(after)];
		const other = shapeBefore.findIndex((each, i) => each !== shapeAfter[i]);
		if (other >= 0 || shapeBefore.length !== shapeAfter.length) {
			const at = other < 0 ? shapeBefore.length : other;
			return [...found, differs("fields", shapeBefore[at] ?? "end", shapeAfter[at] ?? "end")];
		}
		const excepted = [...(this.#options.exceptions ?? []), ...(options.exceptions ?? [])];
		for (const [i, field] of before.entries()) {
			const mine = after[i];
			if (mine === undefined || this.#same(field, mine, allowed)) continue;
			if (
				excepted.some(({ field: path, frames }) => path === field.path && (frames?.includes(number) ?? true))
			)
				continue;
			found.push(differs(field.path, told(field), told(mine)));
		}
		return found;
	}

	/** Nanoseconds. */
	#allowed(frame: number, elapsed: number, options: ComparisonOptions): number {
		const own = options.frameTolerances?.find((tolerance) => tolerance.frame === frame);
		const { absolute = 60, relative = 0 } = own ?? options.tolerance ?? this.#options.tolerance ?? {};
		return absolute * 1e6 + relative * Math.abs(elapsed);
	}

	#same(was: ComparedField, is: ComparedField, allowed: number): boolean {
		if (isEphemeral(was))
			return (
				isEphemeral(is) &&
				(was.name.startsWith("udp") || Number(was.value) % 2 === Number(is.value) % 2) &&
				this.#maps(`${was.name.slice(0, 3)} port`, was.text, is.text)
			);
		if (MAC_FIELD.test(was.name)) {
			return this.#random.has(was.text) ? this.#maps("mac", was.text, is.text) : was.text === is.text;
		}
		const as: Normalisation | undefined = NORMALISED[was.name]?.as;
		switch (as) {
			case "identification":
				if ((was.value === 0) !== (is.value === 0)) return false;
				if (was.owner.includes(":")) {
					return this.#keepsOffset(`ident ${was.owner}`, Number(was.value) << 16, Number(is.value) << 16, 0);
				}
				return !was.fragment || this.#maps(`train ${was.owner}`, was.text, is.text);
			case "same-mapping":
				return this.#maps(was.name, was.text, is.text);
			case "validity":
				return was.good === is.good && (was.value === 0) === (is.value === 0);
			case "time-of-day":
				return isTimeOfDay(was.value) ? isTimeOfDay(is.value) : was.text === is.text;
			case "same-offset":
				return this.#keepsOffset(`octets ${was.owner}`, Number(was.value), Number(is.value), 0);
			case "same-clock":
				return this.#keepsOffset(
					`clock ${was.owner}`,
					Number(was.value),
					Number(is.value),
					Math.ceil(allowed / 1e6) + 1,
				);
			case "elapsed":
				return (Math.abs(Number(was.value) - Number(is.value)) * 1e9) / 256 <= allowed;
			case undefined:
				return was.text === is.text;
		}
	}

	#maps(kind: string, was: string, is: string): boolean {
		let mapping = this.#mappings.get(kind);
		if (mapping === undefined) {
			mapping = { there: new Map(), back: new Map() };
			this.#mappings.set(kind, mapping);
		}
		const [there, back] = [mapping.there.get(was), mapping.back.get(is)];
		if (there !== undefined || back !== undefined) return there === is && back === was;
		mapping.there.set(was, is);
		mapping.back.set(is, was);
		return true;
	}

	/** Numbers of 32 bits that go on from a start drawn at random. */
	#keepsOffset(key: string, was: number, is: number, slack: number): boolean {
		if (was === 0 || is === 0) return was === is;
		const offset = (is - was) >>> 0;
		const known = this.#offsets.get(key);
		if (known === undefined) {
			this.#offsets.set(key, offset);
			return true;
		}
		return Math.abs((offset - known) | 0) <= slack;
	}
}

/** Fails with both sides of everything that differs, if anything does. See `RecordedScenario.differences`. */
export function expectSameAsRecording(
	scenario: RecordedScenario,
	name: string,
	recorded: readonly RecordedFrame[],
	emulated: readonly EmulatedFrame[],
	options: ComparisonOptions = {},
): void {
	const found = scenario.differences(name, recorded, emulated, options);
	if (found.length > 0) throw new Error(report(name, found));
}

const MOST_REPORTED = 12;

/** Differences frame by frame, for people. */
export function report(name: string, differences: readonly Difference[]): string {
	const byFrame = new Map<string, Difference[]>();
	for (const each of differences) {
		const frames = `${each.recordedFrame}\n${each.emulatedFrame}`;
		byFrame.set(frames, [...(byFrame.get(frames) ?? []), each]);
	}
	const blocks = [...byFrame.values()].slice(0, MOST_REPORTED).map((group) => {
		const [first] = group;
		const heading = `${name} frame ${String(first?.frame)}`;
		const frames = [`  recorded  ${first?.recordedFrame ?? ""}`, `  emulated  ${first?.emulatedFrame ?? ""}`];
		const fields = group
			.filter(({ field }) => field !== "frame")
			.map(({ field, recorded, emulated }) => `    ${field}: recorded ${recorded}, emulated ${emulated}`);
		return [heading, ...frames, ...fields].join("\n");
	});
	const more = byFrame.size - blocks.length;
	const rest = more > 0 ? [`and ${String(more)} more frames`] : [];
	return [`${String(byFrame.size)} frames of ${name} are not as recorded:`, ...blocks, ...rest].join("\n");
}

interface View<F> {
	readonly frame: F;
	readonly dissected: DissectedFrame;
	readonly alike: string;
	readonly exact: string;
}

const MAC_FIELD = /^(ethernet\.(dst|src)|arp\.(sender|target)Mac)$/;

const isEphemeral = ({ name, value }: ComparedField): boolean =>
	EPHEMERAL_PORTS.has(name) && Number(value) >= FIRST_EPHEMERAL_PORT && Number(value) <= LAST_EPHEMERAL_PORT;

/** Seconds between 2001 and 2106 and microseconds, as ping(8) writes them on 64-bit little-endian machines. */
function isTimeOfDay(value: ComparedField["value"]): boolean {
	if (!(value instanceof Uint8Array) || value.length !== 16) return false;
	const view = new DataView(value.buffer, value.byteOffset);
	const [seconds, microseconds] = [view.getBigUint64(0, true), view.getBigUint64(8, true)];
	return seconds >= 1_000_000_000n && seconds < 1n << 32n && microseconds < 1_000_000n;
}

const milliseconds = (nanoseconds: number): string => `${(nanoseconds / 1e6).toFixed(3)} ms`;

const told = ({ text, good, octets }: ComparedField): string => {
	const shown = octets > 64 ? `${text.slice(0, 128)}…` : text;
	return good === undefined ? shown : `${shown} (${good ? "right" : "wrong"})`;
};

function line(view: View<RecordedFrame | EmulatedFrame> | undefined, start: bigint | number): string {
	if (view === undefined) return "nothing";
	const { time, data } = view.frame;
	const since = Number(BigInt(time) - BigInt(start));
	return `${milliseconds(since)}  ${tell(data)}`;
}
