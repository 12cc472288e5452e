import { describe, expect, test } from "vitest";
import type { NodeChanges } from "../../src/swarm/api/index.ts";
import type { ServiceCreateOptions, ServiceUpdateOptions } from "../../src/swarm/index.ts";
import { ManagerCluster } from "../support/manager-cluster.ts";

const bare = (code: string, text: string): string => `rpc error: code = ${code} desc = ${text}`;
const rpc = (code: string, text: string): string => `Error response from daemon: ${bare(code, text)}`;
const badArgument = (text: string): string => rpc("InvalidArgument", text);

/** All that a refusal must not change. */
const state = (cluster: ManagerCluster): string =>
	JSON.stringify([
		cluster.store.all("service"),
		cluster.store.all("network"),
		cluster.store.all("node"),
		cluster.store.all("task"),
		cluster.logic.allocator!.ports,
		cluster.logic.allocator!.vnis,
	]);

function prepared(): ManagerCluster {
	const cluster = new ManagerCluster();
	cluster.network("net", { attachable: true, subnet: "10.9.0.0/24" });
	cluster.network("closed");
	cluster.api.services.create({ name: "web", image: "box", network: "net", publish: ["8080:80"] });
	cluster.api.services.create({
		name: "agent",
		image: "box",
		mode: "global",
		publish: ["mode=host,target=80,published=9000"],
	});
	cluster.run(5);
	return cluster;
}

/** Says what is refused with which text, and that nothing changed. */
function refuses(cluster: ManagerCluster, action: () => unknown, text: string): void {
	const before = state(cluster);
	let message = "nothing was refused";
	try {
		action();
	} catch (error) {
		message = (error as Error).message;
	}
	expect(message).toBe(text);
	cluster.run(1);
	expect(state(cluster)).toBe(before);
}

