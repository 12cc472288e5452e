import { describe, expect, test } from "vitest";
import { multicastMacOf, toIp4 } from "../../src/addr/index.ts";
import { type BridgeOptions, Lab, NetError, type UdpSocket } from "../../src/index.ts";
import { describe as tell, dissect, ethernet, type Frame, igmp, ipv4 } from "../../src/wire/index.ts";
import type { Capture } from "../../src/observe/index.ts";
import { has } from "../support/golden.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

const GROUP = "239.1.1.1";
const NONE = new Uint8Array();

/** A bridge br0 with ports p0, p1 …, each with a host behind it that may join groups. */
function snooping(options: BridgeOptions = {}, count = 4) {
	const lab = new Lab({ seed: 3 });
	const sw = lab.netns("sw");
	const br0 = sw.addBridge("br0", { mac: "02:00:00:00:0b:00", ...options });
	br0.up();
	const hosts = Array.from({ length: count }, (_, i) => {
		const ns = lab.netns(`h${String(i)}`);
		const [eth0, outer] = lab.veth(
			{ ns, name: "eth0", mac: `02:00:00:00:00:0${String(i)}` },
			{ ns: sw, name: `p${String(i)}` },
		);
		const port = br0.attach(outer);
		for (const end of [eth0, outer]) end.up();
		eth0.addAddress(`10.0.0.${String(i + 1)}/24`);
		return { ns, eth0, outer, port };
	});
	const capture = lab.capture("h*:eth0");
	/** Who hears a datagram that a host says to a group. */
	const reached = async (from: number, group = GROUP): Promise<number[]> => {
		const { ns, eth0 } = hosts[from]!;
		const before = capture.log.size;
		const socket = ns.udp({ multicastDevice: eth0, multicastLoop: false });
		socket.send(Uint8Array.of(1), { address: group, port: 5000 });
		socket.close();
		await lab.advance("1ms");
		return heard(before, "udp");
	};
	const heard = (after: number, protocol: string): number[] =>
		capture
			.sightings()
			.slice(after)
			.filter((row) => row.direction === 1 && has(dissect(row.data), protocol))
			.map((row) => Number(capture.interfaces[row.place]?.[1]))
			.sort();
	const join = async (host: number, group = GROUP): Promise<UdpSocket> => {
		const socket = hosts[host]!.ns.udp({ port: 5000, reuseAddress: true });
		socket.join(group, hosts[host]!.eth0);
		await lab.advance("2s");
		return socket;
	};
	/** Says an IGMP message from a host and gives who hears it. */
	const say = async (
		from: number,
		message: igmp.Igmp,
		to = "224.0.0.1",
		source = "10.0.0.200",
	): Promise<number[]> => {
		const before = capture.log.size;
		hosts[from]!.eth0.transmit(igmpFrame(lab, message, to, source));
		await lab.advance("1ms");
		return heard(before, "igmp");
	};
	return { lab, sw, br0, hosts, reached, join, say };
}

function igmpFrame(lab: Lab, message: igmp.Igmp, to: string, source: string): Frame {
	const octets = 34 + igmp.octets(message);
	const frame = lab.world.frames.begin(octets);
	frame.end = frame.start + octets;
	const destination = toIp4(to, "to");
	const [dst, src] = [multicastMacOf(destination), 0x02_0000_0000_c8];
	ethernet.write(frame.view, frame.start, { dst, src: src as typeof dst, type: ethernet.TYPE_IPV4 });
	ipv4.writePlain(
		frame.view,
		frame.start + 14,
		octets - 14,
		0xc0,
		0,
		0,
		1,
		2,
		toIp4(source, "source"),
		destination,
	);
	igmp.write(frame.view, frame.start + 34, message);
	return frame;
}

const query = (group = "0.0.0.0", code = 100): igmp.Igmp => ({
	type: igmp.QUERY,
	code,
	group: toIp4(group, "group"),
	data: NONE,
});
const old = (type: number, group = GROUP): igmp.Igmp => ({
	type,
	code: 0,
	group: toIp4(group, "group"),
	data: NONE,
});

