import type { Mac } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import { ethernet, type Frame, popTag, pushTag, vlan } from "../../wire/index.ts";
import { Device } from "../device.ts";
import type { DeviceOwner } from "../device-owner.ts";
import type { TagTaker } from "../upper.ts";
import { LowerFilter } from "../lower-filter.ts";
import { checkNesting } from "../nesting.ts";
import { IN } from "../tap.ts";
import {
	checkMap,
	checkProtocol,
	checkVlanId,
	type QosMap,
	type VlanOptions,
	type VlanProtocol,
} from "./options.ts";
import type { World } from "../world.ts";

const PCP_SHIFT = 13;
/** The bits of a tag's priority; the kernel drops the others (`vlan_dev_set_egress_priority`). */
const PCP = 7;

/**
 * A VLAN of a lower device: what goes out gets the tag, what comes in below with the tag comes up here without.
 *
 *     transmit → tag, priority by the egress map → lower.transmit
 *     lower.receive → a tag of this VLAN? → off, priority by the ingress map → receive
 *
 * MAC, MTU, carrier, up and down follow the lower device. Reference: net/8021q/vlan_dev.c, vlan_core.c, vlan.c.
 */
export class VlanDevice extends Device implements TagTaker {
	override readonly kind = "vlan";
	/** VLAN id, 0 to 4094. */
	readonly id: number;
	override readonly lower: Device;
	readonly protocol: VlanProtocol;
	/** `reorder_hdr`. */
	readonly reorderHeader: boolean;
	/** `loose_binding`. */
	readonly looseBinding: boolean;
	protected override readonly filtersUnicast = true;
	readonly #tpid: number;
	readonly #key: number;
	readonly #filter: LowerFilter;
	/** Packet priority by the tag's. */
	readonly #ingress = new Uint32Array(8);
	/** The tag's priority by the packet's. */
	readonly #egress = new Map<number, number>();
	/** The address is the lower device's, not one that was set (`NET_ADDR_STOLEN`). */
	#inherits: boolean;
	#lowerUp: boolean;

	constructor(
		world: World,
		owner: DeviceOwner,
		name: string,
		lower: Device,
		id: number,
		options: VlanOptions = {},
	) {
		const protocol = options.protocol ?? "802.1Q";
		checkVlanId(id, lower.place);
		checkProtocol(protocol);
		const ingress = Object.entries(options.ingressQosMap ?? {}).map(
			([from, to]) => [Number(from), to] as const,
		);
		const egress = Object.entries(options.egressQosMap ?? {}).map(
			([from, to]) => [Number(from), to] as const,
		);
		for (const [from, to] of ingress) checkMap("ingress-qos-map", from, to);
		for (const [from, to] of egress) checkMap("egress-qos-map", from, to);
		const tpid = protocol === "802.1Q" ? vlan.TPID_CUSTOMER : vlan.TPID_SERVICE;
		const key = (tpid << 12) | id;
		checkLower(lower, id, key, options.mtu);
		super(world, owner, name, lower.mac, lower.mtu);
		this.id = id;
		this.lower = lower;
		this.protocol = protocol;
		this.reorderHeader = options.reorderHeader ?? true;
		this.looseBinding = options.looseBinding ?? false;
		this.#tpid = tpid;
		this.#key = key;
		this.#filter = new LowerFilter(lower);
		this.#inherits = true;
		this.#lowerUp = lower.isUp;
		for (const [from, to] of ingress) this.setIngressQos(from, to);
		for (const [from, to] of egress) this.setEgressQos(from, to);
		if (options.mac !== undefined) this.setMac(options.mac);
		if (options.mtu !== undefined) super.setMtu(options.mtu);
		(lower.vlans ??= new Map()).set(key, this);
		this.carrier = lower.carrier && lower.isUp;
	}

	override get speed(): number {
		return this.lower.speed;
	}

	// ── priorities ────────────────────────────────────────────────────────────────────────────────

