import type { Ip4 } from "../addr/index.ts";
import type { Device } from "./device.ts";

/** A device that is found by its IPv4 addresses hears of them. Declared here, told by `stack`. */
export interface AddressListener {
	/** Throws `NetError` for an address that the device may not have. */
	checkAddress(address: Ip4): void;
	/** The device has the address now. */
	addressAdded(address: Ip4): void;
	/** It no longer has it. */
	addressRemoved(address: Ip4): void;
}

/** Knows whose packets reach a stack by a device that is not theirs (`l3mdev_l3_rcv`). Asked by `stack`. */
export interface Layer3Upper {
	/** The device whose namespace the packets to an address belong to, if it is not the stack's own. */
	layer3Child(destination: Ip4): Device | undefined;
}
