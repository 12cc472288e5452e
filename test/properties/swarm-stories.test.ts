import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Host, NetError } from "../../src/index.ts";
import type { TcpStream } from "../../src/stack/index.ts";
import type { NodeAvailability } from "../../src/swarm/index.ts";
import { dockerSwarm, node, webImage } from "../support/docker-swarm.ts";

// Whatever is told to three nodes, in any order, while clients are connected: a command is done or refused in words, and when
// all is taken away again, every node is as it was.

const SERVICES = 3;
const NETWORKS = 2;
/** Two services share a port, so that one is refused it. */
const PORTS = [8080, 8081, 8080];
const NODES = [2, 3] as const;

type Step =
	| {
			readonly kind: "create" | "publish" | "unpublish";
			readonly service: number;
			readonly mode: "ingress" | "host";
			readonly networks: readonly number[];
			readonly replicas: number;
			readonly dnsrr: boolean;
	  }
	| { readonly kind: "scale"; readonly service: number; readonly replicas: number }
	| { readonly kind: "remove" | "force" | "mode"; readonly service: number }
	| { readonly kind: "join" | "part"; readonly service: number; readonly network: number }
	| { readonly kind: "network" | "no network"; readonly network: number; readonly encrypted: boolean }
	| { readonly kind: "available"; readonly node: 2 | 3; readonly as: NodeAvailability }
	| { readonly kind: "crash" | "restart"; readonly node: 2 | 3 }
	| { readonly kind: "run" | "connect" | "stop"; readonly network: number }
	| { readonly kind: "talk"; readonly node: number; readonly service: number }
	| { readonly kind: "wait"; readonly ms: number };

const aService = fc.nat(SERVICES - 1);
const aNetwork = fc.nat(NETWORKS - 1);
const aNode = fc.constantFrom(...NODES);
const step: fc.Arbitrary<Step> = fc.oneof(
	fc.record({
		kind: fc.constantFrom("create" as const, "create" as const, "publish" as const, "unpublish" as const),
		service: aService,
		mode: fc.constantFrom("ingress" as const, "ingress" as const, "host" as const),
		networks: fc.subarray([0, 1]),
		replicas: fc.integer({ min: 1, max: 4 }),
		dnsrr: fc.boolean(),
	}),
	fc.record({ kind: fc.constant("scale" as const), service: aService, replicas: fc.nat(4) }),
	fc.record({
		kind: fc.constantFrom("remove" as const, "force" as const, "mode" as const),
		service: aService,
	}),
	fc.record({
		kind: fc.constantFrom("join" as const, "part" as const),
		service: aService,
		network: aNetwork,
	}),
	fc.record({
		kind: fc.constantFrom("network" as const, "network" as const, "no network" as const),
		network: aNetwork,
		encrypted: fc.boolean(),
	}),
	fc.record({
		kind: fc.constant("available" as const),
		node: aNode,
		as: fc.constantFrom("active" as const, "pause" as const, "drain" as const),
	}),
	fc.record({ kind: fc.constantFrom("crash" as const, "restart" as const), node: aNode }),
	fc.record({
		kind: fc.constantFrom("run" as const, "connect" as const, "stop" as const),
		network: aNetwork,
	}),
	fc.record({ kind: fc.constant("talk" as const), node: fc.integer({ min: 1, max: 3 }), service: aService }),
	fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(10, 300, 2000, 8000) }),
);

/** What a node has of the cluster, but for counters and for the rules that published ports leave behind in Docker too. */
const left = ({ netns, namespaces, docker }: Host) => ({
	namespaces: [...namespaces.entries()].map(([name, ns]) => ({
		name: name.replace(/^lb_\w+/, "lb"),
		devices: ns.devices.map((device) => device.name),
		balanced: ns.ipvsadm("-Ln").split("\n").slice(3),
		neighbours: ns.neigh
			.show()
			.map(({ text }) => text)
			.filter((line) => line.includes("PERMANENT"))
			.sort(),
		entries: ns.bridgeTool
			.fdb()
			.text.split("\n")
			.filter((line) => line.includes("dst"))
			.sort(),
		rules: rules(ns.iptablesTool.save()),
	})),
	devices: netns.devices.map(({ name }) => name.replace(/^veth\w{7}$/, "veth")).sort(),
	routes: netns.routes.show(),
	rules: rules(netns.iptablesTool.save()),
	listening: netns
		.ss("-lntu")
		.split("\n")
		.map((line) => line.trim().split(/\s+/)[4])
		.sort(),
	states: netns.xfrm.state.list().length,
	policies: netns.xfrm.policy.list().length,
	networks: docker.networks.ls().map(({ name }) => name),
	containers: docker.containers.ls({ all: true }).map(({ name }) => name),
});

/** The name server's ports are drawn at each start. */
const rules = (saved: string): string[] =>
	saved
		.split("\n")
		.filter((line) => line.startsWith("-A") && !/DOCKER-INGRESS|docker_gwbridge|--ipvs -j SNAT/.test(line))
		.map((line) => line.replace(/(127\.0\.0\.11:|--sport )\d+/, "$1PORT"));

