import { describe, expect, test } from "vitest";
import { ManagerCluster } from "../support/manager-cluster.ts";
import type { ServiceCreateOptions } from "../../src/swarm/index.ts";

const images = (cluster: ManagerCluster): string[] =>
	cluster.running("web").map(({ spec }) => spec.container.image);

function started(options: Partial<ServiceCreateOptions> = {}) {
	const cluster = new ManagerCluster();
	const web = cluster.api.services.create({ name: "web", image: "box:1", replicas: 4, ...options });
	cluster.run(5);
	return { cluster, web };
}

/** Watches a service and keeps the fewest and the most running tasks. */
function extremes(
	cluster: ManagerCluster,
	seconds: number,
): { readonly fewest: number; readonly most: number } {
	let [fewest, most] = [Infinity, 0];
	for (let i = 0; i < seconds * 20; i++) {
		const count = cluster.tasks("web").filter(({ status }) => status.state === "running").length;
		fewest = Math.min(fewest, count);
		most = Math.max(most, count);
		cluster.run(0.05);
	}
	return { fewest, most };
}

describe("docker service update", () => {
	test("one task after the other, each old one stopped before its new one starts, five seconds watched at the end", () => {
		const { cluster, web } = started();
		const begun = cluster.now;
		web.update({ image: "box:2" });
		expect(web.inspect().UpdateStatus).toMatchObject({ State: "updating", Message: "update in progress" });
		expect(extremes(cluster, 5)).toEqual({ fewest: 3, most: 4 });
		expect(images(cluster)).toEqual(["box:2", "box:2", "box:2", "box:2"]);
		expect(web.inspect().UpdateStatus?.State).toBe("updating");
		while (web.inspect().UpdateStatus?.State !== "completed") cluster.run(0.1);
		expect(web.inspect().UpdateStatus).toMatchObject({ State: "completed", Message: "update completed" });
		expect(web.inspect().UpdateStatus?.CompletedAt).toBeDefined();
		expect(cluster.now - begun).toBeGreaterThan(5);
		expect(web.inspect().PreviousSpec?.TaskTemplate["ContainerSpec"]).toMatchObject({ Image: "box:1" });
	});

	test("--update-parallelism 2, --update-delay 10s: two at a time, ten seconds between them", () => {
		const { cluster, web } = started({ updateParallelism: 2, updateDelay: "10s" });
		web.update({ image: "box:2" });
		expect(extremes(cluster, 5).fewest).toBe(2);
		expect(images(cluster).filter((image) => image === "box:2")).toHaveLength(2);
		cluster.run(10);
		expect(images(cluster)).toEqual(["box:2", "box:2", "box:2", "box:2"]);
	});

	test("--update-parallelism 0: all at once", () => {
		const { cluster, web } = started({ updateParallelism: 0 });
		web.update({ image: "box:2" });
		expect(extremes(cluster, 3).fewest).toBe(0);
		expect(images(cluster)).toHaveLength(4);
	});

	test("--update-order start-first: never fewer, one more while both run", () => {
		const { cluster, web } = started({ updateOrder: "start-first" });
		web.update({ image: "box:2" });
		expect(extremes(cluster, 15)).toEqual({ fewest: 4, most: 5 });
		expect(images(cluster)).toEqual(["box:2", "box:2", "box:2", "box:2"]);
	});

	test("what does not change tasks replaces none: labels, replicas, constraints their nodes fit", () => {
		const { cluster, web } = started();
		const ids = (): string[] => cluster.running("web").map(({ id }) => id);
		const before = ids();
		web.update({ labels: { team: "a" } });
		cluster.run(10);
		web.update({ constraints: ["node.platform.os==linux"] });
		cluster.run(10);
		web.update({ updateDelay: "1s", replicas: 5 });
		cluster.run(10);
		expect(ids().slice(0, 4)).toEqual(before);
		web.update({ force: true });
		cluster.run(30);
		expect(ids().some((id) => before.includes(id))).toBe(false);
	});

	test("a failure pauses the update, the other tasks stay as they are", () => {
		const { cluster, web } = started();
		cluster.behaviour = ({ spec }) => (spec.container.image === "box:2" ? "fails to start" : "runs");
		const outcome = cluster.outcome(web.update({ image: "box:2" }).converged());
		cluster.run(3);
		const failed = cluster.tasks("web").find(({ status }) => status.state === "failed")!;
		expect(web.inspect().UpdateStatus).toMatchObject({
			State: "paused",
			Message: `update paused due to failure or early termination of task ${failed.id}`,
		});
		cluster.run(60);
		expect(images(cluster)).toEqual(["box:1", "box:1", "box:1"]);
		return Promise.resolve().then(() => {
			expect(outcome()).toBe(
				`service update paused: update paused due to failure or early termination of task ${failed.id}`,
			);
		});
	});

	test("a task that ends within the monitoring period is a failure, one that ends later is not", () => {
		const fails = (endsAfter: number): string | undefined => {
			const { cluster, web } = started({ updateMonitor: "3s" });
			cluster.behaviour = ({ spec }) =>
				spec.container.image === "box:2" ? { endsAfter, exitCode: 1 } : "runs";
			web.update({ image: "box:2" });
			cluster.run(12);
			return web.inspect().UpdateStatus?.State;
		};
		expect([fails(2), fails(11)]).toEqual(["paused", "completed"]);
	});

	test("--update-failure-action continue goes on; --update-max-failure-ratio 0.3 bears one of four", () => {
		const run = (options: Partial<ServiceCreateOptions>, failing: number): string | undefined => {
			const { cluster, web } = started(options);
			cluster.behaviour = ({ spec, slot }) =>
				spec.container.image === "box:2" && slot <= failing ? "fails to start" : "runs";
			web.update({ image: "box:2" });
			cluster.run(40);
			return web.inspect().UpdateStatus?.State;
		};
		expect(run({ updateFailureAction: "continue" }, 4)).toBe("completed");
		expect(run({ updateMaxFailureRatio: 0.3 }, 1)).toBe("completed");
		expect(run({ updateMaxFailureRatio: 0.3 }, 2)).toBe("paused");
	});

	test("--update-failure-action rollback: the previous spec comes back", () => {
		const { cluster, web } = started({ updateFailureAction: "rollback" });
		cluster.behaviour = ({ spec }) => (spec.container.image === "box:2" ? "fails to start" : "runs");
		web.update({ image: "box:2" });
		cluster.run(1);
		const failed = cluster.tasks("web").find(({ status }) => status.state === "failed")!;
		expect(web.inspect().UpdateStatus).toMatchObject({
			State: "rollback_started",
			Message: `update rolled back due to failure or early termination of task ${failed.id}`,
		});
		cluster.run(20);
		expect(web.inspect().UpdateStatus).toMatchObject({
			State: "rollback_completed",
			Message: "rollback completed",
		});
		expect(images(cluster)).toEqual(["box:1", "box:1", "box:1", "box:1"]);
		expect(web.inspect().PreviousSpec).toBeUndefined();
	});

	test("docker service rollback, by the rollback's own rules; a second one goes back again", () => {
		const { cluster, web } = started({ rollbackParallelism: 4 });
		web.update({ image: "box:2" });
		cluster.run(20);
		web.rollback();
		expect(web.inspect().UpdateStatus).toMatchObject({
			State: "rollback_started",
			Message: "manually requested rollback",
		});
		expect(extremes(cluster, 3).fewest).toBe(0);
		expect(images(cluster)).toEqual(["box:1", "box:1", "box:1", "box:1"]);
		cluster.run(10);
		web.rollback();
		cluster.run(20);
		expect(images(cluster)).toEqual(["box:2", "box:2", "box:2", "box:2"]);
	});

	test("an update during another one takes its place", () => {
		const { cluster, web } = started({ updateDelay: "20s" });
		web.update({ image: "box:2" });
		cluster.run(3);
		web.update({ image: "box:3", updateDelay: 0 });
		cluster.run(20);
		expect(images(cluster)).toEqual(["box:3", "box:3", "box:3", "box:3"]);
		expect(web.inspect().UpdateStatus?.State).toBe("completed");
	});

	test("networks and ports: virtual IPs and numbers that stay are kept, those that go are given back", () => {
		const { cluster, web } = started({ publish: [{ target: 80 }, { target: 443 }] });
		const ids = ["a", "b"].map((name) => cluster.network(name));
		web.update({ networkAdd: ["a", "b"] });
		cluster.run(20);
		const vips = web.inspect().Endpoint.VirtualIPs!;
		// In the order of the networks' ids.
		const [a, b] = ids.map((id) => vips.find(({ NetworkID }) => NetworkID === id)?.Addr);
		expect([vips[0]?.Addr, a, b]).toEqual(["10.0.0.5/24", "10.0.1.2/24", "10.0.2.2/24"]);
		expect(vips.slice(1).map(({ NetworkID }) => NetworkID)).toEqual([...ids].sort());
		expect(web.inspect().Endpoint.Ports!.map(({ PublishedPort }) => PublishedPort)).toEqual([30000, 30001]);
		web.update({ networkRm: ["a"] });
		cluster.run(20);
		expect(web.inspect().Endpoint.VirtualIPs).toEqual([
			vips[0],
			vips.find(({ NetworkID }) => NetworkID === ids[1]),
		]);
		expect(cluster.logic.allocator!.addresses(ids[0]!)).toEqual(["10.0.1.0", "10.0.1.1", "10.0.1.255"]);
		web.update({ publishRm: [{ target: 80 }, { target: 443 }], endpointMode: "dnsrr" });
		cluster.run(20);
		expect(web.inspect().Endpoint).toEqual({ Spec: { Mode: "dnsrr" } });
		expect(cluster.logic.allocator!.ports).toEqual([]);
	});
});

