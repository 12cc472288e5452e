import type { Ip4 } from "../addr/index.ts";
import type { DropReason } from "../drop.ts";
import type { Nanoseconds, Timer } from "../sim/index.ts";
import type { Frame } from "../wire/index.ts";
import type { Device } from "./device.ts";
import type { VxlanDevice } from "./vxlan/vxlan.ts";

/** Takes UDP payloads that arrive at a tunnel port. Declared here, implemented by `VxlanSocket`. */
export interface TunnelReceiver {
	/**
	 * A datagram to this port: the frame starts at the UDP payload. Takes the frame.
	 * `outerTos` is the TOS octet of the packet that carried it.
	 */
	receiveTunnel(frame: Frame, source: Ip4, outerTos: number): void;
}

/** How a tunnel packet is to be sent. One object per device and remote, reused for every packet. */
export interface TunnelHeader {
	source: Ip4;
	destination: Ip4;
	/** The device to leave by, `null` where the routes decide. */
	device: Device | null;
	sourcePort: number;
	destinationPort: number;
	ttl: number;
	tos: number;
	dontFragment: boolean;
	/** False sends a zero UDP checksum. */
	checksum: boolean;
}

/**
 * What a VTEP needs from the network below it: UDP over IPv4. Declared here, implemented by the namespace
 * in which the VXLAN device was created, which stays its underlay wherever the device is moved.
 */
export interface Underlay {
	readonly name: string;
	/** Lowest and highest source port for flows, the highest excluded (`ip_local_port_range`). */
	readonly localPortRange: readonly [number, number];
	/** The VXLAN devices created here, wherever they are now (`vxlan_net`). */
	readonly vxlans: Set<VxlanDevice>;
	/** The receiver of a UDP tunnel port, if somebody opened it. */
	tunnel(port: number): TunnelReceiver | undefined;
	/** Opens a UDP port for a tunnel. Throws `NetError` EADDRINUSE when a socket has it. */
	openTunnel(port: number, receiver: TunnelReceiver): void;
	closeTunnel(port: number): void;
	/**
	 * Longest IPv4 packet towards an address, by a device if one is said; 0 without a route, negative for an address
	 * of this host itself.
	 */
	reach(address: Ip4, device: Device | null): number;
	/** The device of a name, or the one given. Throws `NetError` ENODEV when it is not here. */
	lowerDevice(device: Device | string): Device;
	/** Joins a multicast group on a device for a tunnel. */
	joinGroup(group: Ip4, device: Device): void;
	/** Leaves it. */
	leaveGroup(group: Ip4, device: Device): void;
	/** Arms a timer as the kernel would: rounded to its ticks. */
	arm(timer: Timer, delay: Nanoseconds): void;
	/** The hash of the flow in an Ethernet frame, as a signed 32-bit integer, never 0 (`skb_get_hash`). */
	flowHash(frame: Frame): number;
	/** Puts UDP and IPv4 in front of the frame and sends it. Takes the frame. */
	sendTunnel(frame: Frame, header: TunnelHeader): void;
	drop(frame: Frame, reason: DropReason, detail?: string): void;
}
