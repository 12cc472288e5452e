import { formatIp4, formatPrefix4, type Ip4, parseIp4 } from "../addr/index.ts";
import { conflict, DockerError, failed, forbidden, invalid, notFound } from "./docker-error.ts";
import type { DriverOptions, IpamData, NetworkDriver } from "./driver.ts";
import { type Ids, shortId } from "./ids.ts";
import type { AddressPool, Ipam } from "./ipam/index.ts";
import { ipamConfigs, readSubnet } from "./ipam-config.ts";
import { type IpamConfig, Network } from "./network.ts";
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
	readonly attachable?: boolean;
	/** `-o`. */
	readonly options?: DriverOptions;
	readonly ipamOptions?: Readonly<Record<string, string>>;
	readonly labels?: Readonly<Record<string, string>>;
}

/** One container in `docker network inspect`. */
export interface NetworkContainerJson {
	readonly Name: string;
	readonly EndpointID: string;
	readonly MacAddress: string;
	readonly IPv4Address: string;
	readonly IPv6Address: string;
}

/** What `docker network inspect` prints, keys in its order. */
export interface NetworkJson {
	readonly Name: string;
	readonly Id: string;
	readonly Created: string;
	readonly Scope: "local" | "swarm";
	readonly Driver: string;
	readonly EnableIPv6: boolean;
	readonly IPAM: {
		readonly Driver: string;
		readonly Options: Readonly<Record<string, string>> | null;
		readonly Config: readonly IpamConfig[];
	};
	readonly Internal: boolean;
	readonly Attachable: boolean;
	readonly Ingress: boolean;
	readonly ConfigFrom: { readonly Network: string };
	readonly ConfigOnly: boolean;
	readonly Containers: Readonly<Record<string, NetworkContainerJson>>;
	readonly Options: Readonly<Record<string, string>>;
	readonly Labels: Readonly<Record<string, string>>;
}

/** A line of `docker network ls`. */
export interface NetworkLine {
	readonly id: string;
	readonly name: string;
	readonly driver: string;
	readonly scope: "local" | "swarm";
}

/** How networks are asked for that are not the user's. */
export interface PredefinedOptions extends NetworkCreateOptions {
	/** Shown without its gateway, as docker0's is. */
	readonly hideGateway?: boolean;
}

/** Names no network of a user's may have (`runconfig.IsPreDefinedNetwork`). */
const PREDEFINED: ReadonlySet<string> = new Set(["bridge", "host", "none", "default"]);

/** Finds the container of an endpoint, for `Containers`. */
export type ContainerOf = (endpointId: string) => { readonly id: string; readonly name: string } | undefined;

/** The networks of one engine: libnetwork's controller. */
export class NetworkStore {
	readonly #drivers: ReadonlyMap<string, NetworkDriver>;
	readonly #ipam: Ipam;
	readonly #ids: Ids;
	readonly #now: () => string;
	readonly #arrange: () => void;
	readonly #networks = new Map<string, Network>();

	/** `arrange` puts the users' rules in front again after a network was made. */
	constructor(
		drivers: ReadonlyMap<string, NetworkDriver>,
		ipam: Ipam,
		ids: Ids,
		now: () => string,
		arrange: () => void,
	) {
		this.#drivers = drivers;
		this.#ipam = ipam;
		this.#ids = ids;
		this.#now = now;
		this.#arrange = arrange;
	}

	/** All networks, in the order they were made. */
	get all(): readonly Network[] {
		return [...this.#networks.values()];
	}

	/** By name, id, or the first digits of an id. Throws `DockerError` 404, or 400 for too few digits. */
	find(term: string): Network {
		const byId = this.#networks.get(term);
		if (byId !== undefined) return byId;
		const byName = this.all.find(({ name }) => name === (term === "default" ? "bridge" : term));
		if (byName !== undefined) return byName;
		const byPrefix = term === "" ? [] : this.all.filter(({ id }) => id.startsWith(term));
		const [only, other] = byPrefix;
		if (other !== undefined) {
			throw invalid(
				`network ${term} is ambiguous (${String(byPrefix.length)} matches found based on ID prefix)`,
			);
		}
		if (only !== undefined) return only;
		throw notFound(`network ${term} not found`, {
			remedy: `Networks here: ${this.all.map(({ name }) => name).join(", ")}.`,
			context: { network: term },
		});
	}

	/** `docker network create`. Throws `DockerError`, `NetError` where the CLI refuses; nothing changed. */
	create(name: string, options: NetworkCreateOptions): Network {
		if (PREDEFINED.has(name)) throw forbidden(`operation is not permitted on predefined ${name} network `);
		if (name.trim() === "") throw invalid(`invalid name: ${name}`);
		const configs = ipamConfigs(options);
		if (this.all.some((each) => each.name === name))
			throw conflict(`network with name ${name} already exists`, { context: { network: name } });
		return this.#make(name, options, configs, false);
	}

	/** `bridge`, `host`, `none`: made when the daemon starts. */
	predefine(name: string, options: PredefinedOptions): Network {
		return this.#make(name, options, ipamConfigs(options), true, options.hideGateway === true);
	}

	#make(
		name: string,
		options: NetworkCreateOptions,
		configs: readonly IpamConfig[],
		predefined: boolean,
		hideGateway = false,
	): Network {
		const type = options.driver ?? "bridge";
		const driver = this.#drivers.get(type);
		if (driver === undefined) {
			throw notFound(`plugin "${type}" not found`, {
				remedy: `Drivers here: ${[...this.#drivers.keys()].join(", ")}.`,
			});
		}
		const id = this.#ids.id();
		return undoing((undo) => {
			const made = !driver.addresses
				? []
				: (configs.length === 0 ? [{ Subnet: "" }] : configs).map((config) => {
						const made = this.#allocate(config, driver.type);
						undo(() => {
							this.#ipam.releasePool(made.pool);
						});
						return made;
					});
			driver.createNetwork({
				id,
				name,
				options: options.options ?? {},
				internal: options.internal ?? false,
				ipv4: made.map(({ data }) => data),
			});
			const network = new Network({
				id,
				name,
				driver,
				options: options.options ?? {},
				labels: options.labels ?? {},
				internal: options.internal ?? false,
				attachable: options.attachable ?? false,
				ipamOptions: predefined ? null : (options.ipamOptions ?? {}),
				ipamConfig: made.map(({ data }, i) => shown(data, configs[i], hideGateway)),
				userSubnets: configs.length > 0,
				pools: made.map(({ pool }) => pool),
				created: this.#now(),
				predefined,
			});
			this.#networks.set(id, network);
			this.#arrange();
			return network;
		});
	}

