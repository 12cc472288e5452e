import { expect, test } from "vitest";
import { curl } from "../../src/node/index.ts";
import { dockerSwarm, node, webImage } from "../support/docker-swarm.ts";

const NO_LEADER =
	"rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers are online. Make sure more than half of the managers are online.";

test("two of three managers lose power: the third is a manager still, but nobody leads; what runs goes on", async () => {
	const made = await dockerSwarm({ seed: 71, managers: 3 });
	const { lab, swarm, outside, hosts } = made;
	webImage(lab, "web");
	await swarm.services.create({ name: "web", image: "web", replicas: 3, publish: ["8080:80"] }).converged();
	const [first, second, third] = hosts;
	first?.crash();
	second?.crash();
	await lab.advance("20s");
	const docker = node(made, 3).docker;
	for (const command of [
		() => docker.swarm.nodes.ls(),
		() => docker.swarm.services.ps("web"),
		() => docker.swarm.joinToken("worker"),
	])
		expect(command).toThrow(NO_LEADER);
	await expect(docker.networks.create("net", { driver: "overlay" }).ready).rejects.toThrow(NO_LEADER);
	expect(docker.swarm.info()).toMatchObject({ controlAvailable: true, error: NO_LEADER });
	expect(await curl(outside, "http://172.31.1.7:8080/")).toMatch(/^[0-9a-f]{12}$/);

	second?.restart();
	await lab.advance("30s");
	expect(docker.swarm.info()).toMatchObject({ controlAvailable: true, error: "" });
	const states = docker.swarm.nodes.ls().map(({ hostname, status }) => [hostname, status]);
	expect(states.slice(1)).toEqual([
		["node2", "Ready"],
		["node3", "Ready"],
	]);
	expect(third?.running).toBe(true);
});

test("a manager that joined without --advertise-addr has the address it calls from, and again when it is back", async () => {
	const made = await dockerSwarm({ seed: 72, count: 1 });
	const { lab, lan, swarm } = made;
	const late = lab.host("late", { nics: { eth0: { address: "172.31.1.20/24", attach: lan } } });
	const token = swarm.joinToken("manager");
	await late.docker.swarm.join({ token, address: "172.31.1.5:2377" });
	expect(late.docker.swarm.info().nodeAddr).toBe("172.31.1.20");
	late.crash();
	late.restart();
	await lab.advance("30s");
	expect(late.docker.swarm.info()).toMatchObject({ nodeAddr: "172.31.1.20", controlAvailable: true });
	expect(
		late.docker.networks
			.inspect("ingress")
			.Peers?.map(({ IP }) => IP)
			.sort(),
	).toEqual(["172.31.1.20", "172.31.1.5"]);
});

test("a machine that has no way to the manager does not join", async () => {
	const { lab, lan, swarm } = await dockerSwarm({ seed: 73, count: 1 });
	const lost = lab.host("lost", { nics: { eth0: { address: "10.9.9.9/24", attach: lan } } });
	const token = swarm.joinToken("worker");
	expect(() => lost.docker.swarm.join({ token, address: "172.31.1.5" })).toThrow(
		"could not find local IP address: dial udp 172.31.1.5:2377: connect: network is unreachable",
	);
	expect(lost.docker.swarm.info().localNodeState).toBe("inactive");
});

test("a machine that joins anew says nothing of what went wrong before", async () => {
	const { lab, lan, swarm } = await dockerSwarm({ seed: 92, count: 1 });
	const late = lab.host("late", { nics: { eth0: { address: "172.31.1.20/24", attach: lan } } });
	const token = swarm.joinToken("worker");
	const again = token.slice(0, -3).concat("000");
	await expect(late.docker.swarm.join({ token: again, address: "172.31.1.5" })).rejects.toThrow(
		"A valid join token",
	);
	expect(late.docker.swarm.info().error).toContain("A valid join token");
	const joining = late.docker.swarm.join({ token, address: "172.31.1.5" });
	expect(late.docker.swarm.info().error).toBe("");
	await joining;
});

