import { describe, expect, test } from "vitest";
import { Lab, type Netns } from "../../src/index.ts";
import { describe as tell } from "../../src/wire/index.ts";

// net/ipv4/arp.c, arp_constructor: neighbours that nobody has to be asked about are in the table all the same, from the
// first packet to them on, and `ip neigh show` hides them unless it is asked.

/** Two namespaces on one wire, 192.0.2.1 and 192.0.2.2. */
function pair() {
	const lab = new Lab({ seed: 1 });
	const [a, b] = [lab.netns("a"), lab.netns("b")];
	const ends = lab.veth(
		{ ns: a, name: "eth0", mac: "02:00:00:00:00:01" },
		{ ns: b, name: "eth0", mac: "02:00:00:00:00:02" },
	);
	for (const [i, end] of ends.entries()) {
		end.addAddress(`192.0.2.${String(i + 1)}/24`);
		end.up();
	}
	const capture = lab.capture();
	return { lab, a, b, eth0: ends[0], other: ends[1], capture };
}

const all = (ns: Netns): string[] => ns.neigh.show({ nud: "all" }).map(({ text }) => text);
/** A datagram to an address, port 9. */
const say = (ns: Netns, address: string): void =>
	ns.udp({ broadcast: true }).send(Uint8Array.of(1), { address, port: 9 });

describe("a neighbour that need not be asked", () => {
	test("is a group, or the subnet's broadcast: in the table with the first packet, without ARP", async () => {
		const { lab, a, eth0, capture } = pair();
		expect(all(a)).toEqual([]);
		a.routes.add("default", { via: "192.0.2.2" });
		const socket = a.udp({ broadcast: true, multicastDevice: eth0 });
		for (const address of ["224.0.0.251", "239.255.1.1", "192.0.2.255"])
			socket.send(Uint8Array.of(1), { address, port: 9 });
		await lab.advance("1s");
		expect(all(a)).toEqual([
			"192.0.2.255 dev eth0 lladdr ff:ff:ff:ff:ff:ff NOARP ",
			"224.0.0.251 dev eth0 lladdr 01:00:5e:00:00:fb NOARP ",
			"239.255.1.1 dev eth0 lladdr 01:00:5e:7f:01:01 NOARP ",
		]);
		const sent = capture.sightings("a:eth0").map(({ data }) => tell(data));
		expect(sent.filter((text) => text.includes("ARP"))).toEqual([]);
		expect(sent).toHaveLength(3);
	});

	test("is all that loopback leads to: one neighbour, 0.0.0.0", async () => {
		const { lab, a } = pair();
		for (const address of ["127.0.0.1", "127.0.0.11", "192.0.2.1"]) say(a, address);
		await lab.advance("1s");
		expect(all(a)).toEqual(["0.0.0.0 dev lo lladdr 00:00:00:00:00:00 NOARP "]);
	});

	test("is everyone on a device without ARP, with the device's own address, but for groups", async () => {
		const lab = new Lab({ seed: 1 });
		const ns = lab.netns("ns");
		const dummy = ns.addDummy("dummy0");
		dummy.setMac("02:00:00:00:00:07");
		dummy.addAddress("192.0.2.1/24");
		dummy.up();
		for (const address of ["192.0.2.9", "192.0.2.255"]) say(ns, address);
		ns.udp({ multicastDevice: dummy }).send(Uint8Array.of(1), { address: "239.1.1.1", port: 9 });
		await lab.advance("1s");
		expect(all(ns)).toEqual([
			"192.0.2.9 dev dummy0 lladdr 02:00:00:00:00:07 NOARP ",
			"192.0.2.255 dev dummy0 lladdr 02:00:00:00:00:07 NOARP ",
			"239.1.1.1 dev dummy0 lladdr 01:00:5e:01:01:01 NOARP ",
		]);
	});

	test("is no neighbour of a subnet that some other device has: that one is asked for", async () => {
		const { lab, a, capture } = pair();
		a.routes.add("198.51.100.0/24", { dev: "eth0" });
		say(a, "198.51.100.255");
		await lab.advance("100ms");
		expect(all(a)).toEqual(["198.51.100.255 dev eth0 INCOMPLETE "]);
		expect(capture.sightings("a:eth0").map(({ data }) => tell(data))).toEqual([
			expect.stringContaining("who has 198.51.100.255"),
		]);
	});

	test("does not change by what ARP says", async () => {
		const { lab, a, b, other } = pair();
		say(a, "192.0.2.255");
		b.neigh.add("192.0.2.1", { dev: "eth0", lladdr: "02:00:00:00:00:01" });
		other.addAddress("192.0.2.255/32");
		b.announce(b.inDevice(other)!, b.inDevice(other)!.addresses.at(-1)!.prefix.address);
		await lab.advance("1s");
		expect(all(a)).toContain("192.0.2.255 dev eth0 lladdr ff:ff:ff:ff:ff:ff NOARP ");
	});
});

