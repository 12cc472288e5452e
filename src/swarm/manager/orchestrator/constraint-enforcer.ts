import type { NodeObject } from "../../objects.ts";
import type { StoreEvent } from "../../store/store.ts";
import type { Transaction } from "../../store/transaction.ts";
import { constraintsOf, nodeMatches } from "../constraint.ts";
import { live, TurningPart } from "../part.ts";
import { wanted } from "./task.ts";

/**
 * Rejects tasks whose node does not fit their constraints any more, so that they are made anew elsewhere (swarmkit
 * orchestrator/constraintenforcer).
 */
export class ConstraintEnforcer extends TurningPart {
	readonly #nodes = new Set<string>();

	start(): void {
		for (const { id } of this.context.store.all("node")) this.#nodes.add(id);
		if (this.#nodes.size > 0) this.turn();
	}

	changed(events: readonly StoreEvent[]): void {
		for (const { op, object, previous } of events) {
			if (object.kind !== "node" || op !== "update" || previous?.kind !== "node") continue;
			if (object.spec !== previous.spec || object.description !== previous.description)
				this.#nodes.add(object.id);
		}
		if (this.#nodes.size > 0) this.turn();
	}

	protected work(tx: Transaction): void {
		for (const id of [...this.#nodes]) {
			const node = tx.get("node", id);
			// Drained nodes lose all their tasks anyway, paused ones keep theirs.
			if (node?.spec.availability === "active") this.#enforce(tx, node);
		}
		this.#nodes.clear();
	}

	#enforce(tx: Transaction, node: NodeObject): void {
		for (const task of tx.tasksOn(node.id)) {
			if (!wanted(task) || !live(task.status)) continue;
			if (nodeMatches(constraintsOf(task.spec.placement.constraints), node)) continue;
			const message = "task rejected by constraint enforcer";
			const err = "assigned node no longer meets constraints";
			tx.update(this.with(task, { status: this.status(task.status, "rejected", message, err) }));
		}
	}
}
