import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";
import { linkFlags } from "../../src/link/index.ts";

// The texts here are as iproute2 6.1 prints them on Linux.

/** Lines of `ip link` without the part that is the same for all. */
const states = (text: string): string[] =>
	[...text.matchAll(/^\d+: (\S+): (<\S+>) .*? state (\S+) /gm)].map((line) => line.slice(1).join(" "));

describe("ip link show", () => {
	test("before anything is up: noop queues, and M-DOWN for what lies on a device that is down", () => {
		const lab = new Lab({ seed: 1 });
		const ns = lab.netns("a");
		lab.veth({ ns, name: "v0", mac: "02:00:00:00:00:01" }, { ns, name: "v1", mac: "02:00:00:00:00:02" });
		ns.addVlan("v0", 10);
		expect(ns.links.show()).toBe(
			[
				"1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000",
				"    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00",
				"2: v0@v1: <BROADCAST,MULTICAST,M-DOWN> mtu 1500 qdisc noop state DOWN mode DEFAULT group default qlen 1000",
				"    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff",
				"3: v1@v0: <BROADCAST,MULTICAST,M-DOWN> mtu 1500 qdisc noop state DOWN mode DEFAULT group default qlen 1000",
				"    link/ether 02:00:00:00:00:02 brd ff:ff:ff:ff:ff:ff",
				"4: v0.10@v0: <BROADCAST,MULTICAST,M-DOWN> mtu 1500 qdisc noop state DOWN mode DEFAULT group default qlen 1000",
				"    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff",
				"",
			].join("\n"),
		);
	});

	test("a veth with its peer down is in LOWERLAYERDOWN, one that was set down keeps its queue", () => {
		const lab = new Lab({ seed: 1 });
		const ns = lab.netns("a");
		const [v0, v1] = lab.veth({ ns, name: "v0" }, { ns, name: "v1" });
		v0.up();
		expect(states(ns.links.show()).slice(1)).toEqual([
			"v0@v1 <NO-CARRIER,BROADCAST,MULTICAST,UP,M-DOWN> LOWERLAYERDOWN",
			"v1@v0 <BROADCAST,MULTICAST> DOWN",
		]);
		expect(ns.links.json("v0")[0]).toMatchObject({
			link: "v1",
			flags: ["NO-CARRIER", "BROADCAST", "MULTICAST", "UP", "M-DOWN"],
		});
		v1.up();
		expect(states(ns.links.show()).slice(1)).toEqual([
			"v0@v1 <BROADCAST,MULTICAST,UP,LOWER_UP> UP",
			"v1@v0 <BROADCAST,MULTICAST,UP,LOWER_UP> UP",
		]);
		v0.down();
		expect(ns.links.show("v0")).toContain("<BROADCAST,MULTICAST> mtu 1500 qdisc noqueue state DOWN");
		expect(v1.operstate).toBe("LOWERLAYERDOWN");
	});

	test("names what is in another namespace by number, and the namespace by name where it has one", () => {
		const lab = new Lab({ seed: 1 });
		const [root, blue, green] = [lab.host("node"), lab.netns("blue"), lab.netns("green")];
		const [, eth0] = lab.veth({ ns: root.netns, name: "v0" }, { ns: blue, name: "eth0" });
		const [g0, eth1] = lab.veth({ ns: green, name: "g0" }, { ns: blue, name: "eth1" });
		for (const device of [eth0, g0, eth1]) device.up();
		expect(blue.links.show("eth0")).toBe(
			"2: eth0@if2: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state DOWN mode DEFAULT" +
				` group default qlen 1000\n    link/ether ${eth0.macText} brd ff:ff:ff:ff:ff:ff link-netnsid 0\n`,
		);
		expect(blue.links.show("eth1")).toContain("3: eth1@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> ");
		expect(blue.links.show("eth1")).toContain("brd ff:ff:ff:ff:ff:ff link-netns green\n");
		expect(green.links.show("g0")).toContain("2: g0@if3: ");
		expect(blue.links.json("eth1")).toEqual([
			{
				ifindex: 3,
				link_index: 2,
				ifname: "eth1",
				flags: ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
				mtu: 1500,
				qdisc: "noqueue",
				operstate: "UP",
				linkmode: "DEFAULT",
				group: "default",
				txqlen: 1000,
				link_type: "ether",
				address: eth1.macText,
				broadcast: "ff:ff:ff:ff:ff:ff",
				link_netnsid: 1,
			},
		]);
	});

	test("a queue length of zero is not printed, as with the devices that dockerd makes", () => {
		const lab = new Lab({ seed: 1 });
		const bridge = lab.netns("a").addBridge("docker0", { mac: "02:42:ce:b5:aa:1e" });
		bridge.txQueueLength = 0;
		bridge.up();
		expect(lab.namespaces.get("a")?.links.show("docker0")).toBe(
			"2: docker0: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state DOWN mode DEFAULT group default \n" +
				"    link/ether 02:42:ce:b5:aa:1e brd ff:ff:ff:ff:ff:ff\n",
		);
	});

	test("shows the root queueing discipline, and fq_codel on a card", () => {
		const lab = new Lab({ seed: 1 });
		const host = lab.host("h");
		const nic = host.addNic("eth0", { attach: lab.switch("lan") });
		expect(host.netns.links.show("eth0")).toContain("qdisc fq_codel state UP");
		expect(host.netns.tc.show("eth0")).toMatch(/^qdisc fq_codel 0: root refcnt 2 limit 10240p flows 1024 /);
		host.netns.tc.add(nic, { kind: "netem", delay: "1ms" });
		expect(host.netns.links.json("eth0")[0]?.qdisc).toBe("netem");
	});
});

