import type { Rng } from "../../sim/index.ts";
import type { Group } from "./group.ts";

/** Ticks without a word of the leader's before a member campaigns; up to twice that many (swarmkit `ElectionTick`). */
export const ELECTION_TICKS = 10;

/** When a member campaigns next, so that seldom two do at once. */
export const electionTimeout = (rng: Rng): number => ELECTION_TICKS + rng.below(ELECTION_TICKS);

/** An election as its candidate sees it (raft §5.2). */
export class Election {
	readonly #group: Group;
	readonly #votes = new Map<number, boolean>();

	constructor(group: Group) {
		this.#group = group;
	}

	/** A member's vote, and what that decides; undefined while it is open. */
	count(voter: number, granted: boolean): "won" | "lost" | undefined {
		this.#votes.set(voter, granted);
		const votes = this.#group.ids.map((id) => this.#votes.get(id));
		const needed = this.#group.majority;
		if (votes.filter((vote) => vote === true).length >= needed) return "won";
		return votes.filter((vote) => vote === false).length >= needed ? "lost" : undefined;
	}
}
