import { milliseconds } from "../../sim/index.ts";
import type { AssignmentChange } from "../methods.ts";
import type { TaskObject } from "../objects.ts";
import type { StoreEvent } from "../store/store.ts";
import { AssignmentSet } from "./assignment-set.ts";
import type { Leadership } from "./leadership.ts";

/** Changes of what a node is to run wait so long for more of them (`batchingWaitTime`). */
const WAIT = milliseconds(100);

type Tell = (changes: AssignmentChange[]) => void;

/** A node that hears what it is to run. */
interface Listener {
	readonly nodeId: string;
	readonly set: AssignmentSet;
	readonly tell: Tell;
	/** Nodes are told in the order in which they began to listen. */
	readonly place: number;
	/** A task of its own changed since it was last told. */
	concerned: boolean;
}

/**
 * What nodes are to run, as changes for each of them. Every change of a task or network begins the wait of all nodes that do
 * not wait yet, as each has its own in Docker: those that begin together are told together, and who has nothing new hears
 * nothing.
 */
export class Assignments {
	readonly #reign: Leadership;
	readonly #listeners = new Map<string, Set<Listener>>();
	/** Those that no change makes wait at the moment. */
	#idle = new Set<Listener>();
	#places = 0;

	constructor(reign: Leadership) {
		this.#reign = reign;
		reign.atEnd(
			reign.store.watch((events) => {
				this.#changed(events);
			}),
		);
	}

	/** Tells a node everything, and from then on what changes; returns what ends that. */
	listen(nodeId: string, tell: Tell): () => void {
		const set = new AssignmentSet(this.#reign.store);
		const listener: Listener = { nodeId, set, tell, place: this.#places++, concerned: false };
		const here = this.#listeners.get(nodeId) ?? new Set();
		this.#listeners.set(nodeId, here.add(listener));
		this.#idle.add(listener);
		tell(set.changes(this.#tasks([listener]).get(nodeId) ?? []));
		return () => {
			this.#idle.delete(listener);
			here.delete(listener);
			if (here.size === 0 && this.#listeners.get(nodeId) === here) this.#listeners.delete(nodeId);
		};
	}

	#changed(events: readonly StoreEvent[]): void {
		let any = false;
		for (const { object, previous } of events) {
			if (object.kind === "network") any = true;
			if (object.kind !== "task") continue;
			any = true;
			this.#concern(object.nodeId);
			if (previous?.kind === "task" && previous.nodeId !== object.nodeId) this.#concern(previous.nodeId);
		}
		if (!any || this.#idle.size === 0) return;
		const waiting = [...this.#idle].sort((a, b) => a.place - b.place);
		this.#idle = new Set();
		this.#reign.after(WAIT, () => {
			this.#tell(waiting.filter((each) => this.#listeners.get(each.nodeId)?.has(each)));
		});
	}

	#concern(nodeId: string): void {
		for (const listener of this.#listeners.get(nodeId) ?? []) listener.concerned = true;
	}

	#tell(listeners: readonly Listener[]): void {
		for (const listener of listeners) this.#idle.add(listener);
		const concerned = listeners.filter((listener) => listener.concerned);
		if (concerned.length === 0) return;
		const tasks = this.#tasks(concerned);
		for (const listener of concerned) {
			listener.concerned = false;
			const changes = listener.set.changes(tasks.get(listener.nodeId) ?? []);
			if (changes.length > 0) listener.tell(changes);
		}
	}

	/** The tasks of these nodes, each in the order in which they were created. */
	#tasks(listeners: readonly Listener[]): Map<string, TaskObject[]> {
		const found = new Map<string, TaskObject[]>(listeners.map(({ nodeId }) => [nodeId, []]));
		for (const task of this.#reign.store.all("task")) found.get(task.nodeId)?.push(task);
		return found;
	}
}
