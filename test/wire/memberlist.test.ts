import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Rng } from "../../src/sim/index.ts";
import { crc32, lzw, memberlist, memberlistPacket, networkdb } from "../../src/wire/index.ts";

const hex = (octets: Uint8Array): string =>
	Array.from(octets, (each) => each.toString(16).padStart(2, "0")).join("");
const bytes = (digits: string): Uint8Array =>
	Uint8Array.from(digits.replaceAll(" ", "").match(/../g) ?? [], (each) => parseInt(each, 16));
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

const word = fc.string({ unit: "grapheme", maxLength: 12 });
const octets = fc.uint8Array({ maxLength: 40 });
const port = fc.nat({ max: 0xffff });
const u32 = fc.nat({ max: 0xffff_ffff });
const source = { sourceAddr: octets, sourcePort: port, sourceNode: word };
const accusation = { incarnation: u32, node: word, from: word };
const of = <Type extends string>(type: Type) => fc.constant(type);
const anyMessage: fc.Arbitrary<memberlist.Message> = fc.oneof(
	fc.record({ type: of("ping"), seqNo: u32, node: word, ...source }),
	fc.record({
		type: of("indirect-ping"),
		seqNo: u32,
		nack: fc.boolean(),
		target: octets,
		port,
		node: word,
		...source,
	}),
	fc.record({ type: of("ack"), seqNo: u32, payload: fc.option(octets) }),
	fc.record({ type: of("nack"), seqNo: u32 }),
	fc.record({ type: of("suspect"), ...accusation }),
	fc.record({ type: of("dead"), ...accusation }),
	fc.record({
		type: of("alive"),
		incarnation: u32,
		node: word,
		addr: octets,
		port,
		meta: octets,
		vsn: octets,
	}),
	fc.record({ type: of("user"), payload: octets }),
);
const anyPushPull: fc.Arbitrary<memberlist.PushPull> = fc.record({
	type: of("push-pull"),
	join: fc.boolean(),
	nodes: fc.array(
		fc.record({
			name: word,
			addr: octets,
			port,
			meta: octets,
			incarnation: u32,
			state: fc.nat({ max: 3 }),
			vsn: octets,
		}),
		{ maxLength: 4 },
	),
	userState: octets,
});
const keyOf = (seed: number) => new memberlistPacket.GossipKey(new Uint8Array(16).fill(seed));
const nonce = Uint8Array.from({ length: 12 }, (_, i) => i);

/** What a datagram's payload says, with the keys of a receiver. */
function opened(payload: Uint8Array, keys: readonly memberlistPacket.GossipKey[]) {
	const messages: Uint8Array[] = [];
	const drops: string[] = [];
	memberlistPacket.openPacket(payload, keys, {
		heard: (message) => messages.push(message.slice()),
		dropped: (reason) => drops.push(reason),
	});
	return { messages, drops };
}

