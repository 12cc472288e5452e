import { parseMac, parsePrefix4 } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import type { Operation } from "../sim/index.ts";
import type { IpNamespace } from "../stack/index.ts";
import type { ClusterAttachment } from "./cluster.ts";
import { ClusterAttacher } from "./cluster-attach.ts";
import {
	type Attachment,
	type AttachmentRequest,
	type ClusterRequest,
	type ConnectOptions,
	Container,
	type RunOptions,
} from "./container.ts";
import { bindings, checkAttachment, checkMode, modeOf, readIp, setSysctls } from "./container-checks.ts";
import { drawName } from "./container-names.ts";
import { type DnsDefaults, Naming } from "./dns/naming.ts";
import { cliRefuses, conflict, DockerError, failed, forbidden, invalid, notFound } from "./docker-error.ts";
import { HealthMonitor } from "./health.ts";
import type { Ids } from "./ids.ts";
import type { Machine } from "./machine.ts";
import type { ManagedNetworks } from "./managed-networks.ts";
import type { Network } from "./network.ts";
import type { NetworkStore } from "./networks.ts";
import { type Program, programOf } from "./program.ts";
import { portSpecs } from "./publish.ts";
import { Sandbox } from "./sandbox.ts";
import { undoing } from "./undo.ts";

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const MESSAGES = {
	shared:
		"container sharing network namespace with another container or host cannot be connected to any other network",
	host: "container cannot be disconnected from host network or connected to host network",
	none: "container cannot be connected to multiple networks with one of the networks in private (none) mode",
	dying: "container is marked for removal and cannot be started",
} as const;

/** A place on a network for a container of the cluster's own, which asks nobody for it. */
export interface ManagedEndpoint extends Partial<
	Pick<AttachmentRequest, "aliases" | "driverOptions" | "service">
> {
	readonly network: Network;
	/** The address the cluster gave; one of the network's own choice unless said. */
	readonly ip?: string;
}

/** What the store works with. */
export interface ContainerStoreOptions<N extends IpNamespace> {
	readonly machine: Machine<N>;
	readonly networks: NetworkStore;
	readonly managed: ManagedNetworks;
	readonly ids: Ids;
	/** RFC 3339. */
	readonly now: () => string;
	readonly dns: DnsDefaults;
	/** What runs in containers, by image. */
	readonly images: ReadonlyMap<string, Program<N>>;
}

/** The containers of one engine. */
export class ContainerStore<N extends IpNamespace> {
	readonly #machine: Machine<N>;
	readonly #networks: NetworkStore;
	readonly #managed: ManagedNetworks;
	readonly #ids: Ids;
	readonly #now: () => string;
	readonly #naming: Naming<N>;
	readonly #attacher: ClusterAttacher;
	readonly #images: ReadonlyMap<string, Program<N>>;
	readonly #containers = new Map<string, Container<N>>();

	constructor({ machine, networks, managed, ids, now, dns, images }: ContainerStoreOptions<N>) {
		this.#images = images;
		this.#machine = machine;
		this.#networks = networks;
		this.#managed = managed;
		this.#ids = ids;
		this.#now = now;
		this.#naming = new Naming(machine, dns);
		this.#attacher = new ClusterAttacher(() => networks.cluster, machine.netns.kernel);
	}

