// npm run bench -- [--json] [PATTERN]: built first as the library is, since module runners slow hot loops down many times;
// each case in a process of its own, since what one case teaches the compiler about shared code would slow down the next.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type BenchCase, type BenchRow, type BuildCase, measure, measureBuild } from "./runner.ts";

const { values, positionals } = parseArgs({
	options: { json: { type: "boolean", default: false }, only: { type: "string" } },
	allowPositionals: true,
});
const here = new URL("./", import.meta.url);
const cases: (BenchCase | BuildCase)[] = [];
for (const file of readdirSync(here).sort()) {
	if (!/\.bench\.[jt]s$/.test(file)) continue;
	cases.push(
		...((await import(new URL(file, here).href)) as { readonly default: readonly (BenchCase | BuildCase)[] })
			.default,
	);
}

function measureAlone(name: string): BenchRow {
	const program = [...process.execArgv, fileURLToPath(import.meta.url), "--only", name];
	const { stdout, status, stderr } = spawnSync(process.execPath, program, { encoding: "utf8" });
	if (status !== 0) throw new Error(`"${name}" failed: ${stderr}`);
	return JSON.parse(stdout) as BenchRow;
}

function line(row: BenchRow): string {
	const cells = [
		`${row.nsPerPacket.toFixed(1)} ns`,
		`${row.medianNsPerPacket.toFixed(1)} ns`,
		`${row.bytesPerPacket.toFixed(1)} B`,
		`${(row.spread * 100).toFixed(0)} %`,
		row.ratio.toFixed(3),
		...(row.keptBytes === undefined ? [] : [`${(row.keptBytes / 1024).toFixed(1)} KiB kept`]),
	];
	return row.name.padEnd(58) + cells.map((cell) => cell.padStart(11)).join("");
}

if (values.only !== undefined) {
	const wanted = cases.find((each) => each.name === values.only);
	if (wanted === undefined) throw new RangeError(`there is no case "${values.only}"`);
	console.log(JSON.stringify(await ("build" in wanted ? measureBuild(wanted) : measure(wanted))));
} else {
	const pattern = new RegExp(positionals[0] ?? "", "i");
	if (!values.json) {
		const heads = ["best", "median", "garbage", "spread", "ratio"];
		console.log("per packet".padEnd(58) + heads.map((head) => head.padStart(11)).join(""));
	}
	for (const each of cases.filter(({ name }) => pattern.test(name))) {
		const row = measureAlone(each.name);
		console.log(values.json ? JSON.stringify(row) : line(row));
	}
}
