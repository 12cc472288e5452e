import { expect, test } from "vitest";
import { Lab } from "../../src/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { Comparison, has, keep, recording, type TimedFrame, value } from "../support/golden.ts";
import { atInstants, emulated, exchanged } from "../support/scenario.ts";
import {
	answers,
	asks,
	client,
	type Command,
	type Question,
	questionsOf,
	server,
	type Talk,
	talksOf,
} from "../support/talks.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// 02-bridge-user, frame by frame and timed: dig, nslookup and getent in lc1 ask 127.0.0.11 at the recorded instants, by
// UDP and by TCP; upstream answers when it answered. Left out on both sides: IPv6 (the hosts' ends' router
// solicitations).
const BASE = 1_795_454_000;
const START = BASE + 694;
/** When the coarse slots of a machine's timer wheel begin, modulo their 256 ms, from this instant on. */
const SLOTS_SINCE = 1_795_456_000;
const SLOTS = { node1: 0.039, outside: 0.213 } as const;
/** Seconds since then in which the digs were recorded. */
const DIGS = [10, 119] as const;

const frames = (file: string): TimedFrame[] =>
	keep(recording(`02-bridge-user/${file}`), (layers) => !has(layers, "ipv6"));
const layersOf = ({ data }: TimedFrame) => dissect(data);
const isTcp = (frame: TimedFrame): boolean => has(layersOf(frame), "tcp");
const fromServer = (frame: TimedFrame): boolean => value(layersOf(frame), "ipv4.source") === 0x7f00_000b;

/** What the programs in lc1 asked the embedded server by UDP: rules had turned the port to its own already. */
function questionsOnLo(file: string): Question[] {
	return frames(file)
		.filter((frame) => !isTcp(frame) && !fromServer(frame))
		.map(({ time, data }) => ({
			at: time,
			port: Number(value(dissect(data), "udp.sourcePort")),
			df: ((data[20] ?? 0) & 0x40) !== 0,
			octets: data.slice(14 + 20 + 8),
		}));
}

/** What `dig +tcp` said, which on lo goes to a port of the server's own and is answered from 53. */
function talksOnLo(file: string): Talk[] {
	return talksOf(frames(file).filter((frame) => isTcp(frame) && !fromServer(frame))).map((talk) => ({
		...talk,
		server: "127.0.0.11",
		serverPort: 53,
		answered: true,
	}));
}

function site(start: number) {
	const uptime = (machine: keyof typeof SLOTS): string =>
		`${String(256 + ((((BASE + start - SLOTS_SINCE - SLOTS[machine]) % 0.256) + 0.256) % 0.256))}s`;
	// How long a neighbour counts as reachable is drawn at random, between 15 and 45 s: with this seed all of them turn
	// stale between the same frames as on those machines.
	const lab = new Lab({ seed: 7 });
	const lan = lab.switch("lan");
	const host = lab.host("node1", {
		uptime: uptime("node1"),
		nics: {
			eth0: {
				mac: "52:54:00:00:01:00",
				address: "172.31.1.5/24",
				gateway: "172.31.1.1",
				attach: lan,
			},
		},
	});
	const outside = lab.host("outside", {
		uptime: uptime("outside"),
		nics: { eth0: { mac: "02:00:00:00:01:01", address: "172.31.1.1/24", attach: lan } },
	}).netns;
	// The machine outside has so much memory for windows that their scale is 10.
	outside.sysctl.set("net.ipv4.tcp_rmem", [4096, 131_072, 33_554_432]);
	host.netns.files.set("/etc/resolv.conf", "search lab.example\nnameserver 172.31.1.1\n");
	return { lab, host, outside };
}

