import { describe, expect, test } from "vitest";
import { Lab, type Netns, type VxlanOptions } from "../../src/index.ts";
import { decapsulateEcn } from "../../src/link/vxlan/outer.ts";
import {
	describe as tell,
	dissect,
	ethernet,
	type Frame,
	icmp,
	ipv4,
	ipv6,
	vxlan,
} from "../../src/wire/index.ts";
import { has, value } from "../support/golden.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

/** Two VTEPs on one wire, or with a router between; `vx` makes the devices. */
function underlay(options: { readonly router?: number } = {}) {
	const lab = new Lab({ seed: 1 });
	const [u1, u2] = [lab.netns("u1"), lab.netns("u2")];
	if (options.router === undefined) {
		const ends = lab.veth({ ns: u1, name: "eth0" }, { ns: u2, name: "eth0" });
		for (const [i, end] of ends.entries()) {
			end.addAddress(`192.0.2.${String(i + 1)}/24`);
			end.up();
		}
		return { lab, u1, u2, far: "192.0.2.2" };
	}
	const router = lab.netns("r");
	router.sysctl.set("net.ipv4.ip_forward", 1);
	for (const [ns, net] of [
		[u1, "192.0.2"],
		[u2, "198.51.100"],
	] as const) {
		const [inner, outer] = lab.veth({ ns, name: "eth0" }, { ns: router, name: ns.name });
		inner.addAddress(`${net}.1/24`);
		outer.addAddress(`${net}.254/24`);
		if (ns === u2) for (const end of [inner, outer]) end.setMtu(options.router);
		inner.up();
		outer.up();
		ns.routes.add("default", { via: `${net}.254` });
	}
	return { lab, u1, u2, far: "198.51.100.1" };
}

function addVx(ns: Netns, n: number, options: Partial<VxlanOptions> = {}) {
	const vx = ns.addVxlan("vx0", { vni: 42, mac: `02:00:00:00:b0:0${String(n)}`, ...options });
	vx.addAddress(`10.9.0.${String(n)}/24`);
	vx.up();
	return vx;
}

/** Two VTEPs that know each other. */
function tunnel(first: Partial<VxlanOptions> = {}, second: Partial<VxlanOptions> = first) {
	const world = underlay();
	const a = addVx(world.u1, 1, { remote: "192.0.2.2", ...first });
	const b = addVx(world.u2, 2, { remote: "192.0.2.1", ...second });
	return { ...world, a, b };
}

const GROUP = { group: "239.1.1.1", dev: "eth0" } as const;

describe("a multicast group", () => {
	/** Two VTEPs in a group. */
	function grouped() {
		const world = underlay();
		const a = addVx(world.u1, 1, GROUP);
		const b = addVx(world.u2, 2, GROUP);
		return { ...world, a, b };
	}

	test("is joined while the device is up, and the port open", async () => {
		const { lab, u1, a } = grouped();
		const groups = (): string[] =>
			u1
				.device("eth0")
				.multicast.addresses()
				.map((mac) => mac.toString(16));
		expect(groups()).toContain("1005e010101");
		expect(a.mtu).toBe(1450);
		a.down();
		expect(groups()).not.toContain("1005e010101");
		u1.udp({ port: 4789 }).close();
		a.up();
		expect(groups()).toContain("1005e010101");
		expect(() => u1.udp({ port: 4789 })).toThrow("bind: Address already in use");
		await lab.advance("1s");
	});

	test("of several devices on one port is left with the last of them", () => {
		const { u1, a } = grouped();
		const second = u1.addVxlan("vx1", { vni: 43, ...GROUP });
		second.up();
		const joined = (): boolean =>
			u1
				.device("eth0")
				.multicast.addresses()
				.includes(0x0100_5e01_0101 as never);
		a.down();
		expect(joined()).toBe(true);
		second.down();
		expect(joined()).toBe(false);
	});

	test("carries what is for everyone with TTL 1 unless a TTL is set, and does not echo it to the sender", async () => {
		const world = underlay();
		addVx(world.u1, 1, { ...GROUP, ttl: 9 });
		addVx(world.u2, 2, GROUP);
		const capture = world.lab.capture("u1:eth0");
		const { received } = await world.u1.ping("10.9.0.2", { count: 1 });
		expect(received).toBe(1);
		await world.lab.advance("10s");
		expect(world.lab.world.frames.taken).toBe(0);
		const flood = capture
			.sightings()
			.map((row) => tell(row.data))
			.find((text) => text.includes("> 239.1.1.1:4789"));
		expect(flood).toContain("ttl 9");
		expect(world.lab.world.dropped.get("source-is-own-mac")).toBeUndefined();
		await expectCleanInWireshark(capture.toPcapng());
	});

	test("goes with its device", () => {
		const { u1, a } = grouped();
		u1.device("eth0").delete();
		expect(a.gone).toBe(true);
		expect(u1.hasDevice("vx0")).toBe(false);
	});

	test("can be one of several remotes of the default", async () => {
		const { lab, u1, a } = grouped();
		a.appendFdb("default", { dst: "192.0.2.77", via: "eth0" });
		a.appendFdb("default", { dst: "192.0.2.2", port: 4790, vni: 99 });
		expect(a.fdbShow().map((line) => line.text)).toEqual([
			"00:00:00:00:00:00 dst 239.1.1.1 via eth0 self permanent",
			"00:00:00:00:00:00 dst 192.0.2.77 via eth0 self permanent",
			"00:00:00:00:00:00 dst 192.0.2.2 port 4790 vni 99 self permanent",
		]);
		expect(
			JSON.stringify(
				a
					.fdbShow()
					.map((line) => line.json)
					.slice(1),
			),
		).toBe(
			'[{"mac":"00:00:00:00:00:00","dst":"192.0.2.77","viaIf":"eth0","flags":["self"],"state":"permanent"},' +
				'{"mac":"00:00:00:00:00:00","dst":"192.0.2.2","port":4790,"vni":99,"flags":["self"],"state":"permanent"}]',
		);
		expect(() => {
			a.delFdb("default", { dst: "239.1.1.1" });
		}).toThrow("RTNETLINK answers: No such file or directory");
		a.delFdb("default", { dst: "239.1.1.1", via: "eth0" });
		expect(a.fdbShow()).toHaveLength(2);
		await lab.advance("1ms");
		expect(u1.name).toBe("u1");
	});
});

