import type { TaskObject } from "../../objects.ts";
import { constraintsOf, nodeMatches } from "../constraint.ts";
import type { NodeInfo } from "./node-info.ts";

/** A reason for which a node cannot have a task. */
interface Filter {
	readonly passes: (info: NodeInfo) => boolean;
	/** What it says of so many nodes that did not pass. */
	readonly explain: (nodes: number) => string;
}

const on = (text: string) => (nodes: number) => `${text} on ${String(nodes)} node${nodes === 1 ? "" : "s"}`;

const READY: Filter = {
	passes: ({ node }) => node.status.state === "ready" && node.spec.availability === "active",
	explain: (nodes) => `${String(nodes)} node${nodes === 1 ? "" : "s"} not available for new tasks`,
};

const architecture = (name: string): string => (name === "x86_64" ? "amd64" : name);

/** The filters a task's nodes go through, in their order (swarmkit scheduler/filter.go). */
function filtersFor(task: TaskObject): readonly Filter[] {
	const { constraints, maxReplicas, platforms = [] } = task.spec.placement;
	const filters: Filter[] = [READY];
	if (constraints.length > 0) {
		const parsed = constraintsOf(constraints);
		filters.push({
			passes: ({ node }) => nodeMatches(parsed, node),
			explain: on("scheduling constraints not satisfied"),
		});
	}
	if (platforms.length > 0) {
		filters.push({
			passes: ({ node: { description } }) =>
				platforms.some(
					(each) =>
						description !== undefined &&
						["", architecture(description.platform.architecture)].includes(architecture(each.architecture)) &&
						["", description.platform.os].includes(each.os),
				),
			explain: on("unsupported platform"),
		});
	}
	if (task.endpoint?.ports.some(({ publishMode }) => publishMode === "host") === true) {
		filters.push({
			passes: (info) => !info.portInUse(task),
			explain: on("host-mode port already in use"),
		});
	}
	if (maxReplicas > 0) {
		filters.push({
			passes: (info) => info.of(task.serviceId) < maxReplicas,
			explain: () => "max replicas per node limit exceed",
		});
	}
	return filters;
}

/** Says which nodes can have a task, and why none can. */
export class Pipeline {
	readonly #filters: readonly Filter[];

	constructor(task: TaskObject) {
		this.#filters = filtersFor(task);
	}

	/** Whether the node can have it. */
	passes(info: NodeInfo): boolean {
		return this.#filters.every((filter) => filter.passes(info));
	}

	/** Why these nodes cannot: each counts for the first filter it does not pass; most nodes first. */
	explain(infos: Iterable<NodeInfo>): string {
		const failures = new Map(this.#filters.map((filter) => [filter, 0]));
		for (const info of infos) {
			const failed = this.#filters.find((filter) => !filter.passes(info));
			if (failed !== undefined) failures.set(failed, (failures.get(failed) ?? 0) + 1);
		}
		return [...failures]
			.filter(([, nodes]) => nodes > 0)
			.sort(([, a], [, b]) => b - a)
			.map(([filter, nodes]) => filter.explain(nodes))
			.join("; ");
	}
}

/** `no suitable node (1 node not available for new tasks)`. */
export const noSuitableNode = (explanation: string): string =>
	explanation === "" ? "no suitable node" : `no suitable node (${explanation})`;
