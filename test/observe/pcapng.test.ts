import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CaptureName, CapturePacket } from "../../src/observe/capture-file.ts";
import { PcapSink } from "../../src/observe/pcap-sink.ts";
import { PcapngWriter, writePcapng } from "../../src/observe/pcapng.ts";
import { readPcapng } from "../../src/observe/pcapng-read.ts";

const hex = (text: string): Uint8Array =>
	Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (octet) => parseInt(octet, 16));

const text = fc.string({ unit: "binary", maxLength: 12 });
const word = fc.nat(0xffff_ffff);
const words = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const octets = fc.uint8Array({ maxLength: 40 });
const address = fc.oneof(
	fc.ipV4(),
	fc.constantFrom("fd00::1", "2001:db8::a:0:0:1", "::", "02:42:0a:00:01:06", "ff:ff:ff:ff:ff:ff"),
);
const hostName = fc
	.string({ unit: "binary", minLength: 1, maxLength: 9 })
	.filter((name) => !name.includes("\0"));

/** Anything a capture of ours can say. */
const content = fc.integer({ min: 1, max: 3 }).chain((count) => {
	const index = fc.nat(count - 1);
	return fc.record({
		interfaces: fc.array(
			fc.record(
				{
					name: text,
					description: text,
					os: text,
					linkType: fc.nat(0xffff),
					snapLength: fc.constantFrom(0, 60, 262_144),
					resolution: fc.constant(9),
				},
				{ requiredKeys: ["linkType", "snapLength", "resolution"] },
			),
			{ minLength: count, maxLength: count },
		),
		packets: fc.array(
			fc.record(
				{
					interface: index,
					time: words,
					data: octets,
					originalLength: word,
					direction: fc.constantFrom("in" as const, "out" as const),
					packetId: words,
					dropCount: words,
					comments: fc.array(text, { maxLength: 2 }),
				},
				{ requiredKeys: ["interface", "time", "data", "originalLength", "comments"] },
			),
			{ maxLength: 5 },
		),
		names: fc.array(fc.record({ address, names: fc.array(hostName, { minLength: 1, maxLength: 3 }) }), {
			maxLength: 4,
		}),
		sections: fc
			.record(
				{ hardware: text, os: text, application: text, comments: fc.array(text, { maxLength: 2 }) },
				{ requiredKeys: ["comments"] },
			)
			.map((section) => [section]),
		secrets: fc.array(fc.record({ type: word, data: octets }), { maxLength: 2 }),
		statistics: fc.array(
			fc.record(
				{ interface: index, time: words, received: words, dropped: words },
				{ requiredKeys: ["interface", "time"] },
			),
			{ maxLength: 2 },
		),
	});
});

