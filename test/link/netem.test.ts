import { describe, expect, test } from "vitest";
import { Lab, type NetemOptions } from "../../src/index.ts";

/** Sends `count` datagrams of 1000 octets by a cable with faults; gives the order, times and octets of what arrived. */
async function through(netem: NetemOptions, count: number, gap = "1ms", seed = 1) {
	const lab = new Lab({ seed, latency: { cable: "10us" } });
	const [a, b] = [lab.host("a"), lab.host("b")];
	const [left, right] = [
		a.addNic("eth0", { address: "192.0.2.1/24" }),
		b.addNic("eth0", { address: "192.0.2.2/24" }),
	];
	const cable = lab.cable(left, right);
	await a.netns.ping("192.0.2.2", { count: 1 });
	const reasons = new Map<string, number>();
	lab.onDrop((drop) => reasons.set(drop.reason, (reasons.get(drop.reason) ?? 0) + 1));
	cable.impair(netem, 0);
	const arrived: { number: number; late: number }[] = [];
	const sent: number[] = [];
	b.netns.udp({ port: 9 }).handler = (frame, at) => {
		const number = frame.view.getUint32(at);
		arrived.push({ number, late: (lab.now - (sent[number] ?? 0)) / 1e6 });
	};
	const socket = a.netns.udp();
	for (let i = 0; i < count; i++) {
		const data = new Uint8Array(1000);
		new DataView(data.buffer).setUint32(0, i);
		sent.push(lab.now);
		socket.send(data, { address: "192.0.2.2", port: 9 });
		await lab.advance(gap);
	}
	await lab.advance("20s");
	return { arrived, reasons, left: lab.world.frames.taken };
}

