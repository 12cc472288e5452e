import { describe, expect, test } from "vitest";
import { Lab, type Netns } from "../../src/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { has, value } from "../support/golden.ts";

/** a -- r -- b: 10.0.1.0/24 and 10.0.2.0/24, r routes. */
function routed() {
	const lab = new Lab({ seed: 1 });
	const [a, r, b] = [lab.netns("a"), lab.netns("r"), lab.netns("b")];
	const [aEth, rEth0] = lab.veth({ ns: a, name: "eth0" }, { ns: r, name: "eth0" });
	const [rEth1, bEth] = lab.veth({ ns: r, name: "eth1" }, { ns: b, name: "eth0" });
	for (const [device, address] of [
		[aEth, "10.0.1.10/24"],
		[rEth0, "10.0.1.1/24"],
		[rEth1, "10.0.2.1/24"],
		[bEth, "10.0.2.10/24"],
	] as const) {
		device.addAddress(address);
		device.up();
	}
	a.routes.add("default", { via: "10.0.1.1" });
	b.routes.add("default", { via: "10.0.2.1" });
	r.sysctl.set("net.ipv4.ip_forward", 1);
	const capture = lab.capture();
	/** ICMP messages seen at a place, as type/code. */
	const icmpAt = (place: string): string[] =>
		capture
			.sightings(place)
			.map(({ data }) => dissect(data))
			.filter((layers) => has(layers, "icmp"))
			.map((layers) => `${String(value(layers, "icmp.type"))}/${String(value(layers, "icmp.code"))}`);
	return { lab, a, r, b, aEth, bEth, capture, icmpAt };
}

const say = (ns: Netns, address: string, octets = 1): void => {
	ns.udp({ broadcast: true, mtuDiscovery: "dont" }).send(new Uint8Array(octets), { address, port: 9 });
};

