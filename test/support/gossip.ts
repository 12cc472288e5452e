import { Lab } from "../../src/index.ts";
import { Gossip } from "../../src/swarm/index.ts";
import type { Host } from "../../src/lab/index.ts";
import type { TimedFrame } from "./golden.ts";

/** A node of a cluster of gossip. */
export interface Node {
	readonly host: Host;
	readonly address: string;
	gossip: Gossip;
	/** What its daemon said, with the time in seconds in front. */
	readonly log: string[];
	/** Starts the gossip anew, as when the daemon starts again: another name, nothing known. */
	restart(): Gossip;
}

/** Nodes on one switch, whose gossip is made and not started. */
export function nodesOn(lab: Lab, count: number, keys: readonly Uint8Array[] = [key(1)]): Node[] {
	const lan = lab.switch("lan");
	return Array.from({ length: count }, (_, i) => {
		const name = `node${String(i + 1)}`;
		const address = `172.31.${String((i + 5) >> 8)}.${String((i + 5) & 255)}`;
		const host = lab.host(name, { nics: { eth0: { address: `${address}/16`, attach: lan } } });
		const log: string[] = [];
		let starts = 0;
		const make = (): Gossip =>
			new Gossip({
				ns: host.netns,
				advertise: address,
				hostname: name,
				rng: host.rng.fork(`gossip ${String(starts++)}`),
				keys,
				log: (line) => log.push(`${(lab.now / 1e9).toFixed(3)} ${line}`),
			});
		const node: Node = {
			host,
			address,
			log,
			gossip: make(),
			restart() {
				node.gossip = make();
				node.gossip.start();
				return node.gossip;
			},
		};
		return node;
	});
}

/** Nodes know each other's MAC addresses: nobody needs ARP, which in a large lab costs more than the gossip. */
export function introduce(nodes: readonly Node[]): void {
	const macs = nodes.map(({ host }) => host.netns.device("eth0").mac);
	for (const { host } of nodes) {
		for (const [i, { address, host: other }] of nodes.entries()) {
			const lladdr = macs[i];
			if (other !== host && lladdr !== undefined) host.netns.neigh.add(address, { dev: "eth0", lladdr });
		}
	}
}

/** A cluster: all nodes started, joined by way of the first and at rest. */
export async function cluster(
	count: number,
	options: { readonly seed?: number; readonly keys?: readonly Uint8Array[] } = {},
): Promise<{ lab: Lab; nodes: Node[] }> {
	const lab = new Lab({ seed: options.seed ?? 1 });
	const nodes = nodesOn(lab, count, options.keys);
	if (count > 20) introduce(nodes);
	const [first] = nodes;
	for (const { gossip } of nodes) {
		gossip.start();
		if (gossip !== first?.gossip) gossip.join([first?.address ?? ""], () => undefined);
		await lab.advance(37);
	}
	await lab.advance(5000);
	return { lab, nodes };
}

/** A key of 16 equal octets. */
export const key = (octet: number): Uint8Array => new Uint8Array(16).fill(octet);

/** A packet of the gossip. */
export interface GossipPacket {
	readonly time: number;
	/** Last octet of the addresses. */
	readonly from: number;
	readonly to: number;
	readonly protocol: "udp" | "tcp";
	/** Octets of payload. */
	readonly octets: number;
	/** TCP's. */
	readonly syn: boolean;
	readonly fin: boolean;
}

/** What of a capture went to or from port 7946. */
export function gossipPackets(frames: readonly TimedFrame[]): GossipPacket[] {
	return frames.flatMap(({ time, data }): GossipPacket[] => {
		const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
		if (view.getUint16(12) !== 0x0800) return [];
		const at = 14 + 4 * (view.getUint8(14) & 0xf);
		const protocol = view.getUint8(23);
		if (protocol !== 6 && protocol !== 17) return [];
		if (view.getUint16(at) !== 7946 && view.getUint16(at + 2) !== 7946) return [];
		const end = 14 + view.getUint16(16);
		const tcp = protocol === 6;
		const flags = tcp ? view.getUint8(at + 13) : 0;
		return [
			{
				time,
				from: view.getUint8(29),
				to: view.getUint8(33),
				protocol: tcp ? "tcp" : "udp",
				octets: end - at - (tcp ? 4 * (view.getUint8(at + 12) >> 4) : 8),
				syn: (flags & 2) !== 0,
				fin: (flags & 1) !== 0,
			},
		];
	});
}
