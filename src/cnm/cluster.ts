import type { NetError } from "../errors.ts";
import type { NetworkCreateOptions } from "./networks.ts";

/** A network of the cluster's, as managers keep it. */
export interface ClusterNetwork {
	/** 25 digits and letters. */
	readonly id: string;
	readonly name: string;
	readonly driver: string;
	readonly created: string;
	readonly internal: boolean;
	readonly attachable: boolean;
	readonly ingress: boolean;
	readonly labels: Readonly<Record<string, string>>;
	/** With `com.docker.network.driver.overlay.vxlanid_list`, as allocated. */
	readonly options: Readonly<Record<string, string>>;
	readonly ipam: readonly { readonly Subnet: string; readonly Gateway: string; readonly IPRange?: string }[];
	readonly ipamOptions: Readonly<Record<string, string>> | null;
}

/** What a container got on a network of the cluster's. */
export interface ClusterAttachment {
	readonly network: ClusterNetwork;
	/** `10.0.1.6/24`. */
	readonly addresses: readonly string[];
	/** The task that stands for the attachment. */
	readonly taskId: string;
}

/**
 * What an engine asks of the cluster it is in (the daemon's `ClusterProvider`). Declared here, implemented by `swarm`.
 * What goes over the wire says how it ended by calling back, some virtual time later or at once.
 */
export interface ClusterProvider {
	readonly isManager: boolean;
	/** The networks this node knows of: a manager all of them, a worker those it was told of. */
	networks(): readonly ClusterNetwork[];
	/** `docker network create -d overlay`. Throws `DockerError` for what is refused here and now; `done` says the rest. */
	createNetwork(
		name: string,
		options: NetworkCreateOptions,
		done: (result: { readonly id: string } | NetError) => void,
	): void;
	/** `docker network rm`. */
	removeNetwork(id: string, done: (error?: NetError) => void): void;
	/**
	 * A container wants to be on a network, by name or id (`AttachNetwork`): a manager gives it an address there. Refusals
	 * are said as the manager's own (`rpc error: code = PermissionDenied desc = network app not manually attachable`); the
	 * engine says to which network.
	 */
	attachNetwork(
		network: string,
		containerId: string,
		addresses: readonly string[],
		done: (result: ClusterAttachment | NetError) => void,
	): void;
	/** It is there no longer, or no longer wants to be; `network` is what `attachNetwork` was asked for. */
	detachNetwork(network: string, containerId: string): void;
}
