import { expect, test } from "vitest";
import { type Container, type Host, Lab, type Netns } from "../../src/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { has, value } from "../support/golden.ts";

const NODES = 12;
const REPLICAS = 36;

/** Nodes that joined by the wire and whose gossip waits, and a service spread over them. */
async function waiting() {
	const lab = new Lab({ seed: 1 });
	const lan = lab.switch("underlay");
	const address = (n: number): string => `172.31.1.${String(n + 5)}`;
	const nodes = Array.from({ length: NODES }, (_, n) =>
		lab.host(`node${String(n)}`, { nics: { eth0: { address: `${address(n)}/24`, attach: lan } } }),
	);
	const [manager, ...workers] = nodes;
	if (manager === undefined) throw new Error("there is a manager");
	const swarm = await manager.docker.swarm.init({ advertiseAddr: address(0) }).ready;
	const token = swarm.joinToken("worker");
	for (const { docker } of workers)
		await docker.swarm.join({ token, address: `${address(0)}:2377`, gossip: "waits" });
	await manager.docker.networks.create("net", { driver: "overlay", attachable: true }).ready;
	await swarm.services.create({ name: "web", image: "web", network: "net", replicas: REPLICAS }).converged();
	return { lab, nodes, tasks: nodes.flatMap((node) => tasksOf(node)) };
}

const tasksOf = ({ docker }: Host): Container<Netns>[] =>
	docker.containers
		.ls()
		.map(({ id }) => docker.containers.get(id))
		.filter(({ name }) => name.startsWith("web."));

test("nodes whose gossip waits hear nothing of each other's endpoints until they are settled, and all then, with nothing sent", async () => {
	const { lab, nodes, tasks } = await waiting();
	expect(tasks).toHaveLength(REPLICAS);
	const [first] = tasks;
	const last = tasks.at(-1);
	if (first === undefined || last === undefined) throw new Error("there are tasks");
	const unheard = await first.ping(last.ip("net"), { count: 1 });
	expect(unheard.received).toBe(0);

	const capture = lab.capture("*:eth0");
	lab.settle(nodes);
	expect(capture.stop().sightings()).toEqual([]);
	for (const [i, from] of tasks.entries()) {
		const to = tasks[(i * 7 + 5) % tasks.length];
		const { received } = await from.ping(to?.ip("net") ?? "", { count: 1 });
		expect(received).toBe(1);
	}
	for (const task of tasks) expect((await first.resolve(task.name)).addresses).toEqual([task.ip("net")]);
});

test("two nodes that are settled alone know each other's endpoints, and nobody else's", async () => {
	const { lab, nodes } = await waiting();
	const [first, second, third] = nodes;
	if (first === undefined || second === undefined || third === undefined) throw new Error("there are nodes");
	lab.settle([first, "node1"]);
	const [from] = tasksOf(first);
	const received = async (to: Host): Promise<number | undefined> =>
		(await from?.ping(tasksOf(to)[0]?.ip("net") ?? "", { count: 1 }))?.received;
	expect([await received(second), await received(third)]).toEqual([1, 0]);
	lab.settle(nodes);
	expect(await received(third)).toBe(1);
});

test("nodes that were settled go on by gossip: a container made later is heard of everywhere", async () => {
	const { lab, nodes, tasks } = await waiting();
	lab.settle(nodes);
	const late = await nodes[3]?.docker.run({ name: "late", network: "net" }).ready;
	await lab.advance("5s");
	for (const task of tasks.filter((_, i) => i % 5 === 0))
		expect((await task.ping("late", { count: 1 })).received).toBe(1);
	expect(late?.running).toBe(true);
});

test("nodes that are settled and go on waiting know each other's endpoints and speak to nobody; what is new they hear when they are settled again", async () => {
	const { lab, nodes, tasks } = await waiting();
	const capture = lab.capture("*:eth0");
	lab.settle(nodes, { gossip: "waits" });
	await nodes[3]?.docker.run({ name: "late", network: "net" }).ready;
	await lab.advance("40s");
	const ports = capture
		.stop()
		.sightings()
		.map(({ data }) => dissect(data))
		.flatMap((layers) =>
			["udp", "tcp"].flatMap((layer) =>
				has(layers, layer) ? [value(layers, `${layer}.destinationPort`)] : [],
			),
		);
	expect(ports).toContain(2377);
	expect(ports).not.toContain(7946);
	const [first] = tasks;
	const last = tasks.at(-1);
	if (first === undefined || last === undefined) throw new Error("there are tasks");
	expect((await first.ping(last.ip("net"), { count: 1 })).received).toBe(1);
	await expect(first.ping("late", { count: 1 })).rejects.toThrow("late");
	const [, second] = nodes;
	const peers = second?.docker.networks.inspect("net").Peers ?? [];
	expect(peers.map(({ IP }) => IP).sort()).toEqual(nodes.map((_, n) => `172.31.1.${String(n + 5)}`).sort());

	lab.settle(nodes, { gossip: "waits" });
	expect((await first.ping("late", { count: 1 })).received).toBe(1);
	lab.settle(nodes);
	await nodes[4]?.docker.run({ name: "later", network: "net" }).ready;
	await lab.advance("5s");
	expect((await first.ping("later", { count: 1 })).received).toBe(1);
});
