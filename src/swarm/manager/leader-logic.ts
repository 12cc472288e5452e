import { seconds, Timer } from "../../sim/index.ts";
import type { Rng } from "../../sim/index.ts";
import type { Kernel } from "../../stack/index.ts";
import type { Store, StoreEvent } from "../store/store.ts";
import { Allocator } from "./allocator/allocator.ts";
import { type Clock, kernelClock } from "./clock.ts";
import { ingressNetwork, predefinedNetwork } from "./defaults.ts";
import { newId } from "../identity.ts";
import { ConstraintEnforcer } from "./orchestrator/constraint-enforcer.ts";
import { DeletedServices } from "./orchestrator/deleted-services.ts";
import { Global } from "./orchestrator/global.ts";
import { Reaper } from "./orchestrator/reaper.ts";
import { Replicated } from "./orchestrator/replicated.ts";
import { Restarts } from "./orchestrator/restarts.ts";
import { Updates } from "./orchestrator/updates.ts";
import type { Context, Part } from "./part.ts";
import { Scheduler } from "./scheduler/scheduler.ts";

/** After a write that was not agreed upon all is looked at again so much later, if this manager still leads. */
const RETRY = seconds(1);

/** What a leader's logic runs on. */
export interface LeaderLogicOptions {
	readonly store: Store;
	readonly kernel: Kernel;
	/** A stream of its own: ids of tasks. */
	readonly rng: Rng;
	/** Told what the daemon's log says: allocations that failed, and why. */
	readonly log?: (message: string) => void;
}

/**
 * What the managers' leader does: it allocates, makes and replaces tasks, places them, and clears away. It acts on the
 * store alone; who leads starts it, and stops it when it leads no longer (swarmkit manager/manager.go `becomeLeader`).
 */
export class LeaderLogic {
	readonly #store: Store;
	readonly #clock: Clock;
	readonly #rng: Rng;
	readonly #log: (message: string) => void;
	readonly #retry = new Timer(() => {
		this.#begin();
	});
	#parts: readonly Part[] = [];
	#allocator: Allocator | undefined;
	#unwatch: (() => void) | undefined;
	#leads = false;

	constructor({ store, kernel, rng, log }: LeaderLogicOptions) {
		this.#store = store;
		this.#clock = kernelClock(kernel);
		this.#rng = rng;
		this.#log = log ?? (() => undefined);
	}

	/** What is allocated, while it leads. */
	get allocator(): Allocator | undefined {
		return this.#allocator;
	}

	/** This manager leads. The networks every cluster has are made if they are not there. */
	start(): void {
		if (this.#leads) return;
		this.#leads = true;
		this.#store.update((tx) => {
			if (!this.#leads) return;
			const networks = tx.all("network");
			const now = this.#clock.timestamp();
			// The ingress network comes with the cluster; a user who removed it wants none.
			if (networks.length === 0) tx.create(ingressNetwork(newId(this.#rng), now));
			for (const name of ["bridge", "host"] as const) {
				if (!networks.some(({ predefined, spec }) => predefined && spec.name === name))
					tx.create(predefinedNetwork(newId(this.#rng), now, name));
			}
		});
		this.#begin();
	}

	/** It leads no longer: nothing more is done. */
	stop(): void {
		this.#leads = false;
		this.#retry.cancel();
		this.#end();
	}

	#begin(): void {
		this.#end();
		const context: Context = {
			store: this.#store,
			clock: this.#clock,
			rng: this.#rng,
			log: this.#log,
			failed: () => this.#failed(),
		};
		const allocator = new Allocator(context);
		const restarts = new Restarts(context);
		const updates = new Updates(context, restarts);
		// In the order in which they are told of changes, and so get their turns: a service has its virtual IP before its
		// tasks have their addresses.
		this.#parts = [
			allocator,
			restarts,
			new DeletedServices(context),
			new ConstraintEnforcer(context),
			new Replicated(context, restarts, updates),
			new Global(context, restarts, updates),
			// Behind those that restart tasks: a failed task has its successor when an update is rolled back for it.
			updates,
			new Scheduler(context),
			new Reaper(context),
		];
		this.#allocator = allocator;
		this.#unwatch = this.#store.watch((events) => this.#changed(events));
		for (const part of this.#parts) part.start();
	}

	#changed(events: readonly StoreEvent[]): void {
		for (const part of this.#parts) part.changed(events);
	}

	#failed(): void {
		if (!this.#leads || this.#retry.pending) return;
		this.#end();
		this.#clock.arm(this.#retry, RETRY);
	}

	#end(): void {
		this.#unwatch?.();
		this.#unwatch = undefined;
		for (const part of this.#parts) part.stop();
		this.#parts = [];
		this.#allocator = undefined;
	}
}
