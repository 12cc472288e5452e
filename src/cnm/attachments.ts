import { parsePrefix4 } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import type { Operation } from "../sim/index.ts";
import type { IpNamespace } from "../stack/index.ts";
import type { ClusterAttachment } from "./cluster.ts";
import { ClusterAttacher } from "./cluster-attach.ts";
import type { Attachment, AttachmentRequest, ClusterRequest, Container } from "./container.ts";
import { checkAttachment } from "./container-checks.ts";
import { failed, notFound } from "./docker-error.ts";
import type { Ids } from "./ids.ts";
import type { Machine } from "./machine.ts";
import type { ManagedNetworks } from "./managed-networks.ts";
import type { NetworkStore } from "./networks.ts";

/** What the networks of an engine's containers are seen to with. */
export interface AttachmentsOptions<N extends IpNamespace> {
	readonly machine: Machine<N>;
	readonly networks: NetworkStore;
	readonly managed: ManagedNetworks;
	readonly ids: Ids;
}

/**
 * The places that containers have on networks: noted when asked for, endpoints while the container runs. Those on networks
 * of the cluster's are asked of the cluster each time, and given back.
 */
export class Attachments<N extends IpNamespace> {
	readonly #networks: NetworkStore;
	readonly #managed: ManagedNetworks;
	readonly #ids: Ids;
	readonly #attacher: ClusterAttacher;

	constructor({ machine, networks, managed, ids }: AttachmentsOptions<N>) {
		this.#networks = networks;
		this.#managed = managed;
		this.#ids = ids;
		this.#attacher = new ClusterAttacher(() => networks.cluster, machine.netns.kernel);
	}

	/** Notes a network that a container is to be on; the cluster is asked for its own when the container starts. */
	request(container: Container<N>, target: string, request: AttachmentRequest): void {
		const network = this.isOfCluster(target) ? undefined : this.#networks.find(target);
		if (network === undefined) {
			container.clusterRequests.set(target, { ...request, target });
			return;
		}
		const links = network.about.predefined ? [] : request.links;
		checkAttachment(network, request);
		container.attachments.set(network.id, { network, ...request, links, endpoint: undefined });
	}

	/** Whether a place on the network is the cluster's to give: it is the cluster's network, or one nobody here knows. */
	isOfCluster(target: string): boolean {
		const network = this.#networks.lookup(target);
		return network === undefined ? this.#networks.cluster !== undefined : network.about.scope === "swarm";
	}

	// ── endpoints ─────────────────────────────────────────────────────────────────────────────────

	/** The endpoint of a place on a network. Throws `DockerError`, nothing changed. */
	createEndpoint(container: Container<N>, each: Attachment): NonNullable<Attachment["endpoint"]> {
		// It may have been removed while the container did not run.
		if (!this.#networks.all.includes(each.network)) throw notFound(`network ${each.network.id} not found`);
		const { name, shortId, hostname } = container;
		const endpoint = each.network.createEndpoint({
			id: this.#ids.id(),
			name,
			ip: each.ip,
			macAddress: each.macAddress,
			options: each.driverOptions ?? {},
			dnsNames: [...new Set([name, ...each.aliases, shortId, hostname])],
			// A container that is no task asked the cluster for its place.
			managed: each.network.about.scope === "swarm" && each.target === undefined,
			service: each.service,
		});
		each.endpoint = endpoint;
		return endpoint;
	}

	/** The endpoint goes, and leaves its sandbox first. */
	detach(each: Attachment): void {
		if (each.endpoint === undefined) return;
		each.network.deleteEndpoint(each.endpoint);
		each.endpoint = undefined;
	}

	// ── places on the cluster's networks ──────────────────────────────────────────────────────────

	/** Asks the cluster for places, then goes on; what is refused then gives the places back. */
	askCluster(
		container: Container<N>,
		requests: readonly ClusterRequest[],
		what: string,
		goOn: (places: readonly ClusterAttachment[]) => void,
		failed?: () => void,
	): Operation<Container<N>> {
		const progress = container.progress(what);
		container.begin(progress, () => {
			giveUp();
		});
		const giveUp = this.#attacher.attach(requests, container.id, (result) => {
			let refused: NetError | undefined = result instanceof NetError ? result : undefined;
			try {
				if (!(result instanceof NetError)) goOn(result);
			} catch (error) {
				if (!(error instanceof NetError)) throw error;
				for (const { target } of requests) this.#attacher.detach(target, container.id);
				refused = error;
			}
			container.end(refused);
			if (refused !== undefined) failed?.();
		});
		return progress.operation;
	}

	/** The cluster's network comes to this node, and the place on it becomes an attachment. Throws `DockerError`, nothing changed. */
	place(container: Container<N>, request: ClusterRequest | undefined, place: ClusterAttachment): Attachment {
		const [address = ""] = place.addresses;
		const ip = parsePrefix4(address)?.address;
		if (ip === undefined || request === undefined)
			throw failed(`invalid CIDR address: ${address}`, { context: { network: place.network.name } });
		const network = this.#managed.need(place.network, container.id);
		const attachment = { ...request, network, ip, endpoint: undefined };
		container.attachments.set(network.id, attachment);
		return attachment;
	}

	/** An attachment that the cluster gave is given back, and its network goes from this node if nobody else needs it. */
	leaveCluster(container: Container<N>, { network, target }: Attachment): void {
		if (target === undefined) return;
		container.attachments.delete(network.id);
		this.#managed.drop(network.id, container.id);
	}

	/** What the cluster gave goes back to it; nothing for a place on a network of the host. */
	giveBack(container: Container<N>, each: Attachment): void {
		if (each.target === undefined) return;
		this.leaveCluster(container, each);
		this.#attacher.detach(each.target, container.id);
	}

	/**
	 * The container has stopped: its places are noted, and no more. What is returned takes their endpoints away, and gives
	 * the cluster what was the cluster's.
	 */
	vacate(container: Container<N>): () => void {
		const places = [...container.attachments.values()].map((each) => ({ each, endpoint: each.endpoint }));
		for (const { each } of places) {
			each.endpoint = undefined;
			if (each.target !== undefined) container.attachments.delete(each.network.id);
		}
		return () => {
			for (const { each, endpoint } of places) {
				if (endpoint !== undefined) each.network.deleteEndpoint(endpoint);
				this.giveBack(container, each);
			}
		};
	}
}
