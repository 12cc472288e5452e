import { describe, expect, test } from "vitest";
import { type Mac } from "../../src/addr/index.ts";
import { Lab, type Netns } from "../../src/index.ts";
import type { Device, MacvlanDevice, MacvlanMode } from "../../src/link/index.ts";
import { macvlans } from "../support/macvlan.ts";

const BROADCAST = "ff:ff:ff:ff:ff:ff";

describe("a macvlan in bridge mode", () => {
	test("speaks to its siblings and to the outside, and never with its parent", async () => {
		const { say, mac } = macvlans(["bridge", "bridge"]);
		expect(await say("c0", mac("c1"))).toEqual(["c1"]);
		expect(await say("c0", mac("out"))).toEqual(["out"]);
		expect(await say("out", mac("c1"))).toEqual(["c1"]);
		expect(await say("c0", mac("parent"))).toEqual([]);
		expect(await say("parent", mac("c0"))).toEqual([]);
		expect(await say("c0", BROADCAST)).toEqual(["c1", "out"]);
		expect(await say("parent", BROADCAST)).toEqual(["out"]);
		expect(await say("out", BROADCAST)).toEqual(["c0", "c1", "parent"]);
	});

	test("keeps unicast between siblings off the wire, but a capture on the parent sees it come in", async () => {
		const { lab, say, mac } = macvlans(["bridge", "bridge"]);
		const capture = lab.capture("parent:eth0");
		const wire = lab.capture("sw:*");
		await say("c0", mac("c1"));
		expect(capture.sightings().map((row) => row.direction)).toEqual([1]);
		expect(wire.sightings()).toEqual([]);
	});
});

describe("the other modes", () => {
	test("private: only the outside is there", async () => {
		const { say, mac } = macvlans(["private", "private"], { hairpin: true });
		expect(await say("c0", mac("out"))).toEqual(["out"]);
		expect(await say("c0", mac("c1"))).toEqual(["c1"]); // the switch sends it back, and unicast is not asked whence it came
		expect(await say("c0", BROADCAST)).toEqual(["c0", "out"]); // its own broadcast comes back, the sibling gets none
		expect(await say("out", BROADCAST)).toEqual(["c0", "c1", "parent"]);
	});

	test("vepa: siblings and parent are reached by way of a switch that reflects, and of no other", async () => {
		const plain = macvlans(["vepa", "vepa", "bridge"]);
		expect(await plain.say("c0", plain.mac("c1"))).toEqual([]);
		expect(await plain.say("c0", BROADCAST)).toEqual(["out"]);
		const reflecting = macvlans(["vepa", "vepa", "bridge"], { hairpin: true });
		expect(await reflecting.say("c0", reflecting.mac("c1"))).toEqual(["c1"]);
		expect(await reflecting.say("c0", BROADCAST)).toEqual(["c1", "c2", "out", "parent"]);
		expect(await reflecting.say("c0", reflecting.mac("parent"))).toEqual(["parent"]);
		// Siblings in bridge mode had a bridge child's broadcast on its way out.
		expect(await reflecting.say("c2", BROADCAST)).toEqual(["c0", "c1", "out", "parent"]);
	});

	test("passthru: the one child has the parent's MAC and takes all unicast as its own", async () => {
		const { say, children, parent } = macvlans(["passthru"]);
		expect(children[0]?.mac).toBe(parent.mac);
		expect(await say("out", parent.macText)).toEqual(["c0"]);
		expect(await say("out", "02:00:00:00:99:99")).toEqual(["c0"]);
		expect(await say("out", BROADCAST)).toEqual(["c0", "parent"]);
		expect(await say("parent", BROADCAST)).toEqual(["out"]);
	});

	test("source: gets a copy of what chosen senders say to the parent or to all", async () => {
		const { say, mac, children } = macvlans(["source"]);
		expect(await say("out", mac("parent"))).toEqual(["parent"]);
		children[0]?.addSource(mac("out"));
		expect(await say("out", mac("parent"))).toEqual(["c0", "parent"]);
		expect(await say("out", BROADCAST)).toEqual(["c0", "parent"]);
		expect(await say("out", mac("c0"))).toEqual(["c0"]);
		children[0]?.delSource(mac("out"));
		expect(await say("out", mac("c0"))).toEqual([]);
	});

	test("source with nodst: the parent gets nothing of it", async () => {
		const { say, mac } = macvlans(["source"], { source: { nodst: true, sources: ["02:00:00:00:00:99"] } });
		expect(await say("out", mac("parent"))).toEqual(["c0"]);
	});

	test("takes the groups it joined, all of them while somebody captures, and the card takes them for it", async () => {
		const net = macvlans(["bridge", "bridge", "private", "vepa"]);
		const group = "01:00:5e:01:02:03";
		const mac = 0x0100_5e01_0203 as Mac;
		const [, second, third] = net.children as [MacvlanDevice, MacvlanDevice, MacvlanDevice];
		expect(await net.say("out", group)).toEqual(["parent"]);
		for (const child of [second, third]) child.multicast.add(mac);
		expect(await net.say("out", group)).toEqual(["c1", "c2", "parent"]);
		expect(await net.say("c0", group)).toEqual(["c1", "out"]);
		expect(net.parent.multicast.accepts(mac)).toBe(true);
		second.multicast.delete(mac);
		const capture = net.lab.capture("c3:*");
		expect(await net.say("out", group)).toEqual(["c2", "c3", "parent"]);
		expect(capture.sightings()).toHaveLength(1);
		third.down();
		expect(net.parent.multicast.accepts(mac)).toBe(false);
	});

	test("a mode can be changed, but for passthru; leaving source mode forgets the senders", () => {
		const { children } = macvlans(["source"], { source: { sources: ["02:00:00:00:00:99"] } });
		const child = children[0]!;
		child.setMode("bridge");
		expect([child.mode, child.sources]).toEqual(["bridge", []]);
		expect(() => {
			child.setMode("passthru");
		}).toThrow("RTNETLINK answers: Invalid argument");
	});
});

