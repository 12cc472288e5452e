import { describe, expect, test } from "vitest";
import { jsonIn, printed, tableIn } from "../support/commands-log.ts";
import { ManagerCluster } from "../support/manager-cluster.ts";

const addresses = (cluster: ManagerCluster, service: string): readonly (readonly string[])[] =>
	[...cluster.tasks(service)]
		.sort((a, b) => a.slot - b.slot)
		.map(({ networks }) => networks.flatMap((each) => each.addresses));

const balancer = (cluster: ManagerCluster, node: string, networkId: string): string | undefined =>
	cluster.node(node).attachments.find((each) => each.networkId === networkId)?.addresses[0];

const ipam = (cluster: ManagerCluster, network: string): readonly object[] =>
	[...cluster.api.networks.inspect(network).IPAM.Config].map((config) => ({ ...config }));

describe("addresses, as they were recorded", () => {
	test("a new swarm has ingress 10.0.0.0/24 with VNI 4096, and each node an address there as it joins", () => {
		const cluster = new ManagerCluster();
		const ingress = cluster.api.networks.inspect("ingress");
		const recorded = jsonIn(printed("09-ingress", "docker service ps web"), 1) as Record<string, unknown>[];
		const { Id, Created, Containers, Peers, Services, ...rest } = recorded[0]!;
		expect([typeof Id, typeof Created, typeof Containers, typeof Peers, typeof Services]).toEqual([
			"string",
			"string",
			"object",
			"object",
			"object",
		]);
		expect(ingress).toMatchObject(rest);
		expect(["node1", "node2", "node3"].map((node) => balancer(cluster, node, ingress.Id))).toEqual([
			"10.0.0.2/24",
			"10.0.0.3/24",
			"10.0.0.4/24",
		]);
	});

	test("09: the service's virtual IP comes next, then its tasks on the nodes that its constraint leaves", () => {
		const cluster = new ManagerCluster();
		const web = cluster.api.services.create({
			name: "web",
			image: "box",
			args: ["web", "80"],
			replicas: 2,
			constraints: ["node.hostname!=node3"],
			publish: ["8080:80"],
		});
		cluster.run(4);
		expect(web.inspect().Endpoint.VirtualIPs).toMatchObject([{ Addr: "10.0.0.5/24" }]);
		expect(addresses(cluster, "web")).toEqual([["10.0.0.6/24"], ["10.0.0.7/24"]]);
		const recorded = tableIn(printed("09-ingress", "docker service ps web"), "ID ");
		expect(
			web.ps().map(({ name, node, image, desiredState }) => ({ name, node, image, desiredState })),
		).toEqual(
			recorded.map((row) => ({
				name: row["NAME"],
				node: row["NODE"],
				image: row["IMAGE"],
				desiredState: row["DESIRED STATE"],
			})),
		);
	});

	test("09: docker service inspect, word for word", () => {
		const cluster = new ManagerCluster();
		const web = cluster.api.services.create({
			name: "web",
			image: "box",
			args: ["web", "80"],
			replicas: 2,
			constraints: ["node.hostname!=node3"],
			publish: ["8080:80"],
		});
		const [recorded] = jsonIn(printed("09-ingress", "docker service ps web")) as [Record<string, unknown>];
		const made = web.inspect();
		const ids = { ID: made.ID, Version: made.Version, CreatedAt: made.CreatedAt, UpdatedAt: made.UpdatedAt };
		const text = JSON.stringify({ ...recorded, ...ids }).replace(
			"4l2l929d98zwpvvvvuvuez46g",
			cluster.api.networks.inspect("ingress").Id,
		);
		// The order of keys is the recording's too.
		expect(JSON.stringify(made)).toBe(text);
		expect(made.ID).toMatch(/^[0-9a-z]{25}$/);
	});

	test("05: a container that failed took addresses with it; c1 gets .6, its node's load balancer .7, c2 .8, the other .9", () => {
		const cluster = new ManagerCluster();
		const id = cluster.network("uber-net", { attachable: true });
		expect(ipam(cluster, "uber-net")).toEqual([{ Subnet: "10.0.1.0/24", Gateway: "10.0.1.1" }]);
		const failed = ["node1", "node2"].map((node) => {
			const task = cluster.attach(node, "uber-net");
			cluster.run(1);
			return task;
		});
		for (const task of failed) cluster.detach(task);
		const [c1, c2] = ["node1", "node2"].map((node) => {
			const task = cluster.attach(node, "uber-net");
			cluster.run(1);
			return task;
		}) as [string, string];
		const address = (task: string): string | undefined =>
			cluster.store.get("task", task)?.networks[0]?.addresses[0];
		expect([
			address(c1),
			balancer(cluster, "node1", id),
			address(c2),
			balancer(cluster, "node2", id),
		]).toEqual(["10.0.1.6/24", "10.0.1.7/24", "10.0.1.8/24", "10.0.1.9/24"]);
		expect(cluster.api.networks.inspect("uber-net").Options).toEqual({
			"com.docker.network.driver.overlay.vxlanid_list": "4097",
		});
		// c2 moves to node3 and asks for its address: it has it at once.
		cluster.detach(c2);
		const moved = cluster.attach("node3", "uber-net", "10.0.1.8");
		cluster.run(1);
		expect(address(moved)).toBe("10.0.1.8/24");
		expect(balancer(cluster, "node2", id)).toBeUndefined();
	});

	test("05: docker network inspect, but for what the node knows", () => {
		const cluster = new ManagerCluster();
		cluster.network("uber-net", { attachable: true });
		const [recorded] = jsonIn(printed("05-overlay", "docker network inspect --verbose uber-net")) as [
			Record<string, unknown>,
		];
		const { Id, Created } = cluster.api.networks.inspect("uber-net");
		const { Peers, Services, ...shown } = recorded;
		expect([Peers, Services]).not.toContain(undefined);
		expect(JSON.stringify(cluster.api.networks.inspect("uber-net"))).toBe(
			JSON.stringify({ ...shown, Id, Created, Containers: null }),
		);
	});

	test("06: one VNI for each subnet; load balancers are on the first one", () => {
		const cluster = new ManagerCluster();
		for (const name of ["uber-net", "sec-net", "svc-net"]) cluster.network(name);
		// The docker CLI sends subnets in an order of chance; this is the recorded one.
		const id = cluster.network("multi-net", {
			attachable: true,
			subnet: ["11.1.1.0/24", "10.1.1.0/24"],
			gateway: ["10.1.1.1", "11.1.1.1"],
		});
		expect(cluster.api.networks.inspect("multi-net").Options).toEqual({
			"com.docker.network.driver.overlay.vxlanid_list": "4100,4101",
		});
		cluster.attach("node1", "multi-net", "10.1.1.10");
		cluster.run(1);
		cluster.attach("node2", "multi-net", "11.1.1.20");
		cluster.run(1);
		expect([balancer(cluster, "node1", id), balancer(cluster, "node2", id)]).toEqual([
			"11.1.1.2/24",
			"11.1.1.3/24",
		]);
	});

	test("08: virtual IP .2, tasks .3 to .5, load balancers .6 to .8; dnsrr has no virtual IP, its tasks are .9 to .11", () => {
		const cluster = new ManagerCluster();
		const id = cluster.network("svc-net", { attachable: true, subnet: "10.8.8.0/24" });
		const svc = cluster.api.services.create({ name: "svc", image: "box", replicas: 3, network: "svc-net" });
		cluster.run(0.3);
		const rr = cluster.api.services.create({
			name: "rr",
			image: "box",
			replicas: 3,
			network: "svc-net",
			endpointMode: "dnsrr",
		});
		cluster.run(1);
		cluster.attach("node1", "svc-net");
		cluster.run(2);
		const [recordedSvc, recordedRr] = printed("08-service-vip", "docker service ps svc rr")
			.split("\n")
			.filter((line) => line.startsWith('{"Spec"'));
		expect(JSON.stringify(svc.inspect().Endpoint)).toBe(
			recordedSvc!.replace("dkg5cghpotybh0grzfjgjal2n", id),
		);
		expect(JSON.stringify(rr.inspect().Endpoint)).toBe(recordedRr);
		expect(addresses(cluster, "svc").flat()).toEqual(["10.8.8.3/24", "10.8.8.4/24", "10.8.8.5/24"]);
		expect(["node1", "node2", "node3"].map((node) => balancer(cluster, node, id)).sort()).toEqual([
			"10.8.8.6/24",
			"10.8.8.7/24",
			"10.8.8.8/24",
		]);
		expect(addresses(cluster, "rr").flat()).toEqual(["10.8.8.9/24", "10.8.8.10/24", "10.8.8.11/24"]);
		const q1 = cluster.store.all("task").find(({ serviceId }) => serviceId === "");
		expect(q1?.networks[0]?.addresses).toEqual(["10.8.8.12/24"]);
		const shown = tableIn(printed("08-service-vip", "docker service ps svc rr"), "ID ");
		expect(cluster.api.services.ps("svc", "rr").map(({ name, node }) => [name, node])).toEqual(
			shown.map((row) => [row["NAME"], row["NODE"]]),
		);
		svc.scale(1);
		cluster.run(12);
		const after = tableIn(printed("08-service-vip", "docker service scale -d svc=1"), "ID ");
		expect(svc.ps().map(({ name, node, desiredState }) => [name, node, desiredState])).toEqual(
			after.map((row) => [row["NAME"], row["NODE"], row["DESIRED STATE"]]),
		);
	});

	test("12: the task that replaces a lost one gets .9, eighteen seconds after the node was cut off", () => {
		const cluster = new ManagerCluster();
		cluster.network("fail-net", { attachable: true, subnet: "10.5.5.0/24" });
		const fs = cluster.api.services.create({
			name: "fs",
			image: "box",
			replicas: 2,
			constraints: ["node.hostname!=node1"],
			network: "fail-net",
		});
		cluster.run(10);
		cluster.attach("node1", "fail-net");
		cluster.run(30);
		const cut = cluster.now;
		cluster.run(12.5);
		cluster.down("node2");
		while (cluster.running("fs").every(({ networks }) => networks[0]?.addresses[0] !== "10.5.5.9/24"))
			cluster.run(0.1);
		expect(cluster.now - cut).toBeGreaterThan(17.4);
		expect(cluster.now - cut).toBeLessThan(18.6);
		cluster.run(90);
		const recorded = tableIn(printed("12-node-failure", "docker service ps fs"), "ID ");
		expect(
			fs.ps().map(({ name, node, desiredState, currentState }) => [name, node, desiredState, currentState]),
		).toEqual(
			recorded.map((row) => [
				// Behind a name of the recorded one's width comes the indent's.
				row["NAME"]?.trimEnd(),
				row["NODE"],
				row["DESIRED STATE"],
				row["CURRENT STATE"],
			]),
		);
	});

	test("10: a global service is listed by its nodes' ids, its ports twice, for IPv4 and IPv6", () => {
		const cluster = new ManagerCluster();
		const hostmode = cluster.api.services.create({
			name: "hostmode",
			image: "box",
			mode: "global",
			publish: ["mode=host,target=80,published=8081"],
		});
		cluster.run(5);
		const recorded = tableIn(printed("10-publish-mode-host", "docker service ps hostmode"), "ID ");
		expect(
			hostmode.ps().map(({ name, node, desiredState, ports }) => ({ name, node, desiredState, ports })),
		).toEqual(
			recorded.map((row) => ({
				name: row["NAME"],
				node: row["NODE"],
				desiredState: row["DESIRED STATE"],
				ports: row["PORTS"],
			})),
		);
	});

	test("docker node ls", () => {
		const recorded = tableIn(printed("05-overlay", "docker node ls; docker network ls"), "ID ");
		expect(
			new ManagerCluster().api.nodes.ls().map((line) => ({
				ID: `${line.id}${line.self ? " *" : ""}`,
				HOSTNAME: line.hostname,
				STATUS: line.status,
				AVAILABILITY: line.availability,
				"MANAGER STATUS": line.managerStatus,
				"ENGINE VERSION": line.engineVersion,
			})),
		).toEqual(recorded.map((row) => ({ ...row })));
	});
});
