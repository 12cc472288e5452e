import type { Mac } from "../addr/index.ts";
import { ethernet, type Frame } from "../wire/index.ts";
import type { Cable, CableEnd, Plug } from "./cable.ts";
import { Device } from "./device.ts";
import type { DeviceOwner } from "./device-owner.ts";
import type { World } from "./world.ts";

const ETH_DATA_LEN = 1500;

/**
 * A physical network card: takes frames for its own address, for everyone, for the groups joined on it, and for
 * the addresses added to its filter; in promiscuous mode all. Without a cable it has no carrier.
 */
export class Nic extends Device implements Plug {
	override readonly kind = "nic";
	protected override readonly filtersUnicast = true;
	/** Tells the cards of a lab apart, from 1. */
	readonly number: number;
	#cable: CableEnd | null = null;

	constructor(world: World, owner: DeviceOwner, name: string, mac: Mac) {
		super(world, owner, name, mac, ETH_DATA_LEN);
		this.number = world.nextCard();
		this.carrier = false;
	}

	override get speed(): number {
		return this.carrier ? 1000 : 0;
	}

	protected override send(frame: Frame): void {
		if (this.#cable === null) return this.dropOut(frame, "no-carrier");
		this.txPackets++;
		this.txBytes += frame.end - frame.start;
		frame.mark = 0;
		frame.origin = this.number;
		frame.forgetFlow();
		this.#cable.send(frame);
	}

	/** A frame comes out of the cable. */
	deliver(frame: Frame): void {
		if (this.world.partitions.length > 0 && this.world.isCut(frame.origin, this.number))
			return this.dropIn(frame, "partition");
		if (this.owner.paused) return this.dropIn(frame, "machine-paused");
		if (this.promiscuous) return this.receive(frame);
		const group = (ethernet.dstHigh(frame.view, frame.start) & 0x0100) !== 0;
		if (group ? !this.#listens(frame) : !this.#accepts(frame)) {
			return this.dropIn(frame, group ? "multicast-filter" : "unicast-filter");
		}
		this.receive(frame);
	}

	/** Broadcasts, and the groups somebody here joined. */
	#listens(frame: Frame): boolean {
		return frame.end - frame.start < ethernet.OCTETS || this.listensTo(ethernet.dst(frame.view, frame.start));
	}

	#accepts(frame: Frame): boolean {
		if (frame.end - frame.start < ethernet.OCTETS) return true;
		const high = ethernet.dstHigh(frame.view, frame.start);
		if (high === this.macHigh && ethernet.dstLow(frame.view, frame.start) === this.macLow) return true;
		return this.hasUnicast(ethernet.dst(frame.view, frame.start));
	}

	/** Its cable, if one is in. */
	get cable(): Cable | undefined {
		return this.#cable?.cable;
	}

	get hasCable(): boolean {
		return this.#cable !== null;
	}

	plugged(end: CableEnd | null): void {
		this.#cable = end;
		if (end === null) this.carrierChanged(false);
		else end.light(this.isUp);
	}

	carrierChanged(carrier: boolean): void {
		if (this.carrier === carrier) return;
		this.carrier = carrier;
		// A card that is down has no link to speak of: going up or down tells enough.
		if (this.isUp) this.changed();
	}

	/** Sets the card up: its light goes on, and there is a link when the far end's is on too. */
	override up(): void {
		this.#cable?.light(true);
		super.up();
	}

	/** Sets the card down, which the far end sees as the loss of its link. */
	override down(): void {
		super.down();
		this.#cable?.light(false);
	}

	/** Takes the card out of its machine, and the cable out of it. */
	override delete(): void {
		super.delete();
		this.#cable?.unplug();
	}
}
