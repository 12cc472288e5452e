import { createServer } from "node:http";
import { type Duration, type Host, Lab, type Netns } from "../../src/index.ts";
import type { PhysicalSwitch } from "../../src/link/index.ts";
import { serve } from "../../src/node/index.ts";
import type { Swarm } from "../../src/swarm/index.ts";

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
			createServer((_, response) => response.end(`${container.hostname}${version}`)),
		);
	});
}
