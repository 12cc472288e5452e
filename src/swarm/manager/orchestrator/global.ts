import type { NodeObject, ServiceObject, TaskObject } from "../../objects.ts";
import type { StoreEvent } from "../../store/store.ts";
import type { Transaction } from "../../store/transaction.ts";
import { constraintsOf, nodeMatches } from "../constraint.ts";
import { type Context, live, TurningPart } from "../part.ts";
import { type Restarts, serviceOf } from "./restarts.ts";
import type { Slot } from "./slots.ts";
import { invalidNode, isDirty, newTask, wanted } from "./task.ts";
import type { Updates } from "./updates.ts";

/** Keeps one task of a global service on each node that fits its constraints (swarmkit orchestrator/global). */
export class Global extends TurningPart {
	readonly #restarts: Restarts;
	readonly #updates: Updates;
	/** Services that changed. */
	readonly #services = new Set<string>();
	/** Nodes that changed. */
	readonly #nodes = new Set<string>();
	/** Tasks that ended. */
	readonly #ended = new Set<string>();
	/** Tasks on nodes that are gone. */
	readonly #lost = new Set<string>();

	constructor(context: Context, restarts: Restarts, updates: Updates) {
		super(context);
		this.#restarts = restarts;
		this.#updates = updates;
	}

	start(): void {
		const { store } = this.context;
		for (const service of store.all("service"))
			if (service.spec.mode.kind === "global") this.#services.add(service.id);
		for (const task of store.all("task")) this.#taskChanged(task);
		this.turn();
	}

	changed(events: readonly StoreEvent[]): void {
		for (const { op, object, previous } of events) {
			if (object.kind === "service" && object.spec.mode.kind === "global") {
				if (op === "delete") this.#services.delete(object.id);
				else this.#services.add(object.id);
			} else if (object.kind === "node") {
				if (op === "delete") this.#nodeGone(object);
				else if (
					previous?.kind !== "node" ||
					previous.spec !== object.spec ||
					previous.status !== object.status
				)
					this.#nodes.add(object.id);
			} else if (object.kind === "task") {
				this.#ended.delete(object.id);
				if (op !== "delete") this.#taskChanged(object);
				else if (wanted(object) && serviceOf(this.context.store, object, "global") !== undefined)
					this.#nodes.add(object.nodeId);
			}
		}
		if (this.#services.size + this.#nodes.size + this.#ended.size + this.#lost.size > 0) this.turn();
	}

	#nodeGone(node: NodeObject): void {
		this.#nodes.delete(node.id);
		for (const task of this.context.store.tasksOn(node.id)) this.#lost.add(task.id);
	}

	#taskChanged(task: TaskObject): void {
		if (wanted(task) && !live(task.status) && serviceOf(this.context.store, task, "global") !== undefined)
			this.#ended.add(task.id);
	}

	protected work(tx: Transaction): void {
		for (const id of [...this.#lost]) {
			const task = tx.get("task", id);
			if (task !== undefined && serviceOf(tx, task, "global") !== undefined) tx.delete("task", id);
		}
		this.#lost.clear();
		for (const id of [...this.#services]) {
			const service = tx.get("service", id);
			if (service?.spec.mode.kind === "global") this.#reconcile(tx, service);
		}
		this.#services.clear();
		const services =
			this.#nodes.size === 0 ? [] : tx.all("service").filter(({ spec }) => spec.mode.kind === "global");
		for (const id of [...this.#nodes]) {
			const node = tx.get("node", id);
			if (node !== undefined) for (const service of services) this.#reconcileNode(tx, service, node);
		}
		this.#nodes.clear();
		for (const id of [...this.#ended]) this.#restart(tx, id);
		this.#ended.clear();
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
		if (fits(service, node)) this.#restarts.restart(tx, service, task);
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
		if (updatable.length > 0) this.#updates.update(service, updatable);
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
		if (paused || this.#updates.busy(service.id)) return;
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
