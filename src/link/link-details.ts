import { formatMac } from "../addr/index.ts";
import type { stp } from "../wire/index.ts";
import { Bridge } from "./bridge/bridge.ts";
import { BridgePort } from "./bridge/port.ts";
import type { Device } from "./device.ts";
import { IpvlanDevice } from "./ipvlan/ipvlan.ts";
import { MacvlanDevice } from "./macvlan/macvlan.ts";
import { VlanDevice } from "./vlan/vlan.ts";
import { VxlanDevice } from "./vxlan/vxlan.ts";

/** Words that a device prints, each with its value. */
type Words = readonly (readonly [word: string, value: string | number | boolean])[];

/** What one packet may hold that a card cuts up (`GSO_MAX_SIZE`), and what software devices take (`TSO_MAX_SIZE`). */
const GSO_MAX_SIZE = 65_536;
const TSO_MAX_SIZE = 524_280;
/** Devices without limits of their own to what they carry. */
const ANY_MTU: ReadonlySet<string> = new Set(["loopback", "dummy"]);

/**
 * What `ip -d link show` prints behind the addresses of a device, in iproute2 6.1's order: what its kind has, what it is
 * as a bridge port, and what its queues take (ip/ipaddress.c, ip/iplink_*.c).
 */
export function linkDetails(device: Device): string {
	const port = device.upper instanceof BridgePort ? device.upper : undefined;
	const lines = [kindText(device), port === undefined ? undefined : `bridge_slave ${print(portWords(port))}`];
	const least = ANY_MTU.has(device.kind) || device.kind === "vlan" ? 0 : 68;
	const queues = device.kind === "veth" ? 2 : 1;
	return (
		` promiscuity ${String(device.promiscuity)}  allmulti ${String(device.multicast.allMulti)} ` +
		`minmtu ${String(least)} maxmtu ${ANY_MTU.has(device.kind) ? "0" : "65535"} ` +
		lines.map((line) => (line === undefined ? "" : `\n    ${line}`)).join("") +
		print([
			["addrgenmode", "eui64"],
			["numtxqueues", queues],
			["numrxqueues", queues],
			["gso_max_size", GSO_MAX_SIZE],
			["gso_max_segs", 65_535],
			["tso_max_size", tsoMaxSize(device)],
			["tso_max_segs", 65_535],
			["gro_max_size", GSO_MAX_SIZE],
		])
	);
}

const print = (words: Words): string =>
	words
		.map(([word, value]) => `${word} ${typeof value === "boolean" ? (value ? "on" : "off") : String(value)} `)
		.join("");

/** A card cuts up what fits one IPv4 packet; what lies on others takes what those do. */
function tsoMaxSize(device: Device): number {
	if (device.kind === "nic") return GSO_MAX_SIZE;
	if (device.kind === "vxlan" && device.lowers.length === 0) return GSO_MAX_SIZE;
	return Math.min(TSO_MAX_SIZE, ...device.lowers.map(tsoMaxSize));
}

/** The line that begins with the device's kind; none for loopback and cards. */
function kindText(device: Device): string | undefined {
	if (device instanceof Bridge) return `bridge ${print(bridgeWords(device))}`;
	if (device instanceof VxlanDevice) return device.text;
	if (device instanceof VlanDevice) return vlanText(device);
	if (device instanceof MacvlanDevice) return macvlanText(device);
	if (device instanceof IpvlanDevice) return `ipvlan  mode ${device.mode} ${device.flag} `;
	return device.kind === "nic" || device.kind === "loopback" ? undefined : `${device.kind} `;
}

function vlanText(device: VlanDevice): string {
	const flags = [
		...(device.reorderHeader ? ["REORDER_HDR"] : []),
		...(device.looseBinding ? ["LOOSE_BINDING"] : []),
	];
	const map = (name: string, entries: Readonly<Record<number, number>>): string => {
		const pairs = Object.entries(entries).map(([from, to]) => `${from}:${String(to)} `);
		return pairs.length === 0 ? "" : `\n      ${name} { ${pairs.join("")}} `;
	};
	return (
		`vlan protocol ${device.protocol} id ${String(device.id)} <${flags.join(",")}> ` +
		map("ingress-qos-map", device.ingressQosMap) +
		map("egress-qos-map", device.egressQosMap)
	);
}

function macvlanText({ mode, promiscParent, nodst, sources }: MacvlanDevice): string {
	const listens = mode === "source" ? `remotes (${String(sources.length)}) ` : "";
	return (
		`macvlan mode ${mode} ${promiscParent ? "" : "nopromisc "}${nodst ? "nodst " : ""}` +
		`bcqueuelen 1000 usedbcqueuelen 1000 ${listens}` +
		(mode === "source" ? sources.map((mac) => `${formatMac(mac)} `).join("") : "")
	);
}

const bit = (on: boolean): number => (on ? 1 : 0);
/** `8000.2:42:4b:d0:5f:73`: priority, and the address without leading zeros. */
const id = ({ priority, mac }: stp.BridgeId): string =>
	`${priority.toString(16).padStart(4, "0")}.${formatMac(mac)
		.split(":")
		.map((octet) => octet.replace(/^0/, ""))
		.join(":")}`;
