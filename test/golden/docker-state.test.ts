import { describe, expect, test } from "vitest";
import { type Host, Lab } from "../../src/index.ts";
import {
	gwbridge,
	named,
	recordedJson,
	recordedRules,
	recordedState,
	rules,
	stateOf,
} from "../support/docker-state.ts";

// The same docker commands as on the recorded hosts: their iptables, links, routes and inspect texts come out.
// Hosts of a swarm have docker_gwbridge; what else the swarm adds is left out (see test/support/docker-state.ts).

function host(name: string, last: number): Host {
	const lab = new Lab({ seed: 1, epoch: "2026-11-23T17:08:29Z" });
	const node = lab.host(name, {
		nics: {
			eth0: {
				mac: `52:54:00:00:0${String(last - 4)}:00`,
				address: `172.31.1.${String(last)}/24`,
				gateway: "172.31.1.1",
				attach: lab.switch("lan"),
			},
			eth1: { mac: `52:54:00:00:0${String(last - 4)}:01`, attach: lab.switch("trunk") },
		},
	});
	gwbridge(node.docker);
	return node;
}

const saved = (node: Host): string[] => rules(node.netns.iptablesTool.save());
const json = (value: unknown): unknown => JSON.parse(named(JSON.stringify(value, null, 4)));

/** Devices, routes and rules of the host and its containers are the recorded ones. */
function expectRecorded(scenario: string, node: Host, containers: readonly string[]): void {
	expect(saved(node)).toEqual(recordedRules(scenario));
	expect(stateOf(node.netns)).toEqual(recordedState(scenario, `host ${node.name}`));
	for (const name of containers)
		expect(stateOf(node.docker.containers.get(name).netns)).toEqual(
			recordedState(scenario, `container ${name}`),
		);
}

