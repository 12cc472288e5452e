import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type CaptureFile, CaptureFormatError } from "../../src/observe/capture-file.ts";
import { packetsOf, readCapture } from "../../src/observe/capture-file-read.ts";

const folder = new URL("fixtures/", import.meta.url);
const files = readdirSync(folder)
	.filter((name) => /\.pcap(ng)?$/.test(name))
	.map((name) => Uint8Array.from(readFileSync(new URL(name, folder))));

const attempt = (bytes: Uint8Array): CaptureFile | CaptureFormatError => {
	try {
		return readCapture(bytes);
	} catch (error) {
		if (error instanceof CaptureFormatError) return error;
		throw error;
	}
};

/** What holds whatever the bytes are. */
const judge = (bytes: Uint8Array): CaptureFile | CaptureFormatError => {
	const result = attempt(bytes);
	const problem = result instanceof CaptureFormatError ? result : result.problem;
	if (problem !== undefined) {
		expect(problem.offset).toBeGreaterThanOrEqual(0);
		expect(problem.offset).toBeLessThanOrEqual(bytes.length);
	}
	if (result instanceof CaptureFormatError) return result;
	// The smallest packet, name and interface take 16, 12 and 20 octets of the file: no lengths are believed blindly.
	expect(result.packets.length * 16 + result.interfaces.length * 20).toBeLessThanOrEqual(bytes.length);
	expect(result.names.length).toBeLessThanOrEqual(bytes.length / 8);
	for (const packet of result.packets) {
		expect(packet.data.buffer).toBe(bytes.buffer);
		expect(packet.data.byteOffset + packet.data.length).toBeLessThanOrEqual(bytes.byteOffset + bytes.length);
		expect(packet.interface).toBeLessThan(result.interfaces.length);
	}
	return result;
};

type Change = { readonly at: number; readonly to: number; readonly how: "set" | "cut" | "insert" | "word" };

const changed = (file: Uint8Array, changes: readonly Change[]): Uint8Array => {
	let bytes = file.slice();
	for (const { at, to, how } of changes) {
		const place = at % (bytes.length + 1);
		if (how === "set" && place < bytes.length) bytes[place] = to;
		else if (how === "cut") bytes = bytes.slice(0, place);
		else if (how === "insert") bytes = Uint8Array.from([...bytes.slice(0, place), to, ...bytes.slice(place)]);
		// Lengths stand in words: aim at those.
		else if (how === "word" && (place | 3) < bytes.length)
			new DataView(bytes.buffer).setUint32(place & ~3, (to * 0x0101_0101) >>> (to & 31));
	}
	return bytes;
};

const anyChange = fc.record({
	at: fc.nat(2000),
	to: fc.oneof(fc.nat(255), fc.constantFrom(0, 4, 8, 12, 127, 128, 255)),
	how: fc.constantFrom("set" as const, "set" as const, "cut" as const, "insert" as const, "word" as const),
});

test("any bytes give a capture or a reason, never another exception", () => {
	fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void judge(bytes)));
});

test("a capture with octets changed, cut off or put in gives what is whole, or a reason", () => {
	fc.assert(
		fc.property(
			fc.constantFrom(...files),
			fc.array(anyChange, { minLength: 1, maxLength: 4 }),
			(file, changes) => {
				judge(changed(file, changes));
			},
		),
		{ numRuns: 5000 },
	);
});

test("any bytes behind a good beginning leave that beginning readable", () => {
	fc.assert(
		fc.property(fc.constantFrom(...files), fc.uint8Array({ maxLength: 60 }), (file, tail) => {
			const { packets } = readCapture(file);
			const result = judge(Uint8Array.from([...file, ...tail]));
			expect(result).not.toBeInstanceOf(CaptureFormatError);
			if (!(result instanceof CaptureFormatError))
				expect(result.packets.slice(0, packets.length)).toEqual(packets);
		}),
	);
});

test("read one by one, the packets and the problem are those of the whole", () => {
	fc.assert(
		fc.property(fc.constantFrom(...files), fc.array(anyChange, { maxLength: 2 }), (file, changes) => {
			const bytes = changed(file, changes);
			const packets = [];
			let problem: CaptureFormatError | undefined;
			try {
				for (const packet of packetsOf(bytes)) packets.push(packet);
			} catch (error) {
				if (!(error instanceof CaptureFormatError)) throw error;
				problem = error;
			}
			const result = attempt(bytes);
			if (result instanceof CaptureFormatError) expect(problem).toEqual(result);
			else {
				expect(packets).toEqual(result.packets);
				expect(problem?.offset).toBe(result.problem?.offset);
			}
		}),
	);
});

test("a megabyte of the smallest blocks is read in one go", () => {
	const [file] = files;
	if (file === undefined) throw new Error("no fixtures");
	const bytes = new Uint8Array(file.length + 12 * 80_000);
	bytes.set(file);
	const view = new DataView(bytes.buffer);
	for (let at = file.length; at < bytes.length; at += 12) {
		view.setUint32(at, 0x7777, true);
		view.setUint32(at + 4, 12, true);
		view.setUint32(at + 8, 12, true);
	}
	expect(readCapture(bytes)).toEqual(readCapture(file));
});