test("a service that is on one network twice has one virtual IP there, and keeps it when another network comes", () => {
	const cluster = new ManagerCluster();
	const y = cluster.network("y");
	const web = cluster.api.services.create({ name: "web", image: "box", network: ["y", y.slice(0, 8)] });
	cluster.run(5);
	const vips = web.inspect().Endpoint.VirtualIPs;
	expect(vips).toEqual([{ NetworkID: y, Addr: "10.0.1.2/24" }]);
	cluster.network("x");
	web.update({ networkAdd: ["x"] });
	cluster.run(20);
	expect(web.inspect().Endpoint.VirtualIPs).toHaveLength(2);
	expect(web.inspect().Endpoint.VirtualIPs).toEqual(expect.arrayContaining([...(vips ?? [])]));
});

describe("what a command without -d waits for", () => {
	test("all tasks run and go on running for five seconds", async () => {
		const cluster = new ManagerCluster();
		const web = cluster.api.services.create({ name: "web", image: "box", replicas: 2 });
		await web.ready;
		await web.converged();
		expect(cluster.running("web")).toHaveLength(2);
		expect(cluster.now).toBeGreaterThan(5.5);
		expect(cluster.now).toBeLessThan(6.5);
	});

	test("a service that never comes to run is waited for in vain", async () => {
		const cluster = new ManagerCluster();
		const web = cluster.api.services.create({ name: "web", image: "box", constraints: ["node.hostname==x"] });
		await expect(web.converged()).rejects.toThrow(
			"nothing is left to happen, and docker service create web still waits",
		);
	});
});
