import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Ip4, toIp4 } from "../../src/addr/index.ts";
import { Lab, type Netns } from "../../src/index.ts";
import { dissect, ethernet, ipv4, tcp } from "../../src/wire/index.ts";
import { Comparison, has, recording, value } from "../support/golden.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// k7-ipvs: c 10.1.0.10 - lb 10.1.0.1, 10.1.0.100 (VIP), 10.2.0.1 - b1..b3 10.2.0.11..13. One run through all cases at
// the recorded instants. The ends' TCP is recorded: they say the recorded segments, and lb does with them what it
// does. Of B and C there is no capture: their connections are A's segments with other ports, at instants that the
// times left in the recorded tables allow.
const START = 1795455088;
const CLIENT = "10.1.0.10";
const VIP = "10.1.0.100";

/** Connections of B and C: client port, server, and when their last segment passed, seconds after `…000`. */
const UNCAPTURED: readonly (readonly [port: number, server: number, last: number])[] = [
	[58030, 13, 99.8],
	[58046, 12, 100.1],
	[58048, 11, 101.1],
	[58054, 11, 101.3],
	[58058, 11, 101.8],
	[58070, 13, 102.5],
	[58080, 12, 103.5],
	[58090, 11, 103.8],
	[58094, 11, 104.45],
	[58102, 11, 104.62],
	[35812, 13, 118.3],
	[35208, 13, 118.91],
	[35218, 13, 118.96],
];
/** When the tables were printed, as far as the times left in them tell. */
const LISTED = { A: 95.68, B: 105.6, C: 119.415, D: 127, E: 139.2 } as const;

type Command = readonly [at: number, command: () => unknown];

// Seed 2 draws times of reachability that end as the recorded ones did.
async function replay(seed = 2) {
	const lab = new Lab({ seed, uptime: "256.0863s" });
	const [c, lb, sw, b1, b2, b3] = ["c", "lb", "sw", "b1", "b2", "b3"].map((name) => lab.netns(name)) as [
		Netns,
		Netns,
		Netns,
		Netns,
		Netns,
		Netns,
	];
	const [cEth, cl] = lab.veth(
		{ ns: c, name: "eth0", mac: "02:00:00:00:01:01" },
		{ ns: lb, name: "cl", mac: "02:00:00:00:01:02" },
	);
	const [be, p0] = lab.veth({ ns: lb, name: "be", mac: "02:00:00:00:02:01" }, { ns: sw, name: "p0" });
	const br0 = sw.addBridge("br0");
	br0.attach(p0);
	for (const device of [cEth, cl, be, p0, br0]) device.up();
	for (const [i, ns] of [b1, b2, b3].entries()) {
		const [eth0, port] = lab.veth(
			{ ns, name: "eth0", mac: `02:00:00:00:02:1${String(i + 1)}` },
			{ ns: sw, name: `p${String(i + 1)}` },
		);
		br0.attach(port);
		eth0.up();
		port.up();
		eth0.addAddress(`10.2.0.1${String(i + 1)}/24`);
		ns.routes.add("default", { via: "10.2.0.1" });
	}
	cEth.addAddress(`${CLIENT}/24`);
	c.routes.add("default", { via: "10.1.0.1" });
	for (const address of ["10.1.0.1/24", `${VIP}/32`]) cl.addAddress(address);
	be.addAddress("10.2.0.1/24");
	lb.sysctl.set("net.ipv4.ip_forward", 1);
	// Their TCP is what was recorded; what comes confirms that the next hop is there.
	for (const ns of [c, b1, b2, b3]) {
		ns.protocols.set(6, (frame, inDevice) => {
			const source = ipv4.source(frame.view, frame.start);
			ns.neighbours(inDevice).confirm(ns.isOnLink(inDevice, source) ? source : toIp4("10.2.0.1", "router"));
			frame.release();
		});
	}
	const capture = lab.capture();
	const texts: Record<string, string> = {};
	const list = (name: string) => (): void => {
		texts[name] = ["-Ln", "-Ln --stats", "-Lcn"].map((line) => lb.ipvsadm(line)).join("");
	};
	const say = (data: Uint8Array): void => {
		const frame = lab.world.frames.from(data);
		frame.pull(ethernet.OCTETS);
		const ns = nsOf(ipv4.source(frame.view, frame.start));
		const route = ns.route(ipv4.destination(frame.view, frame.start));
		if (route !== undefined) ns.ipv4.output(frame, route);
	};
	const nsOf = (address: Ip4): Netns => [b1, b2, b3][(address & 0xff) - 11] ?? c;
	const on = (line: string): unknown => lb.ipvsadm(line);
	const masquerade = (service: string, port: number, weights = [1, 1, 1]): void => {
		for (const [i, weight] of weights.entries()) {
			on(`-a ${service} -r 10.2.0.${String(11 + i)}:${String(port)} -m -w ${String(weight)}`);
		}
	};
	const said = (["A-rr", "D-fwmark-snat", "E-nobackend"] as const).flatMap(segments);
	await atInstants(
		lab,
		START,
		[
			...said.map(({ time, data }): Command => [time, () => say(data)]),
			...uncaptured(segments("A-rr")).map(({ time, data }): Command => [time, () => say(data)]),
			// The module's estimator ticks from here on, such that what was recorded had been published.
			[START + 0.6, () => lb.ipvs],
			[START + 2, () => [on(`-A -t ${VIP}:80 -s rr`), masquerade(`-t ${VIP}:80`, 80)]],
			[START + 2.1, () => (texts["A, before"] = lb.ipvsadm("-Ln"))],
			[1795455094.67144, () => c.ping(VIP, { count: 1 })],
			[at(LISTED.A), list("A")],
			[
				at(97),
				() => [on("-C"), on(`-A -t ${VIP}:8000 -s wrr`), masquerade(`-t ${VIP}:8000`, 8080, [3, 1, 1])],
			],
			[at(LISTED.B), list("B")],
			[at(117), () => [on("-C"), on(`-A -t ${VIP}:80 -s rr -p 60`), masquerade(`-t ${VIP}:80`, 80)]],
			[at(LISTED.C), list("C")],
			[
				at(124.5),
				() => {
					on("-C");
					lb.iptables("-t mangle -A PREROUTING -p tcp --dport 8080 -j MARK --set-mark 0x100");
					lb.sysctl.set("net.ipv4.vs.conntrack", 1);
					lb.iptables("-t nat -A POSTROUTING -d 10.2.0.0/24 -m ipvs --ipvs -j SNAT --to-source 10.2.0.1");
					on("-A -f 256 -s rr");
					masquerade("-f 256", 0);
				},
			],
			[at(LISTED.D), list("D")],
			[at(LISTED.D) + 0.01, () => (texts["D, conntrack"] = lb.conntrack.list())],
			[
				at(132.5),
				() => {
					on("-C");
					for (const table of ["mangle", "nat"]) lb.iptables(`-t ${table} -F`);
					lb.sysctl.set("net.ipv4.vs.conntrack", 0);
					on(`-A -t ${VIP}:80 -s rr`);
				},
			],
			[at(133.4), () => [on(`-a -t ${VIP}:80 -r 10.2.0.99:80 -m`), on(`-a -t ${VIP}:80 -r 10.2.0.11:80 -m`)]],
			[at(LISTED.E), list("E")],
			[at(139.4), () => (texts["E, conntrack"] = lb.conntrack.list())],
		],
		at(140),
	);
	return { capture, texts, lab };
}

