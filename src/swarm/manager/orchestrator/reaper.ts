import { milliseconds, Timer } from "../../../sim/index.ts";
import type { ServiceObject, TaskObject } from "../../objects.ts";
import type { StoreEvent } from "../../store/store.ts";
import type { Transaction } from "../../store/transaction.ts";
import { nanosecondsOf } from "../clock.ts";
import { TASK_HISTORY } from "../defaults.ts";
import { clusterOf, live, TurningPart, rank } from "../part.ts";
import { type Place, placeKey, placeOf, tasksAt, wanted } from "./task.ts";

/** Changes are gathered for so long (`reaperBatchingInterval`), or until there are so many (`maxDirty`). */
const INTERVAL = milliseconds(250);
const MAX_DIRTY = 1000;

/** A task that ended, or that no node will ever get. */
const over = (task: TaskObject): boolean =>
	!live(task.status) || (rank(task.status.state) < rank("assigned") && !wanted(task));

/**
 * Deletes tasks that nobody needs: those to be removed once they have ended, and of each place the oldest beyond the
 * history that is kept (swarmkit orchestrator/taskreaper).
 */
export class Reaper extends TurningPart {
	/** Places with a new task: service and place. */
	readonly #dirty = new Map<string, { readonly serviceId: string; readonly place: Place }>();
	readonly #cleanup = new Set<string>();
	readonly #timer = new Timer(() => {
		this.turn();
	});

	start(): void {
		const { store } = this.context;
		for (const task of store.all("task")) this.#look(task);
		for (const service of store.all("service"))
			for (const task of store.tasksOf(service.id)) this.#mark(service, task);
		if (this.#dirty.size + this.#cleanup.size > 0) this.turn();
	}

	override stop(): void {
		super.stop();
		this.#timer.cancel();
	}

	changed(events: readonly StoreEvent[]): void {
		let changed = false;
		for (const { op, object } of events) {
			if (object.kind !== "task" || op === "delete") continue;
			changed = this.#look(object) || changed;
			// A place has one task too many when it gets another, or when one of several ends.
			if (op !== "create" && live(object.status)) continue;
			const service = this.context.store.get("service", object.serviceId);
			if (service === undefined) continue;
			this.#mark(service, object);
			changed = true;
		}
		if (!changed) return;
		if (this.#dirty.size + this.#cleanup.size > MAX_DIRTY) this.turn();
		else this.context.clock.arm(this.#timer, INTERVAL);
	}

	#mark(service: ServiceObject, task: TaskObject): void {
		const place = placeOf(service, task);
		this.#dirty.set(`${service.id} ${placeKey(place)}`, { serviceId: service.id, place });
	}

	/** True when the task is to be deleted. */
	#look(task: TaskObject): boolean {
		const orphan = task.serviceId === "" && task.status.state === "orphaned";
		if (!orphan && !(task.desiredState === "remove" && over(task))) return false;
		this.#cleanup.add(task.id);
		return true;
	}

	protected work(tx: Transaction): void {
		this.#timer.cancel();
		for (const id of this.#cleanup) if (tx.get("task", id) !== undefined) tx.delete("task", id);
		this.#cleanup.clear();
		const kept = clusterOf(this.context.store)?.taskHistoryLimit ?? TASK_HISTORY;
		for (const { serviceId, place } of this.#dirty.values()) {
			const service = tx.get("service", serviceId);
			if (service === undefined) continue;
			const { maxAttempts } = service.spec.task.restart;
			// Restarts are counted by what is kept.
			const limit = maxAttempts > 0 ? maxAttempts + 1 : kept;
			if (limit >= 0) this.#clean(tx, tasksAt(tx, service, place), limit);
		}
		this.#dirty.clear();
	}

	#clean(tx: Transaction, history: readonly TaskObject[], limit: number): void {
		let excess = history.length - limit;
		if (excess <= 0) return;
		const oldestFirst = history
			.map((task) => ({ task, at: nanosecondsOf(task.status.timestamp) }))
			.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
		for (const { task } of oldestFirst) {
			if (excess === 0) return;
			if (wanted(task) || !over(task)) continue;
			tx.delete("task", task.id);
			excess--;
		}
	}
}
