import { expect, test } from "vitest";
import { dockerSwarm, webImage } from "../support/docker-swarm.ts";

test("--hostname is a template: each task's has its node's name and its slot, a global one's its node's id", async () => {
	const { lab, hosts, swarm } = await dockerSwarm({ seed: 91, count: 2 });
	webImage(lab, "web");
	const hostname = "{{.Service.Name}}-{{ .Node.Hostname }}-{{.Task.Slot}}";
	await swarm.services.create({ name: "web", image: "web", replicas: 2, hostname }).converged();
	await swarm.services.create({ name: "all", image: "web", mode: "global", hostname }).converged();
	const slots: string[] = [];
	for (const { name: node, docker } of hosts) {
		const names = docker.containers.ls().map(({ name }) => name);
		const hostnames = names.map((name) => docker.containers.get(name).hostname);
		// `web.2.…` is the task of the second slot; which node has it is the scheduler's choice.
		const [, slot = ""] = names.find((name) => name.startsWith("web."))?.split(".") ?? [];
		slots.push(slot);
		const { ID } = swarm.nodes.inspect(node);
		expect(hostnames.sort()).toEqual([`all-${node}-${ID}`, `web-${node}-${slot}`]);
	}
	expect(slots.sort()).toEqual(["1", "2"]);
});
