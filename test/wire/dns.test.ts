import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dns } from "../../src/wire/index.ts";
import { recording } from "../support/golden.ts";

const label = fc.stringMatching(/^[a-z0-9_-]{1,20}$/);
const name = fc
	.array(label, { maxLength: 6 })
	.map((labels) => (labels.length === 0 ? "." : `${labels.join(".")}.`));
const word = fc.nat({ max: 0xffff });
const plain = fc.record({
	name,
	type: fc.constantFrom(1, 16, 28, 41, 99),
	class: word,
	ttl: fc.nat({ max: 0xffff_ffff }),
	data: fc.uint8Array({ maxLength: 40 }),
});
const naming = fc.record({
	name,
	type: fc.constantFrom(dns.TYPE.PTR, dns.TYPE.CNAME, dns.TYPE.NS),
	class: fc.constant(1),
	ttl: fc.constant(600),
	data: name.map((each) => Uint8Array.from(dns.nameOctets(each))),
});
const records = fc.array(fc.oneof(plain, naming), { maxLength: 5 });
const message: fc.Arbitrary<dns.Message> = fc.record({
	id: word,
	flags: word,
	questions: fc.array(fc.record({ name, type: word, class: word }), { maxLength: 3 }),
	answers: records,
	authorities: records,
	additional: records,
});

describe("a DNS message", () => {
	test("comes back from its octets as it went in, compressed or not", () => {
		fc.assert(
			fc.property(message, fc.boolean(), (each, compress) => {
				expect(dns.read(dns.write(each, { compress }))).toEqual(each);
			}),
			{ numRuns: 1000 },
		);
	});

	test("is never longer for being compressed", () => {
		fc.assert(
			fc.property(message, (each) => {
				expect(dns.write(each, { compress: true }).length).toBeLessThanOrEqual(dns.write(each).length);
			}),
		);
	});

	test("of any octets, or with octets changed, is read or refused, never more", () => {
		const said = recording("02-bridge-user/dns-lc1-lo").map(({ data }) => data.slice(42));
		const changed = fc
			.tuple(fc.constantFrom(...said), fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 6 }))
			.map(([octets, changes]) => {
				const bytes = octets.slice();
				for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
				return bytes;
			});
		fc.assert(
			fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 200 })), (bytes) => {
				const read = dns.read(bytes);
				if (typeof read === "string") expect(read).toBe("dns-malformed");
				// What was read can be said again.
				else expect(dns.read(dns.write(read))).toEqual(read);
			}),
			{ numRuns: 5000 },
		);
	});

	test.each([
		["a pointer to itself", [0xc0, 0x0c]],
		["a pointer forward", [0xc0, 0x20]],
		["a label that ends behind the message", [0x3f, 0x61]],
		["a label of a reserved kind", [0x80, 0x61, 0]],
		["a name without an end", [0x01, 0x61]],
	])("is refused for %s", (_, octets) => {
		const header = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
		expect(dns.read(Uint8Array.from([...header, ...octets, 0, 1, 0, 1].slice(0, 12 + octets.length)))).toBe(
			"dns-malformed",
		);
	});

	test("refuses to write names beyond the limits", () => {
		expect(() => dns.nameOctets(`${"a".repeat(64)}.`)).toThrow("labels of 1 to 63 octets");
		expect(() => dns.nameOctets("a..b.")).toThrow("labels of 1 to 63 octets");
		expect(() => dns.nameOctets(`${"a".repeat(60)}.`.repeat(5))).toThrow("at most 255 octets");
	});
});
