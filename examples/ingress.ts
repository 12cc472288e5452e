/**
 * The ingress mesh: three nodes, two replicas of a published service, and a client outside that asks the node without one. The hop
 * table has the addresses of its SYN at every interface on the way.
 */
import { createServer } from "node:http";
import { Lab } from "vethwork";
import { curl, serve } from "vethwork/node";
import { findPacket, hopTable, trace } from "vethwork/observe";
import type { ExampleContext } from "../scripts/example-context.ts";

export default async function ingress({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 1 });
	const underlay = lab.switch("underlay");
	const machine = (name: string, address: string) =>
		lab.host(name, { nics: { eth0: { address, attach: underlay } } });
	const node1 = machine("node1", "172.31.1.5/24");
	const node2 = machine("node2", "172.31.1.6/24");
	const node3 = machine("node3", "172.31.1.7/24");
	const client = machine("client", "172.31.1.1/24");
	lab.image("box", ({ netns, name }) => {
		const server = createServer(({ socket }, response) =>
			response.end(`${name.split(".", 2).join(".")} was asked by ${socket.remoteAddress ?? "somebody"}`),
		);
		serve(netns, 80, server);
	});

	const swarm = await node1.docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
	for (const node of [node2, node3])
		await node.docker.swarm.join({ token: swarm.joinToken("worker"), address: "172.31.1.5:2377" });
	const constraints = ["node.hostname!=node3"];
	const options = { name: "web", image: "box", replicas: 2, constraints, publish: ["8080:80"] };
	const web = swarm.services.create(options);
	await web.converged();
	print(`node1# docker service ps web\n${web.ps().text()}\n`);

	for (const address of ["172.31.1.5", "172.31.1.6", "172.31.1.7"])
		print(`client# curl ${address}:8080\n${await curl(client, `http://${address}:8080/`)}`);
	const capture = lab.capture();
	print(`client# curl 172.31.1.7:8080\n${await curl(client, "http://172.31.1.7:8080/")}\n`);
	const syn = findPacket(capture, { "tcp.flags": "SYN" }) ?? 0;
	print(`The client's SYN, hop by hop:\n${hopTable(trace(capture, syn))}\n`);

	const sandbox = node3.namespaces.get("ingress_sbox");
	print(
		`node3# nsenter --net=/var/run/docker/netns/ingress_sbox ipvsadm -Ln\n${sandbox?.ipvsadm("-Ln") ?? ""}`,
	);
	save(capture);
}
