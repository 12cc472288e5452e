import { describe, expect, test } from "vitest";
import { formatMac, type Ip4, toIp4 } from "../../src/addr/index.ts";
import { Lab, type Nic } from "../../src/index.ts";
import { describe as tell, dissect, igmp, ipv4 } from "../../src/wire/index.ts";
import { has } from "../support/golden.ts";

const GROUP = "239.1.1.1";

/** A host h and a router r on one wire; `heard` is what h says about groups, after the first 10 s. */
async function linked(seed = 1) {
	const lab = new Lab({ seed });
	const [h, r] = [lab.netns("h"), lab.netns("r")];
	const [eth0, other] = lab.veth(
		{ ns: h, name: "eth0", mac: "02:00:00:00:00:01" },
		{ ns: r, name: "eth0", mac: "02:00:00:00:00:02" },
	);
	eth0.addAddress("192.0.2.1/24");
	other.addAddress("192.0.2.2/24");
	eth0.up();
	other.up();
	await lab.advance("10s");
	const began = lab.now;
	const capture = lab.capture("h:eth0");
	const reports = (): { readonly at: number; readonly text: string }[] =>
		capture
			.sightings("h:eth0")
			.filter((row) => row.direction === 2 && has(dissect(row.data), "igmp"))
			.map((row) => ({ at: (row.time - began) / 1e6, text: tell(row.data).replace(/^192.0.2.1 > /, "") }));
	const heard = (): string[] => reports().map(({ text }) => text.replace(/, ttl 1, \d+ octets$/, ""));
	/** A frame with an IGMP message from the router. */
	const say = (message: igmp.Igmp, to = "224.0.0.1", from = "192.0.2.2"): void => {
		const octets = 34 + igmp.octets(message);
		const frame = lab.world.frames.begin(octets);
		frame.end = frame.start + octets;
		const destination = toIp4(to, "to");
		frame.bytes.set(
			[1, 0, 0x5e, (destination >>> 16) & 0x7f, (destination >>> 8) & 255, destination & 255],
			frame.start,
		);
		frame.bytes.set([2, 0, 0, 0, 0, 2, 8, 0], frame.start + 6);
		const source = toIp4(from, "from");
		ipv4.writePlain(frame.view, frame.start + 14, octets - 14, 0xc0, 0, 0, 1, 2, source, destination);
		igmp.write(frame.view, frame.start + 34, message);
		other.transmit(frame);
	};
	return { lab, h, r, eth0, other, reports, heard, say };
}

const none = new Uint8Array();
const query = (group = "0.0.0.0", code = 100): igmp.Igmp => ({
	type: igmp.QUERY,
	code,
	group: toIp4(group, "group"),
	data: none,
});
const query3 = (group = "0.0.0.0", code = 20): igmp.Igmp => ({
	type: igmp.QUERY,
	code,
	group: toIp4(group, "group"),
	query3: { flags: 2, qqic: 125, sources: [] as readonly Ip4[] },
	data: none,
});

