import { formatPrefix4, type Ip4, type Mac, network, type Prefix4 } from "../../../addr/index.ts";
import type { SettledTable, TableEntry } from "../../network-tables.ts";
import { type Peer, readPeer } from "./peer.ts";

/** The peers of one subnet. */
export interface SubnetPeers {
	readonly byAddress: ReadonlyMap<Ip4, Peer>;
	readonly byMac: ReadonlyMap<Mac, Peer>;
}

/**
 * A settled `overlay_peer_table`, read once for all nodes that have it in common. An address and a MAC are one peer's here;
 * whoever claims them, too, is among the `others`.
 */
export class PeerIndex {
	static readonly EMPTY: PeerIndex = new PeerIndex();

	/** By the text of the subnet's prefix, `10.0.1.0/24`. */
	readonly subnets: ReadonlyMap<string, SubnetPeers>;
	/** Peers whose address or MAC is another one's already. */
	readonly others: readonly Peer[];
	/** Why records could not be read. */
	readonly unread: readonly string[];
	readonly #byAddress = new Map<Ip4, Peer>();
	readonly #byVtep = new Map<Ip4, Peer[]>();

	private constructor(entries: Iterable<TableEntry> = []) {
		const subnets = new Map<string, { byAddress: Map<Ip4, Peer>; byMac: Map<Mac, Peer> }>();
		const macs = new Set<Mac>();
		const others: Peer[] = [];
		const unread: string[] = [];
		for (const { key, value } of entries) {
			const peer = readPeer(key, value);
			if (typeof peer === "string") {
				unread.push(peer);
				continue;
			}
			const { address, mac, vtep } = peer;
			if (this.#byAddress.has(address.address) || macs.has(mac)) {
				others.push(peer);
				continue;
			}
			this.#byAddress.set(address.address, peer);
			macs.add(mac);
			const at = textOf(address);
			const subnet = subnets.get(at) ?? { byAddress: new Map<Ip4, Peer>(), byMac: new Map<Mac, Peer>() };
			subnets.set(at, subnet);
			subnet.byAddress.set(address.address, peer);
			subnet.byMac.set(mac, peer);
			const there = this.#byVtep.get(vtep);
			if (there === undefined) this.#byVtep.set(vtep, [peer]);
			else there.push(peer);
		}
		this.subnets = subnets;
		this.others = others;
		this.unread = unread;
	}

	/** That of a table. */
	static readonly of = ({ entries }: SettledTable): PeerIndex => new PeerIndex(entries.values());

	/** The peer at an address. */
	at(ip: Ip4): Peer | undefined {
		return this.#byAddress.get(ip);
	}

	/** Nodes that peers are on. */
	get vteps(): Iterable<Ip4> {
		return this.#byVtep.keys();
	}

	/** The peers on a node. */
	on(vtep: Ip4): readonly Peer[] {
		return this.#byVtep.get(vtep) ?? [];
	}

	/** The peers in a subnet. */
	in(pool: Prefix4): SubnetPeers | undefined {
		return this.subnets.get(textOf(pool));
	}
}

const textOf = (prefix: Prefix4): string =>
	formatPrefix4({ address: network(prefix), length: prefix.length });
