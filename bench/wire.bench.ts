import { PcapngWriter } from "../src/observe/index.ts";
import { checksum, ethernet, ipv4, udp, vxlan } from "../src/wire/index.ts";
import type { BenchCase } from "./runner.ts";

const LOOPS = 100_000;

/** Ethernet, IPv4, UDP, VXLAN, Ethernet, IPv4, UDP around 56 octets, in 64 buffers so that no load is hoisted. */
function frames(): DataView[] {
	return Array.from({ length: 64 }, (_, i) => {
		const view = new DataView(new ArrayBuffer(148));
		const put = (at: number, length: number, port: number): void => {
			ethernet.writeParts(view, at, 0x0242, i, 0x0242, 7, ethernet.TYPE_IPV4);
			ipv4.writePlain(
				view,
				at + 14,
				length - 14,
				0,
				i,
				0,
				64,
				17,
				(0x0a00_0001 + i) as never,
				0x0a00_0002 as never,
			);
			udp.writePlain(view, at + 34, 40_000, port, length - 34);
		};
		put(0, 148, 4789);
		vxlan.writeVni(view, 42, (4097 + i) as never);
		put(50, 98, 4000);
		return view;
	});
}

function decode(): () => void {
	const views = frames();
	let sink = 0;
	return () => {
		let sum = 0;
		for (let i = 0; i < LOOPS; i++) {
			const v = views[i & 63]!;
			sum +=
				ethernet.type(v, 0) +
				ethernet.dstLow(v, 0) +
				ipv4.protocol(v, 14) +
				ipv4.source(v, 14) +
				ipv4.destination(v, 14) +
				ipv4.totalLength(v, 14);
			sum += udp.destinationPort(v, 34) + udp.length(v, 34) + vxlan.flags(v, 42) + vxlan.vni(v, 42);
			sum +=
				ethernet.type(v, 50) +
				ethernet.dstLow(v, 50) +
				ipv4.protocol(v, 64) +
				ipv4.source(v, 64) +
				ipv4.destination(v, 64) +
				ipv4.totalLength(v, 64);
			sum += udp.sourcePort(v, 84) + udp.destinationPort(v, 84) + udp.length(v, 84);
		}
		sink += sum;
		if (sink === -1) throw new Error("never: it keeps the loop alive");
	};
}

function record(): () => void {
	const view = frames()[0]!;
	const details = {
		interface: 0,
		time: 0,
		view,
		start: 50,
		end: 148,
		originalLength: 98,
		direction: "in" as const,
		packetId: 1,
		comments: undefined,
	};
	const writer = new PcapngWriter();
	writer.addInterface({ name: "a:eth0" });
	return () => {
		writer.sink.length = 0;
		for (let i = 0; i < LOOPS; i++) {
			details.time += 1000;
			writer.frame(details);
		}
	};
}

function sums(octets: number): () => void {
	const view = new DataView(new ArrayBuffer(1600));
	let sink = 0;
	return () => {
		for (let i = 0; i < LOOPS; i++) sink += checksum.sum(view, i & 7, octets);
		if (sink === -1) throw new Error("never: it keeps the loop alive");
	};
}

const cases: readonly BenchCase[] = [
	{ name: "decode Ethernet/IPv4/UDP/VXLAN/Ethernet/IPv4/UDP in place", packets: LOOPS, prepare: decode },
	{ name: "pcapng record of 98 octets to memory", packets: LOOPS, prepare: record },
	{ name: "checksum of 98 octets", packets: LOOPS, prepare: () => sums(98) },
	{ name: "checksum of 1,480 octets", packets: LOOPS, prepare: () => sums(1480) },
];
export default cases;
