import { assert } from "../../assert.ts";
import type { Rng } from "../../sim/index.ts";
import { Election, ELECTION_TICKS, electionTimeout } from "./election.ts";
import { Group } from "./group.ts";
import { RaftLog } from "./log.ts";
import type { Entry, Member, MemberChange, MessageBody, RaftDisk, RaftMessage, Snapshot } from "./message.ts";
import { Replication } from "./replication.ts";

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

/**
 * One member of a raft group: agreement on one log (Ongaro and Ousterhout, "In Search of an Understandable Consensus
 * Algorithm"; etcd's raft with CheckQuorum, as swarmkit configures it). A state machine: it sends nothing, keeps nothing
 * and has no clock; after `tick`, `step`, `propose` … `ready` says what is to be done.
 *
 *     follower ── silence ──▶ candidate ── a majority's votes ──▶ leader
 *         ▲ ◀── a higher term, or a leader in this one ──┘           │
 *         └── a higher term, or no majority heard for an election ───┘
 *
 * A candidate has an `Election`, a leader its `Replication`; who the members are says `Group`.
 */
export class Raft<D, S> {
	readonly id: number;
	readonly log: RaftLog<D, S>;
	readonly #group = new Group();
	readonly #rng: Rng;
	#term: number;
	#vote: number;
	/** While it is a candidate. */
	#election: Election | undefined;
	/** While it leads. */
	#replication: Replication<D, S> | undefined;
	/** 0 while there is none. */
	#leader = 0;
	#elapsed = 0;
	#timeout: number;
	#messages: RaftMessage<D, S>[] = [];
	#restored: Snapshot<S> | undefined;
	/** Term and vote are not on the disk yet. */
	#changed = true;

	constructor({ id, rng, disk, bootstrap }: RaftOptions<D, S>) {
		assert(id > 0, "a member has a number");
		this.id = id;
		this.#rng = rng;
		this.#term = disk?.term ?? 0;
		this.#vote = disk?.vote ?? 0;
		this.log = new RaftLog<D, S>(disk);
		if (disk?.snapshot !== undefined) this.#group.restore(disk.snapshot);
		this.#restored = disk?.snapshot;
		if (bootstrap !== undefined && disk === undefined) {
			this.#term = 1;
			this.log.append(1, { kind: "member", op: "add", member: bootstrap });
			this.log.commitTo(1);
		}
		this.#timeout = electionTimeout(rng);
	}

