import { CaptureFormatError } from "./capture-file.ts";
import type { PcapSink } from "./pcap-sink.ts";
import { OPTION_END, padded } from "./pcapng-block.ts";

const HEADER_OCTETS = 4;
const MOST_OCTETS = 0xffff;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** One option of a block, to be written. */
export interface PcapngOption {
	readonly code: number;
	readonly value: Uint8Array;
}

/** An option with text. Throws RangeError naming `argument` if it is longer than an option can be. */
export function textOption(code: number, text: string, argument: string): PcapngOption {
	const value = encoder.encode(text);
	if (value.length <= MOST_OCTETS) return { code, value };
	throw new RangeError(
		`${argument} takes ${String(value.length)} octets as UTF-8, expected at most ${String(MOST_OCTETS)}`,
	);
}

/** The option if there is text for it. */
export function optionalText(code: number, text: string | undefined, argument: string): PcapngOption[] {
	return text === undefined ? [] : [textOption(code, text, argument)];
}

/** An option with an unsigned 64-bit number. */
export function wordsOption(code: number, value: bigint): PcapngOption {
	const octets = new Uint8Array(8);
	new DataView(octets.buffer).setBigUint64(0, value, true);
	return { code, value: octets };
}

/** Octets the options take in a block, the one that ends them included; none take none. */
export function optionsOctets(options: readonly PcapngOption[]): number {
	if (options.length === 0) return 0;
	return options.reduce(
		(octets, option) => octets + HEADER_OCTETS + padded(option.value.length),
		HEADER_OCTETS,
	);
}

/** Fills `optionsOctets` of reserved octets from `at` on. */
export function putOptions(sink: PcapSink, at: number, options: readonly PcapngOption[]): void {
	if (options.length === 0) return;
	for (const { code, value } of options) {
		putOptionHeader(sink.view, at, code, value.length);
		putPadded(sink, at + HEADER_OCTETS, value);
		at += HEADER_OCTETS + padded(value.length);
	}
	putOptionHeader(sink.view, at, OPTION_END, 0);
}

/** Code and length of one option. */
export function putOptionHeader(view: DataView, at: number, code: number, octets: number): void {
	view.setUint32(at, code | (octets << 16), true);
}

/** Octets with zeros behind them up to a multiple of four. */
export function putPadded(sink: PcapSink, at: number, octets: Uint8Array): void {
	sink.bytes.set(octets, at);
	sink.bytes.fill(0, at + octets.length, at + padded(octets.length));
}

/** An option found in a file. */
export interface FoundOption {
	readonly code: number;
	/** Where the header of the option starts. */
	readonly at: number;
	/** The value. */
	readonly value: DataView;
}

/** The options from `at` to `end`. Throws CaptureFormatError at one that does not fit. */
export function* options(
	view: DataView,
	at: number,
	end: number,
	little: boolean,
): Generator<FoundOption, void, void> {
	while (at < end) {
		if (end - at < HEADER_OCTETS) throw misfit(at);
		const code = view.getUint16(at, little);
		if (code === OPTION_END) return;
		const octets = view.getUint16(at + 2, little);
		const start = at + HEADER_OCTETS;
		if (octets > end - start) throw misfit(at);
		yield { code, at, value: new DataView(view.buffer, view.byteOffset + start, octets) };
		at = start + padded(octets);
	}
}

const misfit = (at: number): CaptureFormatError =>
	new CaptureFormatError("bad-option", at, "an option does not fit in its block");

/** Throws CaptureFormatError unless the option's value has `octets`. */
export function expectOctets(option: FoundOption, octets: number): DataView {
	if (option.value.byteLength === octets) return option.value;
	const has = `option ${String(option.code)} has ${String(option.value.byteLength)} octets`;
	throw new CaptureFormatError("bad-option", option.at, `${has}, expected ${String(octets)}`);
}

/** The value as text; octets that are not UTF-8 become U+FFFD. */
export const textOf = (value: DataView | Uint8Array): string => decoder.decode(value);
