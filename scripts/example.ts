// npm run example                     lists the examples
// npm run example -- NAME [--out DIR] runs one and writes DIR/NAME.pcapng
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Example } from "./example-context.ts";

const folder = new URL("../examples/", import.meta.url);
const names = readdirSync(folder)
	.filter((file) => file.endsWith(".ts"))
	.map((file) => file.slice(0, -3))
	.sort();

/** The first sentence of an example's opening comment. */
function about(name: string): string {
	const text = readFileSync(new URL(`${name}.ts`, folder), "utf8");
	return (
		/\/\*\*[\s*]*([\s\S]*?)\*\//
			.exec(text)?.[1]
			?.replace(/\s*\n\s*\*?\s*/g, " ")
			.split(/\.\s/)[0]
			?.trim() ?? ""
	);
}

const { values, positionals } = parseArgs({
	options: { out: { type: "string", default: "out" } },
	allowPositionals: true,
});
const [name] = positionals;
if (name === undefined || !names.includes(name)) {
	if (name !== undefined) console.error(`There is no example "${name}".\n`);
	console.log("npm run example -- NAME [--out DIR]\n");
	for (const each of names) console.log(`  ${each.padEnd(20)} ${about(each)}`);
	process.exit(name === undefined ? 0 : 1);
}

const module = (await import(new URL(`${name}.ts`, folder).href)) as { readonly default: Example };
await module.default({
	print: (text) => {
		console.log(text);
	},
	write: (ending, text) => {
		mkdirSync(values.out, { recursive: true });
		writeFileSync(join(values.out, `${name}.${ending}`), text);
	},
	save: (capture) => {
		mkdirSync(values.out, { recursive: true });
		const path = join(values.out, `${name}.pcapng`);
		writeFileSync(path, capture.toPcapng());
		console.log(`\nThe capture is in ${path}: open it with Wireshark.`);
	},
});
