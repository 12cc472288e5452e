import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { toIp4 } from "../../src/addr/index.ts";
import { espSa, type Netns } from "../../src/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { openEsp } from "../support/esp.ts";
import { Comparison, has, keep, recording, type TimedFrame, value } from "../support/golden.ts";
import { exchanges, HttpReplay } from "../support/http-replay.ts";
import { recordedOverlay, SEC_NET } from "../support/overlay.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { dissectColumns, expectCleanInWireshark, openEspTable } from "../support/wireshark.ts";

// 07-overlay-encrypted: e1 on node1, e2 on node2 of `docker network create -d overlay -o encrypted … sec-net`. Keys and
// addresses are handed out as recorded; SPIs, states and packets follow from them.
const WARM = 60;
const START = 1795455522.5036;
const ICV_OCTETS = 8;
const SANDBOX = "1-aw0ua8269h";
const recordedText = (file: string): string =>
	readFileSync(new URL(`07-overlay-encrypted/${file}`, import.meta.url), "utf8");
const KEYS = Object.fromEntries(
	Object.entries(JSON.parse(recordedText("sa.json")) as Record<string, string>).map(([spi, key]) => [
		Number(spi),
		Uint8Array.from(Buffer.from(key.slice(2), "hex")),
	]),
);

const table = espSa((await recordedOverlay(3, SEC_NET)).nodes[0].host.netns);
openEspTable(table);

const file = (name: string): TimedFrame[] => recording(`07-overlay-encrypted/${name}`);

async function replay() {
	const swarm = await recordedOverlay(3, SEC_NET);
	const { lab, nodes } = swarm;
	const [e1, e2] = nodes.map(({ container }) => container.netns) as [Netns, Netns];
	const capture = lab.capture();
	const ping = (options: Parameters<Netns["ping"]>[1]) => (): void => void e1.ping("10.7.7.8", options);
	const commands: (readonly [number, () => unknown])[] = [
		[START, ping({ count: 3 })],
		[START + 6.4091, ping({ count: 1, size: 1372, mtuDiscovery: "do" })],
		[START + 8.0039, ping({ count: 1, size: 1396, mtuDiscovery: "do" })],
		[START + 10, ping({ count: 1, size: 1397, mtuDiscovery: "do" })],
		[START + 12, ping({ count: 1, size: 1422, mtuDiscovery: "do" })],
		[START + 14.3066, ping({ count: 1, size: 1422, mtuDiscovery: "dont" })],
	];
	// The programs act when the recorded ones did; every segment is our stacks'. As the packets crossed, node2's clock was
	// a little ahead.
	const web = new HttpReplay(lab);
	web.listen(e2, 80);
	const [asked] = exchanges(file("ping-node1-e1-eth0"), 80);
	const [answered] = exchanges(file("ping-node2-e2-eth0"), 80, -0.0003);
	if (asked === undefined || answered === undefined) throw new Error("e1 asked e2");
	web.add(e1, { ...asked, at: { ...asked.at, answer: answered.at.answer, end: answered.at.end } }, 0);
	commands.push(...web.commands);
	await atInstants(lab, START - WARM, commands, START + 17);
	return { ...swarm, capture };
}

const ours = (capture: Awaited<ReturnType<typeof replay>>["capture"], place: string): TimedFrame[] =>
	emulated(capture, place, WARM - 1);

