import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TaskObject } from "../../src/swarm/index.ts";
import { ManagerCluster } from "../support/manager-cluster.ts";

type Step = (cluster: ManagerCluster) => void;

/** What a user does that may be refused: a refusal changes nothing, and the run goes on. */
const tried =
	(step: Step): Step =>
	(cluster) => {
		try {
			step(cluster);
		} catch (error) {
			if (
				!/^Error response from daemon|^rpc error: code = (NotFound|PermissionDenied) |^service is already/.test(
					(error as Error).message,
				)
			)
				throw error;
		}
	};

const NODES = ["node1", "node2", "node3", "node4"];
const SERVICES = ["a", "b", "c"];
const NETWORKS = ["x", "y"];

const node = fc.constantFrom(...NODES);
const service = fc.constantFrom(...SERVICES);
const network = fc.constantFrom(...NETWORKS);

const steps: fc.Arbitrary<{ readonly what: string; readonly step: Step }> = fc.oneof(
	fc
		.record({
			name: service,
			replicas: fc.integer({ min: 0, max: 5 }),
			networks: fc.subarray(NETWORKS),
			publish: fc.subarray(["80", "8080:80", "53/udp"]),
			global: fc.boolean(),
			order: fc.constantFrom("stop-first" as const, "start-first" as const),
		})
		.map(({ name, replicas, networks, publish, global, order }) => ({
			what: `create ${name} ${global ? "global" : String(replicas)} ${networks.join()} ${publish.join()} ${order}`,
			step: tried(({ api }) => {
				api.services.create({
					name,
					image: "box:1",
					...(global ? { mode: "global" as const } : { replicas }),
					network: networks,
					publish,
					updateOrder: order,
				});
			}),
		})),
	fc.tuple(service, fc.integer({ min: 0, max: 6 })).map(([name, replicas]) => ({
		what: `scale ${name}=${String(replicas)}`,
		step: tried(({ api }) => {
			if (api.services.ls().some((line) => line.name === name && line.mode === "replicated"))
				api.services.scale(name, replicas);
		}),
	})),
	fc
		.tuple(service, fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 3 }))
		.map(([name, tag, parallelism]) => ({
			what: `update ${name} box:${String(tag)} by ${String(parallelism)}`,
			step: tried(
				({ api }) =>
					void api.services.update(name, { image: `box:${String(tag)}`, updateParallelism: parallelism }),
			),
		})),
	fc.tuple(service, network).map(([name, target]) => ({
		what: `network-add ${target} to ${name}`,
		step: tried(({ api }) => void api.services.update(name, { networkAdd: [target] })),
	})),
	fc.tuple(service, network).map(([name, target]) => ({
		what: `network-rm ${target} of ${name}`,
		step: tried(({ api }) => void api.services.update(name, { networkRm: [target] })),
	})),
	service.map((name) => ({
		what: `rollback ${name}`,
		step: tried(({ api }) => void api.services.rollback(name)),
	})),
	service.map((name) => ({ what: `rm ${name}`, step: tried(({ api }) => void api.services.rm(name)) })),
	network.map((name) => ({
		what: `network create ${name}`,
		step: tried((cluster) => void cluster.network(name, { attachable: true })),
	})),
	network.map((name) => ({
		what: `network rm ${name}`,
		step: tried(({ api }) => api.networks.rm(name, () => undefined)),
	})),
	fc
		.tuple(node, fc.constantFrom("active" as const, "pause" as const, "drain" as const))
		.map(([name, availability]) => ({
			what: `${availability} ${name}`,
			step: tried(({ api }) => void api.nodes.update(name, { availability })),
		})),
	fc.tuple(node, fc.boolean()).map(([name, down]) => ({
		what: `${name} ${down ? "down" : "up"}`,
		step: (cluster: ManagerCluster) => {
			const there = cluster.api.nodes.ls().find(({ hostname }) => hostname === name);
			if (there !== undefined && (there.status === "Down") !== down) cluster[down ? "down" : "up"](name);
		},
	})),
	node.map((name) => ({
		what: `node rm ${name}`,
		step: tried(({ api }) => void api.nodes.rm(name, { force: true })),
	})),
	node.map((name) => ({
		what: `join ${name}`,
		step: (cluster: ManagerCluster) => {
			if (!cluster.api.nodes.ls().some(({ hostname }) => hostname === name)) cluster.join(name);
		},
	})),
	fc.tuple(node, network).map(([name, target]) => ({
		what: `attach on ${name} to ${target}`,
		step: tried((cluster) => {
			if (cluster.api.nodes.ls().some(({ hostname }) => hostname === name)) cluster.attach(name, target);
		}),
	})),
	fc.integer({ min: 1, max: 80 }).map((tenths) => ({
		what: `${String(tenths / 10)} s`,
		step: (cluster: ManagerCluster) => cluster.run(tenths / 10),
	})),
	fc.constant({
		what: "another leader",
		step: (cluster: ManagerCluster) => {
			cluster.logic.stop();
			cluster.logic.start();
		},
	}),
);