describe("without anybody who asks for members", () => {
	test("groups are flooded, joined or not, though the bridge knows who reported", async () => {
		const { sw, reached, join } = snooping();
		await join(1);
		expect(await reached(0)).toEqual([1, 2, 3]);
		expect(sw.bridgeTool.mdb().text).toBe("dev br0 port p1 grp 239.1.1.1 temp\n");
	});

	test("a member that never reports again is forgotten after 260 seconds", async () => {
		const { lab, sw, join } = snooping();
		await join(1);
		expect(sw.bridgeTool.mdb({ statistics: true }).text).toMatch(/ temp {2}25[89]\.\d\d\n$/);
		await lab.advance("257s");
		expect(sw.bridgeTool.mdb().json[0]!.mdb).toHaveLength(1);
		await lab.advance("20s");
		expect(sw.bridgeTool.mdb().text).toBe("");
	});

	test("what is no IPv4 or no IGMP in one piece: other protocols pass, broken packets do not", async () => {
		const { lab, hosts, say } = snooping();
		const dropped = (reason: string): number => lab.world.dropped.get(reason as never) ?? 0;
		const broken = igmpFrame(lab, query(), "224.0.0.1", "10.0.0.200");
		broken.view.setUint16(broken.start + 36, 0xdead);
		hosts[0]!.eth0.transmit(broken);
		const header = igmpFrame(lab, query(), "239.9.9.9", "10.0.0.200");
		header.view.setUint8(header.start + 22, 9);
		hosts[0]!.eth0.transmit(header);
		await lab.advance("1ms");
		expect([dropped("igmp-csum"), dropped("ip-csum")]).toEqual([1, 1]);
		// A general query is for all hosts.
		expect(await say(0, query(), "239.9.9.9")).toEqual([]);
		expect(dropped("igmp-destination")).toBe(1);
		expect(await say(0, { ...query(), type: 0x99 } as igmp.Igmp, "239.9.9.9")).toEqual([1, 2, 3]);
		hosts[0]!.ns
			.packetSocket()
			.send(Uint8Array.of(0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0x86, 0xdd, 0x60), hosts[0]!.eth0);
		await lab.advance("1ms");
		expect(hosts[1]!.eth0.counters.rxPackets).toBeGreaterThan(0);
	});
});

