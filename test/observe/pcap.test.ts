import { existsSync, readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CaptureFormatError, LINK_TYPE_RAW, LINK_TYPE_SLL2 } from "../../src/observe/capture-file.ts";
import { packetsOf, readCapture } from "../../src/observe/capture-file-read.ts";
import { type PcapPacket, PcapWriter, readPcap, writePcap } from "../../src/observe/pcap.ts";
import { PcapSink } from "../../src/observe/pcap-sink.ts";

const SECOND = 1_000_000_000n;
const DAY = 86_400_000_000_000;

const hex = (text: string): Uint8Array =>
	Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (octet) => parseInt(octet, 16));

const anyPacket: fc.Arbitrary<PcapPacket> = fc.record({
	time: fc.bigInt({ min: 0n, max: 0xffff_ffffn * SECOND }),
	data: fc.uint8Array({ maxLength: 200 }),
	originalLength: fc.nat(100_000),
});

/** Two records, big-endian, microseconds: what a recorder on a SPARC or PowerPC left behind. */
const BIG_ENDIAN = hex(`
	a1b2c3d4 0002 0004 00000000 00000000 00000040 00000065
	65000000 000f423f 00000003 00000003 450001
	65000001 00000000 00000002 000005dc 4500`);

const reasonOf = (read: () => unknown): CaptureFormatError => {
	try {
		read();
	} catch (error) {
		if (error instanceof CaptureFormatError) return error;
		throw error;
	}
	throw new Error("nothing was thrown");
};

describe("a pcap file", () => {
	test("read gives the packets that were written, to the nanosecond", () => {
		fc.assert(
			fc.property(fc.array(anyPacket, { maxLength: 8 }), (packets) => {
				const { interfaces, packets: found, problem } = readPcap(writePcap(packets));
				expect(problem).toBeUndefined();
				expect(interfaces).toEqual([{ linkType: 1, snapLength: 262_144, resolution: 9 }]);
				expect(found).toEqual(packets.map((packet) => ({ ...packet, interface: 0, comments: [] })));
			}),
		);
	});

	test("in microseconds loses what is finer, and no more", () => {
		fc.assert(
			fc.property(anyPacket, (packet) => {
				const { interfaces, packets } = readPcap(
					writePcap([packet], { precision: "us", linkType: LINK_TYPE_SLL2 }),
				);
				expect(interfaces).toEqual([{ linkType: LINK_TYPE_SLL2, snapLength: 262_144, resolution: 6 }]);
				const time = packet.time ?? 0n;
				expect(packets[0]?.time).toBe(time - (time % 1000n));
			}),
		);
	});

	test("is the bytes that tcpdump writes", () => {
		const packets = [{ time: 1_700_000_000n * SECOND + 7n, data: hex("0102030405"), originalLength: 60 }];
		expect(writePcap(packets)).toEqual(
			hex(`4d3cb2a1 0200 0400 00000000 00000000 00000400 01000000
				00f15365 07000000 05000000 3c000000 0102030405`),
		);
		expect(writePcap(packets, { precision: "us", snapLength: 2 })).toEqual(
			hex(`d4c3b2a1 0200 0400 00000000 00000000 02000000 01000000
				00f15365 00000000 02000000 3c000000 0102`),
		);
	});

	test("of a big-endian machine is read like any other", () => {
		expect(readPcap(BIG_ENDIAN)).toEqual({
			format: "pcap",
			interfaces: [{ linkType: LINK_TYPE_RAW, snapLength: 64, resolution: 6 }],
			packets: [
				{
					interface: 0,
					time: 0x6500_0000n * SECOND + 999_999_000n,
					data: hex("450001"),
					originalLength: 3,
					comments: [],
				},
				{ interface: 0, time: 0x6500_0001n * SECOND, data: hex("4500"), originalLength: 1500, comments: [] },
			],
			names: [],
			sections: [],
			secrets: [],
			statistics: [],
		});
		const nanoseconds = BIG_ENDIAN.slice();
		nanoseconds.set(hex("a1b23c4d"));
		expect(readPcap(nanoseconds).packets[0]?.time).toBe(0x6500_0000n * SECOND + 999_999n);
	});

	test("gives data as views of the file, not copies", () => {
		const bytes = BIG_ENDIAN.slice();
		expect(readPcap(bytes).packets[0]?.data.buffer).toBe(bytes.buffer);
	});

	test("is read where it lies, inside a larger buffer", () => {
		const around = new Uint8Array(BIG_ENDIAN.length + 13).fill(0xa1);
		around.set(BIG_ENDIAN, 7);
		expect(readCapture(around.subarray(7, 7 + BIG_ENDIAN.length))).toEqual(readPcap(BIG_ENDIAN));
	});

	test("may be an upper link type word that tells of check sequences", () => {
		const bytes = BIG_ENDIAN.slice();
		bytes.set(hex("54000001"), 20);
		expect(readPcap(bytes).interfaces[0]?.linkType).toBe(1);
	});
});

