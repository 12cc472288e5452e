import fc from "fast-check";
import { expect, test } from "vitest";
import { LayeredMap } from "../src/layered-map.ts";

const key = fc.nat(7);
const anyStep = fc.oneof(
	fc.record({ kind: fc.constant("set" as const), key, value: fc.nat(3) }),
	fc.record({ kind: fc.constant("delete" as const), key }),
	fc.record({ kind: fc.constant("lay" as const), common: fc.dictionary(key.map(String), fc.nat(3)) }),
);

test("a map over a common one holds what a map holds that everything was put into, in the common one's order first", () => {
	fc.assert(
		fc.property(fc.array(anyStep, { maxLength: 30 }), (steps) => {
			const layered = new LayeredMap<number, number>();
			const plain = new Map<number, number>();
			let common = new Map<number, number>();
			for (const step of steps) {
				if (step.kind === "set") {
					layered.set(step.key, step.value);
					plain.set(step.key, step.value);
				} else if (step.kind === "delete") {
					layered.delete(step.key);
					plain.delete(step.key);
				} else {
					// What was common before and is so no longer goes; what was put here stays.
					for (const each of common.keys()) if (!layered.own.has(each)) plain.delete(each);
					common = new Map(Object.entries(step.common).map(([name, value]) => [Number(name), value]));
					layered.lay(common);
					for (const [each, value] of common) if (!layered.own.has(each)) plain.set(each, value);
				}
				expect(layered.size).toBe(plain.size);
				for (let each = 0; each < 8; each++) expect(layered.get(each)).toBe(plain.get(each));
				const order = [...layered].map(([each]) => each);
				expect(new Map(layered)).toEqual(plain);
				const below = order.filter((each) => common.has(each));
				expect(below).toEqual([...common.keys()].filter((each) => plain.has(each)));
				expect(order.slice(0, below.length)).toEqual(below);
				for (const each of layered.apart) expect(common.has(each)).toBe(true);
			}
		}),
	);
});
