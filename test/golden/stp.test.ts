import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";
import { Comparison, recording } from "../support/golden.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { dissectColumns, expectCleanInWireshark } from "../support/wireshark.ts";

// k3-bridge J: s1, s2 and s3 in a ring, all with STP, s1 the root; after 37 seconds its link to s2 is cut.
const START = 1795454860;

async function replay() {
	// The ticks of the recorded machine: whole seconds of its clock and the slots of its timer wheel.
	const lab = new Lab({ uptime: "3.511s" });
	const [s1, s2, s3] = ["s1", "s2", "s3"].map((name) => lab.netns(name)) as [Ns, Ns, Ns];
	const veths = [
		[s1, "r2", "02:00:00:00:e1:02", s2, "l1", "02:00:00:00:f2:01"],
		[s2, "r3", "02:00:00:00:e2:03", s3, "l2", "02:00:00:00:f3:02"],
		[s3, "r1", "02:00:00:00:e3:01", s1, "l3", "02:00:00:00:f1:03"],
	] as const;
	for (const [a, aName, aMac, b, bName, bMac] of veths) {
		const ends = lab.veth({ ns: a, name: aName, mac: aMac }, { ns: b, name: bName, mac: bMac });
		for (const end of ends) end.up();
	}
	const capture = lab.capture();
	const bridges = [s1, s2, s3].map((ns, i) => {
		const br0 = ns.addBridge("br0", { mac: `02:00:00:00:0${String(i + 1)}:00`, stp: true });
		for (const name of ["l1", "l2", "l3", "r1", "r2", "r3"]) {
			if (ns.hasDevice(name)) br0.attach(ns.device(name));
		}
		return br0;
	});
	bridges[0]!.set({ priority: 4096 });
	const dumps: Record<string, string> = {};
	await atInstants(
		lab,
		START,
		[
			[1795454867.11, () => bridges[0]!.up()],
			[1795454867.3, () => bridges[1]!.up()],
			[1795454867.5, () => bridges[2]!.up()],
			[1795454904.21, () => (dumps["s1"] = s1.brctl.showStp("br0") + s1.brctl.showMacs("br0"))],
			[1795454904.987, () => (dumps["s2"] = s2.brctl.showStp("br0") + s2.brctl.showMacs("br0"))],
			[1795454905.53, () => (dumps["s3"] = s3.brctl.showStp("br0") + s3.brctl.showMacs("br0"))],
			[1795454906.41, () => s1.device("r2").down()],
			[1795454941.27, () => (dumps["s2, cut"] = s2.brctl.showStp("br0"))],
		],
		1795454942,
	);
	return { capture, dumps };
}

/** What `brctl` printed there. */
function printed(command: string, exact: boolean): string {
	const lines = readFileSync(new URL("k3-bridge/commands.log", import.meta.url), "utf8").split("\n");
	const at = lines.findLastIndex((line) => (exact ? line === command : line.startsWith(command)));
	const end = lines.findIndex((line, i) => i > at && (line.startsWith("[") || line.startsWith("##")));
	return lines
		.slice(at + 1, end)
		.map((line) => `${line}\n`)
		.join("");
}

type Ns = ReturnType<Lab["netns"]>;

describe("three bridges in a ring break it as Linux does", () => {
	const run = replay();

	test("Wireshark finds nothing wrong in the whole capture, and reads BPDUs as such", async () => {
		const { capture } = await run;
		const file = capture.toPcapng();
		await expectCleanInWireshark(file);
		const bpdus = await dissectColumns(file, "stp");
		expect(bpdus).toHaveLength(capture.log.size);
		const kinds = new Set(bpdus.map(({ info }) => info.replace(/ +(Root|Cost) = .*/, "")));
		expect(kinds).toEqual(new Set(["Conf.", "Conf. TC +", "Topology Change Notification"]));
	});

	test.each([
		["s1-l3", 942, [32]],
		["s1-r2", 906.41, []],
		["s2-r3", 942, [36, 37, 38]],
	])(
		"%s: hellos, the notification of change, the way round when the link is cut",
		async (name, end, late) => {
			const { capture } = await run;
			// The recorded machine was up to a quarter of a second late with hellos.
			const why =
				"one hello, at 926.757, came to lie where round_jiffies turns: the next messages waited a second more";
			const comparison = new Comparison({ time: 0.26 });
			const recorded = recording(`k3-bridge/J-${name}`);
			const ours = emulated(capture, name.replace("-", ":"), 8, end - (START % 1000));
			expect(
				comparison.differences(
					name,
					recorded,
					ours,
					START,
					late.map((frame) => ({ frame, absolute: 1020, why })),
				),
			).toEqual([]);
		},
	);

	test.each([
		["s1", "brctl showstp br0; brctl showmacs br0"],
		["s2", "brctl showstp br0; brctl showmacs br0"],
		["s3", "brctl showstp br0; brctl showmacs br0"],
		["s2, cut", "brctl showstp br0"],
	])("%s: brctl shows the tree and its timers as there", async (name, command) => {
		const { dumps } = await run;
		const there = printed(`[${name.slice(0, 2)}]# ${command}`, name.endsWith("cut"));
		const timer = /\d+\.\d\d/g;
		const [ours, theirs] = [dumps[name] ?? "", there].map((text) => text.match(timer)?.map(Number) ?? []);
		// Timers that run, to a fifth of a second: the commands took their time. All else to the letter.
		expect((dumps[name] ?? "").replace(timer, "#.##")).toBe(there.replace(timer, "#.##"));
		for (const [i, seconds] of (theirs ?? []).entries()) {
			expect(Math.abs(seconds - (ours?.[i] ?? Infinity))).toBeLessThan(0.2);
		}
	});
});
