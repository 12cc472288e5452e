import type { Frame } from "../../wire/index.ts";
import type { Bridge } from "./bridge.ts";
import type { BridgePort } from "./port.ts";

/** Bits of `Frame.bridging`: what became of a frame that netfilter saw at a bridge port (`struct nf_bridge_info`). */
export const BRIDGING = {
	/** It passed PREROUTING at the port: the bridge's own stack will not show it there again. */
	entered: 1,
	/** It came for the bridge's own address, whatever address it has now (`PACKET_HOST`). */
	forHost: 2,
	/** It was sent on to a neighbour of the bridge whose MAC has to be found first (`bridged_dnat`). */
	resolving: 4,
	/** Its destination was translated at the port, and its way decided there. */
	rerouted: 8,
} as const;

/**
 * Shows a bridge's frames to the netfilter of its namespace, as the module br_netfilter does. Declared here,
 * implemented by `stack`.
 */
export interface BridgeFilter {
	/** Whether it wants to see a frame that comes in by a port of this bridge. */
	watches(frame: Frame, bridge: Bridge): boolean;
	/** A frame it wants to see came in; what passes goes on to `Bridge.handle`. Takes the frame. */
	enter(frame: Frame, port: BridgePort): void;
	/** A frame it let in is about to leave; what passes goes on to `BridgePort.send`. Takes the frame. */
	leave(frame: Frame, port: BridgePort): void;
	/** The MAC of a frame in state `resolving` was found and written; it goes on to `Bridge.handle`. Takes the frame. */
	resolved(frame: Frame): void;
}
