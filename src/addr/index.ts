export {
	ANY_IP4,
	BROADCAST_IP4,
	compareIp4,
	formatIp4,
	type Ip4,
	isLoopbackIp4,
	isMulticastIp4,
	multicastMacOf,
	parseIp4,
	toIp4,
} from "./ip4.ts";
export { formatIp6, type Ip6, linkLocalOf, parseIp6, toIp6 } from "./ip6.ts";
export {
	BROADCAST_MAC,
	formatMac,
	isLinkLocalGroup,
	isLocallyAdministered,
	isMulticastMac,
	type Mac,
	macHigh,
	macLow,
	macOfParts,
	parseMac,
	toMac,
	ZERO_MAC,
} from "./mac.ts";
export { type Port, toPort } from "./port.ts";
export {
	broadcast,
	contains,
	formatPrefix4,
	mask,
	network,
	parsePrefix4,
	type Prefix4,
	toPrefix4,
} from "./prefix.ts";
export { toVlanId, type VlanId } from "./vlan-id.ts";
export { toVni, type Vni } from "./vni.ts";
