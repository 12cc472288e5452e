import type { NetError } from "../../../errors.ts";
import type { Chain } from "./chain.ts";
import { TABLES, type TableName } from "./extension.ts";
import { kernelRefused, unknownTable } from "./refusal.ts";
import type { Rule } from "./rule.ts";

/** Jumps that may lie in each other (`NFT_JUMP_STACK_SIZE`). */
const DEEPEST = 16;

/** Chains must not lead back to themselves, nor too deep. */
export function checkDepth(
	chains: ReadonlyMap<string, Chain>,
	chainName: string,
	rule: Rule,
	letter: string,
): void {
	const refused = (): NetError =>
		kernelRefused(
			letter === "A" ? "RULE_APPEND" : letter === "I" ? "RULE_INSERT" : "RULE_REPLACE",
			"EMLINK",
			"Too many links",
			`rule in chain ${chainName}`,
		);
	const home = chains.get(chainName);
	const visit = (chain: Chain, depth: number): void => {
		if (chain === home || depth > DEEPEST) throw refused();
		for (const { jump } of chain.rules) if (jump !== null) visit(jump, depth + 1);
	};
	if (rule.jump !== null) visit(rule.jump, 1);
}

/** A table's name from text. Throws `NetError`. */
export function toTableName(text: string): TableName {
	const known = TABLES.find((each) => each === text);
	if (known === undefined) throw unknownTable(text);
	return known;
}
