import type { Ip4, Mac, Prefix4 } from "../../../addr/index.ts";

/** Where somebody says an endpoint is. */
export interface Peer {
	readonly endpointId: string;
	readonly address: Prefix4;
	readonly mac: Mac;
	/** The node it is on. */
	readonly vtep: Ip4;
	/** This node's own. */
	readonly local: boolean;
}

/**
 * All that is known of a network's endpoints, by address. Several may claim the same one: while an endpoint moves, the new
 * node may speak before the old one falls silent. The first claim counts, and the next when it goes (`peerDb`).
 */
export class PeerDb {
	readonly #claims = new Map<Ip4, readonly Peer[]>();

	/** Notes a claim; nothing for one that is known. */
	add(peer: Peer): void {
		const ip = peer.address.address;
		const claims = this.#claims.get(ip) ?? [];
		if (!claims.some((each) => samePeer(each, peer))) this.#claims.set(ip, claims.concat(peer));
	}

	/** Forgets a claim. */
	delete(peer: Peer): void {
		const ip = peer.address.address;
		const left = (this.#claims.get(ip) ?? []).filter((each) => !samePeer(each, peer));
		if (left.length > 0) this.#claims.set(ip, left);
		else this.#claims.delete(ip);
	}

	/** Other nodes' claims that count, in the order in which addresses were first claimed. */
	remote(): readonly Peer[] {
		return [...this.#claims.keys()].flatMap((ip) => this.search(ip) ?? []);
	}

	/** The claim of another node that counts on an address. */
	search(ip: Ip4): Peer | undefined {
		return this.#claims.get(ip)?.find(({ local }) => !local);
	}

	/** Other nodes that endpoints are on, the first heard of first. */
	vteps(): readonly Ip4[] {
		const all = [...this.#claims.values()].flat();
		return [...new Set(all.filter(({ local }) => !local).map(({ vtep }) => vtep))];
	}
}

/** Whether two claims are one. */
export const samePeer = (a: Peer, b: Peer): boolean =>
	a.endpointId === b.endpointId &&
	a.address.address === b.address.address &&
	a.address.length === b.address.length &&
	a.mac === b.mac &&
	a.vtep === b.vtep &&
	a.local === b.local;
