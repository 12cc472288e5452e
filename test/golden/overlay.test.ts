import { describe, expect, test } from "vitest";
import { type Capture, readCapture } from "../../src/observe/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { Comparison, has, keep, recording, type TimedFrame, value } from "../support/golden.ts";
import { ownOnly, recordedOverlay, recordedPings } from "../support/overlay.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// 05-overlay: c1 on node1 and c2 on node2 of a real swarm, by `docker network create -d overlay --attachable uber-net` and
// `docker run … --network uber-net`; addresses are handed out as recorded. A minute passes before the commands, as there. The
// nodes' clocks differ, so each interface is anchored at its first frame.
const START = 1795454104.988;
const LATER = 1795454206.7279;
const WARM = 60;
const SANDBOX = "1-m768rftdak";
/** node1's br0 and docker_gwbridge. */
const RANDOM = ["5e:f0:c6:c0:89:ec", "02:42:c7:df:bb:50"];

function differences(
	capture: Capture,
	interfaces: readonly (readonly [string, string])[],
	comparison: Comparison,
): string[] {
	return interfaces.flatMap(([file, place]) => {
		const recorded = ownOnly(place, recording(`05-overlay/${file}`));
		// The minute before, in which containers started, was not recorded.
		const ours = ownOnly(place, emulated(capture, place, WARM - 1));
		return comparison.differences(place, recorded, ours, (recorded[0]?.time ?? 0) - (ours[0]?.time ?? 0));
	});
}

describe("an overlay is on every interface what Docker's was", () => {
	test("ping: ARP answered by vxlan0 and never on the underlay, 50 octets more outside, fragments made inside", async () => {
		const { lab, nodes } = await recordedOverlay(5);
		const capture = lab.capture();
		const c1 = nodes[0].container;
		await atInstants(lab, START - WARM, recordedPings(START, c1), START + 17);
		const interfaces = [
			["ping-node1-c1-eth0", "node1/c1:eth0"],
			["ping-node1-sandbox-veth1", `node1/${SANDBOX}:veth1`],
			["ping-node1-sandbox-veth0", `node1/${SANDBOX}:veth0`],
			["ping-node1-sandbox-br0", `node1/${SANDBOX}:br0`],
			["ping-node1-sandbox-vxlan0", `node1/${SANDBOX}:vxlan0`],
			["ping-node1-underlay-eth0", "node1:eth0"],
			["ping-node2-underlay-eth0", "node2:eth0"],
			["ping-node2-sandbox-vxlan0", `node2/${SANDBOX}:vxlan0`],
			["ping-node2-sandbox-br0", `node2/${SANDBOX}:br0`],
			["ping-node2-sandbox-veth0", `node2/${SANDBOX}:veth0`],
			["ping-node2-sandbox-veth1", `node2/${SANDBOX}:veth1`],
			["ping-node2-c2-eth0", "node2/c2:eth0"],
			["ping-node2-c2-eth1", "node2/c2:eth1"],
			["ping-node2-docker_gwbridge", "node2:docker_gwbridge"],
		] as const;
		expect(differences(capture, interfaces, new Comparison({ time: 0.05 }))).toEqual([]);
		const bytes = capture.toPcapng();
		await expectCleanInWireshark(bytes);
		const comments = new Set(readCapture(bytes).packets.flatMap((packet) => packet.comments));
		expect([...comments].filter((comment) => comment.startsWith("encapsulated"))).toEqual([
			"encapsulated: VNI 4097 to 172.31.1.6",
			"encapsulated: VNI 4097 to 172.31.1.5",
		]);
	});

	test("the way out is eth1 by docker_gwbridge: what is asked of the name server outside", async () => {
		const { lab, nodes, outside } = await recordedOverlay(7);
		const capture = lab.capture();
		const recorded = recording("05-overlay/ping-node1-c1-eth1");
		const [query, answer] = recorded.filter(({ data }) => has(dissect(data), "udp")).map(dnsOf);
		if (query === undefined || answer === undefined) throw new Error("a query and its answer were recorded");
		const server = outside.netns.udp({ port: 53 });
		server.handler = (_frame, _at, octets, source, port) => {
			expect(octets).toBe(query.length);
			server.send(answer, { address: address(source), port });
		};
		const asked = START - 2.387;
		await atInstants(
			lab,
			asked - WARM,
			[[asked, () => nodes[0].container.netns.udp().send(query, { address: "127.0.0.11", port: 53 })]],
			asked + 8,
		);
		const interfaces = [
			["ping-node1-c1-eth1", "node1/c1:eth1"],
			["ping-node1-docker_gwbridge", "node1:docker_gwbridge"],
		] as const;
		// A timer of five seconds is up to 64 ms late, by where the machine's ticks stand.
		expect(differences(capture, interfaces, new Comparison({ time: 0.08, randomMacs: RANDOM }))).toEqual([]);
		// Masqueraded by the host.
		const out = keep(emulated(capture, "node1:eth0", WARM - 1), (layers) => has(layers, "udp"));
		expect(out.map(({ data }) => value(dissect(data), "ipv4.source"))).toContain(0xac1f_0105);
	});

	test("an address nobody owns: three broadcasts end at vxlan0 with an l3miss each; the gateway is br0 itself", async () => {
		const { lab, nodes } = await recordedOverlay(6);
		const capture = lab.capture();
		const c1 = nodes[0].container;
		const misses: string[] = [];
		const vxlan = nodes[0].sandbox.vxlan("vxlan0");
		vxlan.missListeners.push((miss) => misses.push(miss.text));
		await atInstants(
			lab,
			LATER - WARM,
			[
				[LATER, () => void c1.ping("10.0.1.200", { count: 3, timeout: "1s" })],
				[LATER + 6.5472, () => void c1.ping("10.0.1.1", { count: 2, timeout: "1s" })],
			],
			LATER + 9,
		);
		const interfaces = [
			["unknownip-node1-c1-eth0", "node1/c1:eth0"],
			["unknownip-node1-sandbox-br0", `node1/${SANDBOX}:br0`],
			["unknownip-node1-sandbox-vxlan0", `node1/${SANDBOX}:vxlan0`],
			["unknownip-node1-underlay-eth0", "node1:eth0"],
			["unknownip-node1-c1-eth1", "node1/c1:eth1"],
			["unknownip-node1-docker_gwbridge", "node1:docker_gwbridge"],
			["unknownip-node2-underlay-eth0", "node2:eth0"],
			["unknownip-node2-sandbox-vxlan0", `node2/${SANDBOX}:vxlan0`],
			["unknownip-node2-sandbox-br0", `node2/${SANDBOX}:br0`],
			["unknownip-node2-c2-eth0", "node2/c2:eth0"],
			["unknownip-node2-c2-eth1", "node2/c2:eth1"],
			["unknownip-node2-docker_gwbridge", "node2:docker_gwbridge"],
		] as const;
		expect(differences(capture, interfaces, new Comparison({ time: 0.06, randomMacs: RANDOM }))).toEqual([]);
		// unknownip-node1-sandbox-ipmonitor.txt
		expect(misses).toEqual([
			...Array.from({ length: 3 }, () => "miss 10.0.1.200 dev vxlan0 STALE"),
			"miss 10.0.1.1 dev vxlan0 STALE",
		]);
	});
});

/** The UDP payload of an unfragmented frame without options. */
const dnsOf = ({ data }: TimedFrame): Uint8Array => data.slice(14 + 20 + 8);
const address = (ip: number): string => [24, 16, 8, 0].map((shift) => (ip >>> shift) & 255).join(".");
