import { formatIp4, type Ip4 } from "../addr/index.ts";
import type { NetError } from "../errors.ts";
import type { Driver, Operation } from "../sim/index.ts";
import type { NetworkNames } from "./dns/names.ts";
import { failed, forbidden, invalid } from "./docker-error.ts";
import type { DriverOptions, NetworkDriver } from "./driver.ts";
import { Endpoint } from "./endpoint.ts";
import type { AddressPool } from "./ipam/index.ts";
import type { NetworkTables } from "./network-tables.ts";
import { Progress } from "./progress.ts";
import type { Sandbox } from "./sandbox.ts";
import type { ServiceOfTask } from "./service/index.ts";
import { undoing } from "./undo.ts";

/** One subnet of a network, as the user wrote it (`IPAM.Config` of `docker network inspect`). */
export interface IpamConfig {
	readonly Subnet: string;
	readonly IPRange?: string;
	readonly Gateway?: string;
	readonly AuxiliaryAddresses?: Readonly<Record<string, string>>;
}

/** What a network is made of. */
export interface NetworkAttributes {
	readonly id: string;
	readonly name: string;
	readonly driver: NetworkDriver;
	readonly options: DriverOptions;
	readonly labels: Readonly<Record<string, string>>;
	readonly internal: boolean;
	readonly attachable: boolean;
	readonly ipamOptions: Readonly<Record<string, string>> | null;
	readonly ipamConfig: readonly IpamConfig[];
	/** Whether the user chose the subnets. */
	readonly userSubnets: boolean;
	readonly pools: readonly AddressPool[];
	/** RFC 3339. */
	readonly created: string;
	/** `bridge`, `host`, `none`. */
	readonly predefined: boolean;
	/** `swarm`: the cluster's, made on this node when something of it is here. */
	readonly scope: "local" | "swarm";
	/** The network that published ports come in by. */
	readonly ingress: boolean;
}

/** Hears of what happens on networks of an engine: what publishes names and balances load (libnetwork's service code). */
export interface NetworkListener {
	/** A network of the cluster's is on this node now and takes part in the gossip. */
	networkCreated?(network: Network): void;
	/** It is about to go from this node: nobody but a load balancer is on it. */
	networkRemoving?(network: Network): void;
	/** An endpoint has its interface; its driver's entries are told. */
	endpointJoined?(endpoint: Endpoint, sandbox: Sandbox): void;
	/** It left its driver's network; its interface goes. */
	endpointLeft?(endpoint: Endpoint, sandbox: Sandbox): void;
	/** The gossip runs on this node; no network takes part yet. */
	agentStarted?(tables: NetworkTables): void;
	/** The node leaves its cluster, or its gossip ends; networks and load balancers are still there. */
	agentStopping?(): void;
}

/** What an endpoint is to be. */
export interface EndpointRequest {
	readonly id: string;
	/** The container's name. */
	readonly name: string;
	readonly ip?: Ip4 | undefined;
	readonly macAddress?: string | undefined;
	readonly options?: DriverOptions;
	readonly dnsNames?: readonly string[];
	/** A node's load balancer on the network: it does not keep the network from going. */
	readonly loadBalancer?: boolean;
	/** A task's: it takes part in its service when the task is healthy, and not by being there. */
	readonly managed?: boolean;
	readonly service?: ServiceOfTask | undefined;
}

/** A network of one engine: a driver's, with subnets and endpoints. */
export class Network {
	/** False for one of the cluster's that is not on this node. */
	instantiated = true;
	#about: NetworkAttributes;
	readonly #listeners: ReadonlySet<NetworkListener>;
	readonly #progress: Progress<Network>;
	/** What the nodes of the network share, while this one takes part. */
	tables: NetworkTables | undefined;
	/** Names that the cluster shares; undefined for networks of this node, whose names are those of their endpoints. */
	names: NetworkNames | undefined;
	readonly #endpoints = new Map<string, Endpoint>();

	constructor(about: NetworkAttributes, clock: Driver, listeners: ReadonlySet<NetworkListener> = new Set()) {
		this.#about = about;
		this.#listeners = listeners;
		this.#progress = new Progress<Network>(clock, `network ${about.name}`);
	}

	/** 64 digits, or 25 digits and letters; "" while the cluster has not made it. */
	get id(): string {
		return this.#about.id;
	}

	/** What `docker network ls` shows. */
	get name(): string {
		return this.#about.name;
	}

