import type { Example } from "../example-context.ts";

const EXCERPT = /(<!-- example (\S+) -->\s*```text\n)([\s\S]*?)(```)/g;

/** What an example prints. */
async function printedBy(name: string): Promise<string> {
	const module = (await import(new URL(`../../examples/${name}.ts`, import.meta.url).href)) as {
		readonly default: Example;
	};
	const printed: string[] = [];
	await module.default({
		print: (text) => printed.push(text),
		save: () => {
			// Captures are judged with the examples themselves.
		},
		write: () => undefined,
	});
	return printed.join("\n");
}

/**
 * A page with its excerpts of examples as these print them now: an excerpt keeps its first line and its number of lines. Throws
 * when an example no longer prints the first line.
 */
export async function excerpted(page: string): Promise<string> {
	const texts = new Map<string, string>();
	for (const [, , name = ""] of page.matchAll(EXCERPT))
		if (!texts.has(name)) texts.set(name, await printedBy(name));
	return page.replace(EXCERPT, (_, head: string, name: string, block: string, foot: string) => {
		const lines = texts.get(name)?.split("\n") ?? [];
		const wanted = block.trimEnd().split("\n");
		const at = lines.indexOf(wanted[0] ?? "");
		if (at < 0) throw new Error(`${name} does not print "${wanted[0] ?? ""}"`);
		return `${head}${lines
			.slice(at, at + wanted.length)
			.join("\n")
			.trimEnd()}\n${foot}`;
	});
}
