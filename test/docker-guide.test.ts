import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Example } from "../scripts/example-context.ts";

const page = readFileSync(new URL("../docs/docker-packets.md", import.meta.url), "utf8");
const shown = [...page.matchAll(/<!-- example (\S+) -->\s*```text\n([\s\S]*?)```/g)].map(
	([, name = "", block = ""]) => ({ name, block }),
);

describe("the guide shows what the examples print", () => {
	test.each([...new Set(shown.map(({ name }) => name))])("%s", async (name) => {
		const { default: example } = (await import(new URL(`../examples/${name}.ts`, import.meta.url).href)) as {
			readonly default: Example;
		};
		const printed: string[] = [];
		await example({
			print: (text) => printed.push(text),
			save: () => {
				// Captures are judged with the examples themselves.
			},
			write: () => undefined,
		});
		const text = printed.join("\n");
		for (const { block } of shown.filter((each) => each.name === name))
			expect(text).toContain(block.trimEnd());
	});

	test("every table in it is one of these", () => {
		expect(shown.length).toBe(page.split("```text").length - 1);
		expect(shown.length).toBeGreaterThan(7);
	});
});
