import { describe, expect, test } from "vitest";
import { toIp4 } from "../../src/addr/index.ts";
import { Lab, type Netns } from "../../src/index.ts";
import type { VxlanOptions } from "../../src/link/index.ts";
import { dissect, type Layer } from "../../src/wire/index.ts";
import { Comparison, has, recording, type TimedFrame, value } from "../support/golden.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// k1-vxlan-unicast: u1 192.0.2.1 -- u2 192.0.2.2, vx0 on both, one run through all captures at the recorded
// instants. TCP is not here yet: both ends put the recorded inner segments into their vx0, each connection and
// direction with a flow hash of its own as sockets have it, so that what the tunnel makes of them is judged too.
const START = 1795454678.48;

/** The option that u1's vx0 has in each of the `variant-*` captures. */
const VARIANTS: Readonly<Record<string, Partial<VxlanOptions>>> = {
	"variant-ttl_5": { ttl: 5 },
	"variant-ttl_inherit": { ttl: "inherit" },
	"variant-tos_inherit": { tos: "inherit" },
	"variant-df_set": { df: "set" },
	"variant-df_inherit": { df: "inherit" },
	"variant-noudpcsum": { udpChecksum: false },
	"variant-srcport_50000_50010": { sourcePorts: [50_000, 50_010] },
	"variant-gbp": { gbp: true },
	"variant-udpcsum_tos_0x10_ttl_7": { tos: 0x10, ttl: 7 },
	"variant-flowlabel_0": {},
};

function addVxlan(ns: Netns, number: 1 | 2, options: Partial<VxlanOptions> = {}, known = true): void {
	const other = 3 - number;
	const vx = ns.addVxlan("vx0", {
		vni: 4097,
		local: `192.0.2.${String(number)}`,
		learning: false,
		mac: `02:00:00:00:b0:0${String(number)}`,
		...options,
	});
	vx.up();
	vx.addAddress(`10.9.0.${String(number)}/24`);
	const dst = `192.0.2.${String(other)}`;
	if (known) vx.appendFdb(`02:00:00:00:b0:0${String(other)}`, { dst });
	vx.appendFdb("default", { dst });
}

async function replay() {
	// The ticks of the recorded machine, and a seed whose times of reachability end as the recorded ones did.
	const lab = new Lab({ seed: 5, uptime: "256.166s" });
	const [u1, u2] = [lab.netns("u1"), lab.netns("u2")];
	const ends = lab.veth(
		{ ns: u1, name: "eth0", mac: "02:00:00:00:a0:01" },
		{ ns: u2, name: "eth0", mac: "02:00:00:00:a0:02" },
	);
	for (const [i, end] of ends.entries()) {
		end.addAddress(`192.0.2.${String(i + 1)}/24`);
		end.up();
	}
	addVxlan(u1, 1);
	addVxlan(u2, 2);
	const capture = lab.capture();
	const ping =
		(options: Parameters<Netns["ping"]>[1], to = "10.9.0.2") =>
		(): void =>
			void u1.ping(to, options);
	const one = (options: Parameters<Netns["ping"]>[1]) => ping({ count: 1, ...options });
	const inner = 1795454678.50093;
	// nc and traceroute: what u1 said by UDP, at its instants. nc connects, traceroute does not and clears DF.
	const isUdp = (frame: TimedFrame): boolean =>
		has(dissect(frame.data), "udp") && value(dissect(frame.data), "ipv4.source") === 0x0a09_0001;
	const datagrams = recording("k1-vxlan-unicast/inner-u1").filter(isUdp);
	const commands: (readonly [number, () => unknown])[] = [
		[inner, ping({ count: 3, interval: 300 })],
		[inner + 5.67886, one({ tos: 0xb8 })],
		[inner + 5.8087, one({ tos: 0x28 })],
		[inner + 5.91755, one({ ttl: 5 })],
		[inner + 6.05464, one({ mtuDiscovery: "do", size: 1422 })],
		[inner + 6.15799, one({ mtuDiscovery: "do", size: 1423 })],
		[inner + 6.24999, one({ mtuDiscovery: "dont", size: 3000 })],
		[inner + 6.34527, ping({ count: 1, broadcast: true }, "10.9.0.255")],
		[inner + 16.69635, one({ tos: 0x01 })],
		[inner + 16.75138, one({ tos: 0x02 })],
		[inner + 16.80584, one({ tos: 0x03 })],
		...datagrams.map((frame) => [frame.time, () => sendAgain(u1, frame)] as const),
	];
	for (const [ns, number] of [
		[u1, 1],
		[u2, 2],
	] as const) {
		ns.protocols.set(6, (frame) => {
			frame.release();
		});
		for (const frame of recording(`k1-vxlan-unicast/inner-u${String(number)}`)) {
			const layers = dissect(frame.data);
			if (!has(layers, "tcp") || value(layers, "ipv4.source") !== 0x0a09_0000 + number) continue;
			commands.push([
				frame.time,
				() => {
					sayAgain(lab, ns, frame, layers);
				},
			]);
			// Its progress confirms the neighbours, inside and, by the same buffers, outside (`dst_pending_confirm`).
			const [other, own] = number === 1 ? [u2, 1] : [u1, 2];
			commands.push([
				frame.time,
				() => {
					confirm(other, "vx0", `10.9.0.${String(own)}`);
				},
			]);
			commands.push([
				frame.time,
				() => {
					confirm(other, "eth0", `192.0.2.${String(own)}`);
				},
			]);
		}
	}
	for (const [name, options] of Object.entries(VARIANTS)) {
		const frames = recording(`k1-vxlan-unicast/${name}`);
		const [begin, second, third, datagram] = [0, 4, 6, 8].map((i) => frames[i]?.time ?? 0) as [
			number,
			number,
			number,
			number,
		];
		commands.push(
			[
				begin - 0.05,
				() => {
					u1.device("vx0").delete();
				},
			],
			[
				begin - 0.04,
				() => {
					addVxlan(u1, 1, options);
				},
			],
			[begin, one({})],
			[second, one({ tos: 0xb8, ttl: 9, mtuDiscovery: "do" })],
			[third, one({ mtuDiscovery: "dont" })],
			[
				datagram,
				() => {
					sendAgain(u1, frames[8]);
				},
			],
		);
	}
	for (const [at, options] of [
		[1795454741.46437, { vni: 5000 }],
		[1795454746.02236, { port: 8472 }],
	] as const) {
		commands.push(
			[
				at - 0.05,
				() => {
					u1.device("vx0").delete();
				},
			],
			[
				at - 0.04,
				() => {
					addVxlan(u1, 1, options, false);
				},
			],
			[at, one({ timeout: "1s" })],
		);
	}
	await atInstants(lab, START, commands, 1795454749);
	return capture;
}