	/** Packet priority by the tag's, where it is not 0: `ingress-qos-map`. */
	get ingressQosMap(): QosMap {
		return Object.fromEntries([...this.#ingress.entries()].filter(([, priority]) => priority !== 0));
	}

	/** The tag's priority by the packet's, where it is not 0: `egress-qos-map`. */
	get egressQosMap(): QosMap {
		return Object.fromEntries(this.#egress);
	}

	/** `ip link set … type vlan ingress-qos-map PCP:PRIORITY`. Throws `NetError` EINVAL. */
	setIngressQos(pcp: number, priority: number): void {
		checkMap("ingress-qos-map", pcp, priority);
		this.#ingress[pcp & PCP] = priority;
	}

	/** `ip link set … type vlan egress-qos-map PRIORITY:PCP`. Throws `NetError` EINVAL. */
	setEgressQos(priority: number, pcp: number): void {
		checkMap("egress-qos-map", priority, pcp);
		// Without an entry a tag's priority is 0.
		if ((pcp & PCP) === 0) this.#egress.delete(priority);
		else this.#egress.set(priority, pcp & PCP);
	}

	// ── out ───────────────────────────────────────────────────────────────────────────────────────

	/** Without `reorder_hdr` the tag is there before captures look (`vlan_dev_hard_header`). */
	override transmit(frame: Frame): void {
		if (!this.reorderHeader && this.isUp) this.#tag(frame);
		super.transmit(frame);
	}

	protected override send(frame: Frame): void {
		this.txPackets++;
		this.txBytes += frame.end - frame.start;
		if (this.reorderHeader) this.#tag(frame);
		this.lower.transmit(frame);
	}

	#tag(frame: Frame): void {
		const pcp = this.#egress.size === 0 ? 0 : (this.#egress.get(frame.priority) ?? 0);
		pushTag(frame, this.#tpid, (pcp << PCP_SHIFT) | this.id);
	}

	// ── in ────────────────────────────────────────────────────────────────────────────────────────

	/** A frame with this tag came up below: it comes up here without. Takes the frame (`vlan_do_receive`). */
	receiveTagged(frame: Frame): void {
		if (!this.isUp) return this.dropIn(frame, this.gone ? "device-gone" : "dev-down");
		frame.priority = this.#ingress[vlan.pcp(frame.view, frame.start + ethernet.OCTETS)] ?? 0;
		if (this.reorderHeader || this.upper !== null) {
			popTag(frame);
			return this.receive(frame);
		}
		this.rxPackets++;
		this.rxBytes += frame.end - frame.start;
		if (this.tap !== null) this.tap.see(frame, this, IN);
		popTag(frame);
		this.passUp(frame);
	}

	/** What the lower device takes as its own, this one does, too: it was judged there first. */
	override isOwnAddress(high: number, low: number): boolean {
		return super.isOwnAddress(high, low) || this.lower.isOwnAddress(high, low);
	}

	/** The lower device takes what this one wants: its address if it is another, what others on it want, or everything. */
	protected override rxModeChanged(): void {
		if (!this.isUp) return this.#filter.clear();
		const { mac, unicast } = this;
		this.#filter.ask(mac === this.lower.mac ? unicast : [mac, ...unicast], this.promiscuous);
	}

	// ── configuration ─────────────────────────────────────────────────────────────────────────────

	/** From now on the address is the device's own: it no longer follows the lower device's. */
	override setMac(mac: Mac | string): void {
		super.setMac(mac);
		this.#inherits = false;
		this.rxModeChanged();
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

	/** `ip link set … up`. Throws `NetError` ENETDOWN while the lower device is down, unless loosely bound. */
	override up(): void {
		if (this.isUp) return;
		if (!this.lower.isUp && !this.looseBinding) {
			throw new NetError("ENETDOWN", "RTNETLINK answers: Network is down", {
				remedy: `Set ${this.lower.name} up first.`,
				context: { device: this.place },
			});
		}
		this.#inheritMac();
		super.up();
		this.multicast.joinLower(this.lower.multicast);
		this.rxModeChanged();
	}

	override down(): void {
		if (!this.isUp) return;
		this.multicast.leaveLower();
		super.down();
		this.rxModeChanged();
	}

	#inheritMac(): void {
		if (this.#inherits) this.changeMac(this.lower.mac);
	}

	/**
	 * Carrier, up and down follow the lower device, the address while the device is up; the MTU never exceeds its own
	 * (`vlan_device_event`).
	 */
	lowerChanged(lower: Device): void {
		if (this.mtu > lower.mtu) super.setMtu(lower.mtu);
		if (this.isUp) {
			this.#inheritMac();
			this.rxModeChanged();
		}
		const carrier = lower.carrier && lower.isUp;
		const carrierChanged = carrier !== this.carrier;
		this.carrier = carrier;
		if (lower.isUp !== this.#lowerUp) {
			this.#lowerUp = lower.isUp;
			if (!this.looseBinding && lower.isUp !== this.isUp) return lower.isUp ? this.up() : this.down();
		}
		if (carrierChanged) this.changed();
	}

	/** Nothing is left of a VLAN without its device. */
	lowerGone(): void {
		this.delete();
	}

	override delete(): void {
		if (this.gone) return;
		this.lower.vlans?.delete(this.#key);
		if (this.lower.vlans?.size === 0) this.lower.vlans = null;
		super.delete();
	}
}

/** What the kernel asks of the lower device, in its order (`vlan_check_real_dev`, `vlan_newlink`). */
function checkLower(lower: Device, id: number, key: number, mtu: number | undefined): void {
	if (lower.kind === "loopback" || lower.kind === "ipvlan" || lower.gone) {
		throw new NetError("EOPNOTSUPP", "Error: 8021q: VLANs not supported on device.", {
			context: { device: lower.place },
		});
	}
	if (lower.vlans?.has(key) === true) {
		throw new NetError("EEXIST", "Error: 8021q: VLAN device already exists.", {
			context: { device: lower.place, id },
		});
	}
	if (mtu !== undefined && mtu > lower.mtu) {
		throw new NetError("EINVAL", "RTNETLINK answers: Invalid argument", {
			remedy: `The lower device carries ${String(lower.mtu)} octets.`,
			context: { device: lower.place, mtu },
		});
	}
	checkNesting(lower);
}
