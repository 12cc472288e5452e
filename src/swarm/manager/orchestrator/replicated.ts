import type { NodeObject, ServiceObject, TaskObject } from "../../objects.ts";
import type { StoreEvent } from "../../store/store.ts";
import type { Transaction } from "../../store/transaction.ts";
import { type Context, live, TurningPart } from "../part.ts";
import { type Restarts, serviceOf } from "./restarts.ts";
import { bestFirst, type Slot } from "./slots.ts";
import { byPlace, invalidNode, newTask, wanted } from "./task.ts";
import type { Updates } from "./updates.ts";

/** Keeps services of so many replicas at that number (swarmkit orchestrator/replicated). */
export class Replicated extends TurningPart {
	readonly #restarts: Restarts;
	readonly #updates: Updates;
	readonly #services = new Set<string>();
	/** Tasks that ended, or whose node did. */
	readonly #ended = new Set<string>();

	constructor(context: Context, restarts: Restarts, updates: Updates) {
		super(context);
		this.#restarts = restarts;
		this.#updates = updates;
	}

	start(): void {
		const { store } = this.context;
		for (const service of store.all("service"))
			if (service.spec.mode.kind === "replicated") this.#services.add(service.id);
		for (const task of store.all("task")) this.#taskChanged(task);
		this.turn();
	}

	changed(events: readonly StoreEvent[]): void {
		for (const { op, object } of events) {
			if (object.kind === "service" && object.spec.mode.kind === "replicated") {
				if (op === "delete") this.#services.delete(object.id);
				else this.#services.add(object.id);
			} else if (object.kind === "node") {
				this.#nodeChanged(object, op === "delete");
			} else if (object.kind === "task") {
				if (op === "delete") this.#taskDeleted(object);
				else this.#taskChanged(object);
			}
		}
		if (this.#services.size + this.#ended.size > 0) this.turn();
	}

	#nodeChanged(node: NodeObject, gone: boolean): void {
		if (!gone && !invalidNode(node)) return;
		for (const task of this.context.store.tasksOn(node.id)) {
			if (wanted(task) && serviceOf(this.context.store, task, "replicated") !== undefined)
				this.#ended.add(task.id);
		}
	}

	#taskDeleted(task: TaskObject): void {
		this.#ended.delete(task.id);
		if (!wanted(task)) return;
		this.#restarts.cancel(task.id);
		const service = serviceOf(this.context.store, task, "replicated");
		if (service !== undefined) this.#services.add(service.id);
	}

	#taskChanged(task: TaskObject): void {
		if (!wanted(task)) return;
		const { store } = this.context;
		const ended = !live(task.status) || (task.nodeId !== "" && invalidNode(store.get("node", task.nodeId)));
		if (ended && serviceOf(store, task, "replicated") !== undefined) this.#ended.add(task.id);
	}

	protected work(tx: Transaction): void {
		// Tasks first: what they become is what services are counted by.
		for (const id of [...this.#ended]) {
			const task = tx.get("task", id);
			const service = task === undefined ? undefined : serviceOf(tx, task, "replicated");
			if (task !== undefined && service !== undefined && wanted(task))
				this.#restarts.restart(tx, service, task);
		}
		this.#ended.clear();
		for (const id of [...this.#services]) {
			const service = tx.get("service", id);
			if (service?.spec.mode.kind === "replicated") this.#reconcile(tx, service, service.spec.mode.replicas);
		}
		this.#services.clear();
	}

	#reconcile(tx: Transaction, service: ServiceObject, replicas: number): void {
		const running = new Map<number, Slot>();
		const dead = new Map<number, Slot>();
		for (const place of byPlace(service, tx.tasksOf(service.id)).values()) {
			const slot = place[0]?.slot ?? 0;
			const updatable = this.#restarts.updatable(service, place);
			if (updatable.length > 0) running.set(slot, updatable);
			else dead.set(slot, place);
		}
		const slots =
			replicas < running.size
				? bestFirst([...running.values()])
				: [...running].sort(bySlot).map(([, slot]) => slot);
		this.#updates.update(service, slots.slice(0, replicas));
		for (let slot = 1, missing = replicas - running.size; missing > 0; slot++) {
			if (running.has(slot)) continue;
			missing--;
			// The number is used again, and what was there stays as its history.
			dead.delete(slot);
			tx.create(newTask(this.id(), this.now(), service, { slot, nodeId: "" }));
		}
		for (const slot of [...dead.values(), ...slots.slice(replicas)])
			for (const task of slot) this.#remove(tx, task);
	}

	/** A task that is over is deleted; one that is not has to end first, and the reaper deletes it then. */
	#remove(tx: Transaction, task: TaskObject): void {
		if (!live(task.status) && !wanted(task)) tx.delete("task", task.id);
		else if (task.desiredState !== "remove") tx.update(this.with(task, { desiredState: "remove" }));
	}
}

const bySlot = ([a]: readonly [number, Slot], [b]: readonly [number, Slot]): number => a - b;
