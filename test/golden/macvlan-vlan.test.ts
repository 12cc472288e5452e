import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";
import type { Device, IpvlanMode, MacvlanMode, VlanOptions } from "../../src/link/index.ts";
import type { Capture } from "../../src/observe/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { Comparison, has, recording } from "../support/golden.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { dissectColumns, expectCleanInWireshark } from "../support/wireshark.ts";

// k5-macvlan-vlan: m:eth0 10.7.0.1 and x:eth0 10.7.0.2 on the bridge of sw; a 10.7.0.11 and b 10.7.0.12 are
// children of m:eth0, one kind of child after the other.
const BASE = 1_795_455_000;
const START = BASE + 290;
const X = "02:00:00:00:0a:02";

/** When each capture ran, and on which devices. */
const RUNS = {
	"bridge-hairpin_off": [294, 298, "a b parent x"],
	"private-hairpin_off": [304.9, 310, "a b parent x"],
	"vepa-hairpin_off": [316.8, 322.5, "a b parent x"],
	"passthru-hairpin_off": [333.35, 339.5, "a parent x"],
	"ipvlan-l2": [344.5, 347.2, "a b parent"],
	"ipvlan-l3": [351.75, 355.6, "a b parent"],
} as const;
const PLACES: Readonly<Record<string, string>> = {
	a: "a:eth0",
	b: "b:eth0",
	parent: "m:eth0",
	x: "x:eth0",
};

/** The recorded x sent its probe in the vepa run 64 ms after its tick. */
const PROBE_LATE = 0.07;

async function replay(): Promise<Capture> {
	const lab = new Lab({ seed: 1, uptime: "256.1023s" });
	const [m, sw, x, a, b] = [lab.netns("m"), lab.netns("sw"), lab.netns("x"), lab.netns("a"), lab.netns("b")];
	const [mEth, p1] = lab.veth({ ns: m, name: "eth0", mac: "02:00:00:00:0a:01" }, { ns: sw, name: "p1" });
	const [xEth, p2] = lab.veth({ ns: x, name: "eth0", mac: X }, { ns: sw, name: "p2" });
	const br0 = sw.addBridge("br0");
	const port = br0.attach(p1);
	br0.attach(p2);
	for (const device of [br0, p1, p2, mEth, xEth]) device.up();
	mEth.addAddress("10.7.0.1/24");
	xEth.addAddress("10.7.0.2/24");
	const capture = lab.capture();

	let children: Device[] = [];
	const remove = (): void => {
		for (const child of children) child.delete();
		children = [];
	};
	const settle = (child: Device, ns: typeof a, address: string): void => {
		m.move(child, ns, "eth0");
		child.up();
		child.addAddress(address);
		children.push(child);
	};
	const macvlan = (mode: MacvlanMode) => (): void => {
		settle(m.addMacvlan("eth0", "mv0", { mode, mac: "02:00:00:00:0b:01" }), a, "10.7.0.11/24");
		if (mode !== "passthru")
			settle(m.addMacvlan("eth0", "mv1", { mode, mac: "02:00:00:00:0b:02" }), b, "10.7.0.12/24");
	};
	const ipvlan = (mode: IpvlanMode) => (): void => {
		settle(m.addIpvlan("eth0", "iv0", { mode }), a, "10.7.0.11/24");
		settle(m.addIpvlan("eth0", "iv1", { mode }), b, "10.7.0.12/24");
	};
	const flush = (): void => {
		for (const ns of [a, b, m, x]) ns.neigh.flush();
	};
	const ping = (ns: typeof a, address: string) => (): void =>
		void ns.ping(address, { count: 1, timeout: "1s" }).catch(() => undefined);
	/** Each run began with empty neighbour tables, then a pinged x, b and m; m and x pinged a. */
	const run = (toX: number, toB: number, toM: number, fromM: number | null, fromX: number): Command[] => [
		[BASE + toX - 0.3, flush],
		[BASE + toX, ping(a, "10.7.0.2")],
		[BASE + toB, ping(a, "10.7.0.12")],
		[BASE + toM, ping(a, "10.7.0.1")],
		...(fromM === null ? [] : [[BASE + fromM, ping(m, "10.7.0.11")] as const]),
		[BASE + fromX, ping(x, "10.7.0.11")],
	];
	await atInstants(
		lab,
		START,
		[
			[START, macvlan("bridge")],
			...run(294.13895, 294.25663, 294.36681, 295.65114, 296.86615),
			[BASE + 299, remove],
			[BASE + 303, macvlan("private")],
			...run(305.01257, 305.20699, 306.32056, 307.64856, 308.93451),
			[BASE + 310, remove],
			[BASE + 314, macvlan("vepa")],
			// A tick begins at 316.8977, which the recorded jiffies had not counted yet at 316.8988.
			...run(316.889, 317.01537, 318.19132, 319.61653, 320.99175),
			[BASE + 323, () => (port.flags.hairpin = true)],
			...run(328.35, 328.47, 328.59, 329.1, 329.6),
			[BASE + 331, remove],
			[BASE + 331, () => (port.flags.hairpin = false)],
			[BASE + 332.5, macvlan("passthru")],
			...run(334.59244, 334.71633, 335.78674, 337.08699, 338.33919),
			[BASE + 340, remove],
			[BASE + 342, ipvlan("l2")],
			...run(344.59169, 344.69903, 344.84348, null, 346.324),
			[BASE + 348, remove],
			[BASE + 350.5, ipvlan("l3")],
			[BASE + 352, () => x.routes.add("10.7.0.11/32", { via: "10.7.0.1" })],
			[BASE + 352, () => x.routes.add("10.7.0.12/32", { via: "10.7.0.1" })],
			...run(352.91768, 353.06903, 353.17411, null, 354.586),
		],
		BASE + 356,
	);
	return capture;
}

