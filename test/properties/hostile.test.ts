import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";
import type { Device } from "../../src/link/index.ts";
import { anyFrame } from "../../src/testing/index.ts";
import { DROPS } from "../../src/drop.ts";
import { dissect, ethernet } from "../../src/wire/index.ts";

/** One lab with every device there is, up, addressed, and tied together. */
function everyDevice() {
	const lab = new Lab({ seed: 1 });
	const lan = lab.switch("lan");
	const host = lab.host("host", { nics: { eth0: { address: "192.0.2.1/24", attach: lan } } });
	lab.host("other", { nics: { eth0: { address: "192.0.2.2/24", attach: lan } } });
	const box = lab.netns("box");
	host.netns.sysctl.set("net.ipv4.ip_forward", 1);
	const bridge = host.netns.addBridge("br0");
	bridge.addAddress("10.0.0.1/24");
	bridge.up();
	const [port, inside] = lab.veth({ ns: host.netns, name: "veth0" }, { ns: box, name: "eth0" });
	bridge.attach(port);
	port.up();
	inside.up();
	inside.addAddress("10.0.0.2/24");
	const vxlan = host.netns.addVxlan("vxlan0", {
		vni: 42,
		remote: "192.0.2.2",
		proxy: true,
		l2miss: true,
		l3miss: true,
	});
	bridge.attach(vxlan);
	vxlan.up();
	const tunnel = host.netns.addVxlan("vxlan1", {
		vni: 43,
		port: 4790,
		remote: "192.0.2.2",
		ttl: "inherit",
		tos: "inherit",
		df: "inherit",
		gbp: true,
	});
	tunnel.addAddress("10.1.0.1/24");
	tunnel.up();
	const vlan = host.netns.addVlan("eth0", 100);
	vlan.addAddress("10.2.0.1/24");
	vlan.up();
	// A group: joined on eth0, so that what is aimed at it gets to the tunnel.
	const group = host.netns.addVxlan("vxlan2", { vni: 44, group: "239.1.1.1", dev: "eth0", rsc: true });
	group.up();
	const service = host.netns.addVlan("eth0", 200, { protocol: "802.1ad" });
	service.up();
	const mac = host.netns.addMacvlan("eth0", "mv0", { mode: "bridge" });
	const vepa = host.netns.addMacvlan("eth0", "mv1", { mode: "vepa" });
	const listener = host.netns.addMacvlan("eth0", "mv2", { mode: "source", sources: ["02:00:00:00:00:01"] });
	const children: Device[] = [mac, vepa, listener];
	for (const mode of ["l2", "l3", "l3s"] as const) {
		const [parent, peer] = lab.veth({ ns: host.netns, name: `to-${mode}` }, { ns: box, name: mode });
		const child = host.netns.addIpvlan(parent, `ip-${mode}`, { mode });
		host.netns.move(child, host.addNetns(mode));
		for (const each of [parent, peer]) each.up();
		children.push(parent, child);
	}
	for (const [i, child] of children.entries()) {
		child.up();
		child.addAddress(`10.3.0.${String(i + 1)}/24`);
	}
	const devices: Device[] = [
		...children,
		host.netns.device("eth0"),
		host.netns.device("lo"),
		bridge,
		port,
		inside,
		vxlan,
		tunnel,
		group,
		vlan,
		service,
	];
	return { lab, devices };
}

/** Frames that mean a device: their destination address and, for IPv4, addresses are made to fit now and then. */
const aimed = fc.tuple(
	fc.oneof(anyFrame, fc.uint8Array({ maxLength: 2048 })),
	fc.nat(),
	fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }),
);
const ADDRESSES = [
	0xc000_0201, 0xc000_0202, 0x0a00_0001, 0x0a00_0002, 0x0a01_0001, 0x0a02_0001, 0x7f00_0001, 0xffff_ffff,
	0xef01_0101, 0xe000_0001, 0xe000_0001, 0x0a03_0001, 0x0a03_0005, 0x0a03_0007, 0x0a03_0009,
];

function aim(
	bytes: Uint8Array,
	choice: number,
	changes: readonly (readonly [number, number])[],
	device: Device,
): Uint8Array {
	const frame = bytes.slice();
	const view = new DataView(frame.buffer);
	if (frame.length >= 14 && choice % 4 !== 0)
		ethernet.setMac(view, 0, choice % 4 === 1 ? ethernet.BROADCAST : device.mac);
	if (frame.length >= 34 && choice % 3 !== 0) {
		view.setUint16(12, choice % 5 === 0 ? 0x0806 : 0x0800);
		view.setUint32(26, ADDRESSES[choice % ADDRESSES.length] ?? 0);
		view.setUint32(30, ADDRESSES[(choice >> 4) % ADDRESSES.length] ?? 0);
	}
	for (const [at, to] of changes) if (frame.length > 0) frame[at % frame.length] = to;
	return frame;
}

describe("hostile frames", () => {
	test("up to 2 KiB into and out of every device: no exception, no hang, every end has a reason", async () => {
		const { lab, devices } = everyDevice();
		const reasons = new Set<string>();
		lab.onDrop((drop) => reasons.add(drop.reason));
		await fc.assert(
			fc.asyncProperty(
				aimed,
				fc.nat({ max: devices.length - 1 }),
				fc.boolean(),
				async ([bytes, choice, changes], which, out) => {
					const device = devices[which];
					if (device === undefined) return;
					const frame = lab.world.frames.from(aim(bytes, choice, changes, device));
					// What no stack made carries checksums that nobody computed.
					frame.trusted = false;
					if (out && frame.length >= ethernet.OCTETS) device.transmit(frame);
					else device.receive(frame);
					await lab.advance("1ms");
				},
			),
			{ numRuns: 4000 },
		);
		await lab.advance("120s");
		expect(lab.world.frames.taken).toBe(0);
		for (const reason of reasons) expect(DROPS).toHaveProperty(reason);
		// The mix is rich enough to reach most of the ways to end.
		expect(reasons.size).toBeGreaterThan(15);
	});

	test("every frame a lab sends in answer is itself well-formed", async () => {
		const { lab, devices } = everyDevice();
		const capture = lab.capture();
		await fc.assert(
			fc.asyncProperty(
				anyFrame,
				fc.nat(),
				fc.nat({ max: devices.length - 1 }),
				async (bytes, choice, which) => {
					const device = devices[which];
					if (device === undefined) return;
					const from = capture.log.size;
					const sent = lab.world.frames.from(aim(bytes, choice, [], device));
					const injected = sent.id;
					device.receive(sent);
					await lab.advance("10ms");
					for (let row = from; row < capture.log.size; row++) {
						const sighting = capture.log.row(row);
						if (sighting === undefined || sighting.packet === injected) continue;
						const layers = dissect(sighting.data).filter((layer) => !layer.quoted);
						expect(layers.filter((layer) => layer.protocol === "malformed")).toEqual([]);
						expect(layers.flatMap((layer) => layer.fields).filter((field) => field.good === false)).toEqual(
							[],
						);
					}
				},
			),
		);
	});
});
