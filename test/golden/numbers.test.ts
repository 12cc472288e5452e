import { beforeAll, describe, expect, test } from "vitest";
import type { Host, Netns } from "../../src/index.ts";
import { dockerSwarm, node, runTwice } from "../support/docker-swarm.ts";
import { dumps } from "../support/state-dump.ts";

// Numbers of devices (ifindex), of their other ends and of the namespaces those are in, as on node1 of the recorded swarm:
// which devices there were before, and where they went. That machine had one card more.
const MANAGEMENT = 1;

interface Numbered {
	readonly name: string;
	readonly index: number;
	readonly far: number | undefined;
	readonly ns: number | undefined;
}

/** Devices by `ip link show` or `ip addr show`. */
function numbered(text: string): Numbered[] {
	return [...text.matchAll(/^(\d+): ([^:@]+)(?:@if(\d+))?: .*\n +link\/\S+(.*)/gm)].map(
		([, index, name = "", far, rest = ""]) => {
			const ns = /link-netnsid (\d+)/.exec(rest)?.[1];
			return {
				name,
				index: Number(index),
				far: far === undefined ? undefined : Number(far),
				ns: ns === undefined ? undefined : Number(ns),
			};
		},
	);
}

const recorded = (file: string, place: string): Numbered[] => {
	const dump = dumps(file).get(place);
	return numbered(dump?.get("ip addr show") ?? dump?.get("ip -d addr show") ?? "");
};
/** Without those that came before Docker, and as if the card for management had not been there. */
const dockers = (list: readonly Numbered[], more: number): string[] =>
	list
		.filter(({ name }) => !/^(lo|eth\d|mgmt)$/.test(name))
		.map(({ name, index, far }) => {
			const called = name.replace(/^veth[0-9a-f]{7}$/, "veth");
			return `${String(index - more)} ${called}${far === undefined ? "" : `@${String(far - more)}`}`;
		});

describe("devices and namespaces have the numbers that a swarm's node gives them", () => {
	let node1: Host;
	const sandbox = (name: RegExp): Netns => {
		const [, found] = [...node1.namespaces].find(([key]) => name.test(key)) ?? [];
		if (found === undefined) throw new Error(`node1 has no ${name.source}`);
		return found;
	};
	let atFirst: string;
	beforeAll(async () => {
		const made = await dockerSwarm();
		node1 = node(made, 1);
		await made.lab.advance("1s");
		atFirst = node1.netns.links.show();
		await node1.docker.networks.create("uber-net", { driver: "overlay", attachable: true }).ready;
		await runTwice(made, "uber-net", ["c1", "c2"]);
	});

	test("of ingress: one number is spent on trying VXLAN out, then vxlan0, its load balancer's pair, docker_gwbridge and a pair", () => {
		const theirs = dockers(recorded("09-ingress/state-node1.txt", "host node1"), MANAGEMENT).slice(0, 3);
		expect(theirs).toEqual(["4 docker0", "9 docker_gwbridge", "11 veth@10"]);
		expect(dockers(numbered(atFirst), 0)).toEqual(theirs);
		const ends = (list: readonly Numbered[], more: number): number[] =>
			list.filter(({ name }) => name.startsWith("eth")).map(({ index }) => index - more);
		expect(ends(numbered(sandbox(/^ingress_sbox$/).links.show()), 0)).toEqual(
			ends(recorded("09-ingress/state-node1.txt", "sandbox ingress_sbox"), MANAGEMENT),
		);
	});

	test("of a network and a container: each after the other; the first containers' numbers are spent, their namespaces' are not", () => {
		const network = node1.docker.networks.inspect("uber-net").Id;
		const ours = [sandbox(new RegExp(`^1-${network.slice(0, 10)}`)), sandbox(/^c1$/)].map((ns) =>
			numbered(ns.links.show()),
		);
		const theirs = ["sandbox 1-m768rftdak", "container c1"].map((place) =>
			recorded("05-overlay/before-ping-node1.txt", place),
		);
		// How many the first containers took on that machine is not known.
		const first = ({ name }: Numbered): boolean => name === "vxlan0";
		const more = (theirs[0]?.find(first)?.index ?? 0) - (ours[0]?.find(first)?.index ?? 0);
		const shown = (lists: readonly (readonly Numbered[])[], off: number): string[] =>
			lists.flatMap((list) =>
				list
					.filter(({ far }) => far !== undefined)
					.map(
						({ name, index, far = 0, ns }) =>
							`${name} ${String(index - off)}@${String(far - off)} in ${String(ns)}`,
					),
			);
		expect(shown(ours, 0)).toEqual(shown(theirs, more));
		// The host's numbers: ingress 0, its sandbox 1, the network 2, its load balancer 3, c1 4.
		const ids = (list: readonly Numbered[]): (number | undefined)[] =>
			list.filter(({ name }) => name.startsWith("veth")).map(({ ns }) => ns);
		expect(ids(recorded("05-overlay/before-ping-node1.txt", "host node1"))).toEqual([1, 4]);
		expect(ids(numbered(node1.netns.links.show()))).toEqual([1, 4]);
	});
});
