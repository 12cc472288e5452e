import { describe, expect, test } from "vitest";
import { recording } from "../support/golden.ts";
import { HttpRecordings } from "../support/http-recordings.ts";
import { recordedIngress } from "../support/ingress-mesh.ts";
import { CLIENT_CLOCK, CLIENT_PORTS, replayIngress, START } from "../support/ingress-replay.ts";
import { emulated } from "../support/scenario.ts";
import { dumps, flows, lines, links, recordedRoutes, savedRules } from "../support/state-dump.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

const SANDBOX = "1-4l2l929d98";

const replay = async () => {
	const { lab, lan, nodes, web1, web2 } = await recordedIngress({ cable: "1ms" });
	const outside = lab.host("outside", {
		nics: { eth0: { address: "172.31.1.1/24", mac: "02:00:00:00:01:01", attach: lan } },
	});
	return replayIngress({ lab, outside, hosts: nodes.map(({ host }) => host), web1, web2 });
};

const run = replay();

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
		const { capture, begin } = await run;
		const start = START - begin;
		const recordings = new HttpRecordings({ start, clientPorts: CLIENT_PORTS, serverPorts: ["8080"] });
		// The client's recording ends before ARP asks again.
		const found = recordings.inOrder("outside:eth0", {
			recorded: recording("09-ingress/get-outside-eth0"),
			ours: emulated(capture, "outside:eth0", begin, begin + 8),
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
