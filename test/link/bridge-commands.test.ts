import { describe, expect, test } from "vitest";
import { type Bridge, Lab, NetError } from "../../src/index.ts";

/** A bridge br0 with ports p0, p1, p2, each with a host behind it. */
function bridged(options: Parameters<ReturnType<Lab["netns"]>["addBridge"]>[1] = {}) {
	const lab = new Lab({ seed: 1 });
	const sw = lab.netns("sw");
	const br0 = sw.addBridge("br0", options);
	br0.up();
	const hosts = [0, 1, 2].map((i) => {
		const ns = lab.netns(`h${String(i)}`);
		const [eth0, outer] = lab.veth(
			{ ns, name: "eth0", mac: `02:00:00:00:00:0${String(i)}` },
			{ ns: sw, name: `p${String(i)}`, mac: `0a:00:00:00:00:0${String(i)}` },
		);
		const port = br0.attach(outer);
		for (const end of [eth0, outer]) end.up();
		eth0.addAddress(`10.0.0.${String(i + 1)}/24`);
		return { ns, eth0, outer, port };
	});
	return { lab, sw, br0, hosts, ports: hosts.map(({ outer }) => outer) };
}

/** What a refused command says. */
function refusal(command: () => unknown): string {
	try {
		command();
	} catch (error) {
		if (error instanceof NetError) return `${error.code} ${error.message}`;
		throw error;
	}
	return "done";
}

const HOST = "02:00:00:00:00:77";

