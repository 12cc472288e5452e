import type { TableName } from "./extension.ts";

/** Options of a match or target by their long names without dashes; a name with `!` in front is turned round. */
export type RuleOptions = Readonly<Record<string, string | number | true>>;

/** A rule as an object. Texts are those of the command; `!` in front turns one round: `out: "!docker0"`. */
export interface RuleObject {
	/** `filter` unless said. */
	readonly table?: TableName;
	readonly chain: string;
	readonly source?: string;
	readonly destination?: string;
	readonly in?: string;
	readonly out?: string;
	readonly protocol?: string;
	/** Matches by name with their options, in their order: `{ conntrack: { ctstate: "NEW" } }`. */
	readonly matches?: Readonly<Record<string, RuleOptions>>;
	/** A target's or chain's name. */
	readonly jump?: string;
	readonly goto?: string;
	/** Options of the target: `{ "to-destination": "172.17.0.2:80" }`. */
	readonly options?: RuleOptions;
}

/** The words of the command that the object stands for, table and chain aside. */
export function wordsOf(rule: RuleObject): string[] {
	const words: string[] = [];
	const add = (option: string, value: string | undefined): void => {
		if (value === undefined) return;
		if (value.startsWith("!")) words.push("!", option, value.slice(1));
		else words.push(option, value);
	};
	add("-s", rule.source);
	add("-d", rule.destination);
	add("-i", rule.in);
	add("-o", rule.out);
	add("-p", rule.protocol);
	for (const [name, options] of Object.entries(rule.matches ?? {}))
		words.push("-m", name, ...optionWords(options));
	add("-g", rule.goto);
	add("-j", rule.jump);
	words.push(...optionWords(rule.options ?? {}));
	return words;
}

function optionWords(options: RuleOptions): string[] {
	return Object.entries(options).flatMap(([name, value]) => {
		const option = name.startsWith("!") ? ["!", `--${name.slice(1)}`] : [`--${name}`];
		// Two words stand behind --tcp-flags.
		if (value === true) return option;
		return [...option, ...(name.endsWith("tcp-flags") ? String(value).split(" ") : [String(value)])];
	});
}
