import { describe, expect, test } from "vitest";
import { arping } from "../../src/apps/index.ts";
import { Lab, type Netns } from "../../src/index.ts";
import type { Capture } from "../../src/observe/index.ts";
import type { TcpSocket } from "../../src/stack/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { Comparison, has, keep, recording, type TimedFrame, value } from "../support/golden.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { streamOf } from "../support/tcp-replay.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// k6-ip-forwarding: a 10.6.1.10 -- (bridge lan) -- r1 -- r2 -- b 10.6.3.10. One run through the cases at the
// recorded instants. The real server was in a system call while ICMP came in, so that its
// segments and the answers to them stand in another order near to it: there TCP is left out on both sides.
const START = 1795455385.0;

/** The recorded topology. Seed 66 draws times of reachability that end as the recorded ones did. */
function topology(seed: number) {
	// The recorded machine's ticks: its five-second timers fired at 390.7621 (ttl-a).
	const lab = new Lab({ seed, uptime: "256.1263s" });
	const [a, lan, c, r1, r2, b] = ["a", "lan", "c", "r1", "r2", "b"].map((name) => lab.netns(name)) as [
		Netns,
		Netns,
		Netns,
		Netns,
		Netns,
		Netns,
	];
	const bridge = lan.addBridge("br0");
	bridge.up();
	const onLan = (ns: Netns, port: string, mac: string) => {
		const [end, lanEnd] = lab.veth({ ns, name: "eth0", mac }, { ns: lan, name: port });
		bridge.attach(lanEnd);
		lanEnd.up();
		end.up();
		return end;
	};
	const link = (x: Netns, xName: string, xMac: string, y: Netns, yName: string, yMac: string) => {
		const ends = lab.veth({ ns: x, name: xName, mac: xMac }, { ns: y, name: yName, mac: yMac });
		for (const end of ends) end.up();
		return ends;
	};
	const aEth = onLan(a, "p0", "02:00:00:00:06:01");
	const r1Eth0 = onLan(r1, "p1", "02:00:00:00:06:02");
	const cEth = onLan(c, "p2", "02:00:00:00:06:03");
	const [r1Eth1, r2Eth0] = link(r1, "eth1", "02:00:00:00:06:11", r2, "eth0", "02:00:00:00:06:12");
	const [r2Eth1, bEth] = link(r2, "eth1", "02:00:00:00:06:21", b, "eth0", "02:00:00:00:06:22");
	aEth.addAddress("10.6.1.10/24");
	a.routes.add("default", { via: "10.6.1.1" });
	cEth.addAddress("10.6.1.20/24");
	r1Eth0.addAddress("10.6.1.1/24");
	r1Eth1.addAddress("10.6.2.1/24");
	r1.routes.add("10.6.3.0/24", { via: "10.6.2.2" });
	for (const type of ["unreachable", "prohibit", "blackhole"] as const) {
		r1.routes.add(
			{ unreachable: "10.77.0.0/24", prohibit: "10.78.0.0/24", blackhole: "10.79.0.0/24" }[type],
			{ type },
		);
	}
	r2Eth0.addAddress("10.6.2.2/24");
	r2Eth1.addAddress("10.6.3.1/24");
	r2.routes.add("10.6.1.0/24", { via: "10.6.2.1" });
	bEth.addAddress("10.6.3.10/24");
	b.routes.add("default", { via: "10.6.3.1" });
	for (const router of [r1, r2, c]) router.sysctl.set("net.ipv4.ip_forward", 1);
	return { lab, a, b, c, r1, r2, aEth, r1Eth1, r2Eth0 };
}