describe("docker service create refuses", () => {
	test.each<readonly [string, Partial<ServiceCreateOptions>, string]>([
		[
			"a name that is taken",
			{ name: "web" },
			rpc("AlreadyExists", "name conflicts with an existing object: service web already exists"),
		],
		[
			"a name no DNS label can be",
			{ name: "a.b" },
			badArgument("name must be valid as a DNS name component"),
		],
		["a name too long for one", { name: "a".repeat(64) }, badArgument("name must be 63 characters or fewer")],
		["no image", { image: "" }, badArgument("ContainerSpec: image reference must be provided")],
		[
			"no image's name, which is given no tag",
			{ image: "Box" },
			badArgument('ContainerSpec: "Box" is not a valid repository/tag'),
		],
		["fewer than no replicas", { replicas: -1 }, badArgument("Number of replicas must be non-negative")],
		[
			"replicas of a global service",
			{ mode: "global", replicas: 2 },
			"replicas can only be used with replicated or replicated-job mode",
		],
		[
			"a mode unheard of",
			{ mode: "sometimes" as "global" },
			"Unknown mode: sometimes, only replicated and global supported",
		],
		["a network unheard of", { network: "nope" }, "Error response from daemon: network nope not found"],
		[
			"a network of the engine's own",
			{ network: "localnet" },
			"Error response from daemon: The network localnet cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver.",
		],
		[
			"the ingress network",
			{ network: "ingress" },
			badArgument('Service cannot be explicitly attached to the ingress network "ingress"'),
		],
		[
			"a port published by dnsrr",
			{ endpointMode: "dnsrr", publish: ["80:80"] },
			badArgument("EndpointSpec: port published with ingress mode can't be used with dnsrr mode"),
		],
		[
			"a port twice",
			{ publish: ["80:80", "80:81"] },
			badArgument("EndpointSpec: duplicate published ports provided"),
		],
		["an address to publish on", { publish: ["127.0.0.1:80:80"] }, "hostip is not supported"],
		["a long form without target", { publish: ["published=80"] }, 'missing mandatory field "target"'],
		["a field unheard of", { publish: ["target=80,host=1"] }, "invalid field key host"],
		["a protocol unheard of", { publish: ["target=80,protocol=icmp"] }, "invalid protocol value icmp"],
		[
			"a mode of publishing unheard of",
			{ publish: ["target=80,mode=all"] },
			"invalid publish mode value all",
		],
		[
			"a constraint without operator",
			{ constraints: ["node.role"] },
			rpc("Unknown", "constraint expected one operator from ==, !="),
		],
		["a constraint's key", { constraints: ["1x==a"] }, rpc("Unknown", "key '1x' is invalid")],
		["a constraint's value", { constraints: ["node.role==a;b"] }, rpc("Unknown", "value 'a;b' is invalid")],
		[
			"a preference",
			{ placementPref: ["pack=node.id"] },
			"unsupported placement preference pack (only spread is supported)",
		],
		[
			"a failure ratio",
			{ updateMaxFailureRatio: 1.5 },
			badArgument("TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1"),
		],
		[
			"a health check every microsecond",
			{ healthcheck: { interval: "1us" } },
			badArgument("ContainerSpec: Interval in HealthConfig cannot be less than 1ms"),
		],
		[
			"a way of being found that is none",
			{ endpointMode: "anycast" as never },
			'Error response from daemon: invalid resolution mode: "anycast"',
		],
		[
			"a condition to start again that is none",
			{ restartCondition: "always" as never },
			'Error response from daemon: invalid RestartCondition: "always"',
		],
		[
			"less than no task at once",
			{ updateParallelism: -1 },
			'invalid argument "-1" for "--update-parallelism" flag: strconv.ParseUint: parsing "-1": invalid syntax',
		],
		[
			"half an attempt",
			{ restartMaxAttempts: 0.5 },
			'invalid argument "0.5" for "--restart-max-attempts" flag: strconv.ParseUint: parsing "0.5": invalid syntax',
		],
		[
			"a name server by name",
			{ dns: ["8.8.8.8", "resolver"] },
			'invalid argument "resolver" for "--dns" flag: resolver is not an ip address',
		],
		[
			"a hostname made of what is not known",
			{ hostname: "{{.Rack}}-{{.Task.Slot}}" },
			badArgument(
				'expanding hostname failed: template: expansion:1:2: executing "expansion" at <.Rack>: can\'t evaluate field Rack in type template.Context',
			),
		],
		["an extra host without address", { host: ["db"] }, 'bad format for add-host: "db"'],
	])("%s", (_what, options, text) => {
		const cluster = prepared();
		refuses(cluster, () => cluster.api.services.create({ name: "new", image: "box", ...options }), text);
	});

	test("a port of the cluster's that another service has, and one that a service has on its nodes", () => {
		const cluster = prepared();
		const [web, agent] = ["web", "agent"].map((name) => cluster.api.services.inspect(name).ID);
		const create = (publish: string) => () =>
			cluster.api.services.create({ image: "box", publish: [publish] });
		refuses(
			cluster,
			create("8080:90"),
			badArgument(`port '8080' is already in use by service 'web' (${web!}) as an ingress port`),
		);
		refuses(
			cluster,
			create("mode=host,target=1,published=8080"),
			badArgument(`port '8080' is already in use by service 'web' (${web!}) as an ingress port`),
		);
		refuses(
			cluster,
			create("9000:90"),
			badArgument(`port '9000' is already in use by service 'agent' (${agent!}) as a host-published port`),
		);
		// Another protocol is another port.
		create("8080:90/udp")();
	});

	test("published ports when there is no ingress network", () => {
		const cluster = new ManagerCluster();
		cluster.api.networks.rm("ingress", () => undefined);
		refuses(
			cluster,
			() => cluster.api.services.create({ image: "box", publish: ["80:80"] }),
			rpc("FailedPrecondition", "service needs ingress network, but no ingress network is present"),
		);
	});
});

