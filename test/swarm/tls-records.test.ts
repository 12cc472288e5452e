import { describe, expect, test } from "vitest";
import { RecordProtection } from "../../src/swarm/control/tls-keys.ts";
import { tls } from "../../src/wire/index.ts";

const client = Uint8Array.from({ length: 32 }, (_, i) => i);
const server = Uint8Array.from({ length: 32 }, (_, i) => 255 - i);
const protection = (label = "client data"): RecordProtection => new RecordProtection(client, server, label);
const text = Uint8Array.from({ length: 1001 }, (_, i) => (i * 7) & 0xff);

function fragmentOf(record: Uint8Array): Uint8Array {
	const found = tls.read(record);
	if (found === undefined || typeof found === "string") throw new Error("no record");
	return found.fragment;
}

describe("sealed records", () => {
	test("are longer by their type and a tag, and both ends read the same in their order", () => {
		const [here, there] = [protection(), protection()];
		for (const octets of [0, 1, 2, 3, 4, 5, 1001]) {
			const sealed = here.seal(tls.CONTENT.HANDSHAKE, text.subarray(0, octets));
			expect(sealed).toHaveLength(tls.OCTETS + octets + 17);
			const opened = there.open(fragmentOf(sealed));
			expect(opened?.type).toBe(tls.CONTENT.HANDSHAKE);
			expect([...(opened?.fragment ?? [])]).toEqual([...text.subarray(0, octets)]);
		}
	});

	test("do not show what is in them: the same again looks otherwise, and no octet is more frequent than by chance", () => {
		const here = protection();
		const zeros = new Uint8Array(8192);
		const [one, two] = [here.seal(23, zeros), here.seal(23, zeros)].map(fragmentOf);
		expect(one).not.toEqual(two);
		const counts = new Uint32Array(256);
		for (const octet of [...(one ?? []), ...(two ?? [])]) counts[octet]!++;
		// 64 each on average, deviation 8.
		expect(Math.max(...counts)).toBeLessThan(64 + 6 * 8);
		expect(Math.min(...counts)).toBeGreaterThan(64 - 6 * 8);
	});

	test("are refused with any octet changed, cut short, out of their order, and by another key", () => {
		const sealed = fragmentOf(protection().seal(23, text.subarray(0, 40)));
		expect(protection().open(sealed)).toBeDefined();
		for (let at = 0; at < sealed.length; at++) {
			const changed = sealed.slice();
			changed[at]! ^= 0x10;
			expect(protection().open(changed)).toBeUndefined();
			expect(protection().open(sealed.slice(0, at))).toBeUndefined();
		}
		expect(protection("server data").open(sealed)).toBeUndefined();
		const later = protection();
		later.seal(23, text);
		expect(later.open(sealed)).toBeUndefined();
	});
});
