import type { Rng } from "../../sim/index.ts";
import type { IpNamespace } from "../../stack/index.ts";
import { type Channel, GrpcClient, type Identity } from "../control/index.ts";

/** What connections to other managers are made with. */
export interface PeersOptions {
	readonly ns: IpNamespace;
	readonly rng: Rng;
	readonly identity: () => Identity | undefined;
	readonly trusts: (identity: Identity | undefined) => boolean;
}

/** Connections to managers, one to each address, made when first needed and made anew when they broke. */
export class Peers {
	readonly #options: PeersOptions;
	readonly #channels = new Map<string, GrpcClient>();

	constructor(options: PeersOptions) {
		this.#options = options;
	}

	/** The way to a manager, `172.31.1.5:2377`. */
	channel(addr: string): Channel {
		const known = this.#channels.get(addr);
		if (known?.open === true) return known;
		const { ns, rng, identity, trusts } = this.#options;
		const colon = addr.lastIndexOf(":");
		const made = new GrpcClient(ns, {
			address: addr.slice(0, colon),
			port: Number(addr.slice(colon + 1)),
			serverName: "swarm-manager",
			identity: identity(),
			trusts: (peer) => peer?.role === "manager" && trusts(peer),
			rng,
		});
		this.#channels.set(addr, made);
		return made;
	}

	/** Closes all. */
	close(): void {
		for (const channel of this.#channels.values()) channel.close();
		this.#channels.clear();
	}

	/** The machine stopped. */
	forget(): void {
		for (const channel of this.#channels.values()) channel.forget();
		this.#channels.clear();
	}
}