	/** What makes its devices. */
	get driver(): NetworkDriver {
		return this.#about.driver;
	}

	/** No way leads out of it. */
	get internal(): boolean {
		return this.#about.internal;
	}

	/** All else that it was made of. */
	get about(): NetworkAttributes {
		return this.#about;
	}

	/** When it is there: at once for networks of this host. Rejects with `DockerError` when the cluster refuses. */
	get ready(): Operation<Network> {
		return this.#progress.operation;
	}

	/** What it is now: the engine heard more of it. */
	become(about: NetworkAttributes): void {
		this.#about = about;
	}

	/** It is there, or will never be. */
	settle(error?: NetError): void {
		if (error === undefined) this.#progress.resolve(this);
		else this.#progress.reject(error);
	}

	/** In the order they were made. */
	get endpoints(): readonly Endpoint[] {
		return [...this.#endpoints.values()];
	}

	/** `CreateEndpoint`: an address is taken, the driver makes its part. Throws `DockerError`, nothing changed. */
	createEndpoint(request: EndpointRequest): Endpoint {
		if (this.endpoints.some(({ name }) => name === request.name)) {
			throw forbidden(`endpoint with name ${request.name} already exists in network ${this.name}`);
		}
		return undoing((undo) => {
			const [pool, ip] = this.#requestAddress(request.ip);
			if (pool !== undefined && ip !== undefined) undo(() => pool.release(ip));
			const endpoint = new Endpoint(
				request.id,
				request.name,
				this,
				pool,
				ip,
				request.dnsNames ?? [request.name],
				request,
			);
			this.driver.createEndpoint(this.id, {
				id: request.id,
				address: endpoint.address,
				macAddress: request.macAddress,
				options: request.options ?? {},
			});
			endpoint.macAddress = this.driver.macAddress(this.id, request.id);
			this.#endpoints.set(request.id, endpoint);
			return endpoint;
		});
	}

	/** From the first subnet that has room; a wanted address from the subnet it is in (`assignAddressVersion`). */
	#requestAddress(wanted: Ip4 | undefined): readonly [AddressPool?, Ip4?] {
		const { pools } = this.about;
		if (pools.length === 0) return [];
		const serial = this.about.ipamOptions?.["com.docker.network.ipam.serial"] === "true";
		if (wanted !== undefined) {
			const pool = pools.find((each) => each.contains(wanted));
			if (pool !== undefined) return [pool, pool.request(wanted)];
			throw invalid(
				`Invalid address ${formatIp4(wanted)}: It does not belong to any of this network's subnets`,
				{ context: { network: this.name, subnets: this.about.ipamConfig.map(({ Subnet }) => Subnet) } },
			);
		}
		for (const pool of pools) {
			const ip = pool.next(serial);
			if (ip !== undefined) return [pool, ip];
		}
		throw failed(`no available IPv4 addresses on this network's address pools: ${this.name} (${this.id})`, {
			remedy: "Remove containers, or make a network with a larger subnet or range.",
		});
	}

	/** The endpoint joined: the network's other nodes are told what the driver wants them to know. */
	publish(endpoint: Endpoint, sandbox: Sandbox): void {
		for (const { table, key, value } of endpoint.joinInfo?.tableEntries ?? []) {
			if (this.tables === undefined || endpoint.published.some((each) => each.key === key)) continue;
			this.tables.create(table, this.id, key, value);
			endpoint.published.push({ table, key });
		}
		if (endpoint.announced) return;
		endpoint.announced = true;
		for (const listener of this.#listeners) listener.endpointJoined?.(endpoint, sandbox);
	}

	/** It left. */
	withdraw(endpoint: Endpoint, sandbox: Sandbox): void {
		if (endpoint.announced)
			for (const listener of this.#listeners) listener.endpointLeft?.(endpoint, sandbox);
		endpoint.announced = false;
		for (const { table, key } of endpoint.published.splice(0)) this.tables?.delete(table, this.id, key);
	}

	/** `DeleteEndpoint`; one that is in a sandbox leaves it first. */
	deleteEndpoint(endpoint: Endpoint): void {
		endpoint.sandbox?.leave(endpoint);
		this.driver.deleteEndpoint(this.id, endpoint.id);
		this.#endpoints.delete(endpoint.id);
		if (endpoint.address !== undefined) endpoint.pool?.release(endpoint.address.address);
	}
}
