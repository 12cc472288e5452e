import type { Ip4, Mac } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import type { Sink } from "../../sim/index.ts";
import type { Frame } from "../../wire/index.ts";
import { Device } from "../device.ts";
import type { DeviceOwner } from "../device-owner.ts";
import { type IpvlanFlag, type IpvlanMode, IpvlanPort } from "./port.ts";
import { checkNesting } from "../nesting.ts";
import type { AddressListener } from "../layer3.ts";
import type { World } from "../world.ts";

/** What `ip link add … type ipvlan` takes. */
export interface IpvlanOptions {
	/** `l3` unless said, as in the kernel. It becomes the mode of all children of the parent. */
	readonly mode?: IpvlanMode;
	/** `bridge` unless said or set by a sibling before. It becomes the flag of all children of the parent. */
	readonly flag?: IpvlanFlag;
	/** The parent's unless said. */
	readonly mtu?: number;
}

const MODES: readonly string[] = ["l2", "l3", "l3s"];
const FLAGS: readonly string[] = ["bridge", "private", "vepa"];

/**
 * An ipvlan: a device with addresses of its own behind another device's MAC.
 *
 *     l2      transmit ─┬─ a sibling's address ── sibling.receive
 *                       ├─ group ── siblings, and parent.transmit
 *                       └─ else ── parent.transmit
 *     l3, l3s transmit ─┬─ a sibling's address ── sibling.receive
 *                       └─ IPv4 ── routed by the parent's namespace, TTL as it is
 *
 * Reference: drivers/net/ipvlan/ipvlan_main.c, ipvlan_core.c, ipvlan_l3s.c.
 */
export class IpvlanDevice extends Device implements AddressListener, Sink<Frame> {
	override readonly kind = "ipvlan";
	/** The parent: never an ipvlan itself. */
	override readonly lower: Device;
	protected override readonly filtersUnicast = true;
	readonly #port: IpvlanPort;
	readonly #addresses = new Set<Ip4>();
	#lowerMtu: number;

	constructor(world: World, owner: DeviceOwner, name: string, on: Device, options: IpvlanOptions = {}) {
		const lower = on instanceof IpvlanDevice ? on.lower : on;
		checkOptions(lower, options);
		super(world, owner, name, lower.mac, lower.mtu);
		if (options.mtu !== undefined) this.setMtu(options.mtu);
		this.lower = lower;
		this.#lowerMtu = lower.mtu;
		this.addressListener = this;
		this.#port = lower.upper instanceof IpvlanPort ? lower.upper : new IpvlanPort(lower);
		lower.upper = this.#port;
		this.#port.children.push(this);
		if (options.flag !== undefined) this.#port.flag = options.flag;
		this.#port.setMode(options.mode ?? "l3");
		this.carrier = lower.carrier && lower.isUp;
	}

	override get link(): Device {
		return this.lower;
	}

	/** How frames leave; one for all children of the parent. */
	get mode(): IpvlanMode {
		return this.#port.mode;
	}

	/** `ip link set … type ipvlan mode …`, for all children of the parent. Throws `NetError` EINVAL. */
	setMode(mode: IpvlanMode): void {
		checkMode(mode);
		this.#port.setMode(mode);
	}

	/** What passes between siblings; one for all children of the parent. */
	get flag(): IpvlanFlag {
		return this.#port.flag;
	}

	/** `ip link set … type ipvlan mode … bridge|private|vepa`, for all children of the parent. Throws `NetError` EINVAL. */
	setFlag(flag: IpvlanFlag): void {
		checkFlag(flag);
		this.#port.flag = flag;
	}

	protected override send(frame: Frame): void {
		this.txPackets++;
		this.txBytes += frame.end - frame.start;
		if (this.#port.mode === "l2") this.#port.sendLayer2(frame, this);
		else this.#port.sendLayer3(frame, this);
	}

	/** The far end of the queue from parent or sibling. */
	deliver(frame: Frame): void {
		this.receive(frame);
	}

	// ── addresses ─────────────────────────────────────────────────────────────────────────────────

	/** The IPv4 addresses by which the parent knows this child. */
	get addresses(): ReadonlySet<Ip4> {
		return this.#addresses;
	}

	/** Throws `NetError` EADDRINUSE for an address that a child of the parent has. */
	checkAddress(address: Ip4): void {
		this.#port.checkAddress(address);
	}

	addressAdded(address: Ip4): void {
		this.#addresses.add(address);
		if (this.isUp) this.#port.join(address, this);
	}

	addressRemoved(address: Ip4): void {
		this.#addresses.delete(address);
		this.#port.leave(address);
	}

	// ── configuration ─────────────────────────────────────────────────────────────────────────────

	override up(): void {
		if (this.isUp) return;
		for (const address of this.#addresses) this.#port.join(address, this);
		super.up();
		this.multicast.joinLower(this.lower.multicast);
	}

	override down(): void {
		if (!this.isUp) return;
		for (const address of this.#addresses) this.#port.leave(address);
		this.multicast.leaveLower();
		super.down();
	}

	/** The address is the parent's. Throws `NetError` EOPNOTSUPP. */
	override setMac(mac: Mac | string): void {
		throw new NetError("EOPNOTSUPP", "RTNETLINK answers: Operation not supported", {
			remedy: `All ipvlan devices have the address of ${this.lower.name}: change it there.`,
			context: { device: this.place, address: mac },
		});
	}

	/** MAC and carrier follow the parent, and the MTU whenever the parent's changes. */
	lowerChanged(lower: Device): void {
		this.changeMac(lower.mac);
		if (lower.mtu !== this.#lowerMtu) {
			this.#lowerMtu = lower.mtu;
			this.setMtu(lower.mtu);
		}
		const carrier = lower.carrier && lower.isUp;
		if (carrier === this.carrier) return;
		this.carrier = carrier;
		this.changed();
	}

	override delete(): void {
		if (this.gone) return;
		super.delete();
		for (const address of [...this.#addresses]) this.addressRemoved(address);
		const { children } = this.#port;
		children.splice(children.indexOf(this), 1);
		if (children.length > 0) return;
		this.lower.upper = null;
		this.lower.layer3 = null;
	}
}

function checkOptions(lower: Device, options: IpvlanOptions): void {
	if (options.mode !== undefined) checkMode(options.mode);
	if (options.flag !== undefined) checkFlag(options.flag);
	const context = { parent: lower.place };
	checkNesting(lower);
	if (lower.upper instanceof IpvlanPort) return;
	if (lower.kind === "loopback" || lower.gone) {
		throw new NetError("EINVAL", "RTNETLINK answers: Invalid argument", {
			remedy: "The parent of an ipvlan is an Ethernet device.",
			context,
		});
	}
	if (lower.upper !== null) {
		throw new NetError("EBUSY", "RTNETLINK answers: Device or resource busy", {
			remedy: `${lower.name} has a bridge or a macvlan above it already.`,
			context,
		});
	}
}

function checkMode(mode: string): void {
	if (MODES.includes(mode)) return;
	throw new NetError("EINVAL", 'Error: argument of "mode" must be either "l2", "l3" or "l3s"', {
		context: { mode },
	});
}

function checkFlag(flag: string): void {
	if (FLAGS.includes(flag)) return;
	throw new NetError("EINVAL", `ipvlan: unknown option "${flag}"?`, {
		remedy: 'A flag is "bridge", "private" or "vepa".',
		context: { flag },
	});
}