describe("the forwarding table", () => {
	test("forgets learned addresses 300 s after their last frame, others never", async () => {
		const { lab, u1, a } = tunnel();
		a.addFdb("02:00:00:00:00:01", { dst: "192.0.2.2" });
		a.addFdb("02:00:00:00:00:02", { dst: "192.0.2.2", state: "static" });
		a.addFdb("02:00:00:00:00:03", { dst: "192.0.2.2", state: "dynamic" });
		// The kernel lists its table by buckets.
		const shown = (): string[] =>
			a
				.fdbShow()
				.map((line) => line.text)
				.sort();
		await u1.ping("10.9.0.2", { count: 1 });
		await lab.advance("6s");
		expect(shown()).toEqual([
			"00:00:00:00:00:00 dst 192.0.2.2 self permanent",
			"02:00:00:00:00:01 dst 192.0.2.2 self permanent",
			"02:00:00:00:00:02 dst 192.0.2.2 self static",
			"02:00:00:00:00:03 dst 192.0.2.2 self ",
			"02:00:00:00:b0:02 dst 192.0.2.2 self ",
		]);
		await lab.advance("290s");
		expect(shown()).toHaveLength(5);
		await lab.advance("15s");
		expect(shown()).toEqual([
			"00:00:00:00:00:00 dst 192.0.2.2 self permanent",
			"02:00:00:00:00:01 dst 192.0.2.2 self permanent",
			"02:00:00:00:00:02 dst 192.0.2.2 self static",
		]);
	});

	test("forgets what was learned when the device goes down", async () => {
		const { u1, a } = tunnel();
		await u1.ping("10.9.0.2", { count: 1 });
		expect(a.fdbShow()).toHaveLength(2);
		a.down();
		expect(a.fdbShow()).toHaveLength(1);
	});

	test("lets learned addresses move and pinned ones not", async () => {
		const { lab, u2, a, b } = tunnel();
		a.addFdb("02:00:00:00:00:0a", { dst: "192.0.2.9", state: "dynamic" });
		a.addFdb("02:00:00:00:00:0b", { dst: "192.0.2.9" });
		for (const last of [0x0a, 0x0b]) {
			const from = [2, 0, 0, 0, 0, last];
			u2.packetSocket().send(Uint8Array.from([...new Array<number>(6).fill(255), ...from, 0x88, 0xb5, 1]), b);
		}
		await lab.advance("1s");
		expect(
			a
				.fdbShow()
				.map((line) => line.text)
				.slice(1),
		).toEqual(["02:00:00:00:00:0b dst 192.0.2.9 self permanent", "02:00:00:00:00:0a dst 192.0.2.2 self "]);
		expect(lab.world.dropped.get("vxlan-entry-exists")).toBe(1);
	});

	test("makes an appended address permanent and keeps its remote, as Linux does", async () => {
		const { u1, a } = tunnel();
		await u1.ping("10.9.0.2", { count: 1 });
		expect(() => {
			a.addFdb("02:00:00:00:b0:02", { dst: "192.0.2.9" });
		}).toThrow("RTNETLINK answers: File exists");
		a.appendFdb("02:00:00:00:b0:02", { dst: "192.0.2.9" });
		expect(a.fdbShow()[1]?.text).toBe("02:00:00:00:b0:02 dst 192.0.2.2 self permanent");
		a.replaceFdb("02:00:00:00:b0:02", { dst: "192.0.2.9" });
		expect(a.fdbShow()[1]?.text).toBe("02:00:00:00:b0:02 dst 192.0.2.9 self permanent");
		expect(() => {
			a.replaceFdb("default", { dst: "192.0.2.9" });
		}).toThrow("Error: Cannot replace non-unicast fdb entries.");
		expect(() => {
			a.replaceFdb("01:00:5e:00:00:09", { dst: "192.0.2.9" });
		}).toThrow("RTNETLINK answers: Operation not supported");
	});
});