describe("LZW", () => {
	test.each([
		["", "01 01"],
		["TOBEORNOTTOBEORTOBEORNOT", "549e0829f2448a932754 04 1234b8b0e0c184 01 01"],
		["\x28\xff\xff\xff\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "0051fc1b2870a0c1830101"],
	])("%j is read from the octets that Go's own tests have for it", (plain, packed) => {
		const read = lzw.decompress(bytes(packed), 1000);
		expect(typeof read === "string" ? read : String.fromCharCode(...read)).toBe(plain);
	});

	test("is written as in the GIF standard's example, and begins with a clear code", () => {
		const written = lzw.compress(bytes("28ffffff28ffffffffffffffffffff"));
		expect(hex(written!)).toBe("0051fc1b2870a0c1830101");
	});

	test("octets that end without an end code, and codes not defined yet, are malformed", () => {
		expect(lzw.decompress(bytes("549e0829f2448a93275404"), 1000)).toBe("lzw-malformed");
		expect(lzw.decompress(bytes("00ff"), 1000)).toBe("lzw-malformed");
	});

	test("a bomb ends at the limit", () => {
		const bomb = lzw.compress(new Uint8Array(2_000_000))!;
		expect(bomb.length).toBeLessThan(5_000);
		expect(lzw.decompress(bomb, 100_000)).toBe("lzw-too-long");
	});

	test("what is written is what is read, short and long, alike and random, over many full tables", () => {
		const rng = new Rng(1);
		for (const [length, kinds] of [
			[0, 1],
			[1, 1],
			[5000, 256],
			[60_000, 256],
			[200_000, 3],
			[300_000, 1],
		] as const) {
			const plain = Uint8Array.from({ length }, () => rng.below(kinds));
			expect(lzw.decompress(lzw.compress(plain)!, length)).toEqual(plain);
		}
		fc.assert(
			fc.property(fc.array(fc.nat({ max: 3 }), { maxLength: 400 }), (list) => {
				const plain = Uint8Array.from(list);
				expect(lzw.decompress(lzw.compress(plain)!, 400)).toEqual(plain);
			}),
		);
	});
});

test("CRC-32 of the digits 1 to 9 is the published one", () => {
	expect(crc32(ascii("123456789"))).toBe(0xcbf4_3926);
});

describe("memberlist's messages", () => {
	test("a ping is 81 octets: a map with its keys in order, text and addresses as raw octets", () => {
		const ping = memberlist.write({
			type: "ping",
			seqNo: 1,
			node: "5f4e3d2c1b0a",
			sourceAddr: bytes("c0a8410b"),
			sourcePort: 7946,
			sourceNode: "0a1b2c3d4e5f",
		});
		expect(hex(ping)).toBe(
			[
				"0085a44e6f6465ac356634653364326331623061a55365714e6f01",
				"aa536f7572636541646472a4c0a8410baa536f757263654e6f6465ac306131623263336434653566",
				"aa536f75726365506f7274cd1f0a",
			].join(""),
		);
		expect(ping).toHaveLength(81);
	});

	test("an ack without payload says nil", () => {
		expect(hex(memberlist.write({ type: "ack", seqNo: 1, payload: null }))).toBe(
			"0282a75061796c6f6164c0a55365714e6f01",
		);
	});

	test("numbers take one octet up to 127, then two, three and five, never with a sign", () => {
		const number = (seqNo: number) => hex(memberlist.write({ type: "nack", seqNo })).slice(-10);
		expect([127, 128, 255, 256, 65_535, 65_536].map(number)).toEqual([
			"65714e6f7f",
			"714e6fcc80",
			"714e6fccff",
			"4e6fcd0100",
			"4e6fcdffff",
			"ce00010000",
		]);
	});

	test("of newer members, with signed numbers, short strings' tags and fields nobody knows, are read", () => {
		expect(
			memberlist.read(bytes("0b82 a5536571 4e6f d10080 a3466f6f 92c3 81a161cb0000000000000000")),
		).toEqual({
			type: "nack",
			seqNo: 128,
		});
		expect(memberlist.read(bytes("0b81a55365714e6fd1ffff"))).toBe("msgpack-malformed");
	});

	test("come back as they went in", () => {
		fc.assert(
			fc.property(anyMessage, (each) => {
				expect(memberlist.read(memberlist.write(each))).toEqual(each);
			}),
			{ numRuns: 1000 },
		);
		fc.assert(
			fc.property(anyPushPull, (each) => {
				expect(memberlist.readStream(memberlist.writeStream(each))).toEqual(each);
			}),
		);
	});

	test("a compound holds its lengths first, and what is whole of one that was cut", () => {
		const compound = memberlist.compound([ascii("abc"), ascii(""), ascii("de")]);
		expect(hex(compound)).toBe("0703000300000002" + hex(ascii("abcde")));
		expect(memberlist.parts(compound).messages.map((each) => each.length)).toEqual([3, 0, 2]);
		expect(memberlist.parts(compound.subarray(0, -1))).toEqual({
			messages: [ascii("abc"), ascii("")],
			cut: "memberlist-truncated",
		});
		expect(() => memberlist.compound(new Array<Uint8Array>(256).fill(ascii("")))).toThrow("at most 255");
	});

	test("of any octets are read or refused; a count of a thousand million members allocates nothing", () => {
		const changed = fc
			.tuple(
				fc.oneof(anyMessage.map(memberlist.write), anyPushPull.map(memberlist.writeStream)),
				fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }),
			)
			.map(([whole, changes]) => {
				const copy = whole.slice();
				for (const [at, value] of changes) copy[at % copy.length] = value;
				return copy;
			});
		fc.assert(
			fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 60 })), (each) => {
				memberlist.read(each);
				memberlist.readStream(each);
				opened(each, []);
			}),
			{ numRuns: 3000 },
		);
		const huge = bytes("0683a44a6f696ec3a54e6f646573ce3b9aca00ac557365725374617465 4c656e00");
		expect(memberlist.readStream(huge)).toBe("memberlist-truncated");
	});
});