type Command = readonly [at: number, command: () => unknown];

describe("macvlan and ipvlan children speak as Linux's do", () => {
	test("Wireshark finds nothing wrong in the whole capture", async () => {
		const capture = await replay();
		await expectCleanInWireshark(capture.toPcapng());
	});

	test.each(Object.keys(RUNS) as (keyof typeof RUNS)[])("%s", async (name) => {
		const capture = await replay();
		const [from, to, names] = RUNS[name];
		const comparison = new Comparison({ time: name.startsWith("vepa") ? PROBE_LATE : 0.06 });
		const differences = names.split(" ").flatMap((each) => {
			const recorded = recording(`k5-macvlan-vlan/${name}-${each}`);
			const place = PLACES[each] ?? "";
			const ours = emulated(capture, place, BASE + from - START, BASE + to - START);
			return comparison.differences(`${name}-${each}`, recorded, ours, START);
		});
		expect(differences).toEqual([]);
	});
});

/** The files of the vepa run with hairpin are not kept; the recorded listing has their octets. */
const HAIRPIN_ON = { "a:eth0": 1512, "b:eth0": 484, "m:eth0": 2486, "x:eth0": 712 } as const;

describe("macvlan in vepa mode on a port that sends back", () => {
	test("as many octets on each interface as were recorded: every frame between children twice on the parent", async () => {
		const capture = await replay();
		const octets = Object.keys(HAIRPIN_ON).map((place) => [
			place,
			emulated(capture, place, 37, 41).reduce((sum, frame) => sum + 16 + frame.data.length, 24),
		]);
		expect(Object.fromEntries(octets)).toEqual(HAIRPIN_ON);
	});
});

/** The VLANs of m:eth0 and x:eth0, on the bridge of sw again; a's macvlan is on m:eth0.100. */
const VLAN_START = BASE + 360;