describe("a host that nobody asks", () => {
	test("says nothing about the group that every host is in", async () => {
		const { lab, heard, eth0 } = await linked();
		eth0.down();
		eth0.up();
		await lab.advance("20s");
		expect(heard()).toEqual([]);
		expect(eth0.multicast.addresses().map(formatMac)).toEqual(["33:33:00:00:00:01", "01:00:5e:00:00:01"]);
	});

	test("reports a join after two ticks and once more within a second", async () => {
		const { lab, h, reports, heard, eth0 } = await linked();
		h.udp({ port: 5000 }).join(GROUP, eth0);
		await lab.advance("20s");
		expect(heard()).toEqual([
			"224.0.0.22 IGMP v3 report 239.1.1.1 to_ex {}",
			"224.0.0.22 IGMP v3 report 239.1.1.1 to_ex {}",
		]);
		const [first, second] = reports().map(({ at }) => at) as [number, number];
		expect(first).toBeGreaterThanOrEqual(8);
		expect(first).toBeLessThanOrEqual(12);
		expect(second - first).toBeGreaterThanOrEqual(8);
		expect(second - first).toBeLessThan(1050);
	});

	test("reports groups joined together in one message, the last first, and leaves as well", async () => {
		const { lab, h, heard, eth0 } = await linked();
		const socket = h.udp({ port: 5000 });
		socket.join(GROUP, eth0);
		socket.join("239.2.2.2", eth0);
		await lab.advance("5s");
		socket.close();
		await lab.advance("5s");
		const joined = "224.0.0.22 IGMP v3 report 239.2.2.2 to_ex {} 239.1.1.1 to_ex {}";
		const left = "224.0.0.22 IGMP v3 report 239.2.2.2 to_in {} 239.1.1.1 to_in {}";
		expect(heard()).toEqual([joined, joined, left, left]);
		expect(eth0.multicast.addresses()).toHaveLength(2);
	});

	test("counts its listeners: only the last one's leaving is reported", async () => {
		const { lab, h, heard, eth0 } = await linked();
		const [one, two] = [h.udp({ port: 5000 }), h.udp({ port: 5001 })];
		one.join(GROUP, eth0);
		two.join(GROUP, eth0);
		await lab.advance("5s");
		one.leave(GROUP, eth0);
		await lab.advance("5s");
		expect(heard()).toHaveLength(2);
		two.leave(GROUP, eth0);
		await lab.advance("5s");
		expect(heard()).toHaveLength(4);
	});

	test("reports its groups again when the device comes back up", async () => {
		const { lab, h, heard, eth0 } = await linked();
		h.udp({ port: 5000 }).join(GROUP, eth0);
		await lab.advance("5s");
		eth0.down();
		expect(eth0.multicast.addresses()).toHaveLength(1);
		eth0.up();
		await lab.advance("5s");
		expect(heard()).toHaveLength(4);
	});

	test("does not report groups of the link when it is told not to", async () => {
		const { lab, h, heard, eth0 } = await linked();
		h.sysctl.set("net.ipv4.igmp_link_local_mcast_reports", 0);
		const socket = h.udp({ port: 5353 });
		socket.join("224.0.0.251", eth0);
		await lab.advance("5s");
		expect(heard()).toEqual([]);
		socket.join(GROUP, eth0);
		await lab.advance("5s");
		expect(heard()[0]).toBe("224.0.0.22 IGMP v3 report 239.1.1.1 to_ex {}");
	});
});

/** A host in two groups, its first reports behind it. */
async function member() {
	const world = await linked();
	const socket = world.h.udp({ port: 5000 });
	socket.join(GROUP, world.eth0);
	socket.join("239.2.2.2", world.eth0);
	await world.lab.advance("10s");
	const before = world.reports().length;
	const answers = (): string[] => world.heard().slice(before);
	return { ...world, socket, answers };
}

describe("a querier", () => {
	test("of version 3 gets one report of all groups within the time it gives", async () => {
		const { lab, say, answers, reports } = await member();
		const asked = lab.now / 1e6;
		say(query3());
		await lab.advance("3s");
		expect(answers()).toEqual(["224.0.0.22 IGMP v3 report 239.2.2.2 is_ex {} 239.1.1.1 is_ex {}"]);
		expect((reports().at(-1)?.at ?? 0) - (asked - 10_000)).toBeLessThan(2100);
	});

	test("of version 3 that asks for one group gets a report of that group", async () => {
		const { lab, say, answers } = await member();
		say(query3(GROUP), GROUP);
		await lab.advance("3s");
		expect(answers()).toEqual(["224.0.0.22 IGMP v3 report 239.1.1.1 is_ex {}"]);
	});

	test("of version 2 gets a report to each group, and leaves to all routers", async () => {
		const { lab, say, answers, socket, eth0 } = await member();
		say(query());
		await lab.advance("11s");
		expect(answers().sort()).toEqual([
			"239.1.1.1 IGMP v2 report 239.1.1.1",
			"239.2.2.2 IGMP v2 report 239.2.2.2",
		]);
		socket.leave(GROUP, eth0);
		await lab.advance("1s");
		expect(answers().at(-1)).toBe("224.0.0.2 IGMP v2 leave 239.1.1.1");
	});

	test("of version 2 makes new members report twice, to the group", async () => {
		const { lab, say, answers, h, eth0 } = await member();
		say(query());
		await lab.advance("11s");
		h.udp({ port: 6000 }).join("239.3.3.3", eth0);
		await lab.advance("11s");
		expect(answers().filter((text) => text.includes("239.3.3.3"))).toEqual([
			"239.3.3.3 IGMP v2 report 239.3.3.3",
			"239.3.3.3 IGMP v2 report 239.3.3.3",
		]);
	});

	test("of version 1 gets reports of version 1, and is not told of leaves", async () => {
		const { lab, say, answers, socket } = await member();
		say(query("0.0.0.0", 0));
		await lab.advance("11s");
		expect(answers().sort()).toEqual([
			"239.1.1.1 IGMP v1 report 239.1.1.1",
			"239.2.2.2 IGMP v1 report 239.2.2.2",
		]);
		socket.close();
		await lab.advance("5s");
		expect(answers()).toHaveLength(2);
	});

	test("of an old version is forgotten after two query intervals and a response time", async () => {
		const { lab, say, answers, h, eth0 } = await member();
		say(query());
		await lab.advance("259s");
		h.udp({ port: 6000 }).join("239.3.3.3", eth0);
		await lab.advance("2s");
		expect(answers().at(-1)).toContain("IGMP v2 report 239.3.3.3");
		h.udp({ port: 6001 }).join("239.4.4.4", eth0);
		await lab.advance("2s");
		expect(answers().at(-1)).toContain("IGMP v3 report 239.4.4.4 to_ex {}");
	});

	test("hears from one member only: a report of somebody else's silences this host, and its leave", async () => {
		const { lab, say, answers, socket, eth0 } = await member();
		say(query(GROUP), GROUP);
		say({ type: igmp.REPORT_2, code: 0, group: toIp4(GROUP, "group"), data: none }, GROUP, "192.0.2.7");
		await lab.advance("11s");
		socket.leave(GROUP, eth0);
		await lab.advance("2s");
		expect(answers()).toEqual([]);
	});

	test("whose query is cut short or broken is not answered", async () => {
		const { lab, say, answers } = await member();
		say({ type: igmp.QUERY, code: 10, group: 0 as Ip4, data: Uint8Array.of(0, 0) });
		await lab.advance("11s");
		expect(answers()).toEqual([]);
		expect(lab.world.dropped.get("igmp-truncated")).toBe(1);
	});
});

