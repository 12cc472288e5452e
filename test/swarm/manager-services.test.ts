import { describe, expect, test } from "vitest";
import { ManagerCluster } from "../support/manager-cluster.ts";

const hostname = (cluster: ManagerCluster, nodeId: string): string =>
	cluster.store.get("node", nodeId)?.description?.hostname ?? "";

const nodes = (cluster: ManagerCluster, service: string): string[] =>
	cluster
		.running(service)
		.map(({ nodeId }) => hostname(cluster, nodeId))
		.sort();

const images = (cluster: ManagerCluster, service: string): string[] =>
	cluster.running(service).map(({ spec }) => spec.container.image);

describe("replicas", () => {
	test("scaling down keeps what runs, and takes from the node with most", () => {
		const cluster = new ManagerCluster();
		const web = cluster.api.services.create({ name: "web", image: "box", replicas: 5 });
		cluster.run(2);
		web.scale(3);
		cluster.run(2);
		expect(nodes(cluster, "web")).toEqual(["node1", "node2", "node3"]);
		web.scale(0);
		cluster.run(2);
		expect(cluster.tasks("web")).toEqual([]);
	});

	test("slots are numbered from 1, and a free number is used again", () => {
		const cluster = new ManagerCluster();
		const web = cluster.api.services.create({ name: "web", image: "box", replicas: 4 });
		cluster.run(2);
		web.scale(2);
		cluster.run(2);
		web.scale(3);
		cluster.run(2);
		expect(cluster.running("web").map(({ slot }) => slot)).toEqual([1, 2, 3]);
	});

	test("docker service rm: the service is gone at once, its tasks when they have stopped, its addresses then", () => {
		const cluster = new ManagerCluster();
		const id = cluster.network("net");
		const web = cluster.api.services.create({
			name: "web",
			image: "box",
			replicas: 3,
			network: "net",
			publish: ["80:80"],
		});
		cluster.run(2);
		const before = cluster.logic.allocator!.addresses(id).length;
		web.rm();
		expect(cluster.api.services.ls()).toEqual([]);
		expect(() => cluster.api.services.inspect("web")).toThrow("service web not found");
		expect(cluster.store.all("task").map(({ desiredState }) => desiredState)).toEqual([
			"remove",
			"remove",
			"remove",
		]);
		cluster.run(2);
		expect(cluster.store.all("task")).toEqual([]);
		// The net's own, the gateway, everyone's.
		expect(before).toBeGreaterThan(3);
		expect(cluster.logic.allocator!.addresses(id)).toEqual(["10.0.1.0", "10.0.1.1", "10.0.1.255"]);
		expect(cluster.logic.allocator!.ports).toEqual([]);
	});

	test("docker service rm while tasks have no node yet leaves nothing", () => {
		const cluster = new ManagerCluster();
		const web = cluster.api.services.create({
			name: "web",
			image: "box",
			constraints: ["node.hostname==none"],
		});
		cluster.run(1);
		web.rm();
		cluster.run(1);
		expect(cluster.store.all("task")).toEqual([]);
	});
});