async function replay() {
	const { lab, a, b, aEth, r1Eth1, r2Eth0 } = topology(66);
	const capture = lab.capture();
	const ping = (to: string, options: Parameters<Netns["ping"]>[1]) => (): void => void a.ping(to, options);
	const say = (address: string, port: number, from?: number) => (): void => {
		const socket = a.udp(from === undefined ? {} : { port: from });
		socket.connect(address, port);
		socket.send(new TextEncoder().encode("x\n"));
	};
	// traceroute: one socket a probe, each with its TTL, at the recorded instants.
	const traceroute = keep(
		recording("k6-ip-forwarding/ttl-a"),
		(layers) => has(layers, "udp") && !has(layers, "icmp"),
	).map((frame) => [frame.time, () => probe(a, frame)] as const);
	await atInstants(
		lab,
		START,
		[
			// The recorded machine took 20 ms for the first exchange; what it armed then fired by that.
			[1795455385.51568, ping("10.6.3.10", { count: 2, interval: 300 })],
			[1795455390.50425, ping("10.6.3.10", { count: 1, ttl: 1 })],
			[1795455390.6326, ping("10.6.3.10", { count: 1, ttl: 2 })],
			[1795455390.75882, ping("10.6.3.10", { count: 1, ttl: 3 })],
			...traceroute,
			[1795455394.42036, say("10.6.3.10", 7777)],
			[1795455394.52306, say("10.6.1.1", 7777, 5000)],
			[1795455394.68003, () => void a.tcp.connect({ address: "10.6.3.10", port: 7777 })],
			[1795455398.01755, ping("10.6.1.99", { count: 4, timeout: "1s" })],
			[1795455408.02367, ping("10.6.3.99", { count: 4, timeout: "1s" })],
			[1795455412.19808, say("10.6.3.98", 53)],
			[1795455421.61274, ping("10.77.0.1", { count: 1, timeout: "1s" })],
			[1795455421.73153, ping("10.78.0.1", { count: 1, timeout: "1s" })],
			[1795455421.83239, ping("10.79.0.1", { count: 1, timeout: "1s" })],
			[1795455423.21025, ping("10.99.0.1", { count: 1, timeout: "1s" })],
			[
				1795455432,
				() => {
					r1Eth1.setMtu(1450);
				},
			],
			[
				1795455432,
				() => {
					r2Eth0.setMtu(1450);
				},
			],
			[1795455433.6601, ping("10.6.3.10", { count: 2, size: 1472, mtuDiscovery: "do" })],
			[
				1795455436,
				() => {
					a.routes.flushCache();
				},
			],
			// curl: b learns the path's MTU from what its answer meets.
			...fetch(a, b),
			[1795455441.41642, ping("10.6.3.10", { count: 1, size: 1472, mtuDiscovery: "dont" })],
			[1795455441.51676, ping("10.6.3.10", { count: 1, size: 4000, mtuDiscovery: "dont" })],
			[1795455535.31965, () => void arping(a, aEth, "10.6.1.10", { mode: "announce" })],
			[1795455536.45108, () => void arping(a, aEth, "10.6.1.10", { mode: "reply" })],
			[1795455537.52038, () => void arping(a, aEth, "10.6.1.1", { mode: "dad", count: 2 })],
			[1795455537.62731, () => void arping(a, aEth, "10.6.1.1", { count: 2 })],
		],
		1795455540,
	);
	return capture;
}

/** Sends a recorded traceroute probe again: its TTL, port and payload from a socket of its own. */
function probe(ns: Netns, frame: TimedFrame): void {
	const layers = dissect(frame.data);
	const socket = ns.udp({ ttl: Number(value(layers, "ipv4.ttl")), mtuDiscovery: "dont" });
	const data = value(layers, "payload.data");
	socket.send(data instanceof Uint8Array ? data : new Uint8Array(), {
		address: Number(value(layers, "ipv4.destination")),
		port: Number(value(layers, "udp.destinationPort")),
	});
}

/** `curl http://10.6.3.10/services`: the recorded octets, at the recorded instants of both programs. */
function fetch(a: Netns, b: Netns): (readonly [number, () => unknown])[] {
	const said = (from: string): Uint8Array => streamOf("k6-ip-forwarding/fragneeded-a", from);
	const [request, answer] = [said("10.6.1.10"), said("10.6.3.10")];
	let [client, server]: (TcpSocket | undefined)[] = [];
	return [
		[
			1795455436.94475,
			() => {
				b.tcp.listen({ port: 80 }).onConnection = (socket) => {
					server = socket;
				};
				client = a.tcp.connect({ address: "10.6.3.10", port: 80 });
				// As the windows tell: the header was read when the first of the answer had come, the rest before its end.
				const reads: [number, number][] = [
					[189 + 1398, 189],
					[11_584, 11_584],
				];
				client.onReadable = () => {
					const [next] = reads;
					if (client === undefined || next === undefined || client.readable < next[0]) return;
					reads.shift();
					client.read(next[1]);
				};
			},
		],
		[1795455436.96594, () => client?.write(request)],
		[
			1795455436.97752,
			() => {
				server?.read();
				server?.write(answer.subarray(0, 189));
			},
		],
		[1795455436.98937, () => server?.write(answer.subarray(189), { more: true })],
		[1795455437.0065, () => client?.read()],
		[1795455437.01102, () => client?.close()],
		[1795455437.0152, () => server?.close()],
	];
}

/** A frame of TCP, or one that quotes it. */
const noTcp = (frames: TimedFrame[]): TimedFrame[] =>
	keep(frames, (layers) => !layers.some((layer) => layer.protocol === "tcp"));

const PLACES = { a: "a:eth0", b: "b:eth0", "r1-eth1": "r1:eth1", "r2-eth1": "r2:eth1" } as const;
type Place = keyof typeof PLACES;