describe("bridge fdb", () => {
	test("without a VLAN an entry is made for none and for each of the port's", () => {
		const { sw, br0, ports } = bridged();
		br0.vlan.add(ports[1]!, "20-21");
		br0.fdb.add(HOST, { dev: ports[1]!, kind: "static" });
		const lines = sw.bridgeTool
			.fdb({ br: "br0" })
			.text.split("\n")
			.filter((line) => line.includes(":77"));
		expect(lines).toEqual([
			`${HOST} dev p1 vlan 21 master br0 static`,
			`${HOST} dev p1 vlan 20 master br0 static`,
			`${HOST} dev p1 vlan 1 master br0 static`,
			`${HOST} dev p1 master br0 static`,
		]);
		br0.fdb.del(HOST, { dev: ports[1]! });
		expect(sw.bridgeTool.fdb().text).not.toContain(":77");
	});

	test("shows what a control plane learned, what sticks, and how long ago", async () => {
		const { lab, sw, br0, ports } = bridged({ defaultPvid: 0 });
		br0.fdb.add(HOST, { dev: ports[0]!, kind: "extern_learn" });
		br0.fdb.add("02:00:00:00:00:78", { dev: ports[0]!, kind: "dynamic", sticky: true });
		await lab.advance("7s");
		const [sticky, external] = sw.bridgeTool.fdb({ dev: "p0", statistics: true }).json;
		expect(sticky).toMatchObject({ flags: ["sticky"], used: 7, updated: 7, state: "" });
		expect(external).toMatchObject({ flags: ["extern_learn"], master: "br0" });
		expect(external).not.toHaveProperty("ifname");
	});

	test("what moves follows its address at once, unless it sticks; extern_learn becomes learned", async () => {
		const { lab, br0, hosts, ports } = bridged();
		br0.fdb.add("02:00:00:00:00:01", { dev: ports[0]!, kind: "extern_learn", vlan: 1 });
		br0.fdb.replace("02:00:00:00:00:01", { dev: ports[0]!, kind: "extern_learn" });
		br0.fdb.replace("02:00:00:00:00:02", { dev: ports[0]!, kind: "static", sticky: true });
		void hosts[1]!.ns.ping("10.0.0.99", { count: 1, timeout: "1s" });
		void hosts[2]!.ns.ping("10.0.0.99", { count: 1, timeout: "1s" });
		await lab.advance("10ms");
		expect(br0.fdb.find(hosts[1]!.eth0.mac)).toMatchObject({ port: hosts[1]!.port, kind: "dynamic" });
		expect(br0.fdb.find(hosts[2]!.eth0.mac)).toMatchObject({ port: hosts[0]!.port, kind: "static" });
	});

	test("flush leaves what was set by hand", async () => {
		const { lab, br0, hosts, ports } = bridged();
		br0.fdb.add(HOST, { dev: ports[0]!, kind: "static" });
		void hosts[1]!.ns.ping("10.0.0.1", { count: 1 });
		await lab.advance("1s");
		expect(br0.fdb.find(hosts[1]!.eth0.mac)?.kind).toBe("dynamic");
		br0.fdb.flush();
		expect(br0.fdb.find(hosts[1]!.eth0.mac)).toBeUndefined();
		expect(br0.fdb.find(br0.mac)?.kind).toBe("local");
		expect(br0.fdb.entries().some((entry) => entry.kind === "static")).toBe(true);
	});

	test("flush with words takes what is all of that, and without any word all, own addresses too", async () => {
		const { lab, sw, br0, hosts, ports } = bridged({ defaultPvid: 0 });
		const [stays, learnt] = ["02:00:00:00:00:71", "02:00:00:00:00:72"];
		const left = (): string[] =>
			br0.fdb.entries().map(({ kind, mac }) => `${kind} ${mac.toString(16).slice(-2)}`);
		br0.fdb.add(stays, { dev: ports[0]!, kind: "static" });
		br0.fdb.add(learnt, { dev: ports[1]!, kind: "extern_learn" });
		void hosts[2]!.ns.ping("10.0.0.1", { count: 1 });
		await lab.advance("1s");
		const all = left();
		br0.fdb.flush({ brport: ports[0]!, static: false, permanent: false });
		expect(left()).toEqual(all.filter((each) => each !== "dynamic 00"));
		br0.fdb.flush({ dynamic: true, externLearn: false });
		expect(left().filter((each) => !each.startsWith("local"))).toEqual(["extern_learn 72", "static 71"]);
		br0.fdb.flush();
		expect(left().filter((each) => !each.startsWith("local"))).toEqual(["static 71"]);
		br0.fdb.flush({ static: true, permanent: false });
		expect(left().filter((each) => !each.startsWith("local"))).toEqual([]);
		// To the kernel, own addresses are static entries.
		br0.fdb.flush({ static: true, brport: ports[1]! });
		expect(left()).toEqual(all.filter((each) => each.startsWith("local") && !each.endsWith("01")));
		br0.fdb.flush({});
		expect(sw.bridgeTool.fdb({ br: "br0" }).text).not.toContain("master br0");
	});

	test("add stops at an entry of one VLAN and has made none for the others; extern_learn takes over", async () => {
		const { lab, sw, br0, hosts, ports } = bridged({ vlanFiltering: true });
		br0.vlan.add(ports[1]!, 10);
		void hosts[1]!.ns.ping("10.0.0.99", { count: 1, timeout: "1s" });
		await lab.advance("10ms");
		const mac = hosts[1]!.eth0.mac;
		const rows = (): unknown[] =>
			sw.bridgeTool
				.fdb({ br: "br0" })
				.json.filter((row) => row.mac === "02:00:00:00:00:01")
				.map(({ vlan, state, flags }) => [vlan, state, ...flags]);
		expect(refusal(() => br0.fdb.add(mac, { dev: ports[1]!, kind: "static" }))).toBe(
			"EEXIST RTNETLINK answers: File exists",
		);
		expect(rows()).toEqual([[1, ""]]);
		br0.fdb.add(mac, { dev: ports[1]!, kind: "extern_learn", vlan: 1 });
		expect(rows()).toEqual([[1, "", "extern_learn"]]);
	});

	test.each<[string, (of: ReturnType<typeof bridged>) => unknown, string]>([
		[
			"VLAN 0",
			({ br0, ports }) => br0.fdb.add(HOST, { dev: ports[0]!, vlan: 0 }),
			"EINVAL Error: invalid vlan id.",
		],
		[
			"VLAN 4095",
			({ br0, ports }) => br0.fdb.del(HOST, { dev: ports[0]!, vlan: 4095 }),
			"EINVAL Error: invalid vlan id.",
		],
		[
			"deleting in a VLAN that the port is not in",
			({ br0, ports }) => br0.fdb.del(HOST, { dev: ports[0]!, vlan: 9 }),
			"EINVAL RTNETLINK answers: Invalid argument",
		],
		[
			"deleting all zeros, which cannot be there",
			({ br0, ports }) => br0.fdb.del("00:00:00:00:00:00", { dev: ports[0]! }),
			"ENOENT RTNETLINK answers: No such file or directory",
		],
		[
			"an entry that is there, learned or not",
			({ br0, ports }) => [1, 2].map(() => br0.fdb.add(HOST, { dev: ports[0]!, kind: "dynamic" })),
			"EEXIST RTNETLINK answers: File exists",
		],
		[
			"a port of another bridge",
			({ br0, hosts }) => br0.fdb.add(HOST, { dev: hosts[0]!.eth0 }),
			"EOPNOTSUPP RTNETLINK answers: Operation not supported",
		],
		[
			"a VLAN that the port is not in",
			({ br0, ports }) => br0.fdb.add(HOST, { dev: ports[0]!, vlan: 9 }),
			"EINVAL RTNETLINK answers: Invalid argument",
		],
		[
			"an address of the bridge that is not permanent",
			({ br0 }) => br0.fdb.add(HOST, { dev: br0, kind: "static" }),
			"EINVAL RTNETLINK answers: Invalid argument",
		],
		[
			"all zeros",
			({ br0, ports }) => br0.fdb.add("00:00:00:00:00:00", { dev: ports[0]! }),
			"EINVAL RTNETLINK answers: Invalid argument",
		],
		[
			"a dynamic entry at a port that does not learn",
			({ br0, ports }) => {
				ports[0]!.down();
				br0.fdb.add(HOST, { dev: ports[0]!, kind: "dynamic" });
			},
			"EPERM RTNETLINK answers: Operation not permitted",
		],
		[
			"deleting what is at another port",
			({ br0, ports }) => br0.fdb.del("0a:00:00:00:00:01", { dev: ports[0]! }),
			"ENOENT RTNETLINK answers: No such file or directory",
		],
	])("refuses %s", (_, command, text) => {
		expect(refusal(() => command(bridged()))).toBe(text);
	});
});

