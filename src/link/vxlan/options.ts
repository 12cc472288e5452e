import {
	ANY_IP4,
	type Ip4,
	isMulticastIp4,
	type Mac,
	toIp4,
	toMac,
	type Vni,
	ZERO_MAC,
} from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import type { Duration } from "../../sim/index.ts";
import type { Device } from "../device.ts";
import type { VxlanFdbState } from "./fdb.ts";

/** What `ip link add … type vxlan` takes. */
export interface VxlanOptions {
	/** 0 to 16,777,215 (`id`). */
	readonly vni: number;
	/** Source address of the outer packets; without it the route's. */
	readonly local?: Ip4 | string;
	/** Where unknown destinations go: one VTEP. */
	readonly remote?: Ip4 | string;
	/** Where unknown destinations go: a multicast group, which the device joins on `dev` while it is up. */
	readonly group?: Ip4 | string;
	/** The underlay's device to leave by; gives the MTU. A group needs one. */
	readonly dev?: Device | string;
	/** UDP port the device listens on and sends to (`dstport`); 4789 unless said. */
	readonly port?: number;
	/** Lowest and highest source port, the highest excluded (`srcport`); `ip_local_port_range` unless said, or for an empty range. */
	readonly sourcePorts?: readonly [number, number];
	/** Learn inner source MAC → outer source address. On unless said. */
	readonly learning?: boolean;
	/** Answer ARP requests from the neighbour table instead of sending them. */
	readonly proxy?: boolean;
	/** Route short circuit: what is for a router of the overlay goes to the host behind it at once (`rsc`). */
	readonly rsc?: boolean;
	/** Report destinations without an entry. */
	readonly l2miss?: boolean;
	/** Report ARP targets without a neighbour. */
	readonly l3miss?: boolean;
	/** Outer TTL: a number, `"auto"` (64, or 1 to a group) or `"inherit"`. */
	readonly ttl?: number | "auto" | "inherit";
	/** Outer TOS: a number or `"inherit"`, which 1 means too. */
	readonly tos?: number | "inherit";
	/** Don't Fragment on outer packets. */
	readonly df?: "unset" | "set" | "inherit";
	/** Outer UDP checksum; on unless said, as netlink's default is. */
	readonly udpChecksum?: boolean;
	/** Group Based Policy: the packet's mark travels with it. */
	readonly gbp?: boolean;
	/** How long a learned address is kept unused; 300 s. */
	readonly ageing?: Duration;
	/** Inner MTU; 50 less than the MTU of `dev`, or 1500 without. Docker sets 1450. */
	readonly mtu?: number;
	readonly mac?: Mac | string;
}

/** Where `bridge fdb … dst` points. */
export interface RemoteOptions {
	/** The VTEP; `0.0.0.0` for an address behind this very device (see `rsc`). */
	readonly dst: Ip4 | string;
	/** UDP port, the device's unless said. */
	readonly port?: number;
	/** VNI, the device's unless said. */
	readonly vni?: number;
	/** Device of the underlay to leave by. */
	readonly via?: Device | string;
}

/** What `bridge fdb add|append|replace` takes. */
export interface FdbOptions extends RemoteOptions {
	/** `permanent` unless said; `dynamic` ages as if it was learned. */
	readonly state?: "permanent" | "static" | "dynamic";
	/** A router of the overlay (`router`). */
	readonly router?: boolean;
}

/** A destination nobody told the device about: what the kernel sends to netlink listeners. */
export type VxlanMiss =
	| { readonly kind: "l2miss"; readonly mac: Mac; readonly text: string }
	| { readonly kind: "l3miss"; readonly ip: Ip4; readonly text: string };

const MOST_VNI = 0xff_ffff;

/** A VNI. Throws `NetError` EINVAL. */
export function checkVni(vni: number): Vni {
	if (!Number.isInteger(vni) || vni < 0 || vni > MOST_VNI) {
		throw new NetError("EINVAL", `Error: argument "${String(vni)}" is wrong: invalid id`, {
			remedy: `A VNI is a whole number from 0 to ${String(MOST_VNI)}.`,
			context: { vni },
		});
	}
	return vni as Vni;
}

/** `local`: not a group. Throws `NetError` EINVAL. */
export function checkLocal(local: Ip4 | string | undefined): Ip4 {
	if (local === undefined) return ANY_IP4;
	const address = toIp4(local, "local");
	if (isMulticastIp4(address)) throw wrong(local, "invalid local address");
	return address;
}

/** The default destination that `remote` or `group` names, if any. Throws `NetError` EINVAL. */
export function checkDefault(options: VxlanOptions): Ip4 | undefined {
	const { group, remote } = options;
	if (group !== undefined && remote !== undefined) {
		throw new NetError("EINVAL", "vxlan: both group and remote cannot be specified", {
			remedy: "A device has one default destination: say group or remote.",
		});
	}
	const address = group ?? remote;
	if (address === undefined) return undefined;
	const ip = toIp4(address, group === undefined ? "remote" : "group");
	if (group !== undefined && !isMulticastIp4(ip)) throw wrong(group, "invalid group address");
	if (remote !== undefined && isMulticastIp4(ip)) throw wrong(remote, "invalid remote address");
	if (isMulticastIp4(ip) && options.dev === undefined) {
		const text = "Error: Local interface required for multicast remote destination.";
		throw new NetError("EINVAL", text, {
			remedy: "Say by which device the group is reached: dev.",
			context: { group: address },
		});
	}
	return ip === ANY_IP4 ? undefined : ip;
}

/** First source port and how many; the default's for an empty range (`udp_flow_src_port`). Throws `NetError` EINVAL. */
export function checkSourcePorts(
	ports: readonly [number, number] | undefined,
	otherwise: readonly [number, number],
): readonly [first: number, count: number] {
	const [low, high] = ports ?? [0, 0];
	for (const [port, what] of [[low, "min port"] as const, [high, "max port"] as const]) {
		if (!Number.isInteger(port) || port < 0 || port > 0xffff) throw wrong(port, what);
	}
	if (high < low) {
		throw new NetError("EINVAL", "Error: Invalid source port range.", {
			context: { sourcePorts: [low, high] },
		});
	}
	const [first, end] = low < high ? [low, high] : otherwise;
	return [first, end - first];
}

/** A TTL or TOS. Throws `NetError` EINVAL. */
export function checkOctet(value: number, what: "ttl" | "tos"): number {
	if (Number.isInteger(value) && value >= 0 && value <= 255) return value;
	throw wrong(value, what === "ttl" ? "TTL must be <= 255" : "bad TOS value");
}

/** The address of a forwarding entry; `"default"` is all zeros. */
export function fdbAddress(mac: Mac | string): Mac {
	return mac === "default" ? ZERO_MAC : toMac(mac, "address");
}

/** How netlink calls what `bridge fdb` calls `dynamic`. */
export const fdbState = (state: FdbOptions["state"] = "permanent"): VxlanFdbState =>
	state === "dynamic" ? "reachable" : state;

const wrong = (value: string | number, text: string): NetError =>
	new NetError("EINVAL", `Error: argument "${String(value)}" is wrong: ${text}`, { context: { value } });
