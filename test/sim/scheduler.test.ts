import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Scheduler, Timer } from "../../src/sim/index.ts";

type Step =
	| { readonly kind: "lane"; readonly delay: number }
	| { readonly kind: "timer"; readonly delay: number; readonly timer: number }
	| { readonly kind: "cancel"; readonly timer: number }
	| { readonly kind: "wire"; readonly delay: number }
	| { readonly kind: "run"; readonly time: number };

const delay = fc.oneof(
	fc.nat({ max: 3 }),
	fc.nat({ max: 100_000 }),
	fc.nat({ max: 5e9 }),
	fc.nat({ max: 8.64e15 }),
	// Where slots of several levels of the wheel begin together.
	fc
		.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }))
		.map(([n, level]) => n * 2 ** (14 + 8 * level)),
);
const step: fc.Arbitrary<Step> = fc.oneof(
	fc.record({ kind: fc.constant("lane" as const), delay: fc.constantFrom(0, 5000, 50_000) }),
	fc.record({ kind: fc.constant("timer" as const), delay, timer: fc.nat({ max: 4 }) }),
	fc.record({ kind: fc.constant("cancel" as const), timer: fc.nat({ max: 4 }) }),
	fc.record({ kind: fc.constant("wire" as const), delay }),
	fc.record({
		kind: fc.constant("run" as const),
		time: fc.oneof(
			fc.nat({ max: 200_000 }),
			fc.nat({ max: 1e10 }),
			fc.integer({ min: 1, max: 600 }).map((n) => n * 2 ** 14),
		),
	}),
);

/** The same by the simplest means: a sorted list. */
class Model {
	now = 0;
	#next = 0;
	entries: { due: number; order: number; name: string }[] = [];
	readonly log: string[] = [];

	add(name: string, wait: number): void {
		this.entries.push({ due: this.now + wait, order: this.#next++, name });
	}

	cancel(name: string): void {
		this.entries = this.entries.filter((entry) => entry.name !== name);
	}

	run(until: number): void {
		for (;;) {
			this.entries.sort((a, b) => a.due - b.due || a.order - b.order);
			const first = this.entries[0];
			if (first === undefined || first.due > until) break;
			this.entries.shift();
			this.now = first.due;
			this.log.push(`${first.name}@${String(first.due)}`);
		}
		this.now = Math.max(this.now, until);
	}
}

describe("the scheduler", () => {
	test("does everything at its exact instant, and what is due together in the order asked", () => {
		fc.assert(
			fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
				const scheduler = new Scheduler();
				const model = new Model();
				const log: string[] = [];
				const sink = {
					deliver: (item: { readonly name: string }) => log.push(`${item.name}@${String(scheduler.now)}`),
				};
				const timers = Array.from(
					{ length: 5 },
					(_, i) => new Timer(() => log.push(`timer${String(i)}@${String(scheduler.now)}`)),
				);
				for (const [i, each] of steps.entries()) {
					switch (each.kind) {
						case "lane":
							scheduler.lane(each.delay).push(sink, { name: String(i) });
							model.add(String(i), each.delay);
							break;
						case "wire":
							scheduler.wire(sink, { name: String(i) }, each.delay);
							model.add(String(i), each.delay);
							break;
						case "timer":
							scheduler.after(each.delay, timers[each.timer]!);
							model.cancel(`timer${String(each.timer)}`);
							model.add(`timer${String(each.timer)}`, each.delay);
							break;
						case "cancel":
							timers[each.timer]!.cancel();
							model.cancel(`timer${String(each.timer)}`);
							break;
						case "run":
							scheduler.runUntil(scheduler.now + each.time);
							model.run(model.now + each.time);
							break;
					}
					expect(scheduler.pending).toBe(model.entries.length);
				}
				while (scheduler.step());
				model.run(1e17);
				expect(log).toEqual(model.log);
				expect(scheduler.idle).toBe(true);
			}),
		);
	});

	test("fires of the timers of one tick the one armed last first, before anything else of that instant", () => {
		const scheduler = new Scheduler();
		const log: string[] = [];
		const timer = (name: string): Timer => new Timer(() => log.push(name));
		scheduler.lane(4_000_000).push({ deliver: () => log.push("frame") }, {});
		scheduler.atTick(4_000_000, timer("first"));
		scheduler.atTick(4_000_000, timer("second"));
		scheduler.runUntil(5_000_000);
		expect(log).toEqual(["second", "first", "frame"]);
	});

	test("makes what waits for one sink ahead of its time, once, and what that brings about in its own time", () => {
		const scheduler = new Scheduler();
		const lane = scheduler.lane(5000);
		const heard: string[] = [];
		const others = {
			deliver: ({ name }: { name: string }) => heard.push(`${name} ${String(scheduler.now)}`),
		};
		const hurried = {
			deliver: ({ name }: { name: string }) => {
				heard.push(`${name} ${String(scheduler.now)}`);
				// More than the ring had room for.
				for (let i = 0; i < 100; i++) lane.push(others, { name: `${name}${String(i)}` });
			},
		};
		lane.push(others, { name: "a" });
		lane.push(hurried, { name: "b" });
		lane.push(others, { name: "c" });
		lane.push(hurried, { name: "d" });
		scheduler.runUntil(1000);
		lane.hurry(hurried);
		expect(heard).toEqual(["b 1000", "d 1000"]);
		scheduler.runUntil(5000);
		expect(heard.slice(2)).toEqual(["a 5000", "c 5000"]);
		scheduler.runUntil(6000);
		expect(heard).toHaveLength(4 + 200);
		expect(heard.filter((each) => /^[bd] /.test(each))).toHaveLength(2);
		expect(scheduler.idle).toBe(true);
	});

	test("refuses the past: time never goes back", () => {
		const scheduler = new Scheduler();
		scheduler.runUntil(10);
		expect(() => {
			scheduler.at(9, new Timer(() => undefined));
		}).toThrow("nothing is asked for in the past");
	});

	test("stops a flood that has no end with the error its owner chose", () => {
		const scheduler = new Scheduler({ maxPending: 1000 });
		scheduler.onOverflow = (pending) => {
			throw new Error(`${String(pending)} wait`);
		};
		const lane = scheduler.lane(5);
		const sink = {
			deliver: () => {
				lane.push(sink, {});
				lane.push(sink, {});
			},
		};
		lane.push(sink, {});
		expect(() => scheduler.run()).toThrow("1024 wait");
	});
});
