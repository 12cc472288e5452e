// npm run pages: runs what the pages show, and writes what it printed into their blocks. A test fails when they differ.
import { readFileSync, writeFileSync } from "node:fs";
import { excerpted } from "./pages/excerpts.ts";
import { PAGES } from "./pages/index.ts";
import { filled } from "./pages/page.ts";

const runs: readonly (readonly [page: string, written: (text: string) => Promise<string>])[] = [
	...Object.entries(PAGES).map(
		([page, run]) => [page, async (text: string) => filled(text, await run())] as const,
	),
	["docs/docker-packets.md", excerpted],
];
for (const [page, written] of runs) {
	const path = new URL(`../${page}`, import.meta.url);
	const before = readFileSync(path, "utf8");
	const after = await written(before);
	if (after !== before) writeFileSync(path, after);
	console.log(`${page}: ${after === before ? "as it was" : "written"}`);
}