describe("several networks on one port", () => {
	test("are told apart by VNI; one that is down is unknown", async () => {
		const { lab, u1, u2 } = tunnel();
		for (const [i, ns] of [u1, u2].entries()) {
			const vx = ns.addVxlan("vx1", { vni: 43, remote: `192.0.2.${String(2 - i)}` });
			vx.addAddress(`10.8.0.${String(i + 1)}/24`);
			vx.up();
		}
		expect((await u1.ping("10.9.0.2", { count: 1 })).received).toBe(1);
		expect((await u1.ping("10.8.0.2", { count: 1 })).received).toBe(1);
		u2.device("vx1").down();
		await u1.ping("10.8.0.2", { count: 1, timeout: "1s" });
		expect(lab.world.dropped.get("vxlan-vni-not-found")).toBeGreaterThan(0);
		expect((await u1.ping("10.9.0.2", { count: 1 })).received).toBe(1);
	});

	test("a frame for another network of the same host never leaves it, and is learned as coming from 127.0.0.1", async () => {
		const { lab, u1, a } = tunnel();
		const other = u1.addVxlan("vx1", { vni: 43 });
		other.up();
		a.addFdb("02:00:00:00:00:0c", { dst: "192.0.2.1", vni: 43 });
		const capture = lab.capture("u1:*");
		const to = [2, 0, 0, 0, 0, 0x0c];
		u1.packetSocket().send(Uint8Array.from([...to, 2, 0, 0, 0, 0, 0x0d, 0x88, 0xb5, 1]), a);
		await lab.advance("1ms");
		expect(capture.sightings("u1:vx1")).toHaveLength(1);
		expect(capture.sightings("u1:eth0")).toHaveLength(0);
		expect(other.fdbShow().map((line) => line.text)).toEqual(["02:00:00:00:00:0d dst 127.0.0.1 self "]);
	});
});