describe("the version of IGMP", () => {
	test("can be fixed by sysctl", async () => {
		const { lab, h, heard, eth0 } = await linked();
		h.sysctl.set("net.ipv4.conf.eth0.force_igmp_version", 2);
		h.udp({ port: 5000 }).join(GROUP, eth0);
		await lab.advance("11s");
		expect(heard()).toEqual(["239.1.1.1 IGMP v2 report 239.1.1.1", "239.1.1.1 IGMP v2 report 239.1.1.1"]);
	});
});

describe("a UDP socket and groups", () => {
	test("gets what is sent to a group the host is in, with the sender's TTL of 1", async () => {
		const { lab, h, r, eth0, other } = await linked();
		const socket = h.udp({ port: 5000 });
		const sender = r.udp({ multicastDevice: other });
		sender.send(Uint8Array.of(1), { address: GROUP, port: 5000 });
		await lab.advance("1ms");
		expect(lab.world.dropped.get("ip-nomcast")).toBe(1);
		socket.join(GROUP, eth0);
		sender.send(Uint8Array.of(2), { address: GROUP, port: 5000 });
		expect(await socket.receive()).toMatchObject({
			data: Uint8Array.of(2),
			to: GROUP,
			ttl: 1,
			address: "192.0.2.2",
		});
		socket.leave(GROUP, eth0);
		sender.send(Uint8Array.of(3), { address: GROUP, port: 5000 });
		await lab.advance("1ms");
		expect(lab.world.dropped.get("ip-nomcast")).toBe(2);
	});

	test("sends to a group on the link, though the route there has a gateway, and never with the group as its source", async () => {
		const { lab, h, eth0 } = await linked();
		h.routes.add("default", { via: "192.0.2.2" });
		const capture = lab.capture("h:eth0");
		const socket = h.udp({ port: 5000, address: GROUP });
		socket.join(GROUP);
		socket.send(Uint8Array.of(1), { address: GROUP, port: 5000 });
		expect((await socket.receive()).address).toBe("192.0.2.1");
		const [sent] = capture.sightings().map((row) => dissect(row.data));
		expect(sent?.[0]?.fields[0]?.text).toBe("01:00:5e:01:01:01");
		expect(eth0.multicast.addresses()).toHaveLength(3);
		await lab.advance("2s");
		expect(lab.world.frames.taken).toBe(0);
	});

	test("shares a port when all allow it, and each gets a copy", async () => {
		const { lab, h, r, eth0, other } = await linked();
		const sockets = [1, 2, 3].map(() => h.udp({ port: 5000, reuseAddress: true }));
		sockets[0]?.join(GROUP, eth0);
		expect(() => h.udp({ port: 5000 })).toThrow("bind: Address already in use");
		r.udp({ multicastDevice: other }).send(Uint8Array.of(7), { address: GROUP, port: 5000 });
		for (const socket of sockets) expect((await socket.receive()).data).toEqual(Uint8Array.of(7));
		await lab.advance("2s");
		expect(lab.world.frames.taken).toBe(0);
	});

	test("hears itself unless it switches the loop off", async () => {
		const { lab, h, eth0 } = await linked();
		const socket = h.udp({ port: 5000 });
		socket.join(GROUP, eth0);
		const [loud, silent] = [true, false].map((multicastLoop) =>
			h.udp({ multicastDevice: eth0, multicastLoop }),
		);
		loud?.send(Uint8Array.of(1), { address: GROUP, port: 5000 });
		silent?.send(Uint8Array.of(2), { address: GROUP, port: 5000 });
		await lab.advance("1ms");
		expect((await socket.receive()).data).toEqual(Uint8Array.of(1));
		socket.close();
		await expect(Promise.resolve(socket.receive())).rejects.toThrow("Bad file descriptor");
	});

	test("hears itself each time, also where its flow is tracked, and by loopback", async () => {
		const { lab, h, eth0 } = await linked();
		h.iptables("-A OUTPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT");
		const socket = h.udp({ port: 5000 });
		socket.join(GROUP, eth0);
		const sender = h.udp({ multicastDevice: eth0, port: 6000 });
		for (let i = 0; i < 4; i++) {
			sender.send(Uint8Array.of(i), { address: GROUP, port: 5000 });
			expect((await socket.receive()).data).toEqual(Uint8Array.of(i));
			// An answer, so that the flow is established.
			socket.send(Uint8Array.of(9), { address: "192.0.2.1", port: 6000 });
			await lab.advance("10ms");
		}
		expect(h.neigh.show({ nud: "noarp" }).map(({ address, dev }) => `${address} ${dev}`)).toEqual([
			"0.0.0.0 lo",
			"224.0.0.22 eth0",
			`${GROUP} eth0`,
		]);
	});

	test.each([
		["no group", "setsockopt: Invalid argument", "192.0.2.9"],
		["twice the same", "setsockopt: Address already in use", "239.9.9.9"],
	])("%s: %s", async (_, text, group) => {
		const { h, eth0 } = await linked();
		const socket = h.udp({ port: 5000 });
		socket.join("239.9.9.9", eth0);
		expect(() => {
			socket.join(group, eth0);
		}).toThrow(text);
	});

	test("may be in twenty groups, and leave only those", async () => {
		const { h, eth0 } = await linked();
		const socket = h.udp({ port: 5000 });
		for (let i = 1; i <= 20; i++) socket.join(`239.1.0.${String(i)}`, eth0);
		expect(() => {
			socket.join("239.1.0.21", eth0);
		}).toThrow("setsockopt: No buffer space available");
		expect(() => {
			socket.leave("239.1.0.21", eth0);
		}).toThrow("setsockopt: Cannot assign requested address");
		expect(eth0.multicast.addresses()).toHaveLength(22);
	});
});

