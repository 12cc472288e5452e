import { describe, expect, test } from "vitest";
import { type Docker, DockerError, Lab, NetError, type Netns } from "../../src/index.ts";

// What the docker CLI prints, `docker: ` in front and the dot behind `docker run`'s left out.
function engine(): Docker<Netns> {
	const lab = new Lab({ seed: 1 });
	const { docker } = lab.host("node1", { nics: { eth0: { address: "172.31.1.5/24" }, eth1: {} } });
	docker.networks.create("net");
	docker.networks.create("sub", { subnet: "10.5.0.0/24" });
	docker.run({ name: "c1", network: "net", publish: ["5001:80"] });
	docker.create({ name: "idle" });
	docker.run({ name: "shared", network: "container:c1" });
	docker.run({ name: "hosted", network: "host" });
	docker.run({ name: "alone", network: "none" });
	docker.networks.create("mac", { driver: "macvlan", subnet: "10.6.0.0/24", options: { parent: "eth1.10" } });
	return docker;
}

const daemon = "Error response from daemon: ";
type Do = (docker: Docker<Netns>) => unknown;
const create =
	(name: string, options: Parameters<Docker["networks"]["create"]>[1]): Do =>
	(docker) =>
		docker.networks.create(name, options);
const run =
	(options: Parameters<Docker["run"]>[0]): Do =>
	(docker) =>
		docker.run(options);
const macvlan = (options: Readonly<Record<string, string>>): Do =>
	create("m", { driver: "macvlan", subnet: "10.9.0.0/24", options });

