// The built library is the sources: examples write the same octets and say the same words by either. And its types are whole,
// also for a program that has no types of Node's and no library beyond its target's.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** They use each entry but `vethwork/testing`, which is properties' own. */
const EXAMPLES = ["bridge-dns", "overlay-encrypted", "vxlan-multicast"];

/** What an example wrote, by the files' names, and what it printed. */
function run(example: string, conditions: readonly string[]): ReadonlyMap<string, string> {
	const out = mkdtempSync(join(tmpdir(), "vethwork-"));
	const program = ["--no-install", "tsx", ...conditions, "scripts/example.ts", example, "--out", out];
	const { status, stdout, stderr } = spawnSync("npx", program, { encoding: "utf8" });
	if (status !== 0) throw new Error(`${example} failed:\n${stderr}`);
	const files = readdirSync(out).map(
		(file) => [file, readFileSync(join(out, file)).toString("hex")] as const,
	);
	rmSync(out, { recursive: true });
	return new Map([["what it printed", stdout.replaceAll(out, "out")], ...files]);
}

for (const example of EXAMPLES) {
	const sources = run(example, ["--conditions=vethwork-source"]);
	const built = run(example, []);
	for (const [name, content] of sources) {
		if (built.get(name) !== content) throw new Error(`${example}: ${name} differs when the library is built`);
	}
	console.log(`${example}: ${[...sources.keys()].join(", ")}: the same by sources and built`);
}

const consumer = join(".cache", "consumer");
mkdirSync(consumer, { recursive: true });
const imports = ["vethwork", "vethwork/wire", "vethwork/observe"].map(
	(path, i) =>
		`import * as part${String(i)} from "${path}";\nexport const all${String(i)} = Object.keys(part${String(i)});\n`,
);
writeFileSync(join(consumer, "program.mts"), imports.join(""));
const options = { strict: true, target: "es2022", noEmit: true, types: [] };
for (const [module, moduleResolution] of [
	["nodenext", "nodenext"],
	["preserve", "bundler"],
]) {
	const config = { compilerOptions: { ...options, module, moduleResolution }, files: ["program.mts"] };
	writeFileSync(join(consumer, "tsconfig.json"), JSON.stringify(config));
	const { status, stdout } = spawnSync("npx", ["--no-install", "tsc", "-p", consumer], { encoding: "utf8" });
	if (status !== 0) throw new Error(`a program's types by "${String(moduleResolution)}":\n${stdout}`);
	console.log(`a program without Node's types, by "${String(moduleResolution)}": whole`);
}
