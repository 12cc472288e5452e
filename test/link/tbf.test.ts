import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Lab, NetError, type QdiscOptions, type TbfOptions } from "../../src/index.ts";

/** Two namespaces on a veth pair without latency, `qdisc` at the sender; frames are as long as asked, header included. */
function wire(options?: QdiscOptions) {
	const lab = new Lab({ seed: 1, latency: { veth: "0us" } });
	const [red, blue] = [lab.netns("red"), lab.netns("blue")];
	const [out, into] = lab.veth({ ns: red, name: "eth0" }, { ns: blue, name: "eth0" });
	out.up();
	into.up();
	into.promisc();
	if (options !== undefined) red.tc.add("eth0", options);
	const arrived: { at: number; octets: number; number: number }[] = [];
	blue.packetSocket({ device: into }).onFrame = (bytes) => {
		arrived.push({ at: lab.now, octets: bytes.length, number: bytes[14] ?? 0 });
	};
	const drops: string[] = [];
	lab.onDrop((drop) => {
		if (drop.place === "red:eth0") drops.push(`${drop.reason} (${drop.detail ?? ""})`);
	});
	const socket = red.packetSocket();
	const send = (octets: number, number = 0): void => {
		const frame = new Uint8Array(octets).fill(2, 0, 12);
		frame.set([0x88, 0xb5, number], 12);
		socket.send(frame, out);
	};
	return { lab, red, out, into, send, arrived, drops };
}

/** Nanoseconds of an octet at a rate that divides without rest. */
const perOctet = (megabits: number): number => 8000 / megabits;

describe("a token bucket filter", () => {
	const options: TbfOptions = { rate: "10mbit", burst: 5000, limit: 100_000 };

	test("lets a burst go at once and then frames at the rate, to the nanosecond", async () => {
		const { lab, send, arrived } = wire({ kind: "tbf", ...options });
		await lab.advance("1s");
		const start = lab.now;
		for (let i = 0; i < 10; i++) send(1000, i);
		await lab.advance("1s");
		// Five frames are the burst, the sixth waits for its 1000 octets of tokens, 800 us, and so on.
		expect(arrived.map((each) => each.at - start)).toEqual([
			...new Array<number>(5).fill(0),
			...[1, 2, 3, 4, 5].map((i) => i * 1000 * perOctet(10)),
		]);
		expect(arrived.map((each) => each.number)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
	});

	test("collects tokens while nobody sends, never more than the burst", async () => {
		const { lab, send, arrived } = wire({ kind: "tbf", ...options });
		for (let i = 0; i < 5; i++) send(1000);
		await lab.advance("1.2ms"); // 1500 octets of tokens
		send(1000);
		const after = lab.now;
		send(1000);
		await lab.advance("10s");
		expect(arrived.slice(5).map((each) => each.at - after)).toEqual([0, 500 * perOctet(10)]);
		const later = lab.now;
		for (let i = 0; i < 6; i++) send(1000);
		await lab.advance("1s");
		expect(arrived.slice(7).map((each) => each.at - later)).toEqual([0, 0, 0, 0, 0, 1000 * perOctet(10)]);
	});

	test("drops what the limit has no room for, and what is longer than the burst", async () => {
		const { lab, send, arrived, drops } = wire({ kind: "tbf", rate: "1mbit", burst: 1200, limit: 3000 });
		for (let i = 0; i < 6; i++) send(1000, i);
		send(1201, 9);
		await lab.advance("1s");
		expect(arrived.map((each) => each.number)).toEqual([0, 1, 2, 3]);
		expect(drops).toEqual([
			"qdisc-drop (limit 3000)",
			"qdisc-drop (limit 3000)",
			"qdisc-drop (longer than burst 1200)",
		]);
	});

	test("latency is the limit that lets a frame wait so long", async () => {
		// 1 Mbit/s for 50 ms are 6250 octets, and a burst of 1000 more: seven frames wait.
		const { lab, send, arrived, drops } = wire({ kind: "tbf", rate: "1mbit", burst: 1000, latency: "50ms" });
		const start = lab.now;
		for (let i = 0; i < 10; i++) send(1000, i);
		await lab.advance("1s");
		expect(arrived).toHaveLength(8);
		expect(drops).toHaveLength(2);
		expect((arrived.at(-1)?.at ?? 0) - start).toBe(7 * 1000 * perOctet(1));
	});

	test("peakrate keeps frames apart within a burst", async () => {
		const { lab, send, arrived } = wire({
			kind: "tbf",
			rate: "1mbit",
			burst: 10_000,
			limit: 100_000,
			peakrate: "10mbit",
			mtu: 1000,
		});
		const start = lab.now;
		for (let i = 0; i < 4; i++) send(1000, i);
		await lab.advance("1s");
		expect(arrived.map((each) => each.at - start)).toEqual([0, 1, 2, 3].map((i) => i * 1000 * perOctet(10)));
	});

	test("over any stretch of time no more passes than the burst and what the rate gives in it", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(fc.tuple(fc.integer({ min: 60, max: 1500 }), fc.integer({ min: 0, max: 3000 })), {
					minLength: 1,
					maxLength: 30,
				}),
				fc.integer({ min: 1500, max: 6000 }),
				async (words, burst) => {
					const { lab, send, arrived } = wire({ kind: "tbf", rate: "8mbit", burst, limit: 1_000_000 });
					for (const [i, [octets, pause]] of words.entries()) {
						send(octets, i);
						await lab.advance(`${String(pause)}us`);
					}
					await lab.advance("10s");
					expect(arrived.map((each) => each.number)).toEqual(words.map((_, i) => i));
					for (let from = 0; from < arrived.length; from++) {
						let octets = 0;
						for (const { at, octets: more } of arrived.slice(from)) {
							octets += more;
							// 8 Mbit/s are an octet each microsecond; each frame may be a nanosecond early by rounding.
							const allowed = burst + (at - (arrived[from]?.at ?? 0) + arrived.length) / 1000;
							expect(octets).toBeLessThanOrEqual(allowed);
						}
					}
				},
			),
		);
	});

	test("captures see a frame when it leaves the queue, not when it was sent", async () => {
		const { lab, send } = wire({ kind: "tbf", rate: "1mbit", burst: 1000, limit: 10_000 });
		const capture = lab.capture("red:eth0");
		send(1000);
		send(1000);
		await lab.advance("1s");
		expect(capture.sightings().map((row) => row.time)).toEqual([0, 1000 * perOctet(1)]);
	});

	test("a cable's direction can have one too", async () => {
		const lab = new Lab({ seed: 1, latency: { cable: "0us" } });
		const [a, b] = [lab.host("a"), lab.host("b")];
		const nic = a.addNic("eth0", { address: "10.0.0.1/24" });
		const cable = lab.cable(nic, b.addNic("eth0", { address: "10.0.0.2/24" }));
		await a.netns.ping("10.0.0.2", { count: 1 });
		cable.impair({ kind: "tbf", rate: "1mbit", burst: 1042, limit: 10_000 }, 0);
		const times: number[] = [];
		b.netns.udp({ port: 9 }).handler = () => times.push(lab.now);
		const start = lab.now;
		for (let i = 0; i < 3; i++) a.netns.udp().send(new Uint8Array(1000), { address: "10.0.0.2", port: 9 });
		await lab.advance("1s");
		expect(times.map((at) => at - start)).toEqual([0, 1, 2].map((i) => i * 1042 * perOctet(1)));
		expect(cable.qdisc(0)?.stats).toMatchObject({ sentPackets: 3, sentBytes: 3126, backlogPackets: 0 });
	});
});