describe("what is refused, is refused in Docker's words", () => {
	test.each<readonly [what: string, act: Do, text: RegExp | string]>([
		["a name that is taken", create("net", {}), `${daemon}network with name net already exists`],
		[
			"a predefined name",
			create("host", {}),
			`${daemon}operation is not permitted on predefined host network `,
		],
		["an unknown driver", create("x", { driver: "weave" }), `${daemon}plugin "weave" not found`],
		[
			"an overlapping subnet",
			create("x", { subnet: "10.5.0.128/25" }),
			`${daemon}Pool overlaps with other one on this address space`,
		],
		[
			"two subnets on a bridge",
			create("x", { subnet: ["10.7.0.0/24", "10.8.0.0/24"] }),
			`${daemon}bridge driver doesn't support multiple subnets`,
		],
		[
			"a gateway alone",
			create("x", { gateway: "10.7.0.1" }),
			"every ip-range or gateway must have a corresponding subnet",
		],
		[
			"a gateway outside",
			create("x", { subnet: "10.7.0.0/24", gateway: "10.8.0.1" }),
			"no matching subnet for gateway 10.8.0.1",
		],
		[
			"an aux address that is the gateway",
			create("x", { subnet: "10.7.0.0/24", gateway: "10.7.0.1", auxAddress: { r: "10.7.0.1" } }),
			`${daemon}failed to allocate secondary ip address (r:10.7.0.1): Address already in use`,
		],
		[
			"a bridge of another network",
			create("x", { options: { "com.docker.network.bridge.name": "docker0" } }),
			/cannot create network [0-9a-f]{64} \(docker0\): conflicts with network [0-9a-f]{64} \(docker0\): networks have same bridge name$/,
		],
		[
			"an option that is no truth value",
			create("x", { options: { "com.docker.network.bridge.enable_icc": "perhaps" } }),
			`${daemon}failed to parse com.docker.network.bridge.enable_icc value: perhaps (strconv.ParseBool: parsing "perhaps": invalid syntax)`,
		],
		[
			"to remove a network in use",
			(docker) => {
				docker.networks.rm("net");
			},
			/^Error response from daemon: error while removing network: network net id [0-9a-f]{64} has active endpoints$/,
		],
		[
			"to remove docker0's network",
			(docker) => {
				docker.networks.rm("bridge");
			},
			`${daemon}bridge is a pre-defined network and cannot be removed`,
		],
		["a network that is not there", run({ network: "nope" }), `${daemon}network nope not found`],
		[
			"a port that is taken",
			run({ name: "c2", publish: ["5001:8080"] }),
			/^Error response from daemon: driver failed programming external connectivity on endpoint c2 \([0-9a-f]{64}\): Bind for 0\.0\.0\.0:5001 failed: port is already allocated$/,
		],
		[
			"a port on one address that is taken on all",
			run({ name: "c2", publish: ["127.0.0.1:5001:80"] }),
			/Error starting userland proxy: listen tcp4 127\.0\.0\.1:5001: bind: address already in use$/,
		],
		[
			"ranges of different length",
			run({ publish: ["8000-8002:80-81"] }),
			"invalid ranges specified for container and host Ports: 80-81 and 8000-8002",
		],
		["an unknown protocol", run({ publish: ["80:80/quic"] }), "invalid proto: quic"],
		["a port that is none", run({ publish: ["x:80"] }), "invalid hostPort: x"],
		[
			"a name that is taken by a container",
			run({ name: "c1" }),
			/Conflict\. The container name "\/c1" is already in use by container "[0-9a-f]{64}"\. You have to remove \(or rename\) that container to be able to reuse that name\.$/,
		],
		[
			"an address on docker0",
			run({ ip: "172.17.0.9" }),
			`${daemon}user specified IP address is supported on user defined networks only`,
		],
		[
			"an address where the subnet is not the user's",
			run({ network: "net", ip: "172.18.0.9" }),
			`${daemon}user specified IP address is supported only when connecting to networks with user configured subnets`,
		],
		[
			"an address of another subnet",
			run({ network: "sub", ip: "10.6.0.9" }),
			`${daemon}Invalid address 10.6.0.9: It does not belong to any of this network's subnets`,
		],
		["an address that is taken", run({ network: "sub", ip: "10.5.0.1" }), `${daemon}Address already in use`],
		[
			"an alias on docker0",
			run({ aliases: ["db"] }),
			`${daemon}network-scoped alias is supported only for containers in user defined networks`,
		],
		[
			"to publish ports of another's namespace",
			run({ network: "container:c1", publish: ["80"] }),
			`${daemon}conflicting options: port publishing and the container type network mode`,
		],
		[
			"a hostname in another's namespace",
			run({ network: "container:c1", hostname: "h" }),
			`${daemon}conflicting options: hostname and the network mode`,
		],
		[
			"the namespace of one that does not run",
			run({ network: "container:idle" }),
			/cannot join network of a non running container: [0-9a-f]{64}$/,
		],
		[
			"to connect twice",
			(docker) => {
				docker.networks.connect("net", "c1");
			},
			`${daemon}endpoint with name c1 already exists in network net`,
		],
		[
			"to connect one without a network",
			(docker) => {
				docker.networks.connect("net", "alone");
			},
			`${daemon}container cannot be connected to multiple networks with one of the networks in private (none) mode`,
		],
		[
			"to connect one in another's namespace",
			(docker) => {
				docker.networks.connect("net", "shared");
			},
			`${daemon}container sharing network namespace with another container or host cannot be connected to any other network`,
		],
		[
			"to disconnect from the host",
			(docker) => {
				docker.networks.disconnect("host", "hosted");
			},
			`${daemon}container cannot be disconnected from host network or connected to host network`,
		],
		[
			"to disconnect what is not connected",
			(docker) => {
				docker.networks.disconnect("sub", "c1");
			},
			/container [0-9a-f]{64} is not connected to network sub$/,
		],
		[
			"to remove one that runs",
			(docker) => {
				docker.rm("c1");
			},
			/You cannot remove a running container [0-9a-f]{64}\. Stop the container before attempting removal or force remove$/,
		],
		[
			"a container that is not there",
			(docker) => {
				docker.stop("nobody");
			},
			`${daemon}No such container: nobody`,
		],
		[
			"a macvlan mode that is none",
			macvlan({ parent: "eth1.20", macvlan_mode: "fast" }),
			`${daemon}requested macvlan mode 'fast' is not valid, 'bridge' mode is the macvlan driver default`,
		],
		[
			"a parent that another network has",
			macvlan({ parent: "eth1.10" }),
			/network dm-[0-9a-f]{12} is already using parent interface eth1\.10$/,
		],
		[
			"lo as a parent",
			macvlan({ parent: "lo" }),
			`${daemon}loopback interface is not a valid macvlan parent link`,
		],
		[
			"a parent that is not there",
			macvlan({ parent: "eth7" }),
			`${daemon}invalid subinterface vlan name eth7, example formatting is eth0.10`,
		],
		[
			"a VLAN of a card that is not there",
			macvlan({ parent: "eth7.10" }),
			`${daemon}-o parent interface was not found on the host: eth7`,
		],
		[
			"a VLAN beyond 4094",
			macvlan({ parent: "eth1.4095" }),
			`${daemon}vlan id must be between 1-4094, received: 4095`,
		],
		[
			"a sysctl that is not there",
			run({ sysctls: { "net.ipv4.nonsense": 1 } }),
			/OCI runtime create failed.*open \/proc\/sys\/net\/ipv4\/nonsense: no such file or directory: unknown$/,
		],
	])("%s", (_, act, text) => {
		const docker = engine();
		const all = (): unknown => [
			docker.networks.ls().map(({ id }) => docker.networks.inspect(id)),
			docker.containers.ls({ all: true }).map(({ id }) => docker.containers.inspect(id)),
		];
		const before = all();
		let refused: unknown;
		try {
			act(docker);
		} catch (error) {
			refused = error;
		}
		expect(refused).toBeInstanceOf(NetError);
		const { message } = refused as NetError;
		if (typeof text === "string") expect(message).toBe(text);
		else expect(message).toMatch(text);
		expect(all()).toEqual(before);
	});

	test("a refusal carries the API's status and text", () => {
		const docker = engine();
		const refused = (): unknown => {
			try {
				docker.networks.inspect("nope");
			} catch (error) {
				return error;
			}
			return undefined;
		};
		expect(refused()).toBeInstanceOf(DockerError);
		expect(refused()).toMatchObject({ status: 404, daemonMessage: "network nope not found", code: "ENOENT" });
	});
});
