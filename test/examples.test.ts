import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Example } from "../scripts/example-context.ts";
import { expectCleanInWireshark } from "./support/wireshark.ts";

const folder = new URL("../examples/", import.meta.url);
const files = readdirSync(folder).filter((file) => file.endsWith(".ts"));

describe.each(files)("example %s", (file) => {
	test("prints something and writes a capture in which Wireshark finds nothing wrong", async () => {
		const example = (await import(new URL(file, folder).href)) as { readonly default: Example };
		const printed: string[] = [];
		const captures: Uint8Array[] = [];
		const files: [ending: string, text: string][] = [];
		await example.default({
			print: (text) => printed.push(text),
			save: (capture) => captures.push(capture.toPcapng()),
			write: (ending, text) => files.push([ending, text]),
		});
		expect(printed.join("\n").length).toBeGreaterThan(100);
		expect(captures).toHaveLength(1);
		for (const [ending, text] of files) expect([/^\w+$/.test(ending), text.length > 0]).toEqual([true, true]);
		for (const capture of captures) await expectCleanInWireshark(capture);
	});

	test("fits on a page", () => {
		expect(readFileSync(new URL(file, folder), "utf8").split("\n").length).toBeLessThan(60);
	});
});
