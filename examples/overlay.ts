/**
 * A swarm of two nodes by docker commands, and a ping across its overlay network, hop by hop. What each node knows of the
 * other's container came by gossip: the forwarding table and the neighbours of the network's sandbox.
 */
import { Lab } from "vethwork";
import { findPacket, hopTable, trace } from "vethwork/observe";
import type { ExampleContext } from "../scripts/example-context.ts";

export default async function overlay({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 1 });
	const underlay = lab.switch("underlay");
	const machine = (name: string, address: string) =>
		lab.host(name, { nics: { eth0: { address, gateway: "172.31.1.1", attach: underlay } } });
	const node1 = machine("node1", "172.31.1.5/24");
	const node2 = machine("node2", "172.31.1.6/24");

	const swarm = await node1.docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
	await node2.docker.swarm.join({ token: swarm.joinToken("worker"), address: "172.31.1.5:2377" });
	print(`node1# docker node ls\n${swarm.nodes.ls().text()}\n`);

	const options = { driver: "overlay", attachable: true };
	const network = await node1.docker.networks.create("uber-net", options).ready;
	const c1 = await node1.docker.run({ name: "c1", network: "uber-net" }).ready;
	const c2 = await node2.docker.run({ name: "c2", network: "uber-net" }).ready;
	print(`node2# docker network ls\n${node2.docker.networks.ls().text()}\n`);

	await lab.advance("1s");
	const capture = lab.capture();
	const result = await c1.ping(c2.name, { count: 3 });
	print(`node1# docker exec c1 ping -c 3 c2\n${result.text()}\n`);

	const echo = findPacket(capture, "icmp") ?? 0;
	print(`The first echo request, hop by hop:\n${hopTable(trace(capture, echo))}\n`);

	const sandbox = node1.namespaces.get(`1-${network.id.slice(0, 10)}`);
	print("In node1's sandbox of the network, as gossip told it:\n# ip neigh show dev vxlan0");
	for (const { text } of sandbox?.neigh.show({ dev: "vxlan0" }) ?? []) print(text);
	print(`# bridge fdb show dev vxlan0\n${sandbox?.bridgeTool.fdb({ dev: "vxlan0" }).text ?? ""}`);
	save(capture);
}
