import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { CapturePacket } from "../../src/observe/capture-file.ts";
import { readCapture } from "../../src/observe/capture-file-read.ts";
import { type PcapngContent, writePcapng } from "../../src/observe/pcapng.ts";
import { readPcapng } from "../../src/observe/pcapng-read.ts";

const hex = (text: string): Uint8Array =>
	Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (octet) => parseInt(octet, 16));
const fixture = (name: string): Uint8Array => readFileSync(new URL(`fixtures/${name}`, import.meta.url));

/** Blocks by hand, in either byte order. */
class ByHand {
	readonly bytes: number[] = [];
	readonly #little: boolean;

	constructor(little: boolean) {
		this.#little = little;
	}

	put(...parts: (number[] | Uint8Array)[]): this {
		for (const part of parts) this.bytes.push(...part);
		return this;
	}

	number(value: number | bigint, octets: number): number[] {
		const big = Array.from({ length: octets }, (_, i) =>
			Number((BigInt(value) >> BigInt(8 * (octets - 1 - i))) & 255n),
		);
		return this.#little ? big.reverse() : big;
	}

	u16 = (value: number): number[] => this.number(value, 2);
	u32 = (value: number): number[] => this.number(value, 4);
	u64 = (value: bigint): number[] => this.number(value, 8);

	padded(octets: ArrayLike<number>): number[] {
		return [...Array.from(octets), ...Array.from({ length: -octets.length & 3 }, () => 0)];
	}

	option(code: number, value: ArrayLike<number>): number[] {
		return [...this.u16(code), ...this.u16(value.length), ...this.padded(value)];
	}

	block(type: number, ...parts: (number[] | Uint8Array)[]): this {
		const body = parts.flatMap((part) => [...part]);
		return this.put(this.u32(type), this.u32(body.length + 12), body, this.u32(body.length + 12));
	}

	section(...options: number[][]): this {
		return this.block(
			0x0a0d0d0a,
			this.u32(0x1a2b3c4d),
			this.u16(1),
			this.u16(0),
			this.u64((1n << 64n) - 1n),
			...options,
		);
	}

	interface(linkType: number, snapLength: number, ...options: number[][]): this {
		return this.block(1, this.u16(linkType), this.u16(0), this.u32(snapLength), ...options);
	}

	packet(index: number, ticks: bigint, data: Uint8Array, ...options: number[][]): this {
		const length = this.u32(data.length);
		const time = [...this.u32(Number(ticks >> 32n)), ...this.u32(Number(ticks & 0xffff_ffffn))];
		return this.block(6, this.u32(index), time, length, length, this.padded(data), ...options);
	}

	read() {
		return readPcapng(Uint8Array.from(this.bytes));
	}
}

