import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Rng } from "../../src/sim/index.ts";
import {
	ELECTION_TICKS,
	type Entry,
	Raft,
	type RaftDisk,
	type RaftMessage,
} from "../../src/swarm/raft/index.ts";

type State = readonly string[];
type Message = RaftMessage<string, State>;

/** One machine: the state machine, its disk, and what it has applied since the group began. */
interface Peer {
	raft: Raft<string, State>;
	disk: RaftDisk<string, State> | undefined;
	/** Data applied, oldest first. */
	state: string[];
	/** Everything ever applied, by index, over all its lives. */
	readonly applied: Map<number, Entry<string>>;
	up: boolean;
}

const member = (raftId: number) => ({
	raftId,
	nodeId: `node${String(raftId)}`,
	addr: `172.31.1.${String(raftId)}:2377`,
});

/** A group whose messages lie in a bag until they are delivered or lost. */
class Group {
	readonly peers = new Map<number, Peer>();
	readonly wire: Message[] = [];
	/** Who led, by term. */
	readonly leaders = new Map<number, number>();
	readonly agreed = new Map<number, string>();
	readonly cut = new Set<number>();
	#seed: number;

	constructor(seed: number) {
		this.#seed = seed;
		this.peers.set(1, this.#born(1, true));
		this.settle(1);
		this.peer(1).raft.campaign();
		this.settle(1);
	}

	#born(id: number, first = false): Peer {
		const rng = new Rng(`${String(this.#seed)}/${String(id)}`);
		const raft = new Raft<string, State>({ id, rng, ...(first ? { bootstrap: member(id) } : {}) });
		return { raft, disk: undefined, state: [], applied: new Map(), up: true };
	}

	peer(id: number): Peer {
		const peer = this.peers.get(id);
		if (peer === undefined) throw new Error(`no peer ${String(id)}`);
		return peer;
	}

	/** Does what a member's `ready` asks for, and checks what no member may ever see. */
	settle(id: number): void {
		const peer = this.peer(id);
		for (let ready = peer.raft.ready(); ready !== undefined; ready = peer.raft.ready()) {
			peer.disk = structuredClone(peer.raft.disk);
			this.wire.push(...structuredClone(ready.messages));
			if (ready.snapshot !== undefined) peer.state = [...ready.snapshot.state];
			for (const entry of ready.committed) {
				if (entry.payload.kind === "data") peer.state.push(entry.payload.data);
				peer.applied.set(entry.index, entry);
				const known = this.agreed.get(entry.index);
				const text = JSON.stringify(entry);
				if (known !== undefined && known !== text)
					throw new Error(`entry ${String(entry.index)} is ${known} here and ${text} there`);
				this.agreed.set(entry.index, text);
			}
		}
		if (peer.raft.role !== "leader") return;
		const other = this.leaders.get(peer.raft.term);
		if (other !== undefined && other !== id)
			throw new Error(`${String(other)} and ${String(id)} lead in term ${String(peer.raft.term)}`);
		this.leaders.set(peer.raft.term, id);
	}

	do(id: number, action: (raft: Raft<string, State>) => void): void {
		const peer = this.peers.get(id);
		if (peer?.up !== true) return;
		action(peer.raft);
		this.settle(id);
	}

	deliver(index: number): void {
		const [message] = this.wire.splice(index % Math.max(1, this.wire.length), 1);
		if (message === undefined || this.cut.has(message.to) || this.cut.has(message.from)) return;
		this.do(message.to, (raft) => {
			raft.step(message);
		});
	}

	deliverAll(): void {
		for (let i = 0; i < 10_000 && this.wire.length > 0; i++) this.deliver(0);
	}

	crash(id: number): void {
		this.peer(id).up = false;
	}

	restart(id: number): void {
		const peer = this.peer(id);
		if (peer.up) return;
		const { disk } = peer;
		const rng = new Rng(`${String(this.#seed++)}/${String(id)}`);
		peer.raft = new Raft({ id, rng, ...(disk === undefined ? {} : { disk: structuredClone(disk) }) });
		peer.state = [];
		peer.up = true;
		this.settle(id);
	}

	get leader(): number | undefined {
		return [...this.peers].find(([, { raft, up }]) => up && raft.role === "leader")?.[0];
	}

