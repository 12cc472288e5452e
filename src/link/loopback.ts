import { ZERO_MAC } from "../addr/index.ts";
import type { Lane, Sink } from "../sim/index.ts";
import type { Frame } from "../wire/index.ts";
import { ALL_NODES_MAC } from "./multicast-list.ts";
import { Device } from "./device.ts";
import type { DeviceOwner } from "./device-owner.ts";
import type { World } from "./world.ts";

/** MTU of `lo` (drivers/net/loopback.c). */
const LOOPBACK_MTU = 65_536;

/**
 * `lo`: what goes out comes back in, through the queue (`netif_rx`), with both MACs zero and no ARP.
 */
export class Loopback extends Device implements Sink<Frame> {
	override readonly kind = "loopback";
	readonly #lane: Lane;

	constructor(world: World, owner: DeviceOwner) {
		super(world, owner, "lo", ZERO_MAC, LOOPBACK_MTU);
		this.#lane = world.scheduler.lane(0);
		this.noArp = true;
		this.multicast.delete(ALL_NODES_MAC);
	}

	protected override send(frame: Frame): void {
		this.txPackets++;
		this.txBytes += frame.length;
		this.world.crossing(frame);
		this.#lane.push(this, frame);
	}

	/** The far end of the queue. */
	deliver(frame: Frame): void {
		this.receive(frame);
	}
}
