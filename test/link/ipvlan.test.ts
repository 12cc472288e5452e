import { describe, expect, test } from "vitest";
import { type Mac } from "../../src/addr/index.ts";
import { Lab, type Netns } from "../../src/index.ts";
import type { IpvlanFlag, IpvlanMode } from "../../src/link/index.ts";
import { describe as tell, dissect } from "../../src/wire/index.ts";
import { value } from "../support/golden.ts";

/** m with children in a (10.7.0.11) and b (10.7.0.12), on a switch with x (10.7.0.2) that may send back what it gets. */
function ipvlans(mode: IpvlanMode, flag: IpvlanFlag = "bridge", hairpin = false) {
	const lab = new Lab({ seed: 1 });
	const [m, sw, x, a, b] = [lab.netns("m"), lab.netns("sw"), lab.netns("x"), lab.netns("a"), lab.netns("b")];
	const br0 = sw.addBridge("br0");
	br0.up();
	for (const [ns, address] of [
		[m, "10.7.0.1/24"],
		[x, "10.7.0.2/24"],
	] as const) {
		const [eth0, port] = lab.veth({ ns, name: "eth0" }, { ns: sw, name: ns.name });
		br0.attach(port).flags.hairpin = ns === m && hairpin;
		eth0.up();
		port.up();
		eth0.addAddress(address);
	}
	for (const [i, ns] of [a, b].entries()) {
		const child = m.addIpvlan("eth0", `iv${String(i)}`, { mode, flag });
		m.move(child, ns, "eth0");
		child.addAddress(`10.7.0.${String(11 + i)}/24`);
		child.up();
	}
	if (mode !== "l2") for (const to of ["10.7.0.11/32", "10.7.0.12/32"]) x.routes.add(to, { via: "10.7.0.1" });
	const reaches = async (from: Netns, to: string): Promise<boolean> =>
		(await from.ping(to, { count: 1, timeout: "500ms" })).received === 1;
	return { lab, m, x, a, b, reaches, eth0: (ns: Netns) => ns.device("eth0") };
}

