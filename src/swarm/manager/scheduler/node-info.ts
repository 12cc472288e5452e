import type { Instant } from "../../../sim/index.ts";
import { seconds } from "../../../sim/index.ts";
import type { NodeObject, TaskObject } from "../../objects.ts";
import { rank } from "../part.ts";

/** Failures within this time speak against a node (swarmkit nodeinfo.go `monitorFailures`). */
const MONITOR_FAILURES = seconds(5 * 60);
/** So many failures that another node is preferred (`maxFailures`). */
export const MAX_FAILURES = 5;

/** The service and the version of its spec: failures of an older version say nothing of a newer one. */
const versioned = (task: TaskObject): string => `${task.serviceId} ${String(task.specVersion ?? "")}`;

const NONE: readonly never[] = [];

const hostPorts = ({ endpoint }: TaskObject): readonly string[] =>
	(endpoint?.ports ?? NONE)
		.filter(({ publishMode, publishedPort }) => publishMode === "host" && publishedPort !== 0)
		.map(({ protocol, publishedPort }) => `${String(publishedPort)}/${protocol}`);

/** A node as the scheduler sees it: with the tasks that are on it. */
export class NodeInfo {
	node: NodeObject;
	/** Tasks that are to run here. */
	active = 0;
	readonly #byService = new Map<string, number>();
	/** All tasks that hold something here, and whether they count as active. */
	readonly #tasks = new Map<string, { readonly task: TaskObject; readonly active: boolean }>();
	readonly #hostPorts = new Map<string, number>();
	readonly #failures = new Map<string, Instant[]>();

	constructor(node: NodeObject) {
		this.node = node;
	}

	/** Active tasks of a service. */
	of(serviceId: string): number {
		return this.#byService.get(serviceId) ?? 0;
	}

	/** Adds a task, or notes that it changed. */
	add(task: TaskObject): void {
		this.remove(task.id);
		const active = rank(task.desiredState) <= rank("complete");
		this.#tasks.set(task.id, { task, active });
		if (active) this.#count(task.serviceId, 1);
		for (const port of hostPorts(task)) this.#hostPorts.set(port, (this.#hostPorts.get(port) ?? 0) + 1);
	}

	/** True when it was here. */
	remove(taskId: string): boolean {
		const found = this.#tasks.get(taskId);
		if (found === undefined) return false;
		this.#tasks.delete(taskId);
		if (found.active) this.#count(found.task.serviceId, -1);
		for (const port of hostPorts(found.task)) {
			const count = (this.#hostPorts.get(port) ?? 0) - 1;
			if (count > 0) this.#hostPorts.set(port, count);
			else this.#hostPorts.delete(port);
		}
		return true;
	}

	#count(serviceId: string, by: 1 | -1): void {
		this.active += by;
		const count = this.of(serviceId) + by;
		if (count > 0) this.#byService.set(serviceId, count);
		else this.#byService.delete(serviceId);
	}

	/** Whether a port that the task publishes on its node is in use here. */
	portInUse(task: TaskObject): boolean {
		return hostPorts(task).some((port) => this.#hostPorts.has(port));
	}

	/** A task ended in failure here. */
	failed(task: TaskObject, now: Instant): void {
		const key = versioned(task);
		this.#failures.set(key, [...this.#recent(key, now), now]);
	}

	/** How often tasks like this one failed here lately. */
	failures(task: TaskObject, now: Instant): number {
		if (this.#failures.size === 0) return 0;
		return this.#recent(versioned(task), now).length;
	}

	#recent(key: string, now: Instant): readonly Instant[] {
		return this.#failures.get(key)?.filter((at) => now - at < MONITOR_FAILURES) ?? NONE;
	}
}