/** Puts a recorded segment into vx0, hashed by connection and direction. */
function sayAgain(lab: Lab, ns: Netns, recorded: TimedFrame, layers: readonly Layer[]): void {
	const frame = lab.world.frames.from(recorded.data);
	const ports =
		Number(value(layers, "tcp.sourcePort")) * 65_536 + Number(value(layers, "tcp.destinationPort"));
	frame.flowHash = Math.imul(ports, 0x9e37_79b1) | 1;
	ns.device("vx0").transmit(frame);
}

function confirm(ns: Netns, device: string, peer: string): void {
	const inDevice = ns.inDevice(ns.device(device));
	if (inDevice !== undefined) ns.neighbours(inDevice).confirm(toIp4(peer, "peer"));
}

/** Says a recorded datagram again, from a socket like the one that said it. */
function sendAgain(ns: Netns, frame: TimedFrame | undefined): void {
	if (frame === undefined) return;
	const fields = dissect(frame.data)
		.filter((layer) => !layer.quoted)
		.flatMap((layer) => layer.fields);
	const last = (name: string): number => Number(fields.findLast((field) => field.name === name)?.value);
	const data = fields.findLast((field) => field.name === "payload.data")?.value;
	const payload = data instanceof Uint8Array ? data : new Uint8Array();
	const refuses = (last("ipv4.flags") & 2) !== 0;
	const source = last("udp.sourcePort");
	const socket = ns.udp({
		ttl: last("ipv4.ttl"),
		mtuDiscovery: refuses ? "want" : "dont",
		...(source < 32_768 || source === 40_000 ? { port: source } : {}),
	});
	if (refuses) {
		socket.connect("10.9.0.2", last("udp.destinationPort"));
		socket.send(payload);
	} else {
		socket.send(payload, { address: "10.9.0.2", port: last("udp.destinationPort") });
	}
	socket.close();
}

describe("a VXLAN tunnel is on the wire what Linux's is", () => {
	test("Wireshark finds nothing wrong in the whole capture", async () => {
		const capture = await replay();
		await expectCleanInWireshark(capture.toPcapng(), {
			harmless: [
				{ protocol: "FIND", why: "two octets to port 7000, as nc sent them to the real machine" },
				{ protocol: "DNS", why: "two octets to port 53, as nc sent them to the real machine" },
			],
		});
	});

	test.each<readonly [string, string, string]>([
		["inner-u1", "u1:vx0", "inside: nothing of a packet changes"],
		["inner-u2", "u2:vx0", "inside at the far end"],
		[
			"underlay-u1",
			"u1:eth0",
			"outside: checksum set, DF clear, TTL 64, TOS 0 but for ECN, one port per flow",
		],
		["unknown-vni-eth0", "u1:eth0", "an unknown VNI is dropped in silence"],
		["port8472-nolistener-eth0", "u1:eth0", "a port nobody opened is unreachable"],
		...Object.keys(VARIANTS).map((name) => [name, "u1:eth0", JSON.stringify(VARIANTS[name])] as const),
	])("%s on %s: %s", async (name, place) => {
		const capture = await replay();
		const recorded = recording(`k1-vxlan-unicast/${name}`);
		const [first, last] = [recorded[0]?.time ?? 0, recorded.at(-1)?.time ?? 0];
		const ours = emulated(capture, place, first - START - 0.03, last - START + 0.03);
		expect(new Comparison({ time: 0.05 }).differences(name, recorded, ours, START)).toEqual([]);
	});
});
