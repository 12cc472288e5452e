import type { NodeObject } from "../objects.ts";

/** `node.role==manager`. */
export interface Constraint {
	/** As it was written: `node.labels.zone`. */
	readonly key: string;
	readonly equal: boolean;
	readonly value: string;
}

const KEY = /^[a-z_][a-z0-9\-_.]+$/i;
const VALUE = /^[a-z0-9:\-_\s.*()?+[\]\\^$|/]+$/i;
const OPERATORS = ["==", "!="] as const;

/** Reads constraints; a text says what is wrong with one (swarmkit manager/constraint). */
export function parseConstraints(texts: readonly string[]): readonly Constraint[] | string {
	const found: Constraint[] = [];
	for (const text of texts) {
		const operator = OPERATORS.find((each) => text.includes(each));
		if (operator === undefined) return `constraint expected one operator from ${OPERATORS.join(", ")}`;
		const at = text.indexOf(operator);
		const key = text.slice(0, at).trim();
		const value = text.slice(at + operator.length).trim();
		if (!KEY.test(key)) return `key '${key}' is invalid`;
		if (!VALUE.test(value)) return `value '${value}' is invalid`;
		found.push({ key, equal: operator === "==", value });
	}
	return found;
}

const parsed = new WeakMap<readonly string[], readonly Constraint[]>();

/** Constraints that were found good when they came. */
export function constraintsOf(texts: readonly string[]): readonly Constraint[] {
	let found = parsed.get(texts);
	if (found === undefined) {
		const read = parseConstraints(texts);
		parsed.set(texts, (found = typeof read === "string" ? [] : read));
	}
	return found;
}

/** Whether a node is what all constraints ask for. */
export const nodeMatches = (constraints: readonly Constraint[], node: NodeObject): boolean =>
	constraints.every((constraint) => matches(constraint, node));

function matches({ key, equal, value }: Constraint, node: NodeObject): boolean {
	const actual = attribute(key, node);
	// A key nobody knows fits no node, whatever the operator.
	if (actual === undefined) return false;
	return (actual.toLowerCase() === value.toLowerCase()) === equal;
}

/** What a node has under a key, "" when it has not; undefined for no key of a node's. */
function attribute(key: string, node: NodeObject): string | undefined {
	const { description } = node;
	switch (key.toLowerCase()) {
		case "node.id":
			return node.id;
		case "node.hostname":
			return description?.hostname ?? "";
		case "node.ip":
			return node.status.addr;
		case "node.role":
			return node.spec.role;
		case "node.platform.os":
			return description?.platform.os ?? "";
		case "node.platform.arch":
			return description?.platform.architecture ?? "";
		default:
			return (
				label(key, "node.labels.", node.spec.labels) ??
				label(key, "engine.labels.", description?.engineLabels)
			);
	}
}

function label(
	key: string,
	prefix: string,
	labels: Readonly<Record<string, string>> | undefined,
): string | undefined {
	if (!key.toLowerCase().startsWith(prefix) || key.length === prefix.length) return undefined;
	return labels?.[key.slice(prefix.length)] ?? "";
}
