import { describe, expect, test } from "vitest";
import { type ClusterKey, DockerError, formatIp4, type Host, Lab, type Netns } from "../../src/index.ts";
import { spiOf } from "../../src/cnm/drivers/overlay/index.ts";
import { toIp4 } from "../../src/addr/index.ts";
import { libnetwork } from "../../src/wire/index.ts";
import { type ClusterOptions, FakeCluster, leftOvers, sandboxOf } from "../support/cluster.ts";

const key = (lamportTime: number, subsystem = "networking:ipsec"): ClusterKey => ({
	subsystem,
	key: lamportTime.toString(16).padStart(32, "0"),
	lamportTime,
});
const KEYS = [key(1), key(2), key(3), key(9, "networking:gossip")];

/** So many hosts in a cluster, the first its manager. */
function cluster(nodes: number, options: ClusterOptions = {}) {
	const lab = new Lab({ seed: 1 });
	const lan = lab.switch("underlay");
	const fake = new FakeCluster(lab, options);
	const hosts = Array.from({ length: nodes }, (_, i) => {
		const ip = `172.31.1.${String(5 + i)}`;
		const nics = { eth0: { address: `${ip}/24`, gateway: "172.31.1.1", attach: lan } };
		const host = lab.host(`node${String(i + 1)}`, { nics });
		// docker_gwbridge stays once it was made.
		host.docker.networks.create("docker_gwbridge", {
			options: {
				"com.docker.network.bridge.name": "docker_gwbridge",
				"com.docker.network.bridge.enable_icc": "false",
			},
		});
		fake.join(host, ip);
		return host;
	});
	return { lab, fake, hosts: hosts as [Host, Host, ...Host[]] };
}

const peersOf = (ns: Netns): string[] => [
	...ns.neigh.show().map(({ text }) => text.trim()),
	...ns
		.vxlan("vxlan0")
		.fdbShow()
		.map(({ text }) => text.trim()),
];

describe("a network's sandbox", () => {
	test("comes with the first endpoint, counts its lives, and goes with the last", async () => {
		const { hosts, fake } = cluster(1, { balancers: false });
		const [node] = hosts;
		const before = leftOvers(node);
		const net = fake.define("net", { subnets: ["10.0.1.0/24"] });
		node.docker.controller.createManagedNetwork(net, "test");
		expect(leftOvers(node)).toEqual(before);
		const run = (name: string) => node.docker.run({ name, network: "net" }).ready;
		const [c1, c2] = [await run("c1"), await run("c2")];
		expect([...node.namespaces.keys()]).toEqual(["c1", "1-net0123456", "c2"]);
		const gone = () => node.kernel.driver.advance("60ms");
		node.docker.rm(c1, { force: true });
		await gone();
		expect(sandboxOf(node, "1-net0123456").devices.map(({ name }) => name)).toEqual([
			"lo",
			"br0",
			"vxlan0",
			"veth1",
		]);
		node.docker.rm(c2, { force: true });
		await gone();
		expect([...node.namespaces.keys()]).toEqual([]);
		await run("c3");
		expect([...node.namespaces.keys()]).toContain("2-net0123456");
		node.docker.rm("c3", { force: true });
		await gone();
		node.docker.controller.deleteManagedNetwork(net.id, "test");
		expect(leftOvers(node)).toEqual(before);
		expect(node.docker.networks.ls().map(({ name }) => name)).toContain("net");
	});

	test("has the MTU that -o says less 50, and less what ESP takes rounded down to four", async () => {
		const { hosts, fake } = cluster(1, { keys: KEYS });
		const [{ docker }] = hosts;
		for (const [name, options, mtu] of [
			["plain", {}, 1450],
			["jumbo", { "com.docker.network.driver.mtu": "9000" }, 8950],
			["secure", { encrypted: "" }, 1424],
			["both", { encrypted: "", "com.docker.network.driver.mtu": "1401" }, 1324],
		] as const) {
			fake.define(name, { subnets: [`10.9.${String(mtu % 256)}.0/24`], options });
			const { netns } = await docker.run({ name, network: name }).ready;
			expect(netns.device("eth0").mtu).toBe(mtu);
		}
	});

	test("raises the host's limits on neighbours, and leaves higher ones alone", () => {
		const { hosts, fake } = cluster(1);
		const [node] = hosts;
		const { sysctl } = node.netns;
		const limits = () =>
			(["gc_thresh1", "gc_thresh2", "gc_thresh3"] as const).map((name) =>
				sysctl.get(`net.ipv4.neigh.default.${name}`),
			);
		expect(limits()).toEqual([128, 512, 1024]);
		sysctl.set("net.ipv4.neigh.default.gc_thresh3", 100_000);
		node.docker.controller.createManagedNetwork(fake.define("net", { subnets: ["10.0.1.0/24"] }), "test");
		expect(limits()).toEqual([8192, 49_152, 100_000]);
	});

	test("speaks to the port of the cluster's data path", async () => {
		const { lab, hosts, fake } = cluster(2, { dataPathPort: 7789 });
		fake.define("net", { subnets: ["10.0.1.0/24"] });
		const [c1, c2] = await Promise.all(
			hosts.map((host, i) => host.docker.run({ name: `c${String(i)}`, network: "net" }).ready),
		);
		const capture = lab.capture("node1:eth0");
		expect((await c1!.ping(c2!.ip(), { count: 1 })).received).toBe(1);
		const ports = capture
			.sightings("node1:eth0")
			.map(({ data }) => new DataView(data.buffer, data.byteOffset).getUint16(36));
		expect(ports).toContain(7789);
		expect(ports).not.toContain(4789);
	});
});

