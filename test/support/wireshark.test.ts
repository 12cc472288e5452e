import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readPcap, writePcap } from "../../src/observe/pcap.ts";
import { writePcapng } from "../../src/observe/pcapng.ts";
import {
	dissectColumns,
	expectCleanInWireshark,
	type Harmless,
	judge,
	tshark,
	tsharkFields,
} from "./wireshark.ts";

const golden = (name: string): Uint8Array => readFileSync(new URL(`../golden/${name}.pcap`, import.meta.url));

const UNDERLAY = "k1-vxlan-unicast/underlay-u1";

/** A recording with octets of one frame replaced. */
function damaged(
	name: string,
	number: number,
	...octets: readonly (readonly [at: number, value: number])[]
): Uint8Array {
	const packets = readPcap(golden(name)).packets.map((packet, i) => {
		const data = packet.data.slice();
		if (i + 1 === number) for (const [at, value] of octets) data[at] = value;
		return { ...packet, data };
	});
	return writePcap(packets);
}

/** The first frame that passes a filter. */
const firstOf = async (name: string, filter: string): Promise<number> => {
	const [frame] = await dissectColumns(golden(name), filter);
	if (frame === undefined) throw new Error(`no frame passes ${filter}`);
	return frame.number;
};

const HARMLESS: readonly Harmless[] = [
	{ protocol: "FIND", why: "a test datagram of two octets to port 7000, which Wireshark takes for FIND" },
	{ protocol: "DNS", text: "Malformed", why: "two octets that nc sent to port 53" },
];

describe("Wireshark finds", () => {
	test("nothing in recordings of real machines, tunnels, fragments and ICMP errors among them", async () => {
		const folder = new URL("../golden/", import.meta.url);
		const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
			name.endsWith(".pcap"),
		);
		expect(names.length).toBeGreaterThan(0);
		// Recorded before checksum offload was switched off: what the card would have added is missing.
		const offloaded = /\/(defaults|start)-[^/]*$/;
		for (const name of names.filter((each) => !offloaded.test(each))) {
			const found = await judge(golden(name.replace(/\.pcap$/, "")), { harmless: HARMLESS });
			expect(found, name).toEqual([]);
		}
	});

	test("a wrong IPv4 header checksum", async () => {
		const number = await firstOf(UNDERLAY, "icmp");
		expect(await judge(damaged(UNDERLAY, number, [24, 0xde], [25, 0xad]))).toContainEqual(
			expect.objectContaining({ frame: number, protocol: "ip", text: "Header checksum status: Bad" }),
		);
	});

	test("a wrong ICMP checksum, though it only warns of it", async () => {
		const number = await firstOf(UNDERLAY, "vxlan && icmp");
		const found = await judge(damaged(UNDERLAY, number, [14 + 20 + 8 + 8 + 14 + 20 + 2, 0xde]));
		expect(found.map(({ protocol }) => protocol)).toContain("icmp");
	});

	test("a wrong inner UDP checksum in a VXLAN tunnel whose own checksums are right", async () => {
		const number = await firstOf(UNDERLAY, "vxlan && udp.length == 10");
		const inner = 14 + 20 + 8 + 8 + 14 + 20;
		// The outer checksum is switched off, so that only the inner one is wrong.
		const found = await judge(
			damaged(UNDERLAY, number, [40, 0], [41, 0], [inner + 6, 0xde], [inner + 7, 0xad]),
		);
		expect(found.filter(({ text }) => text === "Checksum Status: Bad")).toEqual([
			expect.objectContaining({ frame: number, protocol: "udp" }),
		]);
	});

	test("a wrong TCP checksum", async () => {
		const number = await firstOf("k1-vxlan-unicast/inner-u1", "tcp");
		const found = await judge(
			damaged("k1-vxlan-unicast/inner-u1", number, [14 + 20 + 16, 0xde], [14 + 20 + 17, 0xad]),
		);
		expect(found).toContainEqual(expect.objectContaining({ frame: number, protocol: "tcp" }));
	});

	test("a packet shorter than its headers say", async () => {
		const { packets } = readPcap(golden("k1-vxlan-unicast/inner-u1"));
		const number = await firstOf("k1-vxlan-unicast/inner-u1", "arp");
		const short = packets.map((packet, i) => {
			const data = i + 1 === number ? packet.data.subarray(0, 30) : packet.data;
			return { ...packet, data, originalLength: data.length };
		});
		const found = await judge(writePcap(short), { harmless: HARMLESS });
		expect(found.map(({ frame }) => frame)).toEqual([number]);
		expect(found[0]?.text).toMatch(/Malformed/);
	});

	test("only what passes the filter, and not what is known as harmless", async () => {
		const number = await firstOf(UNDERLAY, "icmp");
		const bad = damaged(UNDERLAY, number, [24, 0xde]);
		const [finding] = await judge(bad, { filter: `frame.number == ${String(number)}` });
		expect(finding?.frame).toBe(number);
		expect(await judge(bad, { filter: "arp" })).toEqual([]);
		expect(
			await judge(bad, { harmless: [...HARMLESS, { protocol: "ip", why: "damaged on purpose" }] }),
		).toEqual([]);
	});

	test("nothing wrong with several captures in a row, pcapng as well", async () => {
		const file = readPcap(golden("k6-ip-forwarding/ping-a"));
		for (let i = 0; i < 3; i++) await expectCleanInWireshark(writePcapng(file));
	});
});

