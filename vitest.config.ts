import { defineConfig } from "vitest/config";

// Tests, like examples, import the public package name; this condition leads it to the sources, so nothing is built first.
const conditions = ["vethwork-source", "module", "node", "development|production"];

export default defineConfig({
	resolve: { conditions },
	ssr: { resolve: { conditions } },
	test: {
		include: ["test/**/*.test.ts"],
		setupFiles: ["test/support/setup.ts"],
		testTimeout: 60_000,
		pool: "forks",
		maxWorkers: 2,
	},
});