describe("bridge vlan", () => {
	test("a port without a PVID drops what comes untagged, and still says what is tagged", async () => {
		const { lab, br0, hosts, ports } = bridged({ vlanFiltering: true });
		const [h0, h1] = hosts;
		br0.vlan.del(ports[0]!, 1);
		br0.vlan.add(ports[0]!, 10);
		br0.vlan.add(ports[1]!, 10, { pvid: true, untagged: true });
		const reasons: string[] = [];
		lab.onDrop(({ reason, place }) => reasons.push(`${place} ${reason}`));
		void h0!.ns.ping("10.0.0.2", { count: 1, timeout: "1s" });
		await lab.advance("10ms");
		expect(reasons).toEqual(["sw:p0 vlan-ingress"]);
		const capture = lab.capture("h0:eth0");
		void h1!.ns.ping("10.0.0.1", { count: 1, timeout: "1s" });
		await lab.advance("10ms");
		expect(capture.sightings().map(({ data }) => [data[12], data[13], data[15]])).toEqual([[0x81, 0, 10]]);
	});

	test("a priority tag keeps its priority and takes the port's VLAN", async () => {
		const { lab, br0, hosts, ports } = bridged({ vlanFiltering: true });
		br0.vlan.add(ports[1]!, 1, { untagged: false });
		const capture = lab.capture("h1:eth0");
		const bytes = Uint8Array.from([
			...[255, 255, 255, 255, 255, 255],
			2,
			0,
			0,
			0,
			0,
			0,
			0x81,
			0,
			0xa0,
			0,
			0x88,
			0xb5,
			1,
		]);
		hosts[0]!.ns.packetSocket().send(bytes, hosts[0]!.eth0);
		await lab.advance("1ms");
		expect(capture.sightings().map(({ data }) => [...data.subarray(12, 16)])).toEqual([[0x81, 0, 0xa0, 1]]);
	});

	test("with vlan_protocol 802.1ad customer tags are payload and stay", async () => {
		const { lab, br0, hosts, ports } = bridged({ vlanFiltering: true, vlanProtocol: "802.1ad" });
		br0.vlan.add(ports[1]!, 1, { untagged: false });
		const capture = lab.capture("h1:eth0");
		const bytes = Uint8Array.from([
			...[255, 255, 255, 255, 255, 255],
			2,
			0,
			0,
			0,
			0,
			0,
			0x81,
			0,
			0,
			7,
			0x88,
			0xb5,
			1,
		]);
		hosts[0]!.ns.packetSocket().send(bytes, hosts[0]!.eth0);
		await lab.advance("1ms");
		expect(capture.sightings().map(({ data }) => [...data.subarray(12, 20)])).toEqual([
			[0x88, 0xa8, 0, 1, 0x81, 0, 0, 7],
		]);
	});

	test("the bridge itself hears only the VLANs it is in; a VLAN device on it takes their tags", async () => {
		const { lab, sw, br0, hosts, ports } = bridged({ vlanFiltering: true });
		br0.vlan.add(ports[0]!, 10, { pvid: true, untagged: true });
		const vlan = sw.addVlan(br0, 10);
		vlan.up();
		vlan.addAddress("10.0.0.254/24");
		const before = await hosts[0]!.ns.ping("10.0.0.254", { count: 1, timeout: "1s" });
		br0.vlan.add(br0, 10);
		hosts[0]!.ns.neigh.flush();
		const after = await hosts[0]!.ns.ping("10.0.0.254", { count: 1, timeout: "1s" });
		expect([before.received, after.received]).toEqual([0, 1]);
		expect(lab.world.dropped.get("vlan-egress")).toBeGreaterThan(0);
	});

	test("prints JSON in iproute2's shape", () => {
		const { sw, br0, ports } = bridged();
		br0.vlan.add(ports[0]!, 10);
		expect(sw.bridgeTool.vlan({ dev: "p0" }).json).toEqual([
			{ ifname: "p0", vlans: [{ vlan: 1, flags: ["PVID", "Egress Untagged"] }, { vlan: 10 }] },
		]);
	});

	test("devices stand in the order in which they came, bridges among their ports", () => {
		const lab = new Lab({ seed: 1 });
		const sw = lab.netns("sw");
		sw.addBridge("docker0");
		const br0 = sw.addBridge("docker_gwbridge");
		const [veth] = lab.veth({ ns: sw, name: "veth0ab13dc" }, { ns: lab.netns("c1"), name: "eth0" });
		br0.attach(veth);
		// 09-ingress, state of node1.
		expect(sw.bridgeTool.vlan().text).toBe(
			[
				"port              vlan-id  ",
				"docker0           1 PVID Egress Untagged",
				"docker_gwbridge   1 PVID Egress Untagged",
				"veth0ab13dc       1 PVID Egress Untagged",
				"",
			].join("\n"),
		);
	});

	test("a new default PVID moves everyone who was in the old one", () => {
		const { sw, br0, ports } = bridged();
		br0.vlan.add(ports[2]!, 30, { pvid: true, untagged: true });
		br0.set({ defaultPvid: 5 });
		expect(sw.bridgeTool.vlan().text).toBe(
			[
				"port              vlan-id  ",
				"br0               5 PVID Egress Untagged",
				"p0                5 PVID Egress Untagged",
				"p1                5 PVID Egress Untagged",
				"p2                1 Egress Untagged",
				"                  30 PVID Egress Untagged",
				"",
			].join("\n"),
		);
	});

	test("a default PVID that is the one already, or that filtering is on, changes nothing else", () => {
		const { sw, br0, ports } = bridged({ vlanFiltering: true });
		const before = sw.bridgeTool.vlan().text;
		br0.set({ defaultPvid: 1 });
		expect(sw.bridgeTool.vlan().text).toBe(before);
		br0.vlan.add(ports[1]!, 7);
		br0.set({ defaultPvid: 7 });
		expect(sw.bridgeTool.vlan().text).toBe(
			[
				"port              vlan-id  ",
				"br0               7 PVID Egress Untagged",
				"p0                7 PVID Egress Untagged",
				// Somebody had decided what the port is to be in VLAN 7.
				"p1                1 PVID Egress Untagged",
				"                  7",
				"p2                7 PVID Egress Untagged",
				"",
			].join("\n"),
		);
		br0.set({ defaultPvid: 0 });
		expect(sw.bridgeTool.vlan().json.map(({ ifname }) => ifname)).toEqual(["p1"]);
	});

	test.each<[string, (of: ReturnType<typeof bridged>) => unknown, string]>([
		["an id beyond 4095", ({ br0, ports }) => br0.vlan.add(ports[0]!, 5000), 'EINVAL Invalid VLAN ID "5000"'],
		["id 0", ({ br0, ports }) => br0.vlan.add(ports[0]!, 0), "EINVAL Error: bridge: Vlan id is invalid."],
		[
			"id 4095",
			({ br0, ports }) => br0.vlan.add(ports[0]!, 4095),
			"EINVAL Error: bridge: Vlan id is invalid.",
		],
		[
			"a range up to 4095",
			({ br0, ports }) => br0.vlan.add(ports[0]!, "4090-4095"),
			"EINVAL Error: bridge: Vlan id is invalid.",
		],
		[
			"a range that goes backwards",
			({ br0, ports }) => br0.vlan.del(ports[0]!, "20-10"),
			'EINVAL Invalid VLAN range "20-10"',
		],
		[
			"a range of one",
			({ br0, ports }) => br0.vlan.add(ports[0]!, "20-20"),
			'EINVAL Invalid VLAN range "20-20"',
		],
		[
			"a range as PVID",
			({ br0, ports }) => br0.vlan.add(ports[0]!, "2-3", { pvid: true }),
			"EINVAL pvid cannot be configured for a vlan range",
		],
		[
			"a default PVID of 4095",
			({ br0 }) => br0.set({ defaultPvid: 4095 }),
			"EINVAL RTNETLINK answers: Invalid argument",
		],
		[
			"a default PVID that no 16 bits hold",
			({ br0 }) => br0.set({ defaultPvid: 70_000 }),
			'EINVAL Error: argument "70000" is wrong: invalid default pvid',
		],
		[
			"a device that is no port",
			({ br0, hosts }) => br0.vlan.add(hosts[0]!.eth0, 2),
			"EOPNOTSUPP RTNETLINK answers: Operation not supported",
		],
	])("refuses %s", (_, command, text) => {
		const net = bridged();
		const before = net.sw.bridgeTool.vlan().text;
		expect(refusal(() => command(net))).toBe(text);
		expect(net.sw.bridgeTool.vlan().text).toBe(before);
	});
});