async function tell(steps: readonly Step[], seed: number): Promise<void> {
	const made = await dockerSwarm({ seed });
	const { lab, swarm, hosts, outside } = made;
	webImage(lab, "web");
	await lab.advance("10s");
	const before = hosts.map(left);
	const { docker } = node(made, 1);
	const streams: TcpStream[] = [];
	// Most stories are about something: both networks, a service, somebody connected to each node.
	const beginning: readonly Step[] = [
		{ kind: "network", network: 0, encrypted: seed % 2 === 0 },
		{ kind: "network", network: 1, encrypted: false },
		{ kind: "create", service: 0, mode: "ingress", networks: [0], replicas: 3, dnsrr: false },
		{ kind: "run", network: 1 },
		{ kind: "wait", ms: 2000 },
		...[1, 2, 3].map((at): Step => ({ kind: "talk", node: at, service: 0 })),
	];
	for (const each of beginning.concat(steps)) {
		try {
			await act(each);
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
		}
		await lab.advance("10ms");
	}
	for (const stream of streams) stream.socket.abort();
	for (const number of NODES) {
		const host = node(made, number);
		if (!host.running) host.restart();
	}
	await lab.advance("40s");
	for (const { name } of swarm.services.ls()) await swarm.services.rm(name);
	for (const number of NODES) await swarm.nodes.update(`node${String(number)}`, { availability: "active" });
	for (const host of hosts) {
		for (const { name } of host.docker.containers.ls({ all: true })) host.docker.rm(name, { force: true });
	}
	await lab.advance("60s");
	for (const { name } of docker.networks.ls()) if (/^n\d$/.test(name)) await docker.networks.rm(name);
	await lab.advance("30s");
	expect(hosts.map(left)).toEqual(before);

	async function act(each: Step): Promise<void> {
		switch (each.kind) {
			case "create":
				await swarm.services.create({
					name: `s${String(each.service)}`,
					image: "web",
					replicas: each.replicas,
					network: each.networks.map((n) => `n${String(n)}`),
					...(each.dnsrr
						? { endpointMode: "dnsrr" as const }
						: { publish: [publish(each.service, each.mode)] }),
				}).ready;
				return;
			case "publish":
				await swarm.services.update(`s${String(each.service)}`, {
					publishAdd: [publish(each.service, each.mode)],
				}).ready;
				return;
			case "unpublish":
				await swarm.services.update(`s${String(each.service)}`, {
					publishRm: [`target=80,mode=${each.mode}`],
				}).ready;
				return;
			case "scale":
				await swarm.services.scale(`s${String(each.service)}`, each.replicas).ready;
				return;
			case "remove":
				await swarm.services.rm(`s${String(each.service)}`);
				return;
			case "force":
				await swarm.services.update(`s${String(each.service)}`, { force: true }).ready;
				return;
			case "mode":
				await swarm.services.update(`s${String(each.service)}`, { endpointMode: "dnsrr" }).ready;
				return;
			case "join":
				await swarm.services.update(`s${String(each.service)}`, {
					networkAdd: [`n${String(each.network)}`],
				}).ready;
				return;
			case "part":
				await swarm.services.update(`s${String(each.service)}`, {
					networkRm: [`n${String(each.network)}`],
				}).ready;
				return;
			case "network":
				await docker.networks.create(`n${String(each.network)}`, {
					driver: "overlay",
					attachable: true,
					subnet: `10.${String(50 + each.network)}.0.0/24`,
					...(each.encrypted ? { options: { encrypted: "" } } : {}),
				}).ready;
				return;
			case "no network":
				await docker.networks.rm(`n${String(each.network)}`);
				return;
			case "available":
				await swarm.nodes.update(`node${String(each.node)}`, { availability: each.as });
				return;
			case "crash":
				node(made, each.node).crash();
				return;
			case "restart":
				if (!node(made, each.node).running) node(made, each.node).restart();
				return;
			case "run":
			case "connect":
			case "stop": {
				const name = "c1";
				const network = `n${String(each.network)}`;
				if (each.kind === "run") docker.run({ name, network });
				else if (each.kind === "connect") docker.networks.connect(network, name);
				else docker.rm(name, { force: true });
				return;
			}
			case "talk": {
				const hostname = `172.31.1.${String(4 + each.node)}`;
				const stream = await outside.netns.connect({ hostname, port: PORTS[each.service] ?? 8080 });
				streams.push(stream);
				return;
			}
			case "wait":
				await lab.advance(each.ms);
		}
	}
}

const publish = (service: number, mode: string): string =>
	`mode=${mode},target=80,published=${String(PORTS[service] ?? 8080)}`;

describe("whatever a swarm is told", () => {
	test("each command is done or refused in words, and when all is taken away nothing is left on any node", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(step, { minLength: 6, maxLength: 25 }),
				fc.integer({ min: 1, max: 1000 }),
				tell,
			),
			{ numRuns: 10, seed: 99 },
		);
	});
});
