import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import type { Container } from "../../src/cnm/index.ts";
import { espSa, type Netns } from "../../src/index.ts";
import type { Capture } from "../../src/observe/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { printed, tableIn } from "../support/commands-log.ts";
import {
	type DockerSwarm,
	dockerSwarm,
	isControl,
	node,
	runTwice,
	sandbox,
	task,
} from "../support/docker-swarm.ts";
import { openEsp } from "../support/esp.ts";
import { Comparison, has, keep, recording, value } from "../support/golden.ts";
import { HttpRecordings, setClient } from "../support/http-recordings.ts";
import { exchanges, HttpReplay } from "../support/http-replay.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { allRoutes, dumps, links, recordedRoutes, savedRules } from "../support/state-dump.ts";
import { expectCleanInWireshark, openEspTable } from "../support/wireshark.ts";

// Two more of the recorded scenarios by docker commands on three nodes, real managers and real gossip.

const WARM = 60;

describe("07: an encrypted overlay with the swarm's own keys", () => {
	const START = 1795455522.5036;
	let made: DockerSwarm;
	let capture: Capture;
	let e1: Container<Netns>;
	let e2: Container<Netns>;

	beforeAll(async () => {
		made = await dockerSwarm({ seed: 7, delay: "400us" });
		const { lab } = made;
		const { docker } = node(made, 1);
		await docker.networks.create("uber-net", { driver: "overlay", attachable: true }).ready;
		const options = {
			driver: "overlay",
			attachable: true,
			options: { encrypted: "" },
			subnet: "10.7.7.0/24",
		};
		await docker.networks.create("sec-net", options).ready;
		[e1, e2] = await runTwice(made, "sec-net", ["e1", "e2"]);
		await lab.advance(WARM * 1000 - 1000 - lab.now / 1e6);
		capture = lab.capture();
		openEspTable([1, 2].map((number) => espSa(node(made, number).netns)).join(""));
		const ping = (about: Parameters<Netns["ping"]>[1]) => (): void => void e1.netns.ping("10.7.7.8", about);
		await atInstants(
			lab,
			START - WARM,
			[
				[START, ping({ count: 3 })],
				[START + 6.4091, ping({ count: 1, size: 1372, mtuDiscovery: "do" })],
				[START + 8.0039, ping({ count: 1, size: 1396, mtuDiscovery: "do" })],
				[START + 10, ping({ count: 1, size: 1397, mtuDiscovery: "do" })],
				[START + 12, ping({ count: 1, size: 1422, mtuDiscovery: "do" })],
				[START + 14.3066, ping({ count: 1, size: 1422, mtuDiscovery: "dont" })],
			],
			START + 17,
		);
	});

	const pings = (layers: Parameters<typeof has>[0]): boolean => has(layers, "icmp");

	test("inside: every echo of the recorded interfaces, MTU 1424", () => {
		expect([e1, e2].map(({ netns }) => netns.device("eth0").mtu)).toEqual([1424, 1424]);
		const [s1, s2] = [sandbox(node(made, 1), "sec-net"), sandbox(node(made, 2), "sec-net")];
		const comparison = new Comparison({ time: 0.09 });
		for (const [file, place] of [
			["ping-node1-e1-eth0", "node1/e1:eth0"],
			["ping-node1-br0", `${s1}:br0`],
			["ping-node1-vxlan0", `${s1}:vxlan0`],
			["ping-node2-vxlan0", `${s2}:vxlan0`],
			["ping-node2-br0", `${s2}:br0`],
			["ping-node2-e2-eth0", "node2/e2:eth0"],
		] as const) {
			const recorded = keep(recording(`07-overlay-encrypted/${file}`), pings);
			const ours = keep(emulated(capture, place, WARM - 1), pings);
			expect(recorded.length).toBeGreaterThan(0);
			expect(comparison.differences(place, recorded, ours, START - WARM)).toEqual([]);
		}
	});

	test("outside: ESP of the recorded length, numbers, padding and next header, and the echoes are in it", () => {
		const salts = (ns: Netns): Record<number, Uint8Array> =>
			Object.fromEntries(ns.xfrm.state.list().map(({ spi, key }) => [spi, Uint8Array.from(key)]));
		const keys = { ...salts(node(made, 1).netns), ...salts(node(made, 2).netns) };
		const recordedKeys = JSON.parse(
			readFileSync(new URL("07-overlay-encrypted/sa.json", import.meta.url), "utf8"),
		) as Record<string, string>;
		const theirKeys = Object.fromEntries(
			Object.entries(recordedKeys).map(([spi, key]) => [
				Number(spi),
				Uint8Array.from(Buffer.from(key.slice(2), "hex")),
			]),
		);
		for (const name of ["node1", "node2"]) {
			const echoes = (frames: Parameters<typeof openEsp>[0], by: typeof keys) => {
				const found = openEsp(frames, by, 8).filter(({ plain }) => pings(dissect(plain.data)));
				const spis = [...new Set(found.map(({ spi }) => spi))];
				return found.map(({ spi, trailer, frames: pieces, sequence }) => ({
					way: spis.indexOf(spi),
					first: sequence === 1,
					trailer: Buffer.from(trailer).toString("hex"),
					octets: pieces.map(({ data }) => data.length),
				}));
			};
			const theirs = echoes(recording(`07-overlay-encrypted/ping-${name}-eth0`), theirKeys);
			expect(echoes(emulated(capture, `${name}:eth0`, WARM - 1), keys)).toEqual(theirs);
		}
	});

	test("three states in and one out for each peer, one policy, the salt is the SPI; nothing goes in clear", () => {
		const told = (text: string): string =>
			text
				.replaceAll(/add [\d-]+ [\d:]+|use (?:-|[\d-]+ [\d:]+)/g, "time")
				.replaceAll(/index \d+/g, "index")
				.replaceAll(/spi 0x[0-9a-f]{8}\(\d+\)/g, "spi")
				.replaceAll(/0x[0-9a-f]{40}/g, "key")
				.replaceAll(/oseq 0x[0-9a-f]+|\d+\((?:bytes|packets)\)/g, "count");
		for (const number of [1, 2]) {
			const { state, policy } = node(made, number).netns.xfrm;
			const recorded = readFileSync(
				new URL(`07-overlay-encrypted/xfrm-s-node${String(number)}.txt`, import.meta.url),
				"utf8",
			);
			expect(told(state.show({ statistics: true }) + policy.show({ statistics: true }))).toBe(told(recorded));
			for (const { spi, key } of state.list()) expect(Buffer.from(key.slice(-4)).readUInt32BE()).toBe(spi);
		}
		for (const place of ["node1:eth0", "node2:eth0", "node3:eth0"])
			expect(keep(emulated(capture, place), (layers) => value(layers, "vxlan.vni") === 4098)).toEqual([]);
	});

	test("Wireshark opens all of it by the table that the nodes tell", async () => {
		await expectCleanInWireshark(capture.toPcapng(), {
			filter: "!(udp.port == 7946 || tcp.port == 7946)",
		});
	});
});