describe("docker service update refuses", () => {
	test.each<readonly [string, string, ServiceUpdateOptions, string]>([
		["a service unheard of", "nope", {}, "Error response from daemon: service nope not found"],
		[
			"replicas of a global service",
			"agent",
			{ replicas: 1 },
			"replicas can only be used with replicated or replicated-job mode",
		],
		["a network it is on", "web", { networkAdd: ["net"] }, "service is already attached to network net"],
		["to go back where nothing was before", "web", { rollback: true }, "previous"],
		[
			"dnsrr with a published port",
			"web",
			{ endpointMode: "dnsrr" },
			badArgument("EndpointSpec: port published with ingress mode can't be used with dnsrr mode"),
		],
	])("%s", (_what, name, options, text) => {
		const cluster = prepared();
		const { ID } = cluster.api.services.inspect("web");
		const expected =
			text === "previous" ? rpc("FailedPrecondition", `service ${ID} does not have a previous spec`) : text;
		refuses(cluster, () => cluster.api.services.update(name, options), expected);
	});

	test("docker service scale of a global service", () => {
		const cluster = prepared();
		refuses(
			cluster,
			() => cluster.api.services.scale("agent", 2),
			"agent: scale can only be used with replicated or replicated-job mode",
		);
	});

	test("a name that two ids begin with", () => {
		const cluster = new ManagerCluster();
		const ids = Array.from({ length: 40 }, (_, i) => {
			return cluster.api.services.create({ name: `s${String(i)}`, image: "box", replicas: 0 }).id;
		});
		const digit = [...ids.map((id) => id[0]!)].find(
			(each, i, all) => all.indexOf(each) !== i && all.filter((other) => other === each).length > 1,
		)!;
		const count = ids.filter((id) => id.startsWith(digit)).length;
		expect(() => cluster.api.services.inspect(digit)).toThrow(
			`service ${digit} is ambiguous (${String(count)} matches found)`,
		);
		expect(cluster.api.services.inspect(ids[0]!.slice(0, 12)).ID).toBe(ids[0]);
	});
});

describe("docker service update --publish-add, --publish-rm", () => {
	const ports = (cluster: ManagerCluster, name: string) =>
		cluster.api.services
			.inspect(name)
			.Spec.EndpointSpec.Ports?.map(
				({ PublishedPort, TargetPort, Protocol, PublishMode }) =>
					`${String(PublishedPort)}:${String(TargetPort)}/${Protocol}/${PublishMode}`,
			);

	test("a port that is there already is not added twice, and all are sorted as text", () => {
		const cluster = prepared();
		cluster.api.services.update("web", { publishAdd: ["8080:80", "9090:90", "53:53/udp"] });
		expect(ports(cluster, "web")).toEqual([
			"53:53/udp/ingress",
			"8080:80/tcp/ingress",
			"9090:90/tcp/ingress",
		]);
	});

	test("a port is taken away by its mode as well: 80 is one of the mesh, a host's is said in the long form", () => {
		const cluster = prepared();
		cluster.api.services.update("agent", { publishRm: ["80"] });
		expect(ports(cluster, "agent")).toEqual(["9000:80/tcp/host"]);
		cluster.api.services.update("agent", { publishRm: ["target=80,mode=host"] });
		expect(ports(cluster, "agent")).toBeUndefined();
	});

	test("a service of an empty name gets one that is drawn", () => {
		const cluster = prepared();
		const { name } = cluster.api.services.create({ name: "", image: "box" });
		expect(name).toMatch(/^[a-z]+_[a-z]+$/);
	});
});

