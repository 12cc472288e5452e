import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checksum, icmp, ipv4 } from "../../src/wire/index.ts";

/** RFC 1071 §1, literally: words of two octets, the last odd one padded with zero. */
function naive(bytes: Uint8Array): number {
	let sum = 0;
	for (let i = 0; i < bytes.length; i += 2) {
		sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
		if (sum > 0xffff) sum -= 0xffff;
	}
	return ~sum & 0xffff;
}

describe("the internet checksum", () => {
	test("of RFC 1071's example 00 01 f2 03 f4 f5 f6 f7 is the complement of ddf2", () => {
		const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
		expect(checksum.checksum(new DataView(bytes.buffer), 0, 8)).toBe(~0xddf2 & 0xffff);
	});

	test("is the literal sum for any octets, alignment and odd length", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 2048 }), fc.nat({ max: 5 }), (bytes, offset) => {
				const padded = new Uint8Array(bytes.length + offset + 3);
				padded.set(bytes, offset);
				expect(checksum.checksum(new DataView(padded.buffer), offset, bytes.length)).toBe(naive(bytes));
			}),
		);
	});

	test("updated for one changed word equals the one computed anew (RFC 1624)", () => {
		fc.assert(
			fc.property(
				fc.uint8Array({ minLength: 20, maxLength: 60 }),
				fc.nat({ max: 9 }),
				fc.nat({ max: 0xffff }),
				(bytes, word, to) => {
					const view = new DataView(bytes.slice().buffer);
					// A sum over zeros alone has no complement: a header is never all zeros.
					view.setUint8(0, 0x45);
					const at = 2 + (word % 8) * 2;
					const before = checksum.checksum(view, 0, bytes.length);
					const from = view.getUint16(at);
					view.setUint16(at, to);
					expect(checksum.update16(before, from, to)).toBe(checksum.checksum(view, 0, bytes.length));
				},
			),
		);
	});

	test("stays right through every in-place change of an IPv4 header", () => {
		fc.assert(
			fc.property(
				fc.nat({ max: 255 }),
				fc.integer({ min: 2, max: 255 }),
				fc.integer(),
				fc.integer(),
				(tos, ttl, a, b) => {
					const view = new DataView(new ArrayBuffer(20));
					ipv4.writePlain(view, 0, 84, tos, 7, 0x4000, ttl, 1, a as never, b as never);
					expect(ipv4.isChecksumGood(view, 0)).toBe(true);
					ipv4.decrementTtl(view, 0);
					expect([ipv4.ttl(view, 0), ipv4.isChecksumGood(view, 0)]).toEqual([ttl - 1, true]);
					ipv4.setTos(view, 0, b & 255);
					ipv4.setSource(view, 0, b as never);
					ipv4.setDestination(view, 0, a as never);
					expect([ipv4.tos(view, 0), ipv4.source(view, 0), ipv4.destination(view, 0)]).toEqual([
						b & 255,
						b,
						a,
					]);
					expect(ipv4.isChecksumGood(view, 0)).toBe(true);
				},
			),
		);
	});

	test("of an echo request turned into its reply is right", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat({ max: 0xffff }), (data, id) => {
				const bytes = new Uint8Array(8 + data.length);
				bytes.set(data, 8);
				const view = new DataView(bytes.buffer);
				icmp.writeEcho(view, 0, icmp.ECHO_REQUEST, id, 1);
				icmp.writeChecksum(view, 0, bytes.length);
				icmp.setType(view, 0, icmp.ECHO_REPLY, 0);
				expect(checksum.checksum(view, 0, bytes.length)).toBe(0);
			}),
		);
	});
});