describe("tunnels in tunnels", () => {
	/** Two hosts with `depth` tunnels, each over the one before; the farthest address of the second. */
	function nested(depth: number, mtu: number) {
		const { lab, u1, u2 } = underlay();
		for (const ns of [u1, u2]) ns.device("eth0").setMtu(mtu);
		for (let d = 1; d <= depth; d++) {
			const below = d === 1 ? "192.0.2" : `10.${String(d - 1)}.0`;
			for (const [i, ns] of [u1, u2].entries()) {
				const remote = `${below}.${String(2 - i)}`;
				const vx = ns.addVxlan(`vx${String(d)}`, { vni: d, port: 4789 + d, remote });
				vx.setMtu(mtu - 50 * d);
				vx.addAddress(`10.${String(d)}.0.${String(i + 1)}/24`);
				vx.up();
			}
		}
		return { lab, u1, u2, last: `10.${String(depth)}.0.2` };
	}

	test.each([
		[8, 1500],
		[8, 9000],
	])("%i of them carry the longest packet that fits a wire of %i octets", async (depth, mtu) => {
		const { lab, u1, last } = nested(depth, mtu);
		const capture = lab.capture();
		const payload = mtu - 50 * depth - 28;
		expect((await u1.ping(last, { count: 2, size: payload, mtuDiscovery: "do" })).received).toBe(2);
		const longest = Math.max(...capture.sightings("u1:eth0").map(({ data }) => data.length));
		expect(longest).toBe(mtu + 14);
		await expectCleanInWireshark(capture.toPcapng());
	});

	test("an outer packet of more than 65,535 octets has a length that is cut to its field, and is nobody's", async () => {
		const { lab, u1, u2 } = underlay();
		for (const [i, ns] of [u1, u2].entries())
			addVx(ns, i + 1, { remote: `192.0.2.${String(2 - i)}`, mtu: 65_535 });
		const capture = lab.capture("u1:eth0");
		const reasons: string[] = [];
		lab.onDrop(({ reason }) => reasons.push(reason));
		expect((await u1.ping("10.9.0.2", { count: 1, size: 65_507, timeout: "1s" })).received).toBe(0);
		expect(reasons).toEqual(["frag-too-big"]);
		const headers = capture.sightings().map(({ data }) => new DataView(data.buffer, data.byteOffset + 14));
		const fragments = headers.filter((header) => ipv4.version(header, 0) === 4 && ipv4.isFragment(header, 0));
		expect(fragments).toHaveLength(45);
		for (const header of fragments) {
			expect(ipv4.tos(header, 0)).toBe(0);
			expect(ipv4.isChecksumGood(header, 0)).toBe(true);
		}
	});

	test("a ninth is taken for a loop, as XMIT_RECURSION_LIMIT has it", async () => {
		const { lab, u1, last } = nested(9, 1500);
		const reasons: string[] = [];
		lab.onDrop(({ reason }) => reasons.push(reason));
		expect((await u1.ping(last, { count: 1 })).received).toBe(0);
		expect(reasons).toContain("tunnel-recursion");
	});

	test("a copy of a frame that moved within its store is the frame", () => {
		const frame = new Lab({ seed: 1 }).world.frames.from(new Uint8Array(1514).map((_, i) => i));
		for (let depth = 0; depth < 9; depth++) {
			frame.push(50);
			frame.view.setUint8(frame.start, depth);
		}
		const copy = frame.clone();
		expect(copy.toBytes()).toEqual(frame.toBytes());
		for (let depth = 8; depth >= 0; depth--) {
			expect(frame.view.getUint8(frame.start)).toBe(depth);
			frame.pull(50);
		}
		expect(frame.toBytes()).toEqual(new Uint8Array(1514).map((_, i) => i));
	});
});

describe("what comes in", () => {
	/** Says a VXLAN message with these first words from u2. */
	async function said(first: number, second: number, options: Partial<VxlanOptions> = {}) {
		const { lab, u1, u2, a } = tunnel(options);
		await u2.ping("192.0.2.1", { count: 1 });
		const message = new Uint8Array(8 + 14 + 2);
		const view = new DataView(message.buffer);
		view.setUint32(0, first);
		view.setUint32(4, second);
		message.set([...new Array<number>(6).fill(255), 2, 0, 0, 0, 0, 7, 0x88, 0xb5], 8);
		const marks: number[] = [];
		a.addTap({
			see: (frame: Frame) => {
				marks.push(frame.mark);
			},
		});
		u2.device("vx0").down();
		u2.udp().send(message, { address: "192.0.2.1", port: 4789 });
		await lab.advance("1ms");
		return { marks, dropped: lab.world.dropped, errors: a.counters.rxErrors, u1 };
	}

	test.each([
		["the I flag clear", 0, 42 << 8, {}],
		["a reserved flag set", 0x0800_0100, 42 << 8, {}],
		["the last octet set", 0x0800_0000, (42 << 8) | 1, {}],
		["a group policy nobody asked for", 0x8800_0007, 42 << 8, {}],
		["a reserved flag set beside a policy", 0x8900_0007, 42 << 8, { gbp: true }],
	] as const)("is dropped with %s", async (_, first, second, options) => {
		const { marks, dropped } = await said(first, second, options);
		expect(marks).toEqual([]);
		expect(dropped.get("vxlan-invalid-hdr")).toBe(1);
	});

	test.each([
		[0x8800_1234, 0x1234],
		[0x8848_ffff, 0x48_ffff],
		[0x8800_0000, 0],
		[0x0800_1234, 0],
	])("has the policy of %i as its mark", async (word, mark) => {
		expect((await said(word, 42 << 8, { gbp: true })).marks).toEqual([mark]);
	});
});

