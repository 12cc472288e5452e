import { expect, test } from "vitest";
import { ManagerCluster } from "../support/manager-cluster.ts";

test("docker service ps --filter: by state, node, name and id; what came first of those left stands for the others", () => {
	const cluster = new ManagerCluster();
	const { services, nodes } = cluster.api;
	const web = services.create({ name: "web", image: "box", replicas: 3 });
	services.create({ name: "db", image: "box" });
	cluster.run(10);
	web.update({ force: true, updateParallelism: 0 });
	cluster.run(30);
	const names = (filter: Parameters<typeof web.ps>[0]) => web.ps(filter).map(({ name }) => name);
	expect(names({})).toEqual(["web.1", " \\_ web.1", "web.2", " \\_ web.2", "web.3", " \\_ web.3"]);
	expect(names({ desiredState: "running" })).toEqual(["web.1", "web.2", "web.3"]);
	expect(names({ desiredState: "shutdown" })).toEqual(["web.1", "web.2", "web.3"]);
	expect(names({ name: "web.2" })).toEqual(["web.2", " \\_ web.2"]);
	expect(names({ name: "web.2", desiredState: "running" })).toEqual(["web.2"]);
	const [first] = web.ps();
	expect(web.ps({ id: first!.id }).text()).toBe(web.ps({ name: "web.1", desiredState: "running" }).text());
	for (const { hostname } of nodes.ls()) {
		const here = web.ps({ node: hostname });
		expect(here.every(({ node }) => node === hostname)).toBe(true);
		expect(here.length).toBeGreaterThan(0);
		expect(nodes.ps(hostname, { name: "web" }).map(({ id }) => id)).toEqual(here.map(({ id }) => id));
	}
	expect(services.ps("web", "db", { desiredState: "running" }).map(({ name }) => name)).toEqual([
		"db.1",
		"web.1",
		"web.2",
		"web.3",
	]);
	expect(() => web.ps({ node: "nope" })).toThrow("Error response from daemon: node nope not found");
});
