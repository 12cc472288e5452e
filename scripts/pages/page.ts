/** What a page shows of a run, by the names of its markers. */
export type Blocks = Readonly<Record<string, string>>;

const BLOCK = /(<!-- printed: (\S+) -->\s*```text\n)([\s\S]*?)(```)/g;

/** A page with its blocks as a run printed them. Throws for a marker without a text, and for a text without a marker. */
export function filled(page: string, blocks: Blocks): string {
	const used = new Set<string>();
	const text = page.replace(BLOCK, (_, head: string, name: string, __, foot: string) => {
		const block = blocks[name];
		if (block === undefined) throw new Error(`nothing prints "${name}"`);
		used.add(name);
		const lines = block.split("\n").map((line) => line.trimEnd());
		return `${head}${lines.join("\n").trimEnd()}\n${foot}`;
	});
	const unused = Object.keys(blocks).filter((name) => !used.has(name));
	if (unused.length > 0) throw new Error(`the page has no place for ${unused.join(", ")}`);
	return text;
}
