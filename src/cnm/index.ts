export {
	type Attachment,
	type ConnectOptions,
	Container,
	type ContainerStatus,
	type RunOptions,
} from "./container.ts";
export type { ContainerJson, EndpointSettingsJson, NetworkSettingsJson } from "./container-json.ts";
export {
	type ContainerLine,
	type DaemonOptions,
	Docker,
	DockerContainers,
	DockerNetworks,
} from "./docker.ts";
export { DockerError } from "./docker-error.ts";
export type {
	DriverOptions,
	EndpointInfo,
	IpamData,
	JoinInfo,
	NetworkDriver,
	NetworkInfo,
	PortBinding,
	PortMapping,
	StaticRoute,
} from "./driver.ts";
export type { PortProxy, ProxyRequest, StartProxy } from "./drivers/bridge/index.ts";
export { Endpoint } from "./endpoint.ts";
export { type AddressPool, type AddressPoolOptions, Ipam } from "./ipam/index.ts";
export type { Machine } from "./machine.ts";
export { type IpamConfig, Network } from "./network.ts";
export type { NetworkContainerJson, NetworkCreateOptions, NetworkJson, NetworkLine } from "./networks.ts";
export type { HostPort, PortSpec } from "./publish.ts";
export { Sandbox } from "./sandbox.ts";
export { timestamp } from "./timestamp.ts";
export type { ClusterAttachment, ClusterNetwork, ClusterProvider } from "./cluster.ts";