test("Wireshark reads everything that a capture of ours can say", async () => {
	const { packets } = readPcap(golden("k6-ip-forwarding/ping-a"));
	const capture = writePcapng({
		sections: [{ hardware: "none", os: "Linux 6.1", application: "vethwork", comments: ["a scenario"] }],
		interfaces: ["a:eth0", "r1:eth0"].map((name) => ({
			name,
			description: "veth",
			os: "Linux",
			linkType: 1,
			snapLength: 0,
			resolution: 9,
		})),
		names: [
			{ address: "10.6.1.10", names: ["a.lan", "a"] },
			{ address: "fd00::1", names: ["six.lan"] },
			{ address: "02:00:00:00:06:01", names: ["a-eth0"] },
		],
		secrets: [{ type: 0x544c534b, data: new TextEncoder().encode("CLIENT_RANDOM 00 00\n") }],
		packets: packets.flatMap((packet, i) => [
			{ ...packet, interface: 0, direction: "out" as const, packetId: BigInt(i) },
			{
				...packet,
				interface: 1,
				direction: "in" as const,
				packetId: BigInt(i),
				comments: ["received", "twice"],
			},
		]),
		statistics: [{ interface: 0, time: packets[0]?.time ?? 0n, received: 6n, dropped: 0n }],
	});
	await expectCleanInWireshark(capture);
	const count = async (filter: string): Promise<number> => (await dissectColumns(capture, filter)).length;
	expect(await count("")).toBe(12);
	expect(await count('frame.interface_name == "a:eth0" && frame.packet_flags_direction == 2')).toBe(6);
	expect(await count('frame.interface_description == "veth"')).toBe(12);
	expect(await count("frame.packet_flags_direction == 1 && frame.packet_id == 3")).toBe(1);
	expect(await count('frame.comment == "twice"')).toBe(6);
	expect(await count(`frame.time_epoch == ${String(packets[1]?.time).replace(/(.{9})$/, ".$1")}`)).toBe(2);
});

describe("the judge", () => {
	test("fails with a table of frames and findings", async () => {
		const number = await firstOf(UNDERLAY, "icmp");
		const failing = expectCleanInWireshark(damaged(UNDERLAY, number, [24, 0xde]), { harmless: HARMLESS });
		await expect(failing).rejects.toThrow(
			new RegExp(`\\n${String(number)} +ip +Header checksum status: Bad +Echo \\(ping\\) request`),
		);
	});

	test("refuses bytes that are no capture and filters that are none", async () => {
		await expect(judge(new Uint8Array(100))).rejects.toThrow(/does not read/);
		await expect(judge(golden(UNDERLAY), { filter: "nonsense.x" })).rejects.toThrow(/not a valid protocol/);
	});

	test("gives the packet list", async () => {
		const [first] = await dissectColumns(golden("k6-ip-forwarding/ping-a"), "icmp");
		expect(first).toMatchObject({
			number: 3,
			source: "10.6.1.10",
			destination: "10.6.3.10",
			protocol: "ICMP",
			length: 98,
		});
	});

	test("agrees with tshark where that is installed", ({ skip }) => {
		skip(tshark === undefined, "tshark is not installed");
		expect(
			tsharkFields(
				golden("k6-ip-forwarding/ping-a"),
				["frame.number", "ip.src", "icmp.checksum.status"],
				"icmp",
			).slice(0, 2),
		).toEqual([
			["3", "10.6.1.10", "1"],
			["4", "10.6.3.10", "1"],
		]);
	});
});
