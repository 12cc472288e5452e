export { Bridge } from "./bridge/bridge.ts";
export { BridgeFdb, type BridgeFdbOptions, type FdbBridge } from "./bridge/fdb.ts";
export { type BridgeFilter, BRIDGING } from "./bridge/filter.ts";
export { PortFlags } from "./bridge/flags.ts";
export { Group, Mdb, type Member } from "./bridge/mcast/groups.ts";
export { MdbCommands, type MdbBridge, type MdbOptions } from "./bridge/mcast/mdb.ts";
export { McastConfig, type McastSettings } from "./bridge/mcast/options.ts";
export { McastPort, type McastRouter } from "./bridge/mcast/port.ts";
export { type McastBridge, type OwnQuery, Querier } from "./bridge/mcast/querier.ts";
export { Snooping } from "./bridge/mcast/snooping.ts";
export type { BridgeOptions, BridgeSettings } from "./bridge/options.ts";
export { BridgePort, type PortOptions } from "./bridge/port.ts";
export { SpanningTree, type StpBridge } from "./bridge/stp.ts";
export { type PortState, type PortTimers, type StatefulPort, StpPort } from "./bridge/stp-port.ts";
export { VlanGroup, type VlanMember } from "./bridge/vlan-group.ts";
export { BridgeVlans, type VlanBridge, type VlanFlags, type VlanRange } from "./bridge/vlans.ts";
export { Cable, CableEnd, type CableOptions, type Plug } from "./cable.ts";
export { Device, type DeviceCounters, FORWARDABLE_EXTRA, isForwardable } from "./device.ts";
export { type DeviceInput, type DeviceOwner, NEIGHBOUR_NOT_VALID, NO_NEIGHBOUR } from "./device-owner.ts";
export type { Dependent, TagTaker, Upper } from "./upper.ts";
export { Fdb, type FdbEntry, type FdbKind, type FdbPort } from "./fdb.ts";
export { type IpvlanFlag, type IpvlanMode } from "./ipvlan/port.ts";
export { IpvlanDevice, type IpvlanOptions } from "./ipvlan/ipvlan.ts";
export type { AddressListener, Layer3Upper } from "./layer3.ts";
export { linkDetails } from "./link-details.ts";
export { linkJson, type LinkJson, linkText, type NetnsRef } from "./link-show.ts";
export { Dummy } from "./dummy.ts";
export { Loopback } from "./loopback.ts";
export { ALL_NODES_MAC, MulticastList } from "./multicast-list.ts";
export { MacvlanDevice, type MacvlanMode, type MacvlanOptions } from "./macvlan/macvlan.ts";
export { Fifo, type FifoOptions } from "./qdisc/fifo.ts";
export type { Distribution } from "./qdisc/netem-distribution.ts";
export type { LossGilbertElliott, LossState } from "./qdisc/netem-loss.ts";
export { Netem, type NetemOptions } from "./qdisc/netem.ts";
export { hasCarrier, linkFlags, operState, type OperState, qdiscName } from "./operstate.ts";
export { changeQdisc, makeQdisc, type QdiscOptions } from "./qdisc/make.ts";
export type { Share, Size } from "./qdisc/units.ts";
export { Qdisc, type QdiscStats } from "./qdisc/qdisc.ts";
export { Nic } from "./nic.ts";
export { Partition } from "./partition.ts";
export type {
	PortSecurity,
	PortVlans,
	SwitchOptions,
	SwitchPortOptions,
	Violation,
} from "./switch/options.ts";
export { type SwitchCore, SwitchPort, type SwitchPortState } from "./switch/port.ts";
export type { SwitchMac } from "./switch/table.ts";
export { PhysicalSwitch } from "./switch/switch.ts";
export { Tbf, type TbfOptions } from "./qdisc/tbf.ts";
export { type Direction, IN, OUT, type Tap } from "./tap.ts";
export type { TunnelHeader, TunnelReceiver, Underlay } from "./underlay.ts";
export { Veth } from "./veth.ts";
export type { QosMap, VlanOptions, VlanProtocol } from "./vlan/options.ts";
export { stripPriorityTags } from "./vlan/tag.ts";
export { VlanDevice } from "./vlan/vlan.ts";
export type { VxlanFdbJson, VxlanFdbLine } from "./vxlan/fdb-show.ts";
export {
	type FdbFlags,
	type PromisedFdb,
	type Remote,
	VxlanFdb,
	VxlanFdbEntry,
	type VxlanFdbState,
} from "./vxlan/fdb.ts";
export type { FdbOptions, RemoteOptions, VxlanMiss, VxlanOptions } from "./vxlan/options.ts";
export { VXLAN_PORT, VxlanDevice } from "./vxlan/vxlan.ts";
export { type Drop, type Latencies, type Place, World } from "./world.ts";
