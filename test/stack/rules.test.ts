import { describe, expect, test } from "vitest";
import { Lab, type Netns } from "../../src/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { has, value } from "../support/golden.ts";

/** A host with two uplinks: isp1 10.0.1.1 on eth1 (main table), isp2 10.0.2.1 on eth2 (table 100). */
function multihomed() {
	const lab = new Lab({ seed: 1 });
	const host = lab.netns("host");
	for (const n of ["1", "2"]) {
		const isp = lab.netns(`isp${n}`);
		const [own, other] = lab.veth({ ns: host, name: `eth${n}` }, { ns: isp, name: "eth0" });
		own.addAddress(`10.0.${n}.10/24`);
		other.addAddress(`10.0.${n}.1/24`);
		own.up();
		other.up();
		isp.loopback.addAddress("8.8.8.8/32");
		isp.routes.add("default", { via: `10.0.${n}.10` });
	}
	host.routes.add("default", { via: "10.0.1.1" });
	host.routes.add("default", { via: "10.0.2.1", table: 100 });
	const capture = lab.capture();
	const seen = (device: string): number =>
		capture
			.sightings(`host:${device}`)
			.map(({ data }) => dissect(data))
			.filter((layers) => has(layers, "udp") && value(layers, "udp.destinationPort") === 53).length;
	/** The uplink that datagrams of a socket leave by. */
	const uplink = async (options: Parameters<Netns["udp"]>[0]): Promise<string | undefined> => {
		const before = [seen("eth1"), seen("eth2")];
		const socket = host.udp(options);
		try {
			socket.send(new Uint8Array(1), { address: "8.8.8.8", port: 53 });
		} finally {
			socket.close();
		}
		await lab.advance("10ms");
		if (seen("eth1") > before[0]!) return "eth1";
		return seen("eth2") > before[1]! ? "eth2" : undefined;
	};
	return { lab, host, uplink };
}

