import type { Ip4, Prefix4 } from "../addr/index.ts";
import type { Device, DeviceInput } from "../link/index.ts";
import type { Frame } from "../wire/index.ts";
import type { Igmp } from "./ipv4/igmp.ts";
import type { NeighbourTable } from "./neighbour/table.ts";
import { signedMask } from "./route.ts";

/**
 * `net.ipv4.conf.<device>`: the values the stack acts on, with Linux's defaults for a new namespace. A value of its own:
 * devices and namespaces share one until a setting of theirs is changed, which gives them another.
 */
export interface DeviceConf {
	readonly forwarding: number;
	readonly proxy_arp: number;
	readonly proxy_arp_pvlan: number;
	readonly arp_ignore: number;
	readonly arp_announce: number;
	readonly arp_accept: number;
	readonly arp_notify: number;
	readonly rp_filter: number;
	readonly accept_local: number;
	readonly route_localnet: number;
	readonly ignore_routes_with_linkdown: number;
	readonly send_redirects: number;
	readonly accept_redirects: number;
	/** 1, 2 or 3 to speak no other version of IGMP. */
	readonly force_igmp_version: number;
	/** Milliseconds within which a report of version 1 or 2 is repeated. */
	readonly igmpv2_unsolicited_report_interval: number;
	/** Milliseconds within which a report of version 3 is repeated. */
	readonly igmpv3_unsolicited_report_interval: number;
	readonly secure_redirects: number;
	readonly shared_media: number;
	readonly log_martians: number;
	readonly bc_forwarding: number;
	readonly src_valid_mark: number;
}

/** `net.ipv4.neigh.<device>`: counts, octets, and times in the units of their sysctls. */
export interface NeighbourConf {
	readonly base_reachable_time_ms: number;
	readonly retrans_time_ms: number;
	/** Seconds. */
	readonly delay_first_probe_time: number;
	/** Seconds. */
	readonly gc_stale_time: number;
	readonly mcast_solicit: number;
	readonly ucast_solicit: number;
	readonly unres_qlen_bytes: number;
	/** Hundredths of a second, as all USER_HZ values. */
	readonly proxy_delay: number;
	readonly proxy_qlen: number;
	/** Hundredths of a second. */
	readonly locktime: number;
}

/** net/ipv4/devinet.c, `ipv4_devconf`. */
export const DEVICE_CONF: DeviceConf = {
	forwarding: 0,
	proxy_arp: 0,
	proxy_arp_pvlan: 0,
	arp_ignore: 0,
	arp_announce: 0,
	arp_accept: 0,
	arp_notify: 0,
	rp_filter: 0,
	accept_local: 0,
	route_localnet: 0,
	ignore_routes_with_linkdown: 0,
	send_redirects: 1,
	accept_redirects: 1,
	force_igmp_version: 0,
	igmpv2_unsolicited_report_interval: 10_000,
	igmpv3_unsolicited_report_interval: 1000,
	secure_redirects: 1,
	shared_media: 1,
	log_martians: 0,
	bc_forwarding: 0,
	src_valid_mark: 0,
};

/** net/ipv4/arp.c, `arp_tbl.parms`. */
export const NEIGHBOUR_CONF: NeighbourConf = {
	base_reachable_time_ms: 30_000,
	retrans_time_ms: 1000,
	delay_first_probe_time: 5,
	gc_stale_time: 60,
	mcast_solicit: 3,
	ucast_solicit: 3,
	unres_qlen_bytes: 212_992,
	proxy_delay: 80,
	proxy_qlen: 64,
	locktime: 100,
};

/** One IPv4 address of a device: a line `inet …` of `ip address show`. */
export interface InterfaceAddress {
	readonly prefix: Prefix4;
	/** The subnet's broadcast address; the address itself for /32. 0 for none (/31 and `lo`). */
	readonly broadcast: Ip4;
	readonly scope: "global" | "link" | "host";
	/** A further address of a subnet the device already has (`secondary`). */
	readonly secondary: boolean;
}

const NO_ADDRESSES: readonly never[] = [];

/** What takes the frames of a device: the namespace. */
export interface FrameTaker {
	receive(frame: Frame, inDevice: InDevice): void;
	/** See `DeviceInput`. */
	claimsPacket(frame: Frame, inDevice: InDevice): boolean;
	/** See `DeviceInput`. */
	receivePacket(frame: Frame, inDevice: InDevice): void;
}

/** What a namespace keeps of IPv4 at one of its devices (`struct in_device`), and where its frames come in. */
export class InDevice implements DeviceInput {
	// What every frame reads comes first.
	readonly #taker: FrameTaker;
	readonly device: Device;
	/** First added first; another list with each change. */
	addresses: readonly InterfaceAddress[] = NO_ADDRESSES;
	conf: DeviceConf;
	neigh: NeighbourConf;
	/** The multicast groups joined here, made when first needed. */
	igmp: Igmp | null = null;

	/** The neighbours on this device's link, made when first needed. */
	neighbours: NeighbourTable | null = null;

	constructor(taker: FrameTaker, device: Device, conf: DeviceConf, neigh: NeighbourConf) {
		this.#taker = taker;
		this.device = device;
		this.conf = conf;
		this.neigh = neigh;
	}

	receive(frame: Frame): void {
		this.#taker.receive(frame, this);
	}

	claimsPacket(frame: Frame): boolean {
		return this.#taker.claimsPacket(frame, this);
	}

	receivePacket(frame: Frame): void {
		this.#taker.receivePacket(frame, this);
	}

	/** The address to speak to `destination` with: one of its subnet if there is one, else the first (`inet_select_addr`). */
	selectSource(destination: Ip4, most: "global" | "link" | "host"): Ip4 {
		let first = 0 as Ip4;
		for (const { prefix, scope, secondary } of this.addresses) {
			if (secondary || SCOPE[scope] > SCOPE[most]) continue;
			if (((prefix.address ^ destination) & signedMask(prefix.length)) === 0) return prefix.address;
			if (first === 0) first = prefix.address;
		}
		return first;
	}
}

/** RT_SCOPE_*: the further, the smaller. */
export const SCOPE: Readonly<Record<"global" | "link" | "host", number>> = {
	global: 0,
	link: 253,
	host: 254,
};