describe.each([
	["little-endian", true],
	["big-endian", false],
])("a %s file by hand", (_, little) => {
	const hand = (): ByHand => new ByHand(little);

	test("is read, options we do not know included", () => {
		const b = hand();
		b.section(b.option(2, hex("53756e")), b.option(0x7777, hex("010203")), b.option(0, []));
		b.interface(1, 0, b.option(2, hex("65746830")), b.option(9, [9]), b.option(11, hex("00697031")));
		b.packet(
			0,
			0x1122334455667788n,
			hex("c0ffee"),
			b.option(2, b.u32(0xffff_fff1)),
			b.option(5, b.u64(7n)),
			b.option(0xbac, hex("00000009ff")),
		);
		const { problem, ...file } = b.read();
		expect(problem).toBeUndefined();
		expect(file).toEqual({
			format: "pcapng",
			sections: [{ hardware: "Sun", comments: [] }],
			interfaces: [{ name: "eth0", linkType: 1, snapLength: 0, resolution: 9 }],
			packets: [
				{
					interface: 0,
					time: 0x1122334455667788n,
					data: hex("c0ffee"),
					originalLength: 3,
					direction: "in",
					packetId: 7n,
					comments: [],
				},
			],
			names: [],
			secrets: [],
			statistics: [],
		});
	});

	test("passes over unknown and custom blocks", () => {
		const b = hand();
		b.section().block(0x8000_0001, hex("0102030405060708")).block(0xbad, b.u32(32473), hex("01020304"));
		b.interface(1, 0).block(0x4000_0bad, b.u32(32473)).packet(0, 1n, hex("aa"));
		expect(b.read().packets).toHaveLength(1);
	});

	test.each([
		["microseconds unless said", [], 1_500_000n, 1_500_000_000n],
		["powers of ten", [0], 3n, 3_000_000_000n],
		["powers of ten finer than a nanosecond, cut off", [12], 1999n, 1n],
		["an absurd power of ten", [127], (1n << 64n) - 1n, 0n],
		["powers of two", [0x80 | 10], 1536n, 1_500_000_000n],
		["powers of two finer than a nanosecond", [0x80 | 40], 1n << 39n, 500_000_000n],
		["an absurd power of two", [0xff], (1n << 64n) - 1n, 0n],
	])("counts time in %s", (_name, resolution, ticks, nanoseconds) => {
		const b = hand();
		b.section()
			.interface(1, 0, resolution.length === 0 ? [] : b.option(9, resolution))
			.packet(0, ticks, hex("aa"));
		expect(b.read().packets[0]?.time).toBe(nanoseconds);
	});

	test("adds the interface's time offset, which may be negative", () => {
		const b = hand();
		b.section()
			.interface(1, 0, b.option(9, [9]), b.option(14, b.u64(-2n & ((1n << 64n) - 1n))))
			.packet(0, 5n, hex("aa"));
		const { packets, interfaces } = b.read();
		expect([packets[0]?.time, interfaces[0]?.offsetSeconds]).toEqual([-1_999_999_995n, -2n]);
	});

	test("has simple packets of its first interface, cut at its snap length", () => {
		const b = hand();
		b.section()
			.interface(1, 3)
			.interface(1, 0)
			.block(3, b.u32(60), b.padded(hex("aabbcc")))
			.block(3, b.u32(2), b.padded(hex("aabb")));
		expect(b.read().packets).toEqual([
			{ interface: 0, time: undefined, data: hex("aabbcc"), originalLength: 60, comments: [] },
			{ interface: 0, time: undefined, data: hex("aabb"), originalLength: 2, comments: [] },
		]);
	});

	test("may have packets in the obsolete form", () => {
		const b = hand();
		b.section()
			.interface(101, 0)
			.interface(1, 0, b.option(9, [9]));
		b.block(
			2,
			b.u16(1),
			b.u16(4),
			b.u32(1),
			b.u32(2),
			b.u32(3),
			b.u32(64),
			b.padded(hex("aabbcc")),
			b.option(2, b.u32(2)),
			b.option(1, hex("6f6c64")),
		);
		expect(b.read().packets).toEqual([
			{
				interface: 1,
				time: 0x1_0000_0002n,
				data: hex("aabbcc"),
				originalLength: 64,
				direction: "out",
				comments: ["old"],
			},
		]);
	});

	test("has names of IPv4, IPv6 and MAC addresses; other records are passed over", () => {
		const b = hand();
		b.section();
		b.block(
			4,
			b.option(1, hex("0a000106 77656200 633100")),
			b.option(2, hex("fd000000000000000000000000000001 36 00")),
			b.option(3, hex("02420a000106 6d61 63")),
			b.option(4, hex("02420afffe000106 6500")),
			b.option(1, hex("0a00")),
			b.option(0, []),
		);
		expect(b.read().names).toEqual([
			{ address: "10.0.1.6", names: ["web", "c1"] },
			{ address: "fd00::1", names: ["6"] },
			{ address: "02:42:0a:00:01:06", names: ["mac"] },
		]);
	});

	test("of several sections, even of both byte orders, is read as one", () => {
		const [first, second] = [new ByHand(little), new ByHand(!little)];
		first
			.section()
			.interface(1, 0, first.option(2, hex("61")))
			.packet(0, 1n, hex("aa"));
		second
			.section()
			.interface(101, 0)
			.interface(1, 0, second.option(2, hex("62")), second.option(9, [9]))
			.packet(1, 2n, hex("bb"));
		const file = first.put(second.bytes).read();
		expect(file.problem).toBeUndefined();
		expect(file.interfaces.map(({ name }) => name)).toEqual(["a", undefined, "b"]);
		expect(file.packets.map((packet) => [packet.interface, packet.time])).toEqual([
			[0, 1000n],
			[2, 2n],
		]);
		expect(file.sections).toHaveLength(2);
	});

	test("ends where a packet names an interface that its own section does not describe", () => {
		const b = hand();
		b.section().interface(1, 0).packet(0, 1n, hex("aa")).section();
		const offset = b.bytes.length;
		b.packet(0, 1n, hex("bb"));
		expect(b.read()).toMatchObject({
			packets: [{ data: hex("aa") }],
			problem: { kind: "bad-interface", offset },
		});
	});

	test.each<[string, string, (b: ByHand) => unknown]>([
		["a length below a block's own", "bad-length", (b) => b.put(b.u32(5), b.u32(8), b.u32(8))],
		[
			"a length that is not a multiple of four",
			"bad-length",
			(b) => b.put(b.u32(5), b.u32(14), b.u32(0), b.u32(14)),
		],
		["two lengths that differ", "bad-length", (b) => b.put(b.u32(0x999), b.u32(12), b.u32(16))],
		[
			"more data than the block holds",
			"bad-length",
			(b) => b.block(6, b.u32(0), b.u64(0n), b.u32(5), b.u32(5), hex("aabbccdd")),
		],
		[
			"a data length that would wrap around",
			"bad-length",
			(b) => b.block(6, b.u32(0), b.u64(0n), b.u32(0xffff_ffff), b.u32(5)),
		],
		["a packet block without room for its fields", "bad-length", (b) => b.block(6, b.u32(0))],
		["an interface block without room for its fields", "bad-length", (b) => b.block(1, b.u32(0))],
		["secrets longer than their block", "bad-length", (b) => b.block(10, b.u32(1), b.u32(5), b.u32(0))],
		[
			"an option longer than its block",
			"bad-option",
			(b) => b.packet(0, 1n, hex("aa"), b.u16(1), b.u16(5), [...hex("61626364")]),
		],
		[
			"an option with half a header",
			"bad-option",
			(b) => b.section(b.option(3, hex("61626364")), b.u16(1), b.u16(5)),
		],
		["a packet id of the wrong size", "bad-option", (b) => b.packet(0, 1n, hex("aa"), b.option(5, b.u32(1)))],
		["a time resolution of the wrong size", "bad-option", (b) => b.interface(1, 0, b.option(9, [9, 9]))],
		["a name record longer than its block", "bad-option", (b) => b.block(4, b.u16(1), b.u16(9), b.u32(0))],
		[
			"a section of another version",
			"bad-version",
			(b) => b.block(0x0a0d0d0a, b.u32(0x1a2b3c4d), b.u16(2), b.u16(0), b.u64(0n)),
		],
		[
			"a section without its magic",
			"bad-magic",
			(b) => b.block(0x0a0d0d0a, b.u32(0x1a2b3c4e), b.u16(1), b.u16(0), b.u64(0n)),
		],
		["a section with room for nothing", "bad-magic", (b) => b.block(0x0a0d0d0a, [])],
	])("ends at %s", (_name, kind, damage) => {
		const b = hand();
		b.section().interface(1, 0).packet(0, 1n, hex("aa"));
		const offset = b.bytes.length;
		damage(b);
		const { packets, problem } = b.read();
		expect([packets.length, problem?.kind]).toEqual([1, kind]);
		expect(problem?.offset).toBeGreaterThanOrEqual(offset);
	});

	test("cut anywhere gives what is whole and says where it ends", () => {
		const b = hand();
		const ends = [b.section().bytes.length, b.interface(1, 0).bytes.length];
		for (let i = 0; i < 3; i++) ends.push(b.packet(0, BigInt(i), new Uint8Array(i)).bytes.length);
		for (let octets = ends[0] ?? 0; octets <= b.bytes.length; octets++) {
			const { packets, problem } = readPcapng(Uint8Array.from(b.bytes.slice(0, octets)));
			const whole = ends.filter((end) => end <= octets);
			expect(packets).toHaveLength(Math.max(0, whole.length - 2));
			expect([problem?.kind, problem?.offset]).toEqual(
				whole.at(-1) === octets ? [undefined, undefined] : ["truncated", whole.at(-1)],
			);
		}
	});
});