describe("peers", () => {
	async function twoNodes(options: ClusterOptions = {}) {
		const made = cluster(3, { balancers: false, ...options });
		const net = made.fake.define("net", { subnets: ["10.0.1.0/24"] });
		const c1 = await made.hosts[0].docker.run({ name: "c1", network: "net" }).ready;
		return { ...made, net, c1, sandbox: sandboxOf(made.hosts[0], "1-net0123456") };
	}

	test("come as a neighbour and a forwarding entry, and go; what the bridge learned of them goes too", async () => {
		const { hosts, c1, sandbox, lab } = await twoNodes();
		const c2 = await hosts[1].docker.run({ name: "c2", network: "net" }).ready;
		expect(peersOf(sandbox)).toEqual([
			"10.0.1.3 dev vxlan0 lladdr 02:42:0a:00:01:03 PERMANENT",
			"02:42:0a:00:01:03 dst 172.31.1.6 self permanent",
		]);
		await c1.ping(c2.ip(), { count: 1 });
		await lab.advance("10s");
		const learned = () => sandbox.bridgeTool.fdb().text.includes("02:42:0a:00:01:03 dev vxlan0 master br0");
		expect(learned()).toBe(true);
		hosts[1].docker.rm(c2, { force: true });
		await lab.advance("60ms");
		expect(peersOf(sandbox)).toEqual([]);
		expect(learned()).toBe(false);
	});

	test("known before there was a sandbox are written when it comes", async () => {
		const { hosts, c1 } = await twoNodes();
		await hosts[1].docker.run({ name: "c2", network: "net" }).ready;
		expect(peersOf(sandboxOf(hosts[1], "1-net0123456"))).toEqual([
			"10.0.1.2 dev vxlan0 lladdr 02:42:0a:00:01:02 PERMANENT",
			"02:42:0a:00:01:02 dst 172.31.1.5 self permanent",
		]);
		expect(c1.ip()).toBe("10.0.1.2");
	});

	test("when two nodes claim an address the first counts, and the second when the first falls silent", async () => {
		const { hosts, fake, net, sandbox } = await twoNodes();
		const [, two, three] = fake.members;
		for (const host of hosts.slice(1)) host.docker.controller.createManagedNetwork(net, "test");
		const say = (member: typeof two, endpoint: string): void => {
			member?.tables.create(libnetwork.TABLE.overlayPeer, net.id, endpoint, record("10.0.1.8/24", member));
		};
		const record = (endpointIp: string, member: typeof two): Uint8Array =>
			libnetwork.peerRecord.write({
				endpointIp,
				endpointMac: "02:42:0a:00:01:08",
				tunnelEndpointIp: member === two ? "172.31.1.6" : "172.31.1.7",
			});
		say(two, "old");
		say(three, "new");
		expect(peersOf(sandbox)[1]).toBe("02:42:0a:00:01:08 dst 172.31.1.6 self permanent");
		two?.tables.delete(libnetwork.TABLE.overlayPeer, net.id, "old");
		expect(peersOf(sandbox)).toEqual([
			"10.0.1.8 dev vxlan0 lladdr 02:42:0a:00:01:08 PERMANENT",
			"02:42:0a:00:01:08 dst 172.31.1.7 self permanent",
		]);
		three?.tables.update(libnetwork.TABLE.overlayPeer, net.id, "new", record("10.0.1.9/24", three));
		expect(peersOf(sandbox)[0]).toContain("10.0.1.9 ");
		three?.tables.delete(libnetwork.TABLE.overlayPeer, net.id, "new");
		expect(peersOf(sandbox)).toEqual([]);
	});

	test("that cannot be read, are of no subnet or this node's own change nothing", async () => {
		const { fake, net, hosts, sandbox } = await twoNodes();
		const [, two] = fake.members;
		hosts[1].docker.controller.createManagedNetwork(net, "test");
		const good = {
			endpointIp: "10.0.1.8/24",
			endpointMac: "02:42:0a:00:01:08",
			tunnelEndpointIp: "172.31.1.6",
		};
		const bad = [
			Uint8Array.of(0xff, 0xff, 0xff),
			libnetwork.peerRecord.write({ ...good, endpointIp: "10.0.1.8" }),
			libnetwork.peerRecord.write({ ...good, endpointIp: "10.0.1.8/16" }),
			libnetwork.peerRecord.write({ ...good, endpointMac: "02:42" }),
			libnetwork.peerRecord.write({ ...good, tunnelEndpointIp: "" }),
			libnetwork.peerRecord.write({ ...good, tunnelEndpointIp: "172.31.1.5" }),
		];
		for (const [i, value] of bad.entries())
			two?.tables.create(libnetwork.TABLE.overlayPeer, net.id, String(i), value);
		expect(peersOf(sandbox)).toEqual([]);
	});

	test("a container that moves is reached again on its new node", async () => {
		const { hosts, c1, lab } = await twoNodes({ delay: 30 });
		const c2 = await hosts[1].docker.run({ name: "c2", network: "net", ip: "10.0.1.8" }).ready;
		await lab.advance("1s");
		expect((await c1.ping("10.0.1.8", { count: 1 })).received).toBe(1);
		hosts[1].docker.rm(c2, { force: true });
		await lab.advance("60ms");
		await hosts[2]!.docker.run({ name: "c2", network: "net", ip: "10.0.1.8" }).ready;
		await lab.advance("10s");
		expect((await c1.ping("10.0.1.8", { count: 1 })).received).toBe(1);
	});
});

