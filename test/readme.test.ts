import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";

const root = new URL("../", import.meta.url);
const readme = readFileSync(new URL("README.md", root), "utf8");

test("the program of the README prints what the README says", () => {
	const [, program, printed] =
		/<!-- runs -->\s*```ts\n([\s\S]*?)```\s*```text\n([\s\S]*?)```/.exec(readme) ?? [];
	expect(program?.split("\n").length).toBeGreaterThan(20);
	// Inside the project, so that the package finds itself by its public name.
	const folder = new URL(".cache/readme/", root);
	mkdirSync(folder, { recursive: true });
	const file = new URL("program.ts", folder);
	writeFileSync(file, program ?? "");
	const output = execFileSync("npx", ["--no-install", "tsx", "--conditions=vethwork-source", file.pathname], {
		cwd: root,
		encoding: "utf8",
		stdio: ["ignore", "pipe", "ignore"],
	});
	rmSync(folder, { recursive: true });
	expect(output).toBe(printed);
});
