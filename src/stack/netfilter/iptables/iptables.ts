import { NetError } from "../../../errors.ts";
import type { Netfilter } from "../netfilter.ts";
import { Chain } from "./chain.ts";
import { checkDepth } from "./check.ts";
import { type Command, parseCommand } from "./command.ts";
import type { TableName } from "./extension.ts";
import { listChain } from "./list.ts";
import { RuleParser } from "./parse.ts";
import { badParameter, failed, kernelRefused, VERSION } from "./refusal.ts";
import { restore } from "./restore.ts";
import type { Rule } from "./rule.ts";
import { type RuleObject, wordsOf } from "./rule-object.ts";
import { formatTime, saveTable } from "./save.ts";
import { Table } from "./table.ts";
import { splitWords } from "./words.ts";

/**
 * `iptables`, `iptables-save` and `iptables-restore` of one namespace, in their own words (v1.8.9, nf_tables).
 * What is refused changes nothing.
 */
export class Iptables {
	readonly #netfilter: Netfilter;

	constructor(netfilter: Netfilter) {
		this.#netfilter = netfilter;
	}

	/**
	 * Runs one command, with or without `iptables` in front: "-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0
	 * -j MASQUERADE". Returns what it prints. Throws `NetError` with what it prints when it fails.
	 */
	run(command: string | readonly string[]): string {
		const words = typeof command === "string" ? splitWords(command) : [...command];
		if (words[0] === "iptables") words.shift();
		if (words[0] === "-V" || words[0] === "--version") return `iptables ${VERSION}\n`;
		const parsed = parseCommand(words);
		switch (parsed.letter) {
			case "A":
			case "I":
			case "D":
			case "C":
			case "R":
				this.#change(parsed);
				this.#netfilter.ns.hooks.changed();
				return "";
			case "L":
				return this.#list(parsed);
			case "S":
				return this.#listRules(parsed);
			default:
				this.#chains(parsed);
				this.#netfilter.ns.hooks.changed();
				return "";
		}
	}