describe("bridge link set", () => {
	test("a locked port lets only those speak who are in the table there", async () => {
		const { lab, br0, hosts, ports } = bridged();
		hosts[0]!.port.set({ locked: true, learning: false });
		br0.fdb.flush();
		const shut = await hosts[0]!.ns.ping("10.0.0.2", { count: 1, timeout: "1s" });
		br0.fdb.add("02:00:00:00:00:00", { dev: ports[0]!, kind: "static" });
		const open = await hosts[0]!.ns.ping("10.0.0.2", { count: 1, timeout: "1s" });
		expect([shut.received, open.received]).toEqual([0, 1]);
		expect(lab.world.dropped.get("bridge-locked")).toBeGreaterThan(0);
	});

	test("a BPDU at a guarded port shuts it", async () => {
		const { lab, hosts, br0 } = bridged({ stp: true });
		hosts[0]!.port.set({ guard: true });
		const far = hosts[0]!.ns.addBridge("br9", { stp: true, priority: 0 });
		hosts[0]!.eth0.removeAddress("10.0.0.1/24");
		far.attach(hosts[0]!.eth0);
		far.up();
		await lab.advance("3s");
		expect(br0.port(hosts[0]!.outer)?.state).toBe("disabled");
		expect(lab.world.dropped.get("stp-guard")).toBe(1);
		expect(br0.stp.isRoot).toBe(true);
	});

	test("a port that was shut stays so while its address and MTU change, until its link comes anew", () => {
		const { hosts } = bridged();
		const [{ port, outer, eth0 }] = hosts as [(typeof hosts)[number]];
		port.set({ state: "disabled" });
		outer.setMtu(1400);
		outer.setMac("0a:00:00:00:00:77");
		expect(port.state).toBe("disabled");
		eth0.down();
		eth0.up();
		expect(port.state).toBe("forwarding");
	});

	test("root_block keeps the root where it is, and the port from forwarding while it hears of a better one", async () => {
		const { lab, hosts, br0 } = bridged({ stp: true });
		hosts[0]!.port.set({ rootBlock: true });
		hosts[0]!.eth0.removeAddress("10.0.0.1/24");
		const far = hosts[0]!.ns.addBridge("br9", { stp: true, priority: 0 });
		far.attach(hosts[0]!.eth0);
		far.up();
		await lab.advance("120s");
		expect(br0.stp.isRoot).toBe(true);
		expect(hosts[0]!.port.state).not.toBe("forwarding");
		expect(hosts[1]!.port.state).toBe("forwarding");
	});

	test("an answer of the bridge's has the VLAN tag of the question, its priority too", async () => {
		const { lab, sw, br0, hosts, ports } = bridged({ vlanFiltering: true });
		for (const dev of [ports[0]!, ports[1]!, br0]) br0.vlan.add(dev, 30);
		const vlan = sw.addVlan(br0, 30);
		vlan.up();
		sw.neigh.add("10.0.0.2", { lladdr: "02:00:00:00:00:01", dev: "br0.30" });
		br0.fdb.add("02:00:00:00:00:01", { dev: ports[1]!, kind: "static", vlan: 30 });
		hosts[1]!.port.set({ neighSuppress: true });
		const capture = lab.capture("h0:eth0");
		const question =
			"ffffffffffff 020000000000 8100 a01e 0806 0001080006040001 020000000000 0a000001 000000000000 0a000002";
		hosts[0]!.ns
			.packetSocket()
			.send(Uint8Array.from(Buffer.from(question.replaceAll(" ", ""), "hex")), hosts[0]!.eth0);
		await lab.advance("1ms");
		expect(
			capture
				.sightings()
				.filter(({ direction }) => direction === 1)
				.map(({ data }) => Buffer.from(data).toString("hex")),
		).toEqual([
			"020000000000020000000001" +
				"8100a01e" +
				"08060001080006040002" +
				"0200000000010a000002" +
				"0200000000000a000001",
		]);
	});

	test("neigh_suppress keeps questions for the bridge's own addresses from its ports, those of a macvlan on it too", async () => {
		const { lab, sw, br0, hosts } = bridged();
		hosts[1]!.port.set({ neighSuppress: true });
		br0.addAddress("10.0.0.253/24");
		const child = lab.netns("child");
		const mv0 = sw.addMacvlan(br0, "mv0", { mode: "bridge" });
		sw.move(mv0, child);
		mv0.up();
		mv0.addAddress("10.0.0.254/24");
		const capture = lab.capture("h1:eth0");
		const reached = async (address: string): Promise<number> => {
			const before = capture.log.size;
			await hosts[0]!.ns.ping(address, { count: 1, timeout: "1s" });
			return capture
				.sightings()
				.slice(before)
				.filter(({ data, direction }) => direction === 1 && data[13] === 6).length;
		};
		expect(await reached("10.0.0.253")).toBe(0);
		expect(await reached("10.0.0.254")).toBe(0);
		expect(await reached("10.0.0.99")).toBeGreaterThan(0);
	});

	test("proxyarp_wifi answers for hosts behind its own port, too", async () => {
		const { lab, sw, br0, hosts } = bridged();
		sw.neigh.add("10.0.0.2", { lladdr: "02:00:00:00:00:01", dev: "br0" });
		br0.fdb.add("02:00:00:00:00:01", { dev: hosts[1]!.outer, kind: "static" });
		hosts[1]!.port.set({ proxyArpWifi: true });
		const capture = lab.capture("h1:eth0");
		hosts[0]!.ns.udp().send(new Uint8Array(1), { address: "10.0.0.2", port: 9 });
		await lab.advance("1ms");
		// The question was answered on its way: the host behind the port sees the datagram only.
		expect(
			capture
				.sightings()
				.filter(
					({ data, direction }) => direction === 1 && data[12] === 8 && data[13] === 6 && data[0] === 255,
				),
		).toEqual([]);
	});

	test.each<[string, (of: ReturnType<typeof bridged>) => unknown, string]>([
		[
			"priority 64",
			({ hosts }) => hosts[0]!.port.set({ priority: 64 }),
			"ERANGE RTNETLINK answers: Numerical result out of range",
		],
		[
			"cost 0",
			({ hosts }) => hosts[0]!.port.set({ cost: 0 }),
			"ERANGE RTNETLINK answers: Numerical result out of range",
		],
		[
			"a state while STP runs",
			({ br0, hosts }) => {
				br0.set({ stp: true });
				hosts[0]!.port.set({ state: "forwarding" });
			},
			"EBUSY RTNETLINK answers: Device or resource busy",
		],
		[
			"a state of a port that is down",
			({ hosts }) => {
				hosts[0]!.eth0.down();
				hosts[0]!.port.set({ state: "forwarding" });
			},
			"ENETDOWN RTNETLINK answers: Network is down",
		],
		[
			"a state of a port whose device is down, even disabled",
			({ hosts }) => {
				hosts[0]!.outer.down();
				hosts[0]!.port.set({ state: "disabled" });
			},
			"ENETDOWN RTNETLINK answers: Network is down",
		],
		[
			"a state there is not",
			({ hosts }) => hosts[0]!.port.set({ state: "discarding" as "disabled" }),
			"EINVAL Error: invalid STP port state",
		],
		[
			"hello 11 s",
			({ br0 }) => br0.set({ helloTime: "11s" }),
			"ERANGE RTNETLINK answers: Numerical result out of range",
		],
		[
			"forward delay 1 s with STP",
			({ br0 }) => {
				br0.set({ stp: true });
				br0.set({ forwardDelay: "1s" });
			},
			"ERANGE RTNETLINK answers: Numerical result out of range",
		],
		[
			"mask 0xffff",
			({ br0 }) => br0.set({ groupFwdMask: 0xffff }),
			"EINVAL RTNETLINK answers: Invalid argument",
		],
	])("refuses %s", (_, command, text) => {
		expect(refusal(() => command(bridged()))).toBe(text);
	});
});

