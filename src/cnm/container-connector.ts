import { NetError } from "../errors.ts";
import type { Operation } from "../sim/index.ts";
import type { IpNamespace } from "../stack/index.ts";
import type { Attachments } from "./attachments.ts";
import type { Attachment, AttachmentRequest, ClusterRequest, Container } from "./container.ts";
import { checkAttachment, readIp } from "./container-checks.ts";
import type { Departures } from "./departures.ts";
import type { Naming } from "./dns/naming.ts";
import { failed, forbidden, invalid } from "./docker-error.ts";
import type { Network } from "./network.ts";
import type { NetworkStore } from "./networks.ts";
import type { ConnectOptions } from "./run-options.ts";
import { undoing } from "./undo.ts";

const MESSAGES = {
	shared:
		"container sharing network namespace with another container or host cannot be connected to any other network",
	host: "container cannot be disconnected from host network or connected to host network",
	none: "container cannot be connected to multiple networks with one of the networks in private (none) mode",
} as const;

/** What containers are connected to networks with. */
export interface ContainerConnectorOptions<N extends IpNamespace> {
	readonly networks: NetworkStore;
	readonly attachments: Attachments<N>;
	readonly departures: Departures;
	readonly naming: Naming<N>;
}

/** `docker network connect`, `docker network disconnect`. */
export class ContainerConnector<N extends IpNamespace> {
	readonly #networks: NetworkStore;
	readonly #attachments: Attachments<N>;
	readonly #departures: Departures;
	readonly #naming: Naming<N>;

	constructor({ networks, attachments, departures, naming }: ContainerConnectorOptions<N>) {
		this.#departures = departures;
		this.#networks = networks;
		this.#attachments = attachments;
		this.#naming = naming;
	}

	/**
	 * `docker network connect`, done at once on networks of the host, and when the cluster gave a place on one of its own.
	 * Throws `DockerError`, nothing changed.
	 */
	connect(target: string, container: Container<N>, options: ConnectOptions): Operation<Container<N>> {
		if (container.networkMode.startsWith("container:")) throw forbidden(MESSAGES.shared);
		const network = this.#networks.lookup(target);
		const type = network?.driver.type ?? "overlay";
		if (type === "host" && container.networkMode !== "host") throw invalid(MESSAGES.host);
		for (const { network: other } of container.attachments.values()) {
			if (other === network) continue;
			if (other.driver.type === "host" || type === "host") throw forbidden(MESSAGES.shared);
			if (other.driver.type === "null" || type === "null") throw invalid(MESSAGES.none);
		}
		const request: AttachmentRequest = {
			ip: readIp(options.ip, "--ip"),
			macAddress: undefined,
			aliases: options.aliases ?? [],
			links: options.links ?? [],
			driverOptions: options.driverOptions ?? null,
			connected: true,
		};
		if (this.#attachments.isOfCluster(target))
			return this.#connectByCluster(target, container, { ...request, target });
		const found = this.#networks.find(target);
		checkAttachment(found, request);
		if (!container.busy) this.#connect(found, container, request);
		else {
			container.whenFree(() => {
				this.#connectLater(found, container, request);
			});
		}
		return container.ready;
	}

	/** What was asked for while the container started; its failing is what starting ends with. */
	#connectLater(network: Network, container: Container<N>, request: AttachmentRequest): void {
		container.begin(container.progress(`docker network connect ${network.name}`), () => undefined);
		try {
			this.#connect(network, container, request);
			container.end();
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			container.end(error);
		}
	}

	#connect(
		network: Network,
		container: Container<N>,
		request: AttachmentRequest & { readonly target?: string },
	): void {
		const attachment: Attachment = { network, ...request, endpoint: undefined };
		const { sandbox } = container;
		if (sandbox === undefined) {
			container.attachments.set(network.id, attachment);
			return;
		}
		this.#departures.finish();
		undoing((undo) => {
			const endpoint = this.#attachments.createEndpoint(container, attachment);
			undo(() => {
				this.#attachments.detach(attachment);
			});
			sandbox.join(endpoint);
			container.attachments.set(network.id, attachment);
			this.#naming.follow(container);
		});
	}

	#connectByCluster(
		target: string,
		container: Container<N>,
		request: ClusterRequest,
	): Operation<Container<N>> {
		const network = this.#networks.lookup(target);
		const attached = network !== undefined && container.attachments.has(network.id);
		if (attached) throw forbidden(`${container.name} is already attached to network ${network.name}`);
		const what = `docker network connect ${target} ${container.name}`;
		const work = (): Operation<Container<N>> => {
			if (!container.running) {
				container.clusterRequests.set(target, request);
				return container.ready;
			}
			return this.#attachments.askCluster(container, [request], what, ([place]) => {
				undoing((undo) => {
					container.clusterRequests.set(target, request);
					undo(() => container.clusterRequests.delete(target));
					if (place === undefined) throw failed(`network ${target} not found`);
					const attachment = this.#attachments.place(container, request, place);
					undo(() => {
						this.#attachments.leaveCluster(container, attachment);
					});
					this.#connect(attachment.network, container, attachment);
				});
			});
		};
		if (!container.busy) return work();
		container.whenFree(() => void work());
		return container.ready;
	}

	/** `docker network disconnect`. Throws `DockerError`, nothing changed. */
	disconnect(target: string, container: Container<N>): void {
		const network = this.#networks.lookup(target);
		const attachment = network === undefined ? undefined : container.attachments.get(network.id);
		const requested = container.clusterRequests.get(attachment?.target ?? target);
		if (container.running && container.networkMode === "host" && network?.driver.type === "host")
			throw invalid(MESSAGES.host);
		if (attachment === undefined && !(requested !== undefined && !container.busy)) {
			const { name } = network ?? this.#networks.find(target);
			throw failed(
				container.running
					? `container ${container.id} is not connected to network ${name}`
					: `container ${container.id} is not connected to the network ${name}`,
			);
		}
		if (requested !== undefined) container.clusterRequests.delete(requested.target);
		if (attachment === undefined) return;
		this.#attachments.detach(attachment);
		container.attachments.delete(attachment.network.id);
		this.#attachments.giveBack(container, attachment);
		if (container.running) this.#naming.follow(container);
	}

	/** A container is put off a network that goes from this node; nothing for one that has no place of the cluster's on it. */
	evict(network: Network, container: Container<N>): void {
		this.#departures.finish(network);
		const attachment = container.attachments.get(network.id);
		if (attachment?.target === undefined) return;
		container.clusterRequests.delete(attachment.target);
		this.#attachments.detach(attachment);
		container.attachments.delete(network.id);
		if (container.running) this.#naming.follow(container);
	}
}
