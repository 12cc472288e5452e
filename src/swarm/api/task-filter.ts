import type { TaskObject } from "../objects.ts";
import { taskName } from "../template.ts";
import { findNode } from "./find.ts";
import type { ManagerContext } from "./manager-context.ts";

/** `--filter` of `docker service ps` and `docker node ps`: tasks of which all that is said is true. */
export interface TaskFilter {
	/** What its id begins with. */
	readonly id?: string;
	/** What its name begins with: `web.1`. */
	readonly name?: string;
	/** Its node by hostname, id, or `self`. */
	readonly node?: string;
	readonly desiredState?: "running" | "shutdown" | "accepted";
}

/** The tasks that a filter lets by. Throws `DockerError` 404 for a node that is none. */
export function filtered(
	{ store, nodeId }: ManagerContext,
	tasks: readonly TaskObject[],
	{ id = "", name = "", node, desiredState }: TaskFilter,
): TaskObject[] {
	const wanted = node === undefined ? undefined : findNode(store, node, nodeId).id;
	return tasks.filter(
		(task) =>
			task.id.startsWith(id) &&
			taskName(task.serviceName, task).startsWith(name) &&
			(wanted === undefined || task.nodeId === wanted) &&
			(desiredState === undefined || task.desiredState === desiredState),
	);
}
