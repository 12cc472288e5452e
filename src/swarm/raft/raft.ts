import { assert } from "../../assert.ts";
import type { Rng } from "../../sim/index.ts";
import { RaftLog } from "./log.ts";
import type { Entry, Member, Payload, RaftDisk, RaftMessage, Snapshot } from "./message.ts";
import { agreedIndex, majority, type Progress, unknownProgress } from "./progress.ts";

/** Ticks without a word of the leader's before a member campaigns; up to twice that many (swarmkit `ElectionTick`). */
export const ELECTION_TICKS = 10;
/** Ticks between a leader's heartbeats (`HeartbeatTick`). */
export const HEARTBEAT_TICKS = 1;
/** Entries in one message. */
const MOST_ENTRIES = 64;

/** What a member is in its term. */
export type RaftRole = "follower" | "candidate" | "leader";

/** What is to be done after a step: first `disk` is kept, then messages go, then what is agreed upon is applied. */
export interface Ready<D, S> {
	readonly messages: readonly RaftMessage<D, S>[];
	/** A leader's snapshot, to be put in the place of all that was applied. */
	readonly snapshot: Snapshot<S> | undefined;
	readonly committed: readonly Entry<D>[];
}

/** What a member begins with. */
export interface RaftOptions<D, S> {
	/** Its number; not 0. */
	readonly id: number;
	/** Spreads elections. */
	readonly rng: Rng;
	/** What is left of its former life. */
	readonly disk?: RaftDisk<D, S>;
	/** The group's first member: it makes the group. */
	readonly bootstrap?: Member;
}

type Body<D, S> =
	RaftMessage<D, S> extends infer M ? (M extends unknown ? Omit<M, "from" | "term"> : never) : never;

/**
 * One member of a raft group: agreement on one log (Ongaro and Ousterhout, "In Search of an Understandable Consensus
 * Algorithm"; etcd's raft with CheckQuorum, as swarmkit configures it). A state machine: it sends nothing, keeps nothing
 * and has no clock; after `tick`, `step`, `propose` … `ready` says what is to be done.
 *
 *     follower ── silence ──▶ candidate ── a majority's votes ──▶ leader
 *         ▲ ◀── a higher term, or a leader in this one ──┘           │
 *         └── a higher term, or no majority heard for an election ───┘
 *
 * Members come and go one at a time: a change counts when it is applied, and no other is taken before.
 */
export class Raft<D, S> {
	readonly id: number;
	readonly log: RaftLog<D, S>;
	readonly #rng: Rng;
	#term: number;
	#vote: number;
	#role: RaftRole = "follower";
	/** 0 while there is none. */
	#leader = 0;
	#elapsed = 0;
	#heartbeatElapsed = 0;
	#timeout = 0;
	#votes = new Map<number, boolean>();
	#progress = new Map<number, Progress>();
	#members = new Map<number, Member>();
	#removed = new Set<number>();
	/** The last entry about members that is not known to be applied. */
	#pendingMember = 0;
	/** Who is to lead instead; 0 for nobody. */
	#transferee = 0;
	#messages: RaftMessage<D, S>[] = [];
	#restored: Snapshot<S> | undefined;
	#changed = true;

	constructor({ id, rng, disk, bootstrap }: RaftOptions<D, S>) {
		assert(id > 0, "a member has a number");
		this.id = id;
		this.#rng = rng;
		this.#term = disk?.term ?? 0;
		this.#vote = disk?.vote ?? 0;
		this.log = new RaftLog<D, S>(disk);
		if (disk?.snapshot !== undefined) this.#restoreMembers(disk.snapshot);
		this.#restored = disk?.snapshot;
		if (bootstrap !== undefined && disk === undefined) {
			this.#term = 1;
			this.log.append(1, { kind: "member", op: "add", member: bootstrap });
			this.log.commit = 1;
		}
		this.#drawTimeout();
	}

	/** What it is in its term. */
	get role(): RaftRole {
		return this.#role;
	}

	get term(): number {
		return this.#term;
	}

	/** Who leads in this term; undefined while nobody is known to. */
	get leader(): number | undefined {
		return this.#leader === 0 ? undefined : this.#leader;
	}

