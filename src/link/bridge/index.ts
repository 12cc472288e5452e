export { Bridge } from "./bridge.ts";
export { BridgeFdb, type FdbBridge, type BridgeFdbOptions } from "./fdb.ts";
export { PortFlags } from "./flags.ts";
export type { BridgeOptions, BridgeSettings } from "./options.ts";
export { BridgePort, type PortOptions } from "./port.ts";
export { SpanningTree, type StpBridge } from "./stp.ts";
export { type PortState, type PortTimers, type StatefulPort, StpPort } from "./stp-port.ts";
export { VlanGroup, type VlanMember } from "./vlan-group.ts";
export { BridgeVlans, type VlanBridge, type VlanFlags, type VlanRange } from "./vlans.ts";
