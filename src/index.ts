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
export { DROPS, type DropReason } from "./drop.ts";
export { NetError, type NetErrorDetails } from "./errors.ts";
export {
	type Explanation,
	Host,
	type HostOptions,
	Lab,
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
	NetemOptions,
	Nic,
	PhysicalSwitch,
	RemoteOptions,
	Veth,
	VlanDevice,
	VlanOptions,
	VxlanDevice,
	VxlanMiss,
	VxlanOptions,
} from "./link/index.ts";
export type { Capture, CaptureSelection, CaptureSink, Hop } from "./observe/index.ts";
export { hopTable } from "./observe/index.ts";
export type { Duration, Instant, Operation } from "./sim/index.ts";
export type {
	ConntrackFilter,
	ConntrackTool,
	Datagram,
	Flow,
	HookFunction,
	HookPoint,
	Hooks,
	Iptables,
	LogLine,
	MtuDiscovery,
	NeighbourLine,
	NeighbourOptions,
	Netfilter,
	RouteOptions,
	RuleObject,
	RuleOptions,
	SysctlName,
	TableName,
	UdpOptions,
	UdpSocket,
} from "./stack/index.ts";
