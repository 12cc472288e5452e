import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cabled, converse, pattern } from "../support/tcp-cable.ts";

const RUNS = { numRuns: 120 };

const anyNetem = fc.record({
	loss: fc.double({ min: 0, max: 0.3, noNaN: true }),
	duplicate: fc.double({ min: 0, max: 0.2, noNaN: true }),
	corrupt: fc.double({ min: 0, max: 0.1, noNaN: true }),
	reorder: fc.double({ min: 0, max: 0.4, noNaN: true }),
	delay: fc.integer({ min: 0, max: 80 }),
	jitter: fc.integer({ min: 0, max: 20 }),
});

const anyTuning = fc.record({
	congestion: fc.constantFrom("cubic" as const, "reno" as const),
	noDelay: fc.boolean(),
});

describe("over any cable", () => {
	test("what was said arrives once, in order, or the connection fails with an errno; after that nothing is left", async () => {
		await fc.assert(
			fc.asyncProperty(
				anyNetem,
				fc.nat({ max: 150_000 }),
				fc.nat({ max: 20_000 }),
				anyTuning,
				fc.option(fc.integer({ min: 2048, max: 40_000 }), { nil: undefined }),
				fc.nat(),
				async (netem, up, down, tuning, receiveBuffer, seed) => {
					const net = cabled(netem, seed);
					const said = { a: pattern(up, 1), b: pattern(down, 2) };
					const small = receiveBuffer === undefined ? {} : { receiveBuffer };
					const { a, b } = await converse(net, said, { a: tuning, b: { ...tuning, ...small } });
					for (const [heard, from] of [
						[a, said.b],
						[b, said.a],
					] as const) {
						expect(Buffer.compare(heard.text, from.subarray(0, heard.text.length))).toBe(0);
						if (heard.ended && heard.error === undefined) expect(heard.text.length).toBe(from.length);
					}
					// Where one gave up, the other may wait for ever for what will not come, as a real one does.
					const gaveUp = a.error !== undefined || b.error !== undefined;
					if (!gaveUp) expect([a.over, b.over]).toEqual([true, true]);
					else for (const each of [...net.a.tcp.sockets(), ...net.b.tcp.sockets()]) each.abort();
					await net.lab.advance("61s");
					expect([net.a.tcp.count, net.b.tcp.count]).toEqual([0, 0]);
					expect(net.lab.world.frames.taken).toBe(0);
				},
			),
			RUNS,
		);
	}, 120_000);

	test("without loss both always hear everything", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.nat({ max: 300_000 }),
				fc.nat({ max: 300_000 }),
				fc.integer({ min: 0, max: 50 }),
				fc.double({ min: 0, max: 0.5, noNaN: true }),
				async (up, down, delay, reorder) => {
					const net = cabled({ delay, reorder }, up);
					const said = { a: pattern(up, 1), b: pattern(down, 2) };
					const { a, b } = await converse(net, said);
					expect([a.error, b.error]).toEqual([undefined, undefined]);
					expect([a.text.length, b.text.length]).toEqual([down, up]);
					expect([net.a.tcp.count, net.b.tcp.count]).toEqual([0, 0]);
				},
			),
			{ numRuns: 60 },
		);
	}, 60_000);
});