describe("settings of IPv4", () => {
	test("rp_filter 1 wants the way back by the same device, 2 any way back, and a route that ends here is none", async () => {
		const { lab, a, r, b, aEth } = routed();
		let heard = 0;
		b.udp({ port: 9 }).handler = () => heard++;
		aEth.addAddress("10.0.3.3/32");
		const socket = a.udp({ address: "10.0.3.3" });
		const arrives = async (mode: number): Promise<boolean> => {
			const before = heard;
			r.sysctl.set("net.ipv4.conf.eth0.rp_filter", mode);
			socket.send(new Uint8Array(1), { address: "10.0.2.10", port: 9 });
			await lab.advance("100ms");
			return heard > before;
		};
		// No way back at all.
		expect([await arrives(0), await arrives(1), await arrives(2)]).toEqual([true, false, false]);
		// By the other device.
		r.routes.add("10.0.3.0/24", { via: "10.0.2.10" });
		expect([await arrives(0), await arrives(1), await arrives(2)]).toEqual([true, false, true]);
		// The higher of the device's and all's is in force.
		r.sysctl.set("net.ipv4.conf.all.rp_filter", 2);
		expect([await arrives(0), await arrives(1)]).toEqual([true, true]);
		r.routes.add("10.0.3.3/32", { type: "unreachable" });
		expect(await arrives(2)).toBe(false);
		r.routes.replace("10.0.3.3/32", { dev: "eth0" });
		r.sysctl.set("net.ipv4.conf.all.rp_filter", 0);
		expect(await arrives(1)).toBe(true);
	});

	test("log_martians says which source came from where, with the link header, ten times in five seconds at most", async () => {
		const { lab, a, r, aEth } = routed();
		r.sysctl.set("net.ipv4.conf.eth0.rp_filter", 1);
		r.sysctl.set("net.ipv4.conf.all.log_martians", 1);
		aEth.addAddress("10.0.3.3/32");
		await a.ping("10.0.1.1", { count: 1 });
		const socket = a.udp({ address: "10.0.3.3" });
		for (let i = 0; i < 15; i++) socket.send(new Uint8Array(1), { address: "10.0.2.10", port: 9 });
		await lab.advance("1s");
		const lines = r.kernel.log.lines.map(({ text }) => text);
		expect(lines).toHaveLength(20);
		expect(lines[0]).toBe("IPv4: martian source 10.0.2.10 from 10.0.3.3, on dev eth0");
		expect(lines[1]).toMatch(/^ll header: 00000000: ([0-9a-f]{2} ){12}08 00$/);
	});

	test("a directed broadcast ends at the router, unless bc_forwarding is on for the device and for all", async () => {
		const { lab, a, r, capture } = routed();
		const seen = (): number =>
			capture
				.sightings("b:eth0")
				.map(({ data }) => dissect(data))
				.filter((layers) => has(layers, "udp"))
				.map((layers) => value(layers, "ethernet.dst"))
				.filter((mac) => mac === 0xffff_ffff_ffff).length;
		const counts: number[] = [];
		for (const [all, eth0] of [
			[0, 0],
			[0, 1],
			[1, 0],
			[1, 1],
		] as const) {
			r.sysctl.set("net.ipv4.conf.all.bc_forwarding", all);
			r.sysctl.set("net.ipv4.conf.eth0.bc_forwarding", eth0);
			say(a, "10.0.2.255");
			await lab.advance("100ms");
			counts.push(seen());
		}
		expect(counts).toEqual([0, 0, 0, 1]);
	});

	test("echo requests: to all of them, or to those for everyone, a host may be deaf", async () => {
		const { a, r } = routed();
		const answered = async (address: string): Promise<number> =>
			(await a.ping(address, { count: 1, timeout: "1s", broadcast: true })).received;
		expect([await answered("10.0.1.1"), await answered("10.0.1.255")]).toEqual([1, 0]);
		r.sysctl.set("net.ipv4.icmp_echo_ignore_broadcasts", 0);
		expect(await answered("10.0.1.255")).toBe(1);
		r.sysctl.set("net.ipv4.icmp_echo_ignore_all", 1);
		expect([await answered("10.0.1.1"), await answered("10.0.1.255")]).toEqual([0, 0]);
	});

	test("fragments: the sender of half a datagram is told after ipfrag_time; ipfrag_high_thresh 0 keeps none", async () => {
		const { lab, a, b, aEth, icmpAt } = routed();
		const half = (): void => {
			// The first of two fragments: the second one is lost.
			const filter = aEth.transmit.bind(aEth);
			aEth.transmit = (frame) => {
				const layers = dissect(frame.toBytes());
				if (Number(value(layers, "ipv4.fragmentOffset")) > 0) frame.release();
				else filter(frame);
			};
			say(a, "10.0.2.10", 2000);
			aEth.transmit = filter;
		};
		await a.ping("10.0.2.10", { count: 1 });
		half();
		await lab.advance("29s");
		expect(icmpAt("a:eth0")).not.toContain("11/1");
		await lab.advance("3s");
		expect(icmpAt("a:eth0").filter((each) => each === "11/1")).toHaveLength(1);
		b.sysctl.set("net.ipv4.ipfrag_time", 2);
		half();
		await lab.advance("3s");
		expect(icmpAt("a:eth0").filter((each) => each === "11/1")).toHaveLength(2);
		b.sysctl.set("net.ipv4.ipfrag_high_thresh", -1);
		say(a, "10.0.2.10", 2000);
		await lab.advance("3s");
		// Nothing came together, so not even the closed port answers.
		expect(icmpAt("a:eth0")).not.toContain("3/3");
	});

	test("icmp_ratelimit 0 and icmp_ratemask let errors through that would be held back", async () => {
		const { lab, a, b, icmpAt } = routed();
		const burst = async (): Promise<number> => {
			const before = icmpAt("a:eth0").length;
			for (let i = 0; i < 20; i++) say(a, "10.0.2.10");
			await lab.advance("10ms");
			return icmpAt("a:eth0").length - before;
		};
		say(a, "10.0.2.10");
		await lab.advance("70s");
		expect(await burst()).toBe(6);
		b.sysctl.set("net.ipv4.icmp_ratelimit", 0);
		expect(await burst()).toBe(20);
		b.sysctl.set("net.ipv4.icmp_ratelimit", 1000);
		b.sysctl.set("net.ipv4.icmp_ratemask", 0);
		await lab.advance("1s");
		expect(await burst()).toBe(20);
	});

	test("sysctl knows Linux's names, and no others", () => {
		const { r } = routed();
		expect(r.sysctl.get("net.ipv4.ipfrag_high_thresh")).toBe(4_194_304);
		expect(r.sysctl.get("net.ipv4.icmp_ratemask")).toBe(6168);
		expect(r.sysctl.get("net.ipv4.conf.eth0.secure_redirects")).toBe(1);
		expect(() => r.sysctl.get("net.ipv4.ipfrag_hi" as "net.ipv4.ipfrag_time")).toThrow(
			"sysctl: cannot stat /proc/sys/net/ipv4/ipfrag_hi: No such file or directory",
		);
	});
});