describe("ip link set … master", () => {
	const busy = "EBUSY RTNETLINK answers: Device or resource busy";
	test.each<[string, (of: ReturnType<typeof bridged>) => unknown, string]>([
		["a VLAN of the bridge itself", ({ sw, br0 }) => br0.attach(sw.addVlan(br0, 10)), busy],
		["a macvlan on the bridge itself", ({ sw, br0 }) => br0.attach(sw.addMacvlan(br0, "mv0")), busy],
		[
			"a tunnel that leaves by the bridge",
			({ sw, br0 }) => br0.attach(sw.addVxlan("vx0", { vni: 1, dev: br0, remote: "10.0.0.1" })),
			busy,
		],
		[
			"what lies on it by way of another bridge",
			({ sw, br0 }) => {
				const br1 = sw.addBridge("br1");
				br1.attach(sw.addVlan(br0, 10));
				br0.attach(sw.addVlan(br1, 20));
			},
			busy,
		],
		[
			"more than eight devices on top of each other",
			({ sw, br0 }) => {
				let top = br0;
				for (let i = 1; i < 5; i++) {
					const next = sw.addBridge(`br${String(i)}`);
					next.attach(sw.addVlan(top, i));
					top = next;
				}
			},
			"EMLINK RTNETLINK answers: Too many links",
		],
	])("refuses %s", (_, command, text) => {
		expect(refusal(() => command(bridged()))).toBe(text);
	});
});

