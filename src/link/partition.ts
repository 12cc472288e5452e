import type { Nic } from "./nic.ts";

/**
 * Machines that do not hear each other, whatever lies between them: groups of cards, each group cut off from the others.
 * Cards in no group hear everybody.
 */
export class Partition {
	/** The group of a card, by the card's number. */
	readonly #groups = new Map<number, number>();

	constructor(groups: readonly (readonly Nic[])[]) {
		groups.forEach((nics, group) => {
			for (const nic of nics) this.#groups.set(nic.number, group);
		});
	}

	/** Whether what one card sent does not reach another. */
	cuts(from: number, to: number): boolean {
		const [a, b] = [this.#groups.get(from), this.#groups.get(to)];
		return a !== undefined && b !== undefined && a !== b;
	}
}
