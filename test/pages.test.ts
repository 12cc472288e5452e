import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { PAGES } from "../scripts/pages/index.ts";
import { filled } from "../scripts/pages/page.ts";

test.each(Object.entries(PAGES))(
	"what %s shows is what a run prints (else: npm run pages)",
	async (page, run) => {
		const text = readFileSync(new URL(`../${page}`, import.meta.url), "utf8");
		expect(text).toBe(filled(text, await run()));
	},
);

test("a marker that nothing prints, and a text without a marker, are mistakes", () => {
	const page = "<!-- printed: a -->\n\n```text\nold\n```\n";
	expect(filled(page, { a: "new  \n" })).toBe("<!-- printed: a -->\n\n```text\nnew\n```\n");
	expect(() => filled(page, {})).toThrow('nothing prints "a"');
	expect(() => filled(page, { a: "", b: "" })).toThrow("the page has no place for b");
});
