import { beforeAll, describe, expect, test } from "vitest";
import type { Host, Netns } from "../../src/index.ts";
import type { Engine } from "../../src/swarm/index.ts";
import { type DockerSwarm, dockerSwarm, machines, node } from "../support/docker-swarm.ts";

// Commands on three nodes of a swarm, and on a machine outside, that Docker refuses: its words, and nothing has changed.

type Do = (docker: Engine<Netns>) => unknown;

let made: DockerSwarm;
let ids: { readonly web: string; readonly net: string; readonly ingress: string; readonly held: string };

beforeAll(async () => {
	made = await dockerSwarm({ seed: 40 });
	const { docker } = node(made, 1);
	await docker.networks.create("net", { driver: "overlay", attachable: true, subnet: "10.20.0.0/24" }).ready;
	await docker.networks.create("closed", { driver: "overlay" }).ready;
	await docker.networks.create("held", { driver: "overlay", attachable: true }).ready;
	await node(made, 2).docker.run({ name: "c2", network: "held" }).ready;
	docker.networks.create("localnet");
	const { services } = docker.swarm;
	const web = services.create({ name: "web", image: "box", network: "net", publish: ["8080:80"] });
	const host = services.create({
		name: "host",
		image: "box",
		publish: ["mode=host,target=80,published=8081"],
	});
	await web.converged();
	await host.converged();
	const id = (network: string): string => docker.networks.inspect(network).Id;
	ids = { web: web.id, net: id("net"), ingress: id("ingress"), held: id("held") };
});

/** What a machine has, and what its swarm knows. */
const state = (host: Host): string => {
	const { docker, netns, namespaces } = host;
	const { controlAvailable } = docker.swarm.info();
	const { swarm } = docker;
	return JSON.stringify([
		docker.networks.ls(),
		docker.containers.ls({ all: true }).map(({ name }) => name),
		[...namespaces.keys()],
		netns.devices.map(({ name }) => name),
		netns.iptablesTool
			.save()
			.split("\n")
			.filter((line) => line.startsWith("-")),
		swarm.info(),
		controlAvailable
			? [swarm.services.ls(), swarm.nodes.ls().map(({ hostname, status }) => [hostname, status])]
			: [],
	]);
};

/** What was said, at once or when it was decided. */
async function refusal(act: Do, docker: Engine<Netns>): Promise<string> {
	try {
		const result = act(docker);
		if (typeof result === "object" && result !== null && "ready" in result) await result.ready;
		else await result;
	} catch (error) {
		return error instanceof Error
			? error.message.replace(/^Error response from daemon: /, "")
			: String(error);
	}
	return "nothing was refused";
}

async function expectRefused(
	hosts: readonly Host[],
	which: number,
	act: Do,
	text: string | RegExp,
): Promise<void> {
	const before = hosts.map(state);
	const host = hosts[which];
	if (host === undefined) throw new Error("no such node");
	const said = await refusal(act, host.docker);
	if (typeof text === "string") expect(said).toBe(text);
	else expect(said).toMatch(text);
	expect(hosts.map(state)).toEqual(before);
}

const create =
	(name: string, options: object): Do =>
	({ networks }) =>
		networks.create(name, { driver: "overlay", ...options });
const rm =
	(name: string): Do =>
	({ networks }) =>
		networks.rm(name);
const service =
	(options: object): Do =>
	({ swarm }) =>
		swarm.services.create({ name: "new", image: "box", ...options });
const run =
	(options: object): Do =>
	(docker) =>
		docker.run({ name: "new", ...options });
const rpc = (code: string, text: string): string => `rpc error: code = ${code} desc = ${text}`;
const NOT_MANAGER =
	'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';
const WORKER =
	"This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.";