describe("carrier", () => {
	test("a bridge has it while one of its ports forwards, and its port is disabled without", () => {
		const lab = new Lab({ seed: 1 });
		const ns = lab.netns("a");
		const br0 = ns.addBridge("br0");
		const [p0, p1] = lab.veth({ ns, name: "p0" }, { ns, name: "p1" });
		const port = br0.attach(p0);
		br0.up();
		expect(ns.links.show("p0")).toContain("qdisc noop master br0 state DOWN");
		expect(br0.operstate).toBe("DOWN");
		p0.up();
		p1.up();
		expect(linkFlags(br0)).toEqual(["BROADCAST", "MULTICAST", "UP", "LOWER_UP"]);
		expect(ns.links.show("p0")).toContain("qdisc noqueue master br0 state UP");
		expect(port.state).toBe("forwarding");
		p1.down();
		expect(linkFlags(br0)).toEqual(["NO-CARRIER", "BROADCAST", "MULTICAST", "UP"]);
		expect(port.state).toBe("disabled");
	});

	test("a cut cable takes it from both ends and what is on them, a mended one gives it back", async () => {
		const lab = new Lab({ seed: 1 });
		const lan = lab.switch("lan");
		const [a, b] = [
			lab.host("a"),
			lab.host("b", { nics: { eth0: { address: "192.0.2.2/24", attach: lan } } }),
		];
		const nic = a.addNic("eth0", { address: "192.0.2.1/24" });
		expect(nic.operstate).toBe("DOWN");
		const cable = lab.cable(nic, lan);
		const vlan = a.netns.addVlan(nic, 10);
		const vxlan = a.netns.addVxlan("vx0", { vni: 7 });
		vlan.up();
		vxlan.up();
		expect([nic, vlan, vxlan].map((device) => device.operstate)).toEqual(["UP", "UP", "UNKNOWN"]);
		expect((await b.netns.ping("192.0.2.1", { count: 1 })).received).toBe(1);
		cable.setWhole(false);
		expect([nic, vlan, vxlan].map((device) => device.operstate)).toEqual([
			"DOWN",
			"LOWERLAYERDOWN",
			"UNKNOWN",
		]);
		expect(lan.ports.map((port) => port.state)).toEqual(["up", "down"]);
		expect(lan.macTable().map((row) => row.port)).toEqual(["port1"]);
		expect(a.netns.neigh.show()).toEqual([]);
		cable.setWhole(true);
		expect([nic, vlan].map((device) => device.operstate)).toEqual(["UP", "UP"]);
		expect((await b.netns.ping("192.0.2.1", { count: 1 })).received).toBe(1);
	});

	test("without it nothing is sent, and a capture sees nothing go out", async () => {
		const lab = new Lab({ seed: 1 });
		const [red, blue] = [lab.netns("red"), lab.netns("blue")];
		const [out, into] = lab.veth({ ns: red, name: "eth0" }, { ns: blue, name: "eth0" });
		out.addAddress("10.0.0.1/24");
		out.up();
		const capture = lab.capture("red:eth0");
		await red.ping("10.0.0.2", { count: 1, timeout: "4s" });
		expect(capture.sightings()).toHaveLength(0);
		expect(lab.world.dropped.get("no-carrier")).toBe(3);
		into.up();
		await red.ping("10.0.0.2", { count: 1, timeout: "4s" });
		expect(capture.sightings().length).toBeGreaterThan(0);
	});

	test("two cards on one cable have it when both are up", () => {
		const lab = new Lab({ seed: 1 });
		const [left, right] = [lab.host("a").addNic("eth0"), lab.host("b").addNic("eth0")];
		const cable = lab.cable(left, right);
		expect([left.operstate, right.operstate]).toEqual(["UP", "UP"]);
		right.down();
		expect([left.operstate, right.operstate, cable.carrier]).toEqual(["DOWN", "DOWN", false]);
		right.up();
		cable.unplug();
		expect([left.carrier, right.carrier]).toEqual([false, false]);
		lab.cable(left, right);
		expect([left.carrier, right.carrier]).toEqual([true, true]);
		const lan = lab.switch("lan");
		expect(() => lab.cable(left, lan)).toThrow("a:eth0 has a cable already");
		expect(() => lab.cable(lab.host("c").addNic("eth0"), lan, { port: { access: 5000 } })).toThrow(
			"access is 5000",
		);
		expect([lan.ports.length, lan.managed]).toEqual([0, false]);
		right.delete();
		expect(left.hasCable).toBe(false);
	});

	test("routes without it are marked, stay in use, and are ignored when the sysctl says so", () => {
		const lab = new Lab({ seed: 1 });
		const ns = lab.netns("a");
		const [v0, v1] = lab.veth({ ns, name: "v0" }, { ns: lab.netns("b"), name: "v1" });
		v0.addAddress("10.0.0.1/24");
		v0.up();
		ns.routes.add("10.9.0.0/24", { via: "10.0.0.2", metric: 50, mtu: 1400 });
		expect(ns.routes.show()).toBe(
			"10.0.0.0/24 dev v0 proto kernel scope link src 10.0.0.1 linkdown \n" +
				"10.9.0.0/24 via 10.0.0.2 dev v0 metric 50 linkdown mtu 1400 \n",
		);
		expect(ns.routes.get("10.0.0.7").device).toBe(v0);
		for (const device of ["v0", "all"] as const) {
			ns.sysctl.set(`net.ipv4.conf.${device}.ignore_routes_with_linkdown`, 1);
			expect(ns.routes.show()).toContain("src 10.0.0.1 dead linkdown \n");
			expect(() => ns.routes.get("10.0.0.7")).toThrow("Network is unreachable");
			expect(ns.routes.get("10.0.0.1").type).toBe("local");
			v1.up();
			expect(ns.routes.show()).toContain("src 10.0.0.1 \n");
			expect(ns.routes.get("10.0.0.7").device).toBe(v0);
			v1.down();
			ns.sysctl.set(`net.ipv4.conf.${device}.ignore_routes_with_linkdown`, 0);
		}
	});
});
