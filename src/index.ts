/**
 * Container networking in one process, packet by packet: make a `Lab`, put hosts, namespaces and devices in it, let
 * them talk, and save what was captured.
 *
 * @packageDocumentation
 */
export { formatIp4, formatMac, type Ip4, type Mac, type Prefix4, type Vni } from "./addr/index.ts";
export {
	arping,
	type ArpingOptions,
	type ArpingResult,
	type PingError,
	type PingOptions,
	type PingReply,
	type PingResult,
} from "./apps/index.ts";
export {
	type AddressPoolOptions,
	type ConnectOptions,
	type Container,
	type ContainerJson,
	type ContainerLine,
	type DaemonOptions,
	type Docker,
	type DockerContainers,
	DockerError,
	type DockerNetworks,
	type DriverOptions,
	type EndpointInfo,
	type EndpointSettingsJson,
	type HostPort,
	type IpamConfig,
	type IpamData,
	type JoinInfo,
	type Network,
	type NetworkCreateOptions,
	type NetworkDriver,
	type NetworkInfo,
	type NetworkJson,
	type NetworkLine,
	type NetworkSettingsJson,
	type PortBinding,
	type PortMapping,
	type PortProxy,
	type ProxyRequest,
	type RunOptions,
	type StartProxy,
} from "./cnm/index.ts";
export { DROPS, type DropReason } from "./drop.ts";
export { NetError, type NetErrorDetails } from "./errors.ts";
export {
	type Explanation,
	Host,
	type HostOptions,
	Lab,
	type LabCableOptions,
	type LabOptions,
	type LabVethEnd,
	Netns,
	type NicOptions,
} from "./lab/index.ts";
export type {
	Bridge,
	BridgeOptions,
	Cable,
	CableOptions,
	Device,
	DeviceCounters,
	Drop,
	FdbOptions,
	FifoOptions,
	LinkJson,
	LossGilbertElliott,
	LossState,
	NetemOptions,
	Nic,
	PhysicalSwitch,
	OperState,
	Qdisc,
	QdiscOptions,
	QdiscStats,
	RemoteOptions,
	SwitchMac,
	SwitchOptions,
	SwitchPort,
	SwitchPortOptions,
	TbfOptions,
	Veth,
	VlanDevice,
	VlanOptions,
	VxlanDevice,
	VxlanFdbJson,
	VxlanFdbLine,
	VxlanMiss,
	VxlanOptions,
} from "./link/index.ts";
export type { Capture, CaptureSelection, CaptureSink, Hop } from "./observe/index.ts";
export { hopTable } from "./observe/index.ts";
export type { Duration, Instant, Operation } from "./sim/index.ts";
export type {
	Datagram,
	MtuDiscovery,
	NeighbourLine,
	NeighbourOptions,
	QdiscHandle,
	RouteOptions,
	SysctlName,
	UdpOptions,
	UdpSocket,
} from "./stack/index.ts";