	/** The group, as the applied entries have it. */
	get members(): readonly Member[] {
		return [...this.#members.values()];
	}

	/** Numbers that were members, and may not be again. */
	get removed(): readonly number[] {
		return [...this.#removed];
	}

	/** A leader: whether it heard of a member since about an election's time. */
	isActive(id: number): boolean {
		return id === this.id || this.#progress.get(id)?.active === true;
	}

	/** A leader that has an entry of its own term agreed upon: its state is the newest there is. */
	get settled(): boolean {
		return this.#role === "leader" && this.log.termAt(this.log.applied) === this.#term;
	}

	// ── what happens to it ────────────────────────────────────────────────────────────────────────

	/** Time passes: once a second. */
	tick(): void {
		this.#elapsed++;
		if (this.#role === "leader") this.#leaderTick();
		else if (this.#members.has(this.id) && this.#elapsed >= this.#timeout) this.campaign();
	}

	#leaderTick(): void {
		if (this.#elapsed >= ELECTION_TICKS) {
			this.#elapsed = 0;
			this.#transferee = 0;
			if (!this.#quorumIsActive()) {
				this.#become("follower", this.#term, 0);
				return;
			}
		}
		if (++this.#heartbeatElapsed < HEARTBEAT_TICKS) return;
		this.#heartbeatElapsed = 0;
		this.#heartbeats();
	}

	/** Heard since the last look; after it nobody was. */
	#quorumIsActive(): boolean {
		let active = 0;
		for (const id of this.#members.keys()) if (this.isActive(id)) active++;
		for (const progress of this.#progress.values()) progress.active = false;
		return active >= majority(this.#members.size);
	}

	/** Wants to lead. */
	campaign(transfer = false): void {
		if (this.#role === "leader" || !this.#members.has(this.id)) return;
		// Entries about members that are agreed upon come first: who votes is not known yet.
		const pending = this.log.from(this.log.applied + 1, this.log.commit - this.log.applied) ?? [];
		if (pending.some(({ payload }) => payload.kind === "member")) return;
		this.#become("candidate", this.#term + 1, 0);
		this.#vote = this.id;
		this.#votes.set(this.id, true);
		if (this.#countVotes()) return;
		const { lastIndex, lastTerm } = this.log;
		for (const to of this.#others()) this.#send({ kind: "vote", to, lastIndex, lastTerm, transfer });
	}

	/** Wants entries agreed upon; false when it does not lead, or is about to hand that over. */
	propose(data: D): boolean {
		return this.#proposePayload({ kind: "data", data });
	}

	/** Wants the group changed; false when it does not lead, or another change is not applied yet. */
	proposeMember(op: "add" | "update" | "remove", member: Member): boolean {
		if (this.#pendingMember > this.log.applied) return false;
		if (!this.#proposePayload({ kind: "member", op, member })) return false;
		this.#pendingMember = this.log.lastIndex;
		return true;
	}

	#proposePayload(payload: Payload<D>): boolean {
		if (this.#role !== "leader" || this.#transferee !== 0) return false;
		this.#append(payload);
		this.#broadcast();
		return true;
	}

	/** Has another member lead, once it has all of the log. */
	transferTo(id: number): void {
		const progress = this.#progress.get(id);
		if (this.#role !== "leader" || progress === undefined || id === this.id) return;
		this.#transferee = id;
		this.#elapsed = 0;
		if (progress.match === this.log.lastIndex) this.#send({ kind: "timeout-now", to: id });
		else this.#sendEntries(id, progress);
	}

	/** A message came. */
	step(message: RaftMessage<D, S>): void {
		if (message.term > this.#term) {
			if (message.kind === "vote") {
				// Who hears of a leader takes no part: a member that was cut off would unseat it.
				const leased = this.#leader !== 0 && this.#elapsed < ELECTION_TICKS;
				if (leased && !message.transfer) return;
			}
			const leads = message.kind === "append" || message.kind === "heartbeat" || message.kind === "snapshot";
			this.#become("follower", message.term, leads ? message.from : 0);
		} else if (message.term < this.#term) {
			// A leader of old, or a member that came back with an old term: it learns of this one.
			if (message.kind === "append" || message.kind === "heartbeat")
				this.#send({ kind: "append-reply", to: message.from, index: this.log.lastIndex, rejected: true });
			return;
		}
		switch (message.kind) {
			case "vote":
				this.#voteWanted(message);
				return;
			case "vote-reply":
				if (this.#role !== "candidate") return;
				this.#votes.set(message.from, message.granted);
				this.#countVotes();
				return;
			case "append":
				this.#follow(message.from);
				this.#appendWanted(message);
				return;
			case "heartbeat":
				this.#follow(message.from);
				this.#commitTo(Math.min(message.commit, this.log.lastIndex));
				this.#send({ kind: "heartbeat-reply", to: message.from });
				return;
			case "snapshot":
				this.#follow(message.from);
				this.#snapshotCame(message.from, message.snapshot);
				return;
			case "append-reply":
			case "heartbeat-reply":
				if (this.#role === "leader") this.#answered(message);
				return;
			case "timeout-now":
				this.campaign(true);
		}
	}

	// ── followers ─────────────────────────────────────────────────────────────────────────────────

	#voteWanted(message: RaftMessage<D, S> & { readonly kind: "vote" }): void {
		const free = this.#vote === message.from || (this.#vote === 0 && this.#leader === 0);
		const granted = free && this.log.isUpToDate(message.lastIndex, message.lastTerm);
		if (granted) {
			this.#elapsed = 0;
			this.#vote = message.from;
			this.#changed = true;
		}
		this.#send({ kind: "vote-reply", to: message.from, granted });
	}

	#follow(leader: number): void {
		if (this.#role === "candidate") this.#become("follower", this.#term, leader);
		this.#leader = leader;
		this.#elapsed = 0;
	}

	#appendWanted(message: RaftMessage<D, S> & { readonly kind: "append" }): void {
		const { from: to, prevIndex, prevTerm, entries, commit } = message;
		if (prevIndex < this.log.commit) {
			this.#send({ kind: "append-reply", to, index: this.log.commit, rejected: false });
			return;
		}
		if (this.log.termAt(prevIndex) !== prevTerm) {
			const index = Math.max(this.log.commit, Math.min(this.log.lastIndex, prevIndex - 1));
			this.#send({ kind: "append-reply", to, index, rejected: true });
			return;
		}
		this.log.merge(entries);
		this.#changed = true;
		const last = prevIndex + entries.length;
		this.#commitTo(Math.min(commit, last));
		this.#send({ kind: "append-reply", to, index: last, rejected: false });
	}

	#snapshotCame(to: number, snapshot: Snapshot<S>): void {
		if (snapshot.index > this.log.commit) {
			this.log.restore(snapshot);
			this.#restoreMembers(snapshot);
			this.#restored = snapshot;
			this.#changed = true;
		}
		this.#send({ kind: "append-reply", to, index: this.log.commit, rejected: false });
	}

	#restoreMembers({ members, removed }: Snapshot<S>): void {
		this.#members = new Map(members.map((member) => [member.raftId, member]));
		this.#removed = new Set(removed);
	}

	#commitTo(index: number): void {
		if (index <= this.log.commit) return;
		this.log.commit = index;
		this.#changed = true;
	}

	// ── candidates and leaders ────────────────────────────────────────────────────────────────────

	/** True when that decided it. */
	#countVotes(): boolean {
		const answers = [...this.#members.keys()].map((id) => this.#votes.get(id));
		const needed = majority(this.#members.size);
		if (answers.filter((granted) => granted === true).length >= needed) {
			this.#lead();
			return true;
		}
		if (answers.filter((granted) => granted === false).length < needed) return false;
		this.#become("follower", this.#term, 0);
		return true;
	}

	#lead(): void {
		this.#become("leader", this.#term, this.id);
		const next = this.log.lastIndex + 1;
		for (const id of this.#members.keys()) this.#progress.set(id, unknownProgress(next, true));
		// Changes of the group that are in the log but not applied: no other before them.
		this.#pendingMember = this.log.lastIndex;
		this.#append({ kind: "empty" });
		this.#broadcast();
	}

	#append(payload: Payload<D>): void {
		this.log.append(this.#term, payload);
		this.#changed = true;
		const own = this.#progress.get(this.id);
		if (own !== undefined) own.match = this.log.lastIndex;
		this.#advanceCommit();
	}

	#answered(message: RaftMessage<D, S> & { readonly kind: "append-reply" | "heartbeat-reply" }): void {
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
			if (this.#transferee === from && progress.match === this.log.lastIndex)
				this.#send({ kind: "timeout-now", to: from });
		} else if (progress.match < this.log.lastIndex) {
			// What was on its way may be lost: from the last known place again.
			progress.next = progress.match + 1;
		}
		if (progress.next <= this.log.lastIndex) this.#sendEntries(from, progress);
	}

	/** Only entries of one's own term are counted (raft §5.4.2). */
	#advanceCommit(): boolean {
		const index = agreedIndex([...this.#members.keys()].map((id) => this.#progress.get(id)?.match ?? 0));
		if (index <= this.log.commit || this.log.termAt(index) !== this.#term) return false;
		this.#commitTo(index);
		return true;
	}

	#broadcast(): void {
		for (const to of this.#others()) {
			const progress = this.#progress.get(to);
			if (progress !== undefined) this.#sendEntries(to, progress);
		}
	}

	#sendEntries(to: number, progress: Progress): void {
		if (progress.probing && progress.paused) return;
		const prevIndex = progress.next - 1;
		const prevTerm = this.log.termAt(prevIndex);
		const entries = this.log.from(progress.next, MOST_ENTRIES);
		const { snapshot } = this.log;
		if (prevTerm === undefined || entries === undefined) {
			if (snapshot === undefined) return;
			this.#send({ kind: "snapshot", to, snapshot });
			progress.next = snapshot.index + 1;
			progress.probing = progress.paused = true;
			return;
		}
		this.#send({ kind: "append", to, prevIndex, prevTerm, entries, commit: this.log.commit });
		if (progress.probing) progress.paused = true;
		else progress.next += entries.length;
	}

	#heartbeats(): void {
		for (const to of this.#others()) {
			const commit = Math.min(this.#progress.get(to)?.match ?? 0, this.log.commit);
			this.#send({ kind: "heartbeat", to, commit });
		}
	}

	// ── all ───────────────────────────────────────────────────────────────────────────────────────

	*#others(): Generator<number> {
		for (const id of [...this.#members.keys()]) if (id !== this.id) yield id;
	}

	#send(body: Body<D, S>): void {
		this.#messages.push({ ...body, from: this.id, term: this.#term });
	}

	#become(role: RaftRole, term: number, leader: number): void {
		if (term !== this.#term) {
			this.#term = term;
			this.#vote = 0;
		}
		this.#role = role;
		this.#leader = leader;
		this.#elapsed = 0;
		this.#heartbeatElapsed = 0;
		this.#transferee = 0;
		this.#votes = new Map();
		this.#progress = new Map();
		this.#drawTimeout();
		this.#changed = true;
	}

	#drawTimeout(): void {
		this.#timeout = ELECTION_TICKS + this.#rng.below(ELECTION_TICKS);
	}

	/** What is to be done now; undefined for nothing. It counts as done. */
	ready(): Ready<D, S> | undefined {
		const { log } = this;
		if (!this.#changed && this.#messages.length === 0 && log.applied === log.commit) return undefined;
		const committed = log.from(log.applied + 1, log.commit - log.applied) ?? [];
		const ready = { messages: this.#messages, snapshot: this.#restored, committed };
		this.#messages = [];
		this.#restored = undefined;
		this.#changed = false;
		log.applied = log.commit;
		for (const { payload } of committed) if (payload.kind === "member") this.#applyMember(payload);
		return ready;
	}

	/** What has to outlive a crash, as it was at the last `ready`. */
	get disk(): RaftDisk<D, S> {
		const { snapshot, entries, commit } = this.log;
		return { term: this.#term, vote: this.#vote, commit, snapshot, entries: [...entries] };
	}

	#applyMember({ op, member }: Payload<D> & { readonly kind: "member" }): void {
		const { raftId } = member;
		if (op === "remove") {
			this.#members.delete(raftId);
			this.#removed.add(raftId);
			this.#progress.delete(raftId);
			if (raftId === this.id) this.#become("follower", this.#term, 0);
			else if (this.#role === "leader" && this.#advanceCommit()) this.#broadcast();
			return;
		}
		if (this.#removed.has(raftId)) return;
		this.#members.set(raftId, member);
		if (this.#role !== "leader" || this.#progress.has(raftId)) return;
		const progress = unknownProgress(this.log.lastIndex + 1, true);
		this.#progress.set(raftId, progress);
		if (raftId !== this.id) this.#sendEntries(raftId, progress);
	}

	/** Puts a snapshot of the applied state in the place of the log before it. */
	compact(state: S): void {
		const index = this.log.applied;
		const term = this.log.termAt(index);
		if (term === undefined || index === 0) return;
		this.log.compact({ index, term, members: this.members, removed: this.removed, state });
		this.#changed = true;
	}
}
