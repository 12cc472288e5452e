import type { NetError } from "../../errors.ts";
import type { ObjectKind, ObjectOf, StoreObject } from "../objects.ts";

/** One write of a transaction; what is replicated. */
export type StoreAction =
	| { readonly op: "create" | "update"; readonly object: StoreObject }
	| { readonly op: "delete"; readonly kind: ObjectKind; readonly id: string };

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
	propose(actions: readonly StoreAction[], done: (error?: NetError) => void): void;
}

/** Reads and writes of one transaction: what it has written it reads. */
export class Transaction {
	readonly #store: Store;
	readonly #written = new Map<string, StoreObject | undefined>();
	readonly actions: StoreAction[] = [];

	constructor(store: Store) {
		this.#store = store;
	}

	get<K extends ObjectKind>(kind: K, id: string): ObjectOf<K> | undefined {
		const key = `${kind} ${id}`;
		if (!this.#written.has(key)) return this.#store.get(kind, id);
		return this.#written.get(key) as ObjectOf<K> | undefined;
	}

	all<K extends ObjectKind>(kind: K): readonly ObjectOf<K>[] {
		const stored = this.#store.all(kind).filter(({ id }) => !this.#written.has(`${kind} ${id}`));
		const own = [...this.#written.values()].filter((object) => object?.kind === kind);
		return [...stored, ...(own as ObjectOf<K>[])];
	}

	create(object: StoreObject): void {
		this.#written.set(`${object.kind} ${object.id}`, object);
		this.actions.push({ op: "create", object });
	}

	update(object: StoreObject): void {
		this.#written.set(`${object.kind} ${object.id}`, object);
		this.actions.push({ op: "update", object });
	}

	delete(kind: ObjectKind, id: string): void {
		this.#written.set(`${kind} ${id}`, undefined);
		this.actions.push({ op: "delete", kind, id });
	}
}

/**
 * A manager's copy of the cluster's state. Reads are at once; writes are transactions, one after the other: each begins
 * when the one before it is agreed upon, so that it sees it (swarmkit manager/state/store/memory.go).
 */
export class Store {
	readonly #objects: { readonly [K in ObjectKind]: Map<string, ObjectOf<K>> } = {
		node: new Map(),
		network: new Map(),
		service: new Map(),
		task: new Map(),
		cluster: new Map(),
	};
	readonly #watchers = new Set<(events: readonly StoreEvent[]) => void>();
	readonly #queue: (() => void)[] = [];
	#busy = false;
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

	get<K extends ObjectKind>(kind: K, id: string): ObjectOf<K> | undefined {
		return this.#objects[kind].get(id);
	}

	/** In the order in which they were created. */
	all<K extends ObjectKind>(kind: K): readonly ObjectOf<K>[] {
		return [...this.#objects[kind].values()];
	}

	/**
	 * A transaction: `work` reads and writes; what it throws goes to `done`, and nothing is written. Called while another
	 * is on its way it waits its turn.
	 */
	update(work: (tx: Transaction) => void, done: (error?: unknown) => void = () => undefined): void {
		const begin = (): void => {
			const tx = new Transaction(this);
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
				done(error);
				this.#goOn();
			});
		};
		this.#queue.push(begin);
		this.#goOn();
	}

	#goOn(): void {
		while (!this.#busy) {
			const next = this.#queue.shift();
			if (next === undefined) return;
			next();
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
			const map: Map<string, StoreObject> = this.#objects[action.kind];
			const object = map.get(action.id);
			if (object === undefined) throw new RangeError(`no ${action.kind} ${action.id} to delete`);
			map.delete(action.id);
			return { op: "delete", object, previous: object };
		}
		const map: Map<string, StoreObject> = this.#objects[action.object.kind];
		const previous = map.get(action.object.id);
		const object = { ...action.object, meta: { ...action.object.meta, version: this.#version } };
		map.set(object.id, object);
		return { op: action.op, object, previous };
	}

	/** Everything, for another manager's store, or for the log to be made shorter. */
	save(): StoreSnapshot {
		const objects = Object.values(this.#objects).flatMap((map: Map<string, StoreObject>) => [
			...map.values(),
		]);
		return { version: this.#version, objects };
	}

	/** Becomes what another store was; watchers are told of each object that came, went or changed. */
	restore({ version, objects }: StoreSnapshot): void {
		const before = new Map(this.save().objects.map((object) => [`${object.kind} ${object.id}`, object]));
		for (const map of Object.values(this.#objects)) map.clear();
		this.#version = version;
		const events: StoreEvent[] = [];
		for (const object of objects) {
			const map: Map<string, StoreObject> = this.#objects[object.kind];
			map.set(object.id, object);
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
