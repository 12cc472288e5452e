import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { formatMac, toIp4 } from "../../src/addr/index.ts";
import { Lab, type Netns } from "../../src/index.ts";
import type { Device } from "../../src/link/index.ts";
import { ethernet, ipv4, tcp } from "../../src/wire/index.ts";
import { Comparison, recording, type TimedFrame } from "../support/golden.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// 03-port-mapping: a client outside, node2 172.31.1.6 with Docker's rules, a container on each of two bridges. TCP of
// the two ends is put in as recorded; what the host makes of it, ARP included, is judged.
const START = 1795454981.5;
const CLIENT = "02:00:00:00:01:01";
const PUB1 = "02:42:ac:13:00:02";
const PUB2 = "02:42:ac:11:00:02";

const text = (name: string): string => readFileSync(new URL(name, import.meta.url), "utf8");
/** The host's rules before the first request. */
const RULES = text("iptables-save/03-port-mapping.txt").split("\n\n")[0] ?? "";

const sentBy = (mac: string, frames: readonly TimedFrame[]): TimedFrame[] =>
	frames.filter(
		({ time, data }) =>
			time >= START &&
			formatMac(ethernet.src(new DataView(data.buffer, data.byteOffset), 0)) === mac &&
			ethernet.type(new DataView(data.buffer, data.byteOffset), 0) === ethernet.TYPE_IPV4,
	);

async function replay() {
	const lab = new Lab({ seed: 1, uptime: "256.166s" });
	const [outside, node2] = [lab.netns("outside"), lab.netns("node2")];
	const [client, eth0] = lab.veth(
		{ ns: outside, name: "eth0", mac: CLIENT },
		{ ns: node2, name: "eth0", mac: "52:54:00:00:02:00" },
	);
	client.addAddress("172.31.1.1/24");
	eth0.addAddress("172.31.1.6/24");
	for (const device of [client, eth0]) device.up();
	node2.sysctl.set("net.ipv4.ip_forward", 1);
	node2.neigh.add("172.31.1.1", { lladdr: CLIENT, dev: eth0 });
	const container = (name: string, bridgeName: string, bridgeMac: string, net: string, mac: string) => {
		const bridge = node2.addBridge(bridgeName, { mac: bridgeMac });
		bridge.addAddress(`${net}.1/16`);
		const ns = lab.netns(name);
		const [port, device] = lab.veth({ ns: node2, name: `veth-${name}` }, { ns, name: "eth0", mac });
		bridge.attach(port);
		device.addAddress(`${net}.2/16`);
		for (const each of [bridge, port, device]) each.up();
		ns.routes.add("default", { via: `${net}.1` });
		return { ns, device };
	};
	const pub1 = container("pub1", "br-8921dde5d75b", "02:42:51:1a:99:07", "172.19.0", PUB1);
	const pub2 = container("pub2", "docker0", "02:42:39:83:08:52", "172.17.0", PUB2);
	// Connections end in recorded segments, not in stacks.
	for (const ns of [outside, pub1.ns, pub2.ns]) {
		ns.protocols.set(6, (frame) => {
			frame.release();
		});
	}
	node2.iptablesTool.restore(RULES);
	const capture = lab.capture();
	const put = (ns: Netns, device: Device, frames: readonly TimedFrame[]) =>
		frames.map((frame) => [frame.time, () => ns.packetSocket().send(frame.data, device)] as const);
	const after: Record<string, { readonly nat: string; readonly flows: string }> = {};
	const note = (name: string) => (): void => {
		after[name] = {
			nat: node2.iptablesTool.save({ table: "nat", counters: true }),
			flows: node2.conntrack.list(),
		};
	};
	await atInstants(
		lab,
		START,
		[
			...put(outside, client, sentBy(CLIENT, recording("03-port-mapping/outside-host-eth0"))),
			...put(pub1.ns, pub1.device, sentBy(PUB1, recording("03-port-mapping/outside-pub1-eth0"))),
			[START + 2, note("outside")],
			...put(outside, client, sentBy(CLIENT, recording("03-port-mapping/outside-docker0-host-eth0"))),
			...put(pub2.ns, pub2.device, sentBy(PUB2, recording("03-port-mapping/outside-docker0-host-docker0"))),
			[1795455047, note("outside-docker0")],
		],
		1795455048,
	);
	return { capture, after, node2 };
}

