import { parseIp4, type Ip4 } from "../../src/addr/index.ts";
import { Lab, type Netns } from "../../src/index.ts";
import { ethernet, ipv4, tcp } from "../../src/wire/index.ts";

const INSIDE = "02:00:00:00:00:02";
const OUTSIDE = "02:00:00:00:00:03";
const R0 = "02:00:00:00:00:10";
const R1 = "02:00:00:00:00:11";

/** What a segment of the tests says; the rest has usual values. */
export interface Segment {
	readonly from: string;
	readonly to: string;
	readonly flags: number;
	readonly sequence?: number;
	readonly acknowledgment?: number;
	readonly window?: number;
	readonly payload?: number;
}

/** What came out of the router: `10.0.0.2:4000 > 192.168.1.20:80 SA`. */
export type Seen = string[];

const place = (text: string): readonly [Ip4, number] => {
	const [address = "", port = "0"] = text.split(":");
	return [parseIp4(address) ?? (0 as Ip4), Number(port)];
};
const mac = (text: string): number => Number(`0x${text.replaceAll(":", "")}`);

/**
 * Two hosts and a router that forwards between them.
 *
 *     inside 10.0.0.2 ── 10.0.0.1 eth0 [router] eth1 192.168.1.10 ── 192.168.1.20 outside
 *
 * The inside knows the way out; the outside knows no way in unless it is given one.
 */
export function routed() {
	const lab = new Lab({ seed: 1 });
	const [inside, router, outside] = [lab.netns("inside"), lab.netns("router"), lab.netns("outside")];
	const [i0, eth0] = lab.veth(
		{ ns: inside, name: "eth0", mac: INSIDE },
		{ ns: router, name: "eth0", mac: R0 },
	);
	const [o0, eth1] = lab.veth(
		{ ns: outside, name: "eth0", mac: OUTSIDE },
		{ ns: router, name: "eth1", mac: R1 },
	);
	i0.addAddress("10.0.0.2/24");
	eth0.addAddress("10.0.0.1/24");
	eth1.addAddress("192.168.1.10/24");
	o0.addAddress("192.168.1.20/24");
	for (const device of [i0, eth0, eth1, o0]) device.up();
	inside.routes.add("default", { via: "10.0.0.1" });
	router.sysctl.set("net.ipv4.ip_forward", 1);
	router.neigh.add("10.0.0.2", { lladdr: INSIDE, dev: eth0 });
	router.neigh.add("192.168.1.20", { lladdr: OUTSIDE, dev: eth1 });
	const drops: string[] = [];
	lab.onDrop((drop) => drops.push(`${drop.reason} ${drop.place} ${drop.detail ?? ""}`.trim()));

	const [insideSees, outsideSees] = [listen(inside), listen(outside)];
	const sender = (ns: Netns, device: typeof i0, to: string) => {
		const socket = ns.packetSocket();
		return (segment: Segment): void => {
			socket.send(frameOf(segment, mac(device.macText), mac(to)), device);
			lab.world.scheduler.runUntil(lab.world.scheduler.now + 1_000_000);
		};
	};
	return {
		lab,
		inside,
		router,
		outside,
		eth0,
		eth1,
		drops,
		insideSees,
		outsideSees,
		fromInside: sender(inside, i0, R0),
		fromOutside: sender(outside, o0, R1),
		/** The lines of `conntrack -L` on the router, without the seconds left. */
		flows: (): string[] =>
			router.conntrack
				.list()
				.split("\n")
				.filter((line) => line.includes("src="))
				.map((line) => line.replace(/^(\S+ +\d+) \d+/, "$1")),
	};
}

/** Notes the TCP segments that reach a namespace, which has no TCP of its own to answer them. */
function listen(ns: Netns): Seen {
	const seen: Seen = [];
	ns.protocols.set(6, (frame) => {
		const { view, start } = frame;
		const at = start + ipv4.headerOctets(view, start);
		const name = (ip: Ip4): string => [24, 16, 8, 0].map((shift) => (ip >>> shift) & 255).join(".");
		const flags = tcp.flags(view, at);
		const letters = [
			[tcp.SYN, "S"],
			[tcp.FIN, "F"],
			[tcp.RST, "R"],
			[tcp.ACK, "A"],
		]
			.filter(([bit]) => (flags & Number(bit)) !== 0)
			.map(([, letter]) => String(letter))
			.join("");
		const good = tcp.isChecksumGood(
			view,
			at,
			frame.end - at,
			ipv4.source(view, start),
			ipv4.destination(view, start),
		);
		const from = `${name(ipv4.source(view, start))}:${String(tcp.sourcePort(view, at))}`;
		const to = `${name(ipv4.destination(view, start))}:${String(tcp.destinationPort(view, at))}`;
		seen.push(`${from} > ${to} ${letters}${good ? "" : " bad checksum"}`);
		frame.release();
	});
	return seen;
}

function frameOf(segment: Segment, source: number, destination: number): Uint8Array {
	const payload = segment.payload ?? 0;
	const bytes = new Uint8Array(ethernet.OCTETS + ipv4.MIN_OCTETS + tcp.MIN_OCTETS + payload);
	const view = new DataView(bytes.buffer);
	const [from, sourcePort] = place(segment.from);
	const [to, destinationPort] = place(segment.to);
	ethernet.write(view, 0, { dst: destination as never, src: source as never, type: ethernet.TYPE_IPV4 });
	const octets = bytes.length - ethernet.OCTETS;
	ipv4.writePlain(view, ethernet.OCTETS, octets, 0, 1, ipv4.DONT_FRAGMENT, 64, 6, from, to);
	const at = ethernet.OCTETS + ipv4.MIN_OCTETS;
	tcp.write(view, at, {
		sourcePort,
		destinationPort,
		sequence: segment.sequence ?? 0,
		acknowledgment: segment.acknowledgment ?? 0,
		flags: segment.flags,
		window: segment.window ?? 64_240,
		urgent: 0,
		options: [],
	});
	tcp.writeChecksum(view, at, octets - ipv4.MIN_OCTETS, from, to);
	return bytes;
}