describe("a damaged pcap file", () => {
	test("cut anywhere gives what is whole and says where it ends", () => {
		const ends = [24, 24 + 16 + 3, BIG_ENDIAN.length];
		for (let octets = 24; octets <= BIG_ENDIAN.length; octets++) {
			const { packets, problem } = readPcap(BIG_ENDIAN.subarray(0, octets));
			const whole = ends.filter((end) => end <= octets);
			expect(packets).toHaveLength(whole.length - 1);
			expect([problem?.kind, problem?.offset]).toEqual(
				whole.at(-1) === octets ? [undefined, undefined] : ["truncated", whole.at(-1)],
			);
		}
	});

	test("without a whole header holds nothing: that is thrown", () => {
		for (let octets = 0; octets < 24; octets++) {
			const { kind, offset } = reasonOf(() => readCapture(BIG_ENDIAN.subarray(0, octets)));
			expect([kind, offset]).toEqual([octets < 4 ? "bad-magic" : "truncated", 0]);
		}
	});

	test("gives its whole packets one by one, then throws", () => {
		const seen: number[] = [];
		const { kind, offset } = reasonOf(() => {
			for (const packet of packetsOf(BIG_ENDIAN.subarray(0, 50))) seen.push(packet.data.length);
		});
		expect([seen, kind, offset]).toEqual([[3], "truncated", 43]);
	});

	test("with a length no recorder writes is called damaged, not cut off", () => {
		const bytes = BIG_ENDIAN.slice();
		bytes.set(hex("7fffffff"), 43 + 8);
		const { packets, problem } = readPcap(bytes);
		expect([packets.length, problem?.kind, problem?.offset]).toEqual([1, "bad-length", 43]);
	});

	test("of another version is refused", () => {
		const bytes = BIG_ENDIAN.slice();
		bytes.set(hex("0003"), 4);
		expect(reasonOf(() => readPcap(bytes)).kind).toBe("bad-version");
	});

	test("compressed by gzip says what to do about it", () => {
		expect(reasonOf(() => readCapture(hex("1f8b0800"))).message).toMatch(/gzip/);
	});
});

describe("a pcap writer", () => {
	const record = (time: number, view: DataView, start: number, end: number) => ({
		time,
		view,
		start,
		end,
		originalLength: end - start,
	});

	test("writes frames as it writes packets, wherever virtual time begins", () => {
		const epochs = fc.bigInt({ min: 0n, max: 4_000_000_000n * SECOND });
		const times = fc.array(fc.nat({ max: 90 * DAY }), { maxLength: 6 });
		fc.assert(
			fc.property(
				epochs,
				times,
				fc.uint8Array({ maxLength: 300 }),
				fc.constantFrom("us" as const, "ns" as const),
				(epoch, at, data, precision) => {
					const fits = at.filter((time) => (epoch + BigInt(time)) / SECOND < 2n ** 32n);
					const writer = new PcapWriter({ epoch, precision });
					const store = new DataView(new ArrayBuffer(data.length + 5));
					new Uint8Array(store.buffer).set(data, 5);
					for (const time of fits) writer.frame(record(time, store, 5, 5 + data.length));
					const packets = fits.map((time) => ({ time: epoch + BigInt(time), data }));
					expect(writer.sink.drain()).toEqual(writePcap(packets, { precision }));
				},
			),
		);
	});

	test("drained now and then gives the same file as at the end", () => {
		const data = new DataView(hex("00112233445566778899").buffer);
		const whole = new PcapWriter({}, new PcapSink(1));
		const parts = new PcapWriter({}, new PcapSink(1));
		const taken: number[] = [...parts.sink.drain()];
		for (let time = 0; time < 50; time++) {
			for (const writer of [whole, parts]) writer.frame(record(time, data, 0, time % 11));
			if (time % 3 === 0) taken.push(...parts.sink.drain());
		}
		taken.push(...parts.sink.drain());
		expect(Uint8Array.from(taken)).toEqual(whole.sink.drain());
		expect(parts.sink.drain()).toHaveLength(0);
	});

	test("refuses what the format cannot say, naming it", () => {
		const data = new Uint8Array(4);
		expect(() => writePcap([{ time: -1n, data }])).toThrow(/time is -1/);
		expect(() => writePcap([{ time: 2n ** 32n * SECOND, data }])).toThrow(/time is 4294967296 s/);
		expect(() => writePcap([{ time: 0n, data, originalLength: 1.5 }])).toThrow(/originalLength is 1.5/);
		expect(() => writePcap([], { linkType: 65_536 })).toThrow(/linkType is 65536/);
		expect(() => writePcap([], { snapLength: 0 })).toThrow(/snapLength is 0/);
		expect(() => writePcap([], { epoch: -1n })).toThrow(/epoch is -1/);
		expect(() => new PcapSink(0)).toThrow(/octets is 0/);
	});
});

const recordings = new URL("../../../shared/golden/", import.meta.url);
const recorded = existsSync(recordings)
	? readdirSync(recordings, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".pcap"))
	: [];
const kept = new URL("../golden/", import.meta.url);
const keptNames = existsSync(kept)
	? readdirSync(kept, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".pcap"))
	: [];

describe("every recording of a real machine", () => {
	const rewritten = (url: URL): void => {
		const bytes = readFileSync(url);
		const { interfaces, packets, problem } = readPcap(bytes);
		expect(problem, url.pathname).toBeUndefined();
		const [device] = interfaces;
		if (device === undefined) throw new Error("a pcap file has one interface");
		const precision = device.resolution === 9 ? "ns" : "us";
		const again = writePcap(packets, { precision, linkType: device.linkType, snapLength: device.snapLength });
		expect(Buffer.compare(again, bytes), url.pathname).toBe(0);
	};

	test("among the tests is read whole and written again byte for byte", () => {
		for (const name of keptNames) rewritten(new URL(name, kept));
	});

	test("in the full collection is read whole and written again byte for byte", ({ skip }) => {
		skip(
			recorded.length === 0,
			"the full collection of recordings is not here: only those among the tests were read",
		);
		for (const name of recorded) rewritten(new URL(name, recordings));
	});
});
