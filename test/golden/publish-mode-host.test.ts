import { describe, expect, test } from "vitest";
import type { Netns } from "../../src/index.ts";
import { recording } from "../support/golden.ts";
import { HttpRecordings, setClient } from "../support/http-recordings.ts";
import { exchanges, HttpReplay } from "../support/http-replay.ts";
import { recordedIngress } from "../support/ingress-mesh.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { allRoutes, dumps, lines, links, recordedRoutes, savedRules } from "../support/state-dump.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// 10-publish-mode-host: a global service with port 80 published at 8081 of each node, mode host. Its tasks are on docker0
// and have a port mapping. An outside client asks each node, then node1 itself. The lab's clock is node1's.
const START = 1795456128.5;
const CLIENT_CLOCK = -0.14065;
/** What a segment takes from a task to the outside client, in seconds. */
const AHEAD = 0.00102;

async function build() {
	const swarm = await recordedIngress({ cable: "500us" });
	const { nodes, node1, node2, web1, web2 } = swarm;
	// Nothing is published by the mesh any more: its chains stay.
	node2.stop(web1);
	node1.stop(web2);
	// What a task with host ports gets when its service names no network: docker0, as any container.
	const tasks = nodes.map(({ docker }) => docker.run({ name: "hostmode", publish: ["8081:80"] }));
	const [task] = tasks;
	if (task === undefined) throw new Error("no node");
	return { ...swarm, tasks, task };
}

async function replay() {
	const { lab, lan, nodes, tasks } = await build();
	const outside = lab.host("outside", {
		nics: { eth0: { address: "172.31.1.1/24", mac: "02:00:00:00:01:01", attach: lan } },
	}).netns;
	setClient(outside);
	const hosts: readonly Netns[] = nodes.map(({ host }) => host.netns);
	for (const [i, ns] of hosts.entries()) {
		const n = String(i + 1);
		outside.neigh.add(`172.31.1.${String(5 + i)}`, { dev: "eth0", lladdr: `52:54:00:00:0${n}:00` });
		ns.neigh.add("172.31.1.1", { dev: "eth0", lladdr: "02:00:00:00:01:01" });
		ns.device("docker0").setMac("02:42:17:71:fe:a0");
		await outside.ping(`172.31.1.${String(5 + i)}`, { count: 1 });
	}
	const capture = lab.capture();
	const start = START - lab.now / 1e9;
	const web = new HttpReplay(lab);
	for (const { netns } of tasks) web.listen(netns, 80);
	for (const each of exchanges(recording("10-publish-mode-host/host-outside-eth0"), 8081, CLIENT_CLOCK))
		web.add(outside, each, AHEAD);
	const own = exchanges(recording("10-publish-mode-host/host-node1-docker0"), 80).find(
		({ client }) => client === "172.31.1.5",
	);
	const [node1] = hosts;
	if (own === undefined || node1 === undefined) throw new Error("node1 asked itself");
	web.add(node1, { ...own, server: "172.31.1.5", port: 8081 }, 0);
	await atInstants(lab, start, web.commands, START + 2.2);
	return { capture, start };
}

describe("a port published in mode host", () => {
	test("the host and the task say what the recorded ones said", async () => {
		const { node1, task } = await build();
		const recorded = dumps("10-publish-mode-host/state-node1.txt");
		const theirs = savedRules(recorded.get("host node1")?.get("iptables-save -c") ?? "");
		// An encrypted network was on that host as well.
		const tables = theirs.slice(theirs.indexOf("*filter")).filter((line) => !line.includes("--dport 4789"));
		expect(savedRules(node1.host.netns.iptablesTool.save())).toEqual(tables);
		const container = recorded.get("container c5f54de6f83d");
		expect(task.netns.iptablesTool.save()).toBe("");
		expect(lines(container?.get("iptables-save -c") ?? "")).toEqual([]);
		expect(allRoutes(task.netns)).toEqual(recordedRoutes(container?.get("ip route show table all") ?? ""));
		expect(links(task.netns.links.show())).toEqual(links(container?.get("ip addr show") ?? ""));
		const hosts = (task.netns.files.get("/etc/hosts") ?? "").replace(task.shortId, "c5f54de6f83d");
		expect(lines(hosts)).toEqual(lines(container?.get("/etc/hosts") ?? ""));
		expect(node1.docker.port("hostmode")).toEqual(["80/tcp -> 0.0.0.0:8081", "80/tcp -> :::8081"]);
	});

	test("every frame: DNAT alone, the client's address stays", async () => {
		const { capture, start } = await replay();
		const recordings = new HttpRecordings({
			start,
			clientPorts: new Set(["40776", "35452", "47630"]),
			serverPorts: ["8081", "80"],
		});
		const of = (file: string) => recording(`10-publish-mode-host/${file}`);
		const found = recordings.inOrder("outside:eth0", {
			recorded: of("host-outside-eth0"),
			ours: emulated(capture, "outside:eth0"),
			clock: CLIENT_CLOCK,
			offloaded: true,
		});
		for (const [file, place] of [
			["host-node1-eth0", "node1:eth0"],
			["host-node1-docker0", "node1:docker0"],
			["host-node1-task-eth0", "node1/hostmode:eth0"],
		] as const)
			found.push(...recordings.byDirection(place, { recorded: of(file), ours: emulated(capture, place) }));
		expect(found).toEqual([]);
		await expectCleanInWireshark(capture.toPcapng());
	});
});