describe("encryption", () => {
	test("numbers its associations as libnetwork does", () => {
		const spi = (a: string, b: string, tag: number) => spiOf(toIp4(a, "a"), toIp4(b, "b"), tag);
		expect(spi("1.2.3.4", "5.6.7.8", 1234)).toBe(0x5de6_2c5b);
		expect(spi("5.6.7.8", "1.2.3.4", 1234)).toBe(0xfbe6_142b);
		expect(spi("192.168.65.11", "192.168.65.12", 40_000)).toBe(0xa9f9_8e2c);
	});

	async function encrypted() {
		const made = cluster(2, { keys: KEYS, balancers: false });
		const before = leftOvers(made.hosts[0]);
		const net = made.fake.define("net", { subnets: ["10.0.1.0/24"], options: { encrypted: "" } });
		const [c1, c2] = await Promise.all(
			made.hosts.map((host, i) => host.docker.run({ name: `c${String(i)}`, network: "net" }).ready),
		);
		return { ...made, net, before, c1: c1!, c2: c2! };
	}

	/** `in 1 2 3, out 2`, by the keys' Lamport times. */
	const associations = ({ netns }: Host): string => {
		const tags = (own: boolean) =>
			netns.xfrm.state
				.list()
				.filter(({ src }) => (formatIp4(src) === "172.31.1.5") === own)
				.map(({ key: octets }) => octets[15])
				.sort()
				.join(" ");
		return `in ${tags(false)}, out ${tags(true)}`;
	};

	test("a rotated key is heard by before it is spoken by, and no packet is lost meanwhile", async () => {
		const { hosts, c1, c2, lab } = await encrypted();
		const [one, two] = hosts;
		expect(associations(one)).toBe("in 1 2 3, out 2");
		const pinging = c1.ping(c2.ip(), { count: 6, interval: "100ms" });
		await lab.advance("150ms");
		one.docker.controller.setKeys([key(2), key(3), key(4)]);
		expect(associations(one)).toBe("in 2 3 4, out 3");
		await lab.advance("200ms");
		two.docker.controller.setKeys([key(2), key(3), key(4)]);
		expect((await pinging).received).toBe(6);
		const policy = one.netns.xfrm.policy.show();
		const spi = spiOf(toIp4("172.31.1.5", "a"), toIp4("172.31.1.6", "b"), 3);
		expect(policy).toContain(`spi 0x${spi.toString(16).padStart(8, "0")}`);
		one.docker.controller.setKeys([key(7), key(8), key(9)]);
		expect(associations(one)).toBe("in 7 8 9, out 8");
	});

	test("what comes in clear with the network's VNI is dropped", async () => {
		const { hosts, c1, c2, lab } = await encrypted();
		// node2 forgets to encrypt.
		hosts[1].netns.xfrm.policy.flush();
		const result = c2.ping(c1.ip(), { count: 2, timeout: "1s" });
		const dropped = lab.world.dropped.get("iptables-drop") ?? 0;
		expect((await result).received).toBe(0);
		expect(lab.world.dropped.get("iptables-drop") ?? 0).toBeGreaterThan(dropped);
	});

	test("without keys nobody joins, and nothing is left of the attempt", async () => {
		const { hosts, fake } = cluster(1);
		const [node] = hosts;
		fake.define("net", { subnets: ["10.0.1.0/24"], options: { encrypted: "" } });
		const before = leftOvers(node);
		const { ready } = node.docker.run({ name: "c1", network: "net" });
		await expect(ready).rejects.toThrow("cannot join secure network: encryption keys not present");
		expect(leftOvers(node)).toEqual(before);
		expect(node.docker.containers.ls({ all: true })).toEqual([]);
	});

	test("states, policies and rules go with the last container, and with the last on the other node", async () => {
		const { hosts, before, c1, c2 } = await encrypted();
		const [one, two] = hosts;
		two.docker.rm(c2, { force: true });
		await one.kernel.driver.advance("60ms");
		expect([one.netns.xfrm.state.list(), one.netns.xfrm.policy.list()]).toEqual([[], []]);
		one.docker.rm(c1, { force: true });
		await one.kernel.driver.advance("60ms");
		expect(leftOvers(one)).toEqual(before);
	});
});