/** A host with a network card on a LAN. */
function withNic(): { readonly lab: Lab; readonly ns: Netns; readonly nic: Device } {
	const lab = new Lab({ seed: 1 });
	const host = lab.host("host", { nics: { eth0: { attach: lab.switch("lan"), mac: "02:00:00:00:00:01" } } });
	return { lab, ns: host.netns, nic: host.netns.device("eth0") };
}

describe("the parent", () => {
	test("takes the addresses of children that are up into its filter", () => {
		const { ns, nic } = withNic();
		const child = ns.addMacvlan("eth0", "mv0", { mac: "02:00:00:00:00:11", mode: "bridge" });
		expect(nic.unicast).toEqual([]);
		child.up();
		expect(nic.unicast).toEqual([child.mac]);
		child.setMac("02:00:00:00:00:12");
		expect(nic.unicast).toEqual([child.mac]);
		child.down();
		expect([nic.unicast, nic.promiscuous]).toEqual([[], false]);
	});

	test("is promiscuous for a passthru child, unless that forgoes it, and for one that is itself", () => {
		const { ns, nic } = withNic();
		const child = ns.addMacvlan("eth0", "mv0", { mode: "passthru" });
		child.up();
		expect(nic.promiscuous).toBe(true);
		child.delete();
		expect(nic.promiscuous).toBe(false);
		ns.addMacvlan("eth0", "mv0", { mode: "passthru", promisc: false }).up();
		expect(nic.promiscuous).toBe(false);
		ns.device("mv0").promisc();
		expect(nic.promiscuous).toBe(true);
	});

	test("an address asked for by a VLAN on a VLAN reaches the network card", () => {
		const { ns, nic } = withNic();
		ns.addVlan("eth0", 100).up();
		ns.addVlan("eth0.100", 7, { name: "inner" }).up();
		const child = ns.addMacvlan("inner", "mv0", { mac: "02:00:00:00:00:11" });
		child.up();
		expect(nic.unicast).toEqual([child.mac]);
		ns.device("eth0.100").down();
		expect(nic.unicast).toEqual([]);
	});

	test("gives carrier, a smaller MTU and, to a passthru child, its address", () => {
		const { ns, nic } = withNic();
		const child = ns.addMacvlan("eth0", "mv0", { mode: "bridge" });
		nic.setMtu(1400);
		expect(child.mtu).toBe(1400);
		nic.setMtu(1500);
		expect(child.mtu).toBe(1400);
		nic.down();
		expect(child.carrier).toBe(false);
		child.up(); // no error: it waits for its parent
		child.delete();
		nic.up();
		const through = ns.addMacvlan("eth0", "mv0", { mode: "passthru" });
		through.up();
		through.setMac("02:00:00:00:00:77");
		expect(nic.macText).toBe("02:00:00:00:00:77");
		through.delete();
		expect(nic.macText).toBe("02:00:00:00:00:01");
	});

	test("keeps its children when it or they move, and takes them with it when it is deleted", () => {
		const { lab, ns, nic } = withNic();
		const other = lab.hosts.get("host")!.addNetns("other");
		const child = ns.addMacvlan("eth0", "mv0", { mode: "bridge" });
		ns.move(child, other, "eth0");
		ns.move(nic, other, "up0");
		expect([child.lower, nic.upper !== null, child.gone]).toEqual([nic, true, false]);
		nic.delete();
		expect(child.gone).toBe(true);
	});

	test("of a macvlan on a macvlan is the lowest device", () => {
		const { ns, nic } = withNic();
		ns.addMacvlan("eth0", "mv0", { mode: "bridge" });
		expect(ns.addMacvlan("mv0", "mv1", { mode: "bridge" }).lower).toBe(nic);
	});
});

