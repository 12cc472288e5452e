import { taskNamed, taskTold } from "../messages/index.ts";
import type { AssignmentChange } from "../methods.ts";
import { TASK_STATES, type TaskObject } from "../objects.ts";
import type { Store } from "../store/store.ts";

const ASSIGNED = TASK_STATES.indexOf("assigned");

/** What one node is to run, and the difference to what it was last told (swarmkit manager/dispatcher/assignments.go). */
export class AssignmentSet {
	readonly #store: Store;
	readonly #nodeId: string;
	readonly #tasks = new Map<string, string>();

	constructor(store: Store, nodeId: string) {
		this.#store = store;
		this.#nodeId = nodeId;
	}

	/** What is to be told now; from then on the node knows it. A task goes with the networks that it is on. */
	changes(): AssignmentChange[] {
		const tasks = this.#store
			.all("task")
			.filter(
				({ nodeId, status }) => nodeId === this.#nodeId && TASK_STATES.indexOf(status.state) >= ASSIGNED,
			);
		const changed = tasks.filter((task) => this.#tasks.get(task.id) !== told(task));
		for (const task of changed) this.#tasks.set(task.id, told(task));
		const gone = [...this.#tasks.keys()].filter((id) => !tasks.some((task) => task.id === id));
		for (const id of gone) this.#tasks.delete(id);
		return [
			...changed.map((task) => ({
				task: taskTold(task, (id) => this.#store.get("network", id)),
				action: "update" as const,
			})),
			...gone.map((id) => ({ task: taskNamed(id), action: "remove" as const })),
		];
	}
}

/** What a node has to know of a task: not its own reports. */
const told = (task: TaskObject): string => JSON.stringify({ ...task, meta: undefined, status: undefined });