describe("after the recorded docker commands the host says what the recorded one said", () => {
	test("01: two containers on docker0", () => {
		const node = host("node3", 7);
		const { docker } = node;
		docker.run({ name: "d1", hostname: "d1" });
		docker.run({ name: "d2", hostname: "d2" });
		expectRecorded("01-bridge-default", node, ["d1", "d2"]);
		const [recorded] = recordedJson("01-bridge") as [{ Containers: object }];
		const ours = json(docker.networks.inspect("bridge")) as { Containers: object };
		// Containers are sorted by their ids, which are drawn.
		const told = (containers: object): string[] =>
			Object.values(containers)
				.map((each: { Name: string; MacAddress: string; IPv4Address: string }) => [
					each.Name,
					each.MacAddress,
					each.IPv4Address,
				])
				.map((each) => each.join(" "))
				.sort();
		expect(told(ours.Containers)).toEqual(told(recorded.Containers));
		expect({ ...ours, Containers: {} }).toEqual({ ...recorded, Containers: {} });
	});

	test("02: a network of the user's, three containers with aliases", () => {
		const node = host("node1", 5);
		const { docker } = node;
		docker.networks.create("localnet");
		expect([json(docker.networks.inspect("localnet"))]).toEqual(recordedJson("02-localnet"));
		docker.run({ name: "lc1", network: "localnet", aliases: ["shared", "web1"] });
		docker.run({ name: "lc2", network: "localnet", aliases: ["shared"] });
		docker.run({ name: "lc3", network: "localnet", aliases: ["shared"] });
		expectRecorded("02-bridge-user", node, ["lc1", "lc2"]);
	});

	test("03: published ports", () => {
		const node = host("node2", 6);
		const { docker } = node;
		docker.networks.create("pubnet");
		docker.run({ name: "pub1", network: "pubnet", publish: ["5001:80"] });
		docker.run({ name: "pub2", publish: ["5002:80/tcp", "5003:5353/udp"] });
		docker.run({ name: "cli1", network: "pubnet" });
		expectRecorded("03-port-mapping", node, ["pub1", "pub2"]);
		const before = saved(node);
		docker.run({ name: "pub3", network: "pubnet", publish: ["127.0.0.1:5010:80", "80"] });
		expect(docker.port("pub3")).toEqual([
			"80/tcp -> 0.0.0.0:32768",
			"80/tcp -> :::32768",
			"80/tcp -> 127.0.0.1:5010",
		]);
		expect(saved(node).slice(-2)).toEqual([
			"-A DOCKER ! -i br1 -p tcp -m tcp --dport 32768 -j DNAT --to-destination 172.19.0.4:80",
			"-A DOCKER -d 127.0.0.1/32 ! -i br1 -p tcp -m tcp --dport 5010 -j DNAT --to-destination 172.19.0.4:80",
		]);
		docker.rm("pub3", { force: true });
		docker.controller.settle();
		expect(saved(node)).toEqual(before);
	});

	test("04: isolated, internal and icc=false networks, and a container on two of them", () => {
		const node = host("node3", 7);
		const { docker } = node;
		docker.networks.create("neta", { subnet: "172.25.0.0/16" });
		docker.networks.create("netb", { subnet: "172.26.0.0/16" });
		docker.networks.create("netint", { subnet: "172.27.0.0/16", internal: true });
		docker.networks.create("netnoicc", {
			subnet: "172.28.0.0/16",
			options: { "com.docker.network.bridge.enable_icc": "false" },
		});
		const runs = {
			a1: "neta",
			b1: "netb",
			i1: "netint",
			i2: "netint",
			n1: "netnoicc",
			n2: "netnoicc",
			ab: "neta",
		};
		for (const [name, network] of Object.entries(runs)) docker.run({ name, network });
		docker.networks.connect("netb", "ab", { aliases: ["ab-in-b"] });
		expectRecorded("04-isolation", node, ["a1", "b1", "i1", "n1", "ab"]);
		expect(json(docker.containers.inspect("ab").NetworkSettings.Networks)).toEqual(
			json(recordedJson("04-ab-networks")),
		);
		docker.networks.disconnect("neta", "ab");
		expect(docker.containers.get("ab").netns.routes.show()).toBe(
			"default via 172.26.0.1 dev eth1 \n172.26.0.0/16 dev eth1 proto kernel scope link src 172.26.0.3 \n",
		);
	});

	test("11: macvlan networks on VLANs of a card", () => {
		const node = host("node1", 5);
		const { docker } = node;
		docker.networks.create("macvlan100", {
			driver: "macvlan",
			subnet: "10.0.0.0/24",
			ipRange: "10.0.0.0/25",
			gateway: "10.0.0.1",
			options: { parent: "eth1.100" },
		});
		docker.networks.create("macvlan200", {
			driver: "macvlan",
			subnet: "10.0.200.0/24",
			gateway: "10.0.200.1",
			options: { parent: "eth1.200" },
		});
		expect([json(docker.networks.inspect("macvlan100"))]).toEqual(recordedJson("11-macvlan100"));
		docker.run({ name: "mactainer1", network: "macvlan100" });
		docker.run({ name: "mactainer2", network: "macvlan100" });
		docker.run({ name: "mactainer3", network: "macvlan200" });
		for (const name of ["mactainer1", "mactainer2", "mactainer3"]) {
			expect(stateOf(docker.containers.get(name).netns)).toEqual(
				recordedState("11-macvlan", `container ${name}`),
			);
		}
		for (const name of ["mactainer1", "mactainer2", "mactainer3"]) docker.rm(name, { force: true });
		docker.networks.rm("macvlan100");
		docker.networks.rm("macvlan200");
		expect(node.netns.devices.map(({ name }) => name)).toEqual([
			"lo",
			"eth0",
			"eth1",
			"docker0",
			"docker_gwbridge",
		]);
	});

	test.each([
		["l2", "default via 10.0.0.1 dev eth0", "MULTICAST,UP"],
		["l3", "default dev eth0 scope link", "MULTICAST,NOARP,UP"],
	])("11: ipvlan in mode %s has the recorded routes and flags, and the parent's MAC", (mode, way, flags) => {
		const node = host("node1", 5);
		const { docker } = node;
		docker.networks.create("iv", {
			driver: "ipvlan",
			subnet: "10.0.0.0/24",
			gateway: "10.0.0.1",
			options: { parent: "eth1.100", ipvlan_mode: mode },
		});
		const { netns } = docker.run({ name: "ma", network: "iv" });
		expect(netns.routes.show()).toBe(`${way} \n10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.2 \n`);
		expect(netns.links.show("eth0")).toContain(flags);
		expect(netns.links.show("eth0")).toContain("link/ether 52:54:00:00:01:01");
	});

	test("11: passthru has room for one; without a parent there is a dummy device", () => {
		const { docker, netns } = host("node1", 5);
		docker.networks.create("pass", {
			driver: "macvlan",
			subnet: "10.0.0.0/24",
			options: { parent: "eth1.100", macvlan_mode: "passthru" },
		});
		docker.run({ name: "ma", network: "pass" });
		expect(() => docker.run({ name: "mb", network: "pass" })).toThrow(
			"Error response from daemon: failed to create the macvlan port: invalid argument",
		);
		const { id } = docker.networks.create("mvint", { driver: "macvlan", subnet: "10.0.50.0/24" });
		const ma = docker.run({ name: "mc", network: "mvint" });
		expect(ma.netns.routes.show()).toBe(
			"default via 10.0.50.1 dev eth0 \n10.0.50.0/24 dev eth0 proto kernel scope link src 10.0.50.2 \n",
		);
		expect(netns.links.show(`dm-${id.slice(0, 12)}`)).toMatch(/<BROADCAST,NOARP,UP,LOWER_UP>.*state UNKNOWN/);
	});
});
