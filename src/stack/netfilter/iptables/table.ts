import type { Device } from "../../../link/index.ts";
import type { Frame } from "../../../wire/index.ts";
import type { InDevice } from "../../in-device.ts";
import type { Route } from "../../route.ts";
import { ACCEPT, DROP, type HookPoint, STOLEN, type Verdict } from "../hooks.ts";
import type { Notes } from "../known-ways/notes.ts";
import { Chain } from "./chain.ts";
import {
	DROPPED,
	NEXT_RULE,
	type Outcome,
	RETURNED,
	type RuleHost,
	type Situation,
	type TableName,
	TAKEN,
} from "./extension.ts";
import type { Rule } from "./rule.ts";

/** The built-in chains of each table, in the order of their hooks. */
export const BUILT_IN: Readonly<Record<TableName, readonly HookPoint[]>> = {
	mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
	security: ["INPUT", "FORWARD", "OUTPUT"],
	raw: ["PREROUTING", "OUTPUT"],
	filter: ["INPUT", "FORWARD", "OUTPUT"],
	nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
};

/** One table: its chains, and the walk of packets through them (`ipt_do_table`). */
export class Table {
	readonly name: TableName;
	readonly #host: RuleHost;
	#chains: Map<string, Chain>;
	/** Who decided about the last packet: told when it was dropped. */
	#decider: Rule | null = null;
	#deciderChain: Chain | null = null;

	constructor(name: TableName, host: RuleHost) {
		this.name = name;
		this.#host = host;
		this.#chains = Table.emptyChains(name);
	}

	/** The built-in chains of a table, without rules. */
	static emptyChains(name: TableName): Map<string, Chain> {
		return new Map(BUILT_IN[name].map((point) => [point, new Chain(point, point)]));
	}

	/** The chains by name. Whoever changes rules binds them first. */
	get chains(): Map<string, Chain> {
		return this.#chains;
	}

	/** Takes other chains, all at once (`iptables-restore`). */
	replace(chains: Map<string, Chain>): void {
		for (const { rules } of chains.values()) for (const rule of rules) this.bind(rule);
		this.#chains = chains;
		this.#host.ns.hooks.changed();
	}

	/** Built-in chains by hook, then users' by name, as every listing has them. */
	get sorted(): Chain[] {
		const chains = [...this.#chains.values()];
		const own = chains.filter(({ point }) => point === null);
		own.sort((a, b) => (a.name < b.name ? -1 : 1));
		return [...chains.filter(({ point }) => point !== null), ...own];
	}

	/** Rules that jump to a chain. */
	references(chain: Chain): number {
		let count = 0;
		for (const { rules } of this.#chains.values()) for (const rule of rules) if (rule.jump === chain) count++;
		return count;
	}

	/** Binds a rule's matches and target to this namespace. */
	bind(rule: Rule): void {
		for (const match of rule.matches) match.bind?.(this.#host);
		rule.target?.bind?.(this.#host);
	}

	/** The function of the hook a built-in chain is at. */
	hook(
		point: HookPoint,
	): (frame: Frame, inDevice: InDevice | null, out: Device | null, route: Route | null) => Verdict {
		return (frame, inDevice, out, route) => {
			const chain = this.#chains.get(point)!;
			if (chain.rules.length === 0 && chain.policy === "ACCEPT") return ACCEPT;
			return this.#run(chain, frame, inDevice, out, route);
		};
	}

	#run(
		chain: Chain,
		frame: Frame,
		inDevice: InDevice | null,
		out: Device | null,
		route: Route | null,
	): Verdict {
		const at = chain.situation!;
		at.inDevice = inDevice;
		at.out = out;
		at.route = route;
		const notes = this.#notes(frame);
		let outcome = this.#walk(chain, frame, at, notes);
		if (outcome === RETURNED) {
			this.#decider = null;
			this.#deciderChain = chain;
			outcome = chain.policy === "DROP" ? DROPPED : 1;
		}
		if (outcome === DROPPED) {
			const { ns } = this.#host;
			const why = ns.world.dropListeners.length > 0 ? this.#why() : undefined;
			ns.world.drop(frame, "iptables-drop", inDevice?.device ?? out ?? ns, why);
			return DROP;
		}
		return outcome === TAKEN ? STOLEN : ACCEPT;
	}

	/** What is noted of a packet: see `KnownWays`. */
	#notes(frame: Frame): Notes | null {
		const notes = this.#host.ns.ways?.notes;
		if (notes?.isOf(frame) !== true) return null;
		// What is in front of connection tracking cannot be left out once that has seen the packet.
		if (this.name === "raw") notes.spoil();
		return notes;
	}

	#walk(chain: Chain, frame: Frame, at: Situation, notes: Notes | null): Outcome {
		const { rules } = chain;
		for (let i = 0; i < rules.length; i++) {
			const rule = rules[i]!;
			if (notes !== null && !rule.ofFlow) notes.spoil();
			if (!rule.test(frame, at)) continue;
			rule.packets++;
			rule.octets += frame.end - frame.start;
			if (notes !== null) notes.counted(rule);
			const { jump, target } = rule;
			if (jump !== null) {
				const outcome = this.#walk(jump, frame, at, notes);
				if (outcome !== RETURNED || rule.goto) return outcome;
				continue;
			}
			if (target === null) continue;
			const outcome = target.run(frame, at);
			if (outcome === NEXT_RULE) continue;
			if (outcome === DROPPED) {
				this.#decider = rule;
				this.#deciderChain = chain;
			}
			return outcome;
		}
		return RETURNED;
	}

	#why(): string {
		const chain = this.#deciderChain?.name ?? "";
		const rule = this.#decider;
		return rule === null ? `-t ${this.name} -P ${chain} DROP` : `-t ${this.name} -A ${chain}${rule.text}`;
	}
}
