import { formatIp4 } from "../addr/index.ts";
import type { Attachment, AttachmentRequest, Container, ContainerStatus } from "./container.ts";
import type { HealthStatus } from "./health.ts";
import { shortId } from "./ids.ts";
import { type HostPort, hostPort } from "./publish.ts";
import type { ContainerRestartPolicy } from "./restarts.ts";

/** One network in `docker inspect`, keys in its order. */
export interface EndpointSettingsJson {
	readonly IPAMConfig: { readonly IPv4Address?: string } | null;
	readonly Links: readonly string[] | null;
	readonly Aliases: readonly string[] | null;
	readonly NetworkID: string;
	readonly EndpointID: string;
	readonly Gateway: string;
	readonly IPAddress: string;
	readonly IPPrefixLen: number;
	readonly IPv6Gateway: string;
	readonly GlobalIPv6Address: string;
	readonly GlobalIPv6PrefixLen: number;
	readonly MacAddress: string;
	readonly DriverOpts: Readonly<Record<string, string>> | null;
}

/** `NetworkSettings` of `docker inspect`. */
export interface NetworkSettingsJson {
	readonly Bridge: string;
	readonly SandboxID: string;
	readonly HairpinMode: boolean;
	readonly LinkLocalIPv6Address: string;
	readonly LinkLocalIPv6PrefixLen: number;
	readonly Ports: Readonly<Record<string, readonly HostPort[] | null>>;
	readonly SandboxKey: string;
	readonly SecondaryIPAddresses: null;
	readonly SecondaryIPv6Addresses: null;
	/** From here on: of the network `bridge`, "" and 0 for containers that are not in it. */
	readonly EndpointID: string;
	readonly Gateway: string;
	readonly GlobalIPv6Address: string;
	readonly GlobalIPv6PrefixLen: number;
	readonly IPAddress: string;
	readonly IPPrefixLen: number;
	readonly IPv6Gateway: string;
	readonly MacAddress: string;
	readonly Networks: Readonly<Record<string, EndpointSettingsJson>>;
}

/** The part of `docker inspect` that networks have a share in. */
export interface ContainerJson {
	readonly Id: string;
	readonly Created: string;
	readonly State: {
		readonly Status: ContainerStatus;
		readonly Running: boolean;
		readonly Restarting: boolean;
		readonly ExitCode: number;
		readonly Health?: { readonly Status: HealthStatus; readonly FailingStreak: number };
	};
	readonly Name: string;
	readonly RestartCount: number;
	readonly HostConfig: {
		readonly NetworkMode: string;
		readonly PortBindings: Readonly<Record<string, readonly HostPort[]>>;
		readonly RestartPolicy: ContainerRestartPolicy;
		readonly PublishAllPorts: boolean;
		readonly Dns: readonly string[];
		readonly DnsOptions: readonly string[];
		readonly DnsSearch: readonly string[];
		readonly ExtraHosts: readonly string[] | null;
		readonly Links: readonly string[] | null;
	};
	readonly Config: {
		readonly Hostname: string;
		readonly Domainname: string;
		readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>;
		readonly Image: string;
		readonly Labels: Readonly<Record<string, string>>;
	};
	readonly NetworkSettings: NetworkSettingsJson;
}

/** `docker inspect` of a container. */
export function containerJson(container: Container): ContainerJson {
	const { options, ports } = container;
	const restarting = container.status === "restarting";
	const published = ports.filter(({ bindings }) => bindings.length > 0);
	return {
		Id: container.id,
		Created: container.created,
		State: {
			Status: container.status,
			// While it waits to be started again it counts as running (`SetRestarting`).
			Running: container.running || restarting,
			Restarting: restarting,
			ExitCode: container.exitCode,
			...(container.monitor === undefined
				? {}
				: { Health: { Status: container.monitor.status, FailingStreak: container.monitor.failing } }),
		},
		Name: `/${container.name}`,
		RestartCount: container.restartCount,
		HostConfig: {
			NetworkMode: container.networkMode,
			PortBindings: Object.fromEntries(published.map(({ key, bindings }) => [key, bindings.map(hostPort)])),
			RestartPolicy: container.restartPolicy,
			PublishAllPorts: options.publishAll ?? false,
			Dns: options.dns ?? [],
			DnsOptions: options.dnsOptions ?? [],
			DnsSearch: options.dnsSearch ?? [],
			ExtraHosts: options.addHost ?? null,
			Links: links(container),
		},
		Config: {
			Hostname: container.hostname,
			Domainname: options.domainname ?? "",
			...(ports.length === 0 ? {} : { ExposedPorts: Object.fromEntries(ports.map(({ key }) => [key, {}])) }),
			Image: options.image ?? "",
			Labels: options.labels ?? {},
		},
		NetworkSettings: settings(container),
	};
}

