import { formatPrefix4 } from "../addr/index.ts";
import { shortId } from "./ids.ts";
import { Listing } from "./listing.ts";
import type { IpamConfig, Network } from "./network.ts";

/** One container in `docker network inspect`. */
export interface NetworkContainerJson {
	readonly Name: string;
	readonly EndpointID: string;
	readonly MacAddress: string;
	readonly IPv4Address: string;
	readonly IPv6Address: string;
}

/** A node on a network of the cluster's, by its name in the gossip. */
export interface NetworkPeerJson {
	readonly Name: string;
	readonly IP: string;
}

/** A service on a network, as `docker network inspect --verbose` has it; "" stands for containers of no service. */
export interface NetworkServiceJson {
	readonly VIP: string;
	/** `Target: 80, Publish: 8080`. */
	readonly Ports: readonly string[];
	/** The mark that its packets get in the load balancer. */
	readonly LocalLBIndex: number;
	readonly Tasks: readonly {
		readonly Name: string;
		readonly EndpointID: string;
		readonly EndpointIP: string;
		readonly Info: Readonly<Record<string, string>> | null;
	}[];
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
	/** Null for a network of the cluster's that is not on this node. */
	readonly Containers: Readonly<Record<string, NetworkContainerJson>> | null;
	readonly Options: Readonly<Record<string, string>>;
	/** Null for one without labels that is not on this node. */
	readonly Labels: Readonly<Record<string, string>> | null;
	readonly Peers?: readonly NetworkPeerJson[];
	readonly Services?: Readonly<Record<string, NetworkServiceJson>>;
}

/** A line of `docker network ls`. */
export interface NetworkLine {
	readonly id: string;
	readonly name: string;
	readonly driver: string;
	readonly scope: "local" | "swarm";
}

/** `docker network inspect`; `services` are those of `--verbose`. */
export function networkJson(
	network: Network,
	services?: Readonly<Record<string, NetworkServiceJson>>,
): NetworkJson {
	const { about, instantiated, tables } = network;
	const peers = tables?.peers(network.id).map(({ name, ip }) => ({ Name: name, IP: ip })) ?? [];
	const labels = sorted(about.labels);
	return {
		Name: network.name,
		Id: network.id,
		Created: about.created,
		Scope: about.scope,
		Driver: network.driver.type,
		EnableIPv6: false,
		IPAM: { Driver: "default", Options: about.ipamOptions, Config: about.ipamConfig },
		Internal: network.internal,
		Attachable: about.attachable,
		Ingress: about.ingress,
		ConfigFrom: { Network: "" },
		ConfigOnly: false,
		Containers: instantiated ? containersJson(network) : null,
		Options: sorted(about.options),
		Labels: instantiated || Object.keys(labels).length > 0 ? labels : null,
		...(peers.length === 0 ? {} : { Peers: peers }),
		...(services === undefined || Object.keys(services).length === 0 ? {} : { Services: services }),
	};
}

/** By the ids of those whose sandboxes they are in. */
function containersJson(network: Network): Record<string, NetworkContainerJson> {
	const containers = network.endpoints.flatMap((endpoint) => {
		if (endpoint.sandbox === null || endpoint.sandbox.leaving) return [];
		const entry: NetworkContainerJson = {
			Name: endpoint.name,
			EndpointID: endpoint.id,
			MacAddress: endpoint.macAddress,
			IPv4Address: endpoint.address === undefined ? "" : formatPrefix4(endpoint.address),
			IPv6Address: "",
		};
		return [[endpoint.sandbox.containerId, entry] as const];
	});
	return Object.fromEntries(containers.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** `docker network ls`, sorted as it sorts. */
export function networkLines(networks: readonly Network[]): Listing<NetworkLine> {
	const lines = networks
		.map(({ id, name, driver, about }): NetworkLine => ({
			id: shortId(id),
			name,
			driver: driver.type,
			scope: about.scope,
		}))
		.sort((a, b) => (a.name < b.name ? -1 : 1));
	return new Listing(lines, [
		["NETWORK ID", ({ id }) => id],
		["NAME", ({ name }) => name],
		["DRIVER", ({ driver }) => driver],
		["SCOPE", ({ scope }) => scope],
	]);
}

/** Go prints maps by their keys. */
const sorted = (options: Readonly<Record<string, string>>): Record<string, string> =>
	Object.fromEntries(Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1)));
