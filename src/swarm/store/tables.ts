import type { ObjectKind, ObjectOf, StoreObject, TaskObject } from "../objects.ts";

/** What can be read of a cluster: a store, or what a transaction sees. */
export interface Reader {
	/** By id. */
	get<K extends ObjectKind>(kind: K, id: string): ObjectOf<K> | undefined;
	/** In the order in which they were created. */
	all<K extends ObjectKind>(kind: K): readonly ObjectOf<K>[];
	/** Tasks of a service, oldest first. */
	tasksOf(serviceId: string): readonly TaskObject[];
	/** Tasks assigned to a node, oldest first. */
	tasksOn(nodeId: string): readonly TaskObject[];
	/** Tasks of one slot of a service, oldest first. */
	tasksIn(serviceId: string, slot: number): readonly TaskObject[];
}

const slotKey = (serviceId: string, slot: number): string =>
	serviceId === "" ? "" : `${serviceId} ${String(slot)}`;

/** Objects by kind and id, and tasks by service and by node. */
export class Tables implements Reader {
	readonly #objects: { readonly [K in ObjectKind]: Map<string, ObjectOf<K>> } = {
		node: new Map(),
		network: new Map(),
		service: new Map(),
		task: new Map(),
		cluster: new Map(),
	};
	readonly #ofService = new Index();
	readonly #onNode = new Index();
	readonly #inSlot = new Index();

	get<K extends ObjectKind>(kind: K, id: string): ObjectOf<K> | undefined {
		return this.#objects[kind].get(id);
	}

	all<K extends ObjectKind>(kind: K): readonly ObjectOf<K>[] {
		return [...this.#objects[kind].values()];
	}

	/** Objects of all kinds, each kind in the order in which they were created. */
	get everything(): StoreObject[] {
		return Object.values(this.#objects).flatMap((map: Map<string, StoreObject>) => [...map.values()]);
	}

	tasksOf(serviceId: string): readonly TaskObject[] {
		return this.#tasks(this.#ofService.get(serviceId));
	}

	tasksOn(nodeId: string): readonly TaskObject[] {
		return this.#tasks(this.#onNode.get(nodeId));
	}

	tasksIn(serviceId: string, slot: number): readonly TaskObject[] {
		return this.#tasks(this.#inSlot.get(slotKey(serviceId, slot)));
	}

	#tasks(ids: Iterable<string>): TaskObject[] {
		const found: TaskObject[] = [];
		for (const id of ids) {
			const task = this.#objects.task.get(id);
			if (task !== undefined) found.push(task);
		}
		return found;
	}

	/** Adds or replaces; an object keeps its place. */
	set(object: StoreObject): void {
		const map: Map<string, StoreObject> = this.#objects[object.kind];
		const previous = map.get(object.id);
		map.set(object.id, object);
		if (object.kind !== "task") return;
		if (previous?.kind !== "task") {
			this.#ofService.add(object.serviceId, object.id);
			this.#inSlot.add(slotKey(object.serviceId, object.slot), object.id);
			this.#onNode.add(object.nodeId, object.id);
		} else if (previous.nodeId !== object.nodeId) {
			this.#onNode.delete(previous.nodeId, object.id);
			this.#onNode.add(object.nodeId, object.id);
		}
	}

	delete(kind: ObjectKind, id: string): StoreObject | undefined {
		const map: Map<string, StoreObject> = this.#objects[kind];
		const object = map.get(id);
		map.delete(id);
		if (object?.kind === "task") {
			this.#ofService.delete(object.serviceId, id);
			this.#inSlot.delete(slotKey(object.serviceId, object.slot), id);
			this.#onNode.delete(object.nodeId, id);
		}
		return object;
	}
}

const NONE: readonly string[] = [];

/** Ids by a key that several objects share; nothing is kept for the key "". */
class Index {
	readonly #entries = new Map<string, Set<string>>();

	get(key: string): Iterable<string> {
		return this.#entries.get(key) ?? NONE;
	}

	add(key: string, id: string): void {
		if (key === "") return;
		const ids = this.#entries.get(key);
		if (ids === undefined) this.#entries.set(key, new Set([id]));
		else ids.add(id);
	}

	delete(key: string, id: string): void {
		const ids = this.#entries.get(key);
		ids?.delete(id);
		if (ids?.size === 0) this.#entries.delete(key);
	}
}
