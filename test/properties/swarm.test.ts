import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Container } from "../../src/cnm/index.ts";
import type { Host, Netns } from "../../src/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { type DockerSwarm, dockerSwarm, machines, node, webImage } from "../support/docker-swarm.ts";
import { value } from "../support/golden.ts";
import { Client } from "../support/requests.ts";

// Whole swarms, by docker commands alone, of sizes and orders that chance gives.

/** What a node has of endpoints on a network, its own and others', in whatever order it heard of them. */
function table({ docker }: Host, network: string): string {
	const { Peers, Services } = docker.networks.inspect(network, { verbose: true });
	const services = Object.entries(Services ?? {}).map(([name, { VIP, Ports, Tasks }]) => ({
		name,
		VIP,
		Ports,
		tasks: Tasks.map((task) => JSON.stringify(task)).sort(),
	}));
	const peers = (Peers ?? []).map(({ IP }) => IP).sort();
	return JSON.stringify([peers, services.sort((a, b) => (a.name < b.name ? -1 : 1))]);
}

const on = ({ docker }: Host, network: string): boolean =>
	docker.networks.ls().some(({ name }) => name === network);

/** All there is of a machine: namespaces, devices, rules, sockets. */
const left = ({ netns, namespaces, docker }: Host) => ({
	namespaces: [...namespaces.keys()].sort(),
	devices: netns.devices.map(({ name }) => name.replace(/^veth\w{7}$/, "veth")).sort(),
	rules: netns.iptablesTool
		.save()
		.split("\n")
		.filter((line) => line.startsWith("-A")),
	states: netns.xfrm.state.list().length,
	networks: docker.networks.ls().map(({ name }) => name),
	containers: docker.containers.ls({ all: true }).length,
});

