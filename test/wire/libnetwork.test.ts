import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { libnetwork, protobuf } from "../../src/wire/index.ts";

const hex = (octets: Uint8Array): string =>
	Array.from(octets, (each) => each.toString(16).padStart(2, "0")).join("");
const bytes = (digits: string): Uint8Array =>
	Uint8Array.from(digits.replaceAll(" ", "").match(/../g) ?? [], (each) => parseInt(each, 16));

const { peerRecord, endpointRecord } = libnetwork;
const word = fc.string({ unit: "grapheme", maxLength: 12 });
const anyPeer: fc.Arbitrary<libnetwork.PeerRecord> = fc.record({
	endpointIp: word,
	endpointMac: word,
	tunnelEndpointIp: word,
});
const anyPort = fc.nat({ max: 0xffff_ffff });
const anyEndpoint: fc.Arbitrary<libnetwork.EndpointRecord> = fc.record({
	name: word,
	serviceName: word,
	serviceId: word,
	virtualIp: word,
	endpointIp: word,
	ingressPorts: fc.array(
		fc.record({ name: word, protocol: fc.nat({ max: 2 }), targetPort: anyPort, publishedPort: anyPort }),
		{ maxLength: 3 },
	),
	aliases: fc.array(word, { maxLength: 3 }),
	taskAliases: fc.array(word, { maxLength: 3 }),
	serviceDisabled: fc.boolean(),
});

const PEER = {
	endpointIp: "10.0.1.3/24",
	endpointMac: "02:42:0a:00:01:03",
	tunnelEndpointIp: "192.168.65.11",
};
const PEER_OCTETS =
	"0a0b31302e302e312e332f3234 121130323a34323a30613a30303a30313a3033 1a0d3139322e3136382e36352e3131";

describe("a peer record", () => {
	test("of 10.0.1.3 behind 192.168.65.11 is the 47 octets that libnetwork writes", () => {
		expect(hex(peerRecord.write(PEER))).toBe(PEER_OCTETS.replaceAll(" ", ""));
		expect(peerRecord.read(bytes(PEER_OCTETS))).toEqual(PEER);
		expect(peerRecord.write(PEER)).toHaveLength(47);
	});

	test("comes back as it went in", () => {
		fc.assert(
			fc.property(anyPeer, (each) => {
				expect(peerRecord.read(peerRecord.write(each))).toEqual(each);
			}),
		);
	});
});

describe("an endpoint record", () => {
	test("of a service's task has its ports and names as fields 6 to 8, and nothing for what is zero", () => {
		const record = {
			name: "web.1.x",
			serviceName: "web",
			serviceId: "s",
			virtualIp: "10.0.0.5",
			endpointIp: "10.0.0.6",
			ingressPorts: [{ name: "", protocol: 0, targetPort: 80, publishedPort: 8080 }],
			aliases: ["w"],
			taskAliases: ["t"],
			serviceDisabled: false,
		};
		const octets = [
			"0a077765622e312e78",
			"1203776562",
			"1a0173",
			"220831302e302e302e35",
			"2a0831302e302e302e36",
			"32051850 20903f",
			"3a0177",
			"420174",
		].join("");
		expect(hex(endpointRecord.write(record))).toBe(octets.replaceAll(" ", ""));
		expect(hex(endpointRecord.write({ ...record, serviceDisabled: true }))).toBe(
			`${octets.replaceAll(" ", "")}4801`,
		);
	});

	test("comes back as it went in", () => {
		fc.assert(
			fc.property(anyEndpoint, (each) => {
				expect(endpointRecord.read(endpointRecord.write(each))).toEqual(each);
			}),
		);
	});

	test("of any octets, or with octets changed, is read or refused, never more", () => {
		const changed = fc
			.tuple(anyEndpoint, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }))
			.map(([each, changes]) => {
				const octets = endpointRecord.write(each);
				for (const [at, value] of changes) if (octets.length > 0) octets[at % octets.length] = value;
				return octets;
			});
		fc.assert(
			fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 60 })), (octets) => {
				const read = endpointRecord.read(octets);
				if (typeof read === "string") expect(read).toBe("protobuf-malformed");
				else expect(endpointRecord.read(endpointRecord.write(read))).toEqual(read);
			}),
			{ numRuns: 2000 },
		);
	});

	test("that ends inside a field is malformed", () => {
		expect(endpointRecord.read(bytes("0a05776562"))).toBe("protobuf-malformed");
		expect(endpointRecord.read(bytes("48"))).toBe("protobuf-malformed");
		expect(endpointRecord.read(bytes("80"))).toBe("protobuf-malformed");
	});
});

describe("protocol buffers", () => {
	const { message, uint, int32, text, octets } = protobuf;
	const numbers = message<{ a: number; b: number }>({ a: uint(1), b: int32(8) });

	test("numbers take seven bits an octet, the lowest first; negative ones take ten octets", () => {
		expect(hex(numbers.write({ a: 300, b: 0 }))).toBe("08ac02");
		expect(hex(numbers.write({ a: 0, b: -1 }))).toBe("40ffffffffffffffffff01");
		fc.assert(
			fc.property(fc.maxSafeNat(), fc.integer(), (a, b) => {
				expect(numbers.read(numbers.write({ a, b }))).toEqual({ a, b });
			}),
		);
	});

	test("a field nobody knows is passed over, whatever its wire type, groups too", () => {
		for (const unknown of [
			"9a0601 78",
			"980601",
			"99060102030405060708",
			"9d0601020304",
			"9b06 9a060178 08 05 9c06",
		])
			expect(numbers.read(bytes(`${unknown} 0807`))).toEqual({ a: 7, b: 0 });
	});

	test("a field of another wire type, field 0, a group without an end and a varint of eleven octets are malformed", () => {
		for (const bad of ["0a0107", "0007", "9b06", "9c06", "08ffffffffffffffffffff01", "0f"])
			expect(numbers.read(bytes(bad))).toBe("protobuf-malformed");
	});

	test("a number beyond 2^53 is malformed, for no clock gets there", () => {
		expect(numbers.read(bytes("08ffffffffffffffffff01"))).toBe("protobuf-malformed");
	});

	test("the last of several values of one field counts", () => {
		expect(numbers.read(bytes("08010802"))).toEqual({ a: 2, b: 0 });
	});

	test("what no field can hold is refused with its name", () => {
		expect(() => numbers.write({ a: -1, b: 0 })).toThrow(
			"a is -1, expected a whole number from 0 to 2^53 - 1",
		);
		expect(() => numbers.write({ a: 0, b: 2 ** 31 })).toThrow("b is 2147483648");
		const named = message<{ name: string; value: Uint8Array }>({ name: text(1), value: octets(2) });
		expect(() => named.write({ name: "\ud800", value: new Uint8Array() })).toThrow(
			"expected whole characters",
		);
		expect(named.read(bytes("0a02c328"))).toBe("protobuf-malformed");
	});
});
