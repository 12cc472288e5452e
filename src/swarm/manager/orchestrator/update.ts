import { type Instant, Timer } from "../../../sim/index.ts";
import type { ServiceObject, TaskObject, UpdateConfig } from "../../objects.ts";
import type { Transaction } from "../../store/transaction.ts";
import { type Context, live, rank, Writer } from "../part.ts";
import type { Restarts } from "./restarts.ts";
import type { Slot } from "./slots.ts";
import { isDirty, newTask, placeOf, tasksAt, wanted } from "./task.ts";
import { completeUpdate, pauseUpdate, rollBackUpdate, startUpdate } from "./update-status.ts";

/**
 * One rolling update: so many workers as its parallelism says, each of which replaces the tasks of one slot, waits until
 * the new one runs, waits for the delay, and takes the next slot. When all slots are done, failures count for one more
 * monitoring period (swarmkit orchestrator/update `Updater`).
 */
export class Update extends Writer {
	readonly service: ServiceObject;
	readonly #restarts: Restarts;
	readonly #config: UpdateConfig;
	readonly #over: () => void;
	readonly #slots: readonly Slot[];
	#queue: Slot[] = [];
	/** Slots that were to be replaced when it began. */
	#dirty = 0;
	#workers = 0;
	/** Tasks it made, and since when they run. */
	readonly #made = new Map<string, Instant | undefined>();
	/** Who waits for a task to run. */
	readonly #awaited = new Map<string, (task: TaskObject | undefined) => void>();
	readonly #failures = new Set<string>();
	readonly #timers = new Set<Timer>();
	/** Paused or rolled back: no slot is begun any more. */
	#ended = false;

	constructor(
		context: Context,
		restarts: Restarts,
		service: ServiceObject,
		slots: readonly Slot[],
		over: () => void,
	) {
		super(context);
		this.#restarts = restarts;
		this.service = service;
		this.#slots = slots;
		this.#over = over;
		const { updateStatus, spec } = service;
		this.#config = updateStatus?.state === "rollback_started" ? spec.rollback : spec.update;
	}