describe("docker node refuses", () => {
	test("to demote the last manager, to remove a manager, to remove a node that is up", () => {
		const cluster = prepared();
		const id = cluster.node("node1").id;
		refuses(
			cluster,
			() => cluster.api.nodes.demote("node1"),
			rpc("FailedPrecondition", "attempting to demote the last manager of the swarm"),
		);
		refuses(
			cluster,
			() => cluster.api.nodes.rm("node1", { force: true }),
			rpc(
				"FailedPrecondition",
				`node ${id} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`,
			),
		);
		refuses(
			cluster,
			() => cluster.api.nodes.inspect("nope"),
			"Error response from daemon: node nope not found",
		);
	});

	test.each<readonly [string, NodeChanges, string]>([
		["a role that is none", { role: "king" as never }, 'Error response from daemon: invalid Role: "king"'],
		[
			"an availability that is none",
			{ availability: "asleep" as never },
			'Error response from daemon: invalid Availability: "asleep"',
		],
		[
			"to take away a label that is not there",
			{ labelRm: ["disk"] },
			"key disk doesn't exist in node's labels",
		],
		[
			"to take away a label twice",
			{ labelAdd: { disk: "ssd" }, labelRm: ["disk", "disk"] },
			"key disk doesn't exist in node's labels",
		],
	])("%s", (_what, changes, text) => {
		const cluster = prepared();
		refuses(cluster, () => cluster.api.nodes.update("node2", changes), text);
	});

	test("to demote one of two managers when the other one is out of reach", () => {
		const cluster = new ManagerCluster();
		cluster.join("node4", {
			spec: { role: "manager", availability: "active", labels: {} },
			managerStatus: { raftId: 2, addr: "172.31.1.8:2377", leader: false, reachability: "unreachable" },
		});
		expect(() => cluster.api.nodes.demote("node1")).toThrow(
			"can't remove member from the raft: this would result in a loss of quorum",
		);
	});

	test("docker node promote and demote change the role that is wanted", () => {
		const cluster = new ManagerCluster();
		cluster.api.nodes.promote("node2");
		expect(cluster.api.nodes.inspect("node2").Spec.Role).toBe("manager");
		expect(() => cluster.api.nodes.demote("node2")).toThrow("can't find manager in raft memberlist");
	});

	test("docker node inspect, keys in docker's order", () => {
		const cluster = new ManagerCluster();
		const node = cluster.api.nodes.inspect("self");
		expect(Object.keys(node)).toEqual([
			"ID",
			"Version",
			"CreatedAt",
			"UpdatedAt",
			"Spec",
			"Description",
			"Status",
			"ManagerStatus",
		]);
		expect(node).toMatchObject({
			Spec: { Labels: {}, Role: "manager", Availability: "active" },
			Description: { Hostname: "node1", Engine: { EngineVersion: "20.10.24+dfsg1" } },
			Status: { State: "ready", Addr: "172.31.1.5" },
			ManagerStatus: { Leader: true, Reachability: "reachable", Addr: "172.31.1.5:2377" },
		});
	});
});

