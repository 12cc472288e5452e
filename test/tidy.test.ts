import { describe, expect, test } from "vitest";
import { sourceTree, violations } from "./support/layers.ts";

describe("the house", () => {
	test("imports point down, enter folders by their index, make no circle, and the core lives in virtual time", () => {
		expect(violations(sourceTree(new URL("../src/", import.meta.url)))).toEqual([]);
	});

	test.each([
		[{ "wire/a.ts": 'import { x } from "../link/index.ts";' }, "imports point down"],
		[{ "link/a.ts": 'import { x } from "../wire/frame.ts";' }, "entered by its index.ts"],
		[{ "wire/a.ts": 'import { x } from "node:fs";' }, "only src/node and src/cli may"],
		[{ "wire/a.ts": "export const x = Buffer.from([]);" }, "uses Buffer"],
		[{ "sim/a.ts": "export const x = Math.random();" }, "uses Math.random"],
		[{ "wire/a.ts": 'import "./b.ts";', "wire/b.ts": 'import "./a.ts";' }, "is a circle"],
	])("the check finds %j", (files, sentence) => {
		expect(violations(new Map(Object.entries(files))).join()).toContain(sentence);
	});
});
