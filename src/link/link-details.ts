import { formatMac } from "../addr/index.ts";
import type { stp } from "../wire/index.ts";
import { Bridge } from "./bridge/bridge.ts";
import { BridgePort } from "./bridge/port.ts";
import type { Device } from "./device.ts";
import { IpvlanDevice } from "./ipvlan/ipvlan.ts";
import { MacvlanDevice } from "./macvlan/macvlan.ts";
import { VlanDevice } from "./vlan/vlan.ts";

/** What of a device's lines `ip -d link show` adds: to its second line, and below it. */
export function linkDetails(device: Device): string {
	const loopback = device.kind === "loopback";
	const port = device.upper instanceof BridgePort ? device.upper : undefined;
	const least = loopback || device.kind === "vlan" ? 0 : 68;
	const about =
		` promiscuity ${String(device.promiscuity)}  allmulti ${port === undefined ? "0" : "1"}` +
		` minmtu ${String(least)} maxmtu ${loopback ? "0" : "65535"} `;
	const kind = kindOf(device);
	return (
		about +
		(kind === undefined ? "" : `\n    ${kind}`) +
		(port === undefined ? "" : `\n    ${slave(port)}`) +
		queues(device)
	);
}

/** Queues and segmentation limits, as the kernel sets them for each kind (a veth has one pair for each of two processors). */
function queues({ kind }: Device): string {
	const count = kind === "veth" ? "2" : "1";
	const tso =
		kind === "loopback" || kind === "veth" || kind === "bridge" || kind === "dummy" ? "524280" : "65536";
	return (
		`numtxqueues ${count} numrxqueues ${count} gso_max_size 65536 gso_max_segs 65535` +
		` tso_max_size ${tso} tso_max_segs 65535 gro_max_size 65536 `
	);
}

function kindOf(device: Device): string | undefined {
	if (device instanceof Bridge) return bridge(device);
	if (device instanceof VlanDevice) {
		return `vlan protocol ${device.protocol} id ${String(device.id)} <${device.reorderHeader ? "REORDER_HDR" : ""}> `;
	}
	if (device instanceof MacvlanDevice)
		return `macvlan mode ${device.mode} bcqueuelen 1000 usedbcqueuelen 1000 `;
	if (device instanceof IpvlanDevice) return `ipvlan  mode ${device.mode} ${device.flag} `;
	return device.kind === "veth" ? "veth " : device.kind === "dummy" ? "dummy " : undefined;
}

const flag = (on: boolean): string => (on ? "1" : "0");
const word = (on: boolean): string => (on ? "on" : "off");
/** Seconds with hundredths, in seven columns. */
const time = (seconds: number): string => seconds.toFixed(2).padStart(7);
/** `8000.2:42:ce:b5:aa:1e`: octets without leading zeros. */
const bridgeId = ({ priority, mac }: stp.BridgeId): string =>
	`${priority.toString(16).padStart(4, "0")}.${formatMac(mac)
		.split(":")
		.map((octet) => Number.parseInt(octet, 16).toString(16))
		.join(":")}`;

function bridge(device: Bridge): string {
	const tree = device.stp;
	const { jiffies } = device.owner;
	const hundredths = (ticks: number): string => String(Math.round(jiffies.nanoseconds(ticks) / 1e7));
	const left = (ticks: number): string => time(jiffies.nanoseconds(ticks) / 1e9);
	const mask = device.groupFwdMask;
	return (
		`bridge forward_delay ${hundredths(tree.bridgeForwardDelay)} hello_time ${hundredths(tree.bridgeHelloTime)}` +
		` max_age ${hundredths(tree.bridgeMaxAge)} ageing_time ${String(Math.round(device.ageing / 1e7))}` +
		` stp_state ${flag(tree.enabled)} priority ${String(tree.id.priority)}` +
		` vlan_filtering ${flag(device.vlanFiltering)} vlan_protocol ${device.vlanTpid === 0x88a8 ? "802.1ad" : "802.1Q"}` +
		` bridge_id ${bridgeId(tree.id)} designated_root ${bridgeId(tree.designatedRoot)}` +
		` root_port ${String(tree.rootPort)} root_path_cost ${String(tree.rootCost)}` +
		` topology_change ${flag(tree.topologyChange)} topology_change_detected ${flag(tree.topologyChangeDetected)}` +
		` hello_timer ${left(tree.helloTimer.left)} tcn_timer ${left(tree.tcnTimer.left)}` +
		` topology_change_timer ${left(tree.topologyChangeTimer.left)} gc_timer ${time(device.gcLeft / 1e9)}` +
		` vlan_default_pvid ${String(device.vlan.defaultPvid)} vlan_stats_enabled 0 vlan_stats_per_port 0` +
		` group_fwd_mask ${mask === 0 ? "0" : `0x${mask.toString(16)}`} group_address 01:80:c2:00:00:00` +
		` mcast_snooping ${flag(device.mcastSnooping)} no_linklocal_learn ${flag(device.noLinklocalLearn)}` +
		" mcast_vlan_snooping 0 mcast_router 1 mcast_query_use_ifaddr 0 mcast_querier 0 mcast_hash_elasticity 16" +
		" mcast_hash_max 4096 mcast_last_member_count 2 mcast_startup_query_count 2 mcast_last_member_interval 100" +
		" mcast_membership_interval 26000 mcast_querier_interval 25500 mcast_query_interval 12500" +
		" mcast_query_response_interval 1000 mcast_startup_query_interval 3124 mcast_stats_enabled 0" +
		" mcast_igmp_version 2 mcast_mld_version 1" +
		` nf_call_iptables ${flag(device.nfCallIptables)} nf_call_ip6tables 0 nf_call_arptables 0 `
	);
}

function slave({ state, stp: tree, flags, bridge: master }: BridgePort): string {
	const left = (ticks: number): string => time(master.owner.jiffies.nanoseconds(ticks) / 1e9);
	return (
		`bridge_slave state ${state} priority ${String(tree.id >> 10)} cost ${String(tree.cost)}` +
		` hairpin ${word(flags.hairpin)} guard ${word(flags.guard)} root_block ${word(flags.rootBlock)} fastleave off` +
		` learning ${word(flags.learning)} flood ${word(flags.flood)} port_id 0x${tree.id.toString(16)}` +
		` port_no 0x${tree.number.toString(16)} designated_port ${String(tree.designatedPort)}` +
		` designated_cost ${String(tree.designatedCost)} designated_bridge ${bridgeId(tree.designatedBridge)}` +
		` designated_root ${bridgeId(tree.designatedRoot)} hold_timer ${left(tree.holdTimer.left)}` +
		` message_age_timer ${left(tree.messageAgeTimer.left)} forward_delay_timer ${left(tree.forwardDelayTimer.left)}` +
		` topology_change_ack ${flag(tree.topologyChangeAck)} config_pending ${flag(tree.configPending)}` +
		` proxy_arp ${word(flags.proxyArp)} proxy_arp_wifi ${word(flags.proxyArpWifi)} mcast_router 1` +
		` mcast_fast_leave off mcast_flood ${word(flags.mcastFlood)} bcast_flood ${word(flags.bcastFlood)}` +
		` mcast_to_unicast off neigh_suppress ${word(flags.neighSuppress)} group_fwd_mask 0 group_fwd_mask_str 0x0` +
		` vlan_tunnel off isolated ${word(flags.isolated)} locked ${word(flags.locked)} `
	);
}