	/** Begins, or is over at once when there is nothing to do. */
	start(): void {
		const { service } = this;
		const state = service.updateStatus?.state;
		if (state === "paused" || state === "rollback_paused") return this.#over();
		// What is to be replaced is known when the transaction that asked for the update is through.
		this.transact((tx) => {
			this.#queue = this.#slots.filter((slot) => {
				const [only] = slot;
				return slot.length > 1 || (only !== undefined && isDirty(tx, service, only));
			});
			this.#dirty = this.#queue.length;
			if (this.#dirty === 0) {
				if (state === "updating" || state === "rollback_started") completeUpdate(tx, service.id, this.now());
				this.#over();
				return;
			}
			if (state === undefined) startUpdate(tx, service.id, this.now());
			const { parallelism } = this.#config;
			this.#workers = parallelism === 0 ? this.#dirty : Math.min(parallelism, this.#dirty);
			for (let i = this.#workers; i > 0; i--) this.#next();
		});
	}

	/** No slot is begun any more; what was begun goes on by itself. */
	cancel(): void {
		this.stop();
		for (const timer of this.#timers) timer.cancel();
	}

	/** One of the service's tasks changed. */
	taskChanged(task: TaskObject): void {
		if (rank(task.status.state) >= rank("running")) {
			const awaited = this.#awaited.get(task.id);
			this.#awaited.delete(task.id);
			if (awaited !== undefined) this.#made.set(task.id, this.context.clock.now);
			if (!live(task.status)) this.#failed(task);
			awaited?.(task);
		}
	}

	/** One of the service's tasks is gone. */
	taskDeleted(task: TaskObject): void {
		const awaited = this.#awaited.get(task.id);
		this.#awaited.delete(task.id);
		awaited?.(undefined);
	}

	#failed(task: TaskObject): void {
		if (this.#ended || this.#failures.has(task.id) || !this.#made.has(task.id)) return;
		const { failureAction, monitor, maxFailureRatio } = this.#config;
		if (failureAction === "continue") return;
		const since = this.#made.get(task.id);
		if (since !== undefined && this.context.clock.now - since > monitor) return;
		this.#failures.add(task.id);
		if (this.#failures.size / this.#dirty <= maxFailureRatio) return;
		this.#ended = true;
		this.#queue = [];
		const { id } = this.service;
		this.transact((tx) => {
			if (failureAction === "pause") {
				pauseUpdate(
					tx,
					id,
					this.now(),
					`update paused due to failure or early termination of task ${task.id}`,
				);
			} else {
				const message = `update rolled back due to failure or early termination of task ${task.id}`;
				rollBackUpdate(tx, id, this.now(), message);
			}
		});
		if (this.#workers > 0) return;
		for (const timer of this.#timers) timer.cancel();
		this.#over();
	}

	/** A worker takes the next slot. */
	#next(): void {
		if (this.stopped) return;
		const slot = this.#queue.shift();
		if (slot === undefined) {
			this.#workers--;
			if (this.#workers === 0) this.#drained();
			return;
		}
		const clean = this.#clean(slot);
		const done = (): void => this.#after(this.#config.delay, () => this.#next());
		if (clean === undefined) this.#replace(slot, done);
		else this.#keep(clean, done);
	}

	/** A task of the slot that is what is asked for already. */
	#clean(slot: Slot): TaskObject | undefined {
		const { store } = this.context;
		const clean = slot.filter((task) => wanted(task) && !isDirty(store, this.service, task));
		return clean.find(({ desiredState }) => desiredState === "running") ?? clean[0];
	}

	/** The slot's other tasks go, and this one is told to run if it is not yet. */
	#keep(clean: TaskObject, done: () => void): void {
		this.transact((tx) => {
			const task = tx.get("task", clean.id);
			if (task === undefined) return done();
			const old = this.#shutDown(tx, task, (other) => other.id !== task.id);
			if (rank(task.desiredState) >= rank("running")) return done();
			this.#restarts.delayStart({ taskId: task.id, old, over: done });
		});
	}

	#replace(slot: Slot, done: () => void): void {
		this.transact((tx) => {
			const [first] = slot;
			if (first === undefined || tx.get("service", this.service.id) === undefined) return done();
			const task = newTask(this.id(), this.now(), this.service, placeOf(this.service, first), "ready");
			const startFirst = this.#config.order === "start-first";
			const old = startFirst ? undefined : this.#shutDown(tx, first, () => true);
			// Somebody else has ended all of the slot's tasks since, and made their successors.
			if (!startFirst && old === undefined && slot.some(wanted)) return done();
			tx.create(task);
			this.#made.set(task.id, undefined);
			this.#awaited.set(task.id, (now) => {
				if (startFirst && now?.status.state === "running")
					this.transact((later) => void this.#shutDown(later, now, ({ id }) => id !== now.id), done);
				else done();
			});
			this.#restarts.delayStart({ taskId: task.id, old });
		});
	}

	/** Ends tasks in the place of `task`; returns one of them. */
	#shutDown(
		tx: Transaction,
		task: TaskObject,
		which: (other: TaskObject) => boolean,
	): TaskObject | undefined {
		let last: TaskObject | undefined;
		for (const other of tasksAt(tx, this.service, placeOf(this.service, task))) {
			if (!wanted(other) || !which(other)) continue;
			last = this.with(other, { desiredState: "shutdown" });
			tx.update(last);
		}
		return last;
	}

	/** All slots are done. */
	#drained(): void {
		if (this.#ended) return this.#over();
		this.#after(this.#config.monitor, () => {
			this.transact((tx) => completeUpdate(tx, this.service.id, this.now()));
			this.#over();
		});
	}

	#after(delay: number, action: () => void): void {
		if (this.stopped) return;
		if (delay === 0) return action();
		const timer = new Timer(() => {
			this.#timers.delete(timer);
			action();
		});
		this.#timers.add(timer);
		this.context.clock.arm(timer, delay);
	}
}