describe("a network card", () => {
	/** Two hosts by cable; what the second one's card refused. */
	function cabled() {
		const lab = new Lab({ seed: 1 });
		const [a, b] = [lab.host("a"), lab.host("b")];
		const [aEth, bEth] = [a, b].map((host, i) =>
			host.addNic("eth0", { address: `192.0.2.${String(i + 1)}/24` }),
		) as [Nic, Nic];
		lab.cable(aEth, bEth);
		let count = 0;
		lab.onDrop(({ reason, place }) => {
			if (reason === "multicast-filter" && place === "b:eth0") count++;
		});
		const refused = (): number => count;
		const say = async (): Promise<void> => {
			const socket = a.netns.udp({ multicastDevice: aEth });
			socket.send(Uint8Array.of(1), { address: GROUP, port: 5000 });
			socket.close();
			await lab.advance("10ms");
		};
		return { b, bEth, refused, say };
	}

	test("refuses groups nobody joined on it, and takes them from the moment somebody does", async () => {
		const { b, bEth, refused, say } = cabled();
		await say();
		expect(refused()).toBe(1);
		const socket = b.netns.udp({ port: 5000 });
		socket.join(GROUP, bEth);
		await say();
		expect(refused()).toBe(1);
		socket.close();
		await say();
		expect(refused()).toBe(2);
	});

	test("takes all groups when it is told so, or is promiscuous", async () => {
		const { bEth, refused, say } = cabled();
		const end = bEth.multicast.acceptAll();
		await say();
		expect(refused()).toBe(0);
		end();
		bEth.promisc();
		await say();
		expect(refused()).toBe(0);
	});

	test("listens to the groups of the VLANs on it while they are up", () => {
		const { b, bEth: nic } = cabled();
		const vlan = b.netns.addVlan("eth0", 100);
		vlan.addAddress("10.0.0.1/24");
		vlan.up();
		b.netns.udp({ port: 5000 }).join(GROUP, vlan);
		expect(nic.multicast.addresses().map(formatMac)).toEqual([
			"33:33:00:00:00:01",
			"01:00:5e:00:00:01",
			"01:00:5e:01:01:01",
		]);
		vlan.down();
		expect(nic.multicast.addresses()).toHaveLength(2);
	});
});
