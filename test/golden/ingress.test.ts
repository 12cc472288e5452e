import { describe, expect, test } from "vitest";
import type { Container } from "../../src/cnm/index.ts";
import type { Netns } from "../../src/index.ts";
import { has, keep, recording } from "../support/golden.ts";
import { HttpRecordings } from "../support/http-recordings.ts";
import { type Exchange, exchanges, HttpReplay } from "../support/http-replay.ts";
import { recordedIngress } from "../support/ingress-mesh.ts";
import type { MeshNode } from "../support/mesh.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { allRoutes, dumps, flows, lines, links, recordedRoutes, savedRules } from "../support/state-dump.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// 09-ingress: web published at 8080, tasks on node1 and node2, none on node3. An outside client fetches from each node
// twice, then node1 from itself and from node3. The programs act at the recorded instants; all frames are the stacks'.
// The lab's clock is node3's; the client's ran ahead of it.
const START = 1795454508.8;
const CLIENT_CLOCK = -0.65871;
/** What a segment takes from a task to its client by way of a node without it, and of its own, in seconds. */
const TWO_NODES = 0.00407;
const ONE_NODE = 0.00204;
const SANDBOX = "1-4l2l929d98";
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
function stateOf(node: MeshNode, task: Container<Netns> | undefined) {
	const { netns } = node.host;
	const sandbox = node.balancer("ingress");
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

async function replay() {
	const { lab, lan, node1, node2, node3, web1, web2 } = recordedIngress({ cable: "1ms" });
	const outside = lab.host("outside", {
		nics: { eth0: { address: "172.31.1.1/24", mac: "02:00:00:00:01:01", attach: lan } },
	});
	node3.host.netns.device("docker_gwbridge").setMac(GWBRIDGE);
	// Nodes that gossip know each other; the client had asked for node1 and node2 before, and the switch has seen all.
	const [client, ...nodes] = [outside, node1.host, node2.host, node3.host].map(({ netns }) => netns);
	if (client === undefined) throw new Error("no client");
	const macs = ["02:00:00:00:01:01", "52:54:00:00:01:00", "52:54:00:00:02:00", "52:54:00:00:03:00"];
	const addresses = ["172.31.1.1", "172.31.1.5", "172.31.1.6", "172.31.1.7"];
	for (const [from, ns] of [client, ...nodes].entries()) {
		for (const [to, lladdr] of macs.entries()) {
			const strangers = Math.min(from, to) === 0 && Math.max(from, to) === 3;
			if (from !== to && !strangers) ns.neigh.add(addresses[to] ?? "", { dev: "eth0", lladdr });
		}
	}
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
	await atInstants(lab, START, web.commands, START + 10);
	return { capture, before, after: state() };
}

const run = replay();

/** The outside client's ports. */
const CLIENT_PORTS: ReadonlySet<string> = new Set(["50330", "50344", "51818", "51826", "47194", "47204"]);

const uncounted = (line: string): string => line.replace(/^\[\d+:\d+\] /, "").replace(/ \[\d+:\d+\]$/, "");

const INTERFACES = [
	["get-node3-eth0", "node3:eth0"],
	["get-node3-docker_gwbridge", "node3:docker_gwbridge"],
	["get-node3-ingress_sbox-eth1", "node3/ingress_sbox:eth1"],
	["get-node3-ingress_sbox-eth0", "node3/ingress_sbox:eth0"],
	["get-node3-ingressnet-veth0", `node3/${SANDBOX}:veth0`],
	["get-node3-ingressnet-br0", `node3/${SANDBOX}:br0`],
	["get-node3-ingressnet-vxlan0", `node3/${SANDBOX}:vxlan0`],
] as const;

describe("a port published by the routing mesh is reached as on a recorded swarm", () => {
	test("every frame at the client, and on every interface of the node without a task", async () => {
		const { capture } = await run;
		const recordings = new HttpRecordings({ start: START, clientPorts: CLIENT_PORTS, serverPorts: ["8080"] });
		// The client's recording ends before ARP asks again.
		const found = recordings.inOrder("outside:eth0", {
			recorded: recording("09-ingress/get-outside-eth0"),
			ours: emulated(capture, "outside:eth0", 0, 8),
			clock: CLIENT_CLOCK,
			offloaded: true,
		});
		for (const [file, place] of INTERFACES)
			found.push(
				...recordings.byDirection(place, {
					recorded: recording(`09-ingress/${file}`),
					ours: emulated(capture, place),
				}),
			);
		expect(found).toEqual([]);
	});

	test.each(["node1", "node2", "node3"] as const)(
		"before: rules and tables of %s to the letter",
		async (name) => {
			const before = (await run).before[name];
			const recorded = dumps(`09-ingress/state-${name}.txt`);
			const host = recorded.get(`host ${name}`);
			const sandbox = recorded.get("sandbox ingress_sbox");
			expect(before.host.map(uncounted)).toEqual(savedRules(host?.get("iptables-save -c") ?? ""));
			expect(before.sandbox.rules.map(uncounted)).toEqual(savedRules(sandbox?.get("iptables-save -c") ?? ""));
			expect(before.sandbox.balanced).toEqual(lines(sandbox?.get("ipvsadm -Ln") ?? ""));
			expect(before.sandbox.routes).toEqual(recordedRoutes(sandbox?.get("ip route show table all") ?? ""));
			expect(before.sandbox.links).toEqual(links(sandbox?.get("ip addr show") ?? ""));
			const vs = /net.ipv4.vs.(conn_reuse_mode|conntrack|expire_nodest_conn|expire_quiescent_template) = \d/g;
			for (const [place, sysctls] of [
				[host, before.hostSysctls],
				[sandbox, before.sandbox.sysctls],
			] as const)
				expect(sysctls).toEqual(place?.get("sysctl net.ipv4.vs")?.match(vs));
		},
	);

	test.each([
		["node1", "124b39157c2d"],
		["node2", "f22f26666884"],
	] as const)("before: the task on %s accepts its published port alone", async (name, id) => {
		const task = (await run).before[name].task;
		const recorded = dumps(`09-ingress/state-${name}.txt`).get(`container ${id}`);
		expect(task?.rules.map(uncounted)).toEqual(savedRules(recorded?.get("iptables-save -c") ?? ""));
		expect(task?.routes).toEqual(recordedRoutes(recorded?.get("ip route show table all") ?? ""));
		expect(task?.links).toEqual(links(recorded?.get("ip addr show") ?? ""));
		expect(task?.hosts).toEqual(lines(recorded?.get("/etc/hosts") ?? ""));
	});

	test.each(["node1", "node2", "node3"] as const)("after: what %s counted and tracked", async (name) => {
		const after = (await run).after[name];
		const recorded = dumps(`09-ingress/after-${name}.txt`);
		const sandbox = recorded.get("sandbox ingress_sbox");
		expect(after.sandbox.stats).toEqual(lines(sandbox?.get("ipvsadm -Ln --stats") ?? ""));
		expect(after.sandbox.balanced).toEqual(lines(sandbox?.get("ipvsadm -Ln") ?? ""));
		expect(after.sandbox.connections).toEqual(flows(sandbox?.get("ipvsadm -Lcn") ?? ""));
		expect(after.sandbox.rules).toEqual(
			savedRules(sandbox?.get("iptables-save -c") ?? "", { counters: true }),
		);
		expect(after.sandbox.flows).toEqual(flows(sandbox?.get("conntrack -L") ?? ""));
		const host = recorded.get(`host ${name}`);
		expect(after.flows).toEqual(flows(host?.get("conntrack -L") ?? ""));
		// What else the recorded hosts forwarded and were asked stands in other rules' counters.
		const own = /DOCKER-INGRESS -p|-A OUTPUT -m addrtype|-A POSTROUTING -o docker_gwbridge/;
		const counted = (rules: readonly string[]): string[] => rules.filter((line) => own.test(line));
		expect(counted(after.host)).toEqual(
			counted(savedRules(host?.get("iptables-save -c") ?? "", { counters: true })),
		);
		const task = recorded.get("task");
		expect(after.task?.rules).toEqual(
			task === undefined ? undefined : savedRules(task.get("iptables-save -c") ?? "", { counters: true }),
		);
		expect(after.task?.flows).toEqual(task === undefined ? undefined : flows(task.get("conntrack -L") ?? ""));
	});

	test("after: node3 forwarded what was recorded and nothing else", async () => {
		const { after } = await run;
		const recorded = dumps("09-ingress/after-node3.txt").get("host node3")?.get("iptables-save -c") ?? "";
		const filter = (rules: readonly string[]): string[] => rules.slice(0, rules.indexOf("*nat"));
		expect(filter(after.node3.host)).toEqual(filter(savedRules(recorded, { counters: true })));
	});

	test("Wireshark finds nothing wrong in the whole capture", async () => {
		await expectCleanInWireshark((await run).capture.toPcapng());
	});
});
