import { describe, expect, test } from "vitest";
import { Lab, type Netns } from "../../src/index.ts";
import type { Device, VlanOptions, VlanProtocol } from "../../src/link/index.ts";
import { dissect, vlan } from "../../src/wire/index.ts";
import { value } from "../support/golden.ts";

/** Two namespaces on one veth pair, up. */
function pair() {
	const lab = new Lab({ seed: 1 });
	const [a, b] = [lab.netns("a"), lab.netns("b")];
	const ends = lab.veth(
		{ ns: a, name: "eth0", mac: "02:00:00:00:00:0a" },
		{ ns: b, name: "eth0", mac: "02:00:00:00:00:0b" },
	);
	for (const end of ends) end.up();
	const join = (ns: Netns, lower: string, id: number, options: VlanOptions = {}): Device => {
		const device = ns.addVlan(lower, id, options);
		device.up();
		device.addAddress(`10.0.0.${ns === a ? "1" : "2"}/24`);
		return device;
	};
	const capture = lab.capture("b:eth0");
	/** Priorities of the tags on the wire, of IPv4 alone. */
	const priorities = (): number[] =>
		capture
			.sightings()
			.filter((row) => dissect(row.data).some((layer) => layer.protocol === "ipv4"))
			.map((row) => row.data[14]! >> 5);
	return { lab, a, b, join, capture, priorities };
}

/** A broadcast frame of an experimental type with these tags in front. */
function tagged(...tags: readonly (readonly [tpid: number, tci: number])[]): Uint8Array {
	const words = tags.flatMap(([tpid, tci]) => [tpid >> 8, tpid & 255, tci >> 8, tci & 255]);
	return Uint8Array.of(
		...[255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 10],
		...words,
		...[0x88, 0xb5],
		...new Array<number>(46).fill(1),
	);
}

describe("priorities", () => {
	test("tags carry 0 unless the egress map says otherwise; the packet's comes from its TOS", async () => {
		const { a, b, join, priorities } = pair();
		join(a, "eth0", 100, { egressQosMap: { 0: 5, 6: 7, 2: 1 } });
		join(b, "eth0", 100);
		await a.ping("10.0.0.2", { count: 1, timeout: "1s" });
		await a.ping("10.0.0.2", { count: 1, timeout: "1s", tos: 0x10 });
		await a.ping("10.0.0.2", { count: 1, timeout: "1s", tos: 0x08 });
		await a.ping("10.0.0.2", { count: 1, timeout: "1s", tos: 0x18 }); // priority 4: not in the map
		expect(priorities().filter((_, i) => i % 2 === 0)).toEqual([5, 7, 1, 0]);
	});

	test("the ingress map gives the packet its priority, which a bridge carries on and a wire forgets", async () => {
		const { lab, a, b, join } = pair();
		const trunk = join(a, "eth0", 100, { egressQosMap: { 0: 6 } });
		// b bridges VLAN 100 to VLAN 200 of another wire: tag priority 6 becomes packet priority 3, then tag priority 4.
		const c = lab.netns("c");
		const [out, cEth] = lab.veth({ ns: b, name: "eth1" }, { ns: c, name: "eth0" });
		for (const device of [out, cEth]) device.up();
		const left = b.addVlan("eth0", 100, { ingressQosMap: { 6: 3 } });
		const right = b.addVlan("eth1", 200, { egressQosMap: { 3: 4 } });
		const br0 = b.addBridge("br0");
		for (const port of [left, right]) {
			br0.attach(port);
			port.up();
		}
		br0.up();
		const capture = lab.capture("c:eth0");
		a.packetSocket().send(tagged(), trunk);
		await lab.advance("1ms");
		const [frame] = capture.sightings();
		expect([
			frame!.data[14]! >> 5,
			vlan.vid(new DataView(frame!.data.buffer, frame!.data.byteOffset), 14),
		]).toEqual([4, 200]);
	});

	test("are read back as they were set", () => {
		const { a } = pair();
		const device = a.addVlan("eth0", 100, { ingressQosMap: { 1: 4 }, egressQosMap: { 0: 5 } });
		device.setEgressQos(6, 7);
		expect([device.ingressQosMap, device.egressQosMap]).toEqual([{ 1: 4 }, { 0: 5, 6: 7 }]);
	});
});

test("of a tag's priority beyond 7 three bits count, and priorities of 0 are not listed", () => {
	const { a } = pair();
	const vlan = a.addVlan("eth0", 100, { egressQosMap: { 0: 13, 2: 8, 5: 0 }, ingressQosMap: { 9: 4 } });
	expect([vlan.egressQosMap, vlan.ingressQosMap]).toEqual([{ 0: 5 }, { 1: 4 }]);
	expect(a.links.show("eth0.100", { details: true })).toContain("egress-qos-map { 0:5 } ");
	vlan.setEgressQos(0, 0);
	expect(a.links.show("eth0.100", { details: true })).not.toContain("egress-qos-map");
});