describe("on a manager", () => {
	test.each<readonly [what: string, act: Do, text: () => string | RegExp]>([
		["a network whose name is taken", create("net", {}), () => "network with name net already exists"],
		[
			"an overlay of this host's own",
			create("new", { scope: "local" }),
			() => "cannot downgrade network scope for overlay networks",
		],
		[
			"an ingress network of this host's own",
			create("new", { driver: "bridge", ingress: true }),
			() => "Ingress network can only be global scope network",
		],
		[
			"a second ingress network",
			create("more", { ingress: true }),
			() => rpc("AlreadyExists", `ingress network (${ids.ingress}) is already present`),
		],
		[
			"an ingress network for containers",
			create("more", { ingress: true, attachable: true }),
			() => rpc("InvalidArgument", "ingress network cannot be attachable"),
		],
		[
			"removal of a service's network",
			rm("net"),
			() => rpc("FailedPrecondition", `network ${ids.net} is in use by service ${ids.web}`),
		],
		[
			"removal of a container's network",
			rm("held"),
			() =>
				new RegExp(
					`^rpc error: code = FailedPrecondition desc = network ${ids.held} is in use by task \\w{25}$`,
				),
		],
		[
			"removal of ingress while something is published",
			rm("ingress"),
			() =>
				rpc(
					"FailedPrecondition",
					`ingress network cannot be removed because service ${ids.web} depends on it`,
				),
		],
		["removal of what is not there", rm("nowhere"), () => "network nowhere not found"],
		[
			"a container on a network that is not attachable",
			run({ network: "closed" }),
			() =>
				"Could not attach to network closed: rpc error: code = PermissionDenied desc = network closed not manually attachable",
		],
		[
			"an address that no manager can give: it waits for 20 seconds",
			run({ network: "net", ip: "192.0.2.1" }),
			() =>
				"attaching to network failed, make sure your network options are correct and check manager logs: context deadline exceeded",
		],
		[
			"a service on ingress itself",
			service({ network: "ingress" }),
			() => rpc("InvalidArgument", 'Service cannot be explicitly attached to the ingress network "ingress"'),
		],
		[
			"a service on a network of this machine's",
			service({ network: "localnet" }),
			() =>
				"The network localnet cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver.",
		],
		["a service on no network there is", service({ network: "nowhere" }), () => "network nowhere not found"],
		[
			"a port of the mesh without a virtual IP",
			service({ endpointMode: "dnsrr", publish: ["80:80"] }),
			() =>
				rpc(
					"InvalidArgument",
					"EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
				),
		],
		[
			"a port of the mesh that is taken",
			service({ publish: ["8080:80"] }),
			() =>
				rpc(
					"InvalidArgument",
					`port '8080' is already in use by service 'web' (${ids.web}) as an ingress port`,
				),
		],
		[
			"a port of the nodes' for the mesh",
			service({ publish: ["8081:80"] }),
			() =>
				/^rpc error: code = InvalidArgument desc = port '8081' is already in use by service 'host' \(\w{25}\) as a host-published port$/,
		],
		[
			"one port twice",
			service({ publish: ["90:80", "90:81"] }),
			() => rpc("InvalidArgument", "EndpointSpec: duplicate published ports provided"),
		],
		["an address of one node", service({ publish: ["172.31.1.5:90:80"] }), () => "hostip is not supported"],
		[
			"a service's name that is taken",
			service({ name: "web" }),
			() => rpc("AlreadyExists", "name conflicts with an existing object: service web already exists"),
		],
		[
			"a service that is not there",
			({ swarm }) => swarm.services.scale("nowhere", 2),
			() => "service nowhere not found",
		],
		[
			"a swarm in a swarm",
			({ swarm }) => swarm.init(),
			() =>
				'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
		],
		[
			"that its only manager leaves",
			({ swarm }) => {
				swarm.leave();
			},
			() =>
				/You are attempting to leave the swarm on a node that is participating as a manager\. Removing the last manager erases all current state of the swarm\. Use `--force` to ignore this message\./,
		],
	])("%s", async (_what, act, text) => {
		await expectRefused(made.hosts, 0, act, text());
	});
});

/** What `docker run` makes; what the node knows of its swarm changes as it is cut off. */
const has = ({ docker, namespaces, netns }: Host): readonly unknown[] => [
	docker.networks.ls(),
	docker.containers.ls({ all: true }),
	[...namespaces.keys()],
	netns.devices.map(({ name }) => name),
];

describe("on a worker", () => {
	test.each<readonly [what: string, act: Do, text: string | RegExp]>([
		[
			"a network of the swarm's",
			create("more", {}),
			"Cannot create a multi-host network from a worker node. Please create the network from a manager node.",
		],
		["a service", service({}), WORKER],
		["the list of nodes", ({ swarm }) => swarm.nodes.ls(), WORKER],
		["a token", ({ swarm }) => swarm.joinToken("worker"), WORKER],
		[
			"a container on a network that is not attachable",
			run({ network: "closed" }),
			"Could not attach to network closed: rpc error: code = PermissionDenied desc = network closed not manually attachable",
		],
	])("%s", async (_what, act, text) => {
		await expectRefused(made.hosts, 1, act, text);
	});

	test("a container whose manager falls silent: its session ends first", async () => {
		const { lab, hosts } = await dockerSwarm({ seed: 41 });
		const [node1, node2] = hosts;
		if (node1 === undefined || node2 === undefined) throw new Error("two nodes");
		await node1.docker.networks.create("net", { driver: "overlay", attachable: true }).ready;
		await lab.advance("5s");
		const before = has(node2);
		const fault = lab.partition([node1], [node2]);
		expect(await refusal(run({ network: "net" }), node2.docker)).toBe(
			"Could not attach to network net: rpc error: code = Canceled desc = grpc: the client connection is closing",
		);
		expect(has(node2)).toEqual(before);
		fault.heal();
		await lab.advance("60s");
		const later = await node2.docker.run({ name: "later", network: "net" }).ready;
		expect(later.running).toBe(true);
	});
});

describe("on a machine in no swarm", () => {
	test.each<readonly [what: string, act: Do, text: string | RegExp]>([
		[
			"to be a node that is neither active nor paused nor drained",
			({ swarm }) => swarm.init({ advertiseAddr: "172.31.1.5", availability: "asleep" as never }),
			'invalid availability "asleep", only active, pause and drain are supported',
		],
		["an overlay", create("more", {}), NOT_MANAGER],
		["a service", service({}), NOT_MANAGER],
		["a token", ({ swarm }) => swarm.joinToken("manager"), NOT_MANAGER],
		[
			"to leave",
			({ swarm }) => {
				swarm.leave();
			},
			"This node is not part of a swarm",
		],
		[
			"to join with what is no token",
			({ swarm }) => swarm.join({ token: "SWMTKN-9", address: "172.31.1.5:2377" }),
			"invalid join token",
		],
	])("%s", async (_what, act, text) => {
		const { hosts } = machines({ seed: 42, count: 1 });
		await expectRefused(hosts, 0, act, text);
	});
});
