import type { HookPoint } from "../hooks.ts";
import { Situation } from "./extension.ts";
import type { Rule } from "./rule.ts";

/** A chain of rules: built in at a hook, with a policy, or a user's own. */
export class Chain {
	name: string;
	/** The hook a built-in chain is at, null for a user's own. */
	readonly point: HookPoint | null;
	/** What happens to packets that no rule decided about; users' chains return. */
	policy: "ACCEPT" | "DROP" = "ACCEPT";
	rules: Rule[] = [];
	/** Where the packet is that its rules look at; null for users' chains. */
	readonly situation: Situation | null;

	constructor(name: string, point: HookPoint | null) {
		this.name = name;
		this.point = point;
		this.situation = point === null ? null : new Situation(point);
	}
}
