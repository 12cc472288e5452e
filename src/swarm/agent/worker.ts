import type { Executor } from "../executor.ts";
import { networksOf, type TaskMessage } from "../messages/index.ts";
import type { AssignmentChange, AssignmentsMessage } from "../methods.ts";
import type { NetworkObject, TaskObject, TaskStatus } from "../objects.ts";
import { isSame } from "./as-told.ts";
import { TaskRunner } from "./task-runner.ts";

/** What a node's tasks need around them. */
export interface WorkerOptions {
	readonly executor: Executor;
	readonly now: () => string;
	readonly report: (taskId: string, status: TaskStatus) => void;
	/** A standalone container's place on a network has its address. */
	readonly onAttachment: (task: TaskObject, network: NetworkObject) => void;
}

/** The tasks of a node (swarmkit agent/worker.go). They go on while no manager can be reached. */
export class Worker {
	readonly #options: WorkerOptions;
	readonly #runners = new Map<string, TaskRunner>();
	/** The networks that each of them is on. */
	readonly #networks = new Map<string, readonly NetworkObject[]>();

	constructor(options: WorkerOptions) {
		this.#options = options;
	}

	/** The networks that its tasks are on. */
	get networks(): readonly NetworkObject[] {
		return [...new Map([...this.#networks.values()].flat().map((each) => [each.id, each])).values()];
	}

	/** Where each of its tasks is. */
	statuses(): readonly (readonly [taskId: string, status: TaskStatus])[] {
		return [...this.#runners].map(([id, { status }]) => [id, status]);
	}

	/** What a manager says that the node is to run. */
	assign({ type, changes }: AssignmentsMessage): void {
		if (type === "complete") this.#forgetAllBut(changes);
		for (const { task, action } of changes) {
			if (task === undefined) continue;
			if (action === "update") this.#update(task);
			else this.#remove(task.task.id);
		}
	}

	#forgetAllBut(list: readonly AssignmentChange[]): void {
		const tasks = new Set(list.flatMap(({ task }) => task?.task.id ?? []));
		for (const id of [...this.#runners.keys()]) if (!tasks.has(id)) this.#remove(id);
	}

	#update(told: TaskMessage): void {
		const networks = networksOf(told).map((network) => this.#known(network));
		this.#networks.set(told.task.id, networks);
		const task = this.#sharing(told.task);
		const known = this.#runners.get(task.id);
		if (known !== undefined) known.update(task);
		else {
			const { executor, now, report } = this.#options;
			this.#runners.set(task.id, new TaskRunner({ task, networks, executor, now, report }));
		}
		const [network] = networks;
		if (task.spec.runtime === "attachment" && network !== undefined)
			this.#options.onAttachment(task, network);
	}

	/** A network as other tasks are on it: each is told of it anew. */
	#known(network: NetworkObject): NetworkObject {
		for (const networks of this.#networks.values()) {
			const same = networks.find(({ id }) => id === network.id);
			if (same !== undefined) return isSame(same, network) ? same : network;
		}
		return network;
	}

	/** A task that has in common with another one of its service what is the same: there may be many. */
	#sharing(task: TaskObject): TaskObject {
		if (task.serviceId === "") return task;
		for (const { task: other } of this.#runners.values()) {
			if (other.serviceId !== task.serviceId) continue;
			const spec = isSame(other.spec, task.spec) ? other.spec : task.spec;
			const endpoint = isSame(other.endpoint, task.endpoint) ? other.endpoint : task.endpoint;
			return { ...task, spec, endpoint };
		}
		return task;
	}

	#remove(id: string): void {
		this.#runners.get(id)?.close();
		this.#runners.delete(id);
		this.#networks.delete(id);
	}

	/** The node leaves the cluster: all of its tasks are gone at once. */
	close(): void {
		for (const runner of this.#runners.values()) runner.kill();
		this.#runners.clear();
	}

	/** The machine stopped. */
	forget(): void {
		for (const runner of this.#runners.values()) runner.forget();
		this.#runners.clear();
	}
}
