import { describe, expect, test } from "vitest";
import { ManagerCluster } from "../support/manager-cluster.ts";

const nodesOf = (cluster: ManagerCluster, service: string): Record<string, number> => {
	const counts: Record<string, number> = {};
	for (const { nodeId } of cluster.running(service)) {
		const name = cluster.store.get("node", nodeId)!.description!.hostname;
		counts[name] = (counts[name] ?? 0) + 1;
	}
	return counts;
};

const errors = (cluster: ManagerCluster, service: string): string[] =>
	cluster.tasks(service).map(({ status }) => status.err);

describe("where tasks go", () => {
	test("services are spread evenly, and a new one goes where there is least", () => {
		const cluster = new ManagerCluster();
		const { services } = cluster.api;
		services.create({ name: "a", image: "box", replicas: 4 });
		cluster.run(2);
		expect(nodesOf(cluster, "a")).toEqual({ node1: 1, node2: 2, node3: 1 });
		services.create({ name: "b", image: "box", replicas: 2 });
		cluster.run(2);
		expect(nodesOf(cluster, "b")).toEqual({ node1: 1, node3: 1 });
	});

	test("spread over a label's values, however many nodes each has", () => {
		const cluster = new ManagerCluster({ nodes: [] });
		for (const [i, zone] of ["a", "a", "a", "b", "c"].entries())
			cluster.join(`n${String(i)}`, { spec: { role: "worker", availability: "active", labels: { zone } } });
		cluster.api.services.create({
			name: "web",
			image: "box",
			replicas: 6,
			placementPref: ["spread=node.labels.zone"],
		});
		cluster.run(2);
		expect(nodesOf(cluster, "web")).toMatchObject({ n3: 2, n4: 2 });
	});

	test.each([
		["node.hostname==node2", ["node2"]],
		["node.hostname!=node2", ["node1", "node3"]],
		["node.role==manager", ["node1"]],
		["node.role != manager", ["node2", "node3"]],
		["node.id==wfb1ii90sa3sk4reyo8htyvxq", ["node3"]],
		["node.labels.ssd==yes", ["node3"]],
		// A node without the label has it empty.
		["node.labels.ssd!=yes", ["node1", "node2"]],
		["node.platform.os==linux", ["node1", "node2", "node3"]],
		["node.platform.arch==x86_64", ["node1", "node2", "node3"]],
		["engine.labels.gpu==none", []],
		["node.colour!=red", []],
	])("--constraint %s: %j", (constraint, expected) => {
		const cluster = new ManagerCluster();
		cluster.api.nodes.update("node3", { labelAdd: { ssd: "YES" } });
		cluster.api.services.create({ name: "web", image: "box", mode: "global", constraints: [constraint] });
		cluster.run(2);
		expect(Object.keys(nodesOf(cluster, "web")).sort()).toEqual(expected);
	});

	test("a task that fits nowhere says why, most nodes first, and goes where a node begins to fit", () => {
		const cluster = new ManagerCluster();
		cluster.api.nodes.update("node1", { availability: "drain" });
		const web = cluster.api.services.create({
			name: "web",
			image: "box",
			constraints: ["node.labels.ssd==yes"],
		});
		cluster.run(1);
		expect(errors(cluster, "web")).toEqual([
			"no suitable node (scheduling constraints not satisfied on 2 nodes; 1 node not available for new tasks)",
		]);
		expect(web.ps()).toMatchObject([
			{ node: "", currentState: "Pending less than a second ago", error: '"no suitable node (scheduling …"' },
		]);
		cluster.api.nodes.update("node3", { labelAdd: { ssd: "yes" } });
		cluster.run(2);
		expect(nodesOf(cluster, "web")).toEqual({ node3: 1 });
		expect(errors(cluster, "web")).toEqual([""]);
	});

	test("--replicas-max-per-node", () => {
		const cluster = new ManagerCluster();
		cluster.api.services.create({ name: "web", image: "box", replicas: 4, replicasMaxPerNode: 1 });
		cluster.run(2);
		expect(nodesOf(cluster, "web")).toEqual({ node1: 1, node2: 1, node3: 1 });
		expect(errors(cluster, "web")).toContain("no suitable node (max replicas per node limit exceed)");
		expect(cluster.api.services.ls()).toMatchObject([{ replicas: "3/4 (max 1 per node)" }]);
	});

	test("a port of mode host is one task's on each node; several services may ask for it", () => {
		const cluster = new ManagerCluster();
		const publish = [{ published: 8081, target: 80, mode: "host" as const }];
		cluster.api.services.create({ name: "a", image: "box", replicas: 2, publish });
		cluster.run(2);
		cluster.api.services.create({ name: "b", image: "box", replicas: 2, publish });
		cluster.run(2);
		expect(cluster.running("b")).toHaveLength(1);
		expect(errors(cluster, "b")).toContain("no suitable node (host-mode port already in use on 3 nodes)");
		cluster.api.services.rm("a");
		cluster.run(2);
		expect(cluster.running("b")).toHaveLength(2);
	});

	test("a paused node keeps its tasks and gets no more", () => {
		const cluster = new ManagerCluster();
		const web = cluster.api.services.create({ name: "web", image: "box", replicas: 3 });
		cluster.run(2);
		cluster.api.nodes.update("node2", { availability: "pause" });
		web.scale(5);
		cluster.run(2);
		expect(nodesOf(cluster, "web")).toEqual({ node1: 2, node2: 1, node3: 2 });
	});

	test("nodes on which a service failed five times of late come last", () => {
		const cluster = new ManagerCluster({ nodes: ["node1", "node2"] });
		const bad = cluster.node("node2").id;
		cluster.behaviour = (task) => (task.nodeId === bad ? "fails to start" : "runs");
		cluster.api.services.create({ name: "web", image: "box", replicas: 2, restartDelay: "100ms" });
		cluster.run(20);
		expect(nodesOf(cluster, "web")).toEqual({ node1: 2 });
	});
});
