import { expect, test } from "vitest";
import { dockerSwarm, webImage } from "../support/docker-swarm.ts";

test("--hostname is a template: each task's has its node's name and its slot, a global one's its node's id", async () => {
	const { lab, hosts, swarm } = await dockerSwarm({ seed: 91, count: 2 });
	webImage(lab, "web");
	const hostname = "{{.Service.Name}}-{{ .Node.Hostname }}-{{.Task.Slot}}";
	await swarm.services.create({ name: "web", image: "web", replicas: 2, hostname }).converged();
	await swarm.services.create({ name: "all", image: "web", mode: "global", hostname }).converged();
	const names = hosts.flatMap(({ docker }) =>
		docker.containers.ls().map(({ name }) => docker.containers.get(name).hostname),
	);
	const [node1, node2] = ["node1", "node2"].map((name) => swarm.nodes.inspect(name).ID);
	expect(names.sort()).toEqual(
		["web-node1-1", "web-node2-2", `all-node1-${node1 ?? ""}`, `all-node2-${node2 ?? ""}`].sort(),
	);
});