describe("frames that no VLAN device takes", () => {
	test.each([
		[
			"a tag of VLAN 0 only says a priority: the device itself takes it",
			[[0x8100, 0xe000]],
			"unhandled-proto",
		],
		[
			"behind priority tags lies what counts",
			[
				[0x8100, 0x2000],
				[0x8100, 0x4000],
			],
			"unhandled-proto",
		],
		["a VLAN that is not here", [[0x8100, 300]], "vlan-unknown"],
		[
			"a VLAN behind a priority tag that is not here",
			[
				[0x8100, 0],
				[0x88a8, 300],
			],
			"vlan-unknown",
		],
	] as const)("%s", async (_, tags, reason) => {
		const { lab, a } = pair();
		const reasons: string[] = [];
		lab.onDrop((drop) => reasons.push(drop.reason));
		a.packetSocket().send(tagged(...tags), a.device("eth0"));
		await lab.advance("1ms");
		expect(reasons).toEqual([reason]);
	});

	test("a VLAN behind a priority tag finds its device", async () => {
		const { lab, a, b } = pair();
		const device = b.addVlan("eth0", 300);
		device.up();
		a.packetSocket().send(tagged([0x8100, 0xe000], [0x8100, 300]), a.device("eth0"));
		await lab.advance("1ms");
		expect(device.counters.rxPackets).toBe(1);
	});

	test("VLAN 0 can have a device, which then takes its frames", async () => {
		const { lab, a, b } = pair();
		const device = b.addVlan("eth0", 0);
		device.up();
		a.packetSocket().send(tagged([0x8100, 0x2000]), a.device("eth0"));
		await lab.advance("1ms");
		expect(device.counters.rxPackets).toBe(1);
	});

	test("go through a bridge with their tag", async () => {
		const { lab, a, b } = pair();
		const c = lab.netns("c");
		const [out, cEth] = lab.veth({ ns: b, name: "eth1" }, { ns: c, name: "eth0" });
		const br0 = b.addBridge("br0");
		br0.attach(b.device("eth0"));
		br0.attach(out);
		for (const device of [br0, out, cEth]) device.up();
		const capture = lab.capture("c:eth0");
		const frame = tagged([0x8100, 300]);
		a.packetSocket().send(frame, a.device("eth0"));
		await lab.advance("1ms");
		expect(capture.sightings().map((row) => Uint8Array.from(row.data))).toEqual([frame]);
	});
});

describe("reorder_hdr off", () => {
	test("captures on the device see the tag both ways; wire and stack see what they always see", async () => {
		const { lab, a, b, join, capture } = pair();
		join(a, "eth0", 100, { reorderHeader: false });
		join(b, "eth0", 100);
		const onDevice = lab.capture("a:eth0.100");
		expect((await a.ping("10.0.0.2", { count: 1 })).received).toBe(1);
		const tags = (rows: readonly { readonly data: Uint8Array }[]): unknown[] =>
			rows.map((row) => value(dissect(row.data), "vlan.vid"));
		expect(tags(onDevice.sightings())).toEqual([100, 100, 100, 100]);
		expect(tags(capture.sightings())).toEqual([100, 100, 100, 100]);
	});
});

describe("a VLAN device on every kind of device", () => {
	test.each(["bridge", "macvlan", "vxlan", "nic"])("%s", async (kind) => {
		const lab = new Lab({ seed: 1 });
		const lan = lab.switch("lan");
		const pings = ["h1", "h2"].map((name, i) => {
			const host = lab.host(name, {
				nics: { eth0: { address: `192.0.2.${String(i + 1)}/24`, attach: lan } },
			});
			const ns = host.netns;
			let lower: Device = ns.device("eth0");
			if (kind === "bridge") {
				const bridge = ns.addBridge("br0");
				bridge.attach(lower);
				lower = bridge;
			} else if (kind === "macvlan") lower = ns.addMacvlan(lower, "mv0", { mode: "bridge" });
			else if (kind === "vxlan") lower = ns.addVxlan("vx0", { vni: 42, remote: `192.0.2.${String(2 - i)}` });
			lower.up();
			const device = ns.addVlan(lower, 100, { name: "v100" });
			device.up();
			device.addAddress(`10.0.0.${String(i + 1)}/24`);
			return ns;
		});
		expect((await pings[0]!.ping("10.0.0.2", { count: 1 })).received).toBe(1);
	});

	test("with an address of its own it takes frames for the lower device's, too, and the card takes both", async () => {
		const lab = new Lab({ seed: 1 });
		const lan = lab.switch("lan");
		const hosts = ["h1", "h2"].map((name) => lab.host(name, { nics: { eth0: { attach: lan } } }).netns);
		const [a, b] = hosts as [Netns, Netns];
		for (const [i, ns] of hosts.entries()) {
			const device = ns.addVlan("eth0", 100, i === 1 ? { mac: "02:00:00:00:00:77" } : {});
			device.up();
			device.addAddress(`10.0.0.${String(i + 1)}/24`);
		}
		expect((await a.ping("10.0.0.2", { count: 1 })).received).toBe(1);
		a.neigh.replace("10.0.0.2", { dev: "eth0.100", lladdr: b.device("eth0").macText });
		expect((await a.ping("10.0.0.2", { count: 1, timeout: "1s" })).received).toBe(1);
	});
});