describe("the cluster's networks", () => {
	test("a name that is taken, predefined names, a second ingress network", () => {
		const cluster = prepared();
		const ingress = cluster.api.networks.inspect("ingress").Id;
		const create =
			(name: string, options: object = {}) =>
			() =>
				cluster.api.networks.create(name, options, () => undefined);
		refuses(cluster, create("net"), "Error response from daemon: network with name net already exists");
		refuses(
			cluster,
			create("host"),
			"Error response from daemon: operation is not permitted on predefined host network ",
		);
		refuses(
			cluster,
			create("other", { ingress: true }),
			rpc("AlreadyExists", `ingress network (${ingress}) is already present`),
		);
		refuses(
			cluster,
			create("other", { ingress: true, attachable: true }),
			badArgument("ingress network cannot be attachable"),
		);
		refuses(
			cluster,
			create("other", { labels: { "com.docker.swarm.internal": "" } }),
			rpc(
				"PermissionDenied",
				"label com.docker.swarm.internal is for predefined internal networks and cannot be applied by users",
			),
		);
	});

	test("docker network rm of one in use: by a service, by a container, by published ports", () => {
		const cluster = prepared();
		const service = cluster.api.services.inspect("web").ID;
		const net = cluster.api.networks.inspect("net").Id;
		const rm = (name: string) => () => cluster.api.networks.rm(name, () => undefined);
		refuses(cluster, rm("net"), rpc("FailedPrecondition", `network ${net} is in use by service ${service}`));
		refuses(
			cluster,
			rm("ingress"),
			rpc("FailedPrecondition", `ingress network cannot be removed because service ${service} depends on it`),
		);
		const host = cluster.store.all("network").find(({ spec }) => spec.name === "host")!;
		refuses(
			cluster,
			rm("host"),
			rpc(
				"FailedPrecondition",
				`network ${host.id} (host) is a swarm predefined network and cannot be removed`,
			),
		);
		cluster.api.services.rm("web");
		const task = cluster.attach("node2", "net");
		cluster.run(3);
		refuses(cluster, rm("net"), rpc("FailedPrecondition", `network ${net} is in use by task ${task}`));
		cluster.detach(task);
		rm("net")();
		expect(cluster.api.networks.list().map(({ name }) => name)).toEqual(["ingress", "closed"]);
		expect(cluster.logic.allocator!.vnis).toEqual([4096, 4098]);
	});

	test("a container is attached to attachable networks alone, by name or id", () => {
		const cluster = prepared();
		const { Id: closed } = cluster.api.networks.inspect("closed");
		for (const network of ["closed", closed]) {
			refuses(
				cluster,
				() => cluster.attach("node1", network),
				bare("PermissionDenied", `network ${network} not manually attachable`),
			);
		}
		refuses(cluster, () => cluster.attach("node1", "nope"), bare("NotFound", "network nope not found"));
	});

	test("only the node that a container runs on gives its place back", () => {
		const cluster = prepared();
		const task = cluster.attach("node1", "net");
		cluster.run(3);
		refuses(
			cluster,
			() => cluster.detach(task, cluster.node("node2").id),
			bare("PermissionDenied", `attachment ${task} doesn't belong to this node`),
		);
		cluster.detach(task);
		expect(cluster.store.get("task", task)).toBeUndefined();
		refuses(
			cluster,
			() => cluster.detach(task, cluster.node("node1").id),
			bare("NotFound", `attachment ${task} not found`),
		);
	});

	test("subnets that overlap are taken by docker, and never allocated until the other one goes; the log says why", () => {
		const cluster = prepared();
		const id = cluster.network("late", { attachable: true, subnet: "10.9.0.128/25" });
		expect(cluster.log).toEqual([
			`Failed allocation for network ${id}: failed during network allocation for network ${id}: failed allocating pools and gateway IP for network ${id}: Pool overlaps with other one on this address space`,
		]);
		const shown = cluster.api.networks.inspect("late");
		expect([shown.Driver, shown.Options]).toEqual(["", null]);
		const task = cluster.attach("node1", "late");
		cluster.run(20);
		expect(cluster.store.get("task", task)?.status.state).toBe("new");
		cluster.api.services.rm("web");
		cluster.run(3);
		cluster.api.networks.rm("net", () => undefined);
		cluster.run(1);
		expect(cluster.api.networks.inspect("late").Driver).toBe("overlay");
		expect(cluster.store.get("task", task)?.networks[0]?.addresses).toEqual(["10.9.0.130/25"]);
	});

	test("a subnet that is full: tasks wait as new, and get an address when one is given back", () => {
		const cluster = new ManagerCluster();
		cluster.network("small", { subnet: "10.9.0.0/29" });
		// Six hosts: the gateway, the virtual IP, four tasks; the nodes' load balancers get none.
		const web = cluster.api.services.create({ name: "web", image: "box", replicas: 5, network: "small" });
		cluster.run(3);
		expect(cluster.running("web")).toHaveLength(4);
		expect(web.ps().at(-1)).toMatchObject({ name: "web.5", currentState: "New 3 seconds ago" });
		expect(cluster.log.some((line) => line.endsWith("could not find an available IP"))).toBe(true);
		web.scale(2);
		cluster.run(3);
		expect(cluster.running("web")).toHaveLength(2);
		expect(cluster.store.all("node").every(({ attachments }) => attachments.length <= 2)).toBe(true);
	});

	test("a VNI that is asked for, and one that is taken", () => {
		const cluster = new ManagerCluster();
		const option = "com.docker.network.driver.overlay.vxlanid_list";
		cluster.network("own", { options: { [option]: "5000", encrypted: "" } });
		expect(cluster.api.networks.inspect("own").Options).toEqual({ [option]: "5000", encrypted: "" });
		const id = cluster.network("again", { options: { [option]: "5000" } });
		expect(cluster.log.at(-1)).toBe(
			`Failed allocation for network ${id}: failed during network allocation for network ${id}: could not assign vxlan id 5000 to pool 10.0.2.0/24: requested bit is already allocated`,
		);
		cluster.network("next");
		expect(cluster.api.networks.inspect("next").Options).toEqual({ [option]: "4097" });
	});

	test("dynamic ports: 30000 and on, each protocol by itself, a given one skipped", () => {
		const cluster = new ManagerCluster();
		const ports = (publish: ServiceCreateOptions["publish"]): (number | undefined)[] | undefined => {
			const service = cluster.api.services.create({ image: "box", replicas: 0, publish: publish ?? [] });
			return service.inspect().Endpoint.Ports?.map(({ PublishedPort }) => PublishedPort);
		};
		expect(ports(["80"])).toEqual([30000]);
		expect(ports(["30001:80"])).toEqual([30001]);
		expect(ports(["80", "80/udp"])).toEqual([30002, 30000]);
	});
});
