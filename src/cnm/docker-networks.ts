import type { Operation } from "../sim/index.ts";
import type { IpNamespace } from "../stack/index.ts";
import type { Container } from "./container.ts";
import type { ContainerStore } from "./containers.ts";
import type { Controller } from "./controller.ts";
import type { Listing } from "./listing.ts";
import type { Network } from "./network.ts";
import { type NetworkJson, networkJson, type NetworkLine, networkLines } from "./network-json.ts";
import type { NetworkCreateOptions, NetworkStore } from "./networks.ts";
import type { ConnectOptions } from "./run-options.ts";

/** `docker network …` of one engine; networks are named by name, id or the first digits of it. */
export class DockerNetworks<N extends IpNamespace = IpNamespace> {
	readonly #store: NetworkStore;
	readonly #controller: Controller<N>;
	readonly #containers: ContainerStore<N>;

	constructor(store: NetworkStore, controller: Controller<N>, containers: ContainerStore<N>) {
		this.#store = store;
		this.#controller = controller;
		this.#containers = containers;
	}

	/**
	 * `docker network create`. A network of a cluster's (`driver: "overlay"`) is there when its managers made it: await
	 * `network.ready`. Throws `DockerError`, `NetError` where the CLI refuses.
	 */
	create(name: string, options: NetworkCreateOptions = {}): Network {
		return this.#store.create(name, options);
	}

	/**
	 * `docker network ls`: those of the host, and those of its cluster that it knows; `text()` of it is what the command prints.
	 */
	ls(): Listing<NetworkLine> {
		return networkLines(this.#store.known);
	}

	/** `docker network inspect`, with the services on it when `verbose`. Throws `DockerError` 404. */
	inspect(network: string | Network, options: { readonly verbose?: boolean } = {}): NetworkJson {
		const found = this.#find(network);
		return networkJson(found, options.verbose === true ? this.#controller.services?.(found) : undefined);
	}

	/**
	 * `docker network connect`: done at once on networks of the host, and when the cluster gave a place on one of its own.
	 * Throws `DockerError`.
	 */
	connect(
		network: string | Network,
		container: string | Container<N>,
		options: ConnectOptions = {},
	): Operation<Container<N>> {
		return this.#containers.connect(term(network), this.#containers.find(container), options);
	}

	/** `docker network disconnect`. Throws `DockerError`. */
	disconnect(network: string | Network, container: string | Container<N>): void {
		this.#containers.disconnect(term(network), this.#containers.find(container));
	}

	/** `docker network rm`: done at once, or when the cluster's managers did. Throws `DockerError` 403, 404, 503. */
	rm(network: string | Network): Operation<undefined> {
		return this.#store.remove(this.#find(network));
	}

	/** `docker network prune -f`: the users' networks without containers go; returns their names. */
	prune(): string[] {
		this.#controller.settle();
		const used = new Set(this.#containers.all.flatMap(({ attachments }) => [...attachments.keys()]));
		const unused = this.#store.all.filter(
			({ id, about, endpoints }) =>
				!about.predefined && about.scope === "local" && endpoints.length === 0 && !used.has(id),
		);
		for (const network of unused) void this.#store.remove(network);
		return unused.map(({ name }) => name);
	}

	#find(network: string | Network): Network {
		return this.#store.find(term(network));
	}
}

/** What the engine finds it by. */
const term = (network: string | Network): string =>
	typeof network === "string" ? network : network.id === "" ? network.name : network.id;