describe("a pcapng file", () => {
	test("read gives everything that was written", () => {
		fc.assert(
			fc.property(content, (wanted) => {
				const { problem, ...found } = readPcapng(writePcapng(wanted));
				expect(problem).toBeUndefined();
				const cut = (packet: CapturePacket) => {
					const most = wanted.interfaces[packet.interface]?.snapLength ?? 0;
					return { ...packet, data: most === 0 ? packet.data : packet.data.subarray(0, most) };
				};
				expect(found).toEqual({ format: "pcapng", ...wanted, packets: wanted.packets.map(cut) });
			}),
		);
	});

	test("written again is the same file", () => {
		fc.assert(
			fc.property(content, (wanted) => {
				const bytes = writePcapng(wanted);
				expect(writePcapng(readPcapng(bytes))).toEqual(bytes);
			}),
		);
	});

	test("is the blocks the format's description asks for", () => {
		const writer = new PcapngWriter({ application: "vethwork", epoch: 1n << 32n });
		const index = writer.addInterface({ name: "n1:eth0" });
		const view = new DataView(hex("ffaabbccddee").buffer);
		writer.frame({
			interface: index,
			time: 5,
			view,
			start: 1,
			end: 6,
			originalLength: 60,
			direction: "out",
			packetId: 2 ** 32 + 3,
			comments: ["nat"],
		});
		writer.names([{ address: "10.0.1.6", names: ["web", "c1"] }]);
		expect(writer.sink.drain()).toEqual(
			hex(`
			0a0d0d0a 2c000000 4d3c2b1a 0100 0000 ffffffffffffffff 0400 0800 76657468776f726b 0000 0000 2c000000
			01000000 2c000000 0100 0000 00000400 0200 0700 6e313a6574683000 0900 0100 09000000 0000 0000 2c000000
			06000000 48000000 00000000 01000000 05000000 05000000 3c000000 aabbccddee000000
				0200 0400 02000000 0500 0800 0300000001000000 0100 0300 6e617400 0000 0000 48000000
			04000000 20000000 0100 0b00 0a000106 77656200 633100 00 0000 0000 20000000`),
		);
	});

	test("by frames is the file by packets", () => {
		const times = fc.nat({ max: 8_000_000_000_000_000 });
		const frames = fc.array(
			fc.record({
				time: times,
				data: fc.uint8Array({ maxLength: 200 }),
				direction: fc.constantFrom("in" as const, "out" as const, undefined),
				packetId: fc.option(fc.nat({ max: Number.MAX_SAFE_INTEGER }), { nil: undefined }),
				comments: fc.option(fc.array(text, { maxLength: 2 }), { nil: undefined }),
			}),
			{ maxLength: 6 },
		);
		fc.assert(
			fc.property(
				frames,
				fc.bigInt({ min: 0n, max: 1n << 62n }),
				fc.constantFrom(0, 20),
				(list, epoch, snapLength) => {
					const byFrame = new PcapngWriter({ epoch }, new PcapSink(1));
					const byPacket = new PcapngWriter();
					for (const writer of [byFrame, byPacket]) writer.addInterface({ snapLength });
					for (const { time, data, direction, packetId, comments } of list) {
						const view = new DataView(data.buffer, data.byteOffset, data.length);
						const length = { start: 0, end: data.length, originalLength: data.length };
						byFrame.frame({ interface: 0, time, view, ...length, direction, packetId, comments });
						byPacket.packet(0, epoch + BigInt(time), data, {
							...(direction && { direction }),
							...(packetId !== undefined && { packetId: BigInt(packetId) }),
							...(comments && { comments }),
						});
					}
					// Options have no order: what is said is compared, not how.
					expect(readPcapng(byFrame.sink.drain())).toEqual(readPcapng(byPacket.sink.drain()));
				},
			),
		);
	});

	test("drained now and then gives the same file as at the end, padding included", () => {
		const view = new DataView(hex("00112233445566778899aabbccddeeff").buffer);
		const whole = new PcapngWriter();
		const parts = new PcapngWriter();
		const taken: number[] = [];
		for (const writer of [whole, parts]) writer.addInterface();
		for (let time = 0; time < 40; time++) {
			for (const writer of [whole, parts]) {
				writer.frame({
					interface: 0,
					time,
					view,
					start: 0,
					end: time % 16,
					originalLength: 16,
					direction: undefined,
					packetId: undefined,
					comments: undefined,
				});
			}
			taken.push(...parts.sink.drain());
		}
		expect(Uint8Array.from(taken)).toEqual(whole.sink.drain());
	});

	test("splits the names of one address when one record cannot hold them", () => {
		const names = Array.from({ length: 3000 }, (_, i) => `${"n".repeat(40)}${String(i)}`);
		const found = readPcapng(
			writePcapng({ interfaces: [], packets: [], names: [{ address: "10.0.0.1", names }] }),
		).names;
		expect(found.length).toBeGreaterThan(1);
		expect(found.flatMap((record: CaptureName) => record.names)).toEqual(names);
	});

	test("refuses what the format cannot say, naming it", () => {
		const writer = new PcapngWriter();
		writer.addInterface();
		const data = new Uint8Array(1);
		expect(() => writer.addInterface({ linkType: -1 })).toThrow(/linkType is -1/);
		expect(() => writer.addInterface({ name: "x".repeat(65_536) })).toThrow(/name takes 65536 octets/);
		expect(() => writer.packet(1, 0n, data)).toThrow(/interface is 1, expected a whole number from 0 to 0/);
		expect(() => writer.packet(0, 1n << 64n, data)).toThrow(/time is/);
		expect(() => writer.packet(0, 0n, data, { packetId: -1n })).toThrow(/packetId is -1/);
		expect(() => writer.names([{ address: "10.0.0.256", names: ["a"] }])).toThrow(/address is "10.0.0.256"/);
		expect(() => writer.names([{ address: "10.0.0.1", names: [""] }])).toThrow(/name is ""/);
		expect(() => writer.names([{ address: "10.0.0.1", names: ["a\0b"] }])).toThrow(/U\+0000/);
		expect(() => writer.names([{ address: "10.0.0.1", names: ["x".repeat(65_535)] }])).toThrow(
			/too many for a name record/,
		);
		expect(() => writer.statistics({ interface: 1, time: 0n })).toThrow(/interface is 1/);
		expect(() => new PcapngWriter({ epoch: -5n })).toThrow(/epoch is -5/);
	});
});
