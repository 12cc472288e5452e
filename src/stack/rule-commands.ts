import { type Prefix4, toPrefix4 } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import type { Namespace } from "./namespace.ts";
import { type Rule, type RuleAction, Rules, ruleText, TABLES } from "./rules.ts";

/** `ip rule add …`. */
export interface RuleOptions {
	/** `priority`: the lowest is asked first. Without one the rule stands before all but `local`. */
	readonly priority?: number;
	readonly not?: boolean;
	readonly from?: string | Prefix4;
	readonly to?: string | Prefix4;
	readonly fwmark?: number | { readonly value: number; readonly mask: number };
	/** Name of the device packets come in by; `lo` for those of this host. */
	readonly iif?: string;
	/** Name of the device a socket is bound to. */
	readonly oif?: string;
	/** `lookup`: a number, or `main`, `local`, `default`; `main` unless said. */
	readonly table?: number | string;
	/** `blackhole`, `unreachable` or `prohibit` in place of a table. */
	readonly type?: Exclude<RuleAction, "lookup">;
}

/** `ip rule` of one namespace. */
export class RuleCommands {
	readonly #ns: Namespace;

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	/** `ip rule add …`. Throws `NetError` EEXIST; RangeError for what cannot be read. */
	add(options: RuleOptions): void {
		const rule = read(options, options.priority ?? this.#priority());
		if (this.#list().some((each) => ruleText(each) === ruleText(rule))) {
			throw new NetError("EEXIST", "RTNETLINK answers: File exists", { context: { rule: ruleText(rule) } });
		}
		this.#ns.policyRouting().add(rule);
		this.#ns.settingsChanged();
	}

	/** `ip rule del …`: the first rule that has all that is said. Throws `NetError` ENOENT. */
	del(options: RuleOptions): void {
		const rules = this.#list();
		const wanted = read(options, options.priority ?? -1);
		const at = rules.findIndex((rule) => fits(rule, wanted, options));
		if (at < 0) {
			throw new NetError("ENOENT", "RTNETLINK answers: No such file or directory", {
				remedy: `Rules here:\n${this.show()}`,
				context: { rule: ruleText(wanted) },
			});
		}
		this.#ns.policyRouting().list.splice(at, 1);
		this.#ns.settingsChanged();
	}

	/** `ip rule flush`: all but the rule of the table `local` go, that of `main` too. */
	flush(): void {
		const rules = this.#ns.policyRouting();
		rules.list.splice(0, rules.list.length, ...rules.list.filter((rule) => rule.priority === 0));
		this.#ns.settingsChanged();
	}

	/** The lines of `ip rule show`. */
	show(): string {
		return this.#list()
			.map((rule) => `${ruleText(rule)}\n`)
			.join("");
	}

	#list(): readonly Rule[] {
		const { rules, localFib, fib, loopback } = this.#ns;
		// To look at the rules makes none.
		return (rules ?? new Rules(localFib, fib, loopback, this.#ns)).list;
	}

	/** One before the second rule (`fib_default_rule_pref`). */
	#priority(): number {
		const second = this.#list()[1]?.priority ?? 0;
		return second > 0 ? second - 1 : 0;
	}
}

function read(options: RuleOptions, priority: number): Rule {
	const { from, to, fwmark } = options;
	const mark = typeof fwmark === "number" ? { value: fwmark, mask: 0xffff_ffff } : fwmark;
	return {
		priority,
		not: options.not ?? false,
		from: from === undefined ? undefined : toPrefix4(from, "from"),
		to: to === undefined ? undefined : toPrefix4(to, "to"),
		fwmark: mark,
		iif: options.iif,
		oif: options.oif,
		action: options.type ?? "lookup",
		table: toTable(options.table ?? "main"),
	};
}

/** What is not said may be anything, but `not`. */
function fits(rule: Rule, wanted: Rule, said: RuleOptions): boolean {
	const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
	return (
		(said.priority === undefined || rule.priority === wanted.priority) &&
		rule.not === wanted.not &&
		(said.from === undefined || same(rule.from, wanted.from)) &&
		(said.to === undefined || same(rule.to, wanted.to)) &&
		(said.fwmark === undefined || same(rule.fwmark, wanted.fwmark)) &&
		(said.iif === undefined || rule.iif === wanted.iif) &&
		(said.oif === undefined || rule.oif === wanted.oif) &&
		(said.type === undefined || rule.action === wanted.action) &&
		(said.table === undefined || rule.table === wanted.table)
	);
}

/** A table's number from a number or name. Throws RangeError. */
export function toTable(table: number | string): number {
	const number = typeof table === "string" ? (TABLES[table] ?? Number(table)) : table;
	if (Number.isInteger(number) && number > 0 && number <= 0xffff_ffff) return number;
	throw new RangeError(`table is ${JSON.stringify(table)}, expected a number or main, local, default`);
}
