import { badParameter } from "./refusal.ts";

/** The words of a command as a shell has them: quotes hold spaces together, a backslash takes what follows as it is. */
export function splitWords(text: string): string[] {
	if (!/["'\\]/.test(text)) return text.split(/\s+/).filter((word) => word !== "");
	const found: string[] = [];
	let word: string | null = null;
	let quote = "";
	for (let i = 0; i < text.length; i++) {
		const character = text.charAt(i);
		if (character === "\\" && quote !== "'" && i + 1 < text.length) {
			word = (word ?? "") + text.charAt(++i);
		} else if (quote !== "") {
			if (character === quote) quote = "";
			else word = (word ?? "") + character;
		} else if (character === '"' || character === "'") {
			quote = character;
			word ??= "";
		} else if (/\s/.test(character)) {
			if (word !== null) found.push(word);
			word = null;
		} else word = (word ?? "") + character;
	}
	if (quote !== "") throw badParameter(`unbalanced quote in \`${text}'`);
	if (word !== null) found.push(word);
	return found;
}
