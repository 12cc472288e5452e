import type { Ip4, Prefix4 } from "../addr/index.ts";
import type { Jiffies } from "../sim/index.ts";
import type { Frame } from "../wire/index.ts";
import type { BridgeFilter } from "./bridge/filter.ts";
import type { Device } from "./device.ts";

/** The neighbour's address is not in the table. */
export const NO_NEIGHBOUR = -1;
/** The neighbour is in the table, without an address that may be used now. */
export const NEIGHBOUR_NOT_VALID = -2;

/** Takes what comes up from one device: the namespace's side of it. */
export interface DeviceInput {
	/** A frame that no bridge, VLAN or other upper device took. Takes the frame. */
	receive(frame: Frame): void;
	/**
	 * Whether an IPv4 packet in another namespace's stack is for this device's (ipvlan l3s); the frame starts at its
	 * IPv4 header and stays the caller's.
	 */
	claimsPacket(frame: Frame): boolean;
	/** A whole packet that was claimed and passed the other stack's INPUT, to its protocol. Takes the frame. */
	receivePacket(frame: Frame): void;
}

/** What a device needs of the network namespace it lives in. Declared here, implemented by `stack`. */
export interface DeviceOwner {
	/** The namespace's name in captures and messages. */
	readonly name: string;
	/** Up, down, carrier, MAC or MTU of the device changed. */
	deviceChanged(device: Device): void;
	/** The device has another link address, or resolves others' from now on or no longer: neighbours are forgotten. */
	linkAddressChanged(device: Device): void;
	/** `ip link del`: the device leaves the namespace. */
	deviceGone(device: Device): void;
	/** `ip address add … dev …`. */
	addAddress(device: Device, address: string | Prefix4): void;
	/** `ip address del … dev …`. */
	removeAddress(device: Device, address: string | Prefix4): void;
	/** True while the machine it is on stands still: its cards lose what comes. */
	readonly paused: boolean;
	/** The tick of the machine it is on, which rounds kernel timers. */
	readonly jiffies: Jiffies;
	/**
	 * `ip neigh show … dev …`: the MAC as a number, `NO_NEIGHBOUR` or `NEIGHBOUR_NOT_VALID`. Fit for use are entries that
	 * are "connected" (NUD_CONNECTED), or any "valid" one (NUD_VALID: stale ones too).
	 */
	neighbourMac(device: Device, address: Ip4, fit: "connected" | "valid"): number;
	/** The address to speak with on the device's link: its first one, else any of the namespace, else 0.0.0.0 (`inet_select_addr`). */
	sourceOf(device: Device): Ip4;
	/** One more listener to a multicast group on the device, which is reported (`ip_mc_inc_group`). */
	joinGroup(group: Ip4, device: Device): void;
	/** One listener less. */
	leaveGroup(group: Ip4, device: Device): void;
	/** True when the device has the address. */
	hasAddress(device: Device, address: Ip4): boolean;
	/**
	 * An IPv4 packet of another namespace leaves by the device: routed here, by that device alone, its TTL as it is
	 * (ipvlan l3). The frame starts at its IPv4 header. Takes the frame.
	 */
	sendPacket(frame: Frame, device: Device): void;
	/** Shows frames of its bridges to netfilter; null while br_netfilter is not loaded. */
	readonly bridgeFilter: BridgeFilter | null;
	/** A tunnel carries no more than `mtu` octets to the destination of the packet behind the Ethernet header. */
	tooLong(frame: Frame, mtu: number): void;
}
