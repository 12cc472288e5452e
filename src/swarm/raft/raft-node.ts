import { type NetError } from "../../errors.ts";
import { milliseconds, type Nanoseconds, type Rng, seconds, Timer } from "../../sim/index.ts";
import type { Clock } from "../clock.ts";
import { type Channel, RpcError, unary } from "../control/index.ts";
import type { Proposal } from "../messages/index.ts";
import { processRaftMessage } from "../methods.ts";
import type { NodeObject } from "../objects.ts";
import type { Proposer, Store, StoreSnapshot } from "../store/store.ts";
import type { StoreAction } from "../store/transaction.ts";
import type { Entry, Member, RaftDisk, RaftMessage } from "./message.ts";
import { Raft } from "./raft.ts";

const TICK = seconds(1);
/** What it takes to have an entry on the disk (`fsync` of the write-ahead log). */
const SYNC = milliseconds(5);
/** How long a member may take for a message (swarmkit `sendTimeout`). */
const SEND_TIMEOUT = seconds(2);
/** Entries after which the log is made shorter (`SnapshotInterval`). */
const SNAPSHOT_INTERVAL = 10_000;

/** A manager's disk. */
export type ManagerDisk = RaftDisk<Proposal, StoreSnapshot>;
type Message = RaftMessage<Proposal, StoreSnapshot>;

/** What a manager's member of the raft group needs around it. */
export interface RaftNodeOptions {
	readonly clock: Clock;
	readonly rng: Rng;
	readonly store: Store;
	readonly id: number;
	readonly disk?: ManagerDisk;
	readonly bootstrap?: Member;
	/** The way to another member. */
	readonly channel: (member: Member) => Channel;
	/** It begins to lead, or leads no longer. */
	readonly onLeadership: (leads: boolean) => void;
	/** The group, or who leads it, is another one. */
	readonly onChange: () => void;
	/** It was removed from the group. */
	readonly onRemoved: () => void;
}