describe("nodes that leave", () => {
	test("tasks of a node that is down are made anew elsewhere after the restart delay; when it is back they are told to stop", () => {
		const cluster = new ManagerCluster();
		cluster.api.services.create({ name: "web", image: "box", replicas: 3 });
		cluster.run(2);
		cluster.down("node2");
		cluster.run(4.9);
		expect(cluster.running("web").filter(({ nodeId }) => nodeId !== cluster.node("node2").id)).toHaveLength(
			2,
		);
		cluster.run(2);
		expect(nodes(cluster, "web")).not.toContain("node2");
		expect(cluster.running("web")).toHaveLength(3);
		cluster.up("node2");
		cluster.run(2);
		expect(nodes(cluster, "web")).not.toContain("node2");
		expect(cluster.tasks("web").filter(({ nodeId }) => nodeId === cluster.node("node2").id)).toMatchObject([
			{ status: { state: "shutdown" } },
		]);
	});

	test("a drained node's tasks move at once, each new one when its old one has stopped", () => {
		const cluster = new ManagerCluster();
		cluster.api.services.create({ name: "web", image: "box", replicas: 3 });
		cluster.run(2);
		cluster.api.nodes.update("node2", { availability: "drain" });
		cluster.run(2);
		expect(nodes(cluster, "web")).toEqual(["node1", "node1", "node3"]);
		cluster.api.nodes.update("node2", { availability: "active" });
		cluster.run(2);
		// Nothing is moved back.
		expect(nodes(cluster, "web")).toEqual(["node1", "node1", "node3"]);
	});

	test("a node removed by force: its tasks are lost, and made anew", () => {
		const cluster = new ManagerCluster();
		cluster.network("net", { attachable: true });
		cluster.api.services.create({ name: "web", image: "box", replicas: 3, network: "net" });
		cluster.attach("node2", "net");
		cluster.run(2);
		expect(() => cluster.api.nodes.rm("node2")).toThrow(
			"rpc error: code = FailedPrecondition desc = node 0ksi7wd783yhczym3twj2ye4b is not down and can't be removed",
		);
		cluster.api.nodes.rm("node2", { force: true });
		cluster.run(10);
		expect(nodes(cluster, "web")).toEqual(["node1", "node1", "node3"]);
		expect(cluster.store.all("task").filter(({ serviceId }) => serviceId === "")).toEqual([]);
		const orphan = cluster.tasks("web").find(({ status }) => status.state === "orphaned");
		expect(orphan?.status.message).toBe("Task belonged to a node that has been deleted");
	});

	test("a label that goes away takes the task with it", () => {
		const cluster = new ManagerCluster();
		for (const node of ["node2", "node3"]) cluster.api.nodes.update(node, { labelAdd: { ssd: "yes" } });
		cluster.api.services.create({ name: "web", image: "box", constraints: ["node.labels.ssd==yes"] });
		cluster.run(2);
		expect(nodes(cluster, "web")).toEqual(["node2"]);
		cluster.api.nodes.update("node2", { labelRm: ["ssd"] });
		cluster.run(10);
		expect(nodes(cluster, "web")).toEqual(["node3"]);
		expect(cluster.tasks("web")[0]!.status.err).toBe("assigned node no longer meets constraints");
	});
});

describe("global services", () => {
	test("one task on each node; nodes that join get one, drained ones lose theirs, those back get one again", () => {
		const cluster = new ManagerCluster();
		cluster.api.services.create({ name: "agent", image: "box", mode: "global" });
		cluster.run(2);
		expect(nodes(cluster, "agent")).toEqual(["node1", "node2", "node3"]);
		cluster.join("node4");
		cluster.api.nodes.update("node1", { availability: "drain" });
		cluster.down("node2");
		cluster.run(10);
		expect(nodes(cluster, "agent")).toEqual(["node3", "node4"]);
		cluster.api.nodes.update("node1", { availability: "active" });
		cluster.up("node2");
		cluster.run(10);
		expect(nodes(cluster, "agent")).toEqual(["node1", "node2", "node3", "node4"]);
	});

	test("an update goes node by node", () => {
		const cluster = new ManagerCluster();
		const agent = cluster.api.services.create({ name: "agent", image: "box:1", mode: "global" });
		cluster.run(2);
		agent.update({ image: "box:2" });
		cluster.run(30);
		expect(images(cluster, "agent")).toEqual(["box:2", "box:2", "box:2"]);
		expect(nodes(cluster, "agent")).toEqual(["node1", "node2", "node3"]);
		expect(agent.inspect().UpdateStatus).toMatchObject({ State: "completed", Message: "update completed" });
	});
});

