import { describe, expect, test } from "vitest";
import { dockerProxy, type ProxyRequest } from "../../src/cnm/index.ts";
import { type Docker, type Host, Lab, type Netns } from "../../src/index.ts";
import { Comparison, has, keep, recording, type TimedFrame, value } from "../support/golden.ts";
import { setClient } from "../support/http-recordings.ts";
import { gwbridge } from "../support/docker-state.ts";
import { atInstants, emulated, exchanged } from "../support/scenario.ts";
import { client, type Command, ProxyPace, server, type Talk, talksOf } from "../support/talks.ts";
import { dissect } from "../../src/wire/index.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// A web server in a container with a published port, as curl reached it from everywhere: our own TCP at both ends,
// docker-proxy and br_netfilter between them. The programs speak at the recorded instants.

function site(
	node: { readonly name: string; readonly last: number; readonly uptime: string },
	userlandProxy: boolean,
) {
	const lab = new Lab({ seed: 1, latency: { cable: "450us" } });
	const lan = lab.switch("lan");
	const pace = new ProxyPace();
	const host: Host = lab.host(node.name, {
		uptime: node.uptime,
		docker: {
			userlandProxy,
			...(userlandProxy
				? { portProxy: (request: ProxyRequest) => dockerProxy(host.netns, pace.wake)(request) }
				: {}),
		},
		nics: {
			eth0: {
				mac: `52:54:00:00:0${String(node.last - 4)}:00`,
				address: `172.31.1.${String(node.last)}/24`,
				gateway: "172.31.1.1",
				attach: lan,
			},
		},
	});
	const outside = lab.host("outside", {
		nics: { eth0: { mac: "02:00:00:00:01:01", address: "172.31.1.1/24", attach: lan } },
	});
	setClient(outside.netns);
	gwbridge(host.docker);
	return { lab, host, docker: host.docker, outside: outside.netns, pace };
}

/** A network's bridge, with the MAC that the recorded one drew. */
function bridgeOf(host: Host, docker: Docker<Netns>, network: string, mac: string): string {
	const name = network === "bridge" ? "docker0" : `br-${docker.networks.inspect(network).Id.slice(0, 12)}`;
	host.netns.device(name).setMac(mac);
	return name;
}

const window = (frames: readonly TimedFrame[], from: number, to: number): TimedFrame[] =>
	frames.filter(({ time }) => time >= from && time <= to);

/**
 * Without the two acknowledgments behind the client's FIN: in which order they crossed was a matter of that machine's
 * processors.
 */
function untilFin(frames: readonly TimedFrame[]): TimedFrame[] {
	const fin = frames.findIndex(({ data }) => {
		const layers = dissect(data);
		return (Number(value(layers, "tcp.flags")) & 1) === 1 && value(layers, "ipv4.source") === OUTSIDE;
	});
	return frames.filter((_, i) => fin < 0 || i <= fin || i > fin + 2);
}

/**
 * Of hairpin-sibling alone: a capture on the bridge doubles each frame, so that the client, waiting for the last
 * acknowledgment, gets two, 14 us apart. The first ends the connection, and the second finds none and is answered by RST
 * (`tcp_v4_send_reset`). On the recorded machine the two ran on two processors, as their stamps tell that stand in the
 * wrong order: the second had found the socket while the first was still at work, and a closed socket says nothing.
 */
const notReset = (frames: readonly TimedFrame[]): TimedFrame[] =>
	keep(frames, (layers) => !has(layers, "tcp") || Number(value(layers, "tcp.flags")) !== RST);

const RST = 4;
const OUTSIDE = 0xac1f_0101;

const port = (ns: Netns): string => ns.device("eth0").link?.name ?? "";