describe("what the outer header inherits", () => {
	/** An IPv6 header: traffic class 0xb9 (EF, ECT(1)), hop limit 7, no payload. */
	const IP6 = "6b900000 0000 3b07 20010db8000000000000000000000001 20010db8000000000000000000000002";
	const IP4 = "45b90014 00014000 07000000 0a000001 0a000002";
	/** Says a frame of this type and payload into u1's tunnel and gives TTL, TOS and flags of what leaves. */
	async function outerOf(options: Partial<VxlanOptions>, type: string, payload: string): Promise<unknown[]> {
		const { lab, u1, a } = tunnel(options);
		await u1.ping("10.9.0.2", { count: 1 });
		const capture = lab.capture("u1:eth0");
		const hex = `020000000001 020000000002 ${type} ${payload}`.replaceAll(" ", "");
		a.transmit(frameOf(lab, Uint8Array.from(Buffer.from(hex, "hex"))));
		await lab.advance("1ms");
		const outer = dissect(capture.sightings()[0]?.data ?? new Uint8Array());
		return ["ipv4.ttl", "ipv4.tos", "ipv4.flags"].map((name) => value(outer, name));
	}
	const inherit = { ttl: "inherit", tos: "inherit", df: "inherit" } as const;

	test.each<readonly [string, Partial<VxlanOptions>, string, string, readonly unknown[]]>([
		["IPv4: all three", inherit, "0800", IP4, [7, 0xb9, 2]],
		["IPv6: hop limit, traffic class, and never to be fragmented", inherit, "86dd", IP6, [7, 0xb9, 2]],
		["behind a tag TTL and TOS, not Don't Fragment", inherit, "8100 0005 0800", IP4, [7, 0xb9, 0]],
		["of IPv6 behind a tag the same", inherit, "8100 0005 86dd", IP6, [7, 0xb9, 0]],
		["the ECN bits always, of IPv6 too", {}, "86dd", IP6, [64, 1, 0]],
		["nothing from ARP", inherit, "0806", "00", [64, 0, 0]],
	])("%s", async (_, options, type, payload, outer) => {
		expect(await outerOf(options, type, payload)).toEqual(outer);
	});

	test.each<readonly [string, number, number, number | undefined]>([
		["CE marks ECT(0)", 3, 2, 3],
		["CE ends what has no ECN", 3, 0, undefined],
		["ECT(1) makes ECT(0) ECT(1)", 1, 2, 1],
		["ECT(1) leaves CE and what has no ECN", 1, 3, 3],
		["ECT(1) leaves what has no ECN", 1, 0, 0],
		["ECT(0) changes nothing", 2, 1, 1],
	])("and the packet inside from outside: %s", (_, outer, inner, then) => {
		for (const type of [ethernet.TYPE_IPV4, ethernet.TYPE_IPV6]) {
			const frame = frameOf(new Lab({ seed: 1 }), new Uint8Array(14 + 40));
			frame.view.setUint16(frame.start + 12, type);
			const at = frame.start + ethernet.OCTETS;
			if (type === ethernet.TYPE_IPV4) ipv4.setTos(frame.view, at, inner);
			else frame.view.setUint16(at, 0x6000 | (inner << 4));
			const kept = decapsulateEcn(frame, outer);
			const tos = type === ethernet.TYPE_IPV4 ? ipv4.tos(frame.view, at) : ipv6.trafficClass(frame.view, at);
			expect(kept ? tos : undefined).toBe(then);
			if (type === ethernet.TYPE_IPV6) expect(ipv6.version(frame.view, at)).toBe(6);
		}
	});
});

/** A frame of these octets, in nobody's hands yet. */
function frameOf(lab: Lab, octets: Uint8Array): Frame {
	const frame = lab.world.frames.begin(octets.length);
	frame.bytes.set(octets, frame.start);
	frame.end = frame.start + octets.length;
	return frame;
}

describe("group policy", () => {
	test("carries a packet's mark to the other end, identifier and flags and nothing else", async () => {
		const { lab, u1, b } = tunnel({ gbp: true });
		await u1.ping("10.9.0.2", { count: 1 });
		const marks: number[] = [];
		b.addTap({
			see: (frame: Frame) => {
				marks.push(frame.mark);
			},
		});
		const capture = lab.capture("u1:eth0");
		u1.udp({ mark: 0xff_1234 }).send(Uint8Array.of(1), { address: "10.9.0.2", port: 9 });
		await lab.advance("1ms");
		const [sent] = capture.sightings();
		const flags = value(dissect(sent?.data ?? new Uint8Array()), "vxlan.flags");
		expect(flags).toBe(0x8848_1234);
		expect(marks[0]).toBe(0x48_1234);
		await expectCleanInWireshark(capture.toPcapng());
	});
});

