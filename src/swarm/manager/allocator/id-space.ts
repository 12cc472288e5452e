/**
 * Numbers given one after the other: the search goes on behind the last one given, so that one given back is given again
 * only after all others were (libnetwork idm with `serial`).
 */
export class IdSpace {
	readonly #first: number;
	readonly #last: number;
	readonly #taken = new Set<number>();
	#next: number;

	/** Numbers from `first` to `last`, both included. */
	constructor(first: number, last: number) {
		this.#first = this.#next = first;
		this.#last = last;
	}

	/** Numbers in use, in the order in which they were taken. */
	get taken(): readonly number[] {
		return [...this.#taken];
	}

	/** Takes the next free number; undefined when there is none. */
	next(): number | undefined {
		const found = this.#free(this.#next, this.#last) ?? this.#free(this.#first, this.#next - 1);
		if (found === undefined) return undefined;
		this.#taken.add(found);
		this.#next = found === this.#last ? this.#first : found + 1;
		return found;
	}

	#free(from: number, to: number): number | undefined {
		for (let id = from; id <= to; id++) if (!this.#taken.has(id)) return id;
		return undefined;
	}

	/** Takes a number, also one outside of those that `next` gives; false when it is in use. */
	take(id: number): boolean {
		if (this.#taken.has(id)) return false;
		this.#taken.add(id);
		return true;
	}

	/** Gives a number back. */
	release(id: number): void {
		this.#taken.delete(id);
	}
}