const at = (seconds: number): number => 1795455000 + seconds;

interface Segment {
	readonly time: number;
	readonly data: Uint8Array;
}

/** The recorded segments of a case, when they came to lb: its machine was slow, and timers run from there. */
function segments(name: string): Segment[] {
	const isTcp = (data: Uint8Array): boolean => has(dissect(data), "tcp");
	const from = (data: Uint8Array): number => Number(value(dissect(data), "ipv4.source"));
	return [
		...recording(`k7-ipvs/${name}-lb-cl`).filter(({ data }) => isTcp(data) && from(data) === 0x0a01_000a),
		...recording(`k7-ipvs/${name}-lb-be`).filter(
			({ data }) => isTcp(data) && from(data) >>> 8 === 0x0a_0200 && (from(data) & 255) > 10,
		),
	];
}

/** The connections of B and C, made of one of A's each: that with seven segments of the client for two of them. */
function uncaptured(ofA: readonly Segment[]): Segment[] {
	return UNCAPTURED.flatMap(([port, server, last]) => {
		const long = port === 58102 || port === 35812;
		const model = ofA.filter(({ data }) => portOf(data) === (long ? 40260 : 40254));
		// The server's FIN acknowledged the client's: one segment less.
		if (port === 35812) model.pop();
		const end = Math.max(...model.map(({ time }) => time));
		const virtualPort = port > 58000 ? 8000 : 80;
		return model.map(({ time, data }) => ({
			time: at(last) + (time - end) / 2,
			data: renamed(data, port, server, virtualPort),
		}));
	});
}

const portOf = (data: Uint8Array): number => {
	const layers = dissect(data);
	return Math.max(Number(value(layers, "tcp.sourcePort")), Number(value(layers, "tcp.destinationPort")));
};