describe("an ipvlan", () => {
	test.each(["l2", "l3", "l3s"] as const)(
		"in %s mode reaches siblings and the outside, and is reached from there; all with the parent's MAC",
		async (mode) => {
			const { lab, m, x, a, b, reaches, eth0 } = ipvlans(mode);
			const capture = lab.capture("x:eth0");
			expect([eth0(a).mac, eth0(b).mac]).toEqual([eth0(m).mac, eth0(m).mac]);
			expect(await reaches(a, "10.7.0.2")).toBe(true);
			expect(await reaches(a, "10.7.0.12")).toBe(true);
			expect(await reaches(x, "10.7.0.11")).toBe(true);
			expect(await reaches(x, "10.7.0.12")).toBe(true);
			const echoes = capture.sightings().map((row) => dissect(row.data));
			const ttls = echoes.flatMap((layers) => value(layers, "ipv4.ttl") ?? []);
			expect(ttls.length).toBeGreaterThan(5);
			expect(new Set(ttls)).toEqual(new Set([64])); // the parent's namespace routes without counting
		},
	);

	test("in l2 mode does not reach its parent's namespace, which is asked for on the wire alone", async () => {
		const { m, a, reaches } = ipvlans("l2");
		expect(await reaches(a, "10.7.0.1")).toBe(false);
		expect(await reaches(m, "10.7.0.11")).toBe(false);
	});

	test("in l2 mode hears the groups it listens to", async () => {
		const { lab, x, a, b, eth0 } = ipvlans("l2");
		const heard: string[] = [];
		for (const ns of [a, b])
			ns.packetSocket({ device: eth0(ns), type: 0x88b5 }).onFrame = () => heard.push(ns.name);
		eth0(b).multicast.add(0x0100_5e01_0203 as Mac);
		for (const group of [
			[1, 0, 0x5e, 1, 2, 3],
			[255, 255, 255, 255, 255, 255],
		]) {
			const bytes = Uint8Array.from([
				...group,
				2,
				0,
				0,
				0,
				0,
				9,
				0x88,
				0xb5,
				...new Array<number>(46).fill(0),
			]);
			x.packetSocket().send(bytes, eth0(x));
			await lab.advance("1ms");
			heard.push("then");
		}
		expect(heard).toEqual(["b", "then", "a", "b", "then"]);
	});

	test("in l3 mode uses no ARP and says nothing to groups", async () => {
		const { lab, a, reaches, eth0 } = ipvlans("l3");
		const capture = lab.capture("a:eth0");
		const drops: string[] = [];
		lab.onDrop((drop) => drops.push(`${drop.place} ${drop.reason}`));
		expect(eth0(a).noArp).toBe(true);
		await reaches(a, "10.7.0.2");
		await a.ping("10.7.0.255", { count: 1, timeout: "100ms", broadcast: true });
		a.routes.add("default", { dev: "eth0" });
		await a.ping("224.0.0.1", { count: 1, timeout: "100ms" });
		const types = capture.sightings().map((row) => dissect(row.data)[1]?.protocol);
		expect(new Set(types)).toEqual(new Set(["ipv4"]));
		expect(drops).toContain("m:eth0 ip-broadcast"); // to the parent's namespace it is a packet like any other
		expect(drops).toContain("a:eth0 ipvlan-group");
	});

	test("in l3 mode takes the parent's routes, and the parent asks with any address of its own", async () => {
		const { lab, m, x, a, reaches } = ipvlans("l3");
		// Another subnet behind x, known to m alone; m's only address on eth0 goes.
		m.device("eth0").removeAddress("10.7.0.1/24");
		const other = m.addBridge("br9");
		other.up();
		other.addAddress("192.0.2.1/24");
		m.routes.add("10.7.0.0/24", { dev: "eth0" });
		m.routes.add("198.51.100.0/24", { via: "10.7.0.2" });
		x.addBridge("br9").up();
		x.device("br9").addAddress("198.51.100.1/24");
		for (const to of ["10.7.0.11/32", "10.7.0.12/32"]) {
			x.routes.del(to);
			x.routes.add(to, { dev: "eth0" });
		}
		x.neigh.add("10.7.0.11", { dev: "eth0", lladdr: m.device("eth0").macText });
		a.routes.add("default", { dev: "eth0" });
		const capture = lab.capture("x:eth0");
		expect(await reaches(a, "198.51.100.1")).toBe(true);
		expect(tell(capture.sightings()[0]!.data)).toBe("ARP who has 10.7.0.2? tell 192.0.2.1, 42 octets");
	});

	test("in l3s mode gets its packets from the parent's stack, behind the captures of its own", async () => {
		const { lab, x, reaches } = ipvlans("l3s");
		const capture = lab.capture("a:eth0");
		expect(await reaches(x, "10.7.0.11")).toBe(true);
		expect(capture.sightings().map((row) => row.direction)).toEqual([2]);
	});

	test.each(["l2", "l3"] as const)("private in %s mode keeps siblings apart", async (mode) => {
		const { lab, a, reaches } = ipvlans(mode, "private");
		const reasons: string[] = [];
		lab.onDrop((drop) => reasons.push(drop.reason));
		expect(await reaches(a, "10.7.0.12")).toBe(false);
		expect(reasons).toContain("ipvlan-private");
		expect(await reaches(a, "10.7.0.2")).toBe(true);
	});

	test("in l3s mode is guarded by the parent's INPUT, not by its own; fragments are put together there", async () => {
		const { m, x, a, reaches } = ipvlans("l3s");
		a.iptables("-A INPUT -j DROP");
		expect(await reaches(x, "10.7.0.11")).toBe(true);
		expect((await x.ping("10.7.0.11", { count: 1, size: 4000 })).received).toBe(1);
		m.iptables("-A INPUT -i eth0 -d 10.7.0.11 -p icmp -j DROP");
		expect(await reaches(x, "10.7.0.11")).toBe(false);
		expect(await reaches(x, "10.7.0.12")).toBe(true);
	});

	test("vepa in l2 mode reaches siblings only by way of a switch that sends back", async () => {
		const plain = ipvlans("l2", "vepa");
		expect(await plain.reaches(plain.a, "10.7.0.12")).toBe(false);
		const reflecting = ipvlans("l2", "vepa", true);
		expect(await reflecting.reaches(reflecting.a, "10.7.0.12")).toBe(true);
	});

	test("has mode and flag in common with its siblings: the last word counts", () => {
		const { a, b, m } = ipvlans("l3");
		const [first, second] = [a.device("eth0"), b.device("eth0")];
		m.addIpvlan("eth0", "iv9", { mode: "l2", flag: "private" });
		expect([first, second].map((each) => [each.noArp, "mode" in each && each.mode])).toEqual([
			[false, "l2"],
			[false, "l2"],
		]);
	});

	test("follows its parent's MAC, MTU and carrier", () => {
		const { m, a } = ipvlans("l2");
		const child = a.device("eth0");
		m.device("eth0").setMac("02:00:00:00:00:77");
		m.device("eth0").setMtu(1400);
		expect([child.macText, child.mtu]).toEqual(["02:00:00:00:00:77", 1400]);
		m.device("eth0").setMtu(1500);
		m.device("eth0").down();
		expect([child.mtu, child.carrier, child.isUp]).toEqual([1500, false, true]);
	});

	test("is found again after it was down, and not in between", async () => {
		const { a, x, reaches } = ipvlans("l2");
		a.device("eth0").down();
		expect(await reaches(x, "10.7.0.11")).toBe(false);
		a.device("eth0").up();
		x.neigh.flush();
		expect(await reaches(x, "10.7.0.11")).toBe(true);
		a.device("eth0").removeAddress("10.7.0.11/24");
		expect(await reaches(x, "10.7.0.11")).toBe(false);
	});
});

describe("what Linux refuses, in its words", () => {
	test("an address that a sibling has", () => {
		const { b } = ipvlans("l2");
		expect(() => {
			b.device("eth0").addAddress("10.7.0.11/16");
		}).toThrow("Error: Address already assigned to an ipvlan device.");
	});

	test("a MAC of its own, a bridge port or a macvlan's parent as parent, loopback, an unknown mode, a VLAN on top", () => {
		const { m, a } = ipvlans("l2");
		expect(() => {
			a.device("eth0").setMac("02:00:00:00:00:01");
		}).toThrow("RTNETLINK answers: Operation not supported");
		expect(() => m.addIpvlan("lo", "iv9")).toThrow("RTNETLINK answers: Invalid argument");
		const br9 = m.addBridge("br9");
		m.addMacvlan(br9, "mv9");
		expect(() => m.addIpvlan(br9, "iv9")).toThrow("RTNETLINK answers: Device or resource busy");
		expect(() => m.addIpvlan("eth0", "iv9", { mode: "l4" as IpvlanMode })).toThrow(
			'Error: argument of "mode" must be either "l2", "l3" or "l3s"',
		);
		expect(() => a.addVlan("eth0", 100)).toThrow("Error: 8021q: VLANs not supported on device.");
	});

	test("with the last child the parent is free again", () => {
		const { m, a, b } = ipvlans("l3s");
		for (const ns of [a, b]) ns.device("eth0").delete();
		expect([m.device("eth0").upper, m.device("eth0").layer3]).toEqual([null, null]);
	});
});
