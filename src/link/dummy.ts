import type { Mac } from "../addr/index.ts";
import type { Frame } from "../wire/index.ts";
import { Device } from "./device.ts";
import type { DeviceOwner } from "./device-owner.ts";
import type { World } from "./world.ts";

const ETH_DATA_LEN = 1500;

/** A device that is always up and swallows what goes out by it (`type dummy`). Reference: drivers/net/dummy.c. */
export class Dummy extends Device {
	override readonly kind = "dummy";

	constructor(world: World, owner: DeviceOwner, name: string, mac: Mac) {
		super(world, owner, name, mac, ETH_DATA_LEN);
		this.noArp = true;
	}

	protected override send(frame: Frame): void {
		this.txPackets++;
		this.txBytes += frame.end - frame.start;
		frame.release();
	}
}
