import { describe, expect, test } from "vitest";
import { type Docker, DockerError, Lab, NetError, type Netns } from "../../src/index.ts";

// The rest of what the docker CLI prints about networks, drivers and container modes; beside refusals.test.ts.
function engine(): { docker: Docker<Netns>; netns: Netns } {
	const lab = new Lab({ seed: 5 });
	const { docker, netns } = lab.host("node1", {
		nics: { eth0: { address: "172.31.1.5/24" }, eth1: {}, eth2: {} },
	});
	docker.networks.create("net", { subnet: "10.5.0.0/24" });
	for (let i = 0; i < 20; i++)
		docker.networks.create(`n${String(i)}`, { subnet: `10.200.${String(i)}.0/24` });
	docker.run({ name: "c1", network: "net", publish: ["7000:80", "7001:81"] });
	docker.create({ name: "idle" });
	docker.networks.create("mac", { driver: "macvlan", subnet: "10.6.0.0/24", options: { parent: "eth1.10" } });
	return { docker, netns };
}

const daemon = "Error response from daemon: ";
type Do = (here: ReturnType<typeof engine>) => unknown;
const create =
	(name: string, options: Parameters<Docker["networks"]["create"]>[1]): Do =>
	({ docker }) =>
		docker.networks.create(name, options);
const run =
	(options: Parameters<Docker["run"]>[0]): Do =>
	({ docker }) =>
		docker.run(options);
const child = (driver: "macvlan" | "ipvlan", options: Readonly<Record<string, string>>): Do =>
	create("m", { driver, subnet: "10.9.0.0/24", options });
const shared = (options: Parameters<Docker["run"]>[0]): Do => run({ network: "container:c1", ...options });

