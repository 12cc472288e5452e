import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { toIp4 } from "../../src/addr/index.ts";
import { Lab, type Netns } from "../../src/index.ts";
import type { Capture } from "../../src/observe/index.ts";
import { dissect, tcp } from "../../src/wire/index.ts";
import { openEsp } from "../support/esp.ts";
import { Comparison, has, recording, type TimedFrame, value } from "../support/golden.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { dissectColumns, expectCleanInWireshark, openEspWith } from "../support/wireshark.ts";

// k9-esp: u1 192.0.2.1 -- u2 192.0.2.2, vx0 on both, all VXLAN between them in ESP as Docker has it.
const START = 1795455560; // 17:39:20, when the first state was added
const MARK = 0xd0_c4e3;
const REQID = 13_681_891;
const ICV_OCTETS = 8;
const KEY = {
	0x1111_1111: "0x000102030405060708090a0b0c0d0e0f10111213",
	0x2222_2222: "0x202122232425262728292a2b2c2d2e2f30313233",
} as const;
type Spi = keyof typeof KEY;
const KEYS = Object.fromEntries(
	Object.entries(KEY).map(([spi, key]) => [spi, Uint8Array.from(Buffer.from(key.slice(2), "hex"))]),
);
const ADDRESS = { u1: "192.0.2.1", u2: "192.0.2.2" } as const;
type Name = keyof typeof ADDRESS;

openEspWith([
	{ src: ADDRESS.u1, dst: ADDRESS.u2, spi: 0x1111_1111, key: KEY[0x1111_1111], icvOctets: 8 },
	{ src: ADDRESS.u2, dst: ADDRESS.u1, spi: 0x2222_2222, key: KEY[0x2222_2222], icvOctets: 8 },
]);

const recordedText = (file: string): string =>
	readFileSync(new URL(`k9-esp/${file}`, import.meta.url), "utf8");

/** u1 and u2, a cable between them. */
function twoHosts(lab: Lab) {
	const [u1, u2] = [lab.netns("u1"), lab.netns("u2")];
	const ends = lab.veth(
		{ ns: u1, name: "eth0", mac: "02:00:00:00:a0:01" },
		{ ns: u2, name: "eth0", mac: "02:00:00:00:a0:02" },
	);
	for (const [i, end] of ends.entries()) {
		end.addAddress(`192.0.2.${String(i + 1)}/24`);
		end.up();
	}
	return { u1, u2 };
}

/** `ip xfrm state add …` as recorded. */
function addState(ns: Netns, spi: Spi, from: Name, to: Name, ivSalt?: Uint8Array): void {
	ns.xfrm.state.add({
		src: ADDRESS[from],
		dst: ADDRESS[to],
		proto: "esp",
		spi,
		reqid: REQID,
		mode: "transport",
		aead: { name: "rfc4106(gcm(aes))", key: KEY[spi], icv: ICV_OCTETS * 8 },
		sel: { proto: "udp" },
		...(ivSalt === undefined ? {} : { ivSalt }),
	});
}

/** `ip xfrm policy add …` as recorded. */
function addPolicy(ns: Netns, spi: Spi, from: Name, to: Name, mark: number | undefined): void {
	const [src, dst] = [ADDRESS[from], ADDRESS[to]];
	ns.xfrm.policy.add({
		src,
		dst,
		proto: "udp",
		dport: 4789,
		dir: "out",
		...(mark === undefined ? {} : { mark }),
		tmpl: [{ src, dst, proto: "esp", spi, reqid: REQID, mode: "transport" }],
	});
}