describe("a router that asks", () => {
	test("makes a group go to its members and to the router, and what nobody joined to the router alone", async () => {
		const { lab, reached, join, say, sw } = snooping();
		expect(await say(3, query())).toEqual([0, 1, 2]);
		await join(1);
		// Members have the query's ten seconds to answer in.
		expect(await reached(0)).toEqual([1, 2, 3]);
		await lab.advance("10s");
		expect(await reached(0)).toEqual([1, 3]);
		expect(await reached(0, "239.2.2.2")).toEqual([3]);
		expect(await reached(3, "239.2.2.2")).toEqual([]);
		expect(await reached(0, "224.0.0.251")).toEqual([1, 2, 3]);
		expect(sw.bridgeTool.mdb({ details: true }).text).toBe(
			"dev br0 port p1 grp 239.1.1.1 temp proto kernel\nrouter ports on br0: p3 \n",
		);
		expect(sw.bridgeTool.mdb({ details: true, statistics: true }).json).toMatchObject([
			{
				mdb: [{ index: br0Index(sw), dev: "br0", port: "p1", grp: GROUP, state: "temp", flags: [] }],
				router: { br0: [{ port: "p3", type: "temp" }] },
			},
		]);
		expect(lab.world.dropped.get("bridge-no-member")).toBe(1);
	});

	test("hears reports of versions 1 and 2 alone; those of version 3 and leaves go to everybody", async () => {
		const { lab, say } = snooping();
		await say(3, query());
		await lab.advance("11s");
		expect(await say(0, old(igmp.REPORT_2), GROUP)).toEqual([3]);
		expect(await say(1, old(igmp.REPORT_1), GROUP)).toEqual([3]);
		expect(await say(0, old(igmp.LEAVE), "224.0.0.2")).toEqual([1, 2, 3]);
	});

	test("is believed in for 255 seconds; then groups are flooded again", async () => {
		const { lab, reached, say, hosts } = snooping();
		await say(3, query());
		await lab.advance("250s");
		expect(await reached(0)).toEqual([3]);
		await lab.advance("25s");
		expect(await reached(0)).toEqual([1, 2, 3]);
		expect(hosts[3]!.port.mcast.isRouter).toBe(false);
	});

	test("with the lower address counts; the other one's port is no router's", async () => {
		const { lab, hosts, say } = snooping();
		await say(3, query(), "224.0.0.1", "10.0.0.9");
		await say(2, query(), "224.0.0.1", "10.0.0.10");
		expect(hosts.map(({ port }) => port.mcast.isRouter)).toEqual([false, false, false, true]);
		await say(2, query(), "224.0.0.1", "10.0.0.8");
		expect(hosts.map(({ port }) => port.mcast.isRouter)).toEqual([false, false, true, true]);
		await lab.advance("1s");
	});

	test("asks about a group somebody left: who does not answer twice a last member's time is out", async () => {
		const { lab, sw, say } = snooping();
		await say(3, query());
		for (const host of [0, 1]) await say(host, old(igmp.REPORT_2), GROUP);
		await lab.advance("11s");
		await say(0, old(igmp.LEAVE), "224.0.0.2");
		await lab.advance("5s");
		// The leave itself changes nothing: another querier asks.
		expect(sw.bridgeTool.mdb().json[0]!.mdb).toHaveLength(2);
		await say(3, query(GROUP, 10), GROUP);
		await say(1, old(igmp.REPORT_2), GROUP);
		await lab.advance("3s");
		expect(sw.bridgeTool.mdb().text).toBe("dev br0 port p1 grp 239.1.1.1 temp\n");
	});

	test.each([
		[0, [1]],
		[1, [1, 3]],
		[2, [1, 3]],
	] as const)("and a port with mcast_router %i", async (mcastRouter, hears) => {
		const { lab, hosts, reached, say, join } = snooping();
		hosts[3]!.port.set({ mcastRouter });
		await join(1);
		await say(3, query());
		await lab.advance("11s");
		expect(await reached(0)).toEqual(hears);
	});

	test("by PIM's greeting a port is a router's as well", async () => {
		const { lab, hosts } = snooping();
		const hello = igmpFrame(lab, old(0x20, "0.0.0.0"), "224.0.0.13", "10.0.0.3");
		ipv4.setProtocol(hello.view, hello.start + 14, 103);
		hello.trusted = true;
		hosts[2]!.eth0.transmit(hello);
		await lab.advance("1ms");
		expect(hosts[2]!.port.mcast.isRouter).toBe(true);
	});

	test("in VLANs a group is known by its VLAN", async () => {
		const { lab, sw, br0, hosts, reached, say, join } = snooping({ vlanFiltering: true });
		for (const i of [2, 3]) br0.vlan.add(hosts[i]!.outer, 7, { pvid: true, untagged: true });
		await say(1, query());
		await join(0);
		await join(2);
		await lab.advance("11s");
		expect(await reached(3)).toEqual([2]);
		expect(await reached(1)).toEqual([0]);
		expect(sw.bridgeTool.mdb({ vid: 7 }).text).toBe("dev br0 port p2 grp 239.1.1.1 temp vid 7\n");
	});
});

const br0Index = (sw: { device(name: string): { readonly index: number } }): number => sw.device("br0").index;

describe("the bridge's own stack", () => {
	test("hears a group it joined, and others only while it routes them", async () => {
		const { lab, sw, br0, say, reached } = snooping();
		br0.addAddress("10.0.0.254/24");
		const socket = sw.udp({ port: 5000 });
		socket.join(GROUP, br0);
		await say(3, query());
		await lab.advance("11s");
		expect(sw.bridgeTool.mdb().text).toBe("dev br0 port br0 grp 239.1.1.1 temp\n");
		const before = br0.counters.rxPackets;
		await reached(0);
		await reached(0, "239.2.2.2");
		expect(br0.counters.rxPackets - before).toBe(1);
		expect((await socket.receive()).data).toEqual(Uint8Array.of(1));
		br0.set({ mcastRouter: 2 });
		await reached(0, "239.2.2.2");
		expect(br0.counters.rxPackets - before).toBe(2);
	});
});

/** What came in that asks who is in a group. */
const queriesIn = (capture: Capture) =>
	capture.sightings().filter((row) => row.direction === 1 && / IGMP query/.test(tell(row.data)));