/** A segment of A as one of another connection. */
function renamed(data: Uint8Array, port: number, server: number, virtualPort: number): Uint8Array {
	const copy = virtualPort === 80 ? data.slice() : withPort(data, virtualPort);
	const view = new DataView(copy.buffer);
	const ip = ethernet.OCTETS;
	const segment = ip + ipv4.headerOctets(view, ip);
	const fromClient = ipv4.source(view, ip) === 0x0a01_000a;
	view.setUint16(segment + (fromClient ? 0 : 2), port);
	view.setUint16(segment + (fromClient ? 2 : 0), fromClient ? virtualPort : virtualPort === 80 ? 80 : 8080);
	if (!fromClient) ipv4.setSource(view, ip, (0x0a02_0000 + server) as Ip4);
	const octets = ipv4.totalLength(view, ip) - (segment - ip);
	tcp.writeChecksum(view, segment, octets, ipv4.source(view, ip), ipv4.destination(view, ip));
	return copy;
}

/** The Host header of a request names a port that is not 80. */
function withPort(data: Uint8Array, port: number): Uint8Array {
	const text = String.fromCharCode(...data);
	const named = text.replace(`Host: ${VIP}`, `Host: ${VIP}:${String(port)}`);
	const copy = Uint8Array.from(named, (character) => character.charCodeAt(0));
	const view = new DataView(copy.buffer);
	ipv4.setTotalLength(view, ethernet.OCTETS, copy.length - ethernet.OCTETS);
	ipv4.writeChecksum(view, ethernet.OCTETS);
	return copy;
}

/** What ipvsadm printed in a case, its `-Ln`, `-Ln --stats`, `-Lcn` in one; rows of connections sorted. */
function printed(name: keyof typeof LISTED): string {
	const log = readFileSync("test/golden/k7-ipvs/commands.log", "utf8");
	const block =
		log
			.slice(log.indexOf(`\n## ${name} `))
			.slice(1)
			.split("\n## ")[0] ?? "";
	const from = block.indexOf("IP Virtual Server", block.indexOf("[lb]# ipvsadm -Ln;", 10));
	return block.slice(from).split(/\n(?!IP|TCP|UDP|FWM|Prot| {2}->|pro )/)[0]!;
}

/** The kernel's table has its rows in the order of a random key. */
const byConnection = (text: string): string[] => {
	const [head, rows] = text.trimEnd().split(/(?<=destination\n)/) as [string, string | undefined];
	return [
		head,
		...(rows ?? "")
			.trimEnd()
			.split("\n")
			.sort((a, b) => (a.slice(22) < b.slice(22) ? -1 : 1)),
	];
};

describe("a load balancer is on the wire what Linux's is", () => {
	test("Wireshark finds nothing wrong in the whole capture", async () => {
		const { capture } = await replay();
		await expectCleanInWireshark(capture.toPcapng());
	});

	test("before the first connection ipvsadm prints what it printed", async () => {
		const { texts } = await replay();
		const log = readFileSync("test/golden/k7-ipvs/commands.log", "utf8");
		const from = log.indexOf("IP Virtual Server");
		expect(texts["A, before"]).toBe(log.slice(from, log.indexOf("[c]#", from)));
	});

	test.each(["A", "B", "C", "D", "E"] as const)("%s: ipvsadm prints what it printed", async (name) => {
		const { texts } = await replay();
		expect(byConnection(texts[name]!)).toEqual(byConnection(printed(name)));
	});

	test.each(["D", "E"] as const)("%s: conntrack prints what it printed", async (name) => {
		const { texts } = await replay();
		const block = readFileSync("test/golden/k7-ipvs/commands.log", "utf8")
			.split(`\n## ${name} `)[1]!
			.split("\n## ")[0]!;
		const flows = (text: string): string[] => (text.match(/^tcp .*$/gm) ?? []).sort();
		expect(flows(texts[`${name}, conntrack`]!)).toEqual(flows(block));
	});

	test.each([
		["A-rr", "the newest destination first, TTL one less each way, nothing else but the address changes"],
		["D-fwmark-snat", "marked packets go to their own port, from the load balancer's own address"],
		["E-nobackend", "unreachable port and unreachable host are told by the virtual address"],
	] as readonly (readonly [keyof typeof WINDOWS, string])[])("%s: %s", async (name) => {
		const { capture } = await replay();
		const comparison = new Comparison({ time: 0.06 });
		const differences = [
			["client", "c:eth0"],
			["lb-cl", "lb:cl"],
			["lb-be", "lb:be"],
			["b1", "b1:eth0"],
		].flatMap(([file, place]) => {
			const recorded = recording(`k7-ipvs/${name}-${file!}`);
			const [from, to] = WINDOWS[name];
			return comparison.differences(
				file!,
				recorded,
				emulated(capture, place!, at(from) - START, at(to) - START),
				START,
			);
		});
		expect(differences).toEqual([]);
	});
});

/** When each capture ran. */
const WINDOWS = { "A-rr": [91, 95.5], "D-fwmark-snat": [124.7, 127], "E-nobackend": [130.5, 138] } as const;
