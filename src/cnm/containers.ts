import { parseMac } from "../addr/index.ts";
import type { Operation } from "../sim/index.ts";
import type { IpNamespace } from "../stack/index.ts";
import { Attachments } from "./attachments.ts";
import { type AttachmentRequest, Container } from "./container.ts";
import { checkMode, checkNames, modeOf, readIp } from "./container-checks.ts";
import { ContainerConnector } from "./container-connector.ts";
import { drawName } from "./container-names.ts";
import { ContainerRunner, DYING, KILLED } from "./container-runner.ts";
import type { Departures } from "./departures.ts";
import { type DnsDefaults, Naming } from "./dns/naming.ts";
import { cliRefuses, conflict, DockerError, invalid, notFound } from "./docker-error.ts";
import type { Ids } from "./ids.ts";
import { isLegacy, link, readLinks, unlink } from "./legacy-links.ts";
import type { Machine } from "./machine.ts";
import type { ManagedNetworks } from "./managed-networks.ts";
import type { Network } from "./network.ts";
import type { NetworkStore } from "./networks.ts";
import type { Program } from "./program.ts";
import { portSpecs } from "./publish.ts";
import type { ConnectOptions, RunOptions } from "./run-options.ts";

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

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
	readonly departures: Departures;
	readonly networks: NetworkStore;
	readonly managed: ManagedNetworks;
	readonly ids: Ids;
	/** RFC 3339. */
	readonly now: () => string;
	readonly dns: DnsDefaults;
	/** What `--add-host NAME:host-gateway` stands for. */
	readonly hostGateway: string;
	/** What runs in containers, by image. */
	readonly images: ReadonlyMap<string, Program<N>>;
}

/** The containers of one engine. */
export class ContainerStore<N extends IpNamespace> {
	readonly #machine: Machine<N>;
	readonly #ids: Ids;
	readonly #now: () => string;
	readonly #attachments: Attachments<N>;
	readonly #runner: ContainerRunner<N>;
	readonly #connector: ContainerConnector<N>;
	readonly #containers = new Map<string, Container<N>>();

	constructor({
		machine,
		departures,
		networks,
		managed,
		ids,
		now,
		dns,
		hostGateway,
		images,
	}: ContainerStoreOptions<N>) {
		this.#machine = machine;
		this.#ids = ids;
		this.#now = now;
		const attachments = new Attachments<N>({ machine, networks, managed, ids });
		const naming = new Naming(machine, dns, hostGateway);
		const find = (term: string): Container<N> => this.find(term);
		const { gateway } = networks;
		this.#attachments = attachments;
		this.#runner = new ContainerRunner({
			machine,
			attachments,
			departures,
			naming,
			gateway,
			ids,
			images,
			find,
		});
		this.#connector = new ContainerConnector({ networks, attachments, departures, naming });
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

	/**
	 * `docker create`; with `places`, on those networks and no others. Throws `DockerError`, `NetError` where the CLI
	 * refuses; nothing changed.
	 */
	create(options: RunOptions, places?: readonly ManagedEndpoint[]): Container<N> {
		const asked = places === undefined ? modeOf(options.network) : (places[0]?.network.name ?? "none");
		const mode = this.#shared(asked);
		const ports = portSpecs(options.publish ?? [], options.expose ?? []);
		checkMode(asked, options);
		checkNames(options);
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
			if (isLegacy(mode))
				link(
					container,
					readLinks(links, (term) => this.find(term)),
				);
			this.#attachments.request(container, mode === "default" ? "bridge" : mode, request);
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
		if (container.running || container.status === "restarting") {
			if (!force) {
				throw conflict(
					`You cannot remove a ${container.status} container ${container.id}.` +
						" Stop the container before attempting removal or force remove",
				);
			}
			this.#runner.stop(container, KILLED);
		}
		container.cancel(conflict(DYING));
		unlink(container);
		this.#containers.delete(container.id);
	}

	// ── what they do ──────────────────────────────────────────────────────────────────────────────

	/** `docker start`, see `ContainerRunner`. Throws `DockerError`, nothing changed. */
	start(container: Container<N>, failed?: () => void): void {
		this.#runner.start(container, failed);
	}

	/** `docker stop`; nothing for one that does not run. */
	stop(container: Container<N>): void {
		this.#runner.stop(container);
	}

	/** The machine loses power: nobody is started again. */
	crash(): void {
		this.#runner.forget();
	}

	/** `docker network connect`, see `ContainerConnector`. Throws `DockerError`, nothing changed. */
	connect(target: string, container: Container<N>, options: ConnectOptions): Operation<Container<N>> {
		return this.#connector.connect(target, container, options);
	}

	/** `docker network disconnect`. Throws `DockerError`, nothing changed. */
	disconnect(target: string, container: Container<N>): void {
		this.#connector.disconnect(target, container);
	}

	/** The node leaves its cluster: no container stays on one of its networks. */
	evict(network: Network): void {
		for (const container of this.#containers.values()) this.#connector.evict(network, container);
	}
}

const noSuch = (term: string): Error =>
	notFound(`No such container: ${term}`, { context: { container: term } });
