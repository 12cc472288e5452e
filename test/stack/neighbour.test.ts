import { describe, expect, test } from "vitest";
import { type Mac, toIp4 } from "../../src/addr/index.ts";
import { Lab } from "../../src/index.ts";
import { seconds } from "../../src/sim/index.ts";
import {
	type NeighbourEvent,
	type NeighbourFacts,
	type NeighbourTimes,
	type NudState,
	step,
} from "../../src/stack/index.ts";

const mac = 0x0242_0a00_0001 as Mac;
const other = 0x0242_0a00_0002 as Mac;
const now = seconds(100);
const times: NeighbourTimes = {
	reachable: seconds(30),
	baseReachable: seconds(30),
	retrans: seconds(1),
	delayFirstProbe: seconds(5),
	ucastSolicit: 3,
	mcastSolicit: 3,
};
const at = (state: NudState, more: Partial<NeighbourFacts> = {}): NeighbourFacts => ({
	state,
	mac: state === "none" || state === "incomplete" || state === "failed" ? undefined : mac,
	probes: 0,
	confirmed: now - seconds(60),
	used: now - seconds(60),
	updated: now - seconds(60),
	...more,
});
const heard = (as: "reachable" | "stale", from: Mac = mac, override = true): NeighbourEvent => ({
	kind: "heard",
	mac: from,
	as,
	override,
});
const wanted: NeighbourEvent = { kind: "wanted" };
const timer: NeighbourEvent = { kind: "timer" };

// What is missing from the table is missing from the machine.
describe("a neighbour entry (net/core/neighbour.c)", () => {
	test.each<readonly [NeighbourFacts, NeighbourEvent, NudState, readonly string[]]>([
		// from                                      event                      to             effects
		[at("none"), wanted, "incomplete", ["wake", "ask"]],
		[at("failed"), wanted, "incomplete", ["wake", "ask"]],
		[at("incomplete", { probes: 4 }), wanted, "incomplete", []],
		[at("reachable"), wanted, "reachable", []],
		[at("stale"), wanted, "delay", ["wake"]],
		[at("delay"), wanted, "delay", []],
		[at("probe"), wanted, "probe", []],
		[at("permanent"), wanted, "permanent", []],
		[at("incomplete", { probes: 4 }), timer, "incomplete", ["wake", "ask"]],
		[at("incomplete", { probes: 6 }), timer, "failed", ["rest", "give-up"]],
		[at("reachable", { confirmed: now - seconds(10) }), timer, "reachable", ["wake"]],
		[at("reachable"), timer, "stale", ["rest"]],
		[at("reachable", { used: now - seconds(1) }), timer, "delay", ["wake"]],
		[at("delay"), timer, "probe", ["wake", "ask"]],
		[at("delay", { confirmed: now - seconds(2) }), timer, "reachable", ["wake"]],
		[at("probe", { probes: 2 }), timer, "probe", ["wake", "ask"]],
		[at("probe", { probes: 3 }), timer, "failed", ["rest", "give-up"]],
		[at("stale"), timer, "stale", []],
		[at("none"), heard("stale"), "stale", ["rest", "release"]],
		[at("incomplete"), heard("reachable"), "reachable", ["wake", "release"]],
		[at("incomplete"), heard("stale"), "stale", ["rest", "release"]],
		[at("reachable"), heard("stale"), "reachable", []],
		[at("reachable"), heard("stale", other), "stale", ["rest"]],
		[at("reachable"), heard("stale", other, false), "reachable", []],
		[at("stale"), heard("reachable"), "reachable", ["wake"]],
		[at("delay"), heard("reachable"), "reachable", ["wake"]],
		[at("probe"), heard("reachable"), "reachable", ["wake"]],
		[at("delay"), heard("stale"), "delay", []],
		[at("permanent"), heard("reachable", other), "permanent", []],
		[at("noarp"), heard("stale", other), "noarp", []],
		[at("failed"), heard("reachable"), "reachable", ["wake", "release"]],
		[at("none"), { kind: "set", mac, state: "permanent" }, "permanent", ["rest", "release"]],
		[at("incomplete"), { kind: "set", mac: undefined, state: "failed" }, "failed", ["rest", "give-up"]],
	])("%j on %j is %s with %j", (from, event, to, effects) => {
		const [facts, done] = step(from, event, times, now);
		expect([facts.state, done.map((effect) => effect.kind)]).toEqual([to, effects]);
	});

	test("asks everyone three times for an unknown address, and only it when it is only to be confirmed", () => {
		const [asked, first] = step(at("none"), wanted, times, now);
		expect(first).toContainEqual({ kind: "ask", to: undefined });
		expect(asked.probes).toBe(4);
		const [, confirm] = step(at("delay"), timer, times, now);
		expect(confirm).toContainEqual({ kind: "ask", to: mac });
	});

	test("a new address that nobody confirmed is not believed to be fresh", () => {
		const [facts] = step(at("reachable"), heard("stale", other), times, now);
		expect(facts).toMatchObject({ mac: other, confirmed: now - 2 * times.baseReachable });
	});
});

describe("a neighbour that TCP hears from", () => {
	/** How often it is asked for while it answers every three seconds, two minutes long. */
	async function asked(answersOf: "tcp" | "udp"): Promise<number> {
		const lab = new Lab({ seed: 1 });
		const [a, b] = [lab.netns("a"), lab.netns("b")];
		const [x, y] = lab.veth({ ns: a, name: "eth0" }, { ns: b, name: "eth0" });
		x.addAddress("10.0.0.1/24");
		y.addAddress("10.0.0.2/24");
		for (const device of [x, y]) device.up();
		let requests = 0;
		b.packetSocket().onFrame = (bytes) => {
			const isRequest = bytes[12] === 0x08 && bytes[13] === 0x06 && bytes[21] === 1;
			if (isRequest) requests++;
		};
		b.tcp.listen({ port: 80 });
		const socket = a.tcp.connect({ address: toIp4("10.0.0.2", "address"), port: 80 });
		const datagrams = a.udp({ port: 5000 });
		const echo = b.udp({ port: 80 });
		echo.handler = (_frame, _at, _octets, address, port) => {
			echo.send(Uint8Array.of(1), { address, port });
		};
		await lab.advance("1s");
		for (let i = 0; i < 40; i++) {
			if (answersOf === "tcp") socket.write(Uint8Array.of(1));
			else datagrams.send(Uint8Array.of(1), { address: "10.0.0.2", port: 80 });
			await lab.advance("3s");
		}
		return requests;
	}

	test("is not asked for again while it acknowledges (MSG_CONFIRM); datagrams say nothing of the way back", async () => {
		expect(await asked("tcp")).toBe(1);
		expect(await asked("udp")).toBeGreaterThan(1);
	});
});
