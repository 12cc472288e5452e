import type { AssignmentChange } from "../methods.ts";
import { type NetworkObject, TASK_STATES, type TaskObject } from "../objects.ts";
import type { Store } from "../store/store.ts";

const ASSIGNED = TASK_STATES.indexOf("assigned");

/** What one node is to run, and the difference to what it was last told (swarmkit manager/dispatcher/assignments.go). */
export class AssignmentSet {
	readonly #store: Store;
	readonly #nodeId: string;
	readonly #tasks = new Map<string, string>();
	readonly #networks = new Map<string, number>();

	constructor(store: Store, nodeId: string) {
		this.#store = store;
		this.#nodeId = nodeId;
	}

	/** What is to be told now; from then on the node knows it. Networks come before the tasks on them, and go after. */
	changes(): AssignmentChange[] {
		const tasks = this.#store
			.all("task")
			.filter(
				({ nodeId, status }) => nodeId === this.#nodeId && TASK_STATES.indexOf(status.state) >= ASSIGNED,
			);
		const networks = this.#networksOf(tasks);
		const came = networks.filter(({ id, meta }) => this.#networks.get(id) !== meta.version);
		for (const { id, meta } of came) this.#networks.set(id, meta.version);
		const changed = tasks.filter((task) => this.#tasks.get(task.id) !== told(task));
		for (const task of changed) this.#tasks.set(task.id, told(task));
		const gone = [...this.#tasks.keys()].filter((id) => !tasks.some((task) => task.id === id));
		for (const id of gone) this.#tasks.delete(id);
		const left = [...this.#networks.keys()].filter((id) => !networks.some((network) => network.id === id));
		for (const id of left) this.#networks.delete(id);
		return [
			...came.map((network) => ({ task: undefined, network, action: "update" as const })),
			...changed.map((task) => ({ task, network: undefined, action: "update" as const })),
			...gone.map((id) => ({ task: taskNamed(id), network: undefined, action: "remove" as const })),
			...left.map((id) => ({
				task: undefined,
				network: networkNamed(id),
				action: "remove" as const,
			})),
		];
	}

	#networksOf(tasks: readonly TaskObject[]): NetworkObject[] {
		const ids = new Set(tasks.flatMap((task) => task.networks.map(({ networkId }) => networkId)));
		return [...ids].flatMap((id) => this.#store.get("network", id) ?? []);
	}
}

/** What a node has to know of a task: not its own reports. */
const told = (task: TaskObject): string => JSON.stringify({ ...task, meta: undefined, status: undefined });

/** Of what goes only the id is told. */
const taskNamed = (id: string): TaskObject => ({ id }) as TaskObject;
const networkNamed = (id: string): NetworkObject => ({ id }) as NetworkObject;
