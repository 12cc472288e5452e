/** What a leader knows of a member. */
export interface Progress {
	/** Its last entry that is known to be the same. */
	match: number;
	/** The entry that goes next. */
	next: number;
	/** Not known to follow: one message at a time. */
	probing: boolean;
	/** Something is on its way and has to be answered first. */
	paused: boolean;
	/** It was heard since the last check of the quorum. */
	active: boolean;
}

/** Of a member nothing is known of. */
export const unknownProgress = (next: number, active: boolean): Progress => ({
	match: 0,
	next,
	probing: true,
	paused: false,
	active,
});

/** How many make a majority of so many. */
export const majority = (members: number): number => Math.floor(members / 2) + 1;

/** The highest index that a majority has. */
export function agreedIndex(matches: readonly number[]): number {
	const sorted = [...matches].sort((a, b) => b - a);
	return sorted[majority(matches.length) - 1] ?? 0;
}
