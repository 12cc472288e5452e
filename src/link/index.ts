export { BridgePort, type PortFlags, type PortState } from "./bridge-port.ts";
export { Bridge, type BridgeOptions } from "./bridge.ts";
export { Cable, CableEnd, type CableOptions, type Plug } from "./cable.ts";
export {
	type Dependent,
	Device,
	DeviceCounters,
	type DeviceInput,
	type DeviceOwner,
	FORWARDABLE_EXTRA,
	NEIGHBOUR_NOT_VALID,
	NO_NEIGHBOUR,
	type TagTaker,
	type Upper,
} from "./device.ts";
export { Fdb, FdbEntry, type FdbKind } from "./fdb.ts";
export { Loopback } from "./loopback.ts";
export { ALL_NODES_MAC, MulticastList } from "./multicast-list.ts";
export { Netem, type NetemOptions, type Share } from "./netem.ts";
export { Nic } from "./nic.ts";
export { PhysicalSwitch, SwitchPort } from "./switch.ts";
export { type Direction, IN, OUT, type Tap } from "./tap.ts";
export type { TunnelHeader, TunnelReceiver, Underlay } from "./underlay.ts";
export { Veth } from "./veth.ts";
export { VlanDevice, type VlanOptions } from "./vlan.ts";
export type { VxlanFdbJson, VxlanFdbLine } from "./vxlan-fdb-show.ts";
export { type FdbFlags, type Remote, VxlanFdb, VxlanFdbEntry, type VxlanFdbState } from "./vxlan-fdb.ts";
export type { FdbOptions, RemoteOptions, VxlanMiss, VxlanOptions } from "./vxlan-options.ts";
export { VXLAN_PORT, VxlanDevice } from "./vxlan.ts";
export { type Drop, type Latencies, type Place, World } from "./world.ts";
