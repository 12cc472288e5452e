import { describe, expect, test } from "vitest";
import { formatMac, toIp4 } from "../../src/addr/index.ts";
import { type Host, Lab, type Netns } from "../../src/index.ts";
import type { Device, MacvlanMode } from "../../src/link/index.ts";
import type { Capture } from "../../src/observe/index.ts";
import { dissect, ethernet, ipv4, type Layer } from "../../src/wire/index.ts";
import { Comparison, has, keep, recording, type TimedFrame, value } from "../support/golden.ts";
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
	readonly node2: Host;
	readonly ext: Netns;
	readonly parent: Device;
	/** A container with the device `make` gives, which dockerd moves in and sets up. */
	readonly container: (name: string, address: string, make: () => Device, gateway?: string) => Netns;
}

/**
 * `cable`: how long frames are on their way, the recorded machines took milliseconds. `seed` draws for how long
 * neighbours are known to be reachable.
 */
function site(start: number, { cable = "50us", seed = 1 } = {}): Site {
	const lab = new Lab({ seed, latency: { cable } });
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
		node2,
		ext,
		parent,
		container: (name, address, make, gateway = EXT) => {
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
			ns.routes.add("default", { via: gateway });
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
	{ time = 0.06, judged = () => true, bySender = false }: Partial<Judged> = {},
): Promise<string[]> {
	await expectCleanInWireshark(capture.toPcapng());
	const comparison = new Comparison({ time });
	return Object.entries(places).flatMap(([file, place]) => {
		const wanted = (layers: readonly Layer[]): boolean => !has(layers, "ipv6") && judged(layers, file);
		const recorded = keep(recording(`11-macvlan/${name}-${file}`), wanted);
		const ours = keep(emulated(capture, place), wanted);
		return [...(bySender ? new Set([...recorded, ...ours].map(sender)) : [""])].flatMap((mac) => {
			const from = (frame: TimedFrame): boolean => !bySender || sender(frame) === mac;
			const what = [`${name}-${file}`, ...(bySender ? ["from", mac] : [])].join(" ");
			return comparison.differences(what, recorded.filter(from), ours.filter(from), BASE + start);
		});
	});
}

const sender = ({ data }: TimedFrame): string =>
	formatMac(ethernet.src(new DataView(data.buffer, data.byteOffset), 0));

interface Judged {
	/** Seconds a frame may be off. */
	readonly time: number;
	/** Whether a frame of an interface is compared. */
	readonly judged: (layers: readonly Layer[], file: string) => boolean;
	/** Whether each sender's frames are compared on their own: who of two is first is up to their processors. */
	readonly bySender: boolean;
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

describe("containers on two VLANs of one network card", () => {
	const start = 686.5;

	async function replay() {
		const { lab, node1, ext, container, node2 } = site(start, {
			cable: "2.3ms",
			seed: 4,
		});
		ext.device("eth1.100").addAddress("10.0.0.130/24");
		const second = node2.netns.addVlan("eth1", 200);
		node2.netns.move(second, ext);
		second.up();
		second.addAddress("10.0.200.1/24");
		ext.sysctl.set("net.ipv4.ip_forward", 1);
		node1.netns.addVlan("eth1", 200).up();
		const on = (parent: string, name: string) => (): Device =>
			node1.netns.addMacvlan(parent, name, { mode: "bridge" });
		const first = container("mactainer1", "10.0.0.2", on("eth1.100", "veth1"));
		const sibling = container("mactainer2", "10.0.0.3", on("eth1.100", "veth2"));
		const other = container("mactainer3", "10.0.200.2", on("eth1.200", "veth3"), "10.0.200.1");
		// Connections end in recorded segments; what comes confirms that the next hop is there.
		for (const ns of [first, sibling, ext]) {
			ns.protocols.set(6, (frame, inDevice) => {
				ns.neighbours(inDevice).confirm(ipv4.source(frame.view, frame.start));
				frame.release();
			});
		}
		const spoken = (file: string, protocol: string, address: string): TimedFrame[] =>
			keep(
				recording(`11-macvlan/ping-${file}`),
				(layers) => has(layers, protocol) && value(layers, "ipv4.source") === toIp4(address, "address"),
			);
		const segments = (ns: Netns, file: string, address: string): Command[] =>
			spoken(file, "tcp", address).map(({ time, data }) => [
				time,
				() => {
					const frame = lab.world.frames.from(data);
					frame.pull(ethernet.OCTETS);
					const route = ns.route(ipv4.destination(frame.view, frame.start));
					if (route !== undefined) ns.ipv4.output(frame, route);
				},
			]);
		// What the resolver asked the host's name server in the container's name, each time by another port.
		const questions = spoken("mactainer1-eth0", "udp", "10.0.0.2").map(({ time, data }): Command => [
			time,
			() => {
				const port = value(dissect(data), "udp.sourcePort");
				first.udp({ port: Number(port) }).send(data.subarray(42), { address: "172.31.1.1", port: 53 });
			},
		]);
		// The machines count their pings: let each have identifiers of its own.
		for (let i = 0; i < 8; i++) ext.pings.open().close();
		for (let i = 0; i < 16; i++) other.pings.open().close();
		const capture = lab.capture();
		await atInstants(
			lab,
			BASE + start,
			[
				[BASE + 686.7435, ping(first, EXT, 3)],
				[BASE + 691.6725, ping(first, "10.0.0.130")],
				[BASE + 694.3715, ping(other, "10.0.200.1", 2)],
				[BASE + 707.877, ping(first, "10.0.0.3")],
				[BASE + 738.722, ping(first, "10.0.200.2")],
				[BASE + 743.898, ping(first, "10.0.0.99")],
				[BASE + 745.668, ping(ext, "10.0.0.2")],
				...questions,
				...segments(first, "eth1.100", "10.0.0.2"),
				...segments(sibling, "mactainer2-eth0", "10.0.0.3"),
				...segments(ext, "ext-eth1.100", EXT),
			],
			BASE + 746.5,
		);
		return capture;
	}

	test("every frame in the containers, on both VLANs, and at both ends of the trunk", async () => {
		const places = {
			"mactainer1-eth0": "node1/mactainer1:eth0",
			"mactainer2-eth0": "node1/mactainer2:eth0",
			"mactainer3-eth0": "node1/mactainer3:eth0",
			"eth1.100": "node1:eth1.100",
			"eth1.200": "node1:eth1.200",
			"parent-eth1": "node1:eth1",
			"ext-trunk-eth1": "node2:eth1",
			"ext-eth1.100": "node2/ext:eth1.100",
		};
		// What the first container sends out it leaves to the card to sum up: there its checksums are not there yet.
		const judged = (layers: readonly Layer[], file: string): boolean =>
			file !== "mactainer1-eth0" ||
			(!has(layers, "udp") && !has(layers, "tcp")) ||
			value(layers, "ipv4.source") !== toIp4("10.0.0.2", "address") ||
			value(layers, "ipv4.destination") === toIp4("10.0.0.3", "address");
		// The recorded machines were up to 78 ms late with answers.
		expect(
			await compare(await replay(), start, "ping", places, { time: 0.08, judged, bySender: true }),
		).toEqual([]);
	});
});

type Command = readonly [at: number, command: () => unknown];
