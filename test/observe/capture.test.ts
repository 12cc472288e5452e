import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";
import { readCapture, readPcap } from "../../src/observe/index.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

/** Two namespaces on a wire. */
function pair(seed = 1) {
	const lab = new Lab({ seed, epoch: "2026-11-23T17:00:00Z" });
	const [red, blue] = [lab.netns("red"), lab.netns("blue")];
	const [a, b] = lab.veth({ ns: red, name: "eth0" }, { ns: blue, name: "eth0" });
	a.addAddress("10.0.0.1/24");
	b.addAddress("10.0.0.2/24");
	a.up();
	b.up();
	return { lab, red, blue, a, b };
}

describe("a capture", () => {
	test("has one interface per device that the glob picks, nanosecond times, directions, and one id per packet", async () => {
		const { lab, red } = pair();
		const capture = lab.capture("{red,blue}:eth*");
		await red.ping("10.0.0.2", { count: 1 });
		const bytes = capture.toPcapng();
		const file = readCapture(bytes);
		expect(file.problem).toBeUndefined();
		expect(file.interfaces.map((each) => [each.name, each.resolution, each.linkType])).toEqual([
			["red:eth0", 9, 1],
			["blue:eth0", 9, 1],
		]);
		// Request and answer of ARP, then of echo: each out of one end and into the other.
		expect(file.packets.map((packet) => [packet.interface, packet.direction])).toEqual([
			[0, "out"],
			[1, "in"],
			[1, "out"],
			[0, "in"],
			[0, "out"],
			[1, "in"],
			[1, "out"],
			[0, "in"],
		]);
		const ids = file.packets.map((packet) => packet.packetId);
		expect(ids[0]).toBe(ids[1]);
		expect(new Set(ids).size).toBe(4);
		expect(file.packets[1]?.time).toBe(1_795_453_200_000_005_000n);
		expect(file.names).toEqual([
			{ address: "10.0.0.1", names: ["red"] },
			{ address: "10.0.0.2", names: ["blue"] },
		]);
		await expectCleanInWireshark(bytes);
	});

	test("takes in interfaces that come later and ends when it is stopped", async () => {
		const { lab, red, a } = pair();
		const capture = lab.capture("red:*");
		red.addBridge("br0");
		expect(capture.interfaces).toEqual(["red:lo", "red:eth0", "red:br0"]);
		await red.ping("10.0.0.2", { count: 1 });
		const before = capture.sightings().length;
		capture.stop();
		expect(a.promiscuous).toBe(false);
		await red.ping("10.0.0.2", { count: 1 });
		expect(capture.sightings().length).toBe(before);
	});

	test("follows an interface that gets another name, and takes one in that only then has a chosen name", async () => {
		const { lab, red, blue, b } = pair();
		const all = lab.capture();
		const chosen = lab.capture("blue:lan0");
		b.down();
		blue.rename(b, "lan0");
		b.up();
		await red.ping("10.0.0.2", { count: 1 });
		expect(all.sightings("blue:lan0")).toHaveLength(4);
		expect(all.sightings("blue:eth0")).toEqual([]);
		expect(chosen.sightings("blue:lan0")).toHaveLength(4);
	});

	test("as a stream is the same packets as at once, in bounded memory", async () => {
		const { lab, red } = pair();
		const parts: Uint8Array[] = [];
		const whole = lab.capture("red:*");
		const streamed = lab.capture("red:*").streamTo({ write: (part) => parts.push(part) });
		await red.ping("10.0.0.2", { count: 3, size: 1000 });
		streamed.flush();
		await red.ping("10.0.0.2", { count: 3 });
		streamed.stop();
		const file = readCapture(Buffer.concat(parts));
		expect(file.problem).toBeUndefined();
		const strip = (packets: typeof file.packets) =>
			packets.map(({ time, data, packetId }) => ({ time, data: [...data], packetId }));
		expect(strip(file.packets)).toEqual(strip(readCapture(whole.toPcapng()).packets));
		expect(streamed.sightings()).toEqual([]);
		expect(parts.length).toBeGreaterThan(2);
	});

	test("as a stream leaves the octets alone that somebody looks at", async () => {
		const { lab, red } = pair();
		const streamed = lab.capture("red:*").streamTo({ write: () => undefined });
		await red.ping("10.0.0.2", { count: 1 });
		const looked = streamed.sightings().map(({ data }) => data);
		const were = looked.map((data) => [...data]);
		for (let i = 0; i < 3; i++) {
			streamed.flush();
			await red.ping("10.0.0.2", { count: 1, size: 100 + i });
		}
		expect(looked.map((data) => [...data])).toEqual(were);
		expect(looked).toHaveLength(4);
	});

	test("as classic pcap has one interface, in nano- or microseconds", async () => {
		const { lab, red } = pair();
		const capture = lab.capture();
		await red.ping("10.0.0.2", { count: 1 });
		const [ns, us] = [
			readPcap(capture.toPcap("blue:eth0")),
			readPcap(capture.toPcap("blue:eth0", { precision: "us" })),
		];
		expect(ns.packets).toHaveLength(4);
		expect(us.packets.map((packet) => packet.data)).toEqual(ns.packets.map((packet) => packet.data));
		expect(() => capture.toPcap("green:eth0")).toThrow(RangeError);
	});

	test("says at the last sighting where and why a packet ended", async () => {
		const { lab, red, b } = pair();
		const capture = lab.capture();
		await red.ping("10.0.0.2", { count: 1 });
		b.removeAddress("10.0.0.2/24");
		const { packets } = await red.ping("10.0.0.2", { count: 1, timeout: "1s" });
		const comments = readCapture(capture.toPcapng()).packets.flatMap((packet) => packet.comments);
		expect(comments).toEqual(["dropped at blue:eth0: ip-forwarding-off"]);
		expect(lab.explain(packets[0] ?? 0).text()).toContain(
			"a copy ends, ip-forwarding-off: not for this host and forwarding is off",
		);
	});

	test("copies octets once for all interfaces that a packet passes unchanged", async () => {
		const { lab, red } = pair();
		const capture = lab.capture("*:eth0");
		await red.ping("10.0.0.2", { count: 1 });
		const rows = capture.sightings();
		// The two sightings of one packet are views of the same octets.
		expect(rows[0]?.data.byteOffset).toBe(rows[1]?.data.byteOffset);
		expect(rows[0]?.data.buffer).toBe(rows[1]?.data.buffer);
	});
});