describe("what is refused of networks, is refused in Docker's words", () => {
	test.each<readonly [what: string, act: Do, text: RegExp | string]>([
		[
			"ids that begin alike",
			({ docker }) => {
				const ids = docker.networks.ls().map(({ id }) => docker.networks.inspect(id).Id);
				const twice = ids.map((id) => id[0] ?? "").find((digit, i, all) => all.indexOf(digit) !== i) ?? "";
				docker.networks.inspect(twice);
			},
			/^Error response from daemon: network [0-9a-f] is ambiguous \(\d+ matches found based on ID prefix\)$/,
		],
		[
			"a second host network",
			create("h", { driver: "host" }),
			`${daemon}only one instance of "host" network is allowed`,
		],
		[
			"a second null network",
			create("h", { driver: "null" }),
			`${daemon}only one instance of "null" network is allowed`,
		],
		[
			"the host network removed",
			({ docker }) => {
				docker.networks.rm("host");
			},
			`${daemon}host is a pre-defined network and cannot be removed`,
		],
		[
			"subnets within each other",
			create("x", { subnet: ["10.7.0.0/16", "10.7.1.0/24"] }),
			"multiple overlapping subnet configuration is not supported",
		],
		[
			"two ranges of one subnet",
			create("x", { subnet: ["10.7.0.0/16", "10.8.0.0/16"], ipRange: ["10.7.1.0/24", "10.7.2.0/24"] }),
			"cannot configure multiple ranges (10.7.2.0/24, 10.7.1.0/24) on the same subnet (10.7.0.0/16)",
		],
		[
			"two gateways of one subnet",
			create("x", { subnet: ["10.7.0.0/16", "10.8.0.0/16"], gateway: ["10.7.0.1", "10.7.0.2"] }),
			"cannot configure multiple gateways (10.7.0.2, 10.7.0.1) for the same subnet (10.7.0.0/16)",
		],
		[
			"a range outside",
			create("x", { subnet: "10.7.0.0/24", ipRange: "10.8.0.0/25" }),
			"no matching subnet for range 10.8.0.0/25",
		],
		[
			"a reserved address outside",
			create("x", { subnet: "10.7.0.0/24", auxAddress: { r: "10.8.0.9" } }),
			"no matching subnet for aux-address 10.8.0.9",
		],
		[
			"a gateway that is the subnet's own address",
			create("x", { subnet: "10.7.0.0/24", gateway: "10.7.0.0" }),
			`${daemon}failed to allocate gateway (10.7.0.0): Address already in use`,
		],
		[
			"ports of a range that are all published",
			run({ network: "net", publish: ["7000-7001:80"] }),
			/driver failed programming external connectivity on endpoint \S+ \([0-9a-f]{64}\): all ports are allocated$/,
		],
		[
			"an unknown ipvlan mode",
			child("ipvlan", { parent: "eth2", ipvlan_mode: "l4" }),
			`${daemon}requested ipvlan mode 'l4' is not valid, 'l2' mode is the ipvlan driver default`,
		],
		[
			"an unknown ipvlan flag",
			child("ipvlan", { parent: "eth2", ipvlan_flag: "open" }),
			`${daemon}requested ipvlan flag 'open' is not valid, 'bridge' is the ipvlan driver default`,
		],
		[
			"an ipvlan parent that another network has",
			({ docker }) => {
				const ipvlan = (name: string, subnet: string) =>
					docker.networks.create(name, { driver: "ipvlan", subnet, options: { parent: "eth2.30" } });
				const { id } = ipvlan("first", "10.9.0.0/24");
				try {
					ipvlan("second", "10.9.1.0/24");
				} finally {
					docker.networks.rm(id);
				}
			},
			/^Error response from daemon: network di-[0-9a-f]{12} is already using parent interface eth2\.30$/,
		],
		[
			"a link to nobody",
			run({ links: ["nope:db"] }),
			`${daemon}could not get container for nope: No such container: nope`,
		],
		[
			"--add-host without an address",
			run({ addHost: ["db"] }),
			'invalid argument "db" for "--add-host" flag: bad format for add-host: "db"',
		],
		[
			"--add-host with a name for an address",
			run({ addHost: ["db:other"] }),
			'invalid argument "db:other" for "--add-host" flag: invalid IP address in add-host: "other"',
		],
		[
			"--dns with a name for an address",
			run({ dns: ["ns1"] }),
			'invalid argument "ns1" for "--dns" flag: ns1 is not an ip address',
		],
		[
			"loopback as an ipvlan parent",
			child("ipvlan", { parent: "lo" }),
			`${daemon}loopback interface is not a valid ipvlan parent link`,
		],
		[
			"a VLAN that is no number",
			child("macvlan", { parent: "eth2.ten" }),
			`${daemon}unable to parse a valid vlan id from: ten (ex. eth0.10 for vlan 10)`,
		],
		[
			"a parent with two dots",
			child("macvlan", { parent: "eth2.10.20" }),
			`${daemon}required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received eth2.10.20`,
		],
		[
			"a parent that is gone when a container starts",
			({ docker, netns }) => {
				netns.device("eth1.10").delete();
				docker.run({ network: "mac" });
			},
			`${daemon}the requested parent interface eth1.10 was not found on the Docker host`,
		],
		[
			"one's own namespace",
			run({ name: "self", network: "container:self" }),
			`${daemon}cannot join own network`,
		],
		["nobody's namespace", run({ network: "container:nope" }), `${daemon}No such container: nope`],
		[
			"a bridge that says it is docker0",
			create("x", {
				options: {
					"com.docker.network.bridge.default_bridge": "true",
					"com.docker.network.bridge.name": "br9",
				},
			}),
			`${daemon}bridge device with non default name br9 must be created manually`,
		],
		[
			"a shared namespace and --dns",
			shared({ dns: ["9.9.9.9"] }),
			`${daemon}conflicting options: dns and the network mode`,
		],
		[
			"a shared namespace and --add-host",
			shared({ addHost: ["a:10.0.0.1"] }),
			`${daemon}conflicting options: custom host-to-IP mapping and the network mode`,
		],
		[
			"a shared namespace and --expose",
			shared({ expose: ["80"] }),
			`${daemon}conflicting options: port exposing and the container type network mode`,
		],
		[
			"a shared namespace and --link",
			shared({ links: ["c1"] }),
			`${daemon}conflicting options: container type network can't be used with links. This would result in undefined behavior`,
		],
		[
			"host mode and --link",
			run({ network: "host", links: ["c1"] }),
			`${daemon}conflicting options: host type networking can't be used with links. This would result in undefined behavior`,
		],
		[
			"container: and nobody",
			run({ network: "container:" }),
			`${daemon}Invalid network mode: invalid container format container:<name|id>`,
		],
		[
			"container alone",
			run({ network: "container" }),
			`${daemon}invalid container format container:<name|id>`,
		],
	])("%s", (_what, act, text) => {
		const here = engine();
		const before = here.docker.networks.ls().length;
		let said = "nothing";
		try {
			act(here);
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			said = error.message;
			if (text.toString().includes("daemon")) expect(error).toBeInstanceOf(DockerError);
		}
		if (typeof text === "string") expect(said).toBe(text);
		else expect(said).toMatch(text);
		expect(here.docker.networks.ls()).toHaveLength(before);
	});
});
