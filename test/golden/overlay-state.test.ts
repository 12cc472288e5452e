import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Host, Netns } from "../../src/index.ts";
import { sandboxOf } from "../support/cluster.ts";
import { named } from "../support/docker-state.ts";
import { recordedOverlay, recordedSection, recordedSwarm, SEC_NET, UBER_NET } from "../support/overlay.ts";

// What hosts, networks' sandboxes and containers of the recorded swarm said of themselves, and what ours say after the same
// docker commands. Random are: MACs of bridges, veths and vxlan devices, names of veths, numbers of devices and namespaces,
// ids, ports of the embedded DNS. There is no IPv6 here, and no second card for management.

const RANDOM_MAC = /\b(?!02:42:(?:0a|0b|ac)|52:54|33:33|01:00|ff:ff|00:00)(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b/g;
const NOT_OURS = /mgmt|192\.168\.250|^224\.0\.0\.22 |33:33:ff|DOCKER-INGRESS|gwbridge -m addrtype/;
/** Of docker0, docker_gwbridge. */
const BRIDGE_MAC = /02:42:(?!0a:|0b:|ac:1[12])[0-9a-f:]{11}/g;

function told(lines: readonly string[]): string[] {
	return lines
		.filter((line) => !NOT_OURS.test(line))
		.map((line) =>
			line
				.replace(RANDOM_MAC, "random")
				.replace(BRIDGE_MAC, "random")
				.replace(/\bveth[0-9a-f]{7}\b/g, "veth")
				.replace(/^\d+: /, "")
				.replace(/@if\d+/, "@if")
				.replace(/ (?:numtxqueues|promiscuity).*/, "")
				.replace(/127\.0\.0\.11:\d+|--sport \d+/g, "port")
				.replace(/^\[\d+:\d+\] |\[\d+:\d+\]$/g, "")
				.trimEnd(),
		);
}

/** `ip addr show` as far as links go, in its order. */
const links = (lines: readonly string[]): string[] =>
	told(lines.filter((line) => !/^ +(inet|bridge|vxlan)/.test(line))).map((line) =>
		line.replace("mode DEFAULT ", "").replace(/qdisc fq_codel/, "qdisc fifo"),
	);

const split = (text: string): string[] => text.split("\n").filter((line) => line !== "");

/** All that is compared of a namespace. */
function expectSame(ns: Netns, file: string, title: string, parts: { readonly links?: boolean } = {}): void {
	const recorded = (command: string): string[] => recordedSection(file, title, command);
	if (parts.links !== false) {
		expect(links(split(ns.links.show()))).toEqual(links(recorded("ip -d addr show")));
		const addresses = recorded("ip -d addr show").flatMap(
			(line) => /^ +inet (\S+)(?: brd \S+)? scope global (\S+)/.exec(line)?.slice(1, 3).join(" ") ?? [],
		);
		const own = ns.inDevices.flatMap(({ device, addresses: all }) =>
			all.map(({ prefix }) => `${dotted(prefix.address)}/${String(prefix.length)} ${device.name}`),
		);
		expect(own.filter((each) => !each.startsWith("127."))).toEqual(
			addresses.filter((each) => !each.includes("mgmt")),
		);
	}
	const main = recorded("ip route show table all").filter((line) => !line.includes("table local"));
	expect(told(split(ns.routes.show()))).toEqual(told(main));
	expect(told(split(ns.bridgeTool.fdb().text))).toEqual(told(recorded("bridge fdb show")));
}

const dotted = (ip: number): string => [24, 16, 8, 0].map((shift) => (ip >>> shift) & 255).join(".");

/** Neighbours that somebody wrote, which the kernel lists by a hash of its own. */
const permanent = (lines: readonly string[]): string[] =>
	told(lines.filter((line) => line.includes("PERMANENT"))).sort();

function expectSandbox(ns: Netns, file: string, title: string): void {
	expectSame(ns, file, title);
	expect(permanent(ns.neigh.show().map(({ text }) => text))).toEqual(
		permanent(recordedSection(file, title, "ip neigh show nud all")),
	);
	const details = recordedSection(file, title, "ip -d addr show").filter((line) => /^ +vxlan/.test(line));
	const own = ns.devices
		.filter(({ kind }) => kind === "vxlan")
		.map(({ name }) => `    ${ns.vxlan(name).text}`);
	expect(own.map((line) => line.trimEnd())).toEqual(details.map((line) => line.trimEnd()));
	// default_pvid 0: no VLAN anywhere.
	expect(told(split(ns.bridgeTool.vlan().text))).toEqual(
		told(recordedSection(file, title, "bridge vlan show")),
	);
}

/** Filter, nat and mangle, without what ingress adds. */
function expectRules(ns: Netns, file: string, title: string): void {
	const rules = (lines: readonly string[]): string[] =>
		told(lines.filter((line) => !line.startsWith("#"))).map((line) => line.replace(/ +$/, ""));
	// Tables come in the order in which they were first used.
	const tables = (lines: readonly string[]): string[] => rules(lines).join("\n").split("COMMIT").sort();
	expect(tables(split(ns.iptablesTool.save()))).toEqual(
		tables(recordedSection(file, title, "iptables-save -c")),
	);
}

describe("05: after docker run on two nodes", () => {
	test.each([0, 1] as const)(
		"the host, the sandbox and the container of node %i are as recorded",
		async (i) => {
			const { nodes } = await recordedOverlay(2);
			const { host, container, sandbox } = nodes[i];
			const file = `05-overlay/before-ping-${host.name}.txt`;
			expectSandbox(sandbox, file, "sandbox 1-m768rftdak");
			expectSame(container.netns, file, `container ${container.name}`);
			expectRules(container.netns, file, `container ${container.name}`);
			for (const name of ["resolv.conf", "hosts", "hostname"]) {
				const recorded = recordedSection(file, `container ${container.name}`, `/etc/${name}`);
				expect(split(container.netns.files.get(`/etc/${name}`) ?? "")).toEqual(recorded);
			}
			expectSame(host.netns, file, `host ${host.name}`, { links: false });
			expectRules(host.netns, file, `host ${host.name}`);
			const names = [...host.namespaces.keys()].map((name) => (name === container.name ? "container" : name));
			expect(names.sort()).toEqual(
				recordedSection(file, "ls /var/run/docker/netns", "names")
					.map((name) => (/^[0-9a-f]{12}$/.test(name) ? "container" : name))
					.sort(),
			);
		},
	);

	test("docker network inspect says who is on it and which nodes take part, with services on demand", async () => {
		const { nodes } = await recordedOverlay(2);
		const { docker } = nodes[0].host;
		const [recorded] = json("05-overlay/inspect-uber-net.json") as [{ Services: object; Containers: object }];
		docker.controller.services = (network) =>
			network.name === "uber-net" ? (recorded.Services as never) : {};
		const ours = named(JSON.stringify(docker.networks.inspect("uber-net", { verbose: true })));
		expect(sortedContainers(JSON.parse(ours) as typeof recorded)).toEqual(sortedContainers(recorded));
		expect(docker.networks.inspect("uber-net").Services).toBeUndefined();
		expect(Object.keys(docker.networks.inspect("uber-net", { verbose: true }))).toEqual(
			Object.keys(recorded),
		);
	});

	test("docker inspect of the container, and docker network ls", async () => {
		const { nodes } = await recordedOverlay(2);
		const { docker } = nodes[0].host;
		const settings = docker.containers.inspect("c1").NetworkSettings.Networks;
		expect(JSON.parse(named(JSON.stringify(settings)))).toEqual(json("05-overlay/inspect-c1-networks.json"));
		expect(docker.networks.ls().map((line) => [line.name, line.driver, line.scope].join(" "))).toEqual([
			"bridge bridge local",
			"docker_gwbridge bridge local",
			"host host local",
			"ingress overlay swarm",
			"none null local",
			"uber-net overlay swarm",
		]);
		expect(docker.networks.ls().find(({ name }) => name === "uber-net")?.id).toBe(UBER_NET.id.slice(0, 12));
	});
});

describe("06: two subnets", () => {
	async function multiNet() {
		const swarm = recordedSwarm(4, { epoch: "2026-11-23T17:48:00Z" });
		const network = swarm.cluster.define("multi-net", {
			id: "i0ax54rdxfrcf4q311axc68sr",
			subnets: ["11.1.1.0/24", "10.1.1.0/24"],
			options: { "com.docker.network.driver.overlay.vxlanid_list": "4100,4101" },
		});
		swarm.cluster.next(network, 2, 3);
		const [node1, node2] = swarm.hosts as [Host, Host];
		// Another container had 172.18.0.3 there.
		for (const { docker } of [node1, node2]) {
			const { controller } = docker;
			const sandbox = controller.newSandbox({ containerId: "another" });
			const bridge = controller.networks.find(({ name }) => name === "docker_gwbridge");
			if (bridge !== undefined)
				sandbox.join(bridge.createEndpoint({ id: controller.newId(), name: "another" }));
		}
		const run = (host: Host, name: string, ip: string) =>
			host.docker.run({ name, hostname: name, network: "multi-net", ip }).ready;
		const m1 = await run(node1, "m1", "10.1.1.10");
		const m2 = await run(node2, "m2", "11.1.1.20");
		const m3 = await run(node1, "m3", "11.1.1.30");
		return { ...swarm, node1, node2, m1, m2, m3 };
	}

	test("a bridge and a VNI per subnet, in the order of use; each node's sandbox and containers as recorded", async () => {
		const { node1, node2, m1, m2 } = await multiNet();
		const key = "1-i0ax54rdxf";
		expectSandbox(sandboxOf(node1, key), "06-overlay-multisubnet/state-node1.txt", `sandbox ${key}`);
		expectSandbox(sandboxOf(node2, key), "06-overlay-multisubnet/state-node2.txt", `sandbox ${key}`);
		expectSame(m1.netns, "06-overlay-multisubnet/state-node1.txt", "container m1");
		expectSame(m2.netns, "06-overlay-multisubnet/state-node2.txt", "container m2");
		const [recorded] = json("06-overlay-multisubnet/inspect-multi-net.json") as [{ Containers: object }];
		const ours = named(JSON.stringify(node1.docker.networks.inspect("multi-net")));
		expect(sortedContainers(JSON.parse(ours) as typeof recorded)).toEqual(sortedContainers(recorded));
	});

	test("ping says what it said: routed by the sandbox of the source, TTL 63, time exceeded from the own gateway", async () => {
		const { m1, m3, node1, node2, lab } = await multiNet();
		const ttls = async (to: string, count: number) =>
			(await m1.ping(to, { count })).replies.map(({ ttl }) => ttl);
		const capture = lab.capture("node*:eth0");
		expect(await ttls("11.1.1.20", 3)).toEqual([63, 63, 63]);
		const comments = capture.toPcapng();
		expect(comments.length).toBeGreaterThan(0);
		expect(await ttls("11.1.1.30", 2)).toEqual([63, 63]);
		expect(await ttls("11.1.1.1", 1)).toEqual([64]);
		expect((await m1.ping("11.1.1.99", { count: 1, timeout: "1s" })).received).toBe(0);
		const expired = await m1.ping("11.1.1.20", { count: 1, ttl: 1 });
		expect(expired.text()).toContain("From 10.1.1.1 icmp_seq=1 Time to live exceeded");
		expect(m1.netns.neigh.show().map(({ address }) => address)).toContain("10.1.1.1");
		// The node that answers sends by the other subnet's VNI, from its own bridge, which this one learns: of what was
		// learned, and of what was written.
		for (const host of [node1, node2]) {
			const lines = readFileSync(
				new URL(`06-overlay-multisubnet/after-${host.name}.txt`, import.meta.url),
				"utf8",
			).split("\n");
			const fdb = (text: readonly string[]): string[] =>
				told(text.filter((line) => / dev \S+ (self|master|dst)/.test(line))).sort();
			expect(fdb(split(sandboxOf(host, "1-i0ax54rdxf").bridgeTool.fdb().text))).toEqual(fdb(lines));
		}
		expect(m3.running).toBe(true);
	});
});

describe("07: an encrypted network", () => {
	test.each([0, 1] as const)("rules, sandbox and container of node %i are as recorded", async (i) => {
		const { nodes } = await recordedOverlay(3, SEC_NET);
		const { host, container, sandbox } = nodes[i];
		const file = `07-overlay-encrypted/state-${host.name}.txt`;
		expectSandbox(sandbox, file, "sandbox 1-aw0ua8269h");
		expectSame(container.netns, file, `container ${container.name}`);
		expectRules(host.netns, file, `host ${host.name}`);
	});
});

const json = (file: string): unknown =>
	JSON.parse(named(readFileSync(new URL(file, import.meta.url), "utf8")));

/** Containers are sorted by ids, which are drawn, and so are the names of what was drawn. */
function sortedContainers(network: { readonly Containers: object }): object {
	const containers = Object.values(network.Containers).map((each: Record<string, string>) =>
		[each["Name"], each["MacAddress"], each["IPv4Address"]].join(" "),
	);
	return { ...network, Containers: containers.sort() };
}