describe("03: a published port with the userland proxy", () => {
	test("from outside, from the same network and from the host itself, on every interface", async () => {
		const start = 1_795_454_981;
		const { lab, host, docker, outside, pace } = site({ name: "node2", last: 6, uptime: "256.178s" }, true);
		docker.networks.create("pubnet");
		const bridge = bridgeOf(host, docker, "pubnet", "02:42:51:1a:99:07");
		const pub1 = docker.run({ name: "pub1", network: "pubnet", publish: ["5001:80"] }).netns;
		docker.run({ name: "pub2", publish: ["5002:80/tcp", "5003:5353/udp"] });
		const cli1 = docker.run({ name: "cli1", network: "pubnet" }).netns;
		for (const [ns, address, lladdr] of [
			[host.netns, "172.31.1.1", "02:00:00:00:01:01"],
			[outside, "172.31.1.6", "52:54:00:00:02:00"],
		] as const)
			ns.neigh.add(address, { lladdr, dev: "eth0" });
		const capture = lab.capture();
		const talks = (file: string) => talksOf(recording(`03-port-mapping/${file}`));
		const [web, sibling, self, local, own, local6, docker0] = [
			"outside-pub1-eth0",
			"hairpin-samenet-pub1-eth0",
			"localhost-pub1-eth0",
		]
			.flatMap(talks)
			.filter(({ serverPort }) => serverPort === 80) as [Talk, Talk, Talk, Talk, Talk, Talk, Talk];
		const [fromSibling, fromLocal] = ["hairpin-samenet-cli1-eth0", "localhost-host-lo"].flatMap(talks) as [
			Talk,
			Talk,
		];
		const fromSelf = talks("hairpin-samenet-pub1-eth0").find(({ serverPort }) => serverPort === 5001) as Talk;
		const at5001 = (talk: Talk, address: string): Talk => ({ ...talk, server: address, serverPort: 5001 });
		const commands: Command[] = [
			...server(pub1, 80, [web, sibling, self, local, own, local6, docker0]),
			...talks("outside-host-eth0").flatMap((talk) => client(outside, talk)),
			...client(cli1, fromSibling),
			...pace.commands(fromSibling, sibling),
			...client(pub1, fromSelf),
			...pace.commands(fromSelf, self),
			...client(host.netns, fromLocal),
			...pace.commands(fromLocal, local),
			...client(host.netns, at5001(own, "172.31.1.6")),
			// By [::1]: what the proxy there does is done in its place.
			...client(host.netns, local6),
			...client(host.netns, at5001(docker0, "172.17.0.1")),
		];
		await atInstants(lab, start, commands, start + 330);
		const compared =
			(comparison: Comparison) =>
			(file: string, place: string, from: number, to: number): string[] =>
				comparison.differences(
					file,
					window(recording(`03-port-mapping/${file}`), start + from, start + to),
					window(emulated(capture, place), from, to),
					start,
				);
		const comparison = new Comparison({ time: 0.06 });
		const outer = (file: string, place: string): string[] =>
			comparison.differences(
				file,
				untilFin(window(recording(`03-port-mapping/${file}`), start + 0.5, start + 2)),
				untilFin(window(emulated(capture, place), 0.5, 2)),
				start,
			);
		const inner = compared(new Comparison({ time: 0.06 }));
		expect([
			...outer("outside-host-eth0", "node2:eth0"),
			...outer("outside-host-bridge", `node2:${bridge}`),
			...outer("outside-veth-pub1", `node2:${port(pub1)}`),
			...outer("outside-pub1-eth0", "node2/pub1:eth0"),
			...outer("outside-cli1-eth0", "node2/cli1:eth0"),
		]).toEqual([]);
		expect([
			...inner("hairpin-samenet-cli1-eth0", "node2/cli1:eth0", 180, 200),
			...inner("hairpin-samenet-pub1-eth0", "node2/pub1:eth0", 180, 200),
			...inner("hairpin-samenet-veth-pub1", `node2:${port(pub1)}`, 180, 200),
			...inner("hairpin-samenet-host-bridge", `node2:${bridge}`, 180, 200),
			...inner("localhost-host-bridge", `node2:${bridge}`, 320, 330),
			...inner("localhost-veth-pub1", `node2:${port(pub1)}`, 320, 330),
			...inner("localhost-pub1-eth0", "node2/pub1:eth0", 320, 330),
		]).toEqual([]);
		expect([
			...inner("outside-host-docker0", "node2:docker0", 0, 2),
			...inner("outside-host-lo", "node2:lo", 0, 2),
			...inner("hairpin-samenet-host-docker0", "node2:docker0", 180, 200),
			...inner("hairpin-samenet-host-eth0", "node2:eth0", 180, 200),
			...inner("hairpin-samenet-host-lo", "node2:lo", 180, 200),
			...inner("localhost-cli1-eth0", "node2/cli1:eth0", 320, 330),
			...inner("localhost-host-docker0", "node2:docker0", 320, 330),
			...inner("localhost-host-eth0", "node2:eth0", 320, 330),
		]).toEqual([]);
		// Loopback leaves checksums to nobody: the recorded ones are halves. [::1] is left out.
		const halves = { field: "tcp.checksum", why: "loopback has checksum offload" };
		const lo = recording("03-port-mapping/localhost-host-lo");
		expect(
			new Comparison({ time: 0.06, exceptions: [halves] }).differences(
				"localhost-host-lo",
				keep(lo, (layers) => has(layers, "ipv4")),
				window(emulated(capture, "node2:lo"), 320, 330),
				start,
			),
		).toEqual([]);
		await expectCleanInWireshark(capture.toPcapng());
	});
});

