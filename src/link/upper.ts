import type { Frame } from "../wire/index.ts";
import type { Device } from "./device.ts";

/** A bridge port, a macvlan parent: takes what comes up from a device in place of its namespace (`rx_handler`). */
export interface Upper {
	/** Takes the frame, or hands it on to `device.input`. */
	receive(frame: Frame, device: Device): void;
	/** The lower device went up or down, or changed MAC or MTU. */
	lowerChanged(device: Device): void;
	/** The lower device is being deleted. */
	lowerGone(device: Device): void;
	/** The device that `ip link show` names as `master`; null above a macvlan or ipvlan parent, which has none. */
	readonly master: Device | null;
	/** The devices it takes frames for: the bridge, the children. */
	readonly above: readonly Device[];
	/** Stays on its lower device when that moves to another namespace, as macvlan and ipvlan do. */
	readonly staysOnMove?: boolean;
}

/** A VLAN device on this one: takes frames with its tag. */
export interface TagTaker {
	receiveTagged(frame: Frame): void;
	lowerChanged(device: Device): void;
	lowerGone(): void;
}

/** A device that cannot be without a lower one. */
export interface Dependent {
	/** The lower device is being deleted, or moved away. */
	lowerGone(): void;
}