describe("a file of Wireshark's tools", () => {
	const whole = (name: string): PcapngContent & { readonly packets: readonly CapturePacket[] } => {
		const { problem, ...file } = readCapture(fixture(name));
		expect(problem).toBeUndefined();
		return file;
	};
	const ping = whole("nanoseconds.pcap").packets;

	test("with comments", () => {
		expect(whole("comments.pcapng").packets).toEqual([
			{ ...ping[0], comments: ["first echo request"] },
			{ ...ping[1], comments: ["réponse ✓"] },
			ping[2],
		]);
	});

	test("in microseconds", () => {
		expect(whole("microseconds.pcap").packets.map(({ time }) => time)).toEqual(
			ping.map(({ time = 0n }) => time - (time % 1000n)),
		);
	});

	test("of several interfaces and of several sections", () => {
		const merged = whole("interfaces.pcapng");
		expect(merged.interfaces).toHaveLength(2);
		expect(merged.packets.map((packet) => packet.interface)).toEqual([0, 0, 1, 1]);
		expect(merged.sections?.[0]?.application).toMatch(/^Mergecap/);
		const both = whole("sections.pcapng");
		expect(both.packets.map((packet) => packet.interface)).toEqual([0, 0, 1, 1, 2, 2]);
		expect(both.packets.slice(0, 4)).toEqual(merged.packets);
	});

	test("with packets cut short", () => {
		const cut = whole("snapped.pcapng").packets;
		expect(cut.map(({ data, originalLength }) => [data.length, originalLength])).toEqual([
			[60, 98],
			[60, 98],
		]);
	});

	test("with names, directions and secrets", () => {
		expect(whole("names.pcapng").names).toEqual([
			{ address: "10.6.3.10", names: ["b.lan"] },
			{ address: "10.6.1.10", names: ["a.lan"] },
		]);
		const directions = whole("directions.pcapng");
		expect(directions.packets.map((packet) => [packet.direction, packet.time, packet.data.length])).toEqual([
			["in", 1_767_348_914_547_600_000n, 18],
			["out", 1_767_348_915_250_000_000n, 17],
		]);
		expect(directions.interfaces[0]?.name).toBe("veth0");
		const [secrets] = whole("secrets.pcapng").secrets ?? [];
		expect([secrets?.type, new TextDecoder().decode(secrets?.data)]).toEqual([
			0x544c534b,
			"CLIENT_RANDOM 000102 030405\n",
		]);
	});

	test.each(["comments", "directions", "interfaces", "names", "secrets", "snapped"])(
		"%s, written by us, says the same",
		(name) => {
			const file = whole(`${name}.pcapng`);
			expect(readPcapng(writePcapng(file))).toEqual(file);
		},
	);
});
