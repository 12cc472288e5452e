/**
 * One overlay network with two subnets: each has a bridge, a VTEP and a VNI of its own in the network's sandbox, and the sandbox
 * routes between them. A packet leaves a node with the VNI of the subnet that it is for.
 */
import { Lab } from "vethwork";
import { findPacket, hopTable, trace } from "vethwork/observe";
import type { ExampleContext } from "../scripts/example-context.ts";

export default async function overlayTwoSubnets({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 1 });
	const underlay = lab.switch("underlay");
	const machine = (name: string, address: string) =>
		lab.host(name, { nics: { eth0: { address, attach: underlay } } });
	const node1 = machine("node1", "172.31.1.5/24");
	const node2 = machine("node2", "172.31.1.6/24");
	const swarm = await node1.docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
	await node2.docker.swarm.join({ token: swarm.joinToken("worker"), address: "172.31.1.5:2377" });

	const subnet = ["10.1.0.0/24", "10.2.0.0/24"];
	const options = { driver: "overlay", attachable: true, subnet };
	const network = await node1.docker.networks.create("multi-net", options).ready;
	const m1 = await node1.docker.run({ name: "m1", network: "multi-net", ip: "10.1.0.10" }).ready;
	await node2.docker.run({ name: "m2", network: "multi-net", ip: "10.2.0.20" }).ready;
	await lab.advance("1s");

	const capture = lab.capture();
	const result = await m1.ping("m2", { count: 2 });
	print(`${result.text()}\n`);
	const echo = findPacket(capture, "icmp") ?? 0;
	print(`The first echo request, hop by hop:\n${hopTable(trace(capture, echo))}\n`);

	const sandbox = node1.namespaces.get(`1-${network.id.slice(0, 10)}`);
	print(`In node1's sandbox of the network:\n# ip route\n${sandbox?.routes.show() ?? ""}`);
	for (const dev of ["vxlan0", "vxlan1"]) {
		print(`# ip neigh show dev ${dev}`);
		for (const { text } of sandbox?.neigh.show({ dev }) ?? []) print(text);
	}
	save(capture);
}
