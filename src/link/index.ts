export { BridgePort, type PortFlags, type PortState } from "./bridge-port.ts";
export { Bridge, type BridgeOptions } from "./bridge.ts";
export { Cable, CableEnd, type CableOptions, type Plug } from "./cable.ts";
export {
	Device,
	DeviceCounters,
	type DeviceInput,
	type DeviceOwner,
	FORWARDABLE_EXTRA,
	isForwardable,
	NEIGHBOUR_NOT_VALID,
	NO_NEIGHBOUR,
	type TagTaker,
	type Upper,
} from "./device.ts";
export { Fdb, FdbEntry, type FdbKind } from "./fdb.ts";
export { type IpvlanFlag, type IpvlanMode } from "./ipvlan-port.ts";
export { IpvlanDevice, type IpvlanOptions } from "./ipvlan.ts";
export type { AddressListener, Layer3Upper } from "./layer3.ts";
export { Loopback } from "./loopback.ts";
export { MacvlanDevice, type MacvlanMode, type MacvlanOptions } from "./macvlan.ts";
export { Netem, type NetemOptions, type Share } from "./netem.ts";
export { Nic } from "./nic.ts";
export { PhysicalSwitch, SwitchPort } from "./switch.ts";
export { type Direction, IN, OUT, type Tap } from "./tap.ts";
export type { TunnelHeader, TunnelReceiver, Underlay } from "./underlay.ts";
export { Veth } from "./veth.ts";
export type { QosMap, VlanOptions, VlanProtocol } from "./vlan-options.ts";
export { stripPriorityTags } from "./vlan-tag.ts";
export { VlanDevice } from "./vlan.ts";
export { type Remote, VxlanFdb, VxlanFdbEntry } from "./vxlan-fdb.ts";
export type { RemoteOptions, VxlanMiss, VxlanOptions } from "./vxlan-options.ts";
export { VXLAN_PORT, VxlanDevice } from "./vxlan.ts";
export { type Drop, type Latencies, type Place, World } from "./world.ts";