describe("mcast_querier", () => {
	test.each([
		[2, "02 > 01:00:5e:00:00:01 46 46c000200000400001020417 00000000e0000001 94040000 1164ee9b00000000"],
		[
			3,
			"02 > 01:00:5e:00:00:01 50 46c000240000400001020413 00000000e0000001 94040000 1164ec1e00000000027d0000",
		],
	] as const)(
		"asks in version %i at once, after 31 s, and then every 125 s",
		async (mcastIgmpVersion, octets) => {
			const { lab, br0 } = snooping({ mcastIgmpVersion });
			await lab.advance("1s");
			const capture = lab.capture("h0:eth0");
			const began = lab.now;
			br0.set({ mcastQuerier: true });
			await lab.advance("300s");
			const queries = queriesIn(capture);
			const times = queries.map((row) => (row.time - began) / 1e9);
			// The timer wheel adds up to two seconds to waits of that length.
			const late = [0, 31.248, 125, 125].map((wait, i) => times[i]! - (times[i - 1] ?? 0) - wait);
			expect([times.length, late.every((each) => each >= 0 && each < 2.1)]).toEqual([4, true]);
			const [first] = queries;
			const hex = Buffer.from(first!.data).toString("hex");
			expect(
				`${hex.slice(12, 14)} > ${hex.slice(0, 12).replace(/(..)(?=.)/g, "$1:")} ${String(first!.data.length)} ` +
					[hex.slice(28, 52), hex.slice(52, 68), hex.slice(68, 76), hex.slice(76)].join(" "),
			).toBe(octets);
			expect(tell(first!.data)).toContain("0.0.0.0 > 224.0.0.1");
			await expectCleanInWireshark(capture.toPcapng());
		},
	);

	test("stops while another querier is heard, and begins again when that one is silent", async () => {
		const { lab, hosts, say } = snooping({ mcastQuerier: true });
		await lab.advance("40s");
		await say(3, query());
		const capture = lab.capture("h0:eth0");
		await lab.advance("250s");
		expect(queriesIn(capture)).toEqual([]);
		await lab.advance("25s");
		expect(queriesIn(capture)).toHaveLength(1);
		expect(hosts[3]!.port.mcast.isRouter).toBe(false);
	});

	test("asks whether others stay when one leaves, and forgets the port two seconds later", async () => {
		const { lab, sw, join, reached } = snooping({ mcastQuerier: true });
		await lab.advance("11s");
		const [one, two] = [await join(0), await join(1)];
		expect(await reached(2)).toEqual([0, 1]);
		const capture = lab.capture("h0:eth0");
		one.close();
		await lab.advance("100ms");
		const asked = capture.sightings().filter((row) => row.direction === 1 && has(dissect(row.data), "igmp"));
		expect(asked.map((row) => tell(row.data))[0]).toContain("239.1.1.1");
		await lab.advance("3s");
		expect(sw.bridgeTool.mdb().text).toBe("dev br0 port p1 grp 239.1.1.1 temp\n");
		two.close();
		await lab.advance("3s");
		expect(sw.bridgeTool.mdb().text).toBe("");
	});

	test("speaks with an address of the bridge's if it is told to", async () => {
		const { lab, br0 } = snooping({ mcastQueryUseIfaddr: true });
		br0.addAddress("10.0.0.254/24");
		const capture = lab.capture("h0:eth0");
		br0.set({ mcastQuerier: true });
		await lab.advance("1s");
		const asked = capture.sightings().filter((row) => row.direction === 1 && has(dissect(row.data), "igmp"));
		expect(tell(asked[0]!.data)).toContain("10.0.0.254 > 224.0.0.1");
	});

	test("members that answer are still there after an hour", async () => {
		const { lab, sw, join, reached } = snooping({ mcastQuerier: true });
		await join(1);
		await lab.advance("3600s");
		expect(sw.bridgeTool.mdb().text).toBe("dev br0 port p1 grp 239.1.1.1 temp\n");
		expect(await reached(0)).toEqual([1]);
		expect(lab.world.frames.taken).toBe(0);
	});
});