	/** A subnet with its gateway and the addresses kept free (`ipamAllocateVersion`). */
	#allocate(config: IpamConfig, driver: string): { readonly pool: AddressPool; readonly data: IpamData } {
		const subnet = config.Subnet === "" ? undefined : readSubnet(config.Subnet);
		const range = config.IPRange === undefined ? undefined : readSubnet(config.IPRange);
		const pool = this.#ipam.requestPool({
			...(subnet === undefined ? {} : { subnet }),
			...(range === undefined ? {} : { range }),
		});
		return undoing((undo) => {
			undo(() => {
				this.#ipam.releasePool(pool);
			});
			const wanted = config.Gateway;
			const gateway = inWords(
				(why) => `failed to allocate gateway (${wanted ?? ""}): ${why}`,
				() => pool.request(wanted === undefined ? undefined : parseIp4(wanted)),
			);
			const auxAddresses: Record<string, Ip4> = {};
			for (const [name, text] of Object.entries(config.AuxiliaryAddresses ?? {})) {
				const ip = parseIp4(text);
				if (ip === undefined)
					throw invalid(`non parsable secondary ip address (${name}:${text}) passed for network ${driver}`);
				if (!pool.contains(ip)) {
					throw forbidden(
						`auxilairy address: (${name}:${text}) must belong to the master pool: ${formatPrefix4(pool.subnet)}`,
					);
				}
				inWords(
					(why) => `failed to allocate secondary ip address (${name}:${text}): ${why}`,
					() => pool.request(ip),
				);
				auxAddresses[name] = ip;
			}
			return { pool, data: { pool: pool.subnet, gateway, auxAddresses } };
		});
	}

	/** `docker network rm`. Throws `DockerError` 403, nothing changed. */
	remove(network: Network): void {
		if (network.about.predefined)
			throw forbidden(`${network.name} is a pre-defined network and cannot be removed`);
		if (network.endpoints.length > 0) {
			throw forbidden(
				`error while removing network: network ${network.name} id ${network.id} has active endpoints`,
				{
					remedy: "Disconnect or remove its containers first.",
					context: { endpoints: network.endpoints.map(({ name }) => name) },
				},
			);
		}
		network.driver.deleteNetwork(network.id);
		for (const pool of network.about.pools) this.#ipam.releasePool(pool);
		this.#networks.delete(network.id);
	}
}

/** `docker network inspect`. */
export function networkJson(network: Network, containerOf: ContainerOf): NetworkJson {
	const { about } = network;
	const containers = network.endpoints
		.filter(({ sandbox }) => sandbox !== null)
		.map((endpoint) => {
			const container = containerOf(endpoint.id);
			const entry: NetworkContainerJson = {
				Name: container?.name ?? endpoint.name,
				EndpointID: endpoint.id,
				MacAddress: endpoint.macAddress,
				IPv4Address: endpoint.address === undefined ? "" : formatPrefix4(endpoint.address),
				IPv6Address: "",
			};
			return [container?.id ?? `ep-${endpoint.id}`, entry] as const;
		})
		.sort(([a], [b]) => (a < b ? -1 : 1));
	return {
		Name: network.name,
		Id: network.id,
		Created: about.created,
		Scope: "local",
		Driver: network.driver.type,
		EnableIPv6: false,
		IPAM: { Driver: "default", Options: about.ipamOptions, Config: about.ipamConfig },
		Internal: network.internal,
		Attachable: about.attachable,
		Ingress: false,
		ConfigFrom: { Network: "" },
		ConfigOnly: false,
		Containers: Object.fromEntries(containers),
		Options: sorted(about.options),
		Labels: sorted(about.labels),
	};
}

/** `docker network ls`, sorted as it sorts. */
export function networkLines(networks: readonly Network[]): NetworkLine[] {
	return networks
		.map(({ id, name, driver }) => ({
			id: shortId(id),
			name,
			driver: driver.type,
			scope: "local" as const,
		}))
		.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Go prints maps by their keys. */
const sorted = (options: Readonly<Record<string, string>>): Record<string, string> =>
	Object.fromEntries(Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1)));

function shown(data: IpamData, config: IpamConfig | undefined, hideGateway: boolean): IpamConfig {
	return {
		Subnet: config?.Subnet ?? formatPrefix4(data.pool),
		...(config?.IPRange === undefined ? {} : { IPRange: config.IPRange }),
		...(hideGateway ? {} : { Gateway: formatIp4(data.gateway) }),
		...(config?.AuxiliaryAddresses === undefined ? {} : { AuxiliaryAddresses: config.AuxiliaryAddresses }),
	};
}

/** Says a refusal in the words of what was to be done. */
function inWords<T>(text: (why: string) => string, work: () => T): T {
	try {
		return work();
	} catch (error) {
		if (error instanceof DockerError) throw failed(text(error.daemonMessage), { context: error.context });
		throw error;
	}
}
