import { readdirSync } from "node:fs";
import { defineConfig, type OutputOptions, type RolldownOptions } from "rolldown";
import manifest from "./package.json" with { type: "json" };

/**
 * All modules in few files. What a module imports V8 reads through a cell and compares with what it was, at each use; in
 * one file it is known, and a packet takes a quarter less (docs/performance.md).
 */
const common: RolldownOptions = {
	platform: "node",
	external: [/^node:/, /^[@a-z]/],
	tsconfig: "tsconfig.json",
	transform: { target: "es2023" },
};

/** The core in one file; what needs Node or fast-check stays apart, where only those load it who ask for it. */
const inOneFile: OutputOptions = {
	chunkFileNames: "shared/[name].js",
	codeSplitting: { groups: [{ name: "vethwork", test: /\/src\/(?!node\/|testing\/)/ }] },
};

/** `vethwork/wire` is `src/wire/index.ts`, and becomes `dist/wire/index.js`; types come from `tsc`. */
const library = Object.keys(manifest.exports)
	.filter((path) => path !== "./package.json")
	.map((path) => (path === "." ? "index" : `${path.slice("./".length)}/index`));

const benches = readdirSync("bench")
	.filter((file) => file === "run.ts" || file.endsWith(".bench.ts"))
	.map((file) => file.slice(0, -".ts".length));

export default defineConfig([
	{
		...common,
		input: Object.fromEntries(library.map((name) => [name, `src/${name}.ts`])),
		output: { ...inOneFile, dir: "dist", sourcemap: true },
	},
	{
		...common,
		input: Object.fromEntries(benches.map((name) => [name, `bench/${name}.ts`])),
		output: { ...inOneFile, dir: ".cache/bench" },
	},
]);