describe("a gossip packet", () => {
	test("is version, nonce, ciphertext and tag: 29 octets more than its content", () => {
		const key = keyOf(7);
		const ack = memberlist.write({ type: "ack", seqNo: 1, payload: null });
		const sealed = memberlistPacket.sealPacket(ack, { key, nonce, crc: false });
		expect(sealed).toHaveLength(ack.length + 29);
		expect(hex(sealed.subarray(0, 13))).toBe("01" + hex(nonce));
		expect(opened(sealed, [key])).toEqual({ messages: [ack], drops: [] });
	});

	test("is AES-128-GCM as NIST's test case 2 has it", () => {
		const key = new memberlistPacket.GossipKey(new Uint8Array(16));
		const sealed = memberlistPacket.sealPacket(new Uint8Array(16), {
			key,
			nonce: new Uint8Array(12),
			crc: false,
		});
		expect(hex(sealed.subarray(13))).toBe("0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf");
	});

	test("opens with any of the receiver's keys, and with no other", () => {
		const sealed = memberlistPacket.sealPacket(ascii("\x08hello"), { key: keyOf(1), nonce, crc: true });
		expect(opened(sealed, [keyOf(2), keyOf(1)]).messages.map(hex)).toEqual([hex(ascii("\x08hello"))]);
		expect(opened(sealed, [keyOf(2)]).drops).toEqual(["memberlist-no-key"]);
	});

	test("is compressed only when that makes it shorter", () => {
		const key = keyOf(1);
		const sizes = [ascii("\x08abcdefgh"), new Uint8Array(500).fill(8)].map(
			(each) => memberlistPacket.sealPacket(each, { key, nonce, crc: false }).length - 29,
		);
		expect(sizes[0]).toBe(9);
		expect(sizes[1]).toBeLessThan(80);
	});

	test("with a wrong CRC is dropped whole", () => {
		expect(opened(bytes("0c 00000000 0b81a55365714e6f01"), []).drops).toEqual(["memberlist-crc"]);
		expect(opened(bytes("0c 00"), []).messages).toHaveLength(1);
	});

	test("wrapped in itself without end is refused", () => {
		let message: Uint8Array = memberlist.write({ type: "nack", seqNo: 1 });
		for (let i = 0; i < 20; i++) message = memberlist.compound([message]);
		expect(opened(message, []).drops).toEqual(["memberlist-nested"]);
	});

	test("and a stream come through whole, and not at all when one octet is changed", () => {
		const key = keyOf(3);
		fc.assert(
			fc.property(
				fc.array(anyMessage.map(memberlist.write), { minLength: 1, maxLength: 5 }),
				fc.nat(),
				(list, at) => {
					const sealed = memberlistPacket.sealPacket(memberlist.compound(list), { key, nonce, crc: true });
					expect(opened(sealed, [key])).toEqual({ messages: list, drops: [] });
					// The version in front is all that is not authenticated.
					sealed[1 + (at % (sealed.length - 1))]! ^= 1;
					expect(opened(sealed, [key]).messages).toEqual([]);
				},
			),
		);
		fc.assert(
			fc.property(anyPushPull, fc.nat(), (state, at) => {
				const stream = memberlistPacket.sealStream(memberlist.writeStream(state), { key, nonce });
				expect(memberlistPacket.streamOctets(stream.subarray(0, 5))).toBe(stream.length);
				const plain = memberlistPacket.openStream(stream, [key]);
				expect(typeof plain === "string" ? plain : memberlist.readStream(plain)).toEqual(state);
				const changed = at % stream.length;
				stream[changed]! ^= changed === 5 ? 2 : 1;
				expect(typeof memberlistPacket.openStream(stream, [key])).toBe("string");
			}),
		);
	});

	test("a stream of more than ten mebioctets, in clear, or of an unknown version is refused from its first octets", () => {
		expect(memberlistPacket.streamOctets(bytes("0affffffff"))).toBe("memberlist-too-long");
		expect(memberlistPacket.streamOctets(bytes("06"))).toBe("memberlist-clear");
		expect(memberlistPacket.streamOctets(bytes("0a0000"))).toBeUndefined();
		expect(memberlistPacket.openStream(bytes("0600"), [keyOf(1)])).toBe("memberlist-clear");
		expect(opened(bytes("02ff"), [keyOf(1)]).drops).toEqual(["memberlist-encryption"]);
	});
});

describe("networkdb's messages", () => {
	const { TYPE, networkEvent, write } = networkdb;

	test("a network event is the 49 octets that libnetwork writes", () => {
		const event = { type: 1, lTime: 5, nodeName: "0a1b2c3d4e5f", networkId: "j".repeat(25) };
		expect(hex(write(TYPE.NETWORK_EVENT, networkEvent, event))).toBe(
			`0801122d 080110051a0c${hex(ascii("0a1b2c3d4e5f"))}2219${"6a".repeat(25)}`.replaceAll(" ", ""),
		);
	});

	test("a compound has each message in one of its own", () => {
		expect(hex(networkdb.writeCompound([ascii("ab"), ascii("c")]))).toBe(
			"0805120b 0a040a026162 0a030a0163".replaceAll(" ", ""),
		);
		expect(networkdb.writeCompound([])).toEqual(bytes("0805"));
	});

	test("come back as they went in", () => {
		const event = fc.record({
			type: fc.nat({ max: 3 }),
			lTime: fc.maxSafeNat(),
			nodeName: word,
			networkId: word,
			tableName: word,
			key: word,
			value: octets,
			residualReapTime: fc.integer(),
		});
		const { tableEvent, bulkSyncMessage, gossipMessage, readCompound } = networkdb;
		fc.assert(
			fc.property(fc.array(event, { maxLength: 4 }), fc.boolean(), (events, unsolicited) => {
				const list = events.map((each) => write(TYPE.TABLE_EVENT, tableEvent, each));
				const sync = {
					lTime: 1,
					unsolicited,
					nodeName: "n",
					networks: ["a", ""],
					payload: networkdb.writeCompound(list),
				};
				const read = bulkSyncMessage.read(bulkSyncMessage.write(sync));
				expect(read).toEqual(sync);
				const compound = gossipMessage.read(sync.payload) as networkdb.GossipMessage;
				const back = readCompound(compound.data) as Uint8Array[];
				expect(
					back.map((each) => tableEvent.read((gossipMessage.read(each) as networkdb.GossipMessage).data)),
				).toEqual(events);
			}),
		);
	});
});
