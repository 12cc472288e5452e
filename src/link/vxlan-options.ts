import type { Ip4, Mac } from "../addr/index.ts";
import type { Duration } from "../sim/index.ts";

/** What `ip link add … type vxlan` takes. */
export interface VxlanOptions {
	/** 0 to 16,777,215 (`id`). */
	readonly vni: number;
	/** Source address of the outer packets; without it the route's. */
	readonly local?: Ip4 | string;
	/** Where unknown destinations go: one VTEP or a multicast group. */
	readonly remote?: Ip4 | string;
	/** UDP port the device listens on and sends to (`dstport`); 4789 unless said. */
	readonly port?: number;
	/** Lowest and highest source port, the highest excluded (`srcport`). */
	readonly sourcePorts?: readonly [number, number];
	/** Learn inner source MAC → outer source address. On unless said. */
	readonly learning?: boolean;
	/** Answer ARP requests from the neighbour table instead of sending them. */
	readonly proxy?: boolean;
	/** Report destinations without an entry. */
	readonly l2miss?: boolean;
	/** Report ARP targets without a neighbour. */
	readonly l3miss?: boolean;
	/** Outer TTL: a number, `"auto"` (64, or 1 to a group) or `"inherit"`. */
	readonly ttl?: number | "auto" | "inherit";
	/** Outer TOS: a number or `"inherit"`. */
	readonly tos?: number | "inherit";
	/** Don't Fragment on outer packets. */
	readonly df?: "unset" | "set" | "inherit";
	/** Outer UDP checksum; on unless said, as netlink's default is. */
	readonly udpChecksum?: boolean;
	/** Accept and send the Group Based Policy extension. */
	readonly gbp?: boolean;
	/** How long a learned address is kept unused; 300 s. */
	readonly ageing?: Duration;
	/** Inner MTU; 1500 as Linux gives a device without a lower one. Docker sets 1450. */
	readonly mtu?: number;
	readonly mac?: Mac | string;
}

/** Where `bridge fdb … dst` points. */
export interface RemoteOptions {
	readonly dst: Ip4 | string;
	/** UDP port, the device's unless said. */
	readonly port?: number;
	/** VNI, the device's unless said. */
	readonly vni?: number;
}

/** A destination nobody told the device about: what the kernel sends to netlink listeners. */
export type VxlanMiss =
	| { readonly kind: "l2miss"; readonly mac: Mac; readonly text: string }
	| { readonly kind: "l3miss"; readonly ip: Ip4; readonly text: string };
