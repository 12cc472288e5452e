import type { StoreEvent } from "../../store/store.ts";
import type { Transaction } from "../../store/transaction.ts";
import { TurningPart } from "../part.ts";

/** Has the tasks of services that are gone end and be removed (swarmkit orchestrator `SetServiceTasksRemove`). */
export class DeletedServices extends TurningPart {
	readonly #services = new Set<string>();

	start(): void {
		const { store } = this.context;
		for (const { serviceId } of store.all("task")) {
			if (serviceId !== "" && store.get("service", serviceId) === undefined) this.#services.add(serviceId);
		}
		if (this.#services.size > 0) this.turn();
	}

	changed(events: readonly StoreEvent[]): void {
		for (const { op, object } of events)
			if (object.kind === "service" && op === "delete") this.#services.add(object.id);
		if (this.#services.size > 0) this.turn();
	}

	protected work(tx: Transaction): void {
		for (const id of [...this.#services]) {
			for (const task of tx.tasksOf(id)) {
				if (task.desiredState !== "remove") tx.update(this.with(task, { desiredState: "remove" }));
			}
		}
		this.#services.clear();
	}
}
