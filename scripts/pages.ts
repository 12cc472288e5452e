// npm run pages: runs what the pages show, and writes what it printed into their blocks. A test fails when they differ.
import { readFileSync, writeFileSync } from "node:fs";
import { PAGES } from "./pages/index.ts";
import { filled } from "./pages/page.ts";

for (const [page, run] of Object.entries(PAGES)) {
	const path = new URL(`../${page}`, import.meta.url);
	const before = readFileSync(path, "utf8");
	const after = filled(before, await run());
	if (after !== before) writeFileSync(path, after);
	console.log(`${page}: ${after === before ? "as it was" : "written"}`);
}
