import { NetError } from "../errors.ts";
import type { Driver, Operation } from "../sim/index.ts";
import { Agent } from "./agent.ts";
import type { ClusterNetwork, ClusterProvider } from "./cluster.ts";
import { conflict, forbidden, invalid, notFound, unavailable } from "./docker-error.ts";
import type { Departures } from "./departures.ts";
import type { DriverOptions, NetworkDriver } from "./driver.ts";
import type { Endpoint } from "./endpoint.ts";
import { type GatewayService, GWBRIDGE, GWBRIDGE_OPTIONS } from "./gateway.ts";
import type { Ids } from "./ids.ts";
import type { Ipam } from "./ipam/index.ts";
import { ipamConfigs } from "./ipam-config.ts";
import { type IpamConfig, Network, type NetworkAttributes, type NetworkListener } from "./network.ts";
import { Progress } from "./progress.ts";
import { allocateSubnet, shownSubnet } from "./subnets.ts";
import { undoing } from "./undo.ts";

/** What `docker network create` takes. */
export interface NetworkCreateOptions {
	/** `bridge` unless said. */
	readonly driver?: string;
	/** One subnet or several, each with its `ipRange`, `gateway` and addresses in the same place of their lists. */
	readonly subnet?: string | readonly string[];
	/** Where addresses come from; in which subnet is found out. */
	readonly ipRange?: string | readonly string[];
	readonly gateway?: string | readonly string[];
	/** Addresses kept free, by name: `--aux-address`. */
	readonly auxAddress?: Readonly<Record<string, string>>;
	/** No way out of the network. */
	readonly internal?: boolean;
	/** Containers of no service may be on it. */
	readonly attachable?: boolean;
	/** Published ports come in by it. */
	readonly ingress?: boolean;
	/** `swarm` for a network of the cluster's by a driver whose networks are a host's otherwise. */
	readonly scope?: "local" | "swarm";
	/** `-o`. */
	readonly options?: DriverOptions;
	readonly ipamOptions?: Readonly<Record<string, string>>;
	readonly labels?: Readonly<Record<string, string>>;
}

/** How networks are asked for that are not the user's. */
export interface PredefinedOptions extends NetworkCreateOptions {
	/** Shown without its gateway, as docker0's is. */
	readonly hideGateway?: boolean;
}

/** A network that is to be made, all questions answered. */
interface Making extends PredefinedOptions {
	readonly id: string;
	readonly name: string;
	readonly configs: readonly IpamConfig[];
	readonly predefined: boolean;
	readonly ipamOptionsShown: NetworkAttributes["ipamOptions"];
}

/** What the store works with. */
export interface NetworkStoreOptions {
	readonly drivers: ReadonlyMap<string, NetworkDriver>;
	readonly ipam: Ipam;
	readonly ids: Ids;
	/** Of containers that have stopped. */
	readonly departures: Departures;
	/** What awaiting drives. */
	readonly clock: Driver;
	/** RFC 3339. */
	readonly now: () => string;
	/** Puts the users' rules in front again after a network was made. */
	readonly arrange: () => void;
}

/** Names no network of a user's may have (`runconfig.IsPreDefinedNetwork`). */
const PREDEFINED: ReadonlySet<string> = new Set(["bridge", "host", "none", "default"]);

const MESSAGES = {
	noSwarm:
		'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
	worker:
		"Cannot create a multi-host network from a worker node. Please create the network from a manager node.",
	notManager:
		"This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.",
} as const;

/** The networks of one engine, those of its cluster among them: libnetwork's controller. */
export class NetworkStore {
	/** Who hears of what happens on the networks. */
	readonly listeners: Set<NetworkListener> = new Set();
	/** This node's share in the gossip. */
	readonly agent: Agent;
	/** The cluster this node is in. */
	cluster: ClusterProvider | undefined;
	/** Where sandboxes without a way out get one. */
	readonly gateway: GatewayService;
	readonly #options: NetworkStoreOptions;
	readonly #networks = new Map<string, Network>();
	/** Networks of the cluster's that are not on this node, once somebody asked for them. */
	readonly #elsewhere = new Map<string, Network>();

