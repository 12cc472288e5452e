import type { NodeObject, ServiceObject, TaskObject } from "../../objects.ts";
import type { StoreEvent } from "../../store/store.ts";
import type { Transaction } from "../../store/transaction.ts";
import { live } from "../part.ts";
import { Orchestrator } from "./orchestrator.ts";
import { serviceOf } from "./restarts.ts";
import { bestFirst, type Slot } from "./slots.ts";
import { byPlace, invalidNode, newTask, wanted } from "./task.ts";

/** Keeps services of so many replicas at that number (swarmkit orchestrator/replicated). */
export class Replicated extends Orchestrator {
	protected readonly mode = "replicated";

	protected get hasWork(): boolean {
		return this.services.size + this.ended.size > 0;
	}

	protected nodeChanged({ op }: StoreEvent, node: NodeObject): void {
		if (op !== "delete" && !invalidNode(node)) return;
		for (const task of this.context.store.tasksOn(node.id))
			if (wanted(task) && this.ownService(task) !== undefined) this.ended.add(task.id);
	}

	protected taskDeleted(task: TaskObject): void {
		this.ended.delete(task.id);
		if (!wanted(task)) return;
		this.restarts.cancel(task.id);
		const service = this.ownService(task);
		if (service !== undefined) this.services.add(service.id);
	}

	protected taskChanged(task: TaskObject): void {
		if (!wanted(task)) return;
		const { store } = this.context;
		const ended = !live(task.status) || (task.nodeId !== "" && invalidNode(store.get("node", task.nodeId)));
		if (ended && this.ownService(task) !== undefined) this.ended.add(task.id);
	}

	protected work(tx: Transaction): void {
		// Tasks first: what they become is what services are counted by.
		for (const id of [...this.ended]) {
			const task = tx.get("task", id);
			const service = task === undefined ? undefined : serviceOf(tx, task, "replicated");
			if (task !== undefined && service !== undefined && wanted(task))
				this.restarts.restart(tx, service, task);
		}
		this.ended.clear();
		for (const id of [...this.services]) {
			const service = tx.get("service", id);
			if (service?.spec.mode.kind === "replicated") this.#reconcile(tx, service, service.spec.mode.replicas);
		}
		this.services.clear();
	}

	#reconcile(tx: Transaction, service: ServiceObject, replicas: number): void {
		const running = new Map<number, Slot>();
		const dead = new Map<number, Slot>();
		for (const place of byPlace(service, tx.tasksOf(service.id)).values()) {
			const slot = place[0]?.slot ?? 0;
			const updatable = this.restarts.updatable(service, place);
			if (updatable.length > 0) running.set(slot, updatable);
			else dead.set(slot, place);
		}
		const slots =
			replicas < running.size
				? bestFirst([...running.values()])
				: [...running].sort(bySlot).map(([, slot]) => slot);
		this.updates.update(service, slots.slice(0, replicas));
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