describe("a port", () => {
	test("that comes up is asked at once, and a router's for good is one again", async () => {
		const { lab, hosts } = snooping({ mcastQuerier: true });
		await lab.advance("60s");
		hosts[0]!.port.set({ mcastRouter: 2 });
		hosts[0]!.eth0.down();
		await lab.advance("1s");
		expect(hosts[0]!.port.mcast.isRouter).toBe(false);
		const capture = lab.capture("h0:eth0");
		hosts[0]!.eth0.up();
		await lab.advance("1s");
		expect(hosts[0]!.port.mcast.isRouter).toBe(true);
		expect(capture.sightings().filter((row) => row.data[0] === 1 && row.direction === 1)).toHaveLength(1);
	});

	test("with fast_leave is out at once", async () => {
		const { lab, sw, hosts, join } = snooping();
		hosts[1]!.port.set({ fastLeave: true });
		const socket = await join(1);
		socket.close();
		await lab.advance("20ms");
		expect(sw.bridgeTool.mdb().text).toBe("");
		expect(sw.bridgeTool.link({ dev: "p1", details: true }).text).toContain("fastleave on");
	});

	test("that goes down forgets who reported, not what was set by hand", async () => {
		const { sw, br0, hosts, join } = snooping();
		await join(1);
		br0.mdb.add({ port: hosts[1]!.outer, group: "239.3.3.3", permanent: true });
		hosts[1]!.eth0.down();
		expect(sw.bridgeTool.mdb({ details: true, statistics: true }).text).toBe(
			"dev br0 port p1 grp 239.3.3.3 permanent proto static    0.00\n",
		);
		br0.detach(hosts[1]!.outer);
		expect(sw.bridgeTool.mdb().text).toBe("");
	});

	test("without mcast_flood gets groups it joined and no others", async () => {
		const { lab, hosts, join, reached, say } = snooping();
		for (const { port } of hosts) port.set({ mcastFlood: false });
		await join(1);
		expect(await reached(0)).toEqual([]);
		await say(3, query());
		await lab.advance("11s");
		expect(await reached(0)).toEqual([1, 3]);
	});
});

test("with mcast_snooping off nothing is read, and a report too many switches it off", async () => {
	const { lab, sw, br0, say, reached, join } = snooping({ mcastHashMax: 2 });
	await say(3, query());
	await lab.advance("11s");
	for (const group of [GROUP, "239.2.2.2"]) await join(1, group);
	expect(await reached(0)).toEqual([1, 3]);
	await say(1, old(igmp.REPORT_2, "239.3.3.3"), "239.3.3.3");
	expect(lab.world.dropped.get("bridge-mdb-full")).toBe(1);
	expect(sw.links.show("br0", { details: true })).toContain("mcast_snooping 0");
	expect(await reached(0)).toEqual([1, 2, 3]);
	br0.set({ mcastSnooping: true });
	expect(await reached(0)).toEqual([1, 3]);
});

test("ip -d link show says how the bridge and its ports are set", () => {
	const { sw, hosts } = snooping({
		mcastQuerier: true,
		mcastIgmpVersion: 3,
		mcastRouter: 0,
		mcastQueryInterval: "60s",
		mcastStartupQueryInterval: "10ms",
		mcastMembershipInterval: "130s",
		mcastLastMemberCount: 3,
	});
	hosts[0]!.port.set({ mcastRouter: 2, fastLeave: true });
	const text = sw.links.show("br0", { details: true });
	expect(text).toContain("mcast_router 0 mcast_query_use_ifaddr 0 mcast_querier 1");
	expect(text).toContain(
		"mcast_last_member_count 3 mcast_startup_query_count 2 mcast_last_member_interval 100",
	);
	// A second is the least.
	expect(text).toContain(
		"mcast_membership_interval 13000 mcast_querier_interval 25500 mcast_query_interval 6000",
	);
	expect(text).toContain("mcast_startup_query_interval 100 mcast_stats_enabled 0 mcast_igmp_version 3");
	expect(sw.links.show("p0", { details: true })).toContain("mcast_router 2 mcast_fast_leave on");
	expect(sw.bridgeTool.link({ dev: "p0", details: true }).text).toContain("mcast_router 2");
});

