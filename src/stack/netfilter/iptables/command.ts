import { badParameter, unknownTable } from "./refusal.ts";
import { TABLES, type TableName } from "./extension.ts";
import { parseNumber } from "./values.ts";

/** The letters of the commands. */
const COMMANDS: Readonly<Record<string, string>> = {
	"-A": "A",
	"--append": "A",
	"-C": "C",
	"--check": "C",
	"-D": "D",
	"--delete": "D",
	"-E": "E",
	"--rename-chain": "E",
	"-F": "F",
	"--flush": "F",
	"-I": "I",
	"--insert": "I",
	"-L": "L",
	"--list": "L",
	"-N": "N",
	"--new": "N",
	"--new-chain": "N",
	"-P": "P",
	"--policy": "P",
	"-R": "R",
	"--replace": "R",
	"-S": "S",
	"--list-rules": "S",
	"-X": "X",
	"--delete-chain": "X",
	"-Z": "Z",
	"--zero": "Z",
};
/** Commands that need a chain. */
const WITH_CHAIN = "ACDEINPR";
/** Commands behind whose chain a number may stand. */
const WITH_NUMBER = "DILRSZ";
const LONGEST_CHAIN = 28;

/** A command, its own options read; the words of the rule are left. */
export interface Command {
	readonly letter: string;
	readonly table: TableName;
	readonly chain: string | undefined;
	/** `-E`: the new name; `-P`: the policy. */
	readonly argument: string | undefined;
	/** Which rule, from 1. */
	readonly number: number | undefined;
	readonly verbose: boolean;
	readonly numeric: boolean;
	readonly exact: boolean;
	readonly numbered: boolean;
	/** Everything else. */
	readonly rule: readonly string[];
}

/** Reads what is not about the rule. Throws `NetError`. */
export function parseCommand(words: readonly string[]): Command {
	const rest: string[] = [];
	let letter: string | undefined;
	let table: TableName = "filter";
	let chain: string | undefined;
	let argument: string | undefined;
	let number: number | undefined;
	const flags = { verbose: false, numeric: false, exact: false, numbered: false };
	const isWord = (word: string | undefined): word is string =>
		word !== undefined && word !== "!" && !word.startsWith("-");
	for (let i = 0; i < words.length;) {
		const word = words[i++]!;
		const command = COMMANDS[word];
		if (command !== undefined) {
			if (letter !== undefined) throw badParameter(`Cannot use -${command} with -${letter}\n`);
			letter = command;
			if (isWord(words[i])) chain = words[i++];
			else if (WITH_CHAIN.includes(letter)) throw badParameter(`option "${word}" requires an argument`);
			if ((letter === "E" || letter === "P") && isWord(words[i])) argument = words[i++];
			const digits = words[i];
			if (
				WITH_NUMBER.includes(letter) &&
				chain !== undefined &&
				digits !== undefined &&
				/^\d+$/.test(digits)
			) {
				number = parseNumber(digits);
				i++;
				if (number === 0) throw badParameter(`Invalid rule number \`${digits}'`);
			}
			continue;
		}
		switch (word) {
			case "-t":
			case "--table": {
				const name = words[i++] ?? "";
				const known = TABLES.find((each) => each === name);
				if (known === undefined) throw unknownTable(name);
				table = known;
				continue;
			}
			case "-w":
			case "--wait":
			case "-W":
			case "--wait-interval":
				// There is nobody to wait for.
				if (/^\d+$/.test(words[i] ?? "")) i++;
				continue;
			case "-4":
			case "--ipv4":
				continue;
			case "-v":
			case "--verbose":
				flags.verbose = true;
				continue;
			case "-n":
			case "--numeric":
				flags.numeric = true;
				continue;
			case "-x":
			case "--exact":
				flags.exact = true;
				continue;
			case "--line-numbers":
				flags.numbered = true;
				continue;
		}
		// Several letters in one word: -nvL.
		if (word.length > 2 && word.startsWith("-") && /^-[nvx4]+[LSFZXnvx4]$/.test(word)) {
			const letters = Array.from(word.slice(1), (each) => `-${each}`);
			return parseCommand([...words.slice(0, i - 1), ...letters, ...words.slice(i)]);
		}
		rest.push(word);
	}
	if (letter === undefined) throw badParameter("no command specified");
	if (chain !== undefined && chain.length > LONGEST_CHAIN && letter === "N")
		throw badParameter(`chain name \`${chain}' too long (must be under 29 chars)`);
	if ((letter === "E" || letter === "P") && argument === undefined)
		throw badParameter(`-${letter} requires a chain and a ${letter === "E" ? "name" : "policy"}`);
	if (letter === "R" && number === undefined) throw badParameter("-R requires a rule number");
	return { letter, table, chain, argument, number, ...flags, rule: rest };
}
