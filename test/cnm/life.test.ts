import { describe, expect, test } from "vitest";
import { type Docker, Lab, type Netns, type NetworkDriver } from "../../src/index.ts";

function engine(options: ConstructorParameters<typeof Lab>[0] = { seed: 1 }) {
	const lab = new Lab(options);
	const host = lab.host("node1", {
		nics: { eth0: { address: "172.31.1.5/24" }, eth1: {}, wan: { address: "172.20.3.4/16" } },
	});
	return { lab, host, docker: host.docker };
}

const subnets = (docker: Docker<Netns>, names: readonly string[]): (string | undefined)[] =>
	names.map((name) => docker.networks.create(name).about.ipamConfig[0]?.Subnet);

describe("addresses", () => {
	test("networks get 172.18/16 and on; what the host is on is left out; a freed one is not given again at once", () => {
		const { docker } = engine();
		expect(subnets(docker, ["a", "b"])).toEqual(["172.18.0.0/16", "172.19.0.0/16"]);
		docker.networks.rm("a");
		expect(subnets(docker, ["c"])).toEqual(["172.21.0.0/16"]);
	});

	test("31 default pools less those in use, then none", () => {
		const { docker } = engine();
		// docker0 has one, and the host is on two more.
		const made = subnets(
			docker,
			Array.from({ length: 28 }, (_, i) => `n${String(i)}`),
		);
		expect(made.at(-1)).toBe("192.168.240.0/20");
		expect(() => docker.networks.create("more")).toThrow(
			"could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
		);
	});

	test("containers get the lowest free address, again as soon as it is free", () => {
		const { docker } = engine();
		const names = ["c1", "c2", "c3"];
		expect(names.map((name) => docker.run({ name }).ip())).toEqual([
			"172.17.0.2",
			"172.17.0.3",
			"172.17.0.4",
		]);
		docker.stop("c2");
		expect(docker.run({ name: "c4" }).ip()).toBe("172.17.0.3");
		docker.start("c2");
		expect(docker.containers.get("c2").ip()).toBe("172.17.0.5");
	});

	test("--ip-range is where addresses come from, --ip is taken from the whole subnet, aux addresses from nowhere", () => {
		const { docker } = engine();
		docker.networks.create("n", {
			subnet: "10.5.0.0/16",
			ipRange: "10.5.7.0/30",
			gateway: "10.5.255.254",
			auxAddress: { router: "10.5.7.1" },
		});
		const ip = (options: object = {}): string => docker.run({ network: "n", ...options }).ip();
		expect([ip(), ip(), ip(), ip({ ip: "10.5.99.9" })]).toEqual([
			"10.5.7.0",
			"10.5.7.2",
			"10.5.7.3",
			"10.5.99.9",
		]);
		const id = docker.networks.inspect("n").Id;
		expect(() => ip()).toThrow(`no available IPv4 addresses on this network's address pools: n (${id})`);
	});

	test("an address the user chose is kept over a restart", () => {
		const { docker } = engine();
		docker.networks.create("n", { subnet: "10.5.0.0/24" });
		const c1 = docker.run({ name: "c1", network: "n", ip: "10.5.0.77", macAddress: "02:aa:bb:cc:dd:ee" });
		docker.restart(c1);
		expect([c1.ip(), docker.containers.inspect(c1).NetworkSettings.Networks["n"]?.MacAddress]).toEqual([
			"10.5.0.77",
			"02:aa:bb:cc:dd:ee",
		]);
	});
});