describe("STP set while the bridge runs", () => {
	/**
	 * Two bridges with two links between them, which STP finds already looped. They do not snoop: what they would report of
	 * themselves would go round for ever.
	 */
	function looped() {
		const lab = new Lab({ seed: 1 });
		const [a, b] = ["a", "b"].map((name) => lab.netns(name).addBridge("br0", { mcastSnooping: false })) as [
			Bridge,
			Bridge,
		];
		for (const name of ["x", "y"]) {
			const ends = lab.veth({ ns: lab.namespaces.get("a")!, name }, { ns: lab.namespaces.get("b")!, name });
			a.attach(ends[0]);
			b.attach(ends[1]);
			for (const end of ends) end.up();
		}
		for (const bridge of [a, b]) bridge.up();
		return { lab, a, b, states: () => [a, b].flatMap(({ ports }) => ports.map(({ state }) => state)) };
	}

	test("begins to say hello a hello time later, and a port that closes a loop blocks then", async () => {
		const { lab, a, b, states } = looped();
		await lab.advance("1s");
		const capture = lab.capture("a:x");
		for (const bridge of [a, b]) bridge.set({ stp: true });
		await lab.advance("1.9s");
		expect([capture.sightings().length, states()]).toEqual([0, new Array(4).fill("forwarding")]);
		await lab.advance("1s");
		expect(states().filter((state) => state === "blocking")).toHaveLength(1);
		await lab.advance("10s");
		expect(capture.sightings().length).toBeGreaterThanOrEqual(6);
	});

	test("switched off, blocked ports stay so until what they heard is too old; then the loop is closed", async () => {
		const { lab, a, b, states } = looped();
		for (const bridge of [a, b]) bridge.set({ stp: true });
		await lab.advance("40s");
		for (const bridge of [a, b]) bridge.set({ stp: false });
		await lab.advance("15s");
		expect(states().filter((state) => state === "blocking")).toHaveLength(1);
		await lab.advance("10s");
		expect(states()).toEqual(new Array(4).fill("forwarding"));
	});

	test("a forward delay out of range is kept while STP is off, and bent to the nearest when it starts", () => {
		const { a } = looped();
		const delay = (): number => a.owner.jiffies.nanoseconds(a.stp.forwardDelay) / 1e9;
		a.set({ forwardDelay: "0s" });
		expect(delay()).toBe(0);
		a.set({ stp: true });
		expect(delay()).toBe(2);
		a.set({ stp: false, forwardDelay: "30s" });
		a.set({ forwardDelay: "40s" });
		a.set({ stp: true });
		expect(delay()).toBe(30);
	});
});