	/** All of them, the oldest first. */
	get all(): readonly Container<N>[] {
		return [...this.#containers.values()];
	}

	/** By name, id, or the first digits of an id. Throws `DockerError` 404. */
	find(term: string | Container<N>): Container<N> {
		if (typeof term !== "string") {
			if (this.#containers.get(term.id) === term) return term;
			throw noSuch(term.id);
		}
		const name = term.replace(/^\//, "");
		const found = this.#containers.get(term) ?? this.all.find((each) => each.name === name);
		if (found !== undefined) return found;
		const byPrefix = term === "" ? [] : this.all.filter(({ id }) => id.startsWith(term));
		const [only, other] = byPrefix;
		if (other !== undefined) throw invalid(`Multiple IDs found with provided prefix: ${term}`);
		if (only === undefined) throw noSuch(term);
		return only;
	}

	// ── create, remove ────────────────────────────────────────────────────────────────────────────

	/**
	 * `docker create`; with `places`, on those networks and no others. Throws `DockerError`, `NetError` where the CLI
	 * refuses; nothing changed.
	 */
	create(options: RunOptions, places?: readonly ManagedEndpoint[]): Container<N> {
		const asked = places === undefined ? modeOf(options.network) : (places[0]?.network.name ?? "none");
		const mode = this.#shared(asked);
		const ports = portSpecs(options.publish ?? [], options.expose ?? []);
		checkMode(asked, options);
		const ip = readIp(options.ip, "--ip");
		if (options.macAddress !== undefined && parseMac(options.macAddress) === undefined)
			throw cliRefuses(`${options.macAddress} is not a valid mac address`);
		const id = this.#ids.id();
		const name = this.#name(options.name, id);
		const clock = this.#machine.netns.kernel.driver;
		const container = new Container<N>(id, name, options, this.#now(), ports, mode, clock);
		const { macAddress, links = [], aliases = [] } = options;
		const request = { ip, macAddress, aliases, links, driverOptions: null, connected: false };
		if (places !== undefined) {
			for (const { network, ...place } of places) {
				const about = { ...request, ...place, ip: readIp(place.ip, "--ip") };
				container.attachments.set(network.id, { network, ...about, endpoint: undefined });
			}
		} else if (!mode.startsWith("container:")) {
			for (const link of links) this.#checkLink(link);
			this.#request(container, mode === "default" ? "bridge" : mode, request);
		}
		this.#containers.set(id, container);
		return container;
	}

	/**
	 * Another's namespace is noted by that one's id if it is there (`adaptSharedNamespaceContainer`); if not, starting is
	 * what is refused.
	 */
	#shared(mode: string): string {
		if (!mode.startsWith("container:")) return mode;
		try {
			return `container:${this.find(mode.slice("container:".length)).id}`;
		} catch (error) {
			if (!(error instanceof DockerError)) throw error;
			return mode;
		}
	}

	/** Notes a network that a container is to be on; the cluster is asked for its own when the container starts. */
	#request(container: Container<N>, target: string, request: AttachmentRequest): void {
		const network = this.#ofCluster(target) ? undefined : this.#networks.find(target);
		if (network === undefined) {
			container.clusterRequests.set(target, { ...request, target });
			return;
		}
		const links = network.about.predefined ? [] : request.links;
		checkAttachment(network, request);
		container.attachments.set(network.id, { network, ...request, links, endpoint: undefined });
	}

	/** Whether a place on the network is the cluster's to give: it is the cluster's network, or one nobody here knows. */
	#ofCluster(target: string): boolean {
		const network = this.#networks.lookup(target);
		return network === undefined ? this.#networks.cluster !== undefined : network.about.scope === "swarm";
	}

	#checkLink(link: string): void {
		const [to = ""] = link.split(":");
		try {
			this.find(to);
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			throw invalid(`could not get container for ${to}: No such container: ${to}`);
		}
	}