describe("ip rule", () => {
	test("a new namespace has the three rules every Linux has", () => {
		const { host } = multihomed();
		expect(new Lab({ seed: 1 }).netns("x").rule.show()).toBe(
			"0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n",
		);
		expect(host.routes.show({ table: 100 })).toBe("default via 10.0.2.1 dev eth2 \n");
	});

	test("by source: what is sent with the second address leaves by the second uplink", async () => {
		const { host, uplink } = multihomed();
		host.rule.add({ from: "10.0.2.10", table: 100 });
		expect([await uplink({}), await uplink({ address: "10.0.2.10" })]).toEqual(["eth1", "eth2"]);
		expect((await host.ping("8.8.8.8", { count: 1, from: "10.0.2.10" })).received).toBe(1);
	});

	test("by mark, with a mask", async () => {
		const { host, uplink } = multihomed();
		host.rule.add({ fwmark: { value: 0x10, mask: 0xf0 }, table: 100 });
		expect([await uplink({ mark: 0x0f }), await uplink({ mark: 0x1f })]).toEqual(["eth1", "eth2"]);
	});

	test("not: all but what it names; a table without a way passes the packet on to the next rule", async () => {
		const { host, uplink } = multihomed();
		host.rule.add({ table: 200 });
		expect(await uplink({})).toBe("eth1");
		host.rule.add({ not: true, from: "10.0.1.10", table: 100 });
		expect([await uplink({ address: "10.0.1.10" }), await uplink({})]).toEqual(["eth1", "eth2"]);
	});

	test.each([
		["unreachable", "EHOSTUNREACH"],
		["prohibit", "EACCES"],
		["blackhole", "EINVAL"],
	] as const)("a rule of type %s ends the search: %s", async (type, code) => {
		const { host, uplink } = multihomed();
		host.rule.add({ to: "8.8.8.0/24", type });
		await expect(uplink({})).rejects.toMatchObject({ code });
	});

	test("a router asks them too, by the device packets come in by; rp_filter asks them for the way back", async () => {
		const lab = new Lab({ seed: 1 });
		const [a, r, b, c] = [lab.netns("a"), lab.netns("r"), lab.netns("b"), lab.netns("c")];
		for (const [ns, n] of [
			[a, "1"],
			[b, "2"],
			[c, "3"],
		] as const) {
			const [near, far] = lab.veth({ ns: r, name: `eth${n}` }, { ns, name: "eth0" });
			near.addAddress(`10.0.${n}.1/24`);
			far.addAddress(`10.0.${n}.10/24`);
			near.up();
			far.up();
			ns.routes.add("default", { via: `10.0.${n}.1` });
			ns.loopback.addAddress("9.9.9.9/32");
		}
		a.loopback.removeAddress("9.9.9.9/32");
		r.sysctl.set("net.ipv4.ip_forward", 1);
		r.routes.add("9.9.9.9", { via: "10.0.2.10" });
		r.routes.add("9.9.9.9", { via: "10.0.3.10", table: 7 });
		const capture = lab.capture();
		const asked = (): number[] =>
			["b", "c"].map(
				(name) =>
					capture
						.sightings(`${name}:eth0`)
						.map(({ data }) => dissect(data))
						.filter((layers) => has(layers, "icmp") && value(layers, "icmp.type") === 8).length,
			);
		await a.ping("9.9.9.9", { count: 1 });
		r.rule.add({ iif: "eth1", table: 7 });
		await a.ping("9.9.9.9", { count: 1 });
		expect(asked()).toEqual([1, 1]);
		// The way back to c's 9.9.9.9 is by the main table, to b: strict filtering refuses its answers.
		r.sysctl.set("net.ipv4.conf.eth3.rp_filter", 1);
		expect((await a.ping("9.9.9.9", { count: 1, timeout: "1s" })).received).toBe(0);
		r.rule.add({ iif: "lo", to: "9.9.9.9", table: 7 });
		expect((await a.ping("9.9.9.9", { count: 1 })).received).toBe(1);
	});

	test("are listed by priority and printed as ip rule does; the default priority is one before the second", () => {
		const { host } = multihomed();
		host.rule.add({ from: "10.0.2.0/24", table: 100 });
		host.rule.add({ fwmark: 1, iif: "eth1", table: "main" });
		host.rule.add({ priority: 10, to: "10.9.0.0/16", fwmark: { value: 0, mask: 0xff }, type: "prohibit" });
		expect(host.rule.show().split("\n")).toEqual([
			"0:\tfrom all lookup local",
			"10:\tfrom all to 10.9.0.0/16 fwmark 0/0xff prohibit",
			"32764:\tfrom all fwmark 0x1 iif eth1 lookup main",
			"32765:\tfrom 10.0.2.0/24 lookup 100",
			"32766:\tfrom all lookup main",
			"32767:\tfrom all lookup default",
			"",
		]);
		expect(() => {
			host.rule.add({ priority: 32_765, from: "10.0.2.0/24", table: 100 });
		}).toThrow(
			expect.objectContaining({ code: "EEXIST", message: "RTNETLINK answers: File exists" }) as Error,
		);
		host.rule.del({ from: "10.0.2.0/24" });
		expect(() => {
			host.rule.del({ from: "10.0.2.0/24" });
		}).toThrow(
			expect.objectContaining({
				code: "ENOENT",
				message: "RTNETLINK answers: No such file or directory",
			}) as Error,
		);
		host.rule.flush();
		expect(host.rule.show()).toBe("0:\tfrom all lookup local\n");
	});

	test("a mark that OUTPUT sets chooses the way by ip rule", () => {
		const { host } = multihomed();
		host.routes.add("8.8.8.0/24", { type: "prohibit", table: 9 });
		host.rule.add({ fwmark: 1, priority: 5, table: 9 });
		host.iptables("-t mangle -A OUTPUT -p udp --dport 53 -j MARK --set-mark 1");
		const drops: string[] = [];
		host.world.dropListeners.push((drop) => drops.push(drop.reason));
		expect(() => {
			host.udp().send(new Uint8Array(1), { address: "8.8.8.8", port: 53 });
		}).toThrow("Operation not permitted");
		expect(drops).toEqual(["ip-unreachable-route"]);
	});

	test("a device that goes takes its routes out of every table", () => {
		const { host } = multihomed();
		host.device("eth2").down();
		expect(host.routes.show({ table: 100 })).toBe("");
		expect(host.routes.show()).toContain("default via 10.0.1.1");
	});
});
