import { describe, expect, test } from "vitest";
import { type Host, Lab, type Netns } from "../../src/index.ts";
import type { Device, MacvlanMode } from "../../src/link/index.ts";
import type { Capture } from "../../src/observe/index.ts";
import { Comparison, has, keep, recording } from "../support/golden.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// 11-macvlan: containers that Docker put on eth1.100 of node1, and ext behind eth1.100 of node2, by the calls dockerd
// makes. Router solicitations and other IPv6 of the hosts are left out: the stack has none.
const BASE = 1_795_456_000;
/** When the coarse slots of the machines' timer wheels begin, modulo their 256 ms. */
const SLOTS = { node1: 0.039, node2: 0.2265 } as const;
const EXT = "10.0.0.1";

interface Site {
	readonly lab: Lab;
	readonly node1: Host;
	readonly ext: Netns;
	readonly parent: Device;
	/** A container with the device `make` gives, which dockerd moves in and sets up. */
	readonly container: (name: string, address: string, make: () => Device) => Netns;
}

function site(start: number): Site {
	const lab = new Lab({ seed: 1 });
	const lan = lab.switch("lan");
	const host = (name: "node1" | "node2", mac: string): Host =>
		lab.host(name, {
			uptime: `${String(256 + ((((start - SLOTS[name]) % 0.256) + 0.256) % 0.256))}s`,
			nics: { eth1: { attach: lan, mac } },
		});
	const [node1, node2] = [host("node1", "52:54:00:00:01:01"), host("node2", "52:54:00:00:02:01")];
	const ext = node2.addNetns("ext");
	const outside = node2.netns.addVlan("eth1", 100);
	node2.netns.move(outside, ext);
	outside.up();
	outside.addAddress(`${EXT}/24`);
	const parent = node1.netns.addVlan("eth1", 100);
	parent.up();
	return {
		lab,
		node1,
		ext,
		parent,
		container: (name, address, make) => {
			const ns = node1.addNetns(name);
			const device = make();
			node1.netns.move(device, ns, "eth0");
			if (device.kind === "macvlan")
				device.setMac(
					`02:42:${address
						.split(".")
						.map((part) => Number(part).toString(16).padStart(2, "0"))
						.join(":")}`,
				);
			device.addAddress(`${address}/24`);
			device.up();
			ns.routes.add("default", { via: EXT });
			return ns;
		},
	};
}

const ping =
	(ns: Netns, to: string, count = 1) =>
	(): void =>
		void ns.ping(to, { count, timeout: "1s" }).catch(() => undefined);

/** What differs on each interface: `file` ends the names of the recordings, places are those of the lab. */
async function compare(
	capture: Capture,
	start: number,
	name: string,
	places: Readonly<Record<string, string>>,
): Promise<string[]> {
	await expectCleanInWireshark(capture.toPcapng());
	const comparison = new Comparison({ time: 0.06 });
	return Object.entries(places).flatMap(([file, place]) =>
		comparison.differences(
			`${name}-${file}`,
			keep(recording(`11-macvlan/${name}-${file}`), (layers) => !has(layers, "ipv6")),
			emulated(capture, place),
			BASE + start,
		),
	);
}

describe("containers on a VLAN of the host's network card speak as Docker's do", () => {
	test.each<readonly [MacvlanMode, toExt: number, toSibling: number | null]>([
		["bridge", 822.18426, 826.55431],
		["private", 890.07693, 893.37602],
		["passthru", 1006.04955, null],
	])("macvlan_mode=%s", async (mode, toExt, toSibling) => {
		const start = toExt - 1;
		const { lab, node1, container } = site(start);
		const child = (name: string) => (): Device => node1.netns.addMacvlan("eth1.100", name, { mode });
		const ma = container("ma", "10.0.0.2", child("veth1"));
		if (toSibling !== null) container("mb", "10.0.0.3", child("veth2"));
		const capture = lab.capture();
		await atInstants(
			lab,
			BASE + start,
			[
				[BASE + toExt, ping(ma, EXT)],
				...(toSibling === null ? [] : [[BASE + toSibling, ping(ma, "10.0.0.3")] as const]),
			],
			BASE + toExt + 6,
		);
		const places = { "ma-eth0": "node1/ma:eth0", "parent-eth1": "node1:eth1" };
		const sibling = { "mb-eth0": "node1/mb:eth0" };
		const all = toSibling === null ? places : { ...places, ...sibling };
		expect(await compare(capture, start, `mode-${mode}`, all)).toEqual([]);
	});

	test("the host does not reach its container, but a macvlan of its own does", async () => {
		const start = 756;
		const { lab, node1, parent, container } = site(start);
		const first = container("mactainer1", "10.0.0.2", () =>
			node1.netns.addMacvlan("eth1.100", "veth1", { mode: "bridge" }),
		);
		parent.addAddress("10.0.0.200/24");
		const shim = (): void => {
			const device = node1.netns.addMacvlan("eth1.100", "shim", { mode: "bridge", mac: "9e:34:2b:e2:fa:7e" });
			device.addAddress("10.0.0.201/32");
			device.up();
			node1.netns.routes.add("10.0.0.2/32", { dev: device });
			void node1.netns.ping("10.0.0.2", { count: 1, from: "10.0.0.201" });
		};
		const capture = lab.capture();
		await atInstants(
			lab,
			BASE + start,
			[
				[BASE + 756.78945, ping(node1.netns, "10.0.0.2", 2)],
				[BASE + 761.06468, ping(first, "10.0.0.200", 2)],
				[BASE + 764.01893, shim],
			],
			BASE + 764.2,
		);
		const places = {
			eth1: "node1:eth1",
			"eth1.100": "node1:eth1.100",
			"mactainer1-eth0": "node1/mactainer1:eth0",
		};
		expect(await compare(capture, start, "hostblocked", places)).toEqual([]);
	});

	test("ipvlan_mode=l2: one MAC for all, and siblings' unicast stays off the parent", async () => {
		const start = 1096;
		const { lab, node1, ext, container } = site(start);
		// Both machines count their pings from 1: let the identifiers of ext be others than those of ma.
		for (let i = 0; i < 8; i++) ext.pings.open().close();
		const child = (name: string) => (): Device => node1.netns.addIpvlan("eth1.100", name, { mode: "l2" });
		const ma = container("ma", "10.0.0.2", child("veth1"));
		container("mb", "10.0.0.3", child("veth2"));
		const capture = lab.capture();
		await atInstants(
			lab,
			BASE + start,
			[
				[BASE + 1096.9673, ping(ma, EXT)],
				[BASE + 1104.03294, ping(ma, "10.0.0.3")],
				[BASE + 1110.80774, ping(ext, "10.0.0.2")],
			],
			BASE + 1112,
		);
		const places = {
			"ma-eth0": "node1/ma:eth0",
			"mb-eth0": "node1/mb:eth0",
			"parent-eth1": "node1:eth1",
		};
		expect(await compare(capture, start, "ipvlan-l2", places)).toEqual([]);
	});
});