describe("a container on several networks", () => {
	const routes = (docker: Docker<Netns>, name: string): string =>
		docker.containers.get(name).netns.routes.show().split("\n")[0] ?? "";

	test("goes out by the network whose name is first, internal ones last", () => {
		const { docker } = engine();
		docker.networks.create("a-internal", { subnet: "10.1.0.0/24", internal: true });
		docker.networks.create("m", { subnet: "10.2.0.0/24" });
		docker.networks.create("b", { subnet: "10.3.0.0/24" });
		docker.run({ name: "c1", network: "a-internal" });
		expect(routes(docker, "c1")).toBe("default via 10.1.0.1 dev eth0 ");
		docker.networks.connect("m", "c1");
		expect(routes(docker, "c1")).toBe("default via 10.2.0.1 dev eth1 ");
		docker.networks.connect("b", "c1");
		expect(routes(docker, "c1")).toBe("default via 10.3.0.1 dev eth2 ");
		docker.networks.disconnect("b", "c1");
		docker.networks.disconnect("m", "c1");
		expect(routes(docker, "c1")).toBe("default via 10.1.0.1 dev eth0 ");
		docker.networks.connect("m", "c1");
		// Numbers of interfaces are not used again while it runs.
		expect(routes(docker, "c1")).toBe("default via 10.2.0.1 dev eth3 ");
		docker.restart("c1");
		expect(routes(docker, "c1")).toBe("default via 10.2.0.1 dev eth0 ");
	});

	test("its published ports move with the way out, and go with it", async () => {
		const { lab, docker, host } = engine();
		docker.networks.create("m", { subnet: "10.2.0.0/24" });
		docker.networks.create("b", { subnet: "10.3.0.0/24" });
		docker.run({ name: "c1", network: "m", publish: ["8080:80"] });
		const target = (): string => /--to-destination (\S+)/.exec(host.netns.iptablesTool.save())?.[1] ?? "";
		expect(target()).toBe("10.2.0.2:80");
		docker.networks.connect("b", "c1");
		expect(target()).toBe("10.3.0.2:80");
		docker.networks.disconnect("b", "c1");
		expect(target()).toBe("10.2.0.2:80");
		docker.stop("c1");
		await lab.advance("60ms");
		expect(target()).toBe("");
	});
});

describe("network modes", () => {
	test("host is the machine, none has a loopback alone, container: is another's namespace", () => {
		const { docker, host } = engine();
		const c1 = docker.run({ name: "c1" });
		expect(docker.run({ network: "host" }).netns).toBe(host.netns);
		expect(docker.run({ network: "container:c1" }).netns).toBe(c1.netns);
		const none = docker.run({ name: "none1", network: "none" }).netns;
		expect(none.devices.map(({ name }) => name)).toEqual(["lo"]);
		expect(none.name).toBe("node1/none1");
	});

	test("ports of a container show where its network can publish them, and nowhere else", () => {
		const { docker } = engine();
		docker.networks.create("mac", { driver: "macvlan", subnet: "10.9.0.0/24", options: { parent: "eth1" } });
		const ports = (network: string) => {
			const c = docker.run({ network, expose: ["443"] });
			return docker.containers.inspect(c).NetworkSettings.Ports;
		};
		expect(ports("bridge")).toEqual({ "443/tcp": null });
		for (const network of ["host", "none", "mac"]) expect(ports(network)).toEqual({});
	});

	test("without userland-proxy bridge ports are hairpins and 127.0.0.1 is routed", () => {
		const lab = new Lab({ seed: 1 });
		const { docker, netns } = lab.host("n", { docker: { userlandProxy: false } });
		const c = docker.run({ publish: ["5001:80"] });
		expect(netns.sysctl.get("net.ipv4.conf.docker0.route_localnet")).toBe(1);
		expect(netns.bridge("docker0").ports.map(({ flags }) => flags.hairpin)).toEqual([true]);
		expect(docker.port(c)).toEqual(["80/tcp -> 0.0.0.0:5001"]);
	});

	test("a driver of one's own takes part", () => {
		const lab = new Lab({ seed: 1 });
		const calls: string[] = [];
		const note = (call: string) => (): void => void calls.push(call);
		const driver: NetworkDriver = {
			type: "mine",
			addresses: true,
			createNetwork: ({ options }) => void calls.push(`create ${options["speed"] ?? ""}`),
			deleteNetwork: note("delete"),
			createEndpoint: (_, { address }) => void calls.push(`endpoint /${String(address?.length)}`),
			deleteEndpoint: note("delete endpoint"),
			macAddress: () => "02:00:00:00:00:01",
			join: () => (calls.push("join"), {}),
			leave: note("leave"),
		};
		const { docker } = lab.host("n", { docker: { drivers: [driver] } });
		docker.networks.create("net", { driver: "mine", options: { speed: "high" } });
		docker.rm(docker.run({ network: "net" }), { force: true });
		// It gave no way out, so the container had one by docker_gwbridge.
		expect(docker.networks.prune()).toEqual(["net", "docker_gwbridge"]);
		expect(calls).toEqual(["create high", "endpoint /16", "join", "leave", "delete endpoint", "delete"]);
	});
});
