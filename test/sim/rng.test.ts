import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Rng } from "../../src/sim/index.ts";

describe("chance comes from the seed", () => {
	test("the same seed draws the same numbers on every machine and in every version", () => {
		const rng = new Rng(1);
		expect(Array.from({ length: 4 }, () => rng.uint32())).toMatchInlineSnapshot(`
			[
			  327957717,
			  228396819,
			  1839146018,
			  3691995872,
			]
		`);
	});

	test("a fork depends on seed and name, not on what was drawn before", () => {
		fc.assert(
			fc.property(fc.string(), fc.nat({ max: 20 }), (name, draws) => {
				const [a, b] = [new Rng(7), new Rng(7)];
				for (let i = 0; i < draws; i++) a.uint32();
				expect(a.fork(name).uint32()).toBe(b.fork(name).uint32());
			}),
		);
	});

	test("draws spread evenly: chi-square over 256 bins of 100,000 draws", () => {
		const rng = new Rng("even");
		const bins = new Array<number>(256).fill(0);
		for (let i = 0; i < 100_000; i++) bins[rng.below(256)]!++;
		const square = bins.reduce((sum, count) => sum + (count - 390.625) ** 2 / 390.625, 0);
		// 255 degrees of freedom: one in 10,000 lies outside.
		expect(square).toBeGreaterThan(180);
		expect(square).toBeLessThan(350);
	});

	test("normal draws have mean 0 and deviation 1", () => {
		const rng = new Rng("bell");
		const draws = Array.from({ length: 50_000 }, () => rng.normal());
		const mean = draws.reduce((a, b) => a + b, 0) / draws.length;
		const deviation = Math.sqrt(draws.reduce((a, b) => a + (b - mean) ** 2, 0) / draws.length);
		expect(Math.abs(mean)).toBeLessThan(0.02);
		expect(Math.abs(deviation - 1)).toBeLessThan(0.02);
	});
});