	/** A new machine, and the leader asked to take it in. */
	add(id: number): void {
		if (this.peers.has(id)) return;
		this.peers.set(id, this.#born(id));
		const { leader } = this;
		if (leader !== undefined) this.do(leader, (raft) => void raft.proposeMember("add", member(id)));
	}

	/** Whole seconds in which everything arrives. */
	quiet(ticks: number): void {
		for (let i = 0; i < ticks; i++) {
			for (const id of this.peers.keys())
				this.do(id, (raft) => {
					raft.tick();
				});
			this.deliverAll();
		}
	}
}

function group(members: number, seed = 1): Group {
	const made = new Group(seed);
	for (let id = 2; id <= members; id++) {
		made.add(id);
		made.quiet(2);
	}
	return made;
}

describe("a raft group", () => {
	test("begins with one member that leads at once, and takes in others one at a time", () => {
		const made = group(3);
		expect(made.leader).toBe(1);
		expect(made.peer(3).raft.members.map(({ raftId }) => raftId)).toEqual([1, 2, 3]);
		made.do(1, (raft) => {
			expect(raft.proposeMember("add", member(4))).toBe(true);
			expect(raft.proposeMember("add", member(5))).toBe(false);
		});
	});

	test("agrees as long as a majority is there: two of three do, one does not", () => {
		const made = group(3);
		made.crash(3);
		made.do(1, (raft) => void raft.propose("two are enough"));
		made.deliverAll();
		expect(made.peer(1).state).toEqual(["two are enough"]);
		made.crash(2);
		made.do(1, (raft) => void raft.propose("one is not"));
		made.quiet(5);
		expect(made.peer(1).state).toEqual(["two are enough"]);
	});

	test("has a new leader 10 to 20 s after the old one fell silent, or later when votes were split", () => {
		const waited: number[] = [];
		for (let seed = 1; seed < 20; seed++) {
			const made = group(3, seed);
			made.crash(1);
			let ticks = 0;
			while (made.leader === undefined) {
				made.quiet(1);
				ticks++;
			}
			waited.push(ticks);
		}
		expect(Math.min(...waited)).toBeGreaterThanOrEqual(ELECTION_TICKS);
		const inTime = waited.filter((ticks) => ticks <= 2 * ELECTION_TICKS);
		expect(inTime.length).toBeGreaterThan(waited.length / 2);
	});

	test("a leader that hears no majority steps down within an election's time", () => {
		const made = group(3);
		made.crash(2);
		made.crash(3);
		made.quiet(2 * ELECTION_TICKS);
		expect(made.leader).toBeUndefined();
		expect(made.peer(1).raft.leader).toBeUndefined();
	});

	test("a member that was cut off does not unseat the leader when it is back", () => {
		const made = group(3);
		made.cut.add(3);
		made.quiet(60);
		expect(made.peer(3).raft.term).toBeGreaterThan(made.peer(1).raft.term);
		made.cut.clear();
		made.quiet(30);
		const { leader } = made;
		expect(leader).toBeDefined();
		expect(made.peer(3).raft.leader).toBe(leader);
	});

	test("a leader hands over at once when it wants to go", () => {
		const made = group(3);
		made.do(1, (raft) => {
			raft.transferTo(2);
		});
		made.deliverAll();
		expect(made.leader).toBe(2);
		expect(made.peer(1).raft.leader).toBe(2);
	});

	test("who comes late gets a snapshot in the place of entries that are gone", () => {
		const made = group(2);
		for (const data of ["a", "b", "c"]) made.do(1, (raft) => void raft.propose(data));
		made.deliverAll();
		made.do(1, (raft) => {
			raft.compact(["a", "b", "c"]);
		});
		expect(made.peer(1).raft.log.entries).toEqual([]);
		made.add(3);
		made.quiet(3);
		made.do(1, (raft) => void raft.propose("d"));
		made.quiet(2);
		expect(made.peer(3).state).toEqual(["a", "b", "c", "d"]);
		expect(made.peer(3).applied.has(2)).toBe(false);
		made.crash(1);
		made.restart(1);
		made.quiet(30);
		expect(made.peer(3).raft.members.map(({ raftId }) => raftId)).toEqual([1, 2, 3]);
	});

	test("a snapshot that comes late takes no entries from who said that it has them", () => {
		const made = group(3);
		made.cut.add(3);
		made.do(1, (raft) => void raft.propose("a"));
		made.deliverAll();
		// The entry of "b" is on its way when the leader puts a snapshot in the place of that of "a".
		made.do(1, (raft) => void raft.propose("b"));
		made.cut.clear();
		made.do(1, (raft) => {
			raft.tick();
		});
		const { log } = made.peer(1).raft;
		made.do(3, (raft) => {
			const [a, b] = log.entries.slice(-2);
			if (a === undefined || b === undefined) throw new Error("two entries are in the log");
			const { term } = made.peer(1).raft;
			const before = { prevIndex: a.index - 1, prevTerm: log.termAt(a.index - 1) ?? 0, commit: 0 };
			raft.step({ kind: "append", from: 1, to: 3, term, entries: [a, b], ...before });
		});
		made.do(1, (raft) => {
			raft.compact(["a"]);
		});
		const { snapshot } = log;
		if (snapshot === undefined) throw new Error("the leader has a snapshot");
		made.do(3, (raft) => {
			raft.step({ kind: "snapshot", from: 1, to: 3, term: raft.term, snapshot });
		});
		expect(made.peer(3).raft.log.lastIndex).toBe(log.lastIndex);
		made.quiet(5);
		expect(made.peer(3).state).toEqual(["a", "b"]);
	});

	test("who was removed leads no more and may not come back by its number", () => {
		const made = group(3);
		made.do(1, (raft) => void raft.proposeMember("remove", member(1)));
		made.quiet(3);
		expect(made.peer(1).raft.role).toBe("follower");
		made.quiet(25);
		expect([2, 3]).toContain(made.leader);
		made.do(made.leader ?? 0, (raft) => void raft.proposeMember("add", member(1)));
		made.quiet(3);
		expect(made.peer(2).raft.members.map(({ raftId }) => raftId)).toEqual([2, 3]);
	});

	const event = fc.oneof(
		{ weight: 40, arbitrary: fc.record({ do: fc.constant("deliver" as const), n: fc.nat(30) }) },
		{ weight: 20, arbitrary: fc.record({ do: fc.constant("tick" as const), n: fc.nat(4) }) },
		{ weight: 4, arbitrary: fc.record({ do: fc.constant("ticks" as const), n: fc.nat(4) }) },
		{ weight: 6, arbitrary: fc.record({ do: fc.constant("lose" as const), n: fc.nat(30) }) },
		{ weight: 4, arbitrary: fc.record({ do: fc.constant("twice" as const), n: fc.nat(30) }) },
		{ weight: 12, arbitrary: fc.record({ do: fc.constant("propose" as const), n: fc.nat(4) }) },
		{ weight: 4, arbitrary: fc.record({ do: fc.constant("crash" as const), n: fc.nat(4) }) },
		{ weight: 6, arbitrary: fc.record({ do: fc.constant("restart" as const), n: fc.nat(4) }) },
		{ weight: 3, arbitrary: fc.record({ do: fc.constant("cut" as const), n: fc.nat(4) }) },
		{ weight: 3, arbitrary: fc.record({ do: fc.constant("heal" as const), n: fc.nat(4) }) },
		{ weight: 2, arbitrary: fc.record({ do: fc.constant("compact" as const), n: fc.nat(4) }) },
		{ weight: 2, arbitrary: fc.record({ do: fc.constant("add" as const), n: fc.constant(4) }) },
		{ weight: 1, arbitrary: fc.record({ do: fc.constant("remove" as const), n: fc.nat(2) }) },
		{ weight: 2, arbitrary: fc.record({ do: fc.constant("transfer" as const), n: fc.nat(4) }) },
	);

	test("never agrees on two different logs, whatever is lost, cut, doubled, crashed or changed; and agrees again when all is well", () => {
		fc.assert(
			fc.property(
				fc.nat(1000),
				fc.array(event, { minLength: 50, maxLength: 300, size: "max" }),
				(seed, events) => {
					const made = group(4, seed);
					let count = 0;
					for (const { do: what, n } of events) {
						const id = (n % 5) + 1;
						const peer = made.peers.get(id);
						if (what === "deliver") made.deliver(n);
						else if (what === "lose") made.wire.splice(n % Math.max(1, made.wire.length), 1);
						else if (what === "twice") {
							const message = made.wire[n % Math.max(1, made.wire.length)];
							if (message !== undefined) made.wire.push(structuredClone(message));
						} else if (what === "tick")
							made.do(id, (raft) => {
								raft.tick();
							});
						else if (what === "ticks")
							for (let i = 0; i < 12; i++)
								made.do(id, (raft) => {
									raft.tick();
								});
						else if (what === "propose") made.do(id, (raft) => void raft.propose(`entry ${String(++count)}`));
						else if (what === "cut") made.cut.add(id);
						else if (what === "heal") made.cut.clear();
						else if (what === "add") made.add(id);
						else if (peer === undefined) continue;
						else if (what === "crash") made.crash(id);
						else if (what === "restart") made.restart(id);
						else if (what === "compact")
							made.do(id, (raft) => {
								raft.compact([...peer.state]);
							});
						else if (what === "remove")
							made.do(made.leader ?? 0, (raft) => void raft.proposeMember("remove", member(id)));
						else
							made.do(id, (raft) => {
								raft.transferTo(n + 1);
							});
					}
					made.cut.clear();
					for (const id of made.peers.keys()) made.restart(id);
					made.quiet(300);
					const { leader } = made;
					if (leader === undefined) throw new Error("nobody leads though all is well");
					made.do(leader, (raft) => {
						if (!raft.propose("the last")) throw new Error("the leader takes nothing");
					});
					made.quiet(5);
					for (const { raftId } of made.peer(leader).raft.members) {
						expect(made.peer(raftId).state).toEqual(made.peer(leader).state);
					}
					expect(made.peer(leader).state.at(-1)).toBe("the last");
				},
			),
			{ numRuns: 150, endOnFailure: true },
		);
	}, 60_000);
});
