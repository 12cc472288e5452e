import { contains, formatPrefix4, type Ip4, type Prefix4 } from "../addr/index.ts";
import type { Device } from "../link/index.ts";
import type { Generation } from "./generation.ts";
import { Fib, Route } from "./route.ts";

/** Numbers of the tables with names (`/etc/iproute2/rt_tables`). */
export const TABLES: Readonly<Record<string, number>> = { default: 253, main: 254, local: 255 };

/** What a rule does with its packets: look a table up, or end the search. */
export type RuleAction = "lookup" | "blackhole" | "unreachable" | "prohibit";

/** One rule of `ip rule` (`struct fib4_rule`). */
export interface Rule {
	readonly priority: number;
	readonly not: boolean;
	readonly from: Prefix4 | undefined;
	readonly to: Prefix4 | undefined;
	/** Mark and mask; undefined for any mark. */
	readonly fwmark: { readonly value: number; readonly mask: number } | undefined;
	/** Name of the device it came in by; `lo` for packets of this host. */
	readonly iif: string | undefined;
	/** Name of the device a socket is bound to. */
	readonly oif: string | undefined;
	readonly action: RuleAction;
	readonly table: number;
}

/** What rules choose by. */
export interface RuleKey {
	readonly destination: Ip4;
	readonly source: Ip4;
	readonly mark: number;
	/** The device it came in by; null for packets of this host. */
	readonly iif: Device | null;
	readonly oif?: Device | null;
}

/**
 * The rules of one namespace, and the tables they look up. Made when the first rule or table of one's own is: until
 * then packets ask `local` and `main` without it. Reference: net/core/fib_rules.c, net/ipv4/fib_rules.c.
 */
export class Rules {
	/** By priority; of equal ones the older first. */
	readonly list: Rule[] = [
		everything(0, TABLES["local"]!),
		everything(32_766, TABLES["main"]!),
		everything(32_767, TABLES["default"]!),
	];
	readonly tables: Map<number, Fib>;
	readonly #loopback: Device;
	readonly #changes: Generation;

	/** Changes of the tables are changes of `changes`. */
	constructor(local: Fib, main: Fib, loopback: Device, changes: Generation) {
		this.tables = new Map([
			[TABLES["local"]!, local],
			[TABLES["main"]!, main],
		]);
		this.#loopback = loopback;
		this.#changes = changes;
	}

	/** A table, made when it is first named. */
	table(number: number): Fib {
		let table = this.tables.get(number);
		if (table === undefined) {
			table = new Fib(this.#changes);
			this.tables.set(number, table);
		}
		return table;
	}

	/** Puts a rule behind those of its priority. */
	add(rule: Rule): void {
		const place = this.list.findIndex((each) => each.priority > rule.priority);
		this.list.splice(place < 0 ? this.list.length : place, 0, rule);
	}

	/** The way of a packet, if there is one; a rule that ends the search gives a route that ends here (`fib_rules_lookup`). */
	lookup(key: RuleKey): Route | undefined {
		for (const rule of this.list) {
			if (this.#matches(rule, key) === rule.not) continue;
			if (rule.action !== "lookup") {
				return new Route({ network: key.destination, length: 32, type: rule.action, device: null });
			}
			const route = this.tables.get(rule.table)?.lookup(key.destination);
			if (route !== undefined) return route;
		}
		return undefined;
	}

	#matches({ from, to, fwmark, iif, oif }: Rule, key: RuleKey): boolean {
		return (
			(from === undefined || contains(from, key.source)) &&
			(to === undefined || contains(to, key.destination)) &&
			(fwmark === undefined || (key.mark & fwmark.mask) >>> 0 === fwmark.value) &&
			(iif === undefined || iif === (key.iif ?? this.#loopback).name) &&
			(oif === undefined || oif === key.oif?.name)
		);
	}
}

function everything(priority: number, table: number): Rule {
	const any = { from: undefined, to: undefined, fwmark: undefined, iif: undefined, oif: undefined };
	return { priority, not: false, ...any, action: "lookup", table };
}

/** The line of `ip rule show`. */
export function ruleText(rule: Rule): string {
	const prefix = (at: Prefix4): string => formatPrefix4(at).replace(/\/32$/, "");
	const hex = (value: number): string => (value === 0 ? "0" : `0x${value.toString(16)}`);
	const words = [rule.not ? "not from" : "from", rule.from === undefined ? "all" : prefix(rule.from)];
	if (rule.to !== undefined) words.push(`to ${prefix(rule.to)}`);
	if (rule.fwmark !== undefined) {
		const { value, mask } = rule.fwmark;
		words.push(`fwmark ${hex(value)}${mask === 0xffff_ffff ? "" : `/${hex(mask)}`}`);
	}
	if (rule.iif !== undefined) words.push(`iif ${rule.iif}`);
	if (rule.oif !== undefined) words.push(`oif ${rule.oif}`);
	words.push(rule.action === "lookup" ? `lookup ${tableName(rule.table)}` : rule.action);
	return `${String(rule.priority)}:\t${words.join(" ")}`;
}

/** A table as iproute2 writes it. */
export const tableName = (table: number): string =>
	Object.entries(TABLES).find(([, number]) => number === table)?.[0] ?? String(table);
