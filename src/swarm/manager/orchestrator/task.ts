import type { NodeObject, ServiceObject, TaskObject } from "../../objects.ts";
import type { Reader } from "../../store/tables.ts";
import { constraintsOf, nodeMatches } from "../constraint.ts";
import { rank } from "../part.ts";
import { same } from "../same.ts";

/** What a new task is for: a slot of a replicated service, or a node of a global one. */
export interface Place {
	readonly slot: number;
	readonly nodeId: string;
}

/** A task as it comes into being (swarmkit orchestrator/task.go `NewTask`). */
export function newTask(
	id: string,
	now: string,
	service: ServiceObject,
	{ slot, nodeId }: Place,
	desiredState: "running" | "ready" = "running",
): TaskObject {
	const { spec } = service;
	return {
		kind: "task",
		id,
		meta: { version: 0, createdAt: now, updatedAt: now },
		serviceId: service.id,
		serviceName: spec.name,
		slot,
		nodeId,
		spec: spec.task,
		specVersion: service.specVersion,
		status: { state: "new", timestamp: now, message: "created", err: "" },
		desiredState,
		networks: [],
		endpoint: { spec: spec.endpoint, mode: spec.endpoint.mode, ports: [], virtualIps: [] },
	};
}

/** Where a service's task belongs: tasks of one place follow each other. */
export const placeOf = (service: ServiceObject, task: TaskObject): Place =>
	service.spec.mode.kind === "global" ? { slot: 0, nodeId: task.nodeId } : { slot: task.slot, nodeId: "" };

/** A text for a place, for maps. */
export const placeKey = ({ slot, nodeId }: Place): string => `${String(slot)} ${nodeId}`;

/** Tasks by their place, each place's oldest first. */
export function byPlace(service: ServiceObject, tasks: readonly TaskObject[]): Map<string, TaskObject[]> {
	const found = new Map<string, TaskObject[]>();
	for (const task of tasks) {
		const key = placeKey(placeOf(service, task));
		const place = found.get(key);
		if (place === undefined) found.set(key, [task]);
		else place.push(task);
	}
	return found;
}

/** The tasks in a place of a service, oldest first. */
export const tasksAt = (
	reader: Reader,
	service: ServiceObject,
	{ slot, nodeId }: Place,
): readonly TaskObject[] =>
	service.spec.mode.kind === "global"
		? reader.tasksOn(nodeId).filter(({ serviceId }) => serviceId === service.id)
		: reader.tasksIn(service.id, slot);

/** Whether a task is to run, or to become ready to. */
export const wanted = (task: TaskObject): boolean => rank(task.desiredState) <= rank("running");

/** Whether tasks are to leave a node. */
export const invalidNode = (node: NodeObject | undefined): boolean =>
	node === undefined || node.status.state === "down" || node.spec.availability === "drain";

/**
 * Whether a task is another than the service's spec asks for. Constraints alone make it so only when its node does not
 * fit them (swarmkit orchestrator/task.go `IsTaskDirty`).
 */
export function isDirty(reader: Reader, service: ServiceObject, task: TaskObject): boolean {
	if (task.specVersion === service.specVersion) return false;
	const { spec } = service;
	if (!same(spec.task.placement, task.spec.placement)) {
		const node = reader.get("node", task.nodeId);
		const fits = node !== undefined && nodeMatches(constraintsOf(spec.task.placement.constraints), node);
		if (fits && same({ ...spec.task, placement: task.spec.placement }, task.spec)) return false;
	}
	return (
		!same(spec.task, task.spec) || (task.endpoint !== undefined && !same(spec.endpoint, task.endpoint.spec))
	);
}