	constructor(options: NetworkStoreOptions) {
		this.#options = options;
		this.gateway = { network: () => this.#gatewayNetwork(), endpointId: () => options.ids.id() };
		this.agent = new Agent(options.drivers, () => this.all);
	}

	/** The networks on this node, in the order they were made. */
	get all(): readonly Network[] {
		return [...this.#networks.values()];
	}

	/** Those, and what the cluster has elsewhere as far as this node knows. */
	get known(): readonly Network[] {
		const others = (this.cluster?.networks() ?? []).filter(({ id }) => !this.#networks.has(id));
		return [...this.all, ...others.map((each) => this.#announce(each))];
	}

	#announce(network: ClusterNetwork): Network {
		const about = this.#attributes(network);
		const known = this.#elsewhere.get(network.id) ?? new Network(about, this.#options.clock, this.listeners);
		known.become(about);
		known.instantiated = false;
		known.settle();
		this.#elsewhere.set(network.id, known);
		return known;
	}

	#attributes(network: ClusterNetwork): NetworkAttributes {
		const { ipam, ipamOptions, ...about } = network;
		return {
			...about,
			// One that got no subnet yet has no driver either.
			driver: this.#driver(network.driver === "" ? "overlay" : network.driver),
			ipamOptions,
			ipamConfig: ipam,
			userSubnets: true,
			pools: [],
			predefined: false,
			scope: "swarm",
		};
	}

	/** By name, id, or the first digits of an id. Throws `DockerError` 404, or 400 for too few digits. */
	find(term: string): Network {
		const found = this.lookup(term);
		if (found !== undefined) return found;
		throw notFound(`network ${term} not found`, {
			remedy: `Networks here: ${this.known.map(({ name }) => name).join(", ")}.`,
			context: { network: term },
		});
	}

	/** By name, id, or the first digits of an id, if there is one. Throws `DockerError` 400 for too few digits. */
	lookup(term: string): Network | undefined {
		const { known } = this;
		const exact =
			known.find(({ id }) => id === term) ??
			known.find(({ name }) => name === (term === "default" ? "bridge" : term));
		if (exact !== undefined) return exact;
		const byPrefix = term === "" ? [] : known.filter(({ id }) => id.startsWith(term));
		const [only, other] = byPrefix;
		if (other === undefined) return only;
		throw invalid(
			`network ${term} is ambiguous (${String(byPrefix.length)} matches found based on ID prefix)`,
		);
	}

	#driver(type: string): NetworkDriver {
		const driver = this.#options.drivers.get(type);
		if (driver !== undefined) return driver;
		throw notFound(`plugin "${type}" not found`, {
			remedy: `Drivers here: ${[...this.#options.drivers.keys()].join(", ")}.`,
		});
	}

	// ── create ────────────────────────────────────────────────────────────────────────────────────

	/**
	 * `docker network create`: a network of this host at once, one of the cluster's when its managers made it. Throws
	 * `DockerError`, `NetError` where the CLI refuses; nothing changed.
	 */
	create(name: string, options: NetworkCreateOptions): Network {
		if (PREDEFINED.has(name)) throw forbidden(`operation is not permitted on predefined ${name} network `);
		if (name.trim() === "") throw invalid(`invalid name: ${name}`);
		const configs = ipamConfigs(options);
		if (this.known.some((each) => each.name === name))
			throw conflict(`network with name ${name} already exists`, { context: { network: name } });
		const driver = this.#driver(options.driver ?? "bridge");
		const global = driver.dataScope === "global";
		if (global && options.scope === "local")
			throw forbidden(`cannot downgrade network scope for ${driver.type} networks`);
		if (!global && options.ingress === true)
			throw forbidden("Ingress network can only be global scope network");
		if (global || options.scope === "swarm") return this.#createInCluster(name, driver, options);
		const { ipamOptions = {} } = options;
		return this.#make({
			...options,
			id: this.#options.ids.id(),
			name,
			configs,
			predefined: false,
			ipamOptionsShown: ipamOptions,
		});
	}