/** Seconds with hundredths, as timers are shown. */
const timer = (nanoseconds: number): string => {
	const hundredths = Math.floor(nanoseconds / 1e7 + 1e-6);
	return `${String(Math.floor(hundredths / 100)).padStart(4)}.${String(hundredths % 100).padStart(2, "0")}`;
};

/** What the kernel has of snooping, times in hundredths of a second; MLD is as it comes. */
function snoopingWords({ snooping: { config }, owner }: Bridge): Words {
	const time = (ticks: number): number => Math.floor(owner.jiffies.nanoseconds(ticks) / 1e7);
	return [
		["mcast_router", config.router],
		["mcast_query_use_ifaddr", bit(config.queryUseIfaddr)],
		["mcast_querier", bit(config.querier)],
		["mcast_hash_elasticity", 16],
		["mcast_hash_max", config.hashMax],
		["mcast_last_member_count", config.lastMemberCount],
		["mcast_startup_query_count", config.startupQueryCount],
		["mcast_last_member_interval", time(config.lastMemberInterval)],
		["mcast_membership_interval", time(config.membershipInterval)],
		["mcast_querier_interval", time(config.querierInterval)],
		["mcast_query_interval", time(config.queryInterval)],
		["mcast_query_response_interval", time(config.queryResponseInterval)],
		["mcast_startup_query_interval", time(config.startupQueryInterval)],
		["mcast_stats_enabled", 0],
		["mcast_igmp_version", config.igmpVersion],
		["mcast_mld_version", 1],
	];
}

function bridgeWords(bridge: Bridge): Words {
	const { stp: tree, owner } = bridge;
	const nanoseconds = (ticks: number): number => owner.jiffies.nanoseconds(ticks);
	const hundredths = (ticks: number): number => Math.round(nanoseconds(ticks) / 1e7);
	return [
		["forward_delay", hundredths(tree.forwardDelay)],
		["hello_time", hundredths(tree.helloTime)],
		["max_age", hundredths(tree.maxAge)],
		["ageing_time", Math.round(bridge.ageing / 1e7)],
		["stp_state", bit(tree.enabled)],
		["priority", tree.id.priority],
		["vlan_filtering", bit(bridge.vlanFiltering)],
		["vlan_protocol", bridge.vlanProtocol],
		["bridge_id", id(tree.id)],
		["designated_root", id(tree.designatedRoot)],
		["root_port", tree.rootPort],
		["root_path_cost", tree.rootCost],
		["topology_change", bit(tree.topologyChange)],
		["topology_change_detected", bit(tree.topologyChangeDetected)],
		["hello_timer", timer(nanoseconds(tree.helloTimer.left))],
		["tcn_timer", timer(nanoseconds(tree.tcnTimer.left))],
		["topology_change_timer", timer(nanoseconds(tree.topologyChangeTimer.left))],
		["gc_timer", timer(bridge.gcLeft)],
		["vlan_default_pvid", bridge.vlan.defaultPvid],
		["vlan_stats_enabled", 0],
		["vlan_stats_per_port", 0],
		["group_fwd_mask", mask(bridge.groups.mask)],
		["group_address", formatMac(bridge.groups.address)],
		["mcast_snooping", bit(bridge.snooping.config.snooping)],
		["no_linklocal_learn", bit(bridge.noLinklocalLearn)],
		["mcast_vlan_snooping", 0],
		...snoopingWords(bridge),
		["nf_call_iptables", bit(bridge.nfCallIptables)],
		["nf_call_ip6tables", 0],
		["nf_call_arptables", 0],
	];
}

const mask = (bits: number): string => (bits === 0 ? "0" : `0x${bits.toString(16)}`);

function portWords({ bridge, state, stp: port, flags, groupFwdMask, mcast }: BridgePort): Words {
	const left = (ticks: number): string => timer(bridge.owner.jiffies.nanoseconds(ticks));
	return [
		["state", state],
		["priority", port.priority],
		["cost", port.cost],
		["hairpin", flags.hairpin],
		["guard", flags.guard],
		["root_block", flags.rootBlock],
		["fastleave", flags.fastLeave],
		["learning", flags.learning],
		["flood", flags.flood],
		["port_id", `0x${port.id.toString(16)}`],
		["port_no", `0x${port.number.toString(16)}`],
		["designated_port", port.designatedPort],
		["designated_cost", port.designatedCost],
		["designated_bridge", id(port.designatedBridge)],
		["designated_root", id(port.designatedRoot)],
		["hold_timer", left(port.holdTimer.left)],
		["message_age_timer", left(port.messageAgeTimer.left)],
		["forward_delay_timer", left(port.forwardDelayTimer.left)],
		["topology_change_ack", bit(port.topologyChangeAck)],
		["config_pending", bit(port.configPending)],
		["proxy_arp", flags.proxyArp],
		["proxy_arp_wifi", flags.proxyArpWifi],
		["mcast_router", mcast.router],
		["mcast_fast_leave", flags.fastLeave],
		["mcast_flood", flags.mcastFlood],
		["bcast_flood", flags.bcastFlood],
		["mcast_to_unicast", false],
		["neigh_suppress", flags.neighSuppress],
		["group_fwd_mask", groupFwdMask],
		["group_fwd_mask_str", `0x${groupFwdMask.toString(16)}`],
		["vlan_tunnel", false],
		["isolated", flags.isolated],
		["locked", flags.locked],
	];
}
