import type { ObjectKind, ObjectOf, StoreObject, TaskObject } from "../objects.ts";
import type { Reader } from "./tables.ts";

/** One write of a transaction; what is replicated. */
export type StoreAction =
	| { readonly op: "create" | "update"; readonly object: StoreObject }
	| { readonly op: "delete"; readonly kind: ObjectKind; readonly id: string };

/** Reads and writes of one transaction: what it has written it reads. */
export class Transaction implements Reader {
	readonly #base: Reader;
	readonly #written: { readonly [K in ObjectKind]: Map<string, ObjectOf<K> | undefined> } = {
		node: new Map(),
		network: new Map(),
		service: new Map(),
		task: new Map(),
		cluster: new Map(),
	};
	/** The writes, in their order. */
	readonly actions: StoreAction[] = [];

	constructor(base: Reader) {
		this.#base = base;
	}

	/** By id. */
	get<K extends ObjectKind>(kind: K, id: string): ObjectOf<K> | undefined {
		const written = this.#written[kind];
		return written.has(id) ? written.get(id) : this.#base.get(kind, id);
	}

	all<K extends ObjectKind>(kind: K): readonly ObjectOf<K>[] {
		return this.#over(this.#base.all(kind), kind, () => true);
	}

	tasksOf(serviceId: string): readonly TaskObject[] {
		return this.#over(this.#base.tasksOf(serviceId), "task", (task) => task.serviceId === serviceId);
	}

	tasksOn(nodeId: string): readonly TaskObject[] {
		return this.#over(this.#base.tasksOn(nodeId), "task", (task) => task.nodeId === nodeId);
	}

	tasksIn(serviceId: string, slot: number): readonly TaskObject[] {
		return this.#over(
			this.#base.tasksIn(serviceId, slot),
			"task",
			(task) => task.serviceId === serviceId && task.slot === slot,
		);
	}

	/** What the store has with this transaction's writes over it: replaced ones in their place, new ones last. */
	#over<K extends ObjectKind>(
		stored: readonly ObjectOf<K>[],
		kind: K,
		belongs: (object: ObjectOf<K>) => boolean,
	): readonly ObjectOf<K>[] {
		const written = this.#written[kind];
		if (written.size === 0) return stored;
		const seen = new Set<string>();
		const found: ObjectOf<K>[] = [];
		for (const object of stored) {
			seen.add(object.id);
			const now = written.has(object.id) ? written.get(object.id) : object;
			if (now !== undefined && belongs(now)) found.push(now);
		}
		for (const [id, object] of written) {
			if (object !== undefined && !seen.has(id) && belongs(object)) found.push(object);
		}
		return found;
	}

	/** Adds an object. */
	create(object: StoreObject): void {
		this.#set(object);
		this.actions.push({ op: "create", object });
	}

	/** Replaces an object. */
	update(object: StoreObject): void {
		this.#set(object);
		this.actions.push({ op: "update", object });
	}

	/** Takes an object away. */
	delete(kind: ObjectKind, id: string): void {
		this.#written[kind].set(id, undefined);
		this.actions.push({ op: "delete", kind, id });
	}

	#set(object: StoreObject): void {
		const written: Map<string, StoreObject | undefined> = this.#written[object.kind];
		written.set(object.id, object);
	}
}
