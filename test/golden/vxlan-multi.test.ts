import { describe, expect, test } from "vitest";
import { arping, Lab, type Netns } from "../../src/index.ts";
import type { VxlanOptions } from "../../src/link/index.ts";
import type { Capture } from "../../src/observe/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { Comparison, has, recording, type TimedFrame } from "../support/golden.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// k2-vxlan-multi: u1..u3 192.0.2.N on one bridge, vx0 VNI 42 and 10.9.0.N on each. One lab per case, at the recorded instants.

/** Where the recorded machine's ticks stand at an instant: its uptime modulo 256 ms. */
const uptime = (start: number): string =>
	`${(256 + ((0.1263 + (start - 1_795_455_385)) % 0.256)).toFixed(6)}s`;

function underlay(start: number) {
	const lab = new Lab({ seed: 1, uptime: uptime(start) });
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
	// The bridge knows its hosts from cases before.
	for (const ns of hosts) {
		const inDevice = ns.inDevice(ns.device("eth0"));
		const [own] = inDevice?.addresses ?? [];
		if (inDevice !== undefined && own !== undefined) ns.announce(inDevice, own.prefix.address);
	}
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
	{ from = 0.01, race = Infinity }: { readonly from?: number; readonly race?: number } = {},
	interfaces: readonly (readonly [file: string, place: string])[] = INTERFACES,
): string[] {
	const comparison = new Comparison({ time: 0.06 });
	return interfaces.flatMap(([file, place]) => {
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

async function replayA() {
	const START = 1_795_455_634;
	const { lab, u1, u2, u3 } = underlay(START);
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
		const ours = emulated(capture, "u1:eth0", 0.01, 19);
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

async function replayB(learning: boolean) {
	const START = 1_795_455_671;
	const { lab, u1, u2, u3, hosts } = underlay(START);
	// Cases before left u1 and u2 acquainted.
	u1.neigh.add("192.0.2.2", { dev: "eth0", lladdr: "02:00:00:00:a0:02", nud: "reachable" });
	u2.neigh.add("192.0.2.1", { dev: "eth0", lladdr: "02:00:00:00:a0:01", nud: "reachable" });
	for (const ns of hosts) {
		addVx(ns, { learning });
		for (const other of hosts) {
			if (other !== ns) ns.vxlan("vx0").appendFdb("default", { dst: `192.0.2.${other.name.slice(1)}` });
		}
	}
	const capture = lab.capture();
	const fdbs: string[][] = [];
	const pings: string[] = [];
	const ping = (to: string, options: Parameters<Netns["ping"]>[1]) => (): void =>
		void u1.ping(to, options).then((result) => pings.push(`${to} ${String(result.received)}`));
	await atInstants(
		lab,
		START,
		[
			[1_795_455_671.07706, ping("10.9.0.2", { count: 2, interval: 300 })],
			[1_795_455_671.45087, ping("10.9.0.99", { count: 1, timeout: "1s" })],
			[1_795_455_674.9, () => fdbs.push(fdb(u1), fdb(u3))],
		],
		1_795_455_678,
	);
	return { capture, fdbs, pings, START };
}

describe("B: ingress replication", () => {
	test("Wireshark finds nothing wrong in the whole capture", async () => {
		await expectCleanInWireshark((await replayB(true)).capture.toPcapng());
	});

	test("each flooded frame goes to every remote with one source port, the first remote last", async () => {
		const { capture, START } = await replayB(true);
		expect(differences("B-ingress-repl", capture, START)).toEqual([]);
	});

	test("bridge fdb shows all default remotes in their order", async () => {
		const { fdbs } = await replayB(true);
		expect(fdbs).toEqual([
			[
				"00:00:00:00:00:00 dst 192.0.2.2 self permanent",
				"00:00:00:00:00:00 dst 192.0.2.3 self permanent",
				"02:00:00:00:b0:02 dst 192.0.2.2 self ",
			],
			[
				"00:00:00:00:00:00 dst 192.0.2.1 self permanent",
				"00:00:00:00:00:00 dst 192.0.2.2 self permanent",
				"02:00:00:00:b0:01 dst 192.0.2.1 self ",
			],
		]);
	});
});

describe("C: without learning", () => {
	test("a known destination goes to every remote for ever, and nothing is added to the table", async () => {
		const { capture, fdbs, pings } = await replayB(false);
		expect(fdbs[0]).toEqual([
			"00:00:00:00:00:00 dst 192.0.2.2 self permanent",
			"00:00:00:00:00:00 dst 192.0.2.3 self permanent",
		]);
		expect(pings[0]).toBe("10.9.0.2 2");
		const atThird = emulated(capture, "u3:vx0").filter(({ data }) => has(dissect(data), "icmp"));
		// Two requests and two replies, none of which is for u3.
		expect(atThird).toHaveLength(4);
	});
});

const DOCKER = { proxy: true, l2miss: true, l3miss: true } as const;

async function replayD() {
	const START = 1_795_455_702;
	const { lab, u1, u2, hosts } = underlay(START);
	for (const ns of hosts) addVx(ns, { ...DOCKER, learning: false });
	const misses: string[] = [];
	u1.vxlan("vx0").missListeners.push((miss) =>
		misses.push(`${lab.now > 2.5e9 ? "later" : "first"} ${miss.text}`),
	);
	// u2 tried to answer in cases before and did not get through.
	u2.neigh.add("192.0.2.1", { dev: "eth0", lladdr: "02:00:00:00:a0:01", nud: "stale" });
	const capture = lab.capture();
	const received: number[] = [];
	const ping = (): void =>
		void u1.ping("10.9.0.2", { count: 2, timeout: "1s" }).then((result) => received.push(result.received));
	await atInstants(
		lab,
		START,
		[
			[1_795_455_702.37895, ping],
			[
				1_795_455_704.507,
				() => {
					u1.neigh.flush();
				},
			],
			[
				1_795_455_704.596,
				() => {
					u1.neigh.add("10.9.0.2", { dev: "vx0", lladdr: "02:00:00:00:b0:02" });
				},
			],
			[1_795_455_704.67533, ping],
			[
				1_795_455_706.804,
				() => {
					u1.vxlan("vx0").appendFdb("02:00:00:00:b0:02", { dst: "192.0.2.2" });
				},
			],
			[1_795_455_706.85362, ping],
			[1_795_455_709.64582, ping],
		],
		1_795_455_712,
	);
	return { capture, misses, received, u1, START };
}

describe("D: a device that answers ARP and floods nothing", () => {
	test("Wireshark finds nothing wrong in the whole capture", async () => {
		await expectCleanInWireshark((await replayD()).capture.toPcapng());
	});

	test("nothing leaves until neighbour and forwarding entry are set by hand", async () => {
		const { capture, received, START } = await replayD();
		expect(differences("D-miss", capture, START)).toEqual([]);
		expect(received).toEqual([0, 0, 0, 0]);
	});

	test("each packet without a forwarding entry is reported in the words of ip monitor", async () => {
		const { misses, u1 } = await replayD();
		const miss = "later miss dev vx0 lladdr 02:00:00:00:b0:02 STALE";
		expect(misses).toEqual([miss, miss]);
		expect(u1.neigh.show().map((line) => line.text)).toEqual([
			"192.0.2.2 dev eth0 lladdr 02:00:00:00:a0:02 REACHABLE ",
			"10.9.0.2 dev vx0 lladdr 02:00:00:00:b0:02 PERMANENT ",
		]);
	});
});

async function replayE() {
	const START = 1_795_455_928;
	const { lab, u1, u2 } = underlay(START);
	const inside = [u1, u2].map((ns, i) => {
		const n = i + 1;
		const h = lab.netns(`h${String(n)}`);
		const [eth0, port] = lab.veth(
			{ ns: h, name: "eth0", mac: `02:00:00:00:d0:0${String(n)}` },
			{ ns, name: `v${String(n)}`, mac: `02:00:00:00:e0:0${String(n)}` },
		);
		eth0.addAddress(`10.9.0.1${String(n)}/24`);
		const br0 = ns.addBridge("br0");
		const mac = ["c2:f1:bf:0a:8d:cc", "c2:f1:bf:0a:8d:cd"][i] ?? "";
		const vx = ns.addVxlan("vx0", { vni: 42, local: `192.0.2.${String(n)}`, mac, ...DOCKER });
		br0.attach(vx);
		br0.attach(port);
		for (const device of [eth0, port, vx, br0]) device.up();
		const [other, dst] = [`02:00:00:00:d0:0${String(3 - n)}`, `192.0.2.${String(3 - n)}`];
		ns.neigh.add(`10.9.0.1${String(3 - n)}`, { dev: "vx0", lladdr: other });
		vx.addFdb(other, { dst });
		ns.neigh.add(dst, { dev: "eth0", lladdr: `02:00:00:00:a0:0${String(3 - n)}`, nud: "stale" });
		return h;
	});
	const [h1, h2] = inside as [Netns, Netns];
	const capture = lab.capture();
	const eth0 = h1.device("eth0");
	const answers: string[] = [];
	const ask = (to: string, options: Parameters<typeof arping>[3]) => (): void =>
		void arping(h1, eth0, to, options).then((result) =>
			answers.push(...result.answers.map(({ mac }) => mac), `sent ${String(result.sent)}`),
		);
	await atInstants(
		lab,
		START,
		[
			[1_795_455_928.93826, () => void h1.ping("10.9.0.12", { count: 2, interval: 300 })],
			[1_795_455_929.41551, () => void h1.ping("10.9.0.55", { count: 1, timeout: "1s" })],
			[1_795_455_930.54966, ask("10.9.0.12", { count: 2 })],
			[1_795_455_932.67235, ask("10.9.0.12", { mode: "dad", count: 1, deadline: "2s" })],
			[1_795_455_932.87642, ask("10.9.0.11", { mode: "announce", count: 1 })],
		],
		1_795_455_935,
	);
	return { lab, capture, answers, h1, h2, u1, START };
}

describe("E: the same behind a bridge, as in Docker's sandbox", () => {
	test("Wireshark finds nothing wrong in the whole capture", async () => {
		await expectCleanInWireshark((await replayE()).capture.toPcapng());
	});

	test("vx0 answers requests and address probes for known hosts; announcements and unknown ones end there", async () => {
		const { capture, START } = await replayE();
		const all = differences("E-proxy", capture, START, { race: 5.9 }, [
			["h1", "h1:eth0"],
			["h2", "h2:eth0"],
			["u1-vx0", "u1:vx0"],
			["u1-eth0", "u1:eth0"],
			["u3-eth0", "u3:eth0"],
			["underlay-br0", "sw:br0"],
		]);
		expect(all).toEqual([]);
	});

	test("arping hears the neighbour itself, whoever asks", async () => {
		const { answers } = await replayE();
		const heard = "02:00:00:00:d0:02";
		expect(answers).toEqual([heard, heard, "sent 2", heard, "sent 1", "sent 1"]);
	});

	test("bridge fdb shows what the bridge learned, what was set by hand and the groups each device listens to", async () => {
		const { u1 } = await replayE();
		expect(fdb(u1)).toEqual(["02:00:00:00:d0:02 dst 192.0.2.2 self permanent"]);
		const lines = u1.bridgeTool.fdb().text.split("\n");
		const of = (device: string): string[] => lines.filter((line) => line.includes(` dev ${device} `));
		expect([...of("vx0"), ...of("eth0"), ...of("v1")]).toEqual([
			"02:00:00:00:d0:02 dev vx0 master br0 ",
			"c2:f1:bf:0a:8d:cc dev vx0 vlan 1 master br0 permanent",
			"c2:f1:bf:0a:8d:cc dev vx0 master br0 permanent",
			"02:00:00:00:d0:02 dev vx0 dst 192.0.2.2 self permanent",
			"33:33:00:00:00:01 dev eth0 self permanent",
			"01:00:5e:00:00:01 dev eth0 self permanent",
			"02:00:00:00:d0:01 dev v1 master br0 ",
			"02:00:00:00:e0:01 dev v1 vlan 1 master br0 permanent",
			"02:00:00:00:e0:01 dev v1 master br0 permanent",
			"33:33:00:00:00:01 dev v1 self permanent",
			"01:00:5e:00:00:01 dev v1 self permanent",
		]);
	});
});

describe("F: a static neighbour without a forwarding entry", () => {
	test("is answered for all the same; its packets end at the tunnel", async () => {
		const { lab, h1, u1 } = await replayE();
		const lost = (): number => lab.world.dropped.get("vxlan-no-remote") ?? 0;
		const before = lost();
		u1.neigh.add("10.9.0.13", { dev: "vx0", lladdr: "02:00:00:00:d0:03" });
		const { received } = await h1.ping("10.9.0.13", { count: 1, timeout: "1s" });
		expect(received).toBe(0);
		expect(h1.neigh.show().map((line) => line.text)).toContain(
			"10.9.0.13 dev eth0 lladdr 02:00:00:00:d0:03 REACHABLE ",
		);
		// What the bridges reported of themselves went no further either.
		expect([before, lost()]).toEqual([4, 5]);
	});
});