describe("a published port is reached from outside as on a Docker host", () => {
	test("Wireshark finds nothing wrong in the whole capture", async () => {
		await expectCleanInWireshark((await replay()).capture.toPcapng());
	});

	test.each([
		["outside", "host-eth0", "node2:eth0", START, START + 1],
		["outside", "host-bridge", "node2:br-8921dde5d75b", START, START + 1],
		["outside", "pub1-eth0", "pub1:eth0", START, START + 1],
		["outside-docker0", "host-eth0", "node2:eth0", 1795455045, 1795455047],
		["outside-docker0", "host-docker0", "node2:docker0", 1795455045, 1795455047],
	] as const)("%s: every frame on %s", async (name, file, place, from, to) => {
		const { capture } = await replay();
		// tcpdump wrote the last two frames at pub1 in the order in which two processors told of them.
		const recorded = recording(`03-port-mapping/${name}-${file}`)
			.filter(({ time }) => time >= from)
			.toSorted((a, b) => a.time - b.time);
		const ours = emulated(capture, place, from - START, to - START);
		expect(new Comparison({ time: 0.06 }).differences(`${name}-${file}`, recorded, ours, START)).toEqual([]);
	});

	test("localhost: the host's own connections are translated on their way out, 127.0.0.1 is not", async () => {
		const { node2 } = await replay();
		const connect = (address: string, port: number): void => {
			const frame = node2.world.frames.begin(tcp.MIN_OCTETS);
			frame.end = frame.start + tcp.MIN_OCTETS;
			const ip = toIp4(address, "address");
			tcp.write(frame.view, frame.start, {
				sourcePort: port,
				destinationPort: 5001,
				sequence: 1,
				acknowledgment: 0,
				flags: tcp.SYN,
				window: 64_240,
				urgent: 0,
				options: [],
			});
			const octets = tcp.MIN_OCTETS;
			tcp.writeChecksum(frame.view, frame.start, octets, ip, ip);
			frame.push(ipv4.MIN_OCTETS);
			ipv4.writePlain(
				frame.view,
				frame.start,
				octets + ipv4.MIN_OCTETS,
				0,
				0,
				ipv4.DONT_FRAGMENT,
				64,
				6,
				ip,
				ip,
			);
			node2.ipv4.output(frame, node2.route(ip)!);
		};
		const tuples = (listing: string): string[] =>
			[...listing.matchAll(/src=\S+ dst=\S+ sport=\d+ dport=\d+/g)].map(([tuple]) => tuple);
		const seen = new Set<string>();
		node2.netfilter.conntrack.listeners.push((_event, flow) => {
			for (const tuple of tuples(node2.conntrack.line(flow))) seen.add(tuple);
		});
		const recorded = text("03-port-mapping/localhost-conntrack-nat.txt");
		for (const [, address = "", port = ""] of recorded.matchAll(/src=(\S+) dst=\1 sport=(\d+) dport=5001/g))
			connect(address, Number(port));
		// Three connections of the host; to 127.0.0.1 its own proxy listens, which is not here.
		const own = recorded.split("\n").filter((line) => /src=(\S+) dst=\1 sport=\d+ dport=5001/.test(line));
		expect(own).toHaveLength(3);
		expect([...seen].sort()).toEqual([...new Set(own.flatMap(tuples))].sort());
	});

	test.each([
		["outside", "--dport 5001 -j DNAT"],
		["outside-docker0", "--dport 5002 -j DNAT"],
	])("%s: conntrack and the counters of the rule tell the same", async (name, rule) => {
		const { after } = await replay();
		const recorded = text(`03-port-mapping/${name}-conntrack-nat.txt`);
		const flows = (listing: string): string[] =>
			listing
				.split("\n")
				.filter((line) => line.startsWith("tcp"))
				.map((line) => line.replace(/ \d+ TIME_WAIT/, " TIME_WAIT"))
				.sort();
		expect(flows(after[name]?.flows ?? "")).toEqual(flows(recorded));
		const counted = (listing: string): string | undefined =>
			listing.split("\n").find((line) => line.includes(rule));
		expect(counted(after[name]?.nat ?? "")).toBe(counted(recorded));
	});
});
