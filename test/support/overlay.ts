import { readFileSync } from "node:fs";
import {
	type ClusterKey,
	type Container,
	type Duration,
	type Host,
	Lab,
	type Netns,
} from "../../src/index.ts";
import { FakeCluster, sandboxOf } from "./cluster.ts";
import { has, keep, type TimedFrame, value } from "./golden.ts";

/** A node of the recorded swarm. */
export interface OverlayNode {
	readonly host: Host;
	/** The network's namespace. */
	readonly sandbox: Netns;
	readonly container: Container<Netns>;
}

/** One of the recorded networks with a container on each of two nodes. */
export interface RecordedOverlay {
	readonly network: string;
	readonly id: string;
	readonly subnet: string;
	readonly vni: number;
	readonly options?: Readonly<Record<string, string>>;
	/** The containers on node1 and node2, whose addresses end in 6 and 8; the load balancers' end in 7 and 9. */
	readonly containers: readonly [string, string];
	readonly keys?: readonly ClusterKey[];
	/** Of each cable, where packets crossed under way. */
	readonly delay?: Duration;
}

export const UBER_NET: RecordedOverlay = {
	network: "uber-net",
	id: "m768rftdak85knqcox88cd9m1",
	subnet: "10.0.1.0/24",
	vni: 4097,
	containers: ["c1", "c2"],
};

const ipsec = (key: string, lamportTime: number): ClusterKey => ({
	subsystem: "networking:ipsec",
	key,
	lamportTime,
});

export const SEC_NET: RecordedOverlay = {
	network: "sec-net",
	id: "aw0ua8269h0000000000000000".slice(0, 25),
	subnet: "10.7.7.0/24",
	vni: 4098,
	options: { encrypted: "" },
	containers: ["e1", "e2"],
	// As long as those machines took: a round trip of some 8 ms.
	delay: "2ms",
	// The only Lamport times that the recorded SPIs come from.
	keys: [
		ipsec("12757cee70e1a18eaf2e6bfb15051357", 18_621),
		ipsec("f08036e6bb20d66e817fc1006871389d", 18_622),
		ipsec("f5702867302af6e9a4761cf63851a153", 18_623),
	],
};

/** Three nodes of a swarm with ingress, as recorded: addresses, MACs and VNIs; an outside host that names come from. */
export function recordedSwarm(
	seed: number,
	options: { readonly epoch: string; readonly keys?: readonly ClusterKey[]; readonly delay?: Duration },
): {
	readonly lab: Lab;
	readonly hosts: readonly Host[];
	readonly cluster: FakeCluster;
	readonly outside: Host;
} {
	const lab = new Lab({ seed, epoch: options.epoch });
	const lan = lab.switch("underlay");
	const cable = options.delay === undefined ? {} : { cable: { delay: options.delay } };
	const outside = lab.host("outside", {
		nics: { eth0: { address: "172.31.1.1/24", mac: "02:00:00:00:01:01", attach: lan } },
	});
	const cluster = new FakeCluster(lab, options.keys === undefined ? {} : { keys: options.keys });
	const ingress = cluster.define("ingress", {
		id: "4l2l929d98zw0000000000000",
		subnets: ["10.0.0.0/24"],
		ingress: true,
		attachable: false,
		options: { "com.docker.network.driver.overlay.vxlanid_list": "4096" },
	});
	const hosts = [1, 2, 3].map((number) => {
		const ip = `172.31.1.${String(4 + number)}`;
		const mac = `52:54:00:00:0${String(number)}:00`;
		const host = lab.host(`node${String(number)}`, {
			nics: {
				eth0: { address: `${ip}/24`, gateway: "172.31.1.1", mac, attach: lan, ...cable },
				eth1: { mac: `52:54:00:00:0${String(number)}:01` },
			},
		});
		host.netns.files.set("/etc/resolv.conf", "search lab.example\nnameserver 172.31.1.1\n");
		cluster.join(host, ip, ["85083ceca00e", "a29b42d75eb9", "0c1d2e3f4a5b"][number - 1]);
		host.docker.controller.createManagedNetwork(ingress, "ingress");
		return host;
	});
	return { lab, hosts, cluster, outside };
}

/** The recorded network with its two containers, by the recorded docker commands; a minute passes, as there. */
export async function recordedOverlay(
	seed: number,
	{ network: name, id, subnet, vni, options, containers, keys, delay }: RecordedOverlay = UBER_NET,
) {
	const swarm = recordedSwarm(seed, {
		epoch: "2026-11-23T17:14:00Z",
		...(keys === undefined ? {} : { keys }),
		...(delay === undefined ? {} : { delay }),
	});
	const { lab, hosts, cluster } = swarm;
	const network = cluster.define(name, {
		id,
		subnets: [subnet],
		options: { "com.docker.network.driver.overlay.vxlanid_list": String(vni), ...options },
	});
	cluster.next(network, 6, 7, 8, 9);
	const nodes: OverlayNode[] = [];
	for (const [i, container] of containers.entries()) {
		const host = hosts[i];
		if (host === undefined) throw new Error("there are two nodes");
		const ready = host.docker.run({ name: container, hostname: container, network: name }).ready;
		nodes.push({ host, container: await ready, sandbox: sandboxOf(host, `1-${id.slice(0, 10)}`) });
	}
	await lab.advance("60s");
	const [first, second] = nodes;
	if (first === undefined || second === undefined) throw new Error("there are two nodes");
	return { ...swarm, network, nodes: [first, second] as const };
}

/** A section of a recorded dump: `##### sandbox …`, then `### bridge fdb show`. */
export function recordedSection(file: string, title: string, command: string): string[] {
	const text = readFileSync(new URL(`../golden/${file}`, import.meta.url), "utf8");
	const section = text.split(/^##### /m).find((each) => each.startsWith(`${title}\n`)) ?? "";
	const part = section.split(/^### /m).find((each) => each.startsWith(`${command}\n`));
	if (part === undefined) throw new Error(`${file} has no ${command} of ${title}`);
	return part
		.split("\n")
		.slice(1)
		.filter((line) => line !== "");
}

/** The pings from c1 to c2 of 05-overlay, at their instants: four, two, one that just fits, one that does not, and fragments. */
export function recordedPings(
	start: number,
	c1: Container<Netns>,
): readonly (readonly [at: number, command: () => void])[] {
	const ping = (options: Parameters<typeof c1.ping>[1]) => (): void => void c1.ping("10.0.1.8", options);
	return [
		[start + 0.0003, ping({ count: 4 })],
		[start + 5.378, ping({ count: 2 })],
		[start + 10.811, ping({ count: 1, size: 1422, mtuDiscovery: "do" })],
		[start + 12.6, ping({ count: 1, size: 1423, mtuDiscovery: "do" })],
		[start + 14.374, ping({ count: 1, size: 3000 })],
	];
}

/** Frames of a job alone: what nodes say of their own (gossip, control, ARP with the gateway) shares the underlay; there is no IPv6. */
export const ownOnly = (place: string, frames: TimedFrame[]): TimedFrame[] =>
	/^node\d:eth0$/.test(place)
		? keep(frames, (layers) => has(layers, "vxlan"))
		: keep(frames, (layers) => value(layers, "ethernet.type") !== 0x86dd);
