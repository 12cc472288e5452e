/**
 * A node loses power: gossip finds out and its tasks leave names, load balancers and neighbours; its heartbeats stay away and the
 * managers start other tasks elsewhere. Then it comes back. What node1 says is printed when it changes.
 */
import { Lab } from "vethwork";
import type { ExampleContext } from "../scripts/example-context.ts";

export default async function nodeFailure({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 1 });
	const underlay = lab.switch("underlay");
	const machine = (name: string, address: string) =>
		lab.host(name, { nics: { eth0: { address, attach: underlay } } });
	const node1 = machine("node1", "172.31.1.5/24");
	const node2 = machine("node2", "172.31.1.6/24");
	const node3 = machine("node3", "172.31.1.7/24");
	const swarm = await node1.docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
	for (const node of [node2, node3])
		await node.docker.swarm.join({ token: swarm.joinToken("worker"), address: "172.31.1.5:2377" });
	const network = await node1.docker.networks.create("net", { driver: "overlay", attachable: true }).ready;
	const constraints = ["node.role==worker"];
	const options = { name: "web", image: "box", replicas: 2, network: "net", constraints };
	const web = swarm.services.create(options);
	await web.converged();
	const q1 = await node1.docker.run({ name: "q1", network: "net" }).ready;
	await lab.advance("1s");

	const sandbox = node1.namespaces.get(`1-${network.id.slice(0, 10)}`);
	const balancer = node1.namespaces.get(`lb_${network.id.slice(0, 9)}`);
	const capture = lab.capture("node?:eth0");
	let before = "";
	for (let second = 0; second < 60; second++) {
		if (second === 1) node2.crash();
		if (second === 45) node2.restart();
		const { addresses } = await q1.resolve("tasks.web");
		const facts = [
			["nodes      ", ...swarm.nodes.ls().map(({ hostname, status }) => `${hostname} ${status}`)],
			["tasks.web  ", ...addresses.toSorted()],
			["IPVS       ", ...(balancer?.ipvsadm("-Ln").match(/(?<=-> )10[\d.]+/g) ?? [])],
			["neighbours ", ...(sandbox?.neigh.show({ dev: "vxlan0" }).map(({ address }) => address) ?? [])],
		];
		const text = facts.map((words) => words.join(" ")).join("\n");
		if (text !== before) print(`${String(second)} s\n${text}\n`);
		before = text;
		await lab.advance("1s");
	}
	print(`node1# docker service ps web\n${web.ps().text()}`);
	save(capture);
}
