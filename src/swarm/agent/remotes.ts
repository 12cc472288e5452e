import type { Rng } from "../../sim/index.ts";

/** What one failure takes from a manager's weight, and one success gives (swarmkit `DefaultObservationWeight`). */
const OBSERVATION = 10;
const MOST = 128;

/** A manager that a node knows. */
export interface RemoteManager {
	readonly nodeId: string;
	readonly addr: string;
}

/** The managers that a node knows of, and how well it went with each (swarmkit remotes/remotes.go). */
export class Remotes {
	readonly #known = new Map<string, { readonly manager: RemoteManager; weight: number }>();
	readonly #rng: Rng;

	constructor(rng: Rng) {
		this.#rng = rng;
	}

	/** All of them. */
	get all(): readonly RemoteManager[] {
		return [...this.#known.values()].map(({ manager }) => manager);
	}

	/** These are the managers now. */
	replace(managers: readonly RemoteManager[]): void {
		const before = new Map(this.#known);
		this.#known.clear();
		for (const manager of managers)
			this.#known.set(manager.addr, { manager, weight: before.get(manager.addr)?.weight ?? OBSERVATION });
	}

	/** It went well with one, or not. */
	observe(addr: string, well: boolean): void {
		const known = this.#known.get(addr);
		if (known === undefined) return;
		// Each observation counts half, what was before the other half.
		const target = well ? MOST : -MOST;
		known.weight = known.weight / 2 + target / 2;
	}

	/** One of them, by chance; a manager that failed only when there is no other. */
	select(): RemoteManager | undefined {
		const all = [...this.#known.values()];
		const good = all.filter(({ weight }) => weight > 0);
		const choice =
			good.length > 0
				? good
				: all.filter(({ weight }) => weight === Math.max(...all.map((each) => each.weight)));
		return choice[this.#rng.below(choice.length)]?.manager;
	}
}
