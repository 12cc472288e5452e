// npm run bench -- [--json] [PATTERN]: compiled first, since module runners slow hot loops down many times.
import { readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { type BenchCase, measure } from "./runner.ts";

const { values, positionals } = parseArgs({
	options: { json: { type: "boolean", default: false } },
	allowPositionals: true,
});
const pattern = new RegExp(positionals[0] ?? "", "i");
const here = new URL("./", import.meta.url);
const files = readdirSync(here)
	.filter((file) => /\.bench\.[jt]s$/.test(file))
	.sort();
if (!values.json)
	console.log(
		`${"".padEnd(62)}${"best".padStart(9)}${"median".padStart(9)}${"garbage".padStart(9)}${"spread".padStart(8)}${"ratio".padStart(8)}`,
	);
for (const file of files) {
	const { default: cases } = (await import(new URL(file, here).href)) as {
		readonly default: readonly BenchCase[];
	};
	for (const each of cases.filter((bench) => pattern.test(bench.name))) {
		const row = measure(each);
		if (values.json) console.log(JSON.stringify(row));
		else {
			const cells = [
				`${String(row.nsPerPacket)} ns`,
				`${String(row.medianNsPerPacket)} ns`,
				`${String(row.bytesPerPacket)} B`,
				`${String(Math.round(row.spread * 100))} %`,
				String(row.ratio),
			];
			console.log(`${row.name.padEnd(62)}${cells.map((cell, i) => cell.padStart(i < 3 ? 9 : 8)).join("")}`);
		}
	}
}
