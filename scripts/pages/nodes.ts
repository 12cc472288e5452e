import { createServer } from "node:http";
import { Lab } from "vethwork";
import { serve } from "vethwork/node";

/** Three nodes in a swarm and a client beside them, built by docker commands. Containers of `box` are HTTP servers. */
export async function threeNodes() {
	const lab = new Lab({ seed: 1 });
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
	return { lab, node1, node2, node3, client, swarm };
}
