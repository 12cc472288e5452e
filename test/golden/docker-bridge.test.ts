import { describe, expect, test } from "vitest";
import { type Container, Lab, type Netns } from "../../src/index.ts";
import type { Layer } from "../../src/wire/index.ts";
import type { Capture } from "../../src/observe/index.ts";
import { Comparison, has, keep, recording, type TimedFrame, value } from "../support/golden.ts";
import { atInstants, emulated, exchanged, isSnoopersReport } from "../support/scenario.ts";
import type { Exception } from "../support/recording.ts";
import { answers, asks, client, questionsOf, server, talksOf } from "../support/talks.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// Containers that `docker run` made, at the recorded instants: pings, web pages, names. Left out on both sides: IPv6 (router
// solicitations and listener reports of the hosts' ends), which the stack has not.
const BASE = 1_795_456_000;
/** When the coarse slots of a machine's timer wheel begin, modulo their 256 ms. */
const SLOTS = { node1: 0.039, node3: 0.04, outside: 0.213 } as const;

function site(node: "node1" | "node3", start: number) {
	const lab = new Lab({ seed: 1 });
	const lan = lab.switch("lan");
	const uptime = (machine: keyof typeof SLOTS): string =>
		`${String(256 + ((((start - SLOTS[machine]) % 0.256) + 0.256) % 0.256))}s`;
	const last = node === "node1" ? 5 : 7;
	const host = lab.host(node, {
		uptime: uptime(node),
		nics: {
			eth0: {
				mac: `52:54:00:00:0${node.slice(4)}:00`,
				address: `172.31.1.${String(last)}/24`,
				gateway: "172.31.1.1",
				attach: lan,
			},
		},
	});
	const outside = lab.host("outside", {
		uptime: uptime("outside"),
		nics: { eth0: { mac: "02:00:00:00:01:01", address: "172.31.1.1/24", attach: lan } },
	});
	return { lab, host, docker: host.docker, outside };
}

const ping =
	(container: Container<Netns>, to: string, count = 1) =>
	(): void =>
		void container.ping(to, { count, timeout: "1s" }).catch(() => undefined);

async function compare(
	capture: Capture,
	folder: string,
	places: Readonly<Record<string, string>>,
	[from, to]: readonly [number, number],
	without: readonly ((layers: readonly Layer[]) => boolean)[] = [],
	crossed: Readonly<Record<string, readonly number[]>> = {},
	exceptions: readonly Exception[] = [],
): Promise<string[]> {
	await expectCleanInWireshark(capture.toPcapng());
	const comparison = new Comparison({ time: 0.06, exceptions });
	const ours = (frames: readonly TimedFrame[]) =>
		keep(
			frames,
			(layers) => !has(layers, "ipv6") && !has(layers, "igmp") && without.every((leaves) => !leaves(layers)),
		);
	return Object.entries(places).flatMap(([file, place]) =>
		comparison.differences(
			file,
			ours(recording(`${folder}/${file}`)).filter(({ time }) => time >= BASE + from && time <= BASE + to),
			exchanged(ours(emulated(capture, place, 0, to - from)), crossed[file] ?? []),
			BASE + from,
		),
	);
}

/**
 * Acknowledgments that d1 owed while curl had its socket locked for 130 and 200 ms: there are two, when is that
 * machine's.
 */
const heldBack = (layers: readonly Layer[]): boolean =>
	has(layers, "tcp") &&
	value(layers, "ipv4.source") === 0xac11_0002 &&
	value(layers, "tcp.flags") === ACK &&
	!has(layers, "payload");
const ACK = 16;

/** What node3 and node2 asked each other as members of a swarm that takes no part here. */
const ofSwarm = (layers: readonly Layer[]): boolean =>
	has(layers, "arp") && [value(layers, "arp.senderIp"), value(layers, "arp.targetIp")].includes(0xac1f_0106);

