import type { NetError } from "../../errors.ts";
import type { ObjectKind, ObjectOf, StoreObject, TaskObject } from "../objects.ts";
import { type Reader, Tables } from "./tables.ts";
import { type StoreAction, Transaction } from "./transaction.ts";

/** What became of an object, told after all writes of its transaction. */
export interface StoreEvent {
	readonly op: "create" | "update" | "delete";
	readonly object: StoreObject;
	/** What it was before an update. */
	readonly previous: StoreObject | undefined;
}

/** Everything in a store at one moment. */
export interface StoreSnapshot {
	readonly version: number;
	readonly objects: readonly StoreObject[];
}

/**
 * What makes writes everybody's: a raft log. `done` is called once the writes are agreed upon, and by then each
 * manager's store has applied them, this one's too; or with why they are not.
 */
export interface Proposer {
	/** Asks for the agreement of the others. */
	propose(actions: readonly StoreAction[], done: (error?: NetError) => void): void;
}

/**
 * A manager's copy of the cluster's state. Reads are at once; writes are transactions, one after the other: each begins
 * when the one before it is agreed upon, so that it sees it (swarmkit manager/state/store/memory.go).
 */
export class Store implements Reader {
	readonly #tables = new Tables();
	readonly #watchers = new Set<(events: readonly StoreEvent[]) => void>();
	readonly #queue: (() => void)[] = [];
	/** A transaction is on its way to being agreed upon. */
	#busy = false;
	/** Transactions are being begun one after the other. */
	#running = false;
	#version = 0;
	/** Where writes go. */
	proposer: Proposer;

	/** Writes go to `proposer`; without one they are this store's alone, and done at once. */
	constructor(proposer?: Proposer) {
		this.proposer = proposer ?? {
			propose: (actions, done) => {
				this.apply(actions);
				done();
			},
		};
	}

	/** Index of the last write. */
	get version(): number {
		return this.#version;
	}

	/** By id. */
	get<K extends ObjectKind>(kind: K, id: string): ObjectOf<K> | undefined {
		return this.#tables.get(kind, id);
	}

	/** In the order in which they were created. */
	all<K extends ObjectKind>(kind: K): readonly ObjectOf<K>[] {
		return this.#tables.all(kind);
	}

	/** Tasks of a service, oldest first. */
	tasksOf(serviceId: string): readonly TaskObject[] {
		return this.#tables.tasksOf(serviceId);
	}

	/** Tasks assigned to a node, oldest first. */
	tasksOn(nodeId: string): readonly TaskObject[] {
		return this.#tables.tasksOn(nodeId);
	}

	/** Tasks of one slot of a service, oldest first. */
	tasksIn(serviceId: string, slot: number): readonly TaskObject[] {
		return this.#tables.tasksIn(serviceId, slot);
	}

	/**
	 * A transaction: `work` reads and writes; what it throws goes to `done`, and nothing is written. Called while another
	 * is on its way it waits its turn.
	 */
	update(work: (tx: Transaction) => void, done: (error?: unknown) => void = () => undefined): void {
		this.#queue.push(() => {
			const tx = new Transaction(this.#tables);
			try {
				work(tx);
			} catch (error) {
				done(error);
				return;
			}
			if (tx.actions.length === 0) {
				done();
				return;
			}
			this.#busy = true;
			this.proposer.propose(tx.actions, (error) => {
				this.#busy = false;
				try {
					done(error);
				} finally {
					this.#goOn();
				}
			});
		});
		this.#goOn();
	}

	#goOn(): void {
		// Transactions that are agreed upon at once come back here from within: one loop serves them all.
		if (this.#running) return;
		this.#running = true;
		try {
			while (!this.#busy) {
				const next = this.#queue.shift();
				if (next === undefined) return;
				next();
			}
		} finally {
			this.#running = false;
		}
	}

	/** Writes that are agreed upon: by the proposer's log, in its order, on every manager. */
	apply(actions: readonly StoreAction[]): void {
		this.#version++;
		const events = actions.map((action) => this.#write(action));
		for (const watcher of [...this.#watchers]) watcher(events);
	}

	#write(action: StoreAction): StoreEvent {
		if (action.op === "delete") {
			const object = this.#tables.delete(action.kind, action.id);
			if (object === undefined) throw new RangeError(`no ${action.kind} ${action.id} to delete`);
			return { op: "delete", object, previous: object };
		}
		const previous = this.#tables.get(action.object.kind, action.object.id);
		const object: StoreObject = {
			...action.object,
			meta: { ...action.object.meta, version: this.#version },
		};
		this.#tables.set(object);
		return { op: action.op, object, previous };
	}

	/** Everything, for another manager's store, or for the log to be made shorter. */
	save(): StoreSnapshot {
		return { version: this.#version, objects: this.#tables.everything };
	}

	/** Becomes what another store was; watchers are told of each object that came, went or changed. */
	restore({ version, objects }: StoreSnapshot): void {
		const before = new Map(this.#tables.everything.map((object) => [`${object.kind} ${object.id}`, object]));
		for (const { kind, id } of before.values()) this.#tables.delete(kind, id);
		this.#version = version;
		const events: StoreEvent[] = [];
		for (const object of objects) {
			this.#tables.set(object);
			const key = `${object.kind} ${object.id}`;
			const previous = before.get(key);
			before.delete(key);
			if (previous?.meta.version !== object.meta.version)
				events.push({ op: previous === undefined ? "create" : "update", object, previous });
		}
		for (const object of before.values()) events.push({ op: "delete", object, previous: object });
		if (events.length > 0) for (const watcher of [...this.#watchers]) watcher(events);
	}

	/** Calls back after each transaction that was agreed upon; returns what ends it. */
	watch(watcher: (events: readonly StoreEvent[]) => void): () => void {
		this.#watchers.add(watcher);
		return () => this.#watchers.delete(watcher);
	}
}