describe("ip neigh show", () => {
	test("hides them, lists one state, several or all, and refuses what is no state", async () => {
		const { lab, a } = pair();
		await a.ping("192.0.2.2", { count: 1 });
		say(a, "192.0.2.255");
		a.neigh.add("192.0.2.3", { dev: "eth0", lladdr: "02:00:00:00:00:03" });
		await lab.advance("1ms");
		const shown = (nud?: Parameters<typeof a.neigh.show>[0]): string[] =>
			a.neigh.show(nud).map(({ address, state }) => `${address} ${state}`);
		expect(shown()).toEqual(["192.0.2.2 REACHABLE", "192.0.2.3 PERMANENT"]);
		expect(shown({ nud: "noarp" })).toEqual(["192.0.2.255 NOARP"]);
		expect(shown({ nud: ["noarp", "permanent"] })).toEqual(["192.0.2.3 PERMANENT", "192.0.2.255 NOARP"]);
		expect(shown({ nud: "all", dev: "eth0" })).toHaveLength(3);
		expect(shown({ nud: "all", dev: "lo" })).toEqual([]);
		expect(() => a.neigh.show({ nud: "fresh" as never })).toThrow(
			'Error: argument "fresh" is wrong: nud state is bad',
		);
	});
});

describe("it lives", () => {
	/** A host that spoke to everybody and knows one neighbour for good. */
	async function spoken() {
		const world = pair();
		say(world.a, "192.0.2.255");
		world.a.neigh.add("192.0.2.3", { dev: "eth0", lladdr: "02:00:00:00:00:03" });
		await world.lab.advance("1s");
		expect(world.a.neigh.show({ nud: "all" })).toHaveLength(2);
		const states = () => world.a.neigh.show({ nud: "all" }).map(({ state }) => state);
		return { ...world, states };
	}

	test("for ever, and through ip neigh flush", async () => {
		const { lab, a, states } = await spoken();
		await lab.advance("3600s");
		a.neigh.flush();
		expect(states()).toEqual(["PERMANENT", "NOARP"]);
	});

	test("until the device loses its carrier, which what was set by hand outlives", async () => {
		const { other, states } = await spoken();
		other.down();
		expect(states()).toEqual(["PERMANENT"]);
	});

	test("until the device has another address, as has everything: a bridge that gets a port with a lower one", async () => {
		const { eth0, states } = await spoken();
		eth0.setMac("02:00:00:00:00:01");
		expect(states()).toHaveLength(2);
		eth0.setMac("02:00:00:00:00:09");
		expect(states()).toEqual([]);

		const { lab, a, b } = pair();
		const br0 = b.addBridge("br0");
		const join = (name: string, mac: string): void => {
			const [port, end] = lab.veth({ ns: b, name, mac }, { ns: a, name });
			br0.attach(port);
			port.up();
			end.up();
		};
		join("p0", "0a:00:00:00:00:05");
		br0.up();
		await lab.advance("2s");
		join("p1", "0a:00:00:00:00:06");
		expect(all(b)).toEqual(["224.0.0.22 dev br0 lladdr 01:00:5e:00:00:16 NOARP "]);
		join("p2", "0a:00:00:00:00:04");
		expect(all(b)).toEqual([]);
	});

	test("until the device's last address goes, or the device goes down", async () => {
		const first = await spoken();
		first.eth0.addAddress("198.51.100.1/24");
		first.eth0.removeAddress("192.0.2.1/24");
		expect(first.states()).toHaveLength(2);
		first.eth0.removeAddress("198.51.100.1/24");
		expect(first.states()).toEqual([]);
		const second = await spoken();
		second.eth0.down();
		expect(second.states()).toEqual([]);
	});

	test("until ARP is switched on or off: ipvlan between l2 and l3", async () => {
		const { lab, a, eth0 } = pair();
		const child = a.addIpvlan(eth0, "iv0", { mode: "l3" });
		child.addAddress("203.0.113.1/24");
		child.up();
		say(a, "203.0.113.7");
		await lab.advance("1ms");
		const there = () => a.neigh.show({ nud: "all", dev: "iv0" }).map(({ text }) => text);
		expect(there()).toEqual([`203.0.113.7 lladdr ${child.macText} NOARP `]);
		child.setMode("l2");
		expect(there()).toEqual([]);
		say(a, "203.0.113.7");
		await lab.advance("1ms");
		expect(there()).toEqual(["203.0.113.7 INCOMPLETE "]);
	});
});
