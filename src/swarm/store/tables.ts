import type { ObjectKind, ObjectOf, StoreObject, TaskObject } from "../objects.ts";

/** What can be read of a cluster: a store, or what a transaction sees. */
export interface Reader {
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
	readonly #ofService = new Map<string, Map<string, TaskObject>>();
	readonly #onNode = new Map<string, Map<string, TaskObject>>();
	readonly #inSlot = new Map<string, Map<string, TaskObject>>();

	get<K extends ObjectKind>(kind: K, id: string): ObjectOf<K> | undefined {
		return this.#objects[kind].get(id);
	}

	all<K extends ObjectKind>(kind: K): readonly ObjectOf<K>[] {
		return [...this.#objects[kind].values()];
	}

	tasksOf(serviceId: string): readonly TaskObject[] {
		return [...(this.#ofService.get(serviceId)?.values() ?? [])];
	}

	tasksOn(nodeId: string): readonly TaskObject[] {
		return [...(this.#onNode.get(nodeId)?.values() ?? [])];
	}

	tasksIn(serviceId: string, slot: number): readonly TaskObject[] {
		return [...(this.#inSlot.get(slotKey(serviceId, slot))?.values() ?? [])];
	}

	/** Adds or replaces; an object keeps its place. */
	set(object: StoreObject): void {
		const map: Map<string, StoreObject> = this.#objects[object.kind];
		const previous = map.get(object.id);
		map.set(object.id, object);
		if (object.kind !== "task") return;
		if (previous?.kind === "task" && previous.nodeId !== object.nodeId)
			drop(this.#onNode, previous.nodeId, object.id);
		put(this.#ofService, object.serviceId, object);
		put(this.#onNode, object.nodeId, object);
		put(this.#inSlot, slotKey(object.serviceId, object.slot), object);
	}

	delete(kind: ObjectKind, id: string): StoreObject | undefined {
		const map: Map<string, StoreObject> = this.#objects[kind];
		const object = map.get(id);
		map.delete(id);
		if (object?.kind === "task") {
			drop(this.#ofService, object.serviceId, id);
			drop(this.#onNode, object.nodeId, id);
			drop(this.#inSlot, slotKey(object.serviceId, object.slot), id);
		}
		return object;
	}
}

function put(index: Map<string, Map<string, TaskObject>>, key: string, task: TaskObject): void {
	if (key === "") return;
	let entries = index.get(key);
	if (entries === undefined) index.set(key, (entries = new Map<string, TaskObject>()));
	entries.set(task.id, task);
}

function drop(index: Map<string, Map<string, TaskObject>>, key: string, id: string): void {
	const entries = index.get(key);
	entries?.delete(id);
	if (entries?.size === 0) index.delete(key);
}