/** All addresses in use by the store's word, by network. */
function held(cluster: ManagerCluster): Map<string, string[]> {
	const found = new Map<string, string[]>();
	const add = (networkId: string, addresses: readonly string[]): void => {
		const known = found.get(networkId) ?? [];
		found.set(networkId, [...known, ...addresses.map((each) => each.split("/")[0]!)]);
	};
	const { store } = cluster;
	for (const task of store.all("task")) {
		if (alive(task)) for (const { networkId, addresses } of task.networks) add(networkId, addresses);
	}
	for (const { attachments } of store.all("node"))
		for (const { networkId, addresses } of attachments) add(networkId, addresses);
	for (const { endpoint } of store.all("service"))
		for (const { networkId, addr } of endpoint?.virtualIps ?? []) add(networkId, [addr]);
	for (const { id } of store.all("network")) if (!found.has(id)) found.set(id, []);
	return found;
}

const DEAD = ["complete", "shutdown", "failed", "rejected", "remove", "orphaned"];
const alive = ({ status }: TaskObject): boolean => !DEAD.includes(status.state);

/** Nothing is given twice, nothing is lost. */
function books(cluster: ManagerCluster): void {
	const { allocator } = cluster.logic;
	for (const [networkId, addresses] of held(cluster)) {
		expect(new Set(addresses).size, "an address is given twice").toBe(addresses.length);
		const network = cluster.store.get("network", networkId);
		// A network that was removed while tasks on it stop.
		if (network?.allocated === undefined || network.predefined) continue;
		const [config] = network.allocated.configs;
		const [first, gateway] = [config!.subnet.split("/")[0]!, config!.gateway];
		const last = first.replace(/\.0$/, ".255");
		expect([...allocator!.addresses(networkId)].sort()).toEqual([...addresses, first, gateway, last].sort());
	}
	const lists = cluster.store
		.all("network")
		.flatMap(
			({ allocated }) =>
				allocated?.options["com.docker.network.driver.overlay.vxlanid_list"]?.split(",") ?? [],
		);
	expect([...allocator!.vnis].map(String).sort()).toEqual([...lists].sort());
	const ports = cluster.store.all("service").flatMap(({ endpoint }) => endpoint?.ports ?? []);
	expect([...allocator!.ports].sort()).toEqual(
		ports.map((port) => `${String(port.publishedPort)}/${port.protocol}`).sort(),
	);
}

/** What the specs ask for is what runs, as far as nodes can have it. */
function specified(cluster: ManagerCluster): void {
	const open = cluster.api.nodes
		.ls()
		.filter((line) => line.status === "Ready" && line.availability === "Active");
	for (const { spec, id, updateStatus } of cluster.store.all("service")) {
		const running = cluster
			.running(spec.name)
			.filter(({ nodeId }) => cluster.store.get("node", nodeId)?.status.state === "ready");
		if (open.length === 0) continue;
		// A paused update is nobody's: where the new task was to start first and its leader went, the old one stays.
		const most = /paused/.test(updateStatus?.state ?? "") && spec.update.order === "start-first" ? 2 : 1;
		const expectCount = (found: number, wanted: number, what: string): void => {
			expect(found, what).toBeGreaterThanOrEqual(wanted);
			expect(found, what).toBeLessThanOrEqual(most * wanted);
		};
		if (spec.mode.kind === "replicated")
			expectCount(running.length, spec.mode.replicas, `replicas of ${spec.name}`);
		else
			for (const { id: nodeId } of open)
				expectCount(running.filter((task) => task.nodeId === nodeId).length, 1, `${spec.name} on ${nodeId}`);
		if (updateStatus?.state === "completed" || updateStatus?.state === "rollback_completed")
			expect(
				running
					.filter(({ nodeId }) => open.some((line) => line.id === nodeId))
					.map((task) => task.spec.container.image),
			).toEqual(
				running
					.filter(({ nodeId }) => open.some((line) => line.id === nodeId))
					.map(() => spec.task.container.image),
			);
		expect(cluster.store.tasksOf(id).length).toBeLessThanOrEqual(6 * 7);
	}
	for (const { serviceId } of cluster.store.all("task")) {
		if (serviceId === "" || cluster.store.get("service", serviceId) !== undefined) continue;
		// Tasks of a removed service are left on nodes alone that do not answer.
		expect(cluster.api.nodes.ls().some(({ status }) => status === "Down")).toBe(true);
	}
}

