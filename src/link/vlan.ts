import type { Mac } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import { ethernet, type Frame, vlan } from "../wire/index.ts";
import { Device, type DeviceOwner, type TagTaker } from "./device.ts";
import type { World } from "./world.ts";

/** What `ip link add link … type vlan` takes. */
export interface VlanOptions {
	/** `802.1Q` (0x8100) unless said. */
	readonly protocol?: "802.1Q" | "802.1ad";
	readonly mac?: Mac | string;
	readonly mtu?: number;
}

const MACS = 12; // both addresses, in front of the tag
const MOST_ID = 4094;

/**
 * A VLAN of a lower device: what goes out gets the tag, what comes in below with the tag comes up here without.
 * MAC and MTU are the lower device's at the time of creation. Reference: net/8021q/vlan_dev.c, vlan_core.c.
 */
export class VlanDevice extends Device implements TagTaker {
	override readonly kind = "vlan";
	readonly id: number;
	readonly lower: Device;
	readonly protocol: "802.1Q" | "802.1ad";
	readonly #tpid: number;
	readonly #key: number;

	constructor(
		world: World,
		owner: DeviceOwner,
		name: string,
		lower: Device,
		id: number,
		options: VlanOptions = {},
	) {
		super(world, owner, name, lower.mac, lower.mtu);
		this.id = id;
		this.lower = lower;
		this.protocol = options.protocol ?? "802.1Q";
		this.#tpid = this.protocol === "802.1Q" ? vlan.TPID_CUSTOMER : vlan.TPID_SERVICE;
		this.#key = (this.#tpid << 12) | id;
		if (!Number.isInteger(id) || id < 0 || id > MOST_ID) {
			throw new NetError("ERANGE", "Error: 8021q: Invalid VLAN id.", {
				remedy: `A VLAN id is a whole number from 1 to ${String(MOST_ID)}.`,
				context: { device: lower.place, id },
			});
		}
		if (lower.kind === "loopback") {
			throw new NetError("EOPNOTSUPP", "Error: 8021q: VLANs not supported on device.", {
				context: { device: lower.place },
			});
		}
		if (lower.vlans?.has(this.#key) === true) {
			throw new NetError("EEXIST", "Error: 8021q: VLAN device already exists.", {
				context: { device: lower.place, id },
			});
		}
		if (options.mac !== undefined) this.setMac(options.mac);
		if (options.mtu !== undefined) this.setMtu(options.mtu);
		(lower.vlans ??= new Map()).set(this.#key, this);
		this.carrier = lower.carrier && lower.isUp;
	}

	override get link(): Device {
		return this.lower;
	}

	/** Throws `NetError` ERANGE beyond the lower device's MTU (`vlan_dev_change_mtu`). */
	override setMtu(mtu: number): void {
		if (mtu > this.lower.mtu) {
			throw new NetError("ERANGE", "RTNETLINK answers: Numerical result out of range", {
				remedy: `The lower device carries ${String(this.lower.mtu)} octets.`,
				context: { device: this.place, mtu },
			});
		}
		super.setMtu(mtu);
	}

	protected override send(frame: Frame): void {
		this.counters.txPackets++;
		this.counters.txBytes += frame.length;
		frame.push(vlan.OCTETS);
		frame.bytes.copyWithin(frame.start, frame.start + vlan.OCTETS, frame.start + vlan.OCTETS + MACS);
		frame.view.setUint16(frame.start + MACS, this.#tpid);
		frame.view.setUint16(frame.start + ethernet.OCTETS, this.id);
		frame.changed();
		this.lower.transmit(frame);
	}

	/** A frame with this tag came up below: it comes up here without. Takes the frame. */
	receiveTagged(frame: Frame): void {
		frame.bytes.copyWithin(frame.start + vlan.OCTETS, frame.start, frame.start + MACS);
		frame.pull(vlan.OCTETS);
		frame.changed();
		this.receive(frame);
	}

	/** Carrier follows the lower device, and the MTU never exceeds its own. */
	lowerChanged(lower: Device): void {
		const carrier = lower.carrier && lower.isUp;
		if (this.mtu > lower.mtu) super.setMtu(lower.mtu);
		if (carrier === this.carrier) return;
		this.carrier = carrier;
		this.changed();
	}

	/** Nothing is left of a VLAN without its device. */
	lowerGone(): void {
		this.delete();
	}

	/** `ip link set … up`. Throws `NetError` ENETDOWN while the lower device is down. */
	override up(): void {
		if (!this.lower.isUp) {
			throw new NetError("ENETDOWN", "RTNETLINK answers: Network is down", {
				remedy: `Set ${this.lower.name} up first.`,
				context: { device: this.place },
			});
		}
		super.up();
	}

	override delete(): void {
		if (this.gone) return;
		this.lower.vlans?.delete(this.#key);
		if (this.lower.vlans?.size === 0) this.lower.vlans = null;
		super.delete();
	}
}