async function replay() {
	const { lab, host, outside } = site(START - BASE);
	const { docker } = host;
	const { id } = docker.networks.create("localnet", { subnet: "172.19.0.0/16" });
	host.netns.device(`br-${id.slice(0, 12)}`).setMac("02:42:4b:d0:5f:73");
	for (const name of ["lc1", "lc2", "lc3"]) {
		const aliases = name === "lc1" ? ["shared", "web1"] : ["shared"];
		docker.run({ name, hostname: name, network: "localnet", aliases });
	}
	// The two machines had spoken before.
	host.netns.neigh.add("172.31.1.1", { lladdr: "02:00:00:00:01:01", dev: "eth0", nud: "reachable" });
	outside.neigh.add("172.31.1.5", { lladdr: "52:54:00:00:01:00", dev: "eth0", nud: "stale" });
	const lc1 = docker.containers.get("lc1").netns;
	const capture = lab.capture();
	const eth0 = frames("dns-lc1-eth0");
	// The last one is dig's, straight to the server outside.
	const direct = questionsOf(eth0, "questions").slice(-1);
	const commands: Command[] = [
		...asks(lc1, [...questionsOnLo("ping-lc1-lo"), ...questionsOnLo("dns-lc1-lo")], "127.0.0.11"),
		...talksOnLo("dns-lc1-lo").flatMap((talk) => client(lc1, talk, { maxSegment: 1220 })),
		...asks(lc1, direct, "172.31.1.1"),
		...answers(outside, questionsOf(eth0, "answers")),
		...server(
			outside,
			53,
			talksOf(frames("dns-host-eth0")).filter(({ serverPort }) => serverPort === 53),
		),
	];
	await atInstants(lab, START, commands, START + 125);
	return { capture };
}

test("02: questions and answers on lo and eth0 of the container and on the host's card", async () => {
	const { capture } = await replay();
	const halves = ["udp.checksum", "tcp.checksum"].map((field) => ({
		field,
		why: "loopback leaves checksums to nobody: the recorded ones are halves",
	}));
	const comparison = new Comparison({ time: 0.06 });
	const shuffled = {
		field: "dns.message",
		frames: [32, 34, 36, 38, 116],
		why: "the three addresses of `shared` come in any order: docker-dns.test.ts compares them",
	};
	const loopback = new Comparison({ time: 0.06, exceptions: [...halves, shuffled] });
	const differences = (
		of: Comparison,
		file: string,
		place: string,
		[from, to]: readonly [number, number],
		crossed: readonly number[] = [],
	): string[] =>
		of.differences(
			file,
			frames(file).filter(({ time }) => time >= START + from && time <= START + to),
			exchanged(emulated(capture, place, from, to), crossed),
			START,
		);
	expect([
		// Two questions at once, of which the second was answered first.
		...differences(loopback, "ping-lc1-lo", "node1/lc1:lo", [0, 2], [2, 3]),
		...differences(loopback, "dns-lc1-lo", "node1/lc1:lo", DIGS),
		...differences(comparison, "dns-lc1-eth0", "node1/lc1:eth0", DIGS),
		...differences(comparison, "dns-lc2-eth0", "node1/lc2:eth0", DIGS),
		...differences(comparison, "dns-lc2-lo", "node1/lc2:lo", DIGS),
		...differences(comparison, "dns-host-eth0", "node1:eth0", DIGS),
	]).toEqual([]);
	await expectCleanInWireshark(capture.toPcapng());
});

test("02: with two --dns servers, the second is asked what the first refuses, and silence is no answer", async () => {
	const { lab, host, outside } = site(850);
	for (const [ns, address, lladdr] of [
		[host.netns, "172.31.1.1", "02:00:00:00:01:01"],
		[outside, "172.31.1.5", "52:54:00:00:01:00"],
	] as const)
		ns.neigh.add(address, { lladdr, dev: "eth0" });
	const { docker } = host;
	docker.networks.create("localnet", { subnet: "172.19.0.0/16" });
	const { netns } = docker.run({ name: "hh", network: "localnet", dns: ["172.31.1.1", "198.51.100.53"] });
	const recorded = frames("opts-host-eth0").filter(({ time }) => time < BASE + 900);
	const first = keep(recorded, (layers) => value(layers, "ipv4.destination") === 0xac1f_0101);
	// dig and getent, the latter once more after five seconds; from which ports they asked in there was not recorded.
	const asked = questionsOf(first, "questions").map((question, i) => ({
		...question,
		port: 40_000 + i,
		df: false,
	}));
	const capture = lab.capture();
	const answersOf = questionsOf(recorded, "answers");
	await atInstants(
		lab,
		BASE + 850,
		[...asks(netns, asked, "127.0.0.11"), ...answers(outside, answersOf)],
		BASE + 875,
	);
	expect(
		new Comparison({ time: 0.06 }).differences(
			"opts-host-eth0",
			recorded,
			emulated(capture, "node1:eth0"),
			BASE + 850,
		),
	).toEqual([]);
	// Of five questions one was answered: where the last server says nothing, nobody does.
	const replies = emulated(capture, "node1/hh:lo").filter(
		({ data }) => value(dissect(data), "udp.sourcePort") === 53,
	);
	expect(replies).toHaveLength(1);
});