describe("a container on networks of the cluster's", () => {
	test("runs when it got its place, and the call does not wait", async () => {
		const { hosts, fake } = cluster(1, { delay: 40 });
		fake.define("net", { subnets: ["10.0.1.0/24"] });
		const [{ docker }] = hosts;
		const c1 = docker.run({ name: "c1", network: "net" });
		expect([c1.status, c1.ip()]).toEqual(["created", ""]);
		expect(await c1.ready).toBe(c1);
		expect([c1.status, c1.ip()]).toEqual(["running", "10.0.1.2"]);
		docker.stop(c1);
		expect(Object.keys(docker.containers.inspect(c1).NetworkSettings.Networks)).toEqual(["net"]);
		docker.start(c1);
		await c1.ready;
		expect(c1.running).toBe(true);
		// On networks of the host it is there at once.
		expect(await docker.run({ name: "c2" }).ready).toBe(docker.containers.get("c2"));
	});

	test("goes out by docker_gwbridge, until a network of the host gives a way out", async () => {
		const { hosts, fake } = cluster(1);
		fake.define("net", { subnets: ["10.0.1.0/24"] });
		fake.define("closed", { subnets: ["10.0.2.0/24"], internal: true });
		const [{ docker }] = hosts;
		const c1 = await docker.run({ name: "c1", network: "net", publish: ["8080:80"] }).ready;
		const way = () => c1.netns.routes.show().split("\n")[0]?.trim();
		expect(way()).toBe("default via 172.18.0.1 dev eth1");
		const [gateway] = Object.values(docker.networks.inspect("docker_gwbridge").Containers ?? {});
		expect(gateway?.Name).toBe(`gateway_${c1.sandbox?.id.slice(0, 12) ?? ""}`);
		// That endpoint is anonymous: it has no name, and its address none either.
		await expect(c1.resolve(gateway?.Name ?? "")).rejects.toThrow();
		await expect(c1.resolve("2.0.18.172.in-addr.arpa", "PTR")).rejects.toThrow();
		expect(docker.port(c1)[0]).toBe("80/tcp -> 0.0.0.0:8080");
		docker.networks.create("local", { subnet: "10.3.0.0/24" });
		await docker.networks.connect("local", c1);
		expect(way()).toBe("default via 10.3.0.1 dev eth2");
		expect(docker.networks.inspect("docker_gwbridge").Containers).toEqual({});
		expect(docker.port(c1)[0]).toBe("80/tcp -> 0.0.0.0:8080");
		docker.networks.disconnect("local", c1);
		expect(way()).toBe("default via 172.18.0.1 dev eth3");
		const shut = await docker.run({ name: "shut", network: "closed" }).ready;
		expect(shut.netns.routes.show()).toBe("10.0.2.0/24 dev eth0 proto kernel scope link src 10.0.2.2 \n");
	});

	test("connects while it runs, and its networks are numbered as Docker's heap has them when it starts again", async () => {
		const { hosts, fake } = cluster(1, { delay: 10, balancers: false });
		fake.define("b-net", { subnets: ["10.0.1.0/24"] });
		fake.define("a-net", { subnets: ["10.0.2.0/24"] });
		const [{ docker }] = hosts;
		const c1 = await docker.run({ name: "c1", network: "b-net" }).ready;
		await docker.networks.connect("a-net", c1, { aliases: ["web"] });
		const devices = () =>
			c1.netns.inDevices.slice(1).map(({ addresses }) => formatIp4(addresses[0]!.prefix.address));
		expect(devices()).toEqual(["10.0.1.2", "172.18.0.2", "10.0.2.2"]);
		expect(() => docker.networks.connect("a-net", c1)).toThrow("c1 is already attached to network a-net");
		docker.restart(c1);
		await c1.ready;
		expect(devices()).toEqual(["10.0.2.2", "172.18.0.2", "10.0.1.2"]);
		docker.networks.disconnect("b-net", c1);
		expect(docker.networks.ls().find(({ name }) => name === "b-net")?.scope).toBe("swarm");
		expect(docker.networks.inspect("b-net").Containers).toBeNull();
		docker.rm(c1, { force: true });
		await hosts[0].kernel.driver.advance("60ms");
		expect(docker.networks.inspect("a-net").Containers).toBeNull();
	});

	test("what is asked of it meanwhile waits; removed meanwhile, it never runs", async () => {
		const { hosts, fake } = cluster(1, { delay: 40 });
		const [node] = hosts;
		const { docker } = node;
		fake.define("net", { subnets: ["10.0.1.0/24"] });
		fake.define("other", { subnets: ["10.0.2.0/24"] });
		const before = leftOvers(node);
		const c1 = docker.run({ name: "c1", network: "net" });
		docker.networks.create("local", { subnet: "10.3.0.0/24" });
		void docker.networks.connect("local", c1);
		void docker.networks.connect("other", c1);
		await c1.ready;
		await node.kernel.driver.advance("1s");
		expect([...c1.attachments.values()].map(({ network }) => network.name).sort()).toEqual([
			"local",
			"net",
			"other",
		]);
		docker.rm(c1, { force: true });
		void docker.networks.rm("local");
		const c2 = docker.run({ name: "c2", network: "net" });
		docker.rm(c2);
		await expect(c2.ready).rejects.toThrow("container is marked for removal and cannot be started");
		await node.kernel.driver.advance("1s");
		expect(leftOvers(node)).toEqual(before);
	});

	test("leaves them when the node leaves the cluster, and runs on", async () => {
		const { hosts, fake } = cluster(2, { keys: KEYS });
		const [node] = hosts;
		const before = leftOvers(node);
		fake.define("net", { subnets: ["10.0.1.0/24"], options: { encrypted: "" } });
		const c1 = await node.docker.run({ name: "c1", network: "net" }).ready;
		await hosts[1].docker.run({ name: "c2", network: "net" }).ready;
		node.docker.controller.leaveCluster();
		expect(c1.running).toBe(true);
		expect(c1.netns.devices.map(({ name }) => name)).toEqual(["lo"]);
		expect(node.docker.networks.ls().map(({ name }) => name)).not.toContain("net");
		node.docker.rm(c1, { force: true });
		await node.kernel.driver.advance("60ms");
		expect(leftOvers(node)).toEqual(before);
		expect(peersOf(sandboxOf(hosts[1], "1-net0123456"))).toEqual([]);
	});
});

