import type { Mac } from "../addr/index.ts";
import { ethernet, type Frame } from "../wire/index.ts";
import type { CableEnd, Plug } from "./cable.ts";
import { Device, type DeviceOwner } from "./device.ts";
import type { World } from "./world.ts";

const ETH_DATA_LEN = 1500;

/**
 * A physical network card: takes frames for its own address, for groups, and for the addresses added to its
 * filter; in promiscuous mode all. Without a cable it has no carrier.
 */
export class Nic extends Device implements Plug {
	override readonly kind = "nic";
	readonly #filter = new Set<Mac>();
	#cable: CableEnd | null = null;

	constructor(world: World, owner: DeviceOwner, name: string, mac: Mac) {
		super(world, owner, name, mac, ETH_DATA_LEN);
		this.carrier = false;
	}

	override get speed(): number {
		return this.carrier ? 1000 : 0;
	}

	protected override send(frame: Frame): void {
		if (this.#cable === null || !this.carrier) return this.dropOut(frame, "no-carrier");
		this.counters.txPackets++;
		this.counters.txBytes += frame.end - frame.start;
		frame.mark = 0;
		frame.forgetFlow();
		this.#cable.send(frame);
	}

	/** A frame comes out of the cable. */
	deliver(frame: Frame): void {
		if (!this.promiscuous && !this.#accepts(frame)) return this.dropIn(frame, "unicast-filter");
		this.receive(frame);
	}

	#accepts(frame: Frame): boolean {
		if (frame.end - frame.start < ethernet.OCTETS) return true;
		const high = ethernet.dstHigh(frame.view, frame.start);
		if ((high & 0x0100) !== 0) return true;
		if (high === this.macHigh && ethernet.dstLow(frame.view, frame.start) === this.macLow) return true;
		return this.#filter.size > 0 && this.#filter.has(ethernet.dst(frame.view, frame.start));
	}

	/** Accepts frames for one more address (`dev_uc_add`). */
	addUnicast(mac: Mac): void {
		this.#filter.add(mac);
	}

	/** `dev_uc_del`. */
	delUnicast(mac: Mac): void {
		this.#filter.delete(mac);
	}

	plugged(end: CableEnd | null): void {
		this.#cable = end;
		this.carrierChanged(end !== null);
	}

	carrierChanged(carrier: boolean): void {
		if (this.carrier === carrier) return;
		this.carrier = carrier;
		this.changed();
	}
}
