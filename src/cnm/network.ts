import { formatIp4, type Ip4 } from "../addr/index.ts";
import type { NetworkNames } from "./dns/names.ts";
import { failed, forbidden, invalid } from "./docker-error.ts";
import type { DriverOptions, NetworkDriver } from "./driver.ts";
import { Endpoint } from "./endpoint.ts";
import type { AddressPool } from "./ipam/index.ts";
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
}

/** A network of one engine: a driver's, with subnets and endpoints. */
export class Network {
	readonly id: string;
	readonly name: string;
	readonly driver: NetworkDriver;
	readonly internal: boolean;
	/** All else that it was made of. */
	readonly about: NetworkAttributes;
	/** Names that the cluster shares; undefined for networks of this node, whose names are those of their endpoints. */
	names: NetworkNames | undefined;
	readonly #endpoints = new Map<string, Endpoint>();

	constructor(about: NetworkAttributes) {
		this.about = about;
		this.id = about.id;
		this.name = about.name;
		this.driver = about.driver;
		this.internal = about.internal;
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

	/** `DeleteEndpoint`; one that is in a sandbox leaves it first. */
	deleteEndpoint(endpoint: Endpoint): void {
		endpoint.sandbox?.leave(endpoint);
		this.driver.deleteEndpoint(this.id, endpoint.id);
		this.#endpoints.delete(endpoint.id);
		if (endpoint.address !== undefined) endpoint.pool?.release(endpoint.address.address);
	}
}
