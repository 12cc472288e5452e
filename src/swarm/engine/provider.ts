import {
	type ClusterAttachment,
	type ClusterNetwork,
	type ClusterProvider,
	DockerError,
	type NetworkCreateOptions,
} from "../../cnm/index.ts";
import type { NetError } from "../../errors.ts";
import type { ManagerApi } from "../api/index.ts";
import type { SwarmNode } from "../node.ts";

/** What an engine asks of its cluster, by way of its node's membership. */
export class SwarmProvider implements ClusterProvider {
	readonly #node: SwarmNode;
	readonly #api: () => ManagerApi;

	/** `api` throws `DockerError` on a node that is no manager. */
	constructor(node: SwarmNode, api: () => ManagerApi) {
		this.#node = node;
		this.#api = api;
	}

	get isManager(): boolean {
		return this.#node.isManager;
	}

	networks(): readonly ClusterNetwork[] {
		return this.#node.networks();
	}

	createNetwork(
		name: string,
		options: NetworkCreateOptions,
		done: (result: { readonly id: string } | NetError) => void,
	): void {
		if (!this.isManager) {
			throw new DockerError(
				403,
				"Cannot create a multi-host network from a worker node. Please create the network from a manager node.",
			);
		}
		this.#api().networks.create(name, options, done);
	}

	removeNetwork(id: string, done: (error?: NetError) => void): void {
		this.#api().networks.rm(id, done);
	}

	attachNetwork(
		network: string,
		containerId: string,
		addresses: readonly string[],
		done: (result: ClusterAttachment | NetError) => void,
	): void {
		this.#node.attachNetwork(network, containerId, addresses, done);
	}

	detachNetwork(network: string, containerId: string): void {
		this.#node.detachNetwork(network, containerId);
	}
}
