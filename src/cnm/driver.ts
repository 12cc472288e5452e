import type { Ip4, Prefix4 } from "../addr/index.ts";
import type { Device } from "../link/index.ts";
import type { IpNamespace } from "../stack/index.ts";
import type { SettledTable, TableChange } from "./network-tables.ts";

/** Options as `docker network create -o KEY=VALUE` gives them. */
export type DriverOptions = Readonly<Record<string, string>>;

/** One subnet of a network, as its driver hears of it (`IPAMData`). */
export interface IpamData {
	readonly pool: Prefix4;
	/** The gateway's address in that subnet. */
	readonly gateway: Ip4;
	readonly auxAddresses: Readonly<Record<string, Ip4>>;
}

/** A network that is to be made. */
export interface NetworkInfo {
	readonly id: string;
	readonly name: string;
	readonly options: DriverOptions;
	readonly internal: boolean;
	readonly ipv4: readonly IpamData[];
}

/** `-p`: a container's port and where it is to be reached. */
export interface PortBinding {
	readonly proto: "tcp" | "udp";
	/** The container's. */
	readonly port: number;
	/** The host's address; the network's `host_binding_ipv4`, or all, unless said. */
	readonly hostIp?: Ip4;
	/** The host's port, 0 for one of the daemon's choice; the first of a range. */
	readonly hostPort: number;
	/** The last of a range. */
	readonly hostPortEnd: number;
}

/** A port as it is published. */
export interface PortMapping {
	readonly proto: "tcp" | "udp";
	readonly port: number;
	/** "0.0.0.0", "::", "127.0.0.1". */
	readonly hostIp: string;
	readonly hostPort: number;
}

/** An endpoint that is to be made, or is there. */
export interface EndpointInfo {
	readonly id: string;
	/** Undefined on networks without addresses. */
	readonly address: Prefix4 | undefined;
	/** What the user asked for. */
	readonly macAddress: string | undefined;
	readonly options: DriverOptions;
}

/** A route that a driver wants in the sandbox: `default` without a next hop is "all that is on this link". */
export interface StaticRoute {
	readonly destination: Prefix4;
	/** On the link itself unless said. */
	readonly nextHop?: Ip4;
}

/** `--link` on docker0, for an endpoint there. */
export interface LinkOptions {
	/** The container's exposed ports: who is linked to it may reach these where containers are kept apart. */
	readonly exposed: readonly Pick<PortBinding, "port" | "proto">[];
	/** The endpoints that the container is linked to. */
	readonly children: readonly string[];
}

/** What a driver wants the other nodes of a network to know of an endpoint (`AddTableEntry`). */
export interface EndpointEntry {
	/** One of the driver's `tables`. */
	readonly table: string;
	readonly key: string;
	readonly value: Uint8Array;
}

/** What a driver says when an endpoint joins a sandbox (`JoinInfo`). */
export interface JoinInfo {
	/** The device in the host's namespace that becomes the sandbox's; none for `host` and `none`. */
	readonly device?: Device;
	/** The namespace it is in now. */
	readonly from?: IpNamespace;
	/** What its name in the sandbox begins with: `eth`. */
	readonly prefix?: string;
	/** The device's address there; left as it is when not said. */
	readonly mac?: string;
	readonly gateway?: Ip4;
	readonly routes?: readonly StaticRoute[];
	/** The sandbox needs no other way out (`DisableGatewayService`). */
	readonly disableGatewayService?: boolean;
	/** Told to the network's other nodes while the endpoint is in its sandbox. */
	readonly tableEntries?: readonly EndpointEntry[];
}

/**
 * What makes networks of one kind: `bridge`, `macvlan` … A driver of one's own is registered with
 * `new Docker(…, { drivers })` and named in `docker.networks.create(name, { driver })`.
 *
 * Calls come in the order of libnetwork's life cycle: createNetwork, createEndpoint, join,
 * programExternalConnectivity, and back. One that throws has changed nothing.
 */
export interface NetworkDriver {
	/** Its name: what `-d` takes and `docker network ls` shows. */
	readonly type: string;
	/** Whether its networks have subnets. */
	readonly addresses: boolean;
	/** `global` when its networks are the cluster's and cannot be made on one host (`DataScope`); `local` unless said. */
	readonly dataScope?: "local" | "global";
	/** Tables of the gossip that its networks share among nodes (`TableEventRegister`). */
	readonly tables?: readonly string[];
	/** Makes what the network needs on the host: a bridge, a parent. Throws `NetError` with the daemon's words. */
	createNetwork(network: NetworkInfo): void;
	/** Takes away what `createNetwork` made; called when no endpoint is left. */
	deleteNetwork(networkId: string): void;
	/** Notes an endpoint, and its address on the network. */
	createEndpoint(networkId: string, endpoint: EndpointInfo): void;
	/** Forgets an endpoint that left its sandbox. */
	deleteEndpoint(networkId: string, endpointId: string): void;
	/** The address of the endpoint's device. */
	macAddress(networkId: string, endpointId: string): string;
	/** Makes the endpoint's device; says what the sandbox does with it. */
	join(networkId: string, endpointId: string): JoinInfo;
	/** The endpoint's device leaves the sandbox and is deleted. */
	leave(networkId: string, endpointId: string): void;
	/** Publishes ports; called for the endpoint alone that has its sandbox's default route. */
	programExternalConnectivity?(
		networkId: string,
		endpointId: string,
		ports: readonly PortBinding[],
		links?: LinkOptions,
	): readonly PortMapping[];
	/** Takes back what `programExternalConnectivity` did. */
	revokeExternalConnectivity?(networkId: string, endpointId: string): void;
	/** An entry of another node's changed, or is there when this node begins to take part. What it cannot read it ignores. */
	eventNotify?(change: TableChange): void;
	/** All entries of a table are known, as others know them: nothing that this node knew is missing there. */
	eventSettled?(table: SettledTable): void;
	/** The node takes part in a cluster, by these addresses (`NodeDiscovery`). */
	nodeJoined?(node: ClusterNode): void;
	/** The keys of the cluster, again when one was replaced (`EncryptionKeysConfig`, `EncryptionKeysUpdate`). */
	setKeys?(keys: readonly DriverKey[]): void;
}

/** How other nodes reach this one. */
export interface ClusterNode {
	/** Where they send a network's packets: `--data-path-addr`, or the address the node is told of by. */
	readonly dataPathAddress: string;
	/** Where this node sends them from. */
	readonly bindAddress: string;
	/** `--data-path-port`. */
	readonly dataPathPort: number;
}

/** A key for what nodes send each other on encrypted networks. */
export interface DriverKey {
	/** 16 octets. */
	readonly value: Uint8Array;
	/** Tells it from others: the low 32 bits of its Lamport time. */
	readonly tag: number;
}
