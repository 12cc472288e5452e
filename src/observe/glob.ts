/** A glob as a question: `*` stands for any run of characters, `?` for one, `{a,b}` for either. */
export function glob(pattern: string): (text: string) => boolean {
	const source = pattern
		.replace(/[.+^$()|[\]\\]/g, "\\$&")
		.replaceAll("*", ".*")
		.replaceAll("?", ".")
		.replace(/\{([^}]*)\}/g, (_, choices: string) => `(?:${choices.split(",").join("|")})`);
	const expression = new RegExp(`^${source}$`, "s");
	return (text) => expression.test(text);
}