describe("what is refused changes nothing", () => {
	const text = (error: unknown): string =>
		error instanceof DockerError ? error.daemonMessage : String(error);

	test("an overlay without a cluster, and by a worker", () => {
		const lab = new Lab({ seed: 1 });
		const { docker } = lab.host("alone");
		expect(() => docker.networks.create("net", { driver: "overlay" })).toThrow(
			'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
		);
		const { hosts } = cluster(2);
		expect(() => hosts[1].docker.networks.create("net", { driver: "overlay" })).toThrow(
			"Cannot create a multi-host network from a worker node. Please create the network from a manager node.",
		);
		expect(() => docker.run({ network: "net" })).toThrow("network net not found");
	});

	test.each([
		[
			"closed",
			"Could not attach to network closed: rpc error: code = PermissionDenied desc = network closed not manually attachable",
		],
		[
			"nowhere",
			"Could not attach to network nowhere: rpc error: code = NotFound desc = network nowhere not found",
		],
	])("a place on %s", async (network, words) => {
		const { hosts, fake } = cluster(2, { delay: 5 });
		fake.define("closed", { subnets: ["10.0.1.0/24"], attachable: false });
		for (const host of hosts) {
			const before = leftOvers(host);
			const { ready } = host.docker.run({ name: "c1", network });
			const error: unknown = await ready.catch((reason: unknown) => reason);
			expect(text(error)).toBe(words);
			expect(host.docker.containers.ls({ all: true })).toEqual([]);
			expect(leftOvers(host)).toEqual(before);
		}
	});

	test("a place that nobody gives for 20 seconds", async () => {
		const { hosts, fake, lab } = cluster(1);
		fake.define("net", { subnets: ["10.0.1.0/24"] });
		fake.silent = true;
		const [node] = hosts;
		const before = leftOvers(node);
		const error: unknown = await node.docker
			.run({ name: "c1", network: "net" })
			.ready.catch((reason: unknown) => reason);
		expect(text(error)).toBe(
			"attaching to network failed, make sure your network options are correct and check manager logs: context deadline exceeded",
		);
		expect(lab.now / 1e9).toBeCloseTo(20, 0);
		expect(leftOvers(node)).toEqual(before);
	});

	test.each([
		[{ "com.docker.network.driver.overlay.vxlanid_list": "x" }, 'invalid vxlan id value "x" passed'],
		[{ "com.docker.network.driver.mtu": "-1" }, "invalid MTU value: -1"],
		[
			{ "com.docker.network.driver.mtu": "many" },
			'failed to parse many: strconv.Atoi: parsing "many": invalid syntax',
		],
	])("a network with options %j", async (options, words) => {
		const { hosts, fake } = cluster(1);
		const [node] = hosts;
		const before = leftOvers(node);
		fake.define("net", { subnets: ["10.0.1.0/24"], options });
		const error: unknown = await node.docker
			.run({ name: "c1", network: "net" })
			.ready.catch((reason: unknown) => reason);
		expect(text(error)).toBe(words);
		expect(leftOvers(node)).toEqual(before);
	});

	test("a VNI that the host has already, an address that is taken, a subnet of the host's own", async () => {
		const { hosts, fake } = cluster(1, { balancers: false });
		const [node] = hosts;
		const list = "com.docker.network.driver.overlay.vxlanid_list";
		node.netns.addVxlan("mine", { vni: 5000 });
		node.docker.networks.create("local", { subnet: "10.7.0.0/16" });
		fake.define("clash", { subnets: ["10.0.1.0/24"], options: { [list]: "5000" } });
		fake.define("overlap", { subnets: ["10.7.1.0/24"] });
		fake.define("few", { subnets: ["10.0.4.0/24", "10.0.5.0/24"], options: { [list]: "6000" } });
		const before = leftOvers(node);
		for (const [network, words] of [
			["clash", "error creating vxlan interface"],
			["overlap", "Pool overlaps with other one on this address space"],
			["few", "insufficient vnis(1) passed to overlay"],
		] as const) {
			await expect(node.docker.run({ name: "c1", network }).ready).rejects.toThrow(words);
			expect(leftOvers(node)).toEqual(before);
		}
	});

	test("rm of a network in use, by the manager's words; and from a worker", async () => {
		const { hosts, fake } = cluster(2);
		const [one, two] = hosts;
		const net = one.docker.networks.create("net", { driver: "overlay", attachable: true });
		expect(await net.ready).toBe(net);
		expect(net.id).toBe(fake.networks[0]?.id);
		expect(() => one.docker.networks.create("net", { driver: "overlay" })).toThrow(
			"network with name net already exists",
		);
		const c1 = await two.docker.run({ name: "c1", network: "net" }).ready;
		await expect(one.docker.networks.rm("net")).rejects.toThrow("is in use by task");
		expect(() => two.docker.networks.rm("net")).toThrow(
			"Worker nodes can't be used to view or modify cluster state.",
		);
		two.docker.rm(c1, { force: true });
		await two.kernel.driver.advance("60ms");
		await one.docker.networks.rm("net");
		expect(one.docker.networks.ls().map(({ name }) => name)).not.toContain("net");
	});
});
