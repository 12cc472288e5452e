import { type Nanoseconds, seconds, Timer } from "../../../sim/index.ts";
import type { ServiceObject, TaskObject } from "../../objects.ts";
import type { StoreEvent } from "../../store/store.ts";
import type { Reader } from "../../store/tables.ts";
import type { Transaction } from "../../store/transaction.ts";
import { type Context, live, Part, rank } from "../part.ts";
import { RestartHistory } from "./restart-history.ts";
import { newTask, placeOf, wanted } from "./task.ts";

/** So long the end of an old task is waited for (`defaultOldTaskTimeout`). */
const OLD_TASK_TIMEOUT = seconds(60);

/** A task in desired state `ready` that will be told to run. */
interface DelayedStart {
	readonly taskId: string;
	/** What has to end first. */
	readonly old: TaskObject | undefined;
	readonly delay: Timer;
	readonly timeout: Timer;
	/** The delay is over, the old task is not. */
	waiting: boolean;
	/** Somebody wants to restart the task itself when this is over. */
	restartLater: boolean;
	readonly over: (() => void)[];
}

/** How a start is delayed. */
export interface DelayOptions {
	readonly taskId: string;
	/** The task it replaces, when its end is to be waited for. */
	readonly old?: TaskObject | undefined;
	readonly delay?: Nanoseconds;
	/** Called when the task is told to run, or will not be any more. */
	readonly over?: () => void;
}

/**
 * Replaces tasks that ended, as their restart policy says: the new task is made at once in desired state `ready`, and told
 * to run when the delay is over and the old one has stopped (swarmkit orchestrator/restart).
 */
export class Restarts extends Part {
	readonly #delays = new Map<string, DelayedStart>();
	readonly #history: RestartHistory;

	constructor(context: Context) {
		super(context);
		this.#history = new RestartHistory(context.clock);
	}

	/** Starts that a leader before this one delayed go on, and its restarts are counted. */
	start(): void {
		const { store, clock } = this.context;
		for (const service of store.all("service")) {
			const versions = new Map<string, number>();
			for (const task of store.tasksOf(service.id)) {
				const key = `${String(task.slot)} ${task.nodeId} ${String(task.specVersion)}`;
				const before = versions.get(key) ?? 0;
				versions.set(key, before + 1);
				if (before > 0) this.#history.record(service, task, clock.now - clock.since(task.meta.createdAt));
				if (task.desiredState !== "ready" || rank(task.status.state) > rank("complete")) continue;
				const passed = clock.since(task.status.timestamp);
				this.delayStart({ taskId: task.id, delay: Math.max(0, task.spec.restart.delay - passed) });
			}
		}
	}

	override stop(): void {
		super.stop();
		for (const { delay, timeout } of this.#delays.values()) {
			delay.cancel();
			timeout.cancel();
		}
		this.#delays.clear();
	}