describe("routers and hosts say and send what Linux's do", () => {
	test("Wireshark finds nothing wrong in the whole capture", async () => {
		const capture = await replay();
		await expectCleanInWireshark(capture.toPcapng(), {
			harmless: [
				{ protocol: "FIND", why: "two octets to port 7000, as nc sent them to the real machine" },
				{ protocol: "DNS", why: "two octets to port 53, as nc sent them to the real machine" },
			],
		});
	});

	test.each<readonly [string, readonly Place[], number, string]>([
		["ping", ["a", "r1-eth1", "b"], 0.06, "ARP on each link, TTL 62 at the far end"],
		[
			"ttl",
			["a", "r1-eth1", "b"],
			0.06,
			"time exceeded from each router, port unreachable six times a burst",
		],
		["port-unreach", ["a", "r1-eth1", "b"], 0.06, "port unreachable from the target"],
		["arp-fail-local", ["a"], 0.06, "three requests a second apart, no more"],
		[
			"arp-fail-remote",
			["a", "r1-eth1", "r2-eth1", "b"],
			0.08,
			"host unreachable for all that waited, at once",
		],
		["unreach-routes", ["a"], 0.06, "unreachable, prohibited, silence, no route"],
		["fragneeded", ["a", "r1-eth1", "b"], 0.06, "fragmentation needed, MTU 1450, once: then the host knows"],
		["frag-by-router", ["a", "r1-eth1", "b"], 0.06, "fragments of fragments, 1424 octets each"],
		["garp", ["a"], 0.06, "announcements, detection of duplicates, asking by unicast"],
	])("%s on %j", async (name, places, tolerance) => {
		const capture = await replay();
		const comparison = new Comparison({ time: tolerance });
		const differences = places.flatMap((place) => {
			const all = place === "a" || name !== "fragneeded" ? (frames: TimedFrame[]) => frames : noTcp;
			const recorded = all(recording(`k6-ip-forwarding/${name}-${place}`));
			const [first, last] = [recorded[0]?.time ?? 0, recorded.at(-1)?.time ?? 0];
			const ours = all(emulated(capture, PLACES[place], first - START - 0.5, last - START + 0.1));
			return comparison.differences(`${name}-${place}`, recorded, ours, START);
		});
		expect(differences).toEqual([]);
	});
});

/** One line for each frame of an interface: what it is, its length, and when, in tenths of a second. */
function told(capture: Capture, place: string): string[] {
	return capture.sightings(place).map(({ time, data }) => {
		const layers = dissect(data);
		const text = (name: string): string => String(value(layers, name));
		const what = has(layers, "arp")
			? `arp ${text("arp.operation")}`
			: has(layers, "icmp")
				? `icmp ${text("icmp.type")}/${text("icmp.code")} ttl ${text("ipv4.ttl")}`
				: "fragment";
		return `${(Math.round(time / 1e8) / 10).toFixed(1)} ${what} ${String(data.length)}`;
	});
}