	#createInCluster(name: string, driver: NetworkDriver, options: NetworkCreateOptions): Network {
		const { cluster } = this;
		if (cluster === undefined) throw unavailable(MESSAGES.noSwarm);
		if (!cluster.isManager) throw forbidden(MESSAGES.worker);
		const about: NetworkAttributes = {
			id: "",
			name,
			driver,
			options: options.options ?? {},
			labels: options.labels ?? {},
			internal: options.internal ?? false,
			attachable: options.attachable ?? false,
			ingress: options.ingress ?? false,
			ipamOptions: options.ipamOptions ?? null,
			ipamConfig: [],
			userSubnets: true,
			pools: [],
			created: this.#options.now(),
			predefined: false,
			scope: "swarm",
		};
		const network = new Network(about, this.#options.clock, this.listeners);
		network.instantiated = false;
		cluster.createNetwork(name, options, (result) => {
			if (result instanceof NetError) return network.settle(result);
			network.become({ ...about, id: result.id });
			if (!this.#networks.has(result.id)) this.#elsewhere.set(result.id, network);
			const made = cluster.networks().find(({ id }) => id === result.id);
			if (made !== undefined) network.become(this.#attributes(made));
			network.settle();
		});
		return network;
	}

	/** `bridge`, `host`, `none`: made when the daemon starts. */
	predefine(name: string, options: PredefinedOptions): Network {
		const id = this.#options.ids.id();
		const configs = ipamConfigs(options);
		return this.#make({ ...options, id, name, configs, predefined: true, ipamOptionsShown: null });
	}

	/** docker_gwbridge, made when it is first needed. Throws `DockerError`. */
	#gatewayNetwork(): Network {
		return (
			this.all.find(({ name }) => name === GWBRIDGE) ??
			this.#make({
				id: this.#options.ids.id(),
				name: GWBRIDGE,
				options: GWBRIDGE_OPTIONS,
				configs: [],
				predefined: false,
				ipamOptionsShown: null,
			})
		);
	}

	/**
	 * A network of the cluster's comes to this node, with the subnets it has there; nothing for one that is here. Its
	 * addresses are given by managers, but no network of the host's can have its subnets meanwhile. Throws `DockerError`,
	 * nothing changed.
	 */
	instantiate(network: ClusterNetwork): Network {
		const here = this.#networks.get(network.id);
		if (here !== undefined) return here;
		const { ipam, ipamOptions, ...options } = network;
		const made = this.#make({
			...options,
			scope: "swarm",
			configs: ipam,
			predefined: false,
			ipamOptionsShown: ipamOptions,
		});
		try {
			this.agent.join(made);
			for (const listener of this.listeners) listener.networkCreated?.(made);
		} catch (error) {
			for (const listener of this.listeners) listener.networkRemoving?.(made);
			for (const endpoint of made.endpoints) made.deleteEndpoint(endpoint);
			this.#delete(made);
			throw error;
		}
		this.#elsewhere.delete(network.id);
		return made;
	}

	#make(making: Making): Network {
		const { id, name, configs, predefined, hideGateway = false, scope = "local" } = making;
		const { ipam, now, arrange, clock } = this.#options;
		const driver = this.#driver(making.driver ?? "bridge");
		return undoing((undo) => {
			const wanted = configs.length === 0 ? [{ Subnet: "" }] : configs;
			const subnets = (driver.addresses ? wanted : []).map((config) => {
				const made = allocateSubnet(ipam, config, driver.type);
				undo(() => {
					ipam.releasePool(made.pool);
				});
				return made;
			});
			const options = making.options ?? {};
			const internal = making.internal ?? false;
			driver.createNetwork({ id, name, options, internal, ipv4: subnets.map(({ data }) => data) });
			const about: NetworkAttributes = {
				id,
				name,
				driver,
				options,
				labels: making.labels ?? {},
				internal,
				attachable: making.attachable ?? false,
				ingress: making.ingress ?? false,
				ipamOptions: making.ipamOptionsShown,
				ipamConfig: subnets.map(({ data }, i) => shownSubnet(data, configs[i], hideGateway)),
				userSubnets: configs.length > 0,
				pools: subnets.map(({ pool }) => pool),
				created: now(),
				predefined,
				scope,
			};
			const network = this.#elsewhere.get(id) ?? new Network(about, clock, this.listeners);
			network.become(about);
			network.instantiated = true;
			network.settle();
			this.#networks.set(id, network);
			arrange();
			return network;
		});
	}

	// ── remove ────────────────────────────────────────────────────────────────────────────────────

	/** `docker network rm`: at once, or when the managers did. Throws `DockerError` 403, 503, nothing changed. */
	remove(network: Network): Operation<undefined> {
		const { clock } = this.#options;
		if (network.about.predefined)
			throw forbidden(`${network.name} is a pre-defined network and cannot be removed`);
		if (network.about.scope === "local") {
			this.#options.departures.finish(network);
			this.#delete(network);
			return Progress.done(clock, undefined).operation;
		}
		const { cluster } = this;
		if (cluster === undefined) throw unavailable(MESSAGES.noSwarm);
		if (!cluster.isManager) throw unavailable(MESSAGES.notManager);
		const progress = new Progress<undefined>(clock, `docker network rm ${network.name}`);
		cluster.removeNetwork(network.id, (error) => {
			if (error === undefined) progress.resolve(undefined);
			else progress.reject(error);
		});
		return progress.operation;
	}

	/** A network of the cluster's goes from this node. Throws `DockerError` 403 while containers are on it, nothing changed. */
	release(network: Network): void {
		this.#options.departures.finish(network);
		this.#checkUnused(network, (endpoint) => !endpoint.loadBalancer);
		for (const listener of this.listeners) listener.networkRemoving?.(network);
		this.#delete(network);
	}

	#delete(network: Network): void {
		this.#checkUnused(network, () => true);
		for (const pool of network.about.pools) this.#options.ipam.releasePool(pool);
		this.agent.leave(network);
		network.driver.deleteNetwork(network.id);
		this.#networks.delete(network.id);
		if (network.about.scope === "local") return;
		network.instantiated = false;
		this.#elsewhere.set(network.id, network);
	}

	#checkUnused({ id, name, endpoints }: Network, counts: (endpoint: Endpoint) => boolean): void {
		const using = endpoints.filter(counts);
		if (using.length === 0) return;
		throw forbidden(`error while removing network: network ${name} id ${id} has active endpoints`, {
			remedy: "Disconnect or remove its containers first.",
			context: { endpoints: using.map((each) => each.name) },
		});
	}
}