	changed(events: readonly StoreEvent[]): void {
		for (const { op, object } of events) {
			if (object.kind === "service" && op === "delete") this.#history.forget(object.id);
			if (object.kind !== "task" && object.kind !== "node") continue;
			if (object.kind === "task" && op !== "delete" && live(object.status)) continue;
			if (object.kind === "node" && op !== "delete" && object.status.state !== "down") continue;
			for (const start of [...this.#delays.values()]) {
				const on = object.kind === "task" ? start.old?.id : start.old?.nodeId;
				if (start.waiting && on === object.id) this.#finish(start);
			}
		}
	}

	/** Ends a task, and makes the one that follows it if the policy says so. */
	restart(tx: Transaction, service: ServiceObject, task: TaskObject): void {
		const pending = this.#delays.get(task.id);
		if (pending !== undefined) {
			// It failed before it was told to run: its own delay has to pass, or failures would follow each other closely.
			if (!pending.restartLater) pending.over.push(() => this.#restartLater(task.id));
			pending.restartLater = true;
			return;
		}
		if (!wanted(task)) return;
		const ended = this.with(task, { desiredState: "shutdown" });
		tx.update(ended);
		if (!this.#history.allows(service, task)) return;
		const next = newTask(this.id(), this.now(), service, placeOf(service, task), "ready");
		const node = tx.get("node", task.nodeId);
		tx.create(next);
		this.#history.record(service, next);
		const stops = live(task.status) && node?.status.state !== "down";
		this.delayStart({
			taskId: next.id,
			old: stops ? ended : undefined,
			// Tasks of drained nodes move at once.
			delay: node?.spec.availability === "drain" ? 0 : task.spec.restart.delay,
		});
	}

	#restartLater(taskId: string): void {
		this.transact((tx) => {
			const task = tx.get("task", taskId);
			const service = tx.get("service", task?.serviceId ?? "");
			if (task !== undefined && wanted(task) && service !== undefined) this.restart(tx, service, task);
		});
	}

	/** Tells a task to run, later. */
	delayStart({ taskId, old, delay = 0, over }: DelayOptions): void {
		const before = this.#delays.get(taskId);
		if (before !== undefined) this.#end(before);
		const start: DelayedStart = {
			taskId,
			old,
			delay: new Timer(() => this.#delayOver(start)),
			timeout: new Timer(() => this.#finish(start)),
			waiting: false,
			restartLater: false,
			over: over === undefined ? [] : [over],
		};
		this.#delays.set(taskId, start);
		if (old !== undefined) this.context.clock.arm(start.timeout, Math.max(delay, OLD_TASK_TIMEOUT));
		if (delay > 0) this.context.clock.arm(start.delay, delay);
		else this.#delayOver(start);
	}

	#delayOver(start: DelayedStart): void {
		if (start.old === undefined || this.#stopped(start.old)) this.#finish(start);
		else start.waiting = true;
	}

	#stopped(old: TaskObject): boolean {
		const { store } = this.context;
		const task = store.get("task", old.id);
		const node = old.nodeId === "" ? undefined : store.get("node", old.nodeId);
		return (
			task === undefined ||
			!live(task.status) ||
			(old.nodeId !== "" && (node === undefined || node.status.state === "down"))
		);
	}

	#finish(start: DelayedStart): void {
		this.transact(
			(tx) => {
				const task = tx.get("task", start.taskId);
				if (task !== undefined && rank(task.desiredState) < rank("running"))
					tx.update(this.with(task, { desiredState: "running" }));
			},
			() => this.#end(start),
		);
	}

	#end(start: DelayedStart): void {
		if (this.#delays.get(start.taskId) !== start) return;
		this.#delays.delete(start.taskId);
		start.delay.cancel();
		start.timeout.cancel();
		for (const over of start.over) over();
	}

	/** The task is not to be started any more. */
	cancel(taskId: string): void {
		const start = this.#delays.get(taskId);
		if (start !== undefined) this.#end(start);
	}

	/**
	 * The tasks of a place that an update has to care for: those that are to run; or the newest one when it ended and its
	 * policy gives it no successor, so that an update does (swarmkit `UpdatableTasksInSlot`).
	 */
	updatable(service: ServiceObject, place: readonly TaskObject[]): readonly TaskObject[] {
		const running = place.filter(wanted);
		// A rollback brings back what ran before, also where nothing was to run any more.
		if (running.length > 0 || service.updateStatus?.state === "rollback_started") return running;
		const newest = place.at(-1);
		if (newest === undefined || newest.desiredState === "remove") return [];
		return this.#history.allows(service, newest) ? [] : [newest];
	}
}

/** The service of a task, when it has one of this mode. */
export function serviceOf(
	reader: Reader,
	task: TaskObject,
	mode: "replicated" | "global",
): ServiceObject | undefined {
	const service = task.serviceId === "" ? undefined : reader.get("service", task.serviceId);
	return service?.spec.mode.kind === mode ? service : undefined;
}
