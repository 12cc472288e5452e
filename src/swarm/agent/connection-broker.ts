import type { Rng } from "../../sim/index.ts";
import type { IpNamespace } from "../../stack/index.ts";
import { type Channel, GrpcClient, type Identity } from "../control/index.ts";
import type { AgentConnection } from "./agent.ts";
import { type RemoteManager, Remotes } from "./remotes.ts";

/** What a node's ways to managers depend on. */
export interface ConnectionBrokerOptions {
	readonly ns: IpNamespace;
	/** Chooses among managers. */
	readonly rng: Rng;
	/** A stream for each connection. */
	readonly fork: (purpose: string) => Rng;
	readonly identity: () => Identity | undefined;
	/** The way to the manager on this node, once that can answer. */
	readonly local: () => Channel | undefined;
	/** The node's own manager takes up its place in the group again, and others are not asked meanwhile. */
	readonly waitsForLocal: () => boolean;
}

/** The ways from a node to managers: to the one on its machine, else to one that it knows of (swarmkit connectionbroker). */
export class ConnectionBroker {
	readonly #options: ConnectionBrokerOptions;
	readonly #remotes: Remotes;
	#connection: GrpcClient | undefined;

	constructor(options: ConnectionBrokerOptions) {
		this.#options = options;
		this.#remotes = new Remotes(options.rng);
	}

	/** These are the managers now. */
	replace(managers: readonly RemoteManager[]): void {
		this.#remotes.replace(managers);
	}

	/** A manager to ask; undefined while none is known. */
	select(): RemoteManager | undefined {
		return this.#remotes.select();
	}

	/** A way to a manager; undefined while there is none. */
	connect(): AgentConnection | undefined {
		const { identity, local, waitsForLocal } = this.#options;
		const channel = local();
		if (channel !== undefined) return { channel, observe: () => undefined, release: () => undefined };
		const remote = waitsForLocal() ? undefined : this.#remotes.select();
		if (remote === undefined || identity() === undefined) return undefined;
		const client = this.dial(remote.addr, "swarm-manager");
		this.#connection = client;
		return {
			channel: client,
			observe: (well) => {
				this.#remotes.observe(remote.addr, well);
			},
			release: () => {
				client.close();
			},
		};
	}

	/** A connection of its own to a manager. */
	dial(addr: string, serverName: string): GrpcClient {
		const { ns, fork } = this.#options;
		const colon = addr.lastIndexOf(":");
		const identity = this.#options.identity();
		return new GrpcClient(ns, {
			address: addr.slice(0, colon),
			port: Number(addr.slice(colon + 1)),
			serverName,
			identity,
			trusts: (peer) => peer?.role === "manager" && peer.cluster === identity?.cluster,
			rng: fork("connection"),
		});
	}

	/** The node leaves. */
	close(): void {
		this.#connection?.close();
		this.#connection = undefined;
	}

	/** The machine stopped: nothing is sent. */
	forget(): void {
		this.#connection?.forget();
		this.#connection = undefined;
	}
}