describe("containers on bridges speak as Docker's do", () => {
	test("01: on docker0, with each other, the gateway, nobody, and the outside", async () => {
		const start = 361;
		const { lab, host, docker, outside } = site("node3", start);
		host.netns.device("docker0").setMac("02:42:ce:b5:aa:1e");
		const d1 = docker.run({ name: "d1" });
		const d2 = docker.run({ name: "d2" });
		const [veth1, veth2] = ["eth0", "eth0"].map(
			(eth, i) => `node3:${([d1, d2][i] ?? d1).netns.device(eth).link?.name ?? ""}`,
		) as [string, string];
		const recorded = recording("01-bridge-default/off-d1-eth0");
		const inside = talksOf(recorded).filter(({ server: to }) => to === "172.17.0.3");
		const capture = lab.capture();
		await atInstants(
			lab,
			BASE + start,
			[
				[BASE + 361.92049, ping(d1, "172.17.0.3", 3)],
				[BASE + 376.57058, ping(d1, "172.17.0.1", 2)],
				[BASE + 380.35356, ping(d1, "172.17.0.77")],
				[BASE + 385.25295, ping(d1, "172.31.1.1", 2)],
				...server(d2.netns, 80, inside),
				...inside.flatMap((talk) => client(d1.netns, talk)),
				...asks(d1.netns, questionsOf(recorded, "questions"), "172.31.1.1"),
				...answers(outside.netns, questionsOf(recorded, "answers")),
			],
			BASE + 388,
		);
		const places = {
			"off-d1-eth0": "node3/d1:eth0",
			"off-d2-eth0": "node3/d2:eth0",
			"off-d1-lo": "node3/d1:lo",
			"off-docker0": "node3:docker0",
			"off-host-eth0": "node3:eth0",
			"off-veth-d1": veth1,
			"off-veth-d2": veth2,
		};
		expect(
			await compare(capture, "01-bridge-default", places, [start, 388], [heldBack, ofSwarm], {
				// An answer and the next question, which passed docker0 on two processors.
				"off-docker0": [31],
				// Questions and answers that met at the host's card.
				"off-host-eth0": [4, 12],
			}),
		).toEqual([]);
	});

	test("01: checksums that are left to the card, as a container's are by default", async () => {
		const start = 268;
		const { lab, host, docker } = site("node3", start);
		host.netns.device("docker0").setMac("02:42:ce:b5:aa:1e");
		const [d1, d2] = ["d1", "d2"].map((name) => docker.run({ name })) as [Container<Netns>, Container<Netns>];
		const talks = talksOf(recording("01-bridge-default/defaults-d1-eth0")).filter(
			({ server: to }) => to === "172.17.0.3",
		);
		const capture = lab.capture();
		await atInstants(
			lab,
			BASE + start,
			[
				[BASE + 268.10806, ping(d1, "172.17.0.3", 3)],
				...server(d2.netns, 80, talks),
				...talks.flatMap((talk) => client(d1.netns, talk)),
			],
			BASE + 278,
		);
		const places = { "defaults-d1-eth0": "node3/d1:eth0", "defaults-docker0": "node3:docker0" };
		const halves = { field: "tcp.checksum", why: "veth has checksum offload: the recorded ones are halves" };
		expect(await compare(capture, "01-bridge-default", places, [start, 278], [], {}, [halves])).toEqual([]);
	});

	test.each([
		["01-bridge-default", "node3", undefined, ["start-docker0"], ["start-host-eth0"]],
		["02-bridge-user", "node1", "172.19.0.0/16", ["start-br"], []],
		["04-isolation", "node3", "172.26.0.0/16", ["connect-netb"], []],
	] as const)(
		"%s: starting and connecting containers says nothing",
		async (folder, node, subnet, on, cards) => {
			const { lab, host, docker } = site(node, 0);
			const capture = lab.capture();
			const id = subnet === undefined ? undefined : docker.networks.create("net", { subnet }).id;
			const c1 = docker.run({ name: "c1" });
			const c2 = docker.run({ name: "c2", ...(id === undefined ? {} : { network: "net" }) });
			if (id !== undefined) docker.networks.connect("net", c1);
			await lab.advance("30s");
			expect([c1, c2].every(({ running }) => running)).toBe(true);
			const bridge = id === undefined ? "docker0" : `br-${id.slice(0, 12)}`;
			expect(host.netns.device(bridge).isUp).toBe(true);
			// The bridge itself does when it comes up; the recorded ones were up.
			expect(capture.sightings(`${node}:${bridge}`).map(({ data }) => isSnoopersReport(data))).toEqual([
				true,
				true,
			]);
			const places = [...on.map((file) => [file, bridge]), ...cards.map((file) => [file, "eth0"])] as const;
			for (const [file = "", device = ""] of places) {
				expect(keep(recording(`${folder}/${file}`), (layers) => !has(layers, "ipv6"))).toEqual([]);
				expect(emulated(capture, `${node}:${device}`)).toEqual([]);
			}
		},
	);

	test("02: on a network of the user's", async () => {
		const start = 1_795_454_694 - BASE;
		const { lab, docker } = site("node1", start);
		docker.networks.create("localnet", { subnet: "172.19.0.0/16" });
		const [lc1, ...others] = ["lc1", "lc2", "lc3"].map((name) => docker.run({ name, network: "localnet" }));
		const all = [lc1!, ...others];
		const capture = lab.capture();
		await atInstants(
			lab,
			BASE + start,
			[[BASE + start + 0.09717, ping(lc1!, "172.19.0.3", 2)]],
			BASE + start + 2,
		);
		const bridge = `br-${docker.networks.inspect("localnet").Id.slice(0, 12)}`;
		const veths = all.map(({ name, netns }) => [
			`ping-veth-${name}`,
			`node1:${netns.device("eth0").link?.name ?? ""}`,
		]);
		const places = {
			"ping-lc1-eth0": "node1/lc1:eth0",
			"ping-lc2-eth0": "node1/lc2:eth0",
			"ping-br": `node1:${bridge}`,
			// Names were asked in the container, which docker-dns-frames.test.ts compares.
			"ping-host-eth0": "node1:eth0",
			"ping-host-lo": "node1:lo",
			...(Object.fromEntries(veths) as Record<string, string>),
		};
		expect(await compare(capture, "02-bridge-user", places, [start, start + 2])).toEqual([]);
	});

	test("04: isolated networks, one container on two, and one without a way out", async () => {
		const start = 973;
		const { lab, host, docker, outside } = site("node3", start);
		host.netns.files.set("/etc/resolv.conf", "search lab.example\nnameserver 172.31.1.1\n");
		const bridges = {
			neta: ["172.25.0.0/16", "02:42:fc:a1:f3:2f"],
			netb: ["172.26.0.0/16", "02:42:bc:5b:59:30"],
			netint: ["172.27.0.0/16", "02:42:71:89:00:a7"],
			netnoicc: ["172.28.0.0/16", "02:42:bb:4b:ca:1c"],
		} as const;
		const names = new Map<string, string>();
		for (const [name, [subnet, mac]] of Object.entries(bridges)) {
			const options = { "com.docker.network.bridge.enable_icc": String(name !== "netnoicc") };
			const { id } = docker.networks.create(name, { subnet, internal: name === "netint", options });
			names.set(name, `br-${id.slice(0, 12)}`);
			host.netns.device(`br-${id.slice(0, 12)}`).setMac(mac);
		}
		const run = (name: string, network: string): Container<Netns> => docker.run({ name, network });
		const [a1, b1, i1] = [run("a1", "neta"), run("b1", "netb"), run("i1", "netint")];
		run("i2", "netint");
		const [n1] = [run("n1", "netnoicc"), run("n2", "netnoicc")];
		const ab = run("ab", "neta");
		docker.networks.connect("netb", ab);
		const capture = lab.capture();
		const recorded = (file: string) => recording(`04-isolation/${file}`);
		await atInstants(
			lab,
			BASE + start,
			[
				[BASE + 973.94193, ping(a1, "172.26.0.2", 2)],
				[BASE + 984.08687, ping(a1, "172.26.0.1")],
				[BASE + 987.24014, ping(b1, "172.26.0.3")],
				[BASE + 988.6797, ping(a1, "172.25.0.3")],
				[BASE + 991.26451, ping(ab, "172.26.0.2")],
				[BASE + 992.61522, ping(ab, "172.25.0.2")],
				[BASE + 1002.11027, ping(i1, "172.27.0.3")],
				[BASE + 1004.65278, ping(i1, "172.31.1.1")],
				[BASE + 1012.4087, ping(i1, "172.27.0.1")],
				[BASE + 1021.15049, ping(n1, "172.28.0.3", 2)],
				[BASE + 1027.65896, ping(n1, "172.31.1.1")],
				// curl -m 2
				...talksOf(recorded("iso-a1")).flatMap((talk) => client(a1.netns, talk, { giveUp: 2 })),
				// Names that are not of their networks: forwarded from the container, of which one has no way out.
				...asks(i1.netns, questionsOf(recorded("iso-i1"), "questions"), "127.0.0.11"),
				...asks(n1.netns, questionsOf(recorded("iso-n1"), "questions"), "127.0.0.11"),
				...answers(outside.netns, questionsOf(recorded("iso-n1"), "answers")),
			],
			BASE + 1034,
		);
		const places = {
			"iso-a1": "node3/a1:eth0",
			"iso-b1": "node3/b1:eth0",
			"iso-ab-eth0": "node3/ab:eth0",
			"iso-ab-eth1": "node3/ab:eth1",
			"iso-i1": "node3/i1:eth0",
			"iso-neta": `node3:${names.get("neta") ?? ""}`,
			"iso-netb": `node3:${names.get("netb") ?? ""}`,
			"iso-netint": `node3:${names.get("netint") ?? ""}`,
			"iso-n1": "node3/n1:eth0",
			"iso-n2": "node3/n2:eth0",
			"iso-netnoicc": `node3:${names.get("netnoicc") ?? ""}`,
		};
		expect(await compare(capture, "04-isolation", places, [start, 1034])).toEqual([]);
	});
});
