import type { ServiceObject } from "../../objects.ts";
import type { StoreEvent } from "../../store/store.ts";
import { type Context, Part } from "../part.ts";
import { same } from "../same.ts";
import type { Restarts } from "./restarts.ts";
import type { Slot } from "./slots.ts";
import { Update } from "./update.ts";

/** The rolling updates that are on their way, one for a service at most (swarmkit orchestrator/update `Supervisor`). */
export class Updates extends Part {
	readonly #restarts: Restarts;
	readonly #updates = new Map<string, Update>();

	constructor(context: Context, restarts: Restarts) {
		super(context);
		this.#restarts = restarts;
	}

	/** Updates begin when those who look at services ask for them. */
	start(): void {
		return;
	}

	override stop(): void {
		super.stop();
		for (const update of this.#updates.values()) update.cancel();
		this.#updates.clear();
	}

	changed(events: readonly StoreEvent[]): void {
		for (const { op, object } of events) {
			if (object.kind === "service" && op === "delete") this.#end(object.id);
			if (object.kind === "task" && op !== "delete") this.#updates.get(object.serviceId)?.taskChanged(object);
			if (object.kind === "task" && op === "delete") this.#updates.get(object.serviceId)?.taskDeleted(object);
		}
	}

	/** Brings a service's slots to its spec. An update to the same spec goes on; one to another is given up. */
	update(service: ServiceObject, slots: readonly Slot[]): void {
		const before = this.#updates.get(service.id);
		if (before !== undefined) {
			if (same(before.service.spec, service.spec)) return;
			this.#end(service.id);
		}
		const update = new Update(this.context, this.#restarts, service, slots, () => {
			if (this.#updates.get(service.id) === update) this.#updates.delete(service.id);
		});
		this.#updates.set(service.id, update);
		update.start();
	}

	/** Whether an update of the service is on its way. */
	busy(serviceId: string): boolean {
		return this.#updates.has(serviceId);
	}

	#end(serviceId: string): void {
		this.#updates.get(serviceId)?.cancel();
		this.#updates.delete(serviceId);
	}
}