/** A manager's member of the raft group: its clock, its disk, its messages, and the store that the log is applied to. */
export class RaftNode implements Proposer {
	readonly #options: RaftNodeOptions;
	readonly #raft: Raft<Proposal, StoreSnapshot>;
	readonly #waiting = new Map<bigint, (error?: NetError) => void>();
	readonly #ticking = new Timer(() => {
		this.#tick();
	});
	readonly #syncs = new Set<Timer>();
	readonly #unreachable = new Set<number>();
	#disk: ManagerDisk | undefined;
	#pumping = false;
	#leads = false;
	#known = "";
	#lastProposal: bigint;
	readonly #method: ReturnType<typeof processRaftMessage>;
	#stopped = false;
	/** Addresses of members as others know them, before the log says so: a new manager's only way to the rest. */
	#told: readonly Member[] = [];

	constructor(options: RaftNodeOptions) {
		this.#options = options;
		const { id, rng, disk, bootstrap } = options;
		this.#raft = new Raft({
			id,
			rng: rng.fork("election"),
			...(disk === undefined ? {} : { disk }),
			...(bootstrap === undefined ? {} : { bootstrap }),
		});
		this.#method = processRaftMessage(options.store);
		// A member's number in front, then chance, then a count (etcd pkg/idutil, which has the time of day there).
		const began = rng.fork("proposals").below(2 ** 40);
		this.#lastProposal = (BigInt(id % 2 ** 16) << 48n) + (BigInt(began) << 8n);
		options.store.proposer = this;
	}

	/** Begins: time passes for it. A group's only member leads at once. */
	start(): void {
		this.#pump();
		if (this.#raft.members.length === 1) this.#raft.campaign();
		this.#pump();
		this.#options.clock.after(TICK, this.#ticking);
	}

	/** Says nothing more. What waits fails. */
	stop(): void {
		this.forget();
		this.#failWaiting();
	}

	/** The machine stopped. */
	forget(): void {
		this.#stopped = true;
		this.#ticking.cancel();
		for (const sync of this.#syncs) sync.cancel();
	}

	/** What outlives a crash. */
	get disk(): ManagerDisk | undefined {
		return this.#disk;
	}

	get id(): number {
		return this.#raft.id;
	}

	/** It leads, and has applied everything. */
	get leads(): boolean {
		return this.#leads;
	}

	/** Who leads, if that is known. */
	get leader(): Member | undefined {
		const { leader } = this.#raft;
		return leader === undefined ? undefined : this.member(leader);
	}

	/** The group. */
	get members(): readonly Member[] {
		return this.#raft.members;
	}

	get removed(): readonly number[] {
		return this.#raft.removed;
	}

	member(raftId: number): Member | undefined {
		return [...this.#raft.members, ...this.#told].find((member) => member.raftId === raftId);
	}

	/** A leader's view of who answers. */
	isReachable(raftId: number): boolean {
		return raftId === this.id || !this.#unreachable.has(raftId);
	}

	/** What is known of a node's member; undefined for a node that is none. */
	statusOf(nodeId: string): NodeObject["managerStatus"] {
		const member = this.#raft.members.find((each) => each.nodeId === nodeId);
		if (member === undefined) return undefined;
		const { raftId, addr } = member;
		const reachability = this.isReachable(raftId) ? "reachable" : "unreachable";
		return { raftId, addr, leader: this.#raft.leader === raftId, reachability };
	}

	/** How many members answer, and how many do not. */
	get reachability(): { readonly reachable: number; readonly unreachable: number } {
		const { members } = this.#raft;
		const reachable = members.filter(({ raftId }) => this.isReachable(raftId)).length;
		return { reachable, unreachable: members.length - reachable };
	}

	/** Whether the group still has a majority that answers when a member is gone (swarmkit `CanRemoveMember`). */
	canRemove(raftId: number): boolean {
		const { members } = this.#raft;
		const reachable = members.filter((member) => member.raftId !== raftId && this.isReachable(member.raftId));
		return members.length > 1 && reachable.length >= Math.floor((members.length - 1) / 2) + 1;
	}

	/** A new manager learns of the others before it has the log. */
	tell(members: readonly Member[]): void {
		this.#told = members;
	}

	propose(actions: readonly StoreAction[], done: (error?: NetError) => void): void {
		if (!this.#raft.settled || this.#stopped) {
			done(lostLeadership());
			return;
		}
		const id = ++this.#lastProposal;
		this.#waiting.set(id, done);
		this.#synced(() => {
			if (!this.#raft.propose({ id, actions })) this.#settleWait(id, lostLeadership());
			this.#pump();
		});
	}

	/** A change of the group; false when it cannot be begun now. */
	proposeMember(op: "add" | "update" | "remove", member: Member): boolean {
		const taken = this.#raft.proposeMember(op, member);
		this.#pump();
		return taken;
	}

	/** Lets another member lead: the one that has most. */
	handOver(): void {
		const other = this.#raft.members.find(({ raftId }) => raftId !== this.id && this.isReachable(raftId));
		if (other === undefined) return;
		this.#raft.transferTo(other.raftId);
		this.#pump();
	}

	/** A message of another member's. Throws `RpcError` for one that was removed. */
	receive(message: Message): void {
		if (this.#raft.removed.includes(message.from))
			throw new RpcError("NotFound", "raft: member was removed from raft cluster");
		if (message.to !== this.id || this.#stopped) return;
		this.#raft.step(message);
		this.#pump();
	}

	#tick(): void {
		this.#raft.tick();
		this.#pump();
		if (!this.#stopped) this.#options.clock.after(TICK, this.#ticking);
	}

	#synced(action: () => void): void {
		const timer = new Timer(() => {
			this.#syncs.delete(timer);
			action();
		});
		this.#syncs.add(timer);
		this.#options.clock.after(SYNC satisfies Nanoseconds, timer);
	}

	#pump(): void {
		if (this.#pumping || this.#stopped) return;
		this.#pumping = true;
		for (let ready = this.#raft.ready(); ready !== undefined; ready = this.#raft.ready()) {
			this.#disk = this.#raft.disk;
			for (const message of ready.messages) this.#send(message);
			if (ready.snapshot !== undefined) this.#options.store.restore(ready.snapshot.state);
			for (const entry of ready.committed) this.#apply(entry);
			if (this.#raft.log.entries.length > SNAPSHOT_INTERVAL) this.#raft.compact(this.#options.store.save());
			if (this.#isStopped()) break;
		}
		this.#pumping = false;
		if (!this.#isStopped()) this.#tellChanges();
	}

	/** Asked of a method, since what was applied may have stopped it. */
	#isStopped(): boolean {
		return this.#stopped;
	}

	#apply({ payload }: Entry<Proposal>): void {
		if (payload.kind === "member") {
			if (payload.op === "remove" && payload.member.raftId === this.id) this.#options.onRemoved();
			return;
		}
		if (payload.kind === "empty") return;
		this.#options.store.apply(payload.data.actions);
		this.#settleWait(payload.data.id);
	}

	#settleWait(id: bigint, error?: NetError): void {
		const done = this.#waiting.get(id);
		this.#waiting.delete(id);
		done?.(error);
	}

	#failWaiting(): void {
		for (const id of [...this.#waiting.keys()]) this.#settleWait(id, lostLeadership());
	}

	#tellChanges(): void {
		const leads = this.#raft.settled;
		if (leads !== this.#leads) {
			this.#leads = leads;
			if (!leads) this.#failWaiting();
			this.#options.onLeadership(leads);
		}
		const known = JSON.stringify([this.#raft.leader, this.#raft.members]);
		if (known === this.#known) return;
		this.#known = known;
		this.#options.onChange();
	}

	#send(message: Message): void {
		const member = this.member(message.to);
		if (member === undefined) return;
		unary(
			this.#options.channel(member),
			this.#method,
			{ message },
			(result) => {
				if (!(result instanceof RpcError)) this.#unreachable.delete(message.to);
				else if (result.rpcCode === "NotFound") this.#options.onRemoved();
				else this.#unreachable.add(message.to);
			},
			{ timeout: SEND_TIMEOUT },
		);
	}
}

const lostLeadership = (): NetError =>
	new RpcError("Unknown", `raft: failed to process the request: node losing leader status`);