describe("of any swarm", () => {
	test("who is on one overlay reaches everybody on it, and nobody on another; nodes know the same of a network", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.integer({ min: 2, max: 4 }),
				fc.array(fc.record({ node: fc.nat(3), network: fc.nat(1) }), { minLength: 3, maxLength: 6 }),
				fc.integer({ min: 1, max: 1000 }),
				async (count, places, seed) => {
					const made = await dockerSwarm({ seed, count });
					const { lab, hosts } = made;
					for (const name of ["red", "blue"])
						await node(made, 1).docker.networks.create(name, { driver: "overlay", attachable: true }).ready;
					const containers: { container: Container<Netns>; network: string; ip: string }[] = [];
					for (const [i, place] of places.entries()) {
						const network = place.network === 0 ? "red" : "blue";
						const { docker } = node(made, 1 + (place.node % count));
						const container = await docker.run({ name: `c${String(i)}`, network }).ready;
						const ip =
							docker.containers.inspect(container).NetworkSettings.Networks[network]?.IPAddress ?? "";
						containers.push({ container, network, ip });
					}
					await lab.advance("2s");
					for (const from of containers)
						for (const to of containers) {
							if (from === to) continue;
							const { received } = await from.container.ping(to.ip, { count: 1, timeout: "1s" });
							expect(received, `${from.container.name} ${to.container.name}`).toBe(
								from.network === to.network ? 1 : 0,
							);
						}
					for (const network of ["red", "blue", "ingress"]) {
						const tables = hosts.filter((host) => on(host, network) && isHere(host, network));
						expect(new Set(tables.map((host) => table(host, network))).size).toBeLessThanOrEqual(1);
					}
				},
			),
			{ numRuns: 3, seed: 20 },
		);
	});

	test("every published port answers on every node, whatever was scaled, added and removed before", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.integer({ min: 1, max: 4 }),
				fc.array(fc.record({ service: fc.nat(2), replicas: fc.integer({ min: 1, max: 4 }) }), {
					minLength: 2,
					maxLength: 5,
				}),
				fc.integer({ min: 1, max: 1000 }),
				async (count, steps, seed) => {
					const made = await dockerSwarm({ seed, count });
					const { lab, swarm, outside } = made;
					webImage(lab, "web");
					const client = new Client(lab, outside);
					const ports = new Map<string, number>();
					for (const { service, replicas } of steps) {
						const name = `s${String(service)}`;
						if (ports.has(name)) {
							await swarm.services.scale(name, replicas).ready;
							continue;
						}
						const port = 8000 + service;
						const publish = [`${String(port)}:80`];
						await swarm.services.create({ name, image: "web", replicas, publish }).ready;
						ports.set(name, port);
					}
					await lab.advance("10s");
					for (const port of ports.values())
						for (const [i] of made.hosts.entries()) {
							const answer = await client.get(`172.31.1.${String(5 + i)}`, port);
							expect(answer.body, `${answer.failure ?? ""} ${client.why(answer).join()}`).toBeDefined();
						}
					expect(new Set(made.hosts.map((host) => table(host, "ingress"))).size).toBe(1);
				},
			),
			{ numRuns: 3, seed: 21 },
		);
	});

	test("an encrypted network never shows a frame of its VNI, while nodes join, containers come and go, and keys change", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(fc.record({ node: fc.nat(2), stops: fc.boolean() }), { minLength: 2, maxLength: 5 }),
				fc.integer({ min: 1, max: 1000 }),
				async (places, seed) => {
					const made = machines({ seed });
					const { lab, hosts } = made;
					const capture = lab.capture("node*:eth0");
					const swarm = await node(made, 1).docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
					await lab.advance(12 * 3_600_000 - 20_000);
					const options = { driver: "overlay", attachable: true, options: { encrypted: "" } };
					await node(made, 1).docker.networks.create("sec", options).ready;
					const first = await node(made, 1).docker.run({ name: "first", network: "sec" }).ready;
					for (const host of hosts.slice(1)) {
						await host.docker.swarm.join({ token: swarm.joinToken("worker"), address: "172.31.1.5:2377" });
						const other = await host.docker.run({ name: `on-${host.name}`, network: "sec" }).ready;
						// At once, when the other side may not have heard of it yet.
						void other.ping("first", { count: 3, timeout: "1s" });
						await first.ping(`on-${host.name}`, { count: 2, timeout: "1s" });
					}
					for (const [i, place] of places.entries()) {
						const { docker } = node(made, 1 + place.node);
						const container = await docker.run({ name: `c${String(i)}`, network: "sec" }).ready;
						void container.ping("first", { count: 8, timeout: "1s" });
						await lab.advance("3s");
						if (place.stops) docker.rm(container, { force: true });
					}
					await lab.advance("20s");
					const { received } = await first.ping("on-node2", { count: 3 });
					expect(received).toBe(3);
					const vnis = capture.sightings().flatMap(({ data }) => {
						const vni = value(dissect(data), "vxlan.vni");
						return vni === undefined ? [] : [vni];
					});
					expect(vnis).toEqual([]);
				},
			),
			{ numRuns: 2, seed: 22 },
		);
	});

	test("nothing is left when services and networks are removed, and of a swarm when its nodes leave", async () => {
		await fc.assert(
			fc.asyncProperty(fc.integer({ min: 1, max: 1000 }), fc.boolean(), async (seed, encrypted) => {
				const made = await dockerSwarm({ seed });
				const { lab, swarm, hosts } = made;
				webImage(lab, "web");
				await lab.advance("3s");
				const before = hosts.map(left);
				const { docker } = node(made, 1);
				const options = {
					driver: "overlay",
					attachable: true,
					...(encrypted ? { options: { encrypted: "" } } : {}),
				};
				await docker.networks.create("net", options).ready;
				const web = swarm.services.create({
					name: "web",
					image: "web",
					replicas: 4,
					network: "net",
					publish: ["8080:80"],
				});
				const c1 = await node(made, 2).docker.run({ name: "c1", network: "net" }).ready;
				await web.converged();
				expect((await c1.ping("web", { count: 1 })).received).toBe(1);
				await web.rm();
				node(made, 2).docker.rm(c1, { force: true });
				await lab.advance("10s");
				await docker.networks.rm("net");
				await lab.advance("5s");
				// The chain of published ports and what leads to it stay, as Docker's do.
				const stays = (rules: readonly string[]): string[] =>
					rules.filter((rule) => !INGRESS_RULE.test(rule));
				for (const [i, host] of hosts.entries()) {
					const now = left(host);
					const then = before[i];
					expect({ ...now, rules: stays(now.rules) }).toEqual({ ...then, rules: stays(then?.rules ?? []) });
				}
				for (const host of hosts.toReversed()) {
					host.docker.swarm.leave({ force: true });
					await lab.advance("6s");
				}
				for (const host of hosts) {
					const now = left(host);
					expect(now.namespaces).toEqual([]);
					expect(now.networks).toEqual(["bridge", "docker_gwbridge", "host", "none"]);
					expect(now.devices).toEqual(["docker0", "docker_gwbridge", "eth0", "eth1", "lo"]);
				}
				// Nobody says anything any more.
				const capture = lab.capture("node*:eth0");
				await lab.advance("120s");
				expect(capture.sightings()).toEqual([]);
			}),
			{ numRuns: 2, seed: 23 },
		);
	});

	test("the same commands with the same seed give the same octets", async () => {
		const run = async (seed: number): Promise<Uint8Array> => {
			const made: DockerSwarm = await dockerSwarm({ seed });
			const { lab, swarm, hosts, outside } = made;
			const capture = lab.capture();
			webImage(lab, "web");
			const web = swarm.services.create({ name: "web", image: "web", replicas: 2, publish: ["8080:80"] });
			await web.converged();
			const client = new Client(lab, outside);
			await client.ask(["172.31.1.5", "172.31.1.7"], 8080, 6, 50);
			web.scale(4);
			hosts[1]?.crash();
			await client.ask(["172.31.1.5", "172.31.1.7"], 8080, 6, 50);
			await lab.advance("10s");
			return capture.toPcapng();
		};
		const [once, again, other] = [await run(30), await run(30), await run(31)];
		expect(Buffer.compare(once, again)).toBe(0);
		expect(Buffer.compare(once, other)).not.toBe(0);
	});
});

const INGRESS_RULE = /DOCKER-INGRESS|docker_gwbridge/;

/** A network's namespace is on the node. */
const isHere = ({ docker, namespaces }: Host, network: string): boolean =>
	namespaces.has(`1-${docker.networks.inspect(network).Id.slice(0, 10)}`);
