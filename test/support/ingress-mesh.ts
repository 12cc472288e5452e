import { parseIp4 } from "../../src/addr/index.ts";
import type { Netns } from "../../src/index.ts";
import { mesh, type MeshNetwork, type MeshTask, three } from "./mesh.ts";

/** 09-ingress: the ingress network. */
export const INGRESS: MeshNetwork = {
	id: "4l2l929d98zwpvvvvuvuez46g",
	name: "ingress",
	subnet: "10.0.0.0/24",
	gateway: "10.0.0.1",
	vni: 4096,
	ingress: true,
};

/** 09-ingress: the service `web`, published at 8080. */
export const WEB = {
	id: "wxyy5vs7wdiglkr14eycl89y9",
	name: "web",
	virtualIp: parseIp4("10.0.0.5"),
	aliases: [],
	ingressPorts: [{ name: "", protocol: "tcp", targetPort: 80, publishedPort: 8080 }],
} as const;

const task = (name: string, ip: string): MeshTask => ({ name, on: { ingress: { ip, service: WEB } } });

/** The recorded tasks. */
export const TASKS = {
	web1: task("web.1.37zuant3qj3diewp3k8ek55vh", "10.0.0.6"),
	web2: task("web.2.bg95lv3e48k81xiex1x98bqet", "10.0.0.7"),
};

/**
 * The recorded swarm, its tasks healthy: web.1 on node2, web.2 on node1, none on node3. Its bridges have been up for two
 * seconds, and have said which groups they are in, when the service is published.
 */
export async function recordedIngress(options: Parameters<typeof mesh>[0] = {}) {
	const swarm = mesh(options);
	const { lab, lan, tables } = swarm;
	const nodes = three(swarm);
	const [node1, node2, node3] = nodes;
	for (const [i, node] of nodes.entries()) node.addNetwork(INGRESS, `10.0.0.${String(2 + i)}`);
	await lab.advance("2s");
	// A container of another network's has 172.18.0.3.
	node1.docker.run({ name: "c1", network: "docker_gwbridge" });
	const web1 = node2.run(TASKS.web1);
	const web2 = node1.run(TASKS.web2);
	// node1 heard of the other task after its own: each node's order of turns is its own.
	const held = tables.hold("node1");
	node2.activate(web1);
	node1.activate(web2);
	held.release();
	return { lab, lan, tables, nodes, node1, node2, node3, web1, web2 };
}

/** A program that answers each request on a connection of its own with a line. */
export function web(ns: Netns, body: string, port = 80): void {
	const listener = ns.tcp.listen({ port, backlog: 9 });
	listener.onConnection = (socket) => {
		socket.onReadable = () => {
			if (socket.read().length === 0) return;
			socket.write(new TextEncoder().encode(`HTTP/1.1 200 OK\r\n\r\n${body}\n`));
			socket.close();
		};
	};
}

/** `curl -s http://ADDRESS:PORT/`: the last line of what came. */
export async function get(
	ns: Netns,
	hostname: string,
	port: number,
	options: { readonly localPort?: number } = {},
): Promise<string> {
	const stream = await ns.connect({ hostname, port, ...options });
	const writer = stream.writable.getWriter();
	await writer.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
	let text = "";
	for await (const chunk of stream.readable) text += new TextDecoder().decode(chunk);
	await writer.close();
	return text.trimEnd().split("\n").at(-1) ?? "";
}