describe("what Linux refuses, in its words", () => {
	const inval = "RTNETLINK answers: Invalid argument";
	const busy = "RTNETLINK answers: Device or resource busy";
	const inUse = "RTNETLINK answers: Address already in use";
	const cases: [string, string, (ns: Netns) => unknown][] = [
		[
			"a second child beside passthru",
			inval,
			(ns) => {
				ns.addMacvlan("eth0", "mv0", { mode: "passthru" });
				ns.addMacvlan("eth0", "mv1", { mode: "bridge" });
			},
		],
		[
			"passthru beside another child",
			inval,
			(ns) => {
				ns.addMacvlan("eth0", "mv0", { mode: "bridge" });
				ns.addMacvlan("eth0", "mv1", { mode: "passthru" });
			},
		],
		[
			"a bridge port as parent",
			busy,
			(ns) => {
				ns.addBridge("br0").attach(ns.device("eth0"));
				ns.addMacvlan("eth0", "mv0");
			},
		],
		[
			"an ipvlan's parent as parent",
			busy,
			(ns) => {
				ns.addIpvlan("eth0", "iv0");
				ns.addMacvlan("eth0", "mv0");
			},
		],
		[
			"a macvlan on a passthru macvlan",
			inval,
			(ns) => {
				ns.addMacvlan(ns.addMacvlan("eth0", "mv0", { mode: "passthru" }), "mv1");
			},
		],
		["an ipvlan as parent", inval, (ns) => ns.addMacvlan(ns.addIpvlan(ns.addDummy("d0"), "iv0"), "mv0")],
		["loopback as parent", inval, (ns) => ns.addMacvlan("lo", "mv0")],
		["no such parent", 'Cannot find device "eth9"', (ns) => ns.addMacvlan("eth9", "mv0")],
		["more than the parent's MTU", inval, (ns) => ns.addMacvlan("eth0", "mv0", { mtu: 1501 })],
		[
			"more than the parent's MTU later",
			inval,
			(ns) => {
				ns.addMacvlan("eth0", "mv0").setMtu(1501);
			},
		],
		[
			"the parent's address",
			inUse,
			(ns) => {
				ns.addMacvlan("eth0", "mv0", { mac: ns.device("eth0").mac }).up();
			},
		],
		[
			"a running sibling's address",
			inUse,
			(ns) => {
				const first = ns.addMacvlan("eth0", "mv0");
				first.up();
				ns.addMacvlan("eth0", "mv1").setMac(first.mac);
			},
		],
		["a name that is taken", "RTNETLINK answers: File exists", (ns) => ns.addMacvlan("eth0", "eth0")],
		[
			"an unknown mode",
			'Error: argument of "mode" must be "private", "vepa", "bridge", "passthru" or "source", not "vlan"',
			(ns) => ns.addMacvlan("eth0", "mv0", { mode: "vlan" as MacvlanMode }),
		],
		[
			"senders outside source mode",
			inval,
			(ns) => {
				ns.addMacvlan("eth0", "mv0").addSource("02:00:00:00:00:99");
			},
		],
		[
			"a group as sender",
			"RTNETLINK answers: Cannot assign requested address",
			(ns) => ns.addMacvlan("eth0", "mv0", { mode: "source", sources: [BROADCAST] }),
		],
	];
	test.each(cases)("%s: %s", (_, text, attempt) => {
		const { ns } = withNic();
		expect(() => attempt(ns)).toThrow(text);
	});

	test("nothing is left behind: the parent can become a bridge port", () => {
		const { ns, nic } = withNic();
		expect(() => ns.addMacvlan("eth0", "mv0", { mtu: 9000 })).toThrow();
		const child: MacvlanDevice = ns.addMacvlan("eth0", "mv0");
		child.delete();
		expect(nic.upper).toBeNull();
		expect(ns.addBridge("br0").attach(nic).device).toBe(nic);
	});
});
