export {
	type Attachment,
	type AttachmentRequest,
	type ClusterRequest,
	Container,
	type ContainerStatus,
	type LegacyLink,
} from "./container.ts";
export type { ConnectOptions, RunOptions } from "./run-options.ts";
export type { ContainerRestartPolicy } from "./restarts.ts";
export type { ContainerJson, EndpointSettingsJson, NetworkSettingsJson } from "./container-json.ts";
export type { ClusterAttachment, ClusterNetwork, ClusterProvider } from "./cluster.ts";
export type { ManagedEndpoint } from "./containers.ts";
export { type AgentOptions, type ClusterKey, Controller, type NewSandboxOptions } from "./controller.ts";
export { type ContainerLine, type DaemonOptions, Docker, DockerContainers } from "./docker.ts";
export { NETWORK_RELEASE } from "./departures.ts";
export { DockerNetworks } from "./docker-networks.ts";
export { cliRefuses, DockerError } from "./docker-error.ts";
export type {
	ClusterNode,
	DriverKey,
	DriverOptions,
	EndpointEntry,
	EndpointInfo,
	IpamData,
	JoinInfo,
	LinkOptions,
	NetworkDriver,
	NetworkInfo,
	PortBinding,
	PortMapping,
	StaticRoute,
} from "./driver.ts";
export {
	dockerProxy,
	type PortProxy,
	type ProxyRequest,
	type ProxyWork,
	type StartProxy,
	type Wake,
} from "./drivers/bridge/index.ts";
export { Endpoint } from "./endpoint.ts";
export { AddressPool, type AddressPoolOptions, Ipam, overlap } from "./ipam/index.ts";
export { ipamConfigs } from "./ipam-config.ts";
export type { NetworkNames } from "./dns/names.ts";
export { Listing, type ListingColumn } from "./listing.ts";
export type { Machine } from "./machine.ts";
export { type IpamConfig, Network, type NetworkListener } from "./network.ts";
export type {
	NetworkContainerJson,
	NetworkJson,
	NetworkLine,
	NetworkPeerJson,
	NetworkServiceJson,
} from "./network-json.ts";
export { SettledTable } from "./network-tables.ts";
export type { NetworkPeer, NetworkTables, TableChange, TableEntry } from "./network-tables.ts";
export type { NetworkCreateOptions } from "./networks.ts";
export { HealthMonitor, type HealthOptions, type HealthStatus } from "./health.ts";
export type { Program } from "./program.ts";
export { type HostPort, type PortSpec, readPublish } from "./publish.ts";
export { Sandbox } from "./sandbox.ts";
export { rfc3339, timestamp, unixTime, type UnixTime } from "./timestamp.ts";
export {
	type IngressPort,
	type IngressProtocol,
	type SandboxMaker,
	ServiceAgent,
	type ServiceAgentOptions,
	type ServiceOfTask,
} from "./service/index.ts";
