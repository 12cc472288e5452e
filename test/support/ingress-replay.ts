import type { Container } from "../../src/cnm/index.ts";
import type { Host, Lab, Netns } from "../../src/index.ts";
import { has, keep, recording } from "./golden.ts";
import { setClient } from "./http-recordings.ts";
import { type Exchange, exchanges, HttpReplay } from "./http-replay.ts";
import { atInstants } from "./scenario.ts";
import { allRoutes, flows, lines, links, savedRules } from "./state-dump.ts";

// 09-ingress: web published at 8080, tasks on node1 and node2, none on node3. An outside client fetches from each node
// twice, then node1 from itself and from node3. The programs act at the recorded instants; all frames are the stacks'.
// The lab's clock is node3's; the client's ran ahead of it.
/** The instant of the recording at which it all begins. */
export const START = 1795454508.8;
/** How far the client's clock ran ahead, negative, in seconds. */
export const CLIENT_CLOCK = -0.65871;
/** What a segment takes from a task to its client by way of a node without it, and of its own, in seconds. */
const TWO_NODES = 0.00407;
const ONE_NODE = 0.00204;
/** node3's docker_gwbridge. */
const GWBRIDGE = "02:42:ca:ca:37:e1";

/** node1's two requests to itself, of which no frame was recorded; the counters tell what they were. */
function local(like: Exchange, server: string, connect: number, end: boolean): Exchange {
	const request = new TextEncoder().encode(
		`GET / HTTP/1.1\r\nHost: ${server}:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n`,
	);
	const at = {
		connect,
		request: connect + 0.02,
		answer: [connect + 0.04, connect + (end ? 0.05 : 0.0401)],
		end: end ? connect + 0.06 : undefined,
		close: connect + (end ? 0.0602 : 0.0403),
	};
	return { ...like, client: "172.31.1.5", server, request, at };
}

/** What a node says of itself and of its task. */
function stateOf({ netns, namespaces }: Host, task: Container<Netns> | undefined) {
	const sandbox = namespaces.get("ingress_sbox");
	if (sandbox === undefined) throw new Error("every node balances ingress");
	const sysctls = (ns: Netns): string[] =>
		(["conn_reuse_mode", "conntrack", "expire_nodest_conn", "expire_quiescent_template"] as const).map(
			(name) => `net.ipv4.vs.${name} = ${String(ns.sysctl.get(`net.ipv4.vs.${name}`))}`,
		);
	const counters = { counters: true };
	const place = (ns: Netns) => ({
		rules: savedRules(ns.iptablesTool.save(counters), counters),
		routes: allRoutes(ns),
		links: links(ns.links.show()),
		flows: flows(ns.conntrack.list()),
	});
	return {
		host: savedRules(netns.iptablesTool.save(counters), counters),
		flows: flows(netns.conntrack.list()).filter((line) => line.includes("8080")),
		hostSysctls: sysctls(netns),
		sandbox: {
			...place(sandbox),
			sysctls: sysctls(sandbox),
			balanced: lines(sandbox.ipvsadm("-Ln")),
			stats: lines(sandbox.ipvsadm("-Ln --stats")),
			connections: flows(sandbox.ipvsadm("-Lcn")),
		},
		task:
			task === undefined
				? undefined
				: { ...place(task.netns), hosts: lines(task.netns.files.get("/etc/hosts") ?? "") },
	};
}

/** The recorded swarm with its service: web.1 on node2, web.2 on node1. */
export interface IngressSwarm {
	readonly lab: Lab;
	readonly outside: Host;
	readonly hosts: readonly Host[];
	readonly web1: Container<Netns>;
	readonly web2: Container<Netns>;
}

/** Does what was recorded, and tells what was seen and what the nodes said of themselves before and after. */
export async function replayIngress({ lab, outside, hosts, web1, web2 }: IngressSwarm) {
	const [node1, node2, node3] = hosts;
	if (node1 === undefined || node2 === undefined || node3 === undefined) throw new Error("three nodes");
	const begin = lab.now / 1e9;
	node3.netns.device("docker_gwbridge").setMac(GWBRIDGE);
	// Nodes that gossip know each other; the client had asked for node1 and node2 before, and the switch has seen all.
	const [client, ...nodes] = [outside, node1, node2, node3].map(({ netns }) => netns);
	if (client === undefined) throw new Error("no client");
	const macs = ["02:00:00:00:01:01", "52:54:00:00:01:00", "52:54:00:00:02:00", "52:54:00:00:03:00"];
	const addresses = ["172.31.1.1", "172.31.1.5", "172.31.1.6", "172.31.1.7"];
	for (const [from, ns] of [client, ...nodes].entries()) {
		for (const [to, lladdr] of macs.entries()) {
			const strangers = Math.min(from, to) === 0 && Math.max(from, to) === 3;
			if (from !== to && !strangers) ns.neigh.replace(addresses[to] ?? "", { dev: "eth0", lladdr });
		}
	}
	setClient(client);
	await client.ping("172.31.1.5", { count: 1 });
	for (const ns of nodes.slice(1)) await ns.ping("172.31.1.5", { count: 1 });
	const capture = lab.capture();
	const state = () => ({
		node1: stateOf(node1, web2),
		node2: stateOf(node2, web1),
		node3: stateOf(node3, undefined),
	});
	const before = state();
	const web = new HttpReplay(lab);
	for (const { netns } of [web1, web2]) web.listen(netns, 80);
	const here = (exchange: Exchange, id: string): boolean =>
		new TextDecoder().decode(exchange.answer.at(-1)).startsWith(id);
	for (const each of exchanges(recording("09-ingress/get-outside-eth0"), 8080, CLIENT_CLOCK)) {
		const own =
			each.server === "172.31.1.5" ? "124b39157c2d" : each.server === "172.31.1.6" ? "f22f26666884" : "none";
		web.add(client, each, here(each, own) ? ONE_NODE : TWO_NODES);
	}
	const direct = keep(recording("09-ingress/get-node3-eth0"), (layers) => !has(layers, "vxlan"));
	const own = exchanges(direct, 8080).find((each) => each.client === "172.31.1.5");
	if (own === undefined) throw new Error("node1 asked node3");
	const [host] = nodes;
	if (host === undefined) throw new Error("no node");
	web.add(host, local(own, "172.31.1.5", START + 4.0, false), ONE_NODE);
	web.add(host, local(own, "127.0.0.1", START + 4.4, true), 0);
	web.add(host, own, TWO_NODES);
	await atInstants(lab, START - begin, web.commands, START + 10);
	return { capture, before, after: state(), begin };
}

/** The outside client's ports. */
export const CLIENT_PORTS: ReadonlySet<string> = new Set([
	"50330",
	"50344",
	"51818",
	"51826",
	"47194",
	"47204",
]);
