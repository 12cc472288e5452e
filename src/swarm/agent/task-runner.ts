import type { Executor, TaskController, TaskExit } from "../executor.ts";
import {
	type NetworkObject,
	TASK_STATES,
	type TaskObject,
	type TaskState,
	type TaskStatus,
} from "../objects.ts";

/** What a task's way depends on outside. */
export interface TaskRunnerOptions {
	readonly task: TaskObject;
	readonly networks: readonly NetworkObject[];
	readonly executor: Executor;
	/** The time of day. */
	readonly now: () => string;
	/** The task is where it was not before, or is found to be at rest there. */
	readonly report: (taskId: string, status: TaskStatus) => void;
}

/**
 * One task's way on its node: one step of its controller's after the other, as far as it is wanted to go (swarmkit
 * agent/exec `Do`).
 *
 *     assigned → accepted → preparing → ready → starting → running → complete
 *                               │                   │         └────▶ failed
 *                               └▶ rejected         └─────────────▶ failed      wanted down: → shutdown
 */
export class TaskRunner {
	readonly #options: TaskRunnerOptions;
	readonly #controller: TaskController | undefined;
	#task: TaskObject;
	#status: TaskStatus;
	#busy = false;
	#closed = false;
	#stopping = false;

	constructor(options: TaskRunnerOptions) {
		this.#options = options;
		this.#task = options.task;
		this.#status = options.task.status;
		// A standalone container's place needs nothing to run: it is there once its address is known.
		const attachment = this.#task.spec.runtime === "attachment";
		this.#controller = attachment ? undefined : options.executor.controller(this.#task, options.networks);
		this.#controller?.onExit((exit) => {
			this.#exited(exit);
		});
		if (orderOf(this.#status.state) >= orderOf("starting") && !attachment) {
			// It ran here in a former life of the machine's.
			if (!this.#isOver) this.#to("failed", "started", "task: non-zero exit (255)");
			return;
		}
		this.#goOn();
	}

	/** Where it is. */
	get status(): TaskStatus {
		return this.#status;
	}

	get task(): TaskObject {
		return this.#task;
	}

	get #isOver(): boolean {
		return orderOf(this.#status.state) > orderOf("running");
	}

	/** The manager wants something else of it. */
	update(task: TaskObject): void {
		this.#task = task;
		this.#goOn();
	}

	/** It is assigned no longer: it ends, and nothing of it stays. */
	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		const controller = this.#controller;
		if (controller === undefined) return;
		if (this.#isOver || this.#stopping) controller.remove();
		else
			controller.shutdown(() => {
				controller.remove();
			});
	}

	/** The node leaves the cluster: nobody is told, its container is removed by force (daemon/cluster/swarm.go `Leave`). */
	kill(): void {
		this.#closed = true;
		this.#controller?.remove();
	}

	/** The machine stopped. */
	forget(): void {
		this.#closed = true;
	}

	#goOn(): void {
		if (this.#busy || this.#closed || this.#isOver) return;
		if (orderOf(this.#task.desiredState) >= orderOf("shutdown")) {
			this.#shutDown();
			return;
		}
		const controller = this.#controller;
		if (orderOf(this.#status.state) >= orderOf(this.#task.desiredState)) {
			if (controller !== undefined && this.#status.state !== "running") this.#atRest();
			return;
		}
		if (controller === undefined) {
			this.#to("running", "started");
			return;
		}
		switch (this.#status.state) {
			case "accepted":
				this.#to("preparing", "preparing");
				break;
			case "preparing":
				this.#do(
					(done) => {
						controller.prepare(done);
					},
					["ready", "prepared"],
					"rejected",
				);
				return;
			case "ready":
				this.#to("starting", "starting");
				break;
			case "starting":
				this.#do(
					(done) => {
						controller.start(done);
					},
					["running", "started"],
					"failed",
				);
				return;
			case "running":
				return;
			default:
				this.#to("accepted", "accepted");
		}
		this.#goOn();
	}

	#do(
		step: (done: (err?: string) => void) => void,
		[state, message]: readonly [TaskState, string],
		failure: TaskState,
	): void {
		this.#busy = true;
		step((err) => {
			this.#busy = false;
			if (this.#closed) return;
			if (err === undefined) this.#to(state, message);
			else {
				this.#to(failure, failure === "rejected" ? "preparing" : "starting", err);
				this.#atRest();
			}
			this.#goOn();
		});
	}

	#shutDown(): void {
		const controller = this.#controller;
		if (controller === undefined || this.#stopping) {
			if (controller === undefined) this.#to("shutdown", "shutdown");
			return;
		}
		this.#stopping = true;
		this.#busy = true;
		controller.shutdown((exitCode) => {
			this.#busy = false;
			if (this.#closed || this.#isOver) return;
			this.#to("shutdown", "shutdown", "", exitCode);
			this.#atRest();
		});
	}

	#exited({ exitCode, err }: TaskExit): void {
		if (this.#closed || this.#isOver || this.#stopping) return;
		if (exitCode === 0 && err === "") this.#to("complete", "finished", "", 0);
		else {
			const text = err === "" ? `task: non-zero exit (${String(exitCode)})` : err;
			this.#to("failed", "started", text, exitCode);
		}
		this.#atRest();
	}

	/** Nothing more is to be done, which is found out by trying: where it is is reported once more (`Do` with `ErrTaskNoop`). */
	#atRest(): void {
		this.#options.report(this.#task.id, this.#status);
	}

	#to(state: TaskState, message: string, err = "", exitCode?: number): void {
		const { containerId, ports } = this.#controller ?? { containerId: undefined, ports: [] };
		this.#status = {
			state,
			timestamp: this.#options.now(),
			message,
			err,
			...(containerId === undefined ? {} : { containerId }),
			...(exitCode === undefined ? {} : { exitCode }),
			...(ports.length === 0 ? {} : { ports }),
		};
		this.#options.report(this.#task.id, this.#status);
	}
}

const orderOf = (state: TaskState): number => TASK_STATES.indexOf(state);