	#name(wanted: string | undefined, id: string): string {
		const names = this.all.map(({ name }) => name);
		if (wanted === undefined) return drawName(this.#ids, id, names);
		if (!NAME.test(wanted)) {
			throw invalid(`Invalid container name (${wanted}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
		}
		const other = this.all.find(({ name }) => name === wanted);
		if (other === undefined) return wanted;
		throw conflict(
			`Conflict. The container name "/${wanted}" is already in use by container "${other.id}".` +
				" You have to remove (or rename) that container to be able to reuse that name.",
			{ context: { name: wanted, container: other.id } },
		);
	}

	/** `docker rm [-f]`. Throws `DockerError` 409 for one that runs, nothing changed. */
	remove(container: Container<N>, force: boolean): void {
		if (container.running) {
			if (!force) {
				throw conflict(
					`You cannot remove a running container ${container.id}.` +
						" Stop the container before attempting removal or force remove",
				);
			}
			this.stop(container);
		}
		container.cancel(conflict(MESSAGES.dying));
		this.#containers.delete(container.id);
	}

	// ── start, stop ───────────────────────────────────────────────────────────────────────────────

	/**
	 * `docker start`; nothing for one that runs, or that is on its way. On networks of the cluster's it runs when it got its
	 * places, see `container.ready`; `failed` is called when it does not get them. Throws `DockerError`, nothing changed.
	 */
	start(container: Container<N>, failed?: () => void): void {
		if (container.running || container.busy) return;
		const requests = [...container.clusterRequests.values()];
		if (requests.length === 0) return this.#run(container, []);
		this.#attach(
			container,
			requests,
			`docker start ${container.name}`,
			(places) => {
				this.#run(container, places);
			},
			failed,
		);
	}

	/** Asks the cluster for places, then goes on; what is refused then gives the places back. */
	#attach(
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

	#run(container: Container<N>, places: readonly ClusterAttachment[]): void {
		const { networkMode } = container;
		if (networkMode.startsWith("container:")) {
			container.runIn(this.#peer(container, networkMode.slice("container:".length)).netns, (code) => {
				this.stop(container, code);
			});
			this.#begin(container);
			return;
		}
		undoing((undo) => {
			const requests = [...container.clusterRequests.values()];
			for (const [i, place] of places.entries()) {
				const attachment = this.#place(container, requests[i], place);
				undo(() => {
					this.#leaveCluster(container, attachment);
				});
			}
			const host = networkMode === "host";
			const ns = host ? this.#machine.netns : this.#machine.addNetns(container.name);
			undo(() => {
				if (!host) this.#machine.delNetns(container.name);
			});
			if (!host) {
				// It is in /var/run/docker/netns, where `ip netns` does not look.
				ns.named = false;
				setSysctls(ns, container.options.sysctls ?? {});
			}
			container.sandbox = new Sandbox({
				id: this.#ids.id(),
				containerId: container.id,
				ns,
				own: !host,
				ports: bindings(container),
				gateway: this.#networks.gateway,
			});
			container.runIn(ns, (code) => {
				this.stop(container, code);
			});
			undo(() => {
				container.sandbox = undefined;
				container.runIn(undefined);
			});
			const attachments = [...container.attachments.values()];
			const made = attachments.map((each) => {
				undo(() => {
					this.#detach(each);
				});
				return this.#createEndpoint(container, each);
			});
			container.sandbox.joinAll(made);
			this.#naming.follow(container);
			undo(() => {
				this.#naming.end(container);
			});
			this.#begin(container);
		});
	}

	/** Its program runs, and is asked how it is. */
	#begin(container: Container<N>): void {
		const { image = "", healthcheck } = container.options;
		container.status = "running";
		container.exitCode = 0;
		try {
			programOf(this.#images, image)?.(container);
		} catch (error) {
			container.status = "created";
			throw error;
		}
		if (healthcheck === undefined || !container.running) return;
		const { kernel } = this.#machine.netns;
		container.monitor = new HealthMonitor(
			kernel,
			healthcheck,
			() => container.probe(),
			(status) => {
				container.healthChanged(status);
			},
		);
	}

	/** The cluster's network comes to this node, and the place on it becomes an attachment. Throws `DockerError`, nothing changed. */
	#place(container: Container<N>, request: ClusterRequest | undefined, place: ClusterAttachment): Attachment {
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
	#leaveCluster(container: Container<N>, { network, target }: Attachment): void {
		if (target === undefined) return;
		container.attachments.delete(network.id);
		this.#managed.drop(network.id, container.id);
	}

	#peer(container: Container<N>, term: string): Container<N> {
		const peer = this.find(term);
		if (peer === container) throw failed("cannot join own network");
		if (peer.running) return peer;
		throw conflict(`cannot join network of a non running container: ${peer.id}`, {
			remedy: `Start ${peer.name} first.`,
		});
	}

	#createEndpoint(container: Container<N>, each: Attachment): NonNullable<Attachment["endpoint"]> {
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

	#detach(each: Attachment): void {
		if (each.endpoint === undefined) return;
		each.network.deleteEndpoint(each.endpoint);
		each.endpoint = undefined;
	}

	/** `docker stop`, or its program ended with a code: addresses and ports are free again; nothing for one that does not run. */
	stop(container: Container<N>, exitCode = 0): void {
		container.cancel(conflict(MESSAGES.dying));
		if (!container.running) return;
		container.monitor?.stop();
		container.monitor = undefined;
		this.#naming.end(container);
		if (container.sandbox?.own === true) container.netns.endPrograms();
		container.sandbox?.clear();
		for (const each of [...container.attachments.values()]) {
			this.#detach(each);
			this.#giveBack(container, each);
		}
		if (container.sandbox?.own === true) this.#machine.delNetns(container.name);
		container.sandbox = undefined;
		container.runIn(undefined);
		container.status = "exited";
		container.exitCode = exitCode;
		container.exited();
	}

	#giveBack(container: Container<N>, each: Attachment): void {
		if (each.target === undefined) return;
		this.#leaveCluster(container, each);
		this.#attacher.detach(each.target, container.id);
	}

	// ── connect, disconnect ───────────────────────────────────────────────────────────────────────

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
		for (const link of options.links ?? []) this.#checkLink(link);
		const request: AttachmentRequest = {
			ip: readIp(options.ip, "--ip"),
			macAddress: undefined,
			aliases: options.aliases ?? [],
			links: options.links ?? [],
			driverOptions: options.driverOptions ?? null,
			connected: true,
		};
		if (this.#ofCluster(target)) return this.#connectByCluster(target, container, { ...request, target });
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
		undoing((undo) => {
			const endpoint = this.#createEndpoint(container, attachment);
			undo(() => {
				this.#detach(attachment);
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
			return this.#attach(container, [request], what, ([place]) => {
				undoing((undo) => {
					container.clusterRequests.set(target, request);
					undo(() => container.clusterRequests.delete(target));
					if (place === undefined) throw failed(`network ${target} not found`);
					const attachment = this.#place(container, request, place);
					undo(() => {
						this.#leaveCluster(container, attachment);
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
		this.#detach(attachment);
		container.attachments.delete(attachment.network.id);
		this.#giveBack(container, attachment);
		if (container.running) this.#naming.follow(container);
	}

	/** The node leaves its cluster: no container stays on one of its networks. */
	evict(network: Network): void {
		for (const container of this.#containers.values()) {
			const attachment = container.attachments.get(network.id);
			if (attachment?.target === undefined) continue;
			container.clusterRequests.delete(attachment.target);
			this.#detach(attachment);
			container.attachments.delete(network.id);
			if (container.running) this.#naming.follow(container);
		}
	}
}

const noSuch = (term: string): Error =>
	notFound(`No such container: ${term}`, { context: { container: term } });
