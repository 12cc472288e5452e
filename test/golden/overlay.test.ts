import { describe, expect, test } from "vitest";
import { type Capture, readCapture } from "../../src/observe/index.ts";
import { Comparison, has, keep, recording, type TimedFrame } from "../support/golden.ts";
import { recordedOverlay } from "../support/overlay.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// 05-overlay: c1 on node1 and c2 on node2 of a real swarm. The nodes' clocks differ, so each interface is
// anchored at its first frame.
const START = 1795454104.988;
const SANDBOX = "1-m768rftdak";

/** The nodes' own traffic (gossip, ARP with their gateway) shares the underlay and is not this job. */
const overlayOnly = (place: string, frames: TimedFrame[]): TimedFrame[] =>
	/^node\d:eth0$/.test(place) ? keep(frames, (layers) => has(layers, "vxlan")) : frames;

function differences(
	capture: Capture,
	interfaces: readonly (readonly [string, string])[],
	comparison: Comparison,
): string[] {
	return interfaces.flatMap(([file, place]) => {
		const recorded = overlayOnly(place, recording(`05-overlay/${file}`));
		const ours = overlayOnly(place, emulated(capture, place));
		return comparison.differences(place, recorded, ours, (recorded[0]?.time ?? 0) - (ours[0]?.time ?? 0));
	});
}

describe("an overlay is on every interface what Docker's was", () => {
	test("ping: ARP answered by vxlan0 and never on the underlay, 50 octets more outside, fragments made inside", async () => {
		const { lab, nodes } = recordedOverlay(5);
		const capture = lab.capture();
		const c1 = nodes[0].container;
		const ping = (options: Parameters<typeof c1.ping>[1]) => (): void => void c1.ping("10.0.1.8", options);
		await atInstants(
			lab,
			START,
			[
				[START + 0.0003, ping({ count: 4 })],
				[START + 5.378, ping({ count: 2 })],
				[START + 10.811, ping({ count: 1, size: 1422, mtuDiscovery: "do" })],
				[START + 12.6, ping({ count: 1, size: 1423, mtuDiscovery: "do" })],
				[START + 14.374, ping({ count: 1, size: 3000 })],
			],
			START + 17,
		);
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

	test("an address nobody owns: three broadcasts end at vxlan0 with an l3miss each; the gateway is br0 itself", async () => {
		const { lab, nodes } = recordedOverlay(6);
		const capture = lab.capture();
		const c1 = nodes[0].container;
		const misses: string[] = [];
		const vxlan = nodes[0].sandbox.vxlan("vxlan0");
		vxlan.missListeners.push((miss) => misses.push(miss.text));
		const start = 1795454206.7279;
		await atInstants(
			lab,
			start,
			[
				[start, () => void c1.ping("10.0.1.200", { count: 3, timeout: "1s" })],
				[start + 6.5472, () => void c1.ping("10.0.1.1", { count: 2, timeout: "1s" })],
			],
			start + 9,
		);
		const interfaces = [
			["unknownip-node1-c1-eth0", "node1/c1:eth0"],
			["unknownip-node1-sandbox-br0", `node1/${SANDBOX}:br0`],
			["unknownip-node1-sandbox-vxlan0", `node1/${SANDBOX}:vxlan0`],
			["unknownip-node1-underlay-eth0", "node1:eth0"],
		] as const;
		expect(differences(capture, interfaces, new Comparison({ time: 0.06 }))).toEqual([]);
		// unknownip-node1-sandbox-ipmonitor.txt
		expect(misses).toEqual([
			...Array.from({ length: 3 }, () => "miss 10.0.1.200 dev vxlan0 STALE"),
			"miss 10.0.1.1 dev vxlan0 STALE",
		]);
	});
});