describe("03b: a published port without the userland proxy", () => {
	test("hairpins, other networks and 127.0.0.1, on every interface, with and without a capture on the bridge", async () => {
		const start = 1_795_457_843;
		// When the coarse slots of that machine's timer wheel begin, as in docker-bridge.test.ts.
		const phase = ((((start - 1_795_456_000 - 0.04) % 0.256) + 0.256) % 0.256).toFixed(4);
		const node = { name: "node3", last: 7, uptime: `${String(256 + Number(phase))}s` };
		const { lab, host, docker } = site(node, false);
		docker.networks.create("pubnet");
		const bridge = bridgeOf(host, docker, "pubnet", "02:42:b3:a6:21:4d");
		bridgeOf(host, docker, "bridge", "02:42:ce:b5:aa:1e");
		const pub1 = docker.run({ name: "pub1", network: "pubnet", publish: ["5001:80"] }).netns;
		const cli1 = docker.run({ name: "cli1", network: "pubnet" }).netns;
		const pub2 = docker.run({ name: "pub2", publish: ["5002:80"] }).netns;
		const everywhere = lab.capture();
		const containers = lab.capture("node3/*:eth0");
		const talks = (file: string) => talksOf(recording(`03b-no-userland-proxy/${file}`));
		const first = (file: string, to: number): Talk =>
			talks(file).find(({ serverPort }) => serverPort === to) as Talk;
		const answered = ["hairpin-sibling", "hairpin-self", "localhost", "nobrcap-sibling", "nobrcap-self"];
		const [local, own] = talks("localhost-pub1-eth0") as [Talk, Talk];
		// Copies that a capture on the bridge brought about come from the container's own address: no connections.
		const served = answered
			.flatMap((name) => talks(`${name}-pub1-eth0`))
			.filter((talk) => talk.client !== talk.server);
		const at5001 = (talk: Talk, address: string): Talk => ({ ...talk, server: address, serverPort: 5001 });
		const commands: Command[] = [
			...server(pub1, 80, served),
			...client(cli1, first("hairpin-sibling-cli1-eth0", 5001)),
			...client(pub1, first("hairpin-self-pub1-eth0", 5001)),
			...client(pub2, at5001(first("hairpin-othernet-host-docker0", 80), "172.31.1.7")),
			...client(host.netns, at5001(local, "127.0.0.1")),
			...client(host.netns, at5001(own, "172.31.1.7")),
			[start + 160, () => everywhere.stop()],
			...client(cli1, first("nobrcap-sibling-cli1-eth0", 5001)),
			...client(pub1, first("nobrcap-self-pub1-eth0", 5001)),
		];
		await atInstants(lab, start, commands, start + 180);
		const comparison = new Comparison({ time: 0.06 });
		const ours = (file: string, frames: readonly TimedFrame[]): readonly TimedFrame[] =>
			file.startsWith("hairpin-sibling") ? notReset(frames) : frames;
		const differences = (
			file: string,
			place: string,
			from: number,
			to: number,
			crossed: readonly number[] = [],
		): string[] =>
			comparison.differences(
				file,
				keep(
					recording(`03b-no-userland-proxy/${file}`),
					(layers) => has(layers, "ipv4") || has(layers, "arp"),
				),
				exchanged(
					ours(file, window(emulated(from < 160 ? everywhere : containers, place), from, to)),
					crossed,
				),
				start,
			);
		const veth = `node3:${port(pub1)}`;
		const resets = window(emulated(everywhere, "node3/cli1:eth0"), 0, 2);
		expect(resets.length - notReset(resets).length).toBe(1);
		expect([
			...differences("hairpin-sibling-cli1-eth0", "node3/cli1:eth0", 0, 2, [9]),
			...differences("hairpin-sibling-pub1-eth0", "node3/pub1:eth0", 0, 2),
			...differences("hairpin-sibling-veth-pub1", veth, 0, 2),
			...differences("hairpin-sibling-host-bridge", `node3:${bridge}`, 0, 2),
			...differences("hairpin-self-pub1-eth0", "node3/pub1:eth0", 42, 44, [6, 33]),
			...differences("hairpin-self-veth-pub1", veth, 42, 44),
			...differences("hairpin-self-host-bridge", `node3:${bridge}`, 42, 44),
			...differences("hairpin-sibling-host-docker0", "node3:docker0", 0, 2),
			...differences("hairpin-sibling-host-lo", "node3:lo", 0, 2),
			...differences("hairpin-self-cli1-eth0", "node3/cli1:eth0", 42, 44),
			...differences("hairpin-self-host-docker0", "node3:docker0", 42, 44),
			...differences("hairpin-self-host-lo", "node3:lo", 42, 44),
			...differences("hairpin-othernet-host-docker0", "node3:docker0", 82, 85),
			...differences("hairpin-othernet-host-bridge", `node3:${bridge}`, 82, 85),
			...differences("hairpin-othernet-host-lo", "node3:lo", 82, 85),
			...differences("hairpin-othernet-cli1-eth0", "node3/cli1:eth0", 82, 85),
			...differences("hairpin-othernet-pub1-eth0", "node3/pub1:eth0", 82, 85),
			...differences("hairpin-othernet-veth-pub1", veth, 82, 85),
			// By [::1], which is refused there, and nobody asks here.
			...differences("localhost-host-lo", "node3:lo", 132, 135),
			...differences("localhost-host-docker0", "node3:docker0", 132, 135),
			...differences("localhost-cli1-eth0", "node3/cli1:eth0", 132, 135),
			...differences("localhost-pub1-eth0", "node3/pub1:eth0", 132, 135),
			...differences("localhost-veth-pub1", veth, 132, 135),
			...differences("localhost-host-bridge", `node3:${bridge}`, 132, 135),
			...differences("nobrcap-sibling-cli1-eth0", "node3/cli1:eth0", 170, 174),
			...differences("nobrcap-sibling-pub1-eth0", "node3/pub1:eth0", 170, 174),
			...differences("nobrcap-self-cli1-eth0", "node3/cli1:eth0", 174, 180),
			...differences("nobrcap-self-pub1-eth0", "node3/pub1:eth0", 174, 180),
		]).toEqual([]);
		await expectCleanInWireshark(everywhere.toPcapng());
	});
});
