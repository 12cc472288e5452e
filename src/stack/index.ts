export {
	DEVICE_CONF,
	type DeviceConf,
	InDevice,
	type InterfaceAddress,
	NEIGHBOUR_CONF,
	type NeighbourConf,
} from "./in-device.ts";
export type { IcmpError } from "./ipv4/icmp.ts";
export { DEFAULT_TTL } from "./ipv4/ttl.ts";
export type { MtuDiscovery } from "./ipv4/send.ts";
export {
	type DestinationOptions,
	type ForwardMethod,
	IpvsCommands,
	type IpvsSettings,
	type IpvsTimeouts,
	type ServiceOptions,
	type ServiceSelector,
} from "./ipvs/index.ts";
export { Kernel } from "./kernel.ts";
export { Namespace, type ProtocolHandler } from "./namespace.ts";
export * from "./netfilter/index.ts";
export { Neighbour } from "./neighbour/neighbour.ts";
export {
	type NeighbourEffect,
	type NeighbourEvent,
	type NeighbourFacts,
	type NeighbourTimes,
	type NudState,
	step,
} from "./neighbour/state.ts";
export { NeighbourTable, type PromisedNeighbours } from "./neighbour/table.ts";
export { PacketSocket, type PacketSocketOptions } from "./packet-socket.ts";
export { type EchoReply, PingSocket } from "./ping-socket.ts";
export { PROTOCOL_RAW, type RawOptions, type RawPacket, RawSocket } from "./raw-socket.ts";
export { Fib, Route, type RouteProtocol, type RouteScope, type RouteType } from "./route.ts";
export { errorOf, type SocketError } from "./socket-error.ts";
export { type Datagram, type DatagramHandler, type UdpOptions, UdpSocket } from "./udp-socket.ts";
export { Udp } from "./udp.ts";
export { IpNamespace, type VethEnd } from "./ip-namespace.ts";
export {
	NeighbourCommands,
	type NeighbourFilter,
	type NeighbourLine,
	type NeighbourOptions,
} from "./neighbour/commands.ts";
export type { RouteQuery } from "./route-get.ts";
export { RuleCommands, type RuleOptions } from "./rule-commands.ts";
export { type Rule, type RuleAction, type RuleKey, Rules } from "./rules.ts";
export { RouteCommands, type RouteOptions } from "./route-commands.ts";
export {
	type AeadOptions,
	type LimitOptions,
	type MarkOptions,
	type PolicyDirection,
	type PolicyId,
	type PolicyOptions,
	type SelectorOptions,
	type StateFlag,
	type StateId,
	type StateOptions,
	type TemplateOptions,
	Xfrm,
	XfrmCommands,
	type XfrmCounter,
	XfrmPolicy,
	XfrmPolicyCommands,
	type XfrmVerdict,
	type XfrmShowOptions,
	XfrmStat,
	XfrmState,
	XfrmStateCommands,
} from "./xfrm/index.ts";
export { type ConntrackFilter, ConntrackTool } from "./tools/conntrack.ts";
export { Sysctl, type SysctlLists, type SysctlModules, type SysctlName } from "./sysctl.ts";
export { type QdiscHandle, TcCommands } from "./tc.ts";
export { LinkCommands } from "./links.ts";
export type { SocketFamily, SocketProgram } from "./socket-program.ts";
export {
	type ConnectOptions as TcpConnectOptions,
	type CoreConf,
	type KeepAlive,
	type ListenOptions as TcpListenOptions,
	Tcp,
	type TcpAddresses,
	type TcpChoices,
	type TcpConf,
	type TcpInfo,
	TcpListener,
	TcpServer,
	TcpSocket,
	TcpStream,
	type TcpTuning,
} from "./tcp/index.ts";
