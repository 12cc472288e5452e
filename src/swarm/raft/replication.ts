import type { Group } from "./group.ts";
import type { RaftLog } from "./log.ts";
import type { MemberChange, MessageBody, Payload, RaftMessage } from "./message.ts";
import { agreedIndex, type Progress, unknownProgress } from "./progress.ts";

/** Ticks between a leader's heartbeats (`HeartbeatTick`). */
const HEARTBEAT_TICKS = 1;
/** Entries in one message. */
const MOST_ENTRIES = 64;

/** What a leader replicates, and to whom. */
export interface ReplicationOptions<D, S> {
	/** The leader. */
	readonly id: number;
	/** The term in which it leads. */
	readonly term: number;
	readonly log: RaftLog<D, S>;
	readonly group: Group;
	readonly send: (body: MessageBody<D, S>) => void;
}

/**
 * What a leader does for its term: it brings its log to the others, and an entry that a majority has is agreed upon
 * (raft §5.3, §5.4.2).
 */
export class Replication<D, S> {
	readonly #id: number;
	readonly #term: number;
	readonly #log: RaftLog<D, S>;
	readonly #group: Group;
	readonly #send: (body: MessageBody<D, S>) => void;
	readonly #progress = new Map<number, Progress>();
	#sinceHeartbeat = 0;
	/** The last entry about members that is not known to be applied. */
	#pendingMember: number;
	/** Who is to lead instead; 0 for nobody. */
	#transferee = 0;

	constructor({ id, term, log, group, send }: ReplicationOptions<D, S>) {
		this.#id = id;
		this.#term = term;
		this.#log = log;
		this.#group = group;
		this.#send = send;
		for (const member of group.ids) this.#progress.set(member, unknownProgress(log.lastIndex + 1, true));
		// Changes of the group that are in the log but not applied: no other before them.
		this.#pendingMember = log.lastIndex;
	}

	/** The term begins with an entry of its own, by which those of former ones are agreed upon. */
	begin(): void {
		this.propose({ kind: "empty" });
	}

	// ── proposals ─────────────────────────────────────────────────────────────────────────────────

	/** Wants an entry agreed upon; false when it is about to hand over. */
	propose(payload: Payload<D>): boolean {
		if (this.#transferee !== 0) return false;
		this.#log.append(this.#term, payload);
		const own = this.#progress.get(this.#id);
		if (own !== undefined) own.match = this.#log.lastIndex;
		this.#advanceCommit();
		this.#broadcast();
		return true;
	}

	/** Wants the group changed; false when another change is not applied yet, too. */
	proposeMember(change: MemberChange): boolean {
		if (this.#pendingMember > this.#log.applied || !this.propose(change)) return false;
		this.#pendingMember = this.#log.lastIndex;
		return true;
	}

	/** Has another member lead, once it has all of the log; false when there is no such one. */
	transferTo(id: number): boolean {
		const progress = this.#progress.get(id);
		if (progress === undefined || id === this.#id) return false;
		this.#transferee = id;
		if (progress.match === this.#log.lastIndex) this.#send({ kind: "timeout-now", to: id });
		else this.#sendEntries(id, progress);
		return true;
	}

	// ── time ──────────────────────────────────────────────────────────────────────────────────────

	/** Time passes: the others hear that it leads. */
	tick(): void {
		if (++this.#sinceHeartbeat < HEARTBEAT_TICKS) return;
		this.#sinceHeartbeat = 0;
		for (const to of this.#group.others(this.#id)) {
			const commit = Math.min(this.#progress.get(to)?.match ?? 0, this.#log.commit);
			this.#send({ kind: "heartbeat", to, commit });
		}
	}

	/** An election's time is over: whether a majority was heard in it. A hand-over that is not done by now is none. */
	checkQuorum(): boolean {
		this.#transferee = 0;
		const active = this.#group.ids.filter((id) => id === this.#id || this.#progress.get(id)?.active === true);
		for (const progress of this.#progress.values()) progress.active = false;
		return active.length >= this.#group.majority;
	}

	// ── to the others and back ────────────────────────────────────────────────────────────────────

	#broadcast(): void {
		for (const to of this.#group.others(this.#id)) {
			const progress = this.#progress.get(to);
			if (progress !== undefined) this.#sendEntries(to, progress);
		}
	}

	#sendEntries(to: number, progress: Progress): void {
		if (progress.probing && progress.paused) return;
		const prevIndex = progress.next - 1;
		const prevTerm = this.#log.termAt(prevIndex);
		const entries = this.#log.from(progress.next, MOST_ENTRIES);
		const { snapshot } = this.#log;
		if (prevTerm === undefined || entries === undefined) {
			if (snapshot === undefined) return;
			this.#send({ kind: "snapshot", to, snapshot });
			progress.next = snapshot.index + 1;
			progress.probing = progress.paused = true;
			return;
		}
		this.#send({ kind: "append", to, prevIndex, prevTerm, entries, commit: this.#log.commit });
		if (progress.probing) progress.paused = true;
		else progress.next += entries.length;
	}

	/** A member has entries, or has not, or is there at least. */
	answered(message: RaftMessage<D, S> & { readonly kind: "append-reply" | "heartbeat-reply" }): void {
		const { from } = message;
		const progress = this.#progress.get(from);
		if (progress === undefined) return;
		progress.active = true;
		progress.paused = false;
		if (message.kind === "append-reply") {
			if (message.rejected) {
				if (message.index + 1 < progress.next) progress.next = Math.max(progress.match, message.index) + 1;
				progress.probing = true;
			} else if (message.index > progress.match) {
				progress.match = message.index;
				progress.next = Math.max(progress.next, message.index + 1);
				progress.probing = false;
				if (this.#advanceCommit()) this.#broadcast();
			}
			if (this.#transferee === from && progress.match === this.#log.lastIndex)
				this.#send({ kind: "timeout-now", to: from });
		} else if (progress.match < this.#log.lastIndex) {
			// What was on its way may be lost: from the last known place again.
			progress.next = progress.match + 1;
		}
		if (progress.next <= this.#log.lastIndex) this.#sendEntries(from, progress);
	}

	/** Only entries of one's own term are counted (raft §5.4.2). */
	#advanceCommit(): boolean {
		const index = agreedIndex(this.#group.ids.map((id) => this.#progress.get(id)?.match ?? 0));
		return this.#log.termAt(index) === this.#term && this.#log.commitTo(index);
	}

	// ── the group is another one ──────────────────────────────────────────────────────────────────

	/** A member came, or has another address. */
	added(id: number): void {
		if (this.#progress.has(id)) return;
		const progress = unknownProgress(this.#log.lastIndex + 1, true);
		this.#progress.set(id, progress);
		if (id !== this.#id) this.#sendEntries(id, progress);
	}

	/** A member went: of fewer, more may be agreed upon. */
	removed(id: number): void {
		this.#progress.delete(id);
		if (this.#advanceCommit()) this.#broadcast();
	}
}
