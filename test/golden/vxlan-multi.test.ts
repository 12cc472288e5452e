import { describe, expect, test } from "vitest";
import { Lab, type Netns } from "../../src/index.ts";
import type { VxlanOptions } from "../../src/link/index.ts";
import type { Capture } from "../../src/observe/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { Comparison, recording, type TimedFrame } from "../support/golden.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// k2-vxlan-multi: u1..u3 192.0.2.N on one bridge, vx0 VNI 42 and 10.9.0.N on each. One lab per case, at the recorded instants.

/** Where the recorded machine's ticks stand at an instant: its uptime modulo 256 ms. */
const uptime = (start: number): string =>
	`${(256 + ((0.1263 + (start - 1_795_455_385)) % 0.256)).toFixed(6)}s`;

function underlay(start: number, seed: number) {
	const lab = new Lab({ seed, uptime: uptime(start) });
	const sw = lab.netns("sw");
	const br0 = sw.addBridge("br0");
	const hosts = [1, 2, 3].map((n) => {
		const ns = lab.netns(`u${String(n)}`);
		const [eth0, port] = lab.veth(
			{ ns, name: "eth0", mac: `02:00:00:00:a0:0${String(n)}` },
			{ ns: sw, name: `p${String(n)}` },
		);
		br0.attach(port);
		port.up();
		eth0.addAddress(`192.0.2.${String(n)}/24`);
		eth0.up();
		return ns;
	});
	br0.up();
	const [u1, u2, u3] = hosts as [Netns, Netns, Netns];
	return { lab, u1, u2, u3, hosts };
}

function addVx(ns: Netns, options: Partial<VxlanOptions> = {}): void {
	const n = ns.name.slice(1);
	const vx = ns.addVxlan("vx0", {
		vni: 42,
		local: `192.0.2.${n}`,
		mac: `02:00:00:00:b0:0${n}`,
		...options,
	});
	vx.addAddress(`10.9.0.${n}/24`);
	vx.up();
}

const fdb = (ns: Netns): string[] =>
	ns
		.vxlan("vx0")
		.fdbShow()
		.map((line) => line.text);

/** Where the captures of a case lie, and in which interface of ours. */
const INTERFACES = [
	["underlay-br0", "sw:br0"],
	["u1-eth0", "u1:eth0"],
	["u1-vx0", "u1:vx0"],
	["u3-eth0", "u3:eth0"],
	["u3-vx0", "u3:vx0"],
] as const;

/**
 * The differences on all interfaces of a case. From `race` on two machines probe each other at the same tick, and who
 * is first is up to their processors: there each sender's frames are compared on their own.
 */
function differences(
	name: string,
	capture: Capture,
	start: number,
	{ from = 0, race = Infinity }: { readonly from?: number; readonly race?: number } = {},
): string[] {
	const comparison = new Comparison({ time: 0.06 });
	return INTERFACES.flatMap(([file, place]) => {
		const recorded = recording(`k2-vxlan-multi/${name}-${file}`);
		const ours = emulated(capture, place, from);
		const before = comparison.differences(
			file,
			recorded.filter(({ time }) => time < start + race),
			ours.filter(({ time }) => time < race),
			start,
		);
		const senders = new Set(recorded.map(sender));
		const after = [...senders].flatMap((mac) =>
			comparison.differences(
				`${file} from ${mac}`,
				recorded.filter((frame) => frame.time >= start + race && sender(frame) === mac),
				ours.filter((frame) => frame.time >= race && sender(frame) === mac),
				start,
			),
		);
		return [...before, ...after];
	});
}

const sender = ({ data }: TimedFrame): string => String(dissect(data)[0]?.fields[1]?.text);

async function replayA(seed = 1) {
	const START = 1_795_455_634;
	const { lab, u1, u2, u3 } = underlay(START, seed);
	const capture = lab.capture();
	const group = { group: "239.1.1.1", dev: "eth0" };
	const fdbs: string[][] = [];
	await atInstants(
		lab,
		START,
		[
			[
				1_795_455_634.132,
				() => {
					addVx(u1, group);
				},
			],
			[
				1_795_455_637.168,
				() => {
					addVx(u2, group);
				},
			],
			[
				1_795_455_640.14,
				() => {
					addVx(u3, group);
				},
			],
			[1_795_455_653.6787, () => void u1.ping("10.9.0.2", { count: 2, interval: 300 })],
			[1_795_455_654.0684, () => void u1.ping("10.9.0.99", { count: 1, timeout: "1s" })],
			[1_795_455_657.5, () => fdbs.push(fdb(u1), fdb(u2), fdb(u3))],
		],
		1_795_455_661,
	);
	return { capture, fdbs, u1, START };
}

describe("A: a multicast group", () => {
	test("Wireshark finds nothing wrong in the whole capture", async () => {
		const { capture } = await replayA();
		await expectCleanInWireshark(capture.toPcapng());
	});

	test("joining is reported twice within a second, by IGMPv3 with router alert", async () => {
		const { capture, START } = await replayA();
		const ours = emulated(capture, "u1:eth0", 0, 19);
		// The second report comes at random.
		expect(
			new Comparison({ time: 1 }).differences(
				"join",
				recording("k2-vxlan-multi/A-mcast-join-u1-eth0"),
				ours,
				START,
			),
		).toEqual([]);
	});

	test("the outer packet goes to the group with TTL 1, what was learned goes to one VTEP with TTL 64", async () => {
		const { capture, START } = await replayA();
		expect(differences("A-mcast", capture, START, { from: 19, race: 24.7 })).toEqual([]);
	});

	test("bridge fdb shows the group via its device, and who was heard", async () => {
		const { fdbs, u1 } = await replayA();
		const group = "00:00:00:00:00:00 dst 239.1.1.1 via eth0 self permanent";
		const heard = "02:00:00:00:b0:01 dst 192.0.2.1 self ";
		expect(fdbs).toEqual([
			[group, "02:00:00:00:b0:02 dst 192.0.2.2 self "],
			[group, heard],
			[group, heard],
		]);
		expect(u1.device("vx0").mtu).toBe(1450);
	});
});
