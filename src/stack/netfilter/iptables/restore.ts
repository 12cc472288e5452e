import { NetError } from "../../../errors.ts";
import type { Netfilter } from "../netfilter.ts";
import { Chain } from "./chain.ts";
import type { TableName } from "./extension.ts";
import { checkDepth, toTableName } from "./check.ts";
import { RuleParser } from "./parse.ts";
import { badParameter, VERSION } from "./refusal.ts";
import { Rule } from "./rule.ts";
import { Table } from "./table.ts";
import { splitWords } from "./words.ts";

/** A table as the text will have it. */
interface Draft {
	readonly name: TableName;
	readonly chains: Map<string, Chain>;
}

/**
 * Reads what `iptables-save` wrote. All tables of the text are read first and taken then, so a text with a mistake
 * changes nothing. Throws `NetError` with the line's number.
 */
export function restore(
	netfilter: Netfilter,
	text: string,
	options: { readonly noFlush?: boolean; readonly counters?: boolean },
): void {
	const done: Draft[] = [];
	let draft: Draft | undefined;
	for (const [index, raw] of text.split("\n").entries()) {
		const line = raw.trim();
		if (line === "" || line.startsWith("#")) continue;
		try {
			if (line.startsWith("*")) {
				if (draft !== undefined) throw lineFailed(index + 1);
				draft = begin(netfilter, toTableName(line.slice(1)), options.noFlush === true);
			} else if (draft === undefined) throw lineFailed(index + 1);
			else if (line === "COMMIT") {
				done.push(draft);
				draft = undefined;
			} else if (line.startsWith(":")) declare(draft, line.slice(1));
			else addRule(draft, line, options.counters === true, index + 1);
		} catch (error) {
			throw error instanceof NetError ? atLine(error, index + 1) : error;
		}
	}
	if (draft !== undefined)
		throw new NetError(
			"EINVAL",
			`iptables-restore ${VERSION}: COMMIT expected at line ${String(text.split("\n").length)}`,
		);
	for (const { name, chains } of done) netfilter.table(name).replace(chains);
}

function begin(netfilter: Netfilter, name: TableName, keep: boolean): Draft {
	const chains = Table.emptyChains(name);
	const known = netfilter.existing(name)?.chains;
	if (!keep || known === undefined) return { name, chains };
	// A copy with chains of its own: the rules are read again, so that they lead to these.
	for (const chain of known.values()) {
		const copy = chains.get(chain.name) ?? new Chain(chain.name, null);
		copy.policy = chain.policy;
		chains.set(chain.name, copy);
	}
	for (const { name: chainName, rules } of known.values()) {
		chains.get(chainName)!.rules = rules.map(
			(rule) =>
				new Rule(
					rule.head,
					rule.matches,
					rule.target,
					rule.jump === null ? null : chains.get(rule.jump.name)!,
					rule.goto,
					rule.packets,
					rule.octets,
				),
		);
	}
	return { name, chains };
}

/** `FORWARD DROP [0:0]`, `DOCKER - [0:0]`: a chain named again loses its rules. */
function declare({ chains }: Draft, line: string): void {
	const [name = "", policy = "-"] = line.split(/\s+/);
	const known = chains.get(name);
	const chain = known ?? new Chain(name, null);
	if (known === undefined) chains.set(name, chain);
	else if (known.point === null) known.rules = [];
	if (policy === "-") return;
	if (chain.point === null || (policy !== "ACCEPT" && policy !== "DROP"))
		throw badParameter(`Can't set policy \`${policy}' on \`${name}' line`);
	chain.policy = policy;
}

function addRule({ name, chains }: Draft, line: string, counted: boolean, number: number): void {
	const counters = /^\[(\d+):(\d+)\]\s*/.exec(line);
	const words = splitWords(counters === null ? line : line.slice(counters[0].length));
	const [command, chainName = "", ...rest] = words;
	const insert = command === "-I" || command === "--insert";
	if (!insert && command !== "-A" && command !== "--append") throw lineFailed(number);
	let place = 0;
	if (insert && /^\d+$/.test(rest[0] ?? "")) place = Number(rest.shift()) - 1;
	const given = counted && counters !== null ? ["-c", counters[1]!, counters[2]!] : [];
	const chain = chains.get(chainName);
	const rules = new RuleParser(name, chainName, (wanted) => chains.get(wanted)).parse([...given, ...rest]);
	if (chain === undefined) throw lineFailed(number);
	for (const rule of rules) checkDepth(chains, chainName, rule, "A");
	if (insert) chain.rules.splice(place, 0, ...rules);
	else chain.rules.push(...rules);
}

const lineFailed = (number: number): NetError =>
	new NetError("EINVAL", `iptables-restore: line ${String(number)} failed`);

/** The same error, told by `iptables-restore` with the line. */
function atLine(error: NetError, number: number): NetError {
	const prefix = `iptables ${VERSION}: `;
	if (!error.message.startsWith(prefix)) return error;
	const [what = ""] = error.message.slice(prefix.length).split("\nTry `");
	return new NetError(
		error.code,
		`iptables-restore ${VERSION}: ${what}\nError occurred at line: ${String(number)}\nTry \`iptables-restore -h' or 'iptables-restore --help' for more information.`,
	);
}
