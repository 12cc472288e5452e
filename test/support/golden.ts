import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { readPcap } from "../../src/observe/index.ts";
import { describe as tell, dissect, type Field, type Layer } from "../../src/wire/index.ts";
import { EPHEMERAL_PORTS, FIRST_EPHEMERAL_PORT, FRAGMENT_TRAIN, NORMALISED } from "./normalise.ts";

/** A frame and when it passed, in seconds of its own clock. */
export interface TimedFrame {
	readonly time: number;
	readonly data: Uint8Array;
}

/** The frames of a recorded pcap in test/golden, times in seconds since 1970. */
export function recording(path: string): TimedFrame[] {
	const file = readPcap(readFileSync(new URL(`../golden/${path}.pcap`, import.meta.url)));
	expect(file.problem).toBeUndefined();
	return file.packets.map((packet) => ({ time: Number(packet.time ?? 0n) / 1e9, data: packet.data }));
}

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

/** How far a frame's time may be from its recording, and why. */
export interface Tolerance {
	/** Seconds. */
	readonly time: number;
	/** Fields of MAC addresses that the recorded kernel drew at random. */
	readonly randomMacs?: readonly string[];
}

/**
 * Compares frames with their recording, field by field, through one scenario: what was drawn at random must
 * map one to one throughout (`NORMALISED`).
 */
export class Comparison {
	readonly #tolerance: Tolerance;
	readonly #mappings = new Map<
		string,
		{ readonly there: Map<string, string>; readonly back: Map<string, string> }
	>();

	constructor(tolerance: Tolerance) {
		this.#tolerance = tolerance;
	}

	/**
	 * The differences of one interface, in words. `offset` is added to emulated times to reach the recording's
	 * clock; `tolerance` overrides the scenario's for this interface.
	 */
	differences(
		name: string,
		recorded: readonly TimedFrame[],
		emulated: readonly TimedFrame[],
		offset: number,
		tolerance = this.#tolerance.time,
	): string[] {
		const found: string[] = [];
		for (let i = 0; i < Math.max(recorded.length, emulated.length); i++) {
			const [theirs, ours] = [recorded[i], emulated[i]];
			const at = `${name} frame ${String(i + 1)}`;
			if (theirs === undefined || ours === undefined) {
				const [what, frame] =
					theirs === undefined ? (["extra", ours] as const) : (["missing", theirs] as const);
				found.push(`${at}: ${what}: ${frame === undefined ? "" : tell(frame.data)}`);
				continue;
			}
			const late = ours.time + offset - theirs.time;
			if (Math.abs(late) > tolerance) {
				found.push(`${at}: ${late.toFixed(3)} s late: ${tell(theirs.data)} | ours: ${tell(ours.data)}`);
			}
			found.push(...this.#frame(at, theirs.data, ours.data));
		}
		return found;
	}

	#frame(at: string, theirs: Uint8Array, ours: Uint8Array): string[] {
		const [a, b] = [dissect(theirs).flatMap(withFragment), dissect(ours).flatMap(withFragment)];
		const shape = (fields: readonly NamedField[]): string =>
			fields.map((each) => `${each.name}/${String(each.octets)}`).join(" ");
		if (shape(a) !== shape(b))
			return [`${at}: another shape\n  recorded ${tell(theirs)}\n  ours     ${tell(ours)}`];
		return a.flatMap((field, i) => {
			const mine = b[i];
			if (mine === undefined || this.#equal(field, mine)) return [];
			return [
				`${at}: ${field.name} is ${mine.text}, recorded ${field.text}\n  recorded ${tell(theirs)}\n  ours     ${tell(ours)}`,
			];
		});
	}

	#equal(theirs: NamedField, ours: NamedField): boolean {
		const { name } = theirs;
		if (EPHEMERAL_PORTS.has(name) && Number(theirs.value) >= FIRST_EPHEMERAL_PORT) {
			return Number(ours.value) >= FIRST_EPHEMERAL_PORT && this.#maps("port", theirs.text, ours.text);
		}
		if (this.#tolerance.randomMacs?.includes(theirs.text) === true)
			return this.#maps("mac", theirs.text, ours.text);
		switch (NORMALISED[name]?.as) {
			case "zero-or-not": {
				const alike = (theirs.value === 0) === (ours.value === 0);
				// A field with the same meaning in several frames of one packet keeps its meaning.
				return (
					alike &&
					(name !== FRAGMENT_TRAIN || !theirs.fragment || this.#maps(theirs.train, theirs.text, ours.text))
				);
			}
			case "same-mapping":
				return this.#maps(name, theirs.text, ours.text);
			case "validity":
				return theirs.good === ours.good && (theirs.value === 0) === (ours.value === 0);
			case "time-of-day":
				return true;
			default:
				return theirs.text === ours.text;
		}
	}

	#maps(kind: string, theirs: string, ours: string): boolean {
		let mapping = this.#mappings.get(kind);
		if (mapping === undefined) {
			mapping = { there: new Map(), back: new Map() };
			this.#mappings.set(kind, mapping);
		}
		const [there, back] = [mapping.there.get(theirs), mapping.back.get(ours)];
		if (there === undefined && back === undefined) {
			mapping.there.set(theirs, ours);
			mapping.back.set(ours, theirs);
			return true;
		}
		return there === ours && back === theirs;
	}
}

/** A field, and for those of IPv4 headers whether they belong to a fragment, and of which pair of hosts. */
interface NamedField extends Field {
	readonly fragment: boolean;
	readonly train: string;
}

function withFragment(layer: Layer): NamedField[] {
	const of = (name: string): Field | undefined => layer.fields.find((field) => field.name === name);
	const flags = Number(of("ipv4.flags")?.value ?? 0);
	const fragment = (flags & 1) === 1 || Number(of("ipv4.fragmentOffset")?.value ?? 0) > 0;
	const train = `${of("ipv4.source")?.text ?? ""} > ${of("ipv4.destination")?.text ?? ""}`;
	return layer.fields.map((field) => ({ ...field, fragment: fragment && !layer.quoted, train }));
}
