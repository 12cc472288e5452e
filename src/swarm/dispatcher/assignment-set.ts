import { taskNamed, taskTold } from "../messages/index.ts";
import type { AssignmentChange } from "../methods.ts";
import { TASK_STATES, type TaskObject } from "../objects.ts";
import type { Store } from "../store/store.ts";

const ASSIGNED = TASK_STATES.indexOf("assigned");

/** What one node is to run, and the difference to what it was last told (swarmkit manager/dispatcher/assignments.go). */
export class AssignmentSet {
	readonly #store: Store;
	/** As they were told. */
	readonly #tasks = new Map<string, TaskObject>();

	constructor(store: Store) {
		this.#store = store;
	}

	/**
	 * What is to be told now, of all tasks of the node; from then on the node knows it. A task goes with the networks that it
	 * is on.
	 */
	changes(all: readonly TaskObject[]): AssignmentChange[] {
		const tasks = all.filter(({ status }) => TASK_STATES.indexOf(status.state) >= ASSIGNED);
		const changed: TaskObject[] = [];
		for (const task of tasks) {
			const known = this.#tasks.get(task.id);
			if (known === undefined || !isTold(known, task)) changed.push(task);
			// The newest in any case: an older one would be kept for nobody else.
			this.#tasks.set(task.id, task);
		}
		const here = new Set(tasks.map(({ id }) => id));
		const gone = [...this.#tasks.keys()].filter((id) => !here.has(id));
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

/** Whether a node that knows one version of a task knows the other: its own reports it need not be told. */
function isTold(known: TaskObject, task: TaskObject): boolean {
	if (known === task) return true;
	const [before, now]: Readonly<Record<string, unknown>>[] = [known, task].map((each) => ({
		...each,
		meta: undefined,
		status: undefined,
	}));
	// Who writes a task anew takes over what stays: most parts are the same objects.
	if (before === undefined || now === undefined) return false;
	const keys = new Set([...Object.keys(before), ...Object.keys(now)]);
	return [...keys].every(
		(key) => before[key] === now[key] || JSON.stringify(before[key]) === JSON.stringify(now[key]),
	);
}
