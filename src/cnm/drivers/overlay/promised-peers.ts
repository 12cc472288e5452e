import type { Ip4, Mac } from "../../../addr/index.ts";
import type { PromisedFdb, Remote, VxlanDevice } from "../../../link/index.ts";
import type { PromisedNeighbours } from "../../../stack/index.ts";
import { type Peer, samePeer } from "./peer.ts";
import type { SubnetPeers } from "./peer-index.ts";

/** What many nodes know alike of a subnet, as one of them knows it. */
export interface SettledPeers {
	readonly peers: SubnetPeers;
	/** The node. */
	readonly self: Ip4;
	/** Addresses whose peers are there no more. */
	readonly over: Iterable<Ip4>;
}

/**
 * One subnet's peers that many nodes know alike, as a VXLAN device asks for them: each is given once, to the table of
 * neighbours and to the forwarding table, and what was given is the table's own from then on.
 */
export class PromisedPeers {
	readonly neighbours: PromisedNeighbours;
	readonly fdb: PromisedFdb;
	readonly #peers: SubnetPeers;
	/** This node, whose own endpoints nobody promises it. */
	readonly #self: Ip4;
	/** Addresses that are promised no longer. */
	readonly #released: Set<Ip4>;
	readonly #neighboursTaken = new Set<Ip4>();
	readonly #fdbTaken = new Set<Ip4>();

	/** `over` are addresses whose peers are there no more; what `before` gave and is promised again is not given again. */
	constructor({ peers, self, over }: SettledPeers, device: VxlanDevice, before: PromisedPeers | undefined) {
		this.#peers = peers;
		this.#self = self;
		this.#released = new Set(over);
		if (before !== undefined) {
			const still = (ip: Ip4): boolean => this.#isStill(ip, before);
			for (const ip of [...before.#neighboursTaken].filter(still)) this.#neighboursTaken.add(ip);
			for (const ip of [...before.#fdbTaken].filter(still)) this.#fdbTaken.add(ip);
		}
		const { vni, port } = device;
		const remote = ({ vtep }: Peer): Remote => ({ ip: vtep, port, vni, device: null });
		this.neighbours = {
			take: (ip) => this.#take(this.#neighboursTaken, this.at(ip))?.mac,
			takeAll: () => this.#takeAll(this.#neighboursTaken, ({ address, mac }) => [address.address, mac]),
		};
		this.fdb = {
			take: (mac) => {
				const peer = this.#take(this.#fdbTaken, this.with(mac));
				return peer && remote(peer);
			},
			takeAll: () => this.#takeAll(this.#fdbTaken, (peer) => [peer.mac, remote(peer)]),
		};
	}

	/** The peer that is promised at an address, whether or not it was given by now. */
	at(ip: Ip4): Peer | undefined {
		const peer = this.#peers.byAddress.get(ip);
		return peer === undefined || peer.vtep === this.#self || this.#released.has(ip) ? undefined : peer;
	}

	/** The peer that is promised with a MAC. */
	with(mac: Mac): Peer | undefined {
		const peer = this.#peers.byMac.get(mac);
		return peer && this.at(peer.address.address);
	}

	/** A peer is promised no longer. */
	release(ip: Ip4): void {
		this.#released.add(ip);
	}

	/** What a peer was promised is in the tables. */
	made(ip: Ip4): void {
		this.#neighboursTaken.add(ip);
		this.#fdbTaken.add(ip);
	}

	#isStill(ip: Ip4, before: PromisedPeers): boolean {
		const [was, is] = [before.at(ip), this.at(ip)];
		return was !== undefined && is !== undefined && samePeer(was, is);
	}

	#take(taken: Set<Ip4>, peer: Peer | undefined): Peer | undefined {
		if (peer === undefined || taken.has(peer.address.address)) return undefined;
		taken.add(peer.address.address);
		return peer;
	}

	*#takeAll<T>(taken: Set<Ip4>, as: (peer: Peer) => T): Generator<T> {
		for (const ip of this.#peers.byAddress.keys()) {
			const peer = this.#take(taken, this.at(ip));
			if (peer !== undefined) yield as(peer);
		}
	}
}