const run = (cluster: ManagerCluster, program: readonly { readonly step: Step }[]): void => {
	for (const { step } of program) step(cluster);
};

describe("whatever is done to a swarm", () => {
	test("it ends as specified, no address, port or VNI is lost or given twice", () => {
		fc.assert(
			fc.property(fc.array(steps, { minLength: 5, maxLength: 40 }), (program) => {
				const cluster = new ManagerCluster({ nodes: NODES });
				for (const { step } of program) {
					step(cluster);
					books(cluster);
				}
				cluster.run(400);
				books(cluster);
				specified(cluster);
			}),
			{ numRuns: 150 },
		);
	});

	test("so it does when agreement takes time", () => {
		fc.assert(
			fc.property(fc.array(steps, { minLength: 5, maxLength: 25 }), (program) => {
				const cluster = new ManagerCluster({ nodes: NODES, agreement: 0.013 });
				cluster.run(1);
				run(cluster, program);
				cluster.run(400);
				books(cluster);
				specified(cluster);
			}),
			{ numRuns: 50 },
		);
	});

	test("and when some writes come to nothing", () => {
		const cluster = new ManagerCluster({ nodes: NODES, agreement: 0.01 });
		cluster.network("x");
		cluster.run(1);
		for (let i = 0; i < 20; i++) {
			if (i % 2 === 0)
				cluster.api.services.create({
					name: `s${String(i)}`,
					image: "box",
					replicas: 2,
					network: "x",
					publish: ["80"],
				});
			cluster.run(0.03 + i * 0.007);
			cluster.lost = true;
			cluster.run(0.05);
			cluster.lost = false;
			cluster.run(0.4);
		}
		cluster.run(60);
		books(cluster);
		specified(cluster);
	});

	test("the same is done the same way", () => {
		fc.assert(
			fc.property(fc.array(steps, { minLength: 5, maxLength: 25 }), (program) => {
				const states = [1, 2].map(() => {
					const cluster = new ManagerCluster({ nodes: NODES });
					run(cluster, program);
					cluster.run(30);
					const { store } = cluster;
					return JSON.stringify([
						store.all("task"),
						store.all("node"),
						store.all("service"),
						store.all("network"),
					]);
				});
				expect(states[0]).toBe(states[1]);
			}),
			{ numRuns: 20 },
		);
	});
});

describe("while a service is updated", () => {
	test("never more tasks are missing than its parallelism allows, none when new ones start first", () => {
		const updates = fc.record({
			replicas: fc.integer({ min: 1, max: 8 }),
			parallelism: fc.integer({ min: 1, max: 4 }),
			order: fc.constantFrom("stop-first" as const, "start-first" as const),
			delay: fc.integer({ min: 0, max: 3 }),
			again: fc.integer({ min: 1, max: 100 }),
		});
		fc.assert(
			fc.property(updates, ({ replicas, parallelism, order, delay, again }) => {
				const cluster = new ManagerCluster();
				const options = {
					replicas,
					updateParallelism: parallelism,
					updateOrder: order,
					updateDelay: `${String(delay)}s`,
				};
				const web = cluster.api.services.create({ name: "web", image: "box:1", ...options });
				cluster.run(5);
				let fewest = replicas;
				const unwatch = cluster.store.watch(() => {
					const now = cluster.tasks("web").filter(({ status }) => status.state === "running").length;
					fewest = Math.min(fewest, now);
				});
				web.update({ image: "box:2" });
				cluster.run(replicas * (delay + 2) + 10);
				expect(fewest).toBeGreaterThanOrEqual(order === "start-first" ? replicas : replicas - parallelism);
				expect(cluster.running("web").map(({ spec }) => spec.container.image)).toEqual(
					Array(replicas).fill("box:2"),
				);
				// One that comes while another one is on its way may find its slots half done.
				web.update({ image: "box:3" });
				cluster.run(again / 20);
				web.update({ image: "box:4" });
				cluster.run(replicas * (delay + 2) + 20);
				unwatch();
				expect(cluster.running("web").map(({ spec }) => spec.container.image)).toEqual(
					Array(replicas).fill("box:4"),
				);
			}),
			{ numRuns: 60 },
		);
	});
});
