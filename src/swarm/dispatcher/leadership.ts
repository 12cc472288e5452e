import type { Nanoseconds, Rng } from "../../sim/index.ts";
import { MachineClock } from "../clock.ts";
import { Timer } from "../../sim/index.ts";
import type { Kernel } from "../../stack/index.ts";
import type { GrpcServer } from "../control/index.ts";
import type { ClusterObject } from "../objects.ts";
import type { RaftNode } from "../raft/index.ts";
import type { Store } from "../store/store.ts";

/** What a leader's services share: they begin when their node begins to lead, and end with that. */
export interface LeadershipOptions {
	readonly kernel: Kernel;
	readonly rng: Rng;
	readonly store: Store;
	readonly raft: RaftNode;
	/** Where other nodes are connected; undefined while the port is not open. */
	readonly server: () => GrpcServer | undefined;
}

/** One reign of a leader's: its timers and watches end together. */
export class Leadership {
	readonly kernel: Kernel;
	readonly rng: Rng;
	readonly store: Store;
	readonly raft: RaftNode;
	readonly server: () => GrpcServer | undefined;
	readonly #clock: MachineClock;
	readonly #timers = new Set<Timer>();
	readonly #endings: (() => void)[] = [];
	#over = false;

	constructor({ kernel, rng, store, raft, server }: LeadershipOptions) {
		this.kernel = kernel;
		this.#clock = new MachineClock(kernel);
		this.rng = rng;
		this.store = store;
		this.raft = raft;
		this.server = server;
	}

	/** True once another node may lead. */
	get over(): boolean {
		return this.#over;
	}

	/** The cluster's object; undefined before its first leader made it. */
	get cluster(): ClusterObject | undefined {
		return this.store.all("cluster")[0];
	}

	/** Does it after a while, unless the reign is over by then; what is returned puts it off for good. */
	after(delay: Nanoseconds, action: () => void): () => void {
		const timer = new Timer(() => {
			this.#timers.delete(timer);
			action();
		});
		this.#timers.add(timer);
		this.#clock.after(delay, timer);
		return () => {
			this.#timers.delete(timer);
			timer.cancel();
		};
	}

	/** Done when the reign ends. */
	atEnd(action: () => void): void {
		this.#endings.push(action);
	}

	/** It leads no longer. */
	end(): void {
		if (this.#over) return;
		this.#over = true;
		for (const timer of this.#timers) timer.cancel();
		for (const action of this.#endings.splice(0)) action();
	}
}
