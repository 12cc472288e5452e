import { readFileSync } from "node:fs";

/** Commands of a recorded scenario and what they printed. */
export function commandsLog(
	scenario: string,
): readonly { readonly command: string; readonly output: string }[] {
	const text = readFileSync(new URL(`../golden/swarm-commands/${scenario}.log`, import.meta.url), "utf8");
	return text
		.split(/^\[\w+\]# /m)
		.slice(1)
		.map((part) => {
			const end = part.indexOf("\n");
			return { command: part.slice(0, end), output: part.slice(end + 1) };
		});
}

/** What the command printed, or the first one that contains it. */
export function printed(scenario: string, words: string): string {
	const log = commandsLog(scenario);
	const found =
		log.find(({ command }) => command === words) ?? log.find(({ command }) => command.includes(words));
	if (found === undefined) throw new Error(`${scenario} has no command with ${words}`);
	return found.output;
}

/** The nth JSON array that a text has on lines of its own. */
export function jsonIn(text: string, nth = 0): unknown {
	const lines = text.split("\n");
	const from = lines.flatMap((line, i) => (line === "[" ? [i] : []))[nth] ?? 0;
	return JSON.parse(lines.slice(from, lines.indexOf("]", from) + 1).join("\n"));
}

/** A table's rows by its header: columns begin where their title does. */
export function tableIn(text: string, first: string): Record<string, string>[] {
	const lines = text.split("\n");
	const at = lines.findIndex((line) => line.startsWith(first));
	const header = lines[at] ?? "";
	const titles = [...header.matchAll(/\S+(?: \S+)*/g)].map(({ 0: title, index }) => ({ title, index }));
	const rows: Record<string, string>[] = [];
	for (const line of lines.slice(at + 1)) {
		if (!/^[0-9a-z]{12}/.test(line)) break;
		rows.push(
			Object.fromEntries(
				titles.map(({ title, index }, i) => [title, line.slice(index, titles[i + 1]?.index).trimEnd()]),
			),
		);
	}
	return rows;
}
