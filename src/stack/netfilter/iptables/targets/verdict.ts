import { ACCEPTED, DROPPED, NEXT_RULE, type Outcome, RETURNED, type Target } from "../extension.ts";
import { badParameter } from "../refusal.ts";

const NO_OPTIONS = {};

/** `-j ACCEPT`, `-j DROP`, `-j RETURN`; without `-j` a rule only counts. */
export class VerdictTarget implements Target {
	readonly name: string;
	readonly options: Readonly<Record<string, number>> = NO_OPTIONS;
	readonly ofFlow = true;
	readonly #outcome: Outcome;

	constructor(name: "ACCEPT" | "DROP" | "RETURN" | "") {
		this.name = name;
		this.#outcome =
			name === "ACCEPT" ? ACCEPTED : name === "DROP" ? DROPPED : name === "RETURN" ? RETURNED : NEXT_RULE;
	}

	set(option: string): void {
		throw badParameter(`unknown option "--${option}"`);
	}

	finish(): void {
		// Nothing can be missing.
	}

	run(): Outcome {
		return this.#outcome;
	}

	save(): string {
		return "";
	}

	show(): string {
		return "";
	}
}
