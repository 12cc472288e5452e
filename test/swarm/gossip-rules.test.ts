import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Rng, Scheduler, seconds } from "../../src/sim/index.ts";
import { primaryFirst } from "../../src/swarm/index.ts";
import { BroadcastQueue } from "../../src/swarm/gossip/broadcast-queue.ts";
import { LamportClock } from "../../src/swarm/gossip/lamport-clock.ts";
import {
	pushPullInterval,
	retransmitLimit,
	suspicionTerms,
	suspicionTimeout,
} from "../../src/swarm/gossip/scale.ts";
import { Suspicion } from "../../src/swarm/gossip/suspicion.ts";
import { Ticker } from "../../src/swarm/gossip/ticker.ts";

const message = (octets: number, value = 0): Uint8Array => new Uint8Array(octets).fill(value);

describe("broadcasts", () => {
	test("are sent four times in a cluster of up to nine, eight times up to 99, twelve times up to 999", () => {
		expect([1, 9, 10, 99, 100, 999, 1000].map(retransmitLimit)).toEqual([4, 4, 8, 8, 12, 12, 16]);
		const queue = new BroadcastQueue(() => 3);
		let finished = 0;
		queue.add({ message: message(10), finished: () => finished++ });
		const rounds = Array.from({ length: 5 }, () => queue.take(2, 100).length);
		expect([rounds, finished, queue.size]).toEqual([[1, 1, 1, 1, 0], 1, 0]);
	});

	test("go those sent least first, then the longest, then the newest, and only what fits", () => {
		const queue = new BroadcastQueue(() => 3);
		for (const [octets, value] of [
			[10, 1],
			[30, 2],
			[20, 3],
			[20, 4],
		] as const)
			queue.add({ message: message(octets, value) });
		const values = (limit: number) => queue.take(2, limit).map(([value]) => value);
		expect(values(45)).toEqual([2, 1]);
		expect(values(1000)).toEqual([4, 3, 2, 1]);
		expect(values(21)).toEqual([1]);
	});

	test("take the place of older ones about the same, which are finished", () => {
		const queue = new BroadcastQueue(() => 3);
		const finished: string[] = [];
		queue.add({ name: "n", message: message(5, 1), finished: () => finished.push("old") });
		queue.take(2, 100);
		queue.add({ name: "n", message: message(5, 2) });
		expect([queue.size, finished, queue.take(2, 100).map(([value]) => value)]).toEqual([1, ["old"], [2]]);
	});

	test("never exceed the limit, and each is sent as often as it must", () => {
		fc.assert(
			fc.property(
				fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 30 }),
				fc.integer({ min: 60, max: 200 }),
				(lengths, limit) => {
					const queue = new BroadcastQueue(() => 5);
					const sent = new Map<number, number>();
					for (const [i, length] of lengths.entries())
						queue.add({ message: message(length, i), name: String(i) });
					for (let taken = queue.take(3, limit); taken.length > 0; taken = queue.take(3, limit)) {
						expect(taken.reduce((sum, { length }) => sum + length + 3, 0)).toBeLessThanOrEqual(limit);
						for (const [i = -1] of taken) sent.set(i, (sent.get(i) ?? 0) + 1);
					}
					expect([...sent.values()].every((times) => times === 4)).toBe(true);
					expect(sent.size).toBe(lengths.length);
				},
			),
		);
	});
});

describe("time in a cluster", () => {
	test("push/pulls come each 30 s up to 32 nodes, and less often in larger clusters", () => {
		expect([2, 32, 33, 64, 65, 1000].map((nodes) => pushPullInterval(nodes) / 1e9)).toEqual([
			30, 30, 60, 60, 90, 180,
		]);
	});

	test("a suspect is dead after 4 s among three, and after up to 24 s where others could confirm", () => {
		expect(suspicionTerms(3)).toEqual({ shortest: seconds(4), longest: seconds(24), confirmations: 0 });
		const terms = suspicionTerms(10);
		expect([0, 1, 2].map((confirmed) => suspicionTimeout(terms, confirmed) / 1e9)).toEqual([24, 11.381, 4]);
		expect(suspicionTerms(100).shortest).toBe(seconds(8));
	});

	test("a suspicion gets shorter with each other node that shares it, and not twice by the same", () => {
		const scheduler = new Scheduler();
		let died: number | undefined;
		const suspicion = new Suspicion(scheduler, 10, "a", () => (died = scheduler.now));
		expect([suspicion.confirm("a"), suspicion.confirm("b"), suspicion.confirm("b")]).toEqual([
			false,
			true,
			false,
		]);
		scheduler.runUntil(seconds(11));
		expect(died).toBeUndefined();
		expect([suspicion.confirm("c"), suspicion.confirm("d")]).toEqual([true, false]);
		scheduler.runUntil(seconds(11));
		expect(died).toBe(seconds(11));
	});

	test("a ticker keeps its step, sleeps while it is not needed, and keeps one tick that came while it was busy", () => {
		const scheduler = new Scheduler();
		const ticks: number[] = [];
		let needed = true;
		let busy: (() => void) | undefined;
		const ticker = new Ticker({
			clock: scheduler,
			rng: new Rng(1),
			period: seconds(1),
			needed: () => needed,
			action: (done) => {
				ticks.push(Math.floor(scheduler.now / 1e8) / 10);
				if (ticks.length === 2) busy = done;
				else done();
			},
		});
		ticker.start();
		scheduler.runUntil(seconds(4.5));
		busy?.();
		scheduler.runUntil(seconds(5.5));
		expect(ticks).toEqual([1, 2, 4.5, 5]);
		needed = false;
		scheduler.runUntil(seconds(9.3));
		needed = true;
		ticker.wake();
		scheduler.runUntil(seconds(10.5));
		expect(ticks).toEqual([1, 2, 4.5, 5, 6, 10]);
	});

	test("a Lamport clock is past all it has seen", () => {
		const clock = new LamportClock();
		expect(clock.increment()).toBe(1);
		clock.witness(7);
		expect(clock.increment()).toBe(9);
		clock.witness(3);
		expect(clock.time).toBe(9);
		clock.witness(Number.MAX_SAFE_INTEGER);
		expect(Number.isSafeInteger(clock.increment())).toBe(true);
	});
});

test("of three keys by age the middle one is for sending, and comes first", () => {
	const keys = [30, 10, 20].map((lamportTime) => ({ lamportTime, key: message(16, lamportTime) }));
	expect(primaryFirst(keys).map(({ lamportTime }) => lamportTime)).toEqual([20, 10, 30]);
	expect(primaryFirst(keys.slice(0, 1)).map(({ lamportTime }) => lamportTime)).toEqual([30]);
	expect(primaryFirst([])).toEqual([]);
});
