import type { NodeObject, ServiceObject, TaskObject } from "../../objects.ts";
import type { StoreEvent } from "../../store/store.ts";
import type { Transaction } from "../../store/transaction.ts";
import { constraintsOf, nodeMatches } from "../constraint.ts";
import { live } from "../part.ts";
import { Orchestrator } from "./orchestrator.ts";
import { serviceOf } from "./restarts.ts";
import type { Slot } from "./slots.ts";
import { invalidNode, isDirty, newTask, wanted } from "./task.ts";

/** Keeps one task of a global service on each node that fits its constraints (swarmkit orchestrator/global). */
export class Global extends Orchestrator {
	protected readonly mode = "global";
	/** Nodes that changed. */
	readonly #nodes = new Set<string>();
	/** Tasks on nodes that are gone. */
	readonly #lost = new Set<string>();

	protected get hasWork(): boolean {
		return this.services.size + this.#nodes.size + this.ended.size + this.#lost.size > 0;
	}

	protected nodeChanged({ op, previous }: StoreEvent, node: NodeObject): void {
		if (op === "delete") this.#nodeGone(node);
		else if (previous?.kind !== "node" || previous.spec !== node.spec || previous.status !== node.status)
			this.#nodes.add(node.id);
	}

	#nodeGone(node: NodeObject): void {
		this.#nodes.delete(node.id);
		for (const task of this.context.store.tasksOn(node.id)) this.#lost.add(task.id);
	}

	protected taskDeleted(task: TaskObject): void {
		this.ended.delete(task.id);
		if (wanted(task) && this.ownService(task) !== undefined) this.#nodes.add(task.nodeId);
	}

	protected taskChanged(task: TaskObject): void {
		this.ended.delete(task.id);
		if (wanted(task) && !live(task.status) && this.ownService(task) !== undefined) this.ended.add(task.id);
	}

	protected work(tx: Transaction): void {
		for (const id of [...this.#lost]) {
			const task = tx.get("task", id);
			if (task !== undefined && serviceOf(tx, task, "global") !== undefined) tx.delete("task", id);
		}
		this.#lost.clear();
		for (const id of [...this.services]) {
			const service = tx.get("service", id);
			if (service?.spec.mode.kind === "global") this.#reconcile(tx, service);
		}
		this.services.clear();
		const services =
			this.#nodes.size === 0 ? [] : tx.all("service").filter(({ spec }) => spec.mode.kind === "global");
		for (const id of [...this.#nodes]) {
			const node = tx.get("node", id);
			if (node !== undefined) for (const service of services) this.#reconcileNode(tx, service, node);
		}
		this.#nodes.clear();
		for (const id of [...this.ended]) this.#restart(tx, id);
		this.ended.clear();
	}

	#restart(tx: Transaction, id: string): void {
		const task = tx.get("task", id);
		const service = task === undefined ? undefined : serviceOf(tx, task, "global");
		const node = tx.get("node", task?.nodeId ?? "");
		if (
			task === undefined ||
			service === undefined ||
			!wanted(task) ||
			node === undefined ||
			invalidNode(node)
		)
			return;
		if (fits(service, node)) this.restarts.restart(tx, service, task);
		else this.#shutDown(tx, [task]);
	}

	#reconcile(tx: Transaction, service: ServiceObject): void {
		const tasks = new Map<string, TaskObject[]>();
		for (const task of tx.tasksOf(service.id))
			tasks.set(task.nodeId, [...(tasks.get(task.nodeId) ?? []), task]);
		const updatable: Slot[] = [];
		for (const node of tx.all("node")) {
			if (invalidNode(node)) continue;
			const here = tasks.get(node.id) ?? [];
			tasks.delete(node.id);
			const running = here.filter(wanted);
			if (!fits(service, node) || here.some(isOver)) this.#shutDown(tx, running);
			else if (node.spec.availability === "pause") continue;
			else if (running.length === 0) this.#add(tx, service, node.id);
			else updatable.push(running);
		}
		// What is left is on nodes that are drained, down or gone.
		for (const left of tasks.values()) this.#shutDown(tx, left.filter(wanted));
		if (updatable.length > 0) this.updates.update(service, updatable);
	}

	/** A node changed: its tasks are brought to the spec at once, without the update's rules. */
	#reconcileNode(tx: Transaction, service: ServiceObject, node: NodeObject): void {
		const here = tx.tasksOn(node.id).filter(({ serviceId }) => serviceId === service.id);
		const running = here.filter(wanted);
		if (invalidNode(node)) return this.#shutDown(tx, running);
		if (!fits(service, node)) return;
		if (here.some(isOver)) return this.#shutDown(tx, running);
		if (node.spec.availability === "pause") return;
		if (running.length === 0) return this.#add(tx, service, node.id);
		// A rolling update comes to this node by itself, and a paused one does not.
		const paused = /paused/.test(service.updateStatus?.state ?? "");
		if (paused || this.updates.busy(service.id)) return;
		const clean = running.filter((task) => !isDirty(tx, service, task));
		if (clean.length === 0) this.#add(tx, service, node.id);
		this.#shutDown(
			tx,
			running.filter((task) => task !== clean[0]),
		);
	}

	#add(tx: Transaction, service: ServiceObject, nodeId: string): void {
		tx.create(newTask(this.id(), this.now(), service, { slot: 0, nodeId }));
	}

	#shutDown(tx: Transaction, tasks: readonly TaskObject[]): void {
		for (const task of tasks) tx.update(this.with(task, { desiredState: "shutdown" }));
	}
}

const fits = (service: ServiceObject, node: NodeObject): boolean =>
	nodeMatches(constraintsOf(service.spec.task.placement.constraints), node);

/** Whether a task did what it was for: its policy wants no other after it. */
function isOver(task: TaskObject): boolean {
	const { condition } = task.spec.restart;
	if (wanted(task) || task.desiredState === "remove") return false;
	return condition === "none" || (condition === "on-failure" && task.status.state === "complete");
}