describe("restarts", () => {
	test("a task that ends is replaced after five seconds", () => {
		const cluster = new ManagerCluster();
		cluster.behaviour = () => ({ endsAfter: 10, exitCode: 0 });
		const web = cluster.api.services.create({ name: "web", image: "box" });
		cluster.run(11);
		expect(web.ps()).toMatchObject([
			{ name: "web.1", desiredState: "Ready" },
			{ name: " \\_ web.1", desiredState: "Shutdown", currentState: "Complete less than a second ago" },
		]);
		cluster.run(4);
		expect(cluster.running("web")).toHaveLength(0);
		cluster.run(1);
		expect(cluster.running("web")).toHaveLength(1);
	});

	test.each([
		["none", 1, 1],
		["on-failure", 0, 1],
		["on-failure", 1, 2],
		["any", 0, 2],
	] as const)(
		"--restart-condition %s, exit code %i: %i tasks after eight seconds",
		(restartCondition, exitCode, count) => {
			const cluster = new ManagerCluster();
			cluster.behaviour = () => ({ endsAfter: 1, exitCode });
			cluster.api.services.create({ name: "web", image: "box", restartCondition });
			cluster.run(8);
			expect(cluster.tasks("web")).toHaveLength(count);
		},
	);

	test("--restart-max-attempts 2: three tasks in all, all kept; a changed spec counts anew", () => {
		const cluster = new ManagerCluster();
		cluster.behaviour = () => "fails to start";
		const web = cluster.api.services.create({
			name: "web",
			image: "box",
			restartMaxAttempts: 2,
			restartDelay: "1s",
		});
		cluster.run(60);
		expect(cluster.tasks("web")).toHaveLength(3);
		expect(web.ps()[0]).toMatchObject({
			desiredState: "Shutdown",
			error: '"task: non-zero exit (1)"',
		});
		cluster.behaviour = () => "runs";
		web.update({ image: "box:2" });
		cluster.run(5);
		expect(images(cluster, "web")).toEqual(["box:2"]);
	});

	test("--restart-window: attempts outside of it do not count", () => {
		const cluster = new ManagerCluster();
		cluster.behaviour = () => ({ endsAfter: 20, exitCode: 1 });
		cluster.api.services.create({ name: "web", image: "box", restartMaxAttempts: 1, restartWindow: "15s" });
		cluster.run(200);
		expect(cluster.tasks("web").at(-1)!.desiredState).not.toBe("shutdown");
	});

	test("of each slot five tasks are kept", () => {
		const cluster = new ManagerCluster();
		cluster.behaviour = () => ({ endsAfter: 1, exitCode: 1 });
		const web = cluster.api.services.create({ name: "web", image: "box", replicas: 2 });
		cluster.run(120);
		expect(web.ps().filter(({ name }) => name.endsWith("web.1"))).toHaveLength(5);
		expect(cluster.tasks("web")).toHaveLength(10);
	});
});

describe("a leader after another", () => {
	test("goes on where the other one was: nothing is given twice, delayed starts are started", () => {
		const cluster = new ManagerCluster();
		cluster.network("net");
		cluster.behaviour = ({ slot, spec }) =>
			slot === 1 && spec.container.image === "box:1" ? { endsAfter: 2, exitCode: 1 } : "runs";
		const web = cluster.api.services.create({
			name: "web",
			image: "box:1",
			replicas: 3,
			network: "net",
			publish: ["80"],
		});
		cluster.run(4);
		web.update({ image: "box:2", updateDelay: "3s" });
		cluster.run(1);
		cluster.logic.stop();
		cluster.run(20);
		const port = web.inspect().Endpoint.Ports;
		cluster.behaviour = () => "runs";
		cluster.logic.start();
		cluster.run(60);
		expect(images(cluster, "web")).toEqual(["box:2", "box:2", "box:2"]);
		expect(web.inspect().Endpoint.Ports).toEqual(port);
		const held = cluster
			.running("web")
			.flatMap(({ networks }) => networks.flatMap(({ addresses }) => addresses));
		expect(new Set(held).size).toBe(6);
	});
});