test("a node that leaves and joins again at once begins its gossip when the one before has said goodbye", async () => {
	const made = await dockerSwarm({ seed: 74 });
	const { lab, swarm, outside } = made;
	webImage(lab, "web");
	const options = { replicas: 2, publish: ["8080:80"], constraints: ["node.hostname!=node3"] };
	await swarm.services.create({ name: "web", image: "web", ...options }).converged();
	await node(made, 1).docker.networks.create("net", { driver: "overlay", attachable: true }).ready;
	const c1 = await node(made, 1).docker.run({ name: "c1", network: "net" }).ready;
	const { docker, namespaces } = node(made, 3);
	const { swarm: membership } = docker;
	membership.leave();
	await membership.join({ token: swarm.joinToken("worker"), address: "172.31.1.5" });
	await docker.run({ name: "c3", network: "net" }).ready;
	await lab.advance("2s");
	expect(namespaces.get("ingress_sbox")?.ipvsadm("-Ln").match(/Masq/g)).toHaveLength(2);
	expect(await curl(outside, "http://172.31.1.7:8080/")).toMatch(/^[0-9a-f]{12}$/);
	expect((await c1.ping("c3", { count: 1 })).received).toBe(1);
});

test("a node that leaves has none of its tasks from then on, and the others send nobody there", async () => {
	const made = await dockerSwarm({ seed: 75 });
	const { lab, swarm } = made;
	webImage(lab, "web");
	await swarm.services.create({ name: "web", image: "web", replicas: 3, publish: ["8080:80"] }).converged();
	const balanced = (): (number | undefined)[] =>
		made.hosts.map(({ namespaces }) => namespaces.get("ingress_sbox")?.ipvsadm("-Ln").match(/Masq/g)?.length);
	expect(balanced()).toEqual([3, 3, 3]);
	const { docker, namespaces } = node(made, 3);
	docker.swarm.leave();
	expect(docker.containers.ls({ all: true })).toEqual([]);
	expect([...namespaces.keys()]).toEqual([]);
	await lab.advance("1s");
	expect(balanced()).toEqual([2, 2, undefined]);
	await docker.swarm.join({ token: swarm.joinToken("worker"), address: "172.31.1.5" });
	await lab.advance("1s");
	expect(balanced()).toEqual([2, 2, 2]);
});

test("a node whose gossip port a program holds joins all the same, and tells nobody of its containers until it has the port", async () => {
	const made = await dockerSwarm({ seed: 74, count: 2 });
	const { lab, lan, swarm } = made;
	const late = lab.host("late", { nics: { eth0: { address: "172.31.1.20/24", attach: lan } } });
	const held = late.netns.tcp.listen({ port: 7946 });
	await late.docker.swarm.join({ token: swarm.joinToken("worker"), address: "172.31.1.5:2377" });
	await node(made, 1).docker.networks.create("net", { driver: "overlay", attachable: true }).ready;
	const first = await node(made, 1).docker.run({ name: "c1", network: "net" }).ready;
	const outcome = await late.docker.run({ name: "c2", network: "net" }).ready.then(
		() => "runs",
		(error: unknown) => String(error),
	);
	expect(outcome).toBe("runs");
	await lab.advance("5s");
	expect(swarm.nodes.ls().map(({ hostname, status }) => [hostname, status])).toContainEqual([
		"late",
		"Ready",
	]);
	expect((await first.ping(late.docker.containers.get("c2").ip("net"), { count: 1 })).received).toBe(0);

	// Keys are new every twelve hours, and with them the agent tries again.
	held.close();
	await lab.advance("12h");
	await lab.advance("90s");
	late.docker.rm("c2", { force: true });
	const next = await late.docker.run({ name: "c3", network: "net" }).ready;
	await lab.advance("40s");
	expect((await first.ping(next.ip("net"), { count: 1 })).received).toBe(1);
}, 120_000);