async function replayVlans(): Promise<Capture> {
	const lab = new Lab({ seed: 1, uptime: "256.2143s" });
	const [m, sw, x, a] = [lab.netns("m"), lab.netns("sw"), lab.netns("x"), lab.netns("a")];
	const [mEth, p1] = lab.veth({ ns: m, name: "eth0", mac: "02:00:00:00:0a:01" }, { ns: sw, name: "p1" });
	const [xEth, p2] = lab.veth({ ns: x, name: "eth0", mac: X }, { ns: sw, name: "p2" });
	const br0 = sw.addBridge("br0");
	br0.attach(p1);
	br0.attach(p2);
	for (const device of [br0, p1, p2, mEth, xEth]) device.up();
	// A bridge port counts the outer tag of a full QinQ frame, which Linux carries beside the frame.
	for (const [i, ns] of [m, x].entries()) {
		const vlan = (lower: string, id: number, network: number, options: NamedVlan = {}): void => {
			const device = ns.addVlan(lower, id, options);
			device.up();
			if (network > 0) device.addAddress(`10.${String(network)}.0.${String(i + 1)}/24`);
		};
		vlan("eth0", 100, 70);
		vlan("eth0", 200, 71, ns === m ? { egressQosMap: { 0: 5 } } : {});
		vlan("eth0", 300, 0, { protocol: "802.1ad", name: "eth0.s" });
		vlan("eth0.s", 30, 72, { name: "eth0.s.c" });
	}
	const child = m.addMacvlan("eth0.100", "mv0", { mode: "bridge", mac: "02:00:00:00:0b:01" });
	m.move(child, a, "eth0");
	child.up();
	child.addAddress("10.70.0.11/24");
	const capture = lab.capture();
	const ping =
		(ns: typeof a, address: string, size = 56) =>
		(): void =>
			void ns
				.ping(address, { count: 1, timeout: "1s", size, mtuDiscovery: size > 56 ? "do" : "want" })
				.catch(() => undefined);
	await atInstants(
		lab,
		VLAN_START,
		[
			[BASE + 363.41492, ping(m, "10.70.0.2")],
			[BASE + 363.51754, ping(m, "10.71.0.2")],
			[BASE + 363.6004, ping(m, "10.72.0.2")],
			[BASE + 363.876, ping(a, "10.70.0.2")],
			[BASE + 363.9906, ping(a, "10.70.0.1")],
			[BASE + 365.08801, ping(a, "10.70.0.2", 1472)],
			[BASE + 365.38182, ping(m, "10.72.0.2", 1472)],
		],
		BASE + 367,
	);
	return capture;
}

type NamedVlan = VlanOptions & { readonly name?: string };

describe("VLANs, stacked VLANs and a macvlan on one tag as Linux does", () => {
	test("every frame on the trunk, on the VLAN device, in the container and on the switch", async () => {
		const capture = await replayVlans();
		const comparison = new Comparison({ time: 0.06 });
		const places = {
			"parent-eth0": "m:eth0",
			"eth0.100": "m:eth0.100",
			"a-eth0": "a:eth0",
			br0: "sw:br0",
			"x-eth0": "x:eth0",
		};
		const differences = Object.entries(places).flatMap(([name, place]) =>
			comparison.differences(
				`vlan-${name}`,
				recording(`k5-macvlan-vlan/vlan-${name}`),
				emulated(capture, place),
				VLAN_START,
			),
		);
		expect(differences).toEqual([]);
		const file = capture.toPcapng();
		await expectCleanInWireshark(file);
		// The trunk is seen on m:eth0, sw:p1, sw:br0, sw:p2 and x:eth0; ARP, echo request and reply by VLAN.
		const counted = async (filter: string): Promise<number> => (await dissectColumns(file, filter)).length;
		const trunk = (filter: string): number =>
			capture.sightings("m:eth0").filter(({ data }) => has(dissect(data), filter)).length;
		expect(await counted("vlan.id == 100")).toBeGreaterThan(0);
		expect(await counted("vlan.id == 200 && vlan.priority == 5 && icmp.type == 8")).toBe(5);
		expect(await counted("ieee8021ad.id == 300 && vlan.id == 30 && icmp")).toBe(5 * 4);
		expect(await counted('(vlan || ieee8021ad) && frame.interface_name == "m:eth0"')).toBe(trunk("vlan"));
	});
});
