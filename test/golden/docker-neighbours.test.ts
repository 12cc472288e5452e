import { describe, expect, test } from "vitest";
import { type Host, Lab, type Netns } from "../../src/index.ts";
import { gwbridge, named } from "../support/docker-state.ts";
import { recordedOverlay, recordedSection } from "../support/overlay.ts";

// What bridges say of themselves when they come up leaves a neighbour that `ip neigh show nud all` lists, and a flow that
// `conntrack -L` lists. The recorded docker0 had had a container before (it had a link-local address), and lost its
// neighbours with the carrier; hosts of a swarm have docker_gwbridge as long as something is on it.

const NOARP = "ip neigh show nud all";
const noArp = (lines: readonly string[], but: RegExp): string[] =>
	named(lines.join("\n"))
		.split("\n")
		.filter((line) => line.includes("NOARP") && !but.test(line))
		.map((line) => line.replace(/\bbr\d+\b/, "br").trimEnd())
		.sort();
const neighbours = (ns: Netns): string[] => ns.neigh.show({ nud: "all" }).map(({ text }) => text);

async function host(name: string, commands: (node: Host) => void): Promise<Host> {
	const lab = new Lab({ seed: 1 });
	const node = lab.host(name, {
		nics: { eth0: { address: "172.31.1.5/24", gateway: "172.31.1.1", attach: lab.switch("lan") } },
	});
	gwbridge(node.docker);
	commands(node);
	await lab.advance("60s");
	return node;
}

describe("neighbours that nobody asked for", () => {
	test.each<readonly [title: string, but: RegExp, commands: (node: Host) => void]>([
		[
			"host 02 node1",
			/ docker0 /,
			({ docker }) => {
				docker.networks.create("localnet");
				for (const name of ["lc1", "lc2", "lc3"]) docker.run({ name, network: "localnet" });
			},
		],
		[
			"host 03 node2",
			/ docker0 /,
			({ docker }) => {
				docker.networks.create("pubnet");
				docker.run({ name: "pub1", network: "pubnet" });
			},
		],
		[
			"host 04 node3",
			/ docker0 | docker_gwbridge /,
			({ docker }) => {
				for (const name of ["neta", "netb", "netint", "netnoicc"]) {
					docker.networks.create(name, { internal: name === "netint" });
					docker.run({ name: `on-${name}`, network: name });
				}
			},
		],
	])("%s has them on its bridges", async (title, but, commands) => {
		const { netns } = await host(title.split(" ").at(-1)!, commands);
		const recorded = noArp(recordedSection("docker-state/neighbours.txt", title, NOARP), but);
		expect(recorded.length).toBeGreaterThan(0);
		expect(noArp(neighbours(netns), but)).toEqual(recorded);
	});

	test("docker0 has none after its last container", async () => {
		const node = await host("node1", ({ docker }) => {
			docker.run({ name: "c1" });
		});
		const on0 = (): string[] => neighbours(node.netns).filter((text) => text.includes("docker0"));
		expect(on0()).toEqual(["224.0.0.22 dev docker0 lladdr 01:00:5e:00:00:16 NOARP "]);
		node.docker.rm("c1", { force: true });
		node.docker.controller.settle();
		expect(on0()).toEqual([]);
	});

	test("05: a node, its sandbox and its container have the recorded ones", async () => {
		const { nodes } = await recordedOverlay(2);
		for (const { host: node, container } of nodes) {
			const file = `05-overlay/before-ping-${node.name}.txt`;
			const recorded = (title: string): string[] => noArp(recordedSection(file, title, NOARP), / docker0 /);
			expect(noArp(neighbours(node.netns), / docker0 /)).toEqual(recorded(`host ${node.name}`));
			expect(neighbours(container.netns)).toEqual(recorded(`container ${container.name}`));
		}
		// On node2 a later port had a lower MAC, with which the bridge forgot what it knew.
		const [{ sandbox }] = nodes;
		expect(noArp(neighbours(sandbox), /^$/)).toEqual(
			noArp(recordedSection("05-overlay/before-ping-node1.txt", "sandbox 1-m768rftdak", NOARP), /^$/),
		);
	});

	test("05: after a name server was asked, the container has loopback's (after-ping-node1.txt)", async () => {
		const { nodes } = await recordedOverlay(2);
		const [{ container }] = nodes;
		await container.resolve("c2");
		expect(noArp(neighbours(container.netns), /^$/)).toEqual([
			"0.0.0.0 dev lo lladdr 00:00:00:00:00:00 NOARP",
		]);
	});

	test("05: the host tracks what docker_gwbridge said (commands.log)", async () => {
		const { nodes } = await recordedOverlay(2);
		const recorded =
			"unknown  2 216 src=172.18.0.1 dst=224.0.0.22 [UNREPLIED] src=224.0.0.22 dst=172.18.0.1 mark=0 use=1";
		const left = (line: string): string => line.replace(/^(\S+ +2) \d+/, "$1 …");
		for (const { host: node } of nodes) {
			const lines = node.netns.conntrack.list().split("\n");
			expect(lines.filter((line) => line.includes("172.18.0.1")).map(left)).toEqual([left(recorded)]);
		}
	});
});