describe("route short circuit", () => {
	/** A client in one subnet, a server in another, both overlay neighbours of u1's device. */
	function shortcut(rsc: boolean, known: boolean) {
		const { lab, u1, a } = tunnel({ rsc, l3miss: true });
		const misses: string[] = [];
		a.missListeners.push((miss) => misses.push(miss.text));
		a.addFdb("02:00:00:00:00:fe", { dst: "192.0.2.9", router: true });
		a.addFdb("02:00:00:00:00:05", { dst: "192.0.2.2" });
		if (known) u1.neigh.add("10.7.0.5", { dev: "vx0", lladdr: "02:00:00:00:00:05" });
		u1.neigh.add("192.0.2.9", { dev: "eth0", lladdr: "02:00:00:00:a0:09" });
		u1.neigh.add("192.0.2.2", { dev: "eth0", lladdr: "02:00:00:00:a0:02" });
		u1.neigh.add("10.9.0.254", { dev: "vx0", lladdr: "02:00:00:00:00:fe" });
		u1.routes.add("10.7.0.0/16", { via: "10.9.0.254" });
		const capture = lab.capture("u1:eth0");
		const sent = async (): Promise<string> => {
			u1.udp().send(Uint8Array.of(1), { address: "10.7.0.5", port: 9 });
			await lab.advance("1ms");
			const layers = dissect(capture.sightings()[0]?.data ?? new Uint8Array());
			const inner = layers.slice(layers.findIndex(({ protocol }) => protocol === "vxlan") + 1);
			const [to, from] = ["ethernet.dst", "ethernet.src"].map((name) =>
				Number(value(inner, name)).toString(16),
			);
			const outer = layers.find(({ protocol }) => protocol === "ipv4");
			const dst = outer?.fields.find(({ name }) => name === "ipv4.destination")?.text ?? "";
			return `${String(from)} > ${String(to)} in ${dst}`;
		};
		return { sent, misses };
	}

	test("takes what is for a router to the host behind it, as if the router had sent it", async () => {
		expect(await shortcut(true, true).sent()).toBe("200000000fe > 20000000005 in 192.0.2.2");
	});

	test("goes to the router when the host is unknown, which is reported, or when it is off", async () => {
		const unknown = shortcut(true, false);
		expect(await unknown.sent()).toBe("2000000b001 > 200000000fe in 192.0.2.9");
		expect(unknown.misses).toEqual(["miss 10.7.0.5 dev vx0 STALE"]);
		expect(await shortcut(false, true).sent()).toContain("> 200000000fe in 192.0.2.9");
	});

	test("a host behind the very device comes back to its bridge", async () => {
		const { lab, u1, a } = tunnel({ rsc: true });
		a.addFdb("02:00:00:00:00:fe", { dst: "192.0.2.9", router: true });
		a.addFdb("02:00:00:00:00:05", { dst: "0.0.0.0" });
		u1.neigh.add("10.7.0.5", { dev: "vx0", lladdr: "02:00:00:00:00:05" });
		u1.neigh.add("10.9.0.254", { dev: "vx0", lladdr: "02:00:00:00:00:fe" });
		u1.routes.add("10.7.0.0/16", { via: "10.9.0.254" });
		const capture = lab.capture("u1:vx0");
		u1.udp().send(Uint8Array.of(1), { address: "10.7.0.5", port: 9 });
		await lab.advance("1ms");
		expect(capture.sightings().map((row) => row.direction)).toEqual([2, 1]);
		expect(a.fdbShow().map((line) => line.text)).toContain(
			"02:00:00:00:00:fe dst 192.0.2.9 self router permanent",
		);
	});
});

