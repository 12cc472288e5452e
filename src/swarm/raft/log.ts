import { assert } from "../../assert.ts";
import type { Entry, Payload, RaftDisk, Snapshot } from "./message.ts";

/** A member's log: a snapshot, and the entries behind it. */
export class RaftLog<D, S> {
	#snapshot: Snapshot<S> | undefined;
	#entries: Entry<D>[];
	#commit: number;
	/** Something of it is not on the disk yet. */
	changed = true;
	/** The last entry that was given out to be applied. */
	applied: number;

	constructor(disk: RaftDisk<D, S> | undefined) {
		this.#snapshot = disk?.snapshot;
		this.#entries = [...(disk?.entries ?? [])];
		this.applied = this.#snapshot?.index ?? 0;
		this.#commit = Math.max(this.applied, Math.min(disk?.commit ?? 0, this.lastIndex));
	}

	/** The last entry that is agreed upon. */
	get commit(): number {
		return this.#commit;
	}

	/** Everything up to an entry is agreed upon; false when that was known. */
	commitTo(index: number): boolean {
		if (index <= this.#commit) return false;
		this.#commit = index;
		this.changed = true;
		return true;
	}

	get snapshot(): Snapshot<S> | undefined {
		return this.#snapshot;
	}

	get entries(): readonly Entry<D>[] {
		return this.#entries;
	}

	get #base(): number {
		return this.#snapshot?.index ?? 0;
	}

	get lastIndex(): number {
		return this.#base + this.#entries.length;
	}

	get lastTerm(): number {
		return this.termAt(this.lastIndex) ?? 0;
	}

	/** The term of an entry; undefined for one that is not here, or no longer. */
	termAt(index: number): number | undefined {
		if (index === 0) return 0;
		if (index === this.#base) return this.#snapshot?.term;
		return this.#entries[index - this.#base - 1]?.term;
	}

	/** Entries from an index on; undefined when the snapshot stands in their place. */
	from(index: number, most: number): readonly Entry<D>[] | undefined {
		return index <= this.#base
			? undefined
			: this.#entries.slice(index - this.#base - 1, index - this.#base - 1 + most);
	}

	/** A leader's new entry. */
	append(term: number, payload: Payload<D>): Entry<D> {
		const entry = { index: this.lastIndex + 1, term, payload };
		this.#entries.push(entry);
		this.changed = true;
		return entry;
	}

	/** Entries of the leader's, the first behind one that is the same: what contradicts them goes. */
	merge(entries: readonly Entry<D>[]): void {
		this.changed = true;
		for (const entry of entries) {
			if (entry.index <= this.#base) continue;
			if (this.termAt(entry.index) === entry.term) continue;
			assert(entry.index > this.#commit, "what is agreed upon stays");
			this.#entries.length = entry.index - this.#base - 1;
			this.#entries.push(entry);
		}
	}

	/** True when who has these last ones has everything that is here (raft §5.4.1). */
	isUpToDate(lastIndex: number, lastTerm: number): boolean {
		return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
	}

	/** Takes the leader's snapshot in the place of everything. */
	restore(snapshot: Snapshot<S>): void {
		this.#snapshot = snapshot;
		this.#entries = [];
		this.#commit = snapshot.index;
		this.applied = snapshot.index;
		this.changed = true;
	}

	/** Puts a snapshot of the applied state in the place of the entries that led to it. */
	compact(snapshot: Snapshot<S>): void {
		assert(snapshot.index <= this.applied, "a snapshot is of what was applied");
		this.changed = true;
		if (snapshot.index <= this.#base) return;
		this.#entries.splice(0, snapshot.index - this.#base);
		this.#snapshot = snapshot;
	}
}