describe("tc at a device", () => {
	const tbf = { kind: "tbf", rate: "1mbit", burst: "10kb", latency: "50ms" } as const;

	test("shows what tc shows", () => {
		const { red } = wire();
		expect(red.tc.show("eth0")).toBe("qdisc noqueue 0: root refcnt 2 \n");
		red.tc.add("eth0", tbf);
		expect(red.tc.show("eth0")).toBe("qdisc tbf 8001: root refcnt 2 rate 1Mbit burst 10Kb lat 50ms \n");
		const odd = {
			kind: "tbf",
			rate: "3333kbit",
			burst: 1540,
			limit: 20_000,
			peakrate: "5mbit",
			mtu: 1540,
		} as const;
		red.tc.replace("eth0", odd);
		expect(red.tc.show("eth0")).toBe(
			"qdisc tbf 8001: root refcnt 2 rate 3333Kbit burst 1539b peakrate 5Mbit minburst 1540b lat 44.3ms \n",
		);
		for (const [more, text] of [
			[{ rate: "1gbit", burst: "100kb", latency: "1ms" }, "rate 1Gbit burst 102375b lat 1ms "],
			[{ rate: "9.6kbit", burst: 2000, latency: "3s" }, "rate 9600bit burst 1999b lat 3s "],
			[{ rate: 12_345_678, burst: "1mb", limit: "1200kb" }, "rate 12345Kbit burst 1024Kb lat 117ms "],
			[{ rate: "8bps", burst: 2000, limit: 2000 }, "rate 64bit burst 2000b lat 0us "],
			// Three figures, as C prints them.
			[{ rate: "1gbit", burst: "100kb", latency: "1200s" }, "rate 1Gbit burst 102375b lat 1.2e+03s "],
		] as const) {
			red.tc.replace("eth0", { kind: "tbf", ...more });
			expect(red.tc.show("eth0")).toBe(`qdisc tbf 8001: root refcnt 2 ${text}\n`);
		}
		red.tc.replace("eth0", { kind: "pfifo", handle: "10:", limit: 5 });
		red.tc.add("lo", {
			kind: "netem",
			delay: "100ms",
			jitter: "10ms",
			delayCorrelation: "25%",
			loss: { gemodel: { p: "1%", r: "10%", "1-h": "70%", "1-k": "0.1%" } },
			duplicate: "1%",
			reorder: "25%",
			reorderCorrelation: "50%",
			corrupt: "0.5%",
			rate: "10mbit",
			packetOverhead: 20,
			gap: 5,
			limit: 50,
		});
		expect(red.tc.show()).toBe(
			"qdisc netem 8002: dev lo root refcnt 2 limit 50 delay 100ms  10ms 25%" +
				" loss gemodel p 1% r 10% 1-h 70% 1-k 0.1% duplicate 1% reorder 25% 50% corrupt 0.5%" +
				" rate 10Mbit packetoverhead 20 gap 5\n" +
				"qdisc pfifo 10: dev eth0 root refcnt 2 limit 5p\n",
		);
	});

	test("refuses in tc's words, and changes nothing then", () => {
		const { red } = wire(tbf);
		const before = red.tc.show();
		const refused: readonly (readonly [string, () => unknown])[] = [
			["Error: Exclusivity flag on, cannot modify.", () => red.tc.add("eth0", tbf)],
			["Error: NLM_F_REPLACE needed to override.", () => red.tc.add("eth0", { ...tbf, handle: "2:" })],
			[
				'Error: argument "zz:" is wrong: invalid qdisc ID',
				() => red.tc.replace("eth0", { ...tbf, handle: "zz:" }),
			],
			['Cannot find device "eth9"', () => red.tc.add("eth9", tbf)],
			[
				"Error: Cannot delete qdisc with handle of zero.",
				() => {
					red.tc.del("lo");
				},
			],
			["Error: Qdisc not found. To create specify NLM_F_CREATE flag.", () => red.tc.change("lo", tbf)],
			["Error: Specified qdisc kind is unknown.", () => red.tc.replace("eth0", { kind: "foo" as "pfifo" })],
			['Illegal "loss percent"', () => red.tc.replace("eth0", { kind: "netem", loss: "150%" })],
			[
				'Illegal "loss gemodel p"',
				() => red.tc.replace("eth0", { kind: "netem", loss: { gemodel: { p: "x" } } }),
			],
			['Illegal "loss p13"', () => red.tc.replace("eth0", { kind: "netem", loss: { state: { p13: "x" } } })],
			['Illegal "latency"', () => red.tc.replace("eth0", { kind: "netem", delay: "abc" })],
			['Illegal "rate"', () => red.tc.replace("eth0", { kind: "netem", rate: "abc" })],
			['Illegal "limit"', () => red.tc.replace("eth0", { kind: "netem", limit: NaN })],
			[
				"reordering not possible without specifying some delay",
				() => red.tc.replace("eth0", { kind: "netem", reorder: "25%" }),
			],
			["gap specified without reorder probability", () => red.tc.replace("eth0", { kind: "netem", gap: 3 })],
			[
				"distribution specified but no latency and jitter values",
				() => red.tc.replace("eth0", { kind: "netem", delay: "1ms", distribution: "normal" }),
			],
			['tbf: illegal value for "rate": "abc"', () => red.tc.replace("eth0", { ...tbf, rate: "abc" })],
			['tbf: illegal value for "burst": "x"', () => red.tc.replace("eth0", { ...tbf, burst: "x" })],
			[
				'tbf: either "limit" or "latency" is required.',
				() => red.tc.replace("eth0", { kind: "tbf", rate: "1mbit", burst: "10kb" }),
			],
			[
				'tbf: specifying both "latency" and "limit" is not allowed',
				() => red.tc.replace("eth0", { ...tbf, limit: 100 }),
			],
			[
				'tbf: when "peakrate" is specified, "mtu" must also be specified.',
				() => red.tc.replace("eth0", { ...tbf, peakrate: "2mbit" }),
			],
			[
				"RTNETLINK answers: Invalid argument",
				() => red.tc.replace("eth0", { ...tbf, peakrate: "500kbit", mtu: 1600 }),
			],
			['pfifo: Illegal value for "limit": "x"', () => red.tc.replace("eth0", { kind: "pfifo", limit: "x" })],
		];
		for (const [text, call] of refused) {
			expect(call, text).toThrow(NetError);
			expect(call, text).toThrow(text);
			expect(red.tc.show()).toBe(before);
		}
	});

	test("what waits is dropped with its reason when the queue goes or the device does", async () => {
		for (const end of ["del", "down", "carrier", "replace"] as const) {
			const { lab, red, out, into, send, drops } = wire({ kind: "netem", delay: "1s" });
			send(100);
			await lab.advance("1ms");
			if (end === "del") red.tc.del("eth0");
			if (end === "down") out.down();
			if (end === "carrier") into.down();
			if (end === "replace") red.tc.replace("eth0", tbf);
			expect(drops, end).toEqual(["qdisc-drop (the queue was emptied)"]);
			await lab.advance("2s");
			expect(lab.world.frames.taken).toBe(0);
		}
	});

	test("change lets what waits keep its time", async () => {
		const { lab, red, send, arrived } = wire({ kind: "netem", delay: "100ms" });
		send(100, 1);
		red.tc.change("eth0", { kind: "netem", delay: "10ms" });
		send(100, 2);
		await lab.advance("1s");
		expect(arrived.map(({ number, at }) => [number, at])).toEqual([
			[2, 10e6],
			[1, 100e6],
		]);
	});
});
