import { NetError } from "../../errors.ts";
import type { Rng } from "../../sim/index.ts";
import type { ClusterObject, StoreObject, TaskState, TaskStatus } from "../objects.ts";
import { TASK_STATES } from "../objects.ts";
import type { Store, StoreEvent } from "../store/store.ts";
import type { Transaction } from "../store/transaction.ts";
import type { Clock } from "./clock.ts";
import { newId } from "../identity.ts";

/** What the parts of a leader's logic share. */
export interface Context {
	readonly store: Store;
	readonly clock: Clock;
	readonly rng: Rng;
	/** A write was not agreed upon: what parts remember may be wrong. */
	readonly failed: (error: unknown) => void;
	/** What the daemon's log would say. */
	readonly log: (message: string) => void;
}

/** The cluster's object, of which there is one. */
export const clusterOf = (store: Store): ClusterObject | undefined => store.all("cluster")[0];

/** Writes to the store for a leader, as long as it is one. */
export abstract class Writer {
	protected readonly context: Context;
	#stopped = false;

	constructor(context: Context) {
		this.context = context;
	}

	/** Nothing is done any more. */
	stop(): void {
		this.#stopped = true;
	}

	/** Whether it was stopped. */
	protected get stopped(): boolean {
		return this.#stopped;
	}

	/** A transaction that is skipped when this was stopped meanwhile; `done` when it is agreed upon. */
	protected transact(work: (tx: Transaction) => void, done: () => void = () => undefined): void {
		this.context.store.update(
			(tx) => {
				if (!this.#stopped) work(tx);
			},
			(error) => {
				// Writes that are not agreed upon are the cluster's affair; anything else is a mistake of ours.
				if (error !== undefined && !(error instanceof NetError)) throw error as Error;
				if (this.#stopped) return;
				if (error === undefined) done();
				else this.context.failed(error);
			},
		);
	}

	/** The time of day, for objects. */
	protected now(): string {
		return this.context.clock.timestamp();
	}

	/** A new id. */
	protected id(): string {
		return newId(this.context.rng);
	}

	/** The object with some of it changed, and when. */
	protected with<T extends StoreObject>(object: T, changes: Partial<Omit<T, "kind" | "id" | "meta">>): T {
		return { ...object, ...changes, meta: { ...object.meta, updatedAt: this.now() } };
	}

	/** A task's new state; what the node said of it before stays. */
	protected status(previous: TaskStatus, state: TaskState, message: string, err = ""): TaskStatus {
		return { ...previous, state, message, err, timestamp: this.now() };
	}
}

/** A part of the leader's logic. */
export abstract class Part extends Writer {
	/** Looks at all there is, as a new leader does. */
	abstract start(): void;
	/** What a transaction changed. Writes nothing itself. */
	abstract changed(events: readonly StoreEvent[]): void;
}

/**
 * A part that remembers what is to be looked at, and asks for a turn: a transaction of its own, with all that changed until
 * then.
 */
export abstract class TurningPart extends Part {
	#asked = false;

	/** One turn's reads and writes. */
	protected abstract work(tx: Transaction): void;

	/** Asks for a turn, if none is asked for. */
	protected turn(): void {
		if (this.#asked) return;
		this.#asked = true;
		this.transact((tx) => {
			this.#asked = false;
			this.work(tx);
		});
	}
}

const RANK = new Map<TaskState, number>(TASK_STATES.map((state, i) => [state, i]));

/** Where a state comes on a task's way. */
export const rank = (state: TaskState): number => RANK.get(state) ?? 0;

/** True while a task is on its way or running: it holds its addresses. */
export const live = (status: TaskStatus): boolean => rank(status.state) <= rank("running");