	/**
	 * Whether a command that only asks finds what it asks for: `-C` a rule, `-S` a chain. A rule that leads to a chain that is
	 * not there is not there either. Any other command is done. Throws `NetError` for a command with a mistake in it.
	 */
	takes(command: string): boolean {
		const words = splitWords(command);
		const { letter, table, chain, rule } = parseCommand(words[0] === "iptables" ? words.slice(1) : words);
		// Most answers are no, and an error would be made to be thrown away: with the stack it came from it costs more than all else.
		if (letter === "S" && chain !== undefined)
			return (this.#netfilter.existing(table)?.chains ?? Table.emptyChains(table)).has(chain);
		try {
			if (letter !== "C" || chain === undefined) {
				this.run(command);
				return true;
			}
			const rules = this.#parse(table, chain, rule);
			const found = this.#netfilter.existing(table)?.chains.get(chain);
			return rules.every(({ text }) => found?.rules.some((each) => each.text === text) === true);
		} catch (error) {
			if (error instanceof NetError && error.code === "ENOENT") return false;
			throw error;
		}
	}

	/** `iptables -A`. */
	append(rule: RuleObject): void {
		this.run(["-t", rule.table ?? "filter", "-A", rule.chain, ...wordsOf(rule)]);
	}

	/** `iptables -I`, at a place from 1 on. */
	insert(rule: RuleObject, place = 1): void {
		this.run(["-t", rule.table ?? "filter", "-I", rule.chain, String(place), ...wordsOf(rule)]);
	}

	/** `iptables -D`. */
	delete(rule: RuleObject): void {
		this.run(["-t", rule.table ?? "filter", "-D", rule.chain, ...wordsOf(rule)]);
	}

	/** `iptables -C`, as an answer. */
	has(rule: RuleObject): boolean {
		const table = this.#netfilter.existing(rule.table ?? "filter");
		const chain = table?.chains.get(rule.chain);
		if (table === undefined || chain === undefined) return false;
		const [parsed] = this.#parse(table.name, rule.chain, wordsOf(rule));
		return chain.rules.some((each) => each.text === parsed?.text);
	}

	/** `iptables-save [-t TABLE] [-c]`. */
	save(options: { readonly table?: TableName; readonly counters?: boolean } = {}): string {
		const { kernel } = this.#netfilter.ns;
		const seconds = kernel.epoch / 1_000_000_000n + BigInt(Math.floor(kernel.world.scheduler.now / 1e9));
		const time = formatTime(Number(seconds));
		return this.#netfilter.tables
			.filter(({ name }) => options.table === undefined || options.table === name)
			.map((table) => saveTable(table, options.counters === true, time))
			.join("");
	}

	/** `iptables-restore [-c] [-n]`: the tables the text names, as a whole or not at all. Throws `NetError`. */
	restore(text: string, options: { readonly noFlush?: boolean; readonly counters?: boolean } = {}): void {
		restore(this.#netfilter, text, options);
	}

	// ── rules ─────────────────────────────────────────────────────────────────────────────────────

	#parse(name: TableName, chain: string, words: readonly string[]): Rule[] {
		const chains = this.#netfilter.existing(name)?.chains ?? Table.emptyChains(name);
		return new RuleParser(name, chain, (wanted) => chains.get(wanted)).parse(words);
	}

	#change({ letter, table: name, chain: chainName = "", number, rule: words }: Command): void {
		const known = this.#netfilter.existing(name)?.chains ?? Table.emptyChains(name);
		const rules = letter === "D" && number !== undefined ? [] : this.#parse(name, chainName, words);
		if (!known.has(chainName)) throw failed("ENOENT", "No chain/target/match by that name");
		const count = known.get(chainName)?.rules.length ?? 0;
		if (number !== undefined) checkNumber(letter, number, count);
		if (letter === "A" || letter === "I" || letter === "R") {
			for (const rule of rules) checkDepth(known, chainName, rule, letter);
		}
		// Rules are compared by their texts, which others need not have.
		const meant = letter === "C" || (letter === "D" && number === undefined) ? rules : [];
		const wanted = meant.map(({ text }) => text);
		const chain = known.get(chainName)!;
		if (!wanted.every((text) => chain.rules.some((each) => each.text === text)))
			throw failed("ENOENT", "Bad rule (does a matching rule exist in that chain?)");
		if (letter === "C") return;

		const table = this.#netfilter.table(name);
		const changed = table.chains.get(chainName)!;
		for (const rule of rules) table.bind(rule);
		if (letter === "A") changed.rules = [...changed.rules, ...rules];
		else if (letter === "I") changed.rules = changed.rules.toSpliced((number ?? 1) - 1, 0, ...rules);
		else if (letter === "R") changed.rules = changed.rules.toSpliced((number ?? 1) - 1, 1, ...rules);
		else if (number !== undefined) changed.rules = changed.rules.toSpliced(number - 1, 1);
		else {
			for (const text of wanted) {
				const at = changed.rules.findIndex((each) => each.text === text);
				changed.rules = changed.rules.toSpliced(at, 1);
			}
		}
	}

	// ── chains ────────────────────────────────────────────────────────────────────────────────────