describe("a path too small for the tunnel", () => {
	/** A container behind a bridge on u1, its twin on u2, a router with MTU 1400 between; PMTU known after one packet with `df`. */
	async function bridged(df: "set" | "unset") {
		const { lab, u1, u2, far } = underlay({ router: 1400 });
		const containers = [u1, u2].map((ns, i) => {
			const c = lab.netns(`c${String(i + 1)}`);
			const [eth0, port] = lab.veth({ ns: c, name: "eth0" }, { ns, name: "v0" });
			eth0.addAddress(`10.9.0.1${String(i + 1)}/24`);
			const br0 = ns.addBridge("br0");
			const vx = ns.addVxlan("vx0", { vni: 42, remote: i === 0 ? far : "192.0.2.1", df, mtu: 1500 });
			br0.attach(vx);
			br0.attach(port);
			for (const device of [eth0, port, vx, br0]) device.up();
			return c;
		});
		const [c1, c2] = containers as [Netns, Netns];
		await c1.ping("10.9.0.12", { count: 1 });
		return { lab, u1, u2, c1, c2 };
	}

	test("is learned from the router when the outer packet may not be fragmented; then the sender behind the bridge is told", async () => {
		const { lab, c1 } = await bridged("set");
		const outside = lab.capture("u1:eth0");
		await c1.ping("10.9.0.12", { count: 1, size: 1400, mtuDiscovery: "do", timeout: "1s" });
		expect(
			outside
				.sightings()
				.map((row) => tell(row.data))
				.join("\n"),
		).toContain("ICMP unreachable code 4");
		const inside = lab.capture("c1:eth0");
		const told = await c1.ping("10.9.0.12", { count: 1, size: 1400, mtuDiscovery: "do", timeout: "1s" });
		expect(told.received).toBe(0);
		const layers = inside
			.sightings()
			.map((row) => dissect(row.data))
			.find((each) => has(each, "icmp") && value(each, "icmp.type") === icmp.UNREACHABLE);
		const of = (name: string): unknown => value(layers ?? [], name);
		// Spoken in the destination's name, to the sender, with what fits: 1400 less 50.
		expect([of("ipv4.source"), of("ipv4.destination")]).toEqual([0x0a09_000c, 0x0a09_000b]);
		expect([of("ipv4.ttl"), of("ipv4.tos"), of("ipv4.ident"), of("ipv4.totalLength")]).toEqual([
			64, 0, 0, 576,
		]);
		expect(of("icmp.rest")).toBe(1350);
		expect(lab.world.dropped.get("ip-frag-needed")).toBe(2);
		await lab.advance("10s");
		expect(lab.world.frames.taken).toBe(0);
		const small = await c1.ping("10.9.0.12", { count: 1, size: 1322, mtuDiscovery: "do" });
		expect(small.received).toBe(1);
		await expectCleanInWireshark(inside.toPcapng());
	});

	test("is nobody's concern when the outer packet may be fragmented", async () => {
		const { lab, c1 } = await bridged("unset");
		const { received } = await c1.ping("10.9.0.12", {
			count: 2,
			size: 1400,
			mtuDiscovery: "do",
			timeout: "1s",
		});
		expect(received).toBe(2);
		expect(lab.world.dropped.get("ip-frag-needed")).toBeUndefined();
	});

	test("does not hold back what may be fragmented, which leaves in pieces", async () => {
		const { lab, u1, c1 } = await bridged("unset");
		for (const end of [u1.device("eth0"), lab.namespaces.get("r")?.device("u1")]) end?.setMtu(1300);
		const { received } = await c1.ping("10.9.0.12", { count: 1, size: 1400, mtuDiscovery: "dont" });
		expect(received).toBe(1);
		const outside = lab.capture("u1:eth0");
		const told = await c1.ping("10.9.0.12", { count: 1, size: 1400, mtuDiscovery: "do", timeout: "1s" });
		expect(told.received).toBe(0);
		expect(outside.sightings()).toHaveLength(0);
	});
});

