import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Lab, type Netns } from "../../src/index.ts";

// `ip -d` of a Docker host and of containers, of the devices that Docker made: everything but names, MACs and numbers of
// devices, seconds on timers, and who else captured just then.

/** What `-d` adds to a device whose first line matches, in the n-th namespace of a recorded state. */
function recorded(scenario: string, title: string, device: RegExp): string {
	const text = readFileSync(new URL(`docker-state/${scenario}-details.txt`, import.meta.url), "utf8");
	const section = text.split(/^##### /m).find((each) => each.startsWith(`${title}\n`)) ?? "";
	const lines = section.split(/^(?=\d+: )/m).find((each) => device.test(each)) ?? "";
	return plain(lines.split("\n").filter((line) => !/^\s+(inet|valid_lft|altname)/.test(line)));
}

/** `ip -d addr`, which was recorded, does not say how IPv6 addresses are made. */
const ours = (ns: Netns, device: string): string =>
	plain(ns.links.show(device, { details: true }).replaceAll("addrgenmode eui64 ", "").split("\n"));

const plain = (lines: readonly string[]): string =>
	lines
		.slice(1)
		.map((line) =>
			line
				.trimEnd()
				.replace(/^.*(?=promiscuity)/, "")
				.replace(/ +\d+\.\d\d/g, " T"),
		)
		.filter((line) => line !== "")
		.join("\n");

describe("ip -d link shows Docker's devices as on a Docker host", () => {
	const lab = new Lab({ seed: 1 });
	const lan = lab.switch("lan");
	const host = lab.host("node3", {
		nics: {
			eth0: { mac: "52:54:00:00:03:00", address: "172.31.1.7/24", attach: lan },
			eth1: { attach: lan, port: { trunk: [100] } },
		},
	});
	const { docker } = host;
	host.netns.device("docker0").setMac("02:42:ce:b5:aa:1e");
	const d1 = docker.run({ name: "d1" });
	docker.networks.create("mac", {
		driver: "macvlan",
		subnet: "10.0.0.0/24",
		options: { parent: "eth1.100" },
	});
	const m1 = docker.run({ name: "m1", network: "mac" });
	const port = d1.netns.device("eth0").link?.name ?? "";

	test.each([
		["loopback", "01-bridge-default", "host node3", /^\d+: lo:/, host.netns, "lo"],
		["docker0", "01-bridge-default", "host node3", /^\d+: docker0:/, host.netns, "docker0"],
		[
			"a port of docker0",
			"01-bridge-default",
			"host node3",
			/^\d+: veth\S+ .*master docker0/,
			host.netns,
			port,
		],
		["eth0 of a container", "01-bridge-default", "container d1", /^\d+: eth0@/, d1.netns, "eth0"],
		[
			"the VLAN device that Docker made",
			"11-macvlan",
			"host node1",
			/^\d+: eth1\.100@/,
			host.netns,
			"eth1.100",
		],
		["a macvlan container's eth0", "11-macvlan", "container mactainer1", /^\d+: eth0@/, m1.netns, "eth0"],
	] as const)("%s", (_what, scenario, title, device, ns, name) => {
		expect(ours(ns, name)).toBe(recorded(scenario, title, device));
	});
});