describe("the lower device", () => {
	test("gives its address until one is set, also later; while the VLAN is down that waits", () => {
		const { a } = pair();
		const eth0 = a.device("eth0");
		const device = a.addVlan("eth0", 100);
		device.up();
		eth0.setMac("02:00:00:00:00:77");
		expect(device.mac).toBe(eth0.mac);
		device.down();
		eth0.setMac("02:00:00:00:00:78");
		expect(device.macText).toBe("02:00:00:00:00:77");
		device.up();
		expect(device.mac).toBe(eth0.mac);
		device.setMac("02:00:00:00:00:99");
		eth0.setMac("02:00:00:00:00:79");
		expect(device.macText).toBe("02:00:00:00:00:99");
	});

	test("takes its VLANs down and up with it, but for those loosely bound", () => {
		const { a } = pair();
		const eth0 = a.device("eth0");
		const device = a.addVlan("eth0", 100);
		const loose = a.addVlan("eth0", 200, { looseBinding: true });
		const inner = a.addVlan(device, 7, { name: "inner" });
		for (const each of [device, loose, inner]) each.up();
		eth0.down();
		expect([device, loose, inner].map((each) => [each.isUp, each.carrier])).toEqual([
			[false, false],
			[true, false],
			[false, false],
		]);
		eth0.up();
		expect([device, loose, inner].map((each) => [each.isUp, each.carrier])).toEqual([
			[true, true],
			[true, true],
			[true, true],
		]);
	});

	test("takes its VLANs' MTU down, never up, and its VLANs away when it is deleted", () => {
		const { a } = pair();
		const eth0 = a.device("eth0");
		const device = a.addVlan("eth0", 100);
		eth0.setMtu(1400);
		eth0.setMtu(1500);
		expect(device.mtu).toBe(1400);
		eth0.delete();
		expect([device.gone, a.hasDevice("eth0.100")]).toEqual([true, false]);
	});

	test("keeps its VLANs when it moves, and they keep it when they move", () => {
		const { lab, a } = pair();
		const device = a.addVlan("eth0", 100);
		const c = lab.netns("c");
		a.move(device, c);
		a.move(a.device("eth0"), lab.netns("d"));
		expect([device.gone, device.lower.owner.name]).toEqual([false, "d"]);
	});
});

describe("what Linux refuses, in its words", () => {
	const cases: [string, string, (ns: Netns) => unknown][] = [
		["4095 is reserved", "Error: 8021q: Invalid VLAN id.", (ns) => ns.addVlan("eth0", 4095)],
		["beyond 16 bits", 'Error: argument "70000" is wrong: id is invalid', (ns) => ns.addVlan("eth0", 70_000)],
		["negative", 'Error: argument "-1" is wrong: id is invalid', (ns) => ns.addVlan("eth0", -1)],
		[
			"taken",
			"Error: 8021q: VLAN device already exists.",
			(ns) => {
				ns.addVlan("eth0", 100);
				ns.addVlan("eth0", 100, { name: "again" });
			},
		],
		["loopback", "Error: 8021q: VLANs not supported on device.", (ns) => ns.addVlan("lo", 100)],
		[
			"an unknown protocol",
			'Error: argument "ISL" is wrong: protocol is invalid',
			(ns) => ns.addVlan("eth0", 100, { protocol: "ISL" as VlanProtocol }),
		],
		["a longer MTU", "RTNETLINK answers: Invalid argument", (ns) => ns.addVlan("eth0", 100, { mtu: 1501 })],
		[
			"a longer MTU later",
			"RTNETLINK answers: Numerical result out of range",
			(ns) => {
				ns.addVlan("eth0", 100).setMtu(1501);
			},
		],
		[
			"up before the lower device",
			"RTNETLINK answers: Network is down",
			(ns) => {
				ns.device("eth0").down();
				ns.addVlan("eth0", 100).up();
			},
		],
		[
			"a priority that is no number",
			'Error: argument "0:1.5" is wrong: invalid egress-qos-map',
			(ns) => ns.addVlan("eth0", 100, { egressQosMap: { 0: 1.5 } }),
		],
		[
			"a negative priority",
			'Error: argument "3:-1" is wrong: invalid ingress-qos-map',
			(ns) => ns.addVlan("eth0", 100, { ingressQosMap: { 3: -1 } }),
		],
		[
			"more than eight devices on top of each other",
			"RTNETLINK answers: Too many links",
			(ns) => {
				let lower: Device = ns.device("eth0");
				for (let i = 0; i < 8; i++) lower = ns.addVlan(lower, 1, { name: `v${String(i)}` });
			},
		],
	];
	test.each(cases)("%s: %s", (_, text, attempt) => {
		const { a } = pair();
		expect(() => attempt(a)).toThrow(text);
	});

	test("what was refused leaves the id free", () => {
		const { a } = pair();
		expect(() => a.addVlan("eth0", 100, { mac: "01:00:00:00:00:00" })).toThrow();
		expect(() => a.addVlan("eth0", 100, { name: "a name" })).toThrow();
		expect(a.addVlan("eth0", 100).id).toBe(100);
	});
});
