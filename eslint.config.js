import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

/** What the core may not touch: it runs in browsers, in virtual time, with chance from a seed. */
const REAL_WORLD = [
	"Buffer",
	"process",
	"Date",
	"performance",
	"setTimeout",
	"setInterval",
	"setImmediate",
	"console",
].map((name) => ({ name, message: "The core knows no host program: see docs/ARCHITECTURE.md." }));

export default defineConfig(
	globalIgnores(["dist", "site", "out", "coverage", ".cache", "test/golden/**/*.pcap"]),
	js.configs.recommended,
	tseslint.configs.strictTypeChecked,
	{
		languageOptions: {
			parserOptions: {
				projectService: { allowDefaultProject: ["eslint.config.js"] },
				tsconfigRootDir: import.meta.dirname,
			},
		},
		rules: {
			"@typescript-eslint/restrict-template-expressions": "error",
			// A method that hands its result to a setter in one line reads better than three.
			"@typescript-eslint/no-confusing-void-expression": "off",
			"@typescript-eslint/no-unnecessary-condition": "error",
			"@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
			"@typescript-eslint/explicit-module-boundary-types": "error",
			"@typescript-eslint/prefer-literal-enum-member": "off",
			// `for (;;)` and constant conditions are the loops of tables and queues.
			"@typescript-eslint/no-meaningless-void-operator": "off",
			eqeqeq: ["error", "always", { null: "ignore" }],
		},
	},
	{
		files: ["src/**/*.ts"],
		ignores: ["src/node/**", "src/cli/**"],
		rules: {
			"no-restricted-globals": ["error", ...REAL_WORLD],
			"no-restricted-imports": ["error", { patterns: ["node:*"] }],
			"no-restricted-properties": [
				"error",
				{ object: "Math", property: "random", message: "Chance comes from the lab's seed." },
			],
		},
	},
	{
		// Tables over typed arrays: an index that was masked is inside.
		files: ["src/{sim,link,stack,wire,observe}/**/*.ts"],
		rules: { "@typescript-eslint/no-non-null-assertion": "off" },
	},
	{
		files: ["test/**/*.ts", "bench/**/*.ts", "scripts/**/*.ts", "examples/**/*.ts"],
		rules: {
			"@typescript-eslint/explicit-module-boundary-types": "off",
			"@typescript-eslint/no-non-null-assertion": "off",
		},
	},
	{ files: ["**/*.js"], extends: [tseslint.configs.disableTypeChecked] },
);
