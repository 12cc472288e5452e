import type { NodeObject, ServiceObject, TaskObject } from "../../objects.ts";
import type { StoreEvent } from "../../store/store.ts";
import { type Context, TurningPart } from "../part.ts";
import { type Restarts, serviceOf } from "./restarts.ts";
import type { Updates } from "./updates.ts";

/** What keeps services of one mode as they are to be: it remembers which services and tasks to look at in its next turn. */
export abstract class Orchestrator extends TurningPart {
	/** The services that are this one's. */
	protected abstract readonly mode: "replicated" | "global";
	protected readonly restarts: Restarts;
	protected readonly updates: Updates;
	/** Services that changed. */
	protected readonly services: Set<string> = new Set<string>();
	/** Tasks that ended, or whose node did. */
	protected readonly ended: Set<string> = new Set<string>();

	constructor(context: Context, restarts: Restarts, updates: Updates) {
		super(context);
		this.restarts = restarts;
		this.updates = updates;
	}

	protected abstract nodeChanged(event: StoreEvent, node: NodeObject): void;
	protected abstract taskChanged(task: TaskObject): void;
	protected abstract taskDeleted(task: TaskObject): void;
	/** Whether a turn would find something to do. */
	protected abstract get hasWork(): boolean;

	start(): void {
		const { store } = this.context;
		for (const service of store.all("service"))
			if (service.spec.mode.kind === this.mode) this.services.add(service.id);
		for (const task of store.all("task")) this.taskChanged(task);
		this.turn();
	}

	changed(events: readonly StoreEvent[]): void {
		for (const event of events) {
			const { op, object } = event;
			if (object.kind === "service" && object.spec.mode.kind === this.mode) {
				if (op === "delete") this.services.delete(object.id);
				else this.services.add(object.id);
			} else if (object.kind === "node") {
				this.nodeChanged(event, object);
			} else if (object.kind === "task") {
				if (op === "delete") this.taskDeleted(object);
				else this.taskChanged(object);
			}
		}
		if (this.hasWork) this.turn();
	}

	/** The task's service, if it is this one's. */
	protected ownService(task: TaskObject): ServiceObject | undefined {
		return serviceOf(this.context.store, task, this.mode);
	}
}