async function replay() {
	const lab = new Lab({ seed: 1, uptime: "256.0223s", epoch: "2026-11-23T17:39:20Z" });
	const { u1, u2 } = twoHosts(lab);
	const texts = { before: "", after: "" };
	const capture = lab.capture();
	const one = (options: Parameters<Netns["ping"]>[1]) => (): void =>
		void u1.ping("10.9.0.2", { count: 1, ...options });
	const inner = recording("k9-esp/esp-inner");
	const at = (frame: number): number => inner[frame - 1]?.time ?? 0;
	const commands: (readonly [number, () => unknown])[] = [
		[
			START,
			() => {
				addState(u1, 0x1111_1111, "u1", "u2");
				addState(u2, 0x1111_1111, "u1", "u2");
			},
		],
		[
			START + 5.5,
			() => {
				addState(u1, 0x2222_2222, "u2", "u1");
				addState(u2, 0x2222_2222, "u2", "u1");
				addPolicy(u1, 0x1111_1111, "u1", "u2", MARK);
				addPolicy(u2, 0x2222_2222, "u2", "u1", MARK);
				texts.before = u1.xfrm.state.show() + u1.xfrm.policy.show();
			},
		],
		[
			START + 10,
			() => {
				for (const [i, ns] of [u1, u2].entries()) {
					const vni = "0>>22&0x3C@12&0xFFFFFF00=0x100100";
					ns.iptables(
						`-t mangle -A OUTPUT -p udp --dport 4789 -m u32 --u32 ${vni} -j MARK --set-mark 0xd0c4e3`,
					);
					const [own, other] = [String(i + 1), String(2 - i)];
					const vx = ns.addVxlan("vx0", {
						vni: 4097,
						local: `192.0.2.${own}`,
						mac: `02:00:00:00:b0:0${own}`,
					});
					vx.setMtu(1424);
					vx.up();
					vx.addAddress(`10.9.0.${own}/24`);
					vx.appendFdb("default", { dst: `192.0.2.${other}` });
				}
			},
		],
		...[0, 1, 2, 3, 4, 5, 56, 100, 1000].map(
			(size, i) => [i === 0 ? at(1) : at(3 + 2 * i), one({ size })] as const,
		),
		[at(36), () => sayDatagram(u1)],
		[at(38), one({ mtuDiscovery: "do", size: 1396 })],
		[at(40) - 0.1, () => u1.device("vx0").setMtu(1450)],
		[at(40), one({ mtuDiscovery: "do", size: 1422 })],
		[at(43), one({ mtuDiscovery: "do", size: 1422 })],
		[at(46), one({ mtuDiscovery: "dont", size: 1422 })],
		[at(48) + 0.5, () => (texts.after = u1.xfrm.state.show({ statistics: true }))],
	];
	// TCP is said again as it was recorded, from the side that said it.
	for (const [ns, source] of [
		[u1, 0x0a09_0001],
		[u2, 0x0a09_0002],
	] as const) {
		ns.protocols.set(6, (frame) => {
			frame.release();
		});
		const [other, number] = ns === u1 ? [u2, "1"] : [u1, "2"];
		for (const frame of inOrder(inner)) {
			const layers = dissect(frame.data);
			if (!has(layers, "tcp") || value(layers, "ipv4.source") !== source) continue;
			commands.push([
				frame.time,
				() => {
					sayAgain(lab, ns, frame);
					// Its progress confirms the neighbours inside and outside (`dst_pending_confirm`).
					confirm(other, "vx0", `10.9.0.${number}`);
					confirm(other, "eth0", `192.0.2.${number}`);
				},
			]);
		}
	}
	for (const frame of recording("k9-esp/esp-bad-u2"))
		commands.push([frame.time, () => u1.device("eth0").transmit(lab.world.frames.from(frame.data))]);
	await atInstants(lab, START, commands, 1795455592);
	return { capture, texts, u2 };
}

/**
 * Times that grow within what each host said: the recorded ones are those of arrival, the order is that of vx0, which
 * the slow machine reached later.
 */
function inOrder(frames: readonly TimedFrame[]): TimedFrame[] {
	const latest = new Map<unknown, number>();
	return frames
		.map(({ time, data }) => {
			const source = value(dissect(data), "ethernet.src");
			const at = Math.max(time, latest.get(source) ?? 0);
			latest.set(source, at);
			return { time: at, data };
		})
		.sort((a, b) => a.time - b.time);
}

/** Puts a recorded segment into vx0, hashed by connection and direction as a socket does. */
function sayAgain(lab: Lab, ns: Netns, { data }: TimedFrame): void {
	const frame = lab.world.frames.from(data);
	const layers = dissect(data);
	const ports =
		Number(value(layers, "tcp.sourcePort")) * 65_536 + Number(value(layers, "tcp.destinationPort"));
	// The reset is nobody's: no socket's hash is on it.
	const reset = (Number(value(layers, "tcp.flags")) & tcp.RST) !== 0;
	if (!reset) frame.flowHash = Math.imul(ports, 0x9e37_79b1) | 1;
	ns.device("vx0").transmit(frame);
}

function confirm(ns: Netns, device: string, peer: string): void {
	const inDevice = ns.inDevice(ns.device(device));
	if (inDevice !== undefined) ns.neighbours(inDevice).confirm(toIp4(peer, "peer"));
}

function sayDatagram(ns: Netns): void {
	const socket = ns.udp({ port: 1000 });
	socket.connect("10.9.0.2", 7000);
	socket.send(Uint8Array.of(0x78, 0x0a));
}

/** The recorded minutes of a capture, ESP opened. */
const underlay = (capture: Capture): TimedFrame[] => emulated(capture, "u1:eth0", 17, 25);

