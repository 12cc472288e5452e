// npm test: everything, in the order in which a mistake is cheapest to find. Stops at the first failure.
import { spawnSync } from "node:child_process";

const STEPS: readonly (readonly [name: string, command: string])[] = [
	["format", "prettier --check --log-level warn ."],
	["types", "tsc -p tsconfig.json"],
	["lint", "eslint --cache --cache-location .cache/eslint --max-warnings 0 ."],
	["build: types", "tsc -p tsconfig.build.json"],
	["build: code", "rolldown -c --log-level warn"],
	["the built library against its sources", "tsx scripts/built.ts"],
	["unit, property, golden, Wireshark, examples, layers", "vitest run"],
	["package: publint", "publint --strict"],
	["package: attw", "attw --pack . --profile esm-only"],
	["docs", "typedoc --logLevel Warn"],
];

let passed = 0;
for (const [name, command] of STEPS) {
	const began = performance.now();
	console.log(`\n── ${name}: ${command}`);
	const { status } = spawnSync("npx", ["--no-install", ...command.split(" ")], { stdio: "inherit" });
	const took = ((performance.now() - began) / 1000).toFixed(1);
	if (status !== 0) {
		console.log(`\n"${name}" failed after ${took} s.\n`);
		console.log(`${String(passed)} passed, 1 failed`);
		process.exit(1);
	}
	console.log(`── ${name}: good, ${took} s`);
	passed++;
}
console.log(`\n${String(passed)} passed, 0 failed`);
