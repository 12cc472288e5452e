import { expect, test } from "vitest";
import { dissect } from "../../src/wire/index.ts";
import { value } from "../support/golden.ts";
import { dockerSwarm, node, webImage } from "../support/docker-swarm.ts";

test("docker swarm update --task-history-limit: of each slot so many tasks are kept", async () => {
	const { lab, swarm } = await dockerSwarm({ seed: 81, count: 2 });
	webImage(lab, "web");
	await swarm.update({ taskHistoryLimit: 2 });
	const web = swarm.services.create({ name: "web", image: "web" });
	await web.converged();
	for (let i = 0; i < 3; i++) await web.update({ force: true }).converged();
	expect(web.ps().map(({ desiredState }) => desiredState)).toEqual(["Running", "Shutdown"]);
	expect(() => swarm.update({ taskHistoryLimit: 1.5 })).toThrow(
		'invalid argument "1.5" for "--task-history-limit" flag: strconv.ParseInt: parsing "1.5": invalid syntax',
	);
});

test("docker swarm update --dispatcher-heartbeat: nodes say that they are there that often, and are missed sooner", async () => {
	const made = await dockerSwarm({ seed: 82, count: 2 });
	const { lab, swarm } = made;
	const worker = node(made, 2);
	/** How often the worker speaks on 2377 by itself in a minute. */
	const heard = async (): Promise<number> => {
		const capture = lab.capture("node2:eth0");
		await lab.advance("60s");
		return capture
			.stop()
			.sightings()
			.filter(({ data }) => {
				const layers = dissect(data);
				const pushed = (Number(value(layers, "tcp.flags") ?? 0) & 8) !== 0;
				return pushed && value(layers, "tcp.destinationPort") === 2377;
			}).length;
	};
	const before = await heard();
	await swarm.update({ dispatcherHeartbeat: "1s" });
	await lab.advance("10s");
	expect(before).toBeGreaterThan(8);
	expect(await heard()).toBeGreaterThan(3 * before);
	worker.crash();
	await lab.advance("6s");
	expect(swarm.nodes.ls().map(({ status }) => status)).toContain("Down");
	expect(() => worker.docker.swarm.update({ taskHistoryLimit: 1 })).toThrow();
});