function links({ name, legacyLinks }: Container): readonly string[] | null {
	if (legacyLinks.length === 0) return null;
	return legacyLinks.map(({ child, alias }) => `/${child.name}:/${name}/${alias}`);
}

function settings(container: Container): NetworkSettingsJson {
	const { sandbox } = container;
	const networks = [...container.attachments.values()].map(
		(each) => [each.network.name, endpointJson(each, container)] as const,
	);
	// Places on the cluster's networks are there while it runs; what it asks for stays.
	const placed = new Set([...container.attachments.values()].map(({ target }) => target));
	for (const each of container.clusterRequests.values())
		if (!placed.has(each.target)) networks.push([each.target, endpointJson(each, container)]);
	const bridge = networks.find(([name]) => name === "bridge")?.[1];
	const { sandboxId } = container;
	const key = container.networkMode === "host" ? "default" : shortId(sandboxId);
	return {
		Bridge: "",
		// Of one that has stopped it says where it was (`releaseNetwork` leaves it).
		SandboxID: sandboxId,
		HairpinMode: false,
		LinkLocalIPv6Address: "",
		LinkLocalIPv6PrefixLen: 0,
		Ports: container.running && sandbox !== undefined ? portsJson(container) : {},
		SandboxKey: sandboxId === "" ? "" : `/var/run/docker/netns/${key}`,
		SecondaryIPAddresses: null,
		SecondaryIPv6Addresses: null,
		EndpointID: bridge?.EndpointID ?? "",
		Gateway: bridge?.Gateway ?? "",
		GlobalIPv6Address: "",
		GlobalIPv6PrefixLen: 0,
		IPAddress: bridge?.IPAddress ?? "",
		IPPrefixLen: bridge?.IPPrefixLen ?? 0,
		IPv6Gateway: "",
		MacAddress: bridge?.MacAddress ?? "",
		Networks: Object.fromEntries(networks.sort(([a], [b]) => (a < b ? -1 : 1))),
	};
}

function endpointJson(
	each: AttachmentRequest & Partial<Pick<Attachment, "endpoint" | "network">>,
	container: Container,
): EndpointSettingsJson {
	const { endpoint, network } = each;
	const userDefined = network?.about.predefined !== true;
	const { shortId: id, hostname } = container;
	const aliases = userDefined ? [...new Set([...each.aliases, id, hostname])] : null;
	return {
		IPAMConfig: each.ip === undefined ? (each.connected ? {} : null) : { IPv4Address: formatIp4(each.ip) },
		Links: each.links.length === 0 ? null : each.links,
		Aliases: aliases,
		NetworkID: network?.id ?? "",
		EndpointID: endpoint?.id ?? "",
		Gateway: endpoint?.gateway === undefined ? "" : formatIp4(endpoint.gateway),
		IPAddress: endpoint?.ip ?? "",
		IPPrefixLen: endpoint?.address?.length ?? 0,
		IPv6Gateway: "",
		GlobalIPv6Address: "",
		GlobalIPv6PrefixLen: 0,
		MacAddress: endpoint?.macAddress ?? "",
		DriverOpts: each.driverOptions ?? (each.connected ? {} : null),
	};
}

/** `NetworkSettings.Ports`: exposed ports, null where nothing of the host's leads there. */
export function portsJson(container: Container): Record<string, HostPort[] | null> {
	const mappings = container.sandbox?.gateway?.mappings ?? [];
	const found: Record<string, HostPort[] | null> = {};
	// Only drivers that publish ports say what is exposed: on the host's own network, or macvlan's, there is nothing.
	const endpoints = container.sandbox?.endpoints ?? [];
	if (endpoints.some(({ network }) => network.driver.programExternalConnectivity !== undefined))
		for (const { key } of container.ports) found[key] = null;
	for (const { proto, port, hostIp, hostPort: at } of mappings)
		(found[`${String(port)}/${proto}`] ??= []).push({ HostIp: hostIp, HostPort: String(at) });
	return found;
}
