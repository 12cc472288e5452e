import type { Ip4 } from "../../../addr/index.ts";
import { type Peer, samePeer } from "./peer.ts";
import { PeerIndex } from "./peer-index.ts";

/**
 * All that is known of a network's endpoints, by address. Several may claim the same one: while an endpoint moves, the new
 * node may speak before the old one falls silent. The first claim counts, and the next when it goes (`peerDb`).
 *
 * Claims of other nodes that many know alike are in an index that they have in common, the first ones on their addresses.
 */
export class PeerDb {
	readonly #claims = new Map<Ip4, readonly Peer[]>();
	#index: PeerIndex = PeerIndex.EMPTY;
	/** This node, whose own endpoints are in the index, too. */
	#self: Ip4 | undefined;
	/** Addresses whose claims in the index are over. */
	readonly #over = new Set<Ip4>();

	/** What many know alike is this from now on, `self` being this node; claims that are in it are forgotten here. */
	settle(index: PeerIndex, self: Ip4): void {
		this.#index = index;
		this.#self = self;
		this.#over.clear();
		for (const ip of this.#claims.keys()) {
			const known = this.settledAt(ip);
			if (known !== undefined) this.#without(ip, known);
		}
	}

	/** Notes a claim; nothing for one that is known. */
	add(peer: Peer): void {
		const ip = peer.address.address;
		const known = this.settledAt(ip);
		if (known !== undefined && samePeer(known, peer)) return;
		const claims = this.#claims.get(ip) ?? [];
		if (!claims.some((each) => samePeer(each, peer))) this.#claims.set(ip, claims.concat(peer));
	}

	/** Forgets a claim. */
	delete(peer: Peer): void {
		const ip = peer.address.address;
		const known = this.settledAt(ip);
		if (known !== undefined && samePeer(known, peer)) this.#over.add(ip);
		else this.#without(ip, peer);
	}

	#without(ip: Ip4, peer: Peer): void {
		const left = (this.#claims.get(ip) ?? []).filter((each) => !samePeer(each, peer));
		if (left.length > 0) this.#claims.set(ip, left);
		else this.#claims.delete(ip);
	}

	/** What many know alike. */
	get index(): PeerIndex {
		return this.#index;
	}

	/** Addresses whose claims in the index are over. */
	get over(): Iterable<Ip4> {
		return this.#over;
	}

	/** Another node's claim in the index, unless it is over. */
	settledAt(ip: Ip4): Peer | undefined {
		const peer = this.#index.at(ip);
		return peer === undefined || peer.vtep === this.#self || this.#over.has(ip) ? undefined : peer;
	}

	/** Other nodes' claims that count and that not many know alike, in the order in which addresses were first claimed. */
	remote(): readonly Peer[] {
		const alone = [...this.#claims.keys()].filter((ip) => this.settledAt(ip) === undefined);
		return alone.flatMap((ip) => this.search(ip) ?? []);
	}

	/** The claim of another node that counts on an address. */
	search(ip: Ip4): Peer | undefined {
		return this.settledAt(ip) ?? this.#claims.get(ip)?.find(({ local }) => !local);
	}

	/** Whether endpoints are on another node. */
	areOn(vtep: Ip4): boolean {
		return (
			this.#index.on(vtep).some(({ address }) => this.settledAt(address.address) !== undefined) ||
			[...this.#claims.values()].flat().some((each) => !each.local && each.vtep === vtep)
		);
	}
}