describe("what cannot be is refused in the kernel's words and leaves nothing behind", () => {
	test.each<readonly [string, Partial<VxlanOptions>]>([
		["Error: Local interface required for multicast remote destination.", { group: "239.1.1.1" }],
		['Error: argument "239.1.1.1" is wrong: invalid remote address', { remote: "239.1.1.1" }],
		['Error: argument "192.0.2.2" is wrong: invalid group address', { group: "192.0.2.2", dev: "eth0" }],
		['Error: argument "239.1.1.1" is wrong: invalid local address', { local: "239.1.1.1" }],
		[
			"vxlan: both group and remote cannot be specified",
			{ group: "239.1.1.1", remote: "192.0.2.2", dev: "eth0" },
		],
		['Cannot find device "eth7"', { group: "239.1.1.1", dev: "eth7" }],
		["Error: Invalid source port range.", { sourcePorts: [50_000, 40_000] }],
		['Error: argument "70000" is wrong: max port', { sourcePorts: [1, 70_000] }],
		["Error: A VXLAN device with the specified VNI already exists.", { vni: 42 }],
		['Error: argument "16777216" is wrong: invalid id', { vni: 16_777_216 }],
		['Error: argument "256" is wrong: TTL must be <= 255', { ttl: 256 }],
	])("%s", (text, options) => {
		const { u1 } = tunnel();
		const before = u1.devices.length;
		expect(() => u1.addVxlan("bad", { vni: 7, ...options })).toThrow(text);
		expect(u1.devices).toHaveLength(before);
		expect(u1.vxlans.size).toBe(1);
	});

	test("a VNI is taken though its device is down, and free once it is deleted", () => {
		const { u1, a } = tunnel();
		a.down();
		expect(() => u1.addVxlan("vx1", { vni: 42 })).toThrow("already exists");
		a.delete();
		u1.addVxlan("vx1", { vni: 42 }).up();
	});

	test("a device whose port is taken stays down", () => {
		const { u1 } = tunnel();
		const socket = u1.udp({ port: 5000 });
		const vx = u1.addVxlan("vx1", { vni: 43, port: 5000 });
		expect(() => {
			vx.up();
		}).toThrow("RTNETLINK answers: Address already in use");
		expect(vx.isUp).toBe(false);
		socket.close();
		vx.up();
		// With and without group policy, messages of one port mean different things.
		const policy = u1.addVxlan("vx2", { vni: 44, gbp: true });
		expect(() => {
			policy.up();
		}).toThrow("RTNETLINK answers: Address already in use");
	});

	test("an MTU beyond the lower device's is refused, and cut at creation", () => {
		const { u1 } = underlay();
		expect(u1.addVxlan("vx1", { vni: 1, ...GROUP, mtu: 1500 }).mtu).toBe(1450);
		expect(() => {
			u1.device("vx1").setMtu(1451);
		}).toThrow("RTNETLINK answers: Invalid argument");
		expect(u1.addVxlan("vx2", { vni: 2, ...GROUP, mtu: 1400 }).mtu).toBe(1400);
	});
});

test("an empty source port range means the machine's own", async () => {
	const { lab, u1 } = tunnel({ sourcePorts: [0, 0] });
	const capture = lab.capture("u1:eth0");
	await u1.ping("10.9.0.2", { count: 1 });
	const ports = capture
		.sightings()
		.map((row) => value(dissect(row.data), "udp.sourcePort"))
		.filter((port) => port !== undefined);
	for (const port of ports) expect(Number(port)).toBeGreaterThanOrEqual(32_768);
	expect([ethernet.OCTETS + ipv4.MIN_OCTETS + 8 + vxlan.OCTETS, ports.length > 0]).toEqual([50, true]);
});

test.each<readonly [string, VxlanOptions]>([
	// As recorded (k1-vxlan-unicast, k2-vxlan-multi, 05-overlay).
	[
		"vxlan id 42 group 239.1.1.1 local 192.0.2.1 dev eth0 srcport 0 0 dstport 4789 ttl auto ageing 300 udpcsum noudp6zerocsumtx noudp6zerocsumrx ",
		{ vni: 42, local: "192.0.2.1", ...GROUP },
	],
	[
		"vxlan id 42 local 192.0.2.1 srcport 0 0 dstport 4789 nolearning proxy l2miss l3miss ttl auto ageing 300 udpcsum noudp6zerocsumtx noudp6zerocsumrx ",
		{ vni: 42, local: "192.0.2.1", learning: false, proxy: true, l2miss: true, l3miss: true },
	],
	[
		"vxlan id 4097 srcport 0 0 dstport 4789 proxy l2miss l3miss ttl auto ageing 300 udpcsum noudp6zerocsumtx noudp6zerocsumrx ",
		{ vni: 4097, proxy: true, l2miss: true, l3miss: true },
	],
	// By iproute2's source.
	[
		"vxlan id 7 remote 192.0.2.2 srcport 50000 50010 dstport 8472 rsc tos 0x10 ttl 7 df set ageing 60 noudpcsum noudp6zerocsumtx noudp6zerocsumrx gbp ",
		{
			vni: 7,
			remote: "192.0.2.2",
			sourcePorts: [50_000, 50_010],
			port: 8472,
			rsc: true,
			tos: 0x10,
			ttl: 7,
			df: "set",
			ageing: "60s",
			udpChecksum: false,
			gbp: true,
		},
	],
])("ip -d link show says %s", (text, options) => {
	expect(underlay().u1.addVxlan("vx0", options).text).toBe(text);
});