describe("10: a global service with a port of its nodes", () => {
	// The lab's clock is node1's.
	const START = 1795456128.5;
	const CLIENT_CLOCK = -0.14065;
	const AHEAD = 0.00102;
	let made: DockerSwarm;
	let capture: Capture;
	let ps: readonly object[];
	let rules: readonly string[];

	beforeAll(async () => {
		made = await dockerSwarm({ seed: 3, delay: "500us" });
		const { lab, swarm, hosts, outside } = made;
		setClient(outside.netns);
		// Something was published by the mesh before: its chains stay.
		const web = swarm.services.create({ name: "web", image: "box", publish: ["8080:80"] });
		await web.converged();
		await web.rm();
		await lab.advance("5s");
		const hostmode = swarm.services.create({
			name: "hostmode",
			image: "box",
			args: ["web", "80"],
			mode: "global",
			publish: ["mode=host,target=80,published=8081"],
		});
		await hostmode.converged();
		ps = hostmode.ps();
		rules = savedRules(node(made, 1).netns.iptablesTool.save());
		node(made, 1).netns.device("docker0").setMac("02:42:17:71:fe:a0");
		for (const [i, { netns }] of hosts.entries()) {
			const lladdr = `52:54:00:00:0${String(i + 1)}:00`;
			outside.netns.neigh.replace(`172.31.1.${String(5 + i)}`, { dev: "eth0", lladdr });
			netns.neigh.replace("172.31.1.1", { dev: "eth0", lladdr: "02:00:00:00:01:01" });
		}
		await lab.advance(WARM * 1000 - lab.now / 1e6);
		capture = lab.capture();
		const replay = new HttpReplay(lab);
		for (const host of hosts) replay.listen(task(host, "hostmode").netns, 80);
		const file = (name: string) => recording(`10-publish-mode-host/host-${name}`);
		for (const each of exchanges(file("outside-eth0"), 8081, CLIENT_CLOCK))
			replay.add(outside.netns, each, AHEAD);
		const own = exchanges(file("node1-docker0"), 80).find(({ client }) => client === "172.31.1.5");
		if (own === undefined) throw new Error("node1 asked itself");
		replay.add(node(made, 1).netns, { ...own, server: "172.31.1.5", port: 8081 }, 0);
		await atInstants(lab, START - WARM, replay.commands, START + 2.2);
	});

	test("docker service ps, docker inspect, iptables-save and the task's routes", () => {
		const text = printed("10-publish-mode-host", "docker service ps hostmode");
		const plain = (line: Record<string, string | undefined>): string =>
			[line["node"], line["desiredState"], line["ports"], line["image"], line["error"]].join(" ");
		expect((ps as readonly Record<string, string>[]).map(plain).sort()).toEqual(
			tableIn(text, "ID ")
				.map((row) =>
					plain({
						node: row["NODE"],
						desiredState: row["DESIRED STATE"],
						ports: row["PORTS"],
						image: row["IMAGE"],
						error: row["ERROR"],
					}),
				)
				.sort(),
		);
		const recorded = dumps("10-publish-mode-host/state-node1.txt");
		const theirs = savedRules(recorded.get("host node1")?.get("iptables-save -c") ?? "");
		expect(rules).toEqual(
			theirs.slice(theirs.indexOf("*filter")).filter((line) => !line.includes("--dport 4789")),
		);
		const container = recorded.get("container c5f54de6f83d");
		const ours = task(node(made, 1), "hostmode");
		expect(allRoutes(ours.netns)).toEqual(recordedRoutes(container?.get("ip route show table all") ?? ""));
		expect(links(ours.netns.links.show())).toEqual(links(container?.get("ip addr show") ?? ""));
		const { docker } = node(made, 1);
		const settings = docker.containers.inspect(ours).NetworkSettings;
		const [line = ""] = text.split("\n").filter((each) => each.startsWith('{"Bridge"'));
		expect(shape(settings)).toEqual(shape(JSON.parse(line) as object));
	});

	test("every frame: DNAT alone, the client's address stays", () => {
		const start = START - WARM;
		const recordings = new HttpRecordings({
			start,
			clientPorts: new Set(["40776", "35452", "47630"]),
			serverPorts: ["8081", "80"],
		});
		const ours = (place: string) => keep(emulated(capture, place, WARM), (layers) => !isControl(layers));
		const of = (file: string) => recording(`10-publish-mode-host/${file}`);
		const found = recordings.inOrder("outside:eth0", {
			recorded: of("host-outside-eth0"),
			ours: ours("outside:eth0"),
			clock: CLIENT_CLOCK,
			offloaded: true,
		});
		for (const [file, place] of [
			["host-node1-eth0", "node1:eth0"],
			["host-node1-docker0", "node1:docker0"],
			["host-node1-task-eth0", `node1/${task(node(made, 1), "hostmode").name}:eth0`],
		] as const)
			found.push(...recordings.byDirection(place, { recorded: of(file), ours: ours(place) }));
		expect(found).toEqual([]);
	});
});

/** Without what is drawn at random. */
const shape = (settings: object): object =>
	JSON.parse(JSON.stringify(settings).replace(/[0-9a-f]{64}|[0-9a-f]{12}(?=")/g, "id")) as object;
