import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Device, Lab, type Netns } from "../../src/index.ts";
import type { IpvlanMode, MacvlanMode, VxlanOptions } from "../../src/link/index.ts";

// What `ip -d link show` printed of each kind of device, from `promiscuity` on.

/** The details of the device that a line of the log names, `nth` of them, in one line each. */
function recorded(folder: string, device: string, nth = 0): string[] {
	const lines = readFileSync(new URL(`${folder}/commands.log`, import.meta.url), "utf8").split("\n");
	const heads = lines.flatMap((line, i) =>
		new RegExp(`^\\d+: ${device}[@:]`).test(line) && lines[i + 1]?.includes(" promiscuity ") === true
			? [i]
			: [],
	);
	const at = heads[nth]! + 1;
	const end = lines.findIndex((line, i) => i > at && !line.startsWith("    "));
	return [lines[at]!.slice(lines[at]!.indexOf("promiscuity")), ...lines.slice(at + 1, end)].filter(
		(line) => !line.includes("altname"),
	);
}

const ours = (ns: Netns, device: Device): string[] => {
	const [, first = "", ...more] = ns.links.show(device, { details: true }).split("\n");
	return [first.slice(first.indexOf("promiscuity")), ...more].filter((line) => line !== "");
};

/** Timers run on while commands do; what is set does not. */
const still = (lines: readonly string[]): string[] =>
	lines.map((line) => line.replace(/(_timer +)\d+\.\d\d/g, "$1#"));

/** A namespace with eth0 on a veth, as `m` in k5. */
function m() {
	const lab = new Lab({ seed: 1 });
	const ns = lab.netns("m");
	const ends = lab.veth({ ns, name: "eth0", mac: "02:00:00:00:0a:01" }, { ns: lab.netns("sw"), name: "p1" });
	for (const end of ends) end.up();
	return ns;
}

test.each<[MacvlanMode, nth: number]>([
	["bridge", 0],
	["private", 1],
	["vepa", 2],
	["passthru", 3],
])("macvlan in %s mode", (mode, nth) => {
	const ns = m();
	const child = ns.addMacvlan("eth0", "mv0", { mode });
	child.up();
	expect(ours(ns, child)).toEqual(recorded("k5-macvlan-vlan", "eth0", nth));
});

test.each<[IpvlanMode, nth: number]>([
	["l2", 4],
	["l3", 5],
])("ipvlan in %s mode", (mode, nth) => {
	const ns = m();
	const child = ns.addIpvlan("eth0", "iv0", { mode });
	child.up();
	expect(ours(ns, child)).toEqual(recorded("k5-macvlan-vlan", "eth0", nth));
});

test("VLANs, one on the other", () => {
	const ns = m();
	const devices = {
		"eth0.100": ns.addVlan("eth0", 100),
		"eth0.s": ns.addVlan("eth0", 300, { protocol: "802.1ad", name: "eth0.s" }),
		"eth0.s.c": ns.addVlan("eth0.s", 30, { name: "eth0.s.c" }),
	};
	for (const [name, device] of Object.entries(devices)) {
		device.up();
		expect(ours(ns, device)).toEqual(recorded("k5-macvlan-vlan", name));
	}
	const mapped = ns.addVlan("eth0", 200, {
		egressQosMap: { 0: 5 },
		ingressQosMap: { 1: 2 },
		looseBinding: true,
	});
	expect(ours(ns, mapped).slice(1)).toEqual([
		"    vlan protocol 802.1Q id 200 <REORDER_HDR,LOOSE_BINDING> ",
		"      ingress-qos-map { 1:2 } ",
		expect.stringMatching(/^ {6}egress-qos-map \{ 0:5 \} addrgenmode eui64 /),
	]);
});

test.each<[nth: number, Partial<VxlanOptions>]>([
	[0, { group: "239.1.1.1", dev: "eth0" }],
	[1, {}],
	[2, { learning: false }],
	[3, { learning: false, proxy: true, l2miss: true, l3miss: true }],
])("vxlan %i", (nth, options) => {
	const ns = m();
	const vx = ns.addVxlan("vx0", { vni: 42, local: "192.0.2.1", ...options });
	expect(ours(ns, vx)).toEqual(recorded("k2-vxlan-multi", "vx0", nth));
});

test("a bridge with three ports", () => {
	const lab = new Lab({ seed: 1 });
	const ns = lab.netns("sw");
	const br0 = ns.addBridge("br0");
	for (const n of ["1", "2", "3"]) {
		const [port] = lab.veth(
			{ ns, name: `p${n}`, mac: `02:00:00:00:c0:0${n}` },
			{ ns: lab.netns(`h${n}`), name: "eth0" },
		);
		br0.attach(port);
	}
	br0.up();
	expect(still(ours(ns, br0))).toEqual(still(recorded("k3-bridge", "br0")));
});

test("a port of docker_gwbridge", () => {
	const lab = new Lab({ seed: 1 });
	const ns = lab.netns("node1");
	const bridge = ns.addBridge("docker_gwbridge", { mac: "02:42:c7:df:bb:50" });
	bridge.up();
	const veths = [1, 2].map((n) => {
		const ends = lab.veth({ ns, name: `veth${String(n)}` }, { ns: lab.netns(`c${String(n)}`), name: "eth1" });
		bridge.attach(ends[0]);
		for (const end of ends) end.up();
		return ends[0];
	});
	expect(still(ours(ns, veths[1]!))).toEqual(still(recorded("11-macvlan", "vethcc71a78")));
});

test("loopback and a VLAN's parent have no kind to show", () => {
	const ns = m();
	expect(ours(ns, ns.device("lo"))).toEqual(recorded("11-macvlan", "lo", 1));
});