describe("flows of k6 of which the notes tell", () => {
	test("redirect: told before the packet goes on, for each ping of a host that does not listen", async () => {
		const { lab, a, c, r1 } = topology(1);
		r1.routes.add("10.66.0.0/24", { via: "10.6.1.20" });
		c.loopback.addAddress("10.66.0.1/24");
		// That machine's namespaces began with its forwarding, and routers believe no redirects.
		a.sysctl.set("net.ipv4.conf.all.accept_redirects", 0);
		a.sysctl.set("net.ipv4.conf.eth0.accept_redirects", 0);
		await a.ping("10.6.1.1", { count: 1 });
		const capture = lab.capture();
		const pings = await a.ping("10.66.0.1", { count: 3, interval: "500ms" });
		expect(pings.text()).toContain("From 10.6.1.1: icmp_seq=1 Redirect Host(New nexthop: 10.6.1.20)");
		const each = (at: string): string[] => [
			`${at} icmp 8/0 ttl 64 98`,
			`${at} icmp 5/1 ttl 64 126`,
			`${at} icmp 0/0 ttl 64 98`,
		];
		const ofA = told(capture, "a:eth0");
		// r1 asks everybody for c, c asks a.
		expect(ofA.filter((line) => line.includes("arp"))).toEqual([
			"0.0 arp 1 42",
			"0.0 arp 1 42",
			"0.0 arp 2 42",
		]);
		expect(ofA.filter((line) => line.includes("icmp"))).toEqual(["0.0", "0.5", "1.0"].flatMap(each));
		const [, redirect] = capture.sightings("a:eth0").filter(({ data }) => has(dissect(data), "icmp"));
		const quoted = dissect(redirect?.data ?? new Uint8Array()).filter((layer) => layer.quoted);
		expect([value(quoted, "ipv4.ttl"), redirect?.data[15]]).toEqual([63, 0xc0]);
		expect(told(capture, "c:eth0").filter((line) => line.includes("icmp"))).toEqual(
			["0.0", "0.5", "1.0"].flatMap((at) => [`${at} icmp 8/0 ttl 63 98`, `${at} icmp 0/0 ttl 64 98`]),
		);
		expect(told(capture, "r1:eth1")).toEqual([]);
		await expectCleanInWireshark(capture.toPcapng());
	});

	test("fragments that never come: time exceeded in reassembly after 30 s, quoting the first", async () => {
		const { lab, a, r1Eth1, r2, r2Eth0 } = topology(1);
		r1Eth1.setMtu(1450);
		r2Eth0.setMtu(1450);
		await a.ping("10.6.3.10", { count: 1 });
		await lab.advance("2s");
		r2.iptables("-A FORWARD -f -j DROP");
		const began = lab.now;
		const capture = lab.capture();
		await a.ping("10.6.3.10", { count: 1, size: 3000, mtuDiscovery: "dont", timeout: "1s" });
		await lab.advance("40s");
		const at = (seconds: number): string => (Math.round(began / 1e8 + seconds * 10) / 10).toFixed(1);
		const ip = (place: string): string[] => told(capture, place).filter((line) => !line.includes("arp"));
		expect(ip("a:eth0")).toEqual([
			`${at(0)} icmp 8/0 ttl 64 1514`,
			`${at(0)} fragment 1514`,
			`${at(0)} fragment 82`,
			expect.stringMatching(/icmp 11\/1 ttl 62 590$/) as string,
		]);
		expect(ip("r1:eth1")).toEqual([
			`${at(0)} icmp 8/0 ttl 63 1458`,
			`${at(0)} fragment 90`,
			`${at(0)} fragment 1458`,
			`${at(0)} fragment 90`,
			`${at(0)} fragment 82`,
			expect.stringMatching(/icmp 11\/1 ttl 63 590$/) as string,
		]);
		expect(ip("b:eth0")).toEqual([
			`${at(0)} icmp 8/0 ttl 62 1458`,
			expect.stringMatching(/icmp 11\/1 ttl 64 590$/) as string,
		]);
		const [, error] = capture.sightings("b:eth0").filter(({ data }) => !has(dissect(data), "arp"));
		// The kernel's timer wheel is half a second late there.
		const after = ((error?.time ?? 0) - began) / 1e9;
		expect(after >= 30 && after < 31).toBe(true);
	});

	test("neighbours grow stale: the first use sends at once and asks by unicast five seconds later, as does the other side", async () => {
		const { lab, a } = topology(1);
		const capture = lab.capture("a:eth0");
		await a.ping("10.6.1.1", { count: 1 });
		await lab.advance("46s");
		const used = lab.now;
		await a.ping("10.6.1.1", { count: 1 });
		await lab.advance("8s");
		const frames = capture.sightings("a:eth0").map(({ time, data }) => ({
			after: (time - used) / 1e9,
			arp: has(dissect(data), "arp"),
			data,
		}));
		const late = frames.filter(({ after }) => after >= 0);
		expect(late.slice(0, 2).map(({ arp }) => arp)).toEqual([false, false]);
		const probe = late.find(({ arp }) => arp);
		expect(probe?.after).toBeCloseTo(5.06, 0);
		// By unicast: to the address that is known.
		expect([...(probe?.data.subarray(0, 6) ?? [])]).not.toContain(0xff);
		// r1 learned a from its request, and asked back five seconds later.
		const back = frames.find(
			({ arp, data }) => arp && data[21] === 1 && data[11] === 0x02 && data[5] !== 0xff,
		);
		expect((back?.after ?? 0) + used / 1e9).toBeCloseTo(5.06, 0);
	});

	test("what was silent on the other links stays so", async () => {
		const capture = await replay();
		for (const [name, place] of [
			["arp-fail-local-b", "b"],
			["arp-fail-local-r1-eth1", "r1-eth1"],
			["unreach-routes-b", "b"],
			["unreach-routes-r1-eth1", "r1-eth1"],
			["garp-b", "b"],
			["garp-r1-eth1", "r1-eth1"],
		] as const) {
			const during = recording(`k6-ip-forwarding/${name.slice(0, -place.length - 1)}-a`);
			const [first, last] = [during[0]?.time ?? 0, during.at(-1)?.time ?? 0];
			expect(recording(`k6-ip-forwarding/${name}`)).toEqual([]);
			expect(emulated(capture, PLACES[place], first - START, last - START)).toEqual([]);
		}
	});
});