describe("ESP is on the wire what Linux's is", () => {
	test("given the key, the random half of the IV and the packet, every octet is as recorded, fragments too", async () => {
		const recorded = recording("k9-esp/esp-underlay");
		const opened = openEsp(recorded, KEYS, ICV_OCTETS);
		const lab = new Lab({ seed: 1 });
		const hosts = twoHosts(lab);
		const capture = lab.capture();
		for (const [spi, from, to] of [
			[0x1111_1111, "u1", "u2"],
			[0x2222_2222, "u2", "u1"],
		] as const) {
			const packets = opened.filter((each) => each.spi === spi);
			const ivSalt = packets[0]?.iv.slice() ?? new Uint8Array();
			ivSalt[7] = (ivSalt[7] ?? 0) ^ 1; // the first number
			const [ns, mac] = [hosts[from], `02:00:00:00:a0:0${to.slice(1)}`];
			addState(ns, spi, from, to, ivSalt);
			addPolicy(ns, spi, from, to, undefined);
			ns.neigh.add(ADDRESS[to], { lladdr: mac, dev: "eth0" });
			for (const { plain } of packets) {
				const frame = lab.world.frames.from(plain.data.subarray(14));
				ns.ipv4.output(frame, ns.route(toIp4(ADDRESS[to], "to"))!);
			}
		}
		await lab.advance("1s");
		const hex = (frames: readonly { readonly data: Uint8Array }[], source: number): string[] =>
			frames
				.filter(({ data }) => value(dissect(data), "ipv4.source") === source)
				.map(({ data }) => Buffer.from(data).toString("hex"));
		for (const source of [0xc000_0201, 0xc000_0202]) {
			expect(hex(capture.sightings("u1:eth0"), source)).toEqual(hex(recorded, source));
		}
	});

	test("each packet, opened with the key, is the recorded one: order, sizes, numbers, IVs, padding, fragments", async () => {
		const { capture } = await replay();
		const recorded = openEsp(recording("k9-esp/esp-underlay"), KEYS, ICV_OCTETS);
		const ours = openEsp(underlay(capture), KEYS, ICV_OCTETS);
		expect(ours.map(shapeOf)).toEqual(recorded.map(shapeOf));
		const comparison = new Comparison({ time: 0.06 });
		const plain = (list: typeof ours): TimedFrame[] => list.map((each) => each.plain);
		expect(comparison.differences("inside ESP", plain(recorded), plain(ours), START)).toEqual([]);
		// The IV is a random number of the state XOR the packet's number.
		for (const spi of [0x1111_1111, 0x2222_2222]) {
			const salts = ours.filter((each) => each.spi === spi).map(ivSaltOf);
			expect(new Set(salts).size).toBe(1);
		}
	});

	test("vx0 carries the same packets as without ESP", async () => {
		const { capture } = await replay();
		const found = new Comparison({ time: 0.06 }).differences(
			"esp-inner",
			inOrder(recording("k9-esp/esp-inner")),
			// The recording kept no more of a frame.
			emulated(capture, "u1:vx0", 17, 25).map((frame) => ({ ...frame, data: frame.data.subarray(0, 1450) })),
			START,
		);
		expect(found).toEqual([]);
	});

	test("ip xfrm prints what it printed there, counters, sequence numbers and times included", async () => {
		const { texts } = await replay();
		expect(texts.before).toBe(recordedText("xfrm.txt"));
		expect(texts.after).toBe(recordedText("xfrm-s-state.txt"));
	});

	test("an unknown SPI and a wrong tag are dropped without a word, and counted", async () => {
		const { capture, u2 } = await replay();
		expect(emulated(capture, "u2:eth0", 31, 32)).toHaveLength(2);
		expect(u2.xfrm.stat.text).toBe(recordedText("xfrm_stat.txt"));
	});

	test("Wireshark opens every packet, finds every tag right, and nothing wrong inside", async () => {
		const { capture } = await replay();
		const pcap = capture.toPcapng();
		const good = await dissectColumns(pcap, "esp.icv_good && vxlan");
		const all = await dissectColumns(pcap, "esp.spi");
		// 48 packets, seen at both ends; of the two bad ones, one has no key and one no right tag.
		expect([all.length, good.length]).toEqual([2 * (48 + 2), 2 * 48]);
		await expectCleanInWireshark(capture.toPcapng(), {
			harmless: [{ protocol: "FIND", why: "two octets to port 7000, as nc sent them to the real machine" }],
		});
	});
});

const shapeOf = ({ spi, sequence, trailer, frames }: ReturnType<typeof openEsp>[number]) => ({
	spi: spi.toString(16),
	sequence,
	trailer: Buffer.from(trailer).toString("hex"),
	frames: frames.map(({ data }) => {
		const view = new DataView(data.buffer, data.byteOffset);
		// Length, flags and offset, TTL and protocol of the outer header.
		return [data.length, view.getUint16(16), view.getUint16(20), view.getUint16(22)].join(" ");
	}),
});

function ivSaltOf({ iv, sequence }: ReturnType<typeof openEsp>[number]): string {
	const view = new DataView(iv.buffer, iv.byteOffset);
	return (view.getBigUint64(0) ^ BigInt(sequence)).toString(16);
}
