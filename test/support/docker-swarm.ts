import { createServer } from "node:http";
import type { Container } from "../../src/cnm/index.ts";
import { type Duration, type Host, Lab, type Netns } from "../../src/index.ts";
import type { PhysicalSwitch } from "../../src/link/index.ts";
import { serve } from "../../src/node/index.ts";
import type { Swarm } from "../../src/swarm/index.ts";
import type { Layer } from "../../src/wire/index.ts";
import { has, value } from "./golden.ts";

/** Machines as those of the recordings, and how they became a swarm. */
export interface SwarmOptions {
	readonly seed?: number;
	readonly epoch?: string;
	/** How many nodes, the outside host not counted. 3 unless said. */
	readonly count?: number;
	/** How many of them are managers. 1 unless said. */
	readonly managers?: number;
	/** How long a frame takes from a card to the switch. */
	readonly delay?: Duration;
}

/** A swarm whose nodes did nothing but what its docker commands say. */
export interface DockerSwarm {
	readonly lab: Lab;
	readonly lan: PhysicalSwitch;
	readonly hosts: readonly Host[];
	/** Of the first node, which is its first manager. */
	readonly swarm: Swarm<Netns>;
	/** A host on the nodes' LAN that is no node. */
	readonly outside: Host;
}

/** Machines on one LAN, of which none is in a swarm: node1 is 172.31.1.5, 52:54:00:00:01:00, and so on. */
export function machines({ seed = 1, epoch, count = 3, delay }: SwarmOptions = {}) {
	const lab = new Lab({ seed, ...(epoch === undefined ? {} : { epoch }) });
	const lan = lab.switch("underlay");
	const cable = delay === undefined ? {} : { cable: { delay } };
	const outside = lab.host("outside", {
		nics: { eth0: { address: "172.31.1.1/24", mac: "02:00:00:00:01:01", attach: lan, ...cable } },
	});
	const hosts = Array.from({ length: count }, (_, i) => {
		const number = i + 1;
		const host = lab.host(`node${String(number)}`, {
			nics: {
				eth0: {
					address: `172.31.1.${String(4 + number)}/24`,
					gateway: "172.31.1.1",
					mac: `52:54:00:00:${number.toString(16).padStart(2, "0")}:00`,
					attach: lan,
					...cable,
				},
				eth1: { mac: `52:54:00:00:${number.toString(16).padStart(2, "0")}:01` },
			},
		});
		host.netns.files.set("/etc/resolv.conf", "search lab.example\nnameserver 172.31.1.1\n");
		return host;
	});
	return { lab, lan, hosts, outside };
}

/** `docker swarm init` on the first, `docker swarm join` on the others, one after another. */
export async function dockerSwarm(options: SwarmOptions = {}): Promise<DockerSwarm> {
	const made = machines(options);
	const [first, ...others] = made.hosts;
	if (first === undefined) throw new Error("a swarm has a node");
	const { managers = 1 } = options;
	const swarm = await first.docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
	for (const [i, host] of others.entries()) {
		const token = swarm.joinToken(i + 1 < managers ? "manager" : "worker");
		const advertiseAddr = `172.31.1.${String(6 + i)}`;
		await host.docker.swarm.join({ token, advertiseAddr, address: "172.31.1.5:2377" });
	}
	return { ...made, swarm };
}

/** One of the nodes by its number, from 1. */
export function node({ hosts }: Pick<DockerSwarm, "hosts">, number: number): Host {
	const host = hosts[number - 1];
	if (host === undefined) throw new Error(`there is no node${String(number)}`);
	return host;
}

/** The image `web`: Node's HTTP server on port 80, that answers with its container's hostname. */
export function webImage(lab: Lab, name = "web", version = ""): void {
	lab.image(name, (container) => {
		serve(
			container.netns,
			80,
			createServer((_, response) => {
				// Node would say the real time of day.
				response.sendDate = false;
				response.end(`${container.hostname}${version}`);
			}),
		);
	});
}

/** `docker run` on two nodes, twice: the recorded containers did not start at the first time, and had their addresses. */
export async function runTwice(
	made: DockerSwarm,
	network: string,
	names: readonly [string, string],
): Promise<[Container<Netns>, Container<Netns>]> {
	const run = async (number: number, name: string): Promise<Container<Netns>> =>
		node(made, number).docker.run({ name, hostname: name, network }).ready;
	for (const [i, name] of names.entries()) {
		const { docker } = node(made, i + 1);
		docker.rm(await run(i + 1, name), { force: true });
	}
	return [await run(1, names[0]), await run(2, names[1])];
}

/** A network's namespace on a node. */
export const sandbox = (host: Host, network: string): string =>
	`${host.name}/1-${host.docker.networks.inspect(network).Id.slice(0, 10)}`;

/** What Wireshark can judge: octets of gossip look like other protocols by chance. */
export const JUDGED = { filter: "!(udp.port == 7946 || tcp.port == 7946)" };

/** The container of a node whose name begins so. */
export function task({ docker }: Host, name: string): Container<Netns> {
	const found = docker.containers.ls().find((each) => each.name.startsWith(name));
	return docker.containers.get(found?.name ?? name);
}

/** Frames of the nodes' own: gossip, control connections, and ARP among neighbours that talk all the time. */
export const isControl = (layers: readonly Layer[]): boolean =>
	!has(layers, "vxlan") &&
	["udp.sourcePort", "udp.destinationPort", "tcp.sourcePort", "tcp.destinationPort"].some((name) =>
		[7946, 2377].includes(Number(value(layers, name))),
	);