describe("a cable's faults are those of tc-netem", () => {
	test("delay holds every frame back by the same time, in order", async () => {
		const { arrived } = await through({ delay: "20ms" }, 20);
		expect(arrived.map((each) => each.number)).toEqual(Array.from({ length: 20 }, (_, i) => i));
		for (const { late } of arrived) expect(late).toBeCloseTo(20.01, 3);
	});

	test("jitter spreads the delay to both sides and may change the order", async () => {
		const { arrived } = await through({ delay: "20ms", jitter: "5ms" }, 400);
		const late = arrived.map((each) => each.late);
		expect(Math.min(...late)).toBeGreaterThanOrEqual(15);
		expect(Math.max(...late)).toBeLessThanOrEqual(25.02);
		expect(arrived.map((each) => each.number)).not.toEqual(arrived.map((_, i) => i));
	});

	test("loss, duplication and corruption come at their rates, each with its reason", async () => {
		const { arrived, reasons, left } = await through(
			{ loss: "20%", duplicate: 0.1, corrupt: 0.1 },
			3000,
			"100us",
		);
		const lost = reasons.get("netem-loss") ?? 0;
		expect(lost / 3000).toBeGreaterThan(0.17);
		expect(lost / 3000).toBeLessThan(0.23);
		// Of what was sent and doubled, what was neither lost nor spoilt came in.
		const spoilt = [...reasons]
			.filter(([reason]) => reason !== "netem-loss")
			.reduce((sum, [, count]) => sum + count, 0);
		const copies = arrived.length + spoilt + lost - 3000;
		expect(copies / 3000).toBeGreaterThan(0.08);
		expect(copies / 3000).toBeLessThan(0.12);
		expect(spoilt).toBeGreaterThan(200);
		expect(left).toBe(0);
	});

	test("rate lets frames follow each other at their length, and the queue drops what is too much", async () => {
		// 1042 octets at 10 Mbit/s are 833.6 us.
		const { arrived, reasons } = await through({ rate: "10mbit", limit: 10 }, 30, "1us");
		expect(arrived).toHaveLength(10);
		expect(reasons.get("qdisc-drop")).toBe(20);
		for (const [i, each] of arrived.entries())
			expect(each.late).toBeCloseTo(0.01 + (i + 1) * 0.8336 - i * 0.001, 2);
	});

	test("reorder lets some frames past those that are held back", async () => {
		const { arrived } = await through({ delay: "10ms", reorder: "25%" }, 400);
		const past = arrived.filter((each) => each.late < 1).length;
		expect(past / 400).toBeGreaterThan(0.18);
		expect(past / 400).toBeLessThan(0.32);
	});

	test("the same seed gives the same faults, another seed others", async () => {
		const faults: NetemOptions = { loss: "30%", delay: "1ms", jitter: "500us" };
		const [one, two, three] = [
			await through(faults, 200),
			await through(faults, 200),
			await through(faults, 200, "1ms", 2),
		];
		expect(two.arrived).toEqual(one.arrived);
		expect(three.arrived).not.toEqual(one.arrived);
	});

	test("a normal, Pareto or mixed distribution has the mean and deviation that tc's tables have", async () => {
		for (const [distribution, mean, deviation] of [
			// Mean and deviation of iproute2's tables in units of the jitter; Pareto's tail is cut at four.
			["normal", 0, 1],
			["pareto", -0.03, 0.82],
			["paretonormal", -0.03, 0.83],
		] as const) {
			const { arrived } = await through({ delay: "50ms", jitter: "5ms", distribution }, 3000, "100us");
			const late = arrived.map((each) => each.late - 50.01);
			const middle = late.reduce((sum, x) => sum + x, 0) / late.length;
			const spread = Math.sqrt(late.reduce((sum, x) => sum + (x - middle) ** 2, 0) / late.length);
			expect(Math.abs(middle / 5 - mean), distribution).toBeLessThan(0.08);
			expect(Math.abs(spread / 5 - deviation), distribution).toBeLessThan(0.06);
		}
	});

	test("Pareto is never earlier than two thirds of a deviation, and has a long tail", async () => {
		const { arrived } = await through(
			{ delay: "50ms", jitter: "3ms", distribution: "pareto" },
			2000,
			"100us",
		);
		const late = arrived.map((each) => each.late - 50.01);
		expect(Math.min(...late)).toBeGreaterThan(-2.01);
		expect(Math.max(...late)).toBeGreaterThan(9);
		expect(Math.max(...late)).toBeLessThanOrEqual(12.001);
	});

	test("correlation crowds draws around the middle, so that small losses become rare, as netem's users know", async () => {
		const alone = await losses({ loss: "10%" }, 10_000);
		expect(Math.abs(alone.lost - 0.1)).toBeLessThan(0.01);
		expect(Math.abs(alone.bursts - 1 / 0.9)).toBeLessThan(0.05);
		// Of draws that keep 75 % of the last, with deviation sqrt((1 - 0.75) / (1 + 0.75)) of the even one's, few are below 10 %.
		const correlated = await losses({ loss: "10%", lossCorrelation: "75%" }, 10_000);
		expect(correlated.lost).toBeLessThan(0.01);
		const often = await losses({ loss: "40%", lossCorrelation: "75%" }, 10_000);
		// Losses by themselves would follow each other 1 / (1 - share) times.
		expect(often.bursts * (1 - often.lost)).toBeGreaterThan(1.4);
	});

	test("Gilbert and Elliott's model loses what its chain says, in bursts of its length", async () => {
		// Good to bad 2 %, back 25 %; in the bad state all is lost: share p / (p + r), bursts of 1 / r.
		const { lost, bursts } = await losses({ loss: { gemodel: { p: "2%", r: "25%" } } }, 20_000);
		expect(Math.abs(lost - 0.02 / 0.27)).toBeLessThan(0.012);
		expect(Math.abs(bursts - 4)).toBeLessThan(0.5);
		const half = await losses(
			{ loss: { gemodel: { p: "2%", r: "25%", "1-h": "50%", "1-k": "1%" } } },
			20_000,
		);
		expect(Math.abs(half.lost - (0.5 * 0.02 + 0.01 * 0.25) / 0.27)).toBeLessThan(0.012);
	});

	test("the four-state model loses what its chain says", async () => {
		// p13 5 %, p31 20 %, within a burst p32 30 % and p23 60 %, alone p14 1 %. Shares of the states by their balance.
		const [p13, p31, p32, p23, p14] = [0.05, 0.2, 0.3, 0.6, 0.01];
		const losing = p13 / p31;
		const states = 1 + losing + (losing * p32) / p23 + p14;
		const { lost } = await losses({ loss: { state: { p13, p31, p32, p23, p14 } } }, 20_000);
		expect(Math.abs(lost - (losing + p14) / states)).toBeLessThan(0.015);
		// With p13 alone each loss ends its burst with what is left of it.
		const simple = await losses({ loss: { state: { p13: 0.1 } } }, 20_000);
		expect(Math.abs(simple.bursts - 1 / 0.9)).toBeLessThan(0.03);
	});

	test("a frame that is to be doubled and lost goes out once", async () => {
		const { arrived, reasons } = await through({ loss: "100%", duplicate: "100%" }, 20);
		expect(arrived).toHaveLength(20);
		expect(reasons.size).toBe(0);
	});

	test("a gap lets each gap-th frame past and holds the others", async () => {
		const { arrived } = await through({ delay: "10ms", reorder: "100%", gap: 4 }, 40, "1ms");
		expect(arrived.filter((each) => each.late < 1).map((each) => each.number)).toEqual(
			Array.from({ length: 10 }, (_, i) => 4 * i + 3),
		);
	});

	test("rate counts overheads and whole cells", async () => {
		// 1042 octets and 8 more are 22 cells of 48, each with 5 octets of header: 1166 octets, 932.8 us.
		const { arrived } = await through(
			{ rate: "10mbit", packetOverhead: 8, cellSize: 48, cellOverhead: 5 },
			3,
			"10ms",
		);
		for (const { late } of arrived) expect(late).toBeCloseTo(0.01 + 0.9328, 6);
	});

	test("with a rate, what a frame waits for others counts for its delay", async () => {
		// The second frame waits 0.8336 ms for the first, which the 2 ms of delay contain: it follows at once behind it.
		const { arrived } = await through({ delay: "2ms", rate: "10mbit" }, 3, "1us");
		expect(arrived.map((each) => each.late)).toEqual(
			[1, 2, 3].map((i) => expect.closeTo(0.01 + 2 + i * 0.8336 - (i - 1) * 0.001, 6) as number),
		);
	});
});

/** The share of frames lost, and how many were lost in a row on average. */
async function losses(netem: NetemOptions, count: number): Promise<{ lost: number; bursts: number }> {
	const { arrived } = await through(netem, count, "10us");
	const came = new Set(arrived.map((each) => each.number));
	let bursts = 0;
	for (let i = 0; i < count; i++) if (!came.has(i) && (i === 0 || came.has(i - 1))) bursts++;
	return { lost: 1 - came.size / count, bursts: (count - came.size) / bursts };
}
