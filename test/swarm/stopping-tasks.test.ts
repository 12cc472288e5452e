import { expect, test } from "vitest";
import { Lab } from "../../src/index.ts";

test("a connection that is open when its task stops is closed by the task's kernel, not left without a word", async () => {
	const lab = new Lab({ seed: 1 });
	const attach = lab.switch("underlay");
	const node1 = lab.host("node1", { nics: { eth0: { address: "172.31.1.5/24", attach } } });
	const client = lab.host("client", { nics: { eth0: { address: "172.31.1.1/24", attach } } });
	lab.image("box", ({ netns }) => {
		netns.tcp.listen({ port: 80 }).onConnection = () => undefined;
	});
	const swarm = await node1.docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
	const web = swarm.services.create({ name: "web", image: "box", publish: ["8080:80"] });
	await web.converged();
	const { socket } = await client.netns.connect({ hostname: "172.31.1.5", port: 8080 });
	await web.rm();
	await lab.advance("1900ms");
	expect(socket.state).toBe("established");
	await lab.advance("1s");
	expect(socket.state).toBe("close-wait");
});

test("a task whose container somebody stops has failed with what its program ended with, and another takes its place", async () => {
	const lab = new Lab({ seed: 1 });
	const attach = lab.switch("underlay");
	const node1 = lab.host("node1", { nics: { eth0: { address: "172.31.1.5/24", attach } } });
	const swarm = await node1.docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
	const web = swarm.services.create({ name: "web", image: "box", replicas: 2 });
	await web.converged();
	const [first, second] = node1.docker.containers.ls();
	if (first === undefined || second === undefined) throw new Error("two tasks run");
	node1.docker.stop(first.name);
	node1.docker.rm(second.name, { force: true });
	await lab.advance("10s");
	const ended = web.ps().filter(({ currentState }) => currentState.startsWith("Failed"));
	expect(ended.map(({ error }) => error).toSorted()).toEqual([
		'"task: non-zero exit (137)"',
		'"task: non-zero exit (143)"',
	]);
	expect(web.ps().filter(({ currentState }) => currentState.startsWith("Running"))).toHaveLength(2);
});

test.each([
	["runs", "0s"],
	["winds down", "1s"],
])(
	"a container that somebody removes while its task %s is no obstacle to the end of the task, nor of its network",
	async (_, after) => {
		const lab = new Lab({ seed: 1 });
		const attach = lab.switch("underlay");
		const node1 = lab.host("node1", { nics: { eth0: { address: "172.31.1.5/24", attach } } });
		const { docker } = node1;
		const swarm = await docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
		await docker.networks.create("net", { driver: "overlay" }).ready;
		const web = swarm.services.create({ name: "web", image: "box", network: "net" });
		await web.converged();
		const removed = web.rm();
		await lab.advance(after);
		for (const { name } of docker.containers.ls()) docker.rm(name, { force: true });
		await removed;
		await lab.advance("10s");
		await docker.networks.rm("net");
		await lab.advance("1s");
		expect(docker.containers.ls({ all: true })).toEqual([]);
		expect([...node1.namespaces.keys()].filter((name) => !name.includes("ingress"))).toHaveLength(1);
	},
);