describe("a bridge as a device", () => {
	test("has no carrier without a port that forwards", async () => {
		const { lab, br0, hosts } = bridged();
		expect(br0.carrier).toBe(true);
		for (const { eth0 } of hosts) eth0.down();
		expect(br0.carrier).toBe(false);
		hosts[0]!.eth0.up();
		expect(br0.carrier).toBe(true);
		br0.set({ stp: true, forwardDelay: "2s" });
		hosts[0]!.eth0.down();
		hosts[0]!.eth0.up();
		expect(br0.carrier).toBe(false);
		await lab.advance("5s");
		expect(br0.carrier).toBe(true);
	});

	test("loses its address with its last port, unless it was set", () => {
		const { br0, ports } = bridged();
		for (const port of ports) br0.detach(port);
		expect([br0.macText, br0.mtu]).toEqual(["00:00:00:00:00:00", 1500]);
	});

	test("what is on it loses its address with it, and cannot be a port then", () => {
		const { sw, br0, ports } = bridged();
		const children = [sw.addVlan(br0, 10), sw.addIpvlan(br0, "iv0", { mode: "l2" })];
		for (const child of children) child.up();
		for (const port of ports) br0.detach(port);
		expect(children.map(({ macText }) => macText)).toEqual(["00:00:00:00:00:00", "00:00:00:00:00:00"]);
		const br1 = sw.addBridge("br1");
		expect(refusal(() => br1.attach(children[0]!))).toBe("EINVAL RTNETLINK answers: Invalid argument");
		br0.attach(ports[2]!);
		expect(children.map(({ macText }) => macText)).toEqual(["0a:00:00:00:00:02", "0a:00:00:00:00:02"]);
	});

	test("of several addresses moves to another namespace without any, routes and all", () => {
		const { lab, sw, hosts } = bridged();
		const [{ ns, eth0 }] = hosts as [(typeof hosts)[0]];
		for (const address of ["10.0.0.7/24", "10.0.0.8/24", "192.0.2.1/32"]) eth0.addAddress(address);
		const elsewhere = lab.netns("elsewhere");
		ns.move(eth0, elsewhere);
		expect([eth0.owner.name, ns.routes.show(), elsewhere.routes.show()]).toEqual(["elsewhere", "", ""]);
		expect(sw.device("p0").carrier).toBe(false);
	});

	test("brctl show lists bridges and ports by name", () => {
		const { sw } = bridged();
		sw.addBridge("br1", { mac: "02:42:4b:d0:5f:73", stp: true });
		expect(sw.brctl.show()).toBe(
			[
				"bridge name\tbridge id\t\tSTP enabled\tinterfaces",
				"br0\t\t8000.0a0000000000\tno\t\tp0",
				"\t\t\t\t\t\t\tp1",
				"\t\t\t\t\t\t\tp2",
				"br1\t\t8000.02424bd05f73\tyes\t\t",
				"",
			].join("\n"),
		);
		expect(refusal(() => sw.brctl.showStp("br7"))).toBe("ENODEV can't get info: No such device");
	});
});
