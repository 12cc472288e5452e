import { formatIp4, type Ip4, type Prefix4 } from "../addr/index.ts";
import type { Device } from "../link/index.ts";
import type { JoinInfo, PortMapping } from "./driver.ts";
import type { AddressPool } from "./ipam/index.ts";
import type { EndpointRequest, Network } from "./network.ts";
import type { Sandbox } from "./sandbox.ts";
import type { ServiceOfTask } from "./service/index.ts";

/** One attachment to a network: an address, and a device once it has joined a sandbox. */
export class Endpoint {
	readonly id: string;
	readonly name: string;
	readonly network: Network;
	readonly address: Prefix4 | undefined;
	/** Where the address is from. */
	readonly pool: AddressPool | undefined;
	/** Names that others of the network may use: container, aliases, short id (`DNSNames`). */
	readonly dnsNames: readonly string[];
	/** A node's load balancer on the network. */
	readonly loadBalancer: boolean;
	/** A task's. */
	readonly managed: boolean;
	/** What it stands for, as a service's task. */
	readonly service: ServiceOfTask | undefined;
	/** The driver's gateway, once joined. */
	gateway: Ip4 | undefined;
	sandbox: Sandbox | null = null;
	/** What the driver said when it joined, while it is in a sandbox. */
	joinInfo: JoinInfo | undefined;
	/** The device in the sandbox. */
	device: Device | null = null;
	macAddress = "";
	/** What other nodes were told of it. */
	readonly published: { readonly table: string; readonly key: string }[] = [];
	/** Listeners heard that it joined. */
	announced = false;
	/** Published ports. */
	mappings: readonly PortMapping[] = [];

	constructor(
		id: string,
		name: string,
		network: Network,
		pool: AddressPool | undefined,
		ip: Ip4 | undefined,
		dnsNames: readonly string[],
		{
			loadBalancer = false,
			managed = false,
			service,
		}: Pick<EndpointRequest, "loadBalancer" | "managed" | "service"> = {},
	) {
		this.id = id;
		this.name = name;
		this.network = network;
		this.pool = pool;
		this.address =
			pool === undefined || ip === undefined ? undefined : { address: ip, length: pool.subnet.length };
		this.dnsNames = dnsNames;
		this.loadBalancer = loadBalancer;
		this.managed = managed;
		this.service = service;
	}

	/** `172.17.0.2`, or "". */
	get ip(): string {
		return this.address === undefined ? "" : formatIp4(this.address.address);
	}
}
