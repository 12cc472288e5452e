import type { NodeObject } from "../../objects.ts";
import type { NodeInfo } from "./node-info.ts";

/**
 * Nodes in branches by what placement preferences spread over: `node.labels.zone` makes one branch per value
 * (swarmkit scheduler/decision_tree.go). Nodes without the label are a branch too.
 */
export interface PlacementTree {
	/** Tasks of the service below here. */
	tasks: number;
	readonly branches: Map<string, PlacementTree>;
	readonly nodes: NodeInfo[];
}

const empty = (): PlacementTree => ({ tasks: 0, branches: new Map(), nodes: [] });

/** The tree of some nodes; only what says `node.labels.…` or `engine.labels.…` makes branches. */
export function placementTree(
	nodes: Iterable<NodeInfo>,
	preferences: readonly { readonly spread: string }[],
	serviceId: string,
): PlacementTree {
	const root = empty();
	const spreads = preferences.map(({ spread }) => spread).filter((spread) => label(spread) !== undefined);
	for (const info of nodes) {
		let at = root;
		at.tasks += info.of(serviceId);
		for (const spread of spreads) {
			const value = label(spread)?.(info.node) ?? "";
			let branch = at.branches.get(value);
			if (branch === undefined) at.branches.set(value, (branch = empty()));
			at = branch;
			at.tasks += info.of(serviceId);
		}
		at.nodes.push(info);
	}
	return root;
}

function label(spread: string): ((node: NodeObject) => string | undefined) | undefined {
	const [, place, name] = /^(node|engine)\.labels\.(.+)$/i.exec(spread) ?? [];
	if (place === undefined || name === undefined) return undefined;
	return place.toLowerCase() === "node"
		? (node) => node.spec.labels[name]
		: (node) => node.description?.engineLabels[name];
}
