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
});