	/** What it is in its term. */
	get role(): RaftRole {
		if (this.#replication !== undefined) return "leader";
		return this.#election === undefined ? "follower" : "candidate";
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
		return this.#group.members;
	}

	/** Numbers that were members, and may not be again. */
	get removed(): readonly number[] {
		return this.#group.removed;
	}

	/** A leader that has an entry of its own term agreed upon: its state is the newest there is. */
	get settled(): boolean {
		return this.#replication !== undefined && this.log.termAt(this.log.applied) === this.#term;
	}

	// ── what happens to it ────────────────────────────────────────────────────────────────────────

	/** Time passes: once a second. */
	tick(): void {
		this.#elapsed++;
		if (this.#replication !== undefined) this.#leaderTick(this.#replication);
		else if (this.#group.has(this.id) && this.#elapsed >= this.#timeout) this.campaign();
	}

	#leaderTick(replication: Replication<D, S>): void {
		if (this.#elapsed >= ELECTION_TICKS) {
			this.#elapsed = 0;
			if (!replication.checkQuorum()) {
				this.#enter(this.#term, 0);
				return;
			}
		}
		replication.tick();
	}

	/** Wants to lead. */
	campaign(transfer = false): void {
		if (this.#replication !== undefined || !this.#group.has(this.id)) return;
		// Entries about members that are agreed upon come first: who votes is not known yet.
		const pending = this.log.from(this.log.applied + 1, this.log.commit - this.log.applied) ?? [];
		if (pending.some(({ payload }) => payload.kind === "member")) return;
		this.#enter(this.#term + 1, 0);
		this.#vote = this.id;
		const election = new Election(this.#group);
		this.#election = election;
		if (this.#decide(election.count(this.id, true))) return;
		const { lastIndex, lastTerm } = this.log;
		for (const to of this.#group.others(this.id))
			this.#send({ kind: "vote", to, lastIndex, lastTerm, transfer });
	}

	/** Wants entries agreed upon; false when it does not lead, or is about to hand that over. */
	propose(data: D): boolean {
		return this.#replication?.propose({ kind: "data", data }) === true;
	}

	/** Wants the group changed; false when it does not lead, or another change is not applied yet. */
	proposeMember(op: MemberChange["op"], member: Member): boolean {
		return this.#replication?.proposeMember({ kind: "member", op, member }) === true;
	}

	/** Has another member lead, once it has all of the log. */
	transferTo(id: number): void {
		if (this.#replication?.transferTo(id) === true) this.#elapsed = 0;
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
			this.#enter(message.term, leads ? message.from : 0);
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
				this.#decide(this.#election?.count(message.from, message.granted));
				return;
			case "append":
				this.#follow(message.from);
				this.#appendWanted(message);
				return;
			case "heartbeat":
				this.#follow(message.from);
				this.log.commitTo(Math.min(message.commit, this.log.lastIndex));
				this.#send({ kind: "heartbeat-reply", to: message.from });
				return;
			case "snapshot":
				this.#follow(message.from);
				this.#snapshotCame(message.from, message.snapshot);
				return;
			case "append-reply":
			case "heartbeat-reply":
				this.#replication?.answered(message);
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
		if (this.#election !== undefined) this.#enter(this.#term, leader);
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
		const last = prevIndex + entries.length;
		this.log.commitTo(Math.min(commit, last));
		this.#send({ kind: "append-reply", to, index: last, rejected: false });
	}

	#snapshotCame(to: number, snapshot: Snapshot<S>): void {
		// Who has the snapshot's last entry has all before it, and keeps what is behind it: the leader may count on that.
		if (this.log.termAt(snapshot.index) === snapshot.term) this.log.commitTo(snapshot.index);
		else if (snapshot.index > this.log.commit) {
			this.log.restore(snapshot);
			this.#group.restore(snapshot);
			this.#restored = snapshot;
		}
		this.#send({ kind: "append-reply", to, index: this.log.commit, rejected: false });
	}

	// ── what it becomes ───────────────────────────────────────────────────────────────────────────

	/** True when an election is decided by that. */
	#decide(outcome: ReturnType<Election["count"]>): boolean {
		if (outcome === "won") this.#lead();
		else if (outcome === "lost") this.#enter(this.#term, 0);
		return outcome !== undefined;
	}

	#lead(): void {
		this.#enter(this.#term, this.id);
		this.#replication = new Replication({
			id: this.id,
			term: this.#term,
			log: this.log,
			group: this.#group,
			send: (body) => {
				this.#send(body);
			},
		});
		this.#replication.begin();
	}

	/** Another term, or another part in this one: a follower, of a leader or of none, before it is more. */
	#enter(term: number, leader: number): void {
		if (term !== this.#term) {
			this.#term = term;
			this.#vote = 0;
		}
		this.#leader = leader;
		this.#elapsed = 0;
		this.#election = undefined;
		this.#replication = undefined;
		this.#timeout = electionTimeout(this.#rng);
		this.#changed = true;
	}

	// ── what it asks for ──────────────────────────────────────────────────────────────────────────

	#send(body: MessageBody<D, S>): void {
		this.#messages.push({ ...body, from: this.id, term: this.#term });
	}

	/** What is to be done now; undefined for nothing. It counts as done. */
	ready(): Ready<D, S> | undefined {
		const { log } = this;
		if (!this.#changed && !log.changed && this.#messages.length === 0 && log.applied === log.commit)
			return undefined;
		const committed = log.from(log.applied + 1, log.commit - log.applied) ?? [];
		const ready = { messages: this.#messages, snapshot: this.#restored, committed };
		this.#messages = [];
		this.#restored = undefined;
		this.#changed = false;
		log.changed = false;
		log.applied = log.commit;
		for (const { payload } of committed) if (payload.kind === "member") this.#applyMember(payload);
		return ready;
	}

	/** What has to outlive a crash, as it was at the last `ready`. */
	get disk(): RaftDisk<D, S> {
		const { snapshot, entries, commit } = this.log;
		return { term: this.#term, vote: this.#vote, commit, snapshot, entries: [...entries] };
	}

	#applyMember(change: MemberChange): void {
		if (!this.#group.apply(change)) return;
		const { raftId } = change.member;
		if (change.op !== "remove") this.#replication?.added(raftId);
		else if (raftId === this.id) this.#enter(this.#term, 0);
		else this.#replication?.removed(raftId);
	}

	/** Puts a snapshot of the applied state in the place of the log before it. */
	compact(state: S): void {
		const index = this.log.applied;
		const term = this.log.termAt(index);
		if (term === undefined || index === 0) return;
		this.log.compact({ index, term, members: this.members, removed: this.removed, state });
	}
}