	#chains({ letter, table: name, chain: chainName, argument, number, rule }: Command): void {
		const [stray] = rule;
		if (stray !== undefined) {
			throw badParameter(stray.startsWith("-") ? `unknown option "${stray}"` : `Bad argument \`${stray}'`);
		}
		const known = this.#netfilter.existing(name)?.chains ?? Table.emptyChains(name);
		const chain = chainName === undefined ? undefined : known.get(chainName);
		if (letter === "N") {
			if (chain !== undefined) throw failed("EEXIST", "Chain already exists");
			const free = chainName ?? "";
			this.#netfilter.table(name).chains.set(free, new Chain(free, null));
			return;
		}
		if (chainName !== undefined && chain === undefined) {
			throw letter === "P"
				? failed("ENOENT", "Bad built-in chain name")
				: failed("ENOENT", "No chain/target/match by that name");
		}
		const table = this.#netfilter.table(name);
		const chosen = chain === undefined ? [...table.chains.values()] : [table.chains.get(chain.name)!];
		switch (letter) {
			case "F":
				for (const each of chosen) each.rules = [];
				return;
			case "X":
				this.#remove(table, chosen, chain !== undefined);
				return;
			case "Z":
				for (const each of chosen) {
					for (const [index, { packets }] of each.rules.entries()) {
						if (number !== undefined && index !== number - 1) continue;
						if (packets === 0) continue;
						each.rules[index]!.packets = 0;
						each.rules[index]!.octets = 0;
					}
				}
				return;
			case "P":
				setPolicy(chosen[0]!, argument ?? "");
				return;
			case "E":
				rename(table, chosen[0]!, argument ?? "");
		}
	}

	#remove(table: Table, chosen: readonly Chain[], named: boolean): void {
		const own = chosen.filter(({ point }) => point === null);
		if (named && own.length === 0)
			throw kernelRefused("CHAIN_DEL", "EBUSY", "Device or resource busy", `chain ${chosen[0]!.name}`);
		for (const chain of own) {
			if (chain.rules.length > 0 || table.references(chain) > 0)
				throw kernelRefused("CHAIN_DEL", "EBUSY", "Device or resource busy", `chain ${chain.name}`);
		}
		for (const { name } of own) table.chains.delete(name);
	}

	// ── listings ──────────────────────────────────────────────────────────────────────────────────

	#listed({ table: name, chain: chainName }: Command): {
		readonly table: Table;
		readonly chains: readonly Chain[];
	} {
		// To look at a table that is not there does not make it.
		const table = this.#netfilter.existing(name) ?? new Table(name, this.#netfilter);
		const chains =
			chainName === undefined ? table.sorted : table.sorted.filter((each) => each.name === chainName);
		if (chains.length === 0) throw failed("ENOENT", "No chain/target/match by that name");
		return { table, chains };
	}

	#list(command: Command): string {
		const { table, chains } = this.#listed(command);
		return chains.map((chain) => listChain(table, chain, command, command.number)).join("\n");
	}

	#listRules(command: Command): string {
		const { chains } = this.#listed(command);
		const lines: string[] = [];
		if (command.number === undefined) {
			for (const { name, point, policy } of chains)
				lines.push(point === null ? `-N ${name}` : `-P ${name} ${policy}${command.verbose ? " -c 0 0" : ""}`);
		}
		for (const { name, rules } of chains) {
			for (const [index, rule] of rules.entries()) {
				if (command.number !== undefined && index !== command.number - 1) continue;
				lines.push(`-A ${name}${command.verbose ? withCounters(rule) : rule.text}`);
			}
		}
		return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
	}
}

/** With `-v` the counters stand in front of the target. */
function withCounters(rule: Rule): string {
	const { text } = rule;
	const at =
		rule.jump !== null || (rule.target?.name ?? "") !== ""
			? text.lastIndexOf(rule.goto ? " -g " : " -j ")
			: -1;
	const counters = ` -c ${String(rule.packets)} ${String(rule.octets)}`;
	return at < 0 ? text + counters : text.slice(0, at) + counters + text.slice(at);
}

function checkNumber(letter: string, number: number, count: number): void {
	const most = letter === "I" ? count + 1 : count;
	if (number <= most) return;
	const what = letter === "I" ? "insertion" : letter === "R" ? "replacement" : "deletion";
	throw failed("E2BIG", `Index of ${what} too big`);
}

function setPolicy(chain: Chain, policy: string): void {
	if (chain.point === null) throw failed("ENOENT", "Bad built-in chain name");
	if (policy !== "ACCEPT" && policy !== "DROP") throw failed("EINVAL", "Bad policy name");
	chain.policy = policy;
}

function rename(table: Table, chain: Chain, name: string): void {
	if (table.chains.has(name)) throw failed("EEXIST", "File exists");
	if (chain.point !== null) throw failed("ENOENT", "No chain/target/match by that name");
	table.chains.delete(chain.name);
	chain.name = name;
	table.chains.set(name, chain);
}