describe("bridge mdb", () => {
	test("a group set by hand goes where it says, in every VLAN of the port", async () => {
		const { lab, sw, br0, hosts, reached, say } = snooping({ vlanFiltering: true });
		br0.vlan.add(hosts[2]!.outer, "20-21");
		br0.mdb.add({ port: hosts[2]!.outer, group: GROUP, permanent: true });
		br0.mdb.add({ port: br0, group: "239.4.4.4", vid: 1 });
		expect(sw.bridgeTool.mdb().text).toBe(
			[
				"dev br0 port br0 grp 239.4.4.4 temp vid 1",
				"dev br0 port p2 grp 239.1.1.1 permanent vid 21",
				"dev br0 port p2 grp 239.1.1.1 permanent vid 20",
				"dev br0 port p2 grp 239.1.1.1 permanent vid 1",
				"",
			].join("\n"),
		);
		await say(3, query());
		await lab.advance("11s");
		expect(await reached(0)).toEqual([2, 3]);
		br0.mdb.del({ port: hosts[2]!.outer, group: GROUP });
		br0.mdb.del({ port: br0, group: "239.4.4.4" });
		expect(sw.bridgeTool.mdb().text).toBe("");
	});

	test.each<[string, (of: ReturnType<typeof snooping>) => void, string]>([
		[
			"EEXIST Error: bridge: Group is already joined by port.",
			({ br0, hosts }) => {
				for (const permanent of [true, false])
					br0.mdb.add({ port: hosts[0]!.outer, group: GROUP, permanent });
			},
			"dev br0 port p0 grp 239.1.1.1 permanent\n",
		],
		[
			"EINVAL Error: bridge: IPv4 entry group address is local multicast.",
			({ br0, hosts }) => br0.mdb.add({ port: hosts[0]!.outer, group: "224.0.0.5" }),
			"",
		],
		[
			"EINVAL Error: bridge: IPv4 entry group address is not multicast.",
			({ br0, hosts }) => br0.mdb.add({ port: hosts[0]!.outer, group: "10.0.0.5" }),
			"",
		],
		[
			"EINVAL Error: bridge: Invalid entry VLAN id.",
			({ br0, hosts }) => br0.mdb.add({ port: hosts[0]!.outer, group: GROUP, vid: 4095 }),
			"",
		],
		[
			"EINVAL Error: bridge: Flags are not allowed for host groups.",
			({ br0 }) => br0.mdb.add({ port: br0, group: GROUP, permanent: true }),
			"",
		],
		[
			"EINVAL Error: bridge: Net device is not a bridge port.",
			({ br0, hosts }) => br0.mdb.add({ port: hosts[0]!.eth0, group: GROUP }),
			"",
		],
		[
			"EINVAL Error: bridge: Port belongs to a different bridge device.",
			({ sw, hosts }) => {
				const br1 = sw.addBridge("br1");
				br1.up();
				br1.mdb.add({ port: hosts[0]!.outer, group: GROUP });
			},
			"",
		],
		[
			"EINVAL Error: bridge: Port is in disabled state and entry is not permanent.",
			({ br0, hosts }) => {
				hosts[0]!.outer.down();
				br0.mdb.add({ port: hosts[0]!.outer, group: GROUP });
			},
			"",
		],
		[
			"EINVAL Error: bridge: Bridge device is not running.",
			({ br0, hosts }) => {
				br0.down();
				br0.mdb.add({ port: hosts[0]!.outer, group: GROUP, permanent: true });
			},
			"",
		],
		[
			"EINVAL Error: bridge: Bridge's multicast processing is disabled.",
			({ br0, hosts }) => {
				br0.set({ mcastSnooping: false });
				br0.mdb.add({ port: hosts[0]!.outer, group: GROUP });
			},
			"",
		],
		[
			"EINVAL RTNETLINK answers: Invalid argument",
			({ br0, hosts }) => br0.mdb.del({ port: hosts[0]!.outer, group: GROUP }),
			"",
		],
		[
			"EINVAL RTNETLINK answers: Invalid argument",
			({ hosts }) => hosts[0]!.port.set({ mcastRouter: 4 as 3, fastLeave: true }),
			"",
		],
		[
			"EINVAL RTNETLINK answers: Invalid argument",
			({ br0 }) => br0.set({ mcastIgmpVersion: 1 as 2, mcastQuerier: true }),
			"",
		],
		[
			'EINVAL Error: argument "-1" is wrong: invalid mcast_hash_max',
			({ br0 }) => br0.set({ mcastHashMax: -1, mcastQuerier: true }),
			"",
		],
	])("is refused with %s", (text, command, left) => {
		const net = snooping();
		const said = (): string => {
			try {
				command(net);
			} catch (error) {
				if (error instanceof NetError) return `${error.code} ${error.message}`;
				throw error;
			}
			return "done";
		};
		expect(said()).toBe(text);
		expect(net.sw.bridgeTool.mdb().text).toBe(left);
		expect(net.br0.snooping.config.querier).toBe(false);
		expect(net.hosts[0]!.port.flags.fastLeave).toBe(false);
	});
});