describe("an encrypted overlay is on every interface what Docker's was", () => {
	test("inside: MTU 1424, one longer fails or is fragmented by the container", async () => {
		const { capture, nodes } = await replay();
		expect(nodes[0].container.netns.device("eth0").mtu).toBe(1424);
		const comparison = new Comparison({ time: 0.09 });
		const interfaces = [
			["ping-node1-e1-eth0", "node1/e1:eth0"],
			["ping-node1-br0", `node1/${SANDBOX}:br0`],
			["ping-node1-vxlan0", `node1/${SANDBOX}:vxlan0`],
			["ping-node2-vxlan0", `node2/${SANDBOX}:vxlan0`],
			["ping-node2-br0", `node2/${SANDBOX}:br0`],
			["ping-node2-e2-eth0", "node2/e2:eth0"],
		] as const;
		for (const [name, place] of interfaces) {
			const recorded = file(name);
			const found = ours(capture, place);
			expect(comparison.differences(place, recorded, found, START - WARM)).toEqual([]);
		}
	});

	test("each ping of the machine gets the next echo id, those that failed too", async () => {
		const { capture } = await replay();
		const steps = (frames: readonly TimedFrame[]): number[] => {
			const ids = new Set(
				keep(frames, (layers) => has(layers, "icmp")).map(({ data }) =>
					Number(value(dissect(data), "icmp.id")),
				),
			);
			return [...ids].map((id) => id - Math.min(...ids));
		};
		const recorded = steps(file("ping-node1-e1-eth0"));
		expect(recorded).toEqual([0, 1, 2, 5]);
		expect(steps(ours(capture, "node1/e1:eth0"))).toEqual(recorded);
	});

	test("outside: each packet is the recorded one in ESP: SPI, number, padding, length, and what is in it", async () => {
		const { capture } = await replay();
		for (const node of ["node1", "node2"]) {
			const recorded = openEsp(file(`ping-${node}-eth0`), KEYS, ICV_OCTETS);
			const found = openEsp(ours(capture, `${node}:eth0`), KEYS, ICV_OCTETS);
			expect(found.map(shapeOf)).toEqual(recorded.map(shapeOf));
			// As it was opened by another program then.
			const opened = keep(file(`ping-${node}-eth0-decrypted`), (layers) => has(layers, "vxlan"));
			expect(recorded.map(({ plain }) => hex(plain.data))).toEqual(opened.map(({ data }) => hex(data)));
			const plain = found.map((each) => each.plain);
			const offset = (opened[0]?.time ?? 0) - (plain[0]?.time ?? 0);
			expect(new Comparison({ time: 0.09 }).differences(`${node} inside ESP`, opened, plain, offset)).toEqual(
				[],
			);
		}
		// Nothing of the network goes in clear.
		expect(keep(ours(capture, "node1:eth0"), (layers) => has(layers, "vxlan"))).toEqual([]);
	});

	test("given the packet and the random half of the IV, every octet is as recorded", async () => {
		const recorded = openEsp(file("ping-node1-eth0"), KEYS, ICV_OCTETS);
		const { nodes, lab } = await recordedOverlay(3, SEC_NET);
		const capture = lab.capture();
		for (const [i, spi, to] of [
			[0, 0xc8e9_9762, "172.31.1.6"],
			[1, 0xc644_63de, "172.31.1.5"],
		] as const) {
			const { netns } = nodes[i].host;
			const packets = recorded.filter((each) => each.spi === spi);
			const state = netns.xfrm.state.get({ dst: to, proto: "esp", spi });
			state.ivSalt.set(packets[0]?.iv ?? []);
			state.ivSalt[7] = (state.ivSalt[7] ?? 0) ^ 1; // the first number
			netns.neigh.replace(to, { lladdr: `52:54:00:00:0${String(2 - i)}:00`, dev: "eth0" });
			for (const { plain } of packets) {
				const frame = lab.world.frames.from(plain.data.subarray(14));
				frame.mark = 0xd0_c4e3;
				netns.ipv4.output(frame, netns.route(toIp4(to, "to"))!);
			}
		}
		await lab.advance("1s");
		for (const [place, source] of [
			["node1:eth0", 0xac1f_0105],
			["node2:eth0", 0xac1f_0106],
		] as const) {
			const from = ({ data }: TimedFrame): boolean => value(dissect(data), "ipv4.source") === source;
			const wanted = file("ping-node1-eth0").filter(from);
			// What the containers answer comes behind.
			const found = emulated(capture, place)
				.filter((frame) => has(dissect(frame.data), "esp") && from(frame))
				.slice(0, wanted.length);
			expect(
				found.map(({ data }) => hex(data)).join("\n") === wanted.map(({ data }) => hex(data)).join("\n"),
			).toBe(true);
		}
	});

	test("ip xfrm on both nodes: three states in, one out, one policy, in the recorded order", async () => {
		const { nodes } = await recordedOverlay(3, SEC_NET);
		// The time a state was added is another, and the index is the kernel's count since it booted.
		const told = (text: string): string =>
			text.replaceAll(/add [\d-]+ [\d:]+/g, "add").replaceAll(/index \d+/g, "index");
		for (const [i, { host }] of nodes.entries()) {
			const { state, policy } = host.netns.xfrm;
			const shown = state.show({ statistics: true }) + policy.show({ statistics: true });
			expect(told(shown)).toBe(told(recordedText(`xfrm-s-node${String(i + 1)}.txt`)));
		}
	});

	test("afterwards, on both nodes: octets, packets and times of states and policy, rules' counters, fdb, neighbours", async () => {
		const { nodes } = await replay();
		for (const { host, sandbox } of nodes) {
			const recorded = recordedText(`after-${host.name}.txt`);
			const { state, policy } = host.netns.xfrm;
			const shown = state.show({ statistics: true }) + policy.show({ statistics: true });
			const [, theirs = ""] = /^#.*\n([^]*?)# Generated/.exec(recorded) ?? [];
			expect(sinceFirstUse(shown)).toBe(sinceFirstUse(theirs));
			const counted = /^\[\d+:\d+\] -A OUTPUT -p udp .*/m;
			const rules = host.netns.iptablesTool.save({ counters: true });
			expect(counted.exec(rules)?.[0]).toBe(counted.exec(recorded)?.[0]);
			const [, below = ""] = recorded.split(/# Completed.*\n/);
			const isNeighbour = (line: string): boolean => line.endsWith("PERMANENT");
			const lines = withoutDrawn(below);
			// The kernel lists neighbours by a hash of its own.
			const neighbours = withoutDrawn(
				sandbox.neigh
					.show()
					.map(({ text }) => text)
					.join("\n"),
			);
			expect(neighbours.sort()).toEqual(lines.filter(isNeighbour).sort());
			const fdb = lines.filter((line) => !isNeighbour(line));
			expect(withoutDrawn(sandbox.bridgeTool.fdb().text)).toEqual(fdb);
		}
	});

	test("Wireshark opens it all with the table of security associations that a host tells", async () => {
		const { capture, nodes } = await replay();
		expect(espSa(nodes[0].host.netns)).toBe(table);
		const pcap = capture.toPcapng();
		const good = await dissectColumns(pcap, "esp.icv_good && vxlan");
		const all = await dissectColumns(pcap, "esp.spi");
		expect([all.length, good.length]).toEqual([48, 48]);
		await expectCleanInWireshark(pcap);
	});
});

/** Texts of `ip xfrm` with times in seconds since the first packet; when states were made was another time. */
function sinceFirstUse(text: string): string {
	const used = /(?<=use )\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g;
	const seconds = (time: string): number => Date.parse(`${time.replace(" ", "T")}Z`) / 1000;
	const first = Math.min(...(text.match(used) ?? []).map(seconds));
	return text
		.replaceAll(used, (time) => `+${String(seconds(time) - first)} s`)
		.replaceAll(/add [\d-]+ [\d:]+/g, "add")
		.replaceAll(/index \d+/g, "index");
}

/** Lines of neighbours and `bridge fdb` without the MACs of veths and vxlan devices, which are drawn. */
const withoutDrawn = (text: string): string[] =>
	text
		.split("\n")
		.map((line) =>
			line.replace(/^(?!02:42)(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?= dev \S+ master)/, "drawn").trimEnd(),
		)
		.filter((line) => line !== "");

const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");

const shapeOf = ({ spi, sequence, trailer, frames }: ReturnType<typeof openEsp>[number]) => ({
	spi: spi.toString(16),
	sequence,
	trailer: hex(trailer),
	frames: frames.map(({ data }) => {
		const view = new DataView(data.buffer, data.byteOffset);
		// Length, flags and offset, TTL and protocol of the outer header.
		return [data.length, view.getUint16(16), view.getUint16(20), view.getUint16(22)].join(" ");
	}),
});
