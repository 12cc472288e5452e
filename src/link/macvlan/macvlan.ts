import type { Mac } from "../../addr/index.ts";
import { toMac, ZERO_MAC } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import type { Sink } from "../../sim/index.ts";
import { ethernet, type Frame } from "../../wire/index.ts";
import { checkMac, Device } from "../device.ts";
import type { DeviceOwner } from "../device-owner.ts";
import { LowerFilter } from "../lower-filter.ts";
import { checkNesting } from "../nesting.ts";
import { MacvlanPort } from "./port.ts";
import type { World } from "../world.ts";

/** `mode` of a macvlan: which frames pass between it and the other children of its parent. */
export type MacvlanMode = "bridge" | "private" | "vepa" | "passthru" | "source";

/** What `ip link add … type macvlan` takes. */
export interface MacvlanOptions {
	/** `vepa` unless said, as in iproute2. */
	readonly mode?: MacvlanMode;
	/** Drawn at random unless said; in passthru mode it is the parent's whatever is said. */
	readonly mac?: Mac | string;
	/** The parent's unless said, and never more. */
	readonly mtu?: number;
	/** `macaddr set`: the senders that a child in source mode listens to. */
	readonly sources?: readonly (Mac | string)[];
	/** False is `nopromisc`: a passthru child leaves the parent's own filter as it is. */
	readonly promisc?: boolean;
	/** `nodst`: what a child in source mode takes, nobody else gets. */
	readonly nodst?: boolean;
}

const MODES: readonly string[] = ["private", "vepa", "bridge", "passthru", "source"];

/**
 * A macvlan: a device with an address of its own on another device's wire.
 *
 *     transmit ─┬─ bridge mode, a sibling's MAC ── parent.receive ── sibling.receive
 *               ├─ bridge mode, group ── siblings, and parent.transmit
 *               └─ else ── parent.transmit
 *
 * The parent's own stack and its children never hear each other. Reference: drivers/net/macvlan.c.
 */
export class MacvlanDevice extends Device implements Sink<Frame> {
	override readonly kind = "macvlan";
	/** The parent: never a macvlan itself. */
	override readonly lower: Device;
	/** `nopromisc` when false. */
	readonly promiscParent: boolean;
	/** `nodst`. */
	readonly nodst: boolean;
	protected override readonly filtersUnicast = true;
	readonly #port: MacvlanPort;
	readonly #filter: LowerFilter;
	#mode: MacvlanMode;
	readonly #sources = new Set<Mac>();

	constructor(
		world: World,
		owner: DeviceOwner,
		name: string,
		on: Device,
		mac: Mac,
		options: MacvlanOptions = {},
	) {
		const lower = on instanceof MacvlanDevice ? on.lower : on;
		const mode = options.mode ?? "vepa";
		const sources = (options.sources ?? []).map((each) => checkSource(each));
		checkOptions(lower, mode, options);
		super(world, owner, name, mode === "passthru" ? lower.mac : mac, lower.mtu);
		if (options.mtu !== undefined) super.setMtu(options.mtu);
		this.lower = lower;
		this.#mode = mode;
		this.promiscParent = options.promisc ?? true;
		this.nodst = options.nodst ?? false;
		this.#filter = new LowerFilter(lower);
		this.#port = lower.upper instanceof MacvlanPort ? lower.upper : new MacvlanPort(lower);
		lower.upper = this.#port;
		this.#port.children.push(this);
		for (const source of sources) this.addSource(source);
		this.carrier = lower.carrier && lower.isUp;
	}

	override get link(): Device {
		return this.lower;
	}

	/** Which frames pass between this child and the others. */
	get mode(): MacvlanMode {
		return this.#mode;
	}

	/** `ip link set … type macvlan mode …`. Throws `NetError` EINVAL: passthru is neither entered nor left. */
	setMode(mode: MacvlanMode): void {
		checkMode(mode);
		if ((mode === "passthru") !== (this.#mode === "passthru")) {
			throw invalid("A passthru child is made as one; it cannot become or stop being one.", {
				device: this.place,
				mode,
			});
		}
		if (this.#mode === "source" && mode !== "source") this.flushSources();
		this.#mode = mode;
	}

	protected override send(frame: Frame): void {
		this.txPackets++;
		this.txBytes += frame.end - frame.start;
		// The stack that routed the packet here does not hear of the parent's, unless they are the same.
		if (this.lower.owner !== this.owner) frame.routed = false;
		if (this.#mode === "bridge") {
			const high = ethernet.dstHigh(frame.view, frame.start);
			if ((high & 0x0100) !== 0) this.#port.tellSiblings(frame, this);
			else if (this.#port.find(high, ethernet.dstLow(frame.view, frame.start))?.mode === "bridge")
				return this.#port.forward(frame);
		}
		this.lower.transmit(frame);
	}

	/** The far end of the queue from the parent. */
	deliver(frame: Frame): void {
		this.receive(frame);
	}

	/** A passthru child takes all unicast as its own, one in source mode what was meant for the parent. */
	override isOwnAddress(high: number, low: number): boolean {
		if (this.#mode === "passthru" || super.isOwnAddress(high, low)) return true;
		return this.#mode === "source" && this.lower.isOwnAddress(high, low);
	}

	// ── source mode ───────────────────────────────────────────────────────────────────────────────

	/** The senders that a child in source mode listens to. */
	get sources(): readonly Mac[] {
		return [...this.#sources];
	}

	/** `ip link set … type macvlan macaddr add MAC`. Throws `NetError` EINVAL in other modes, EADDRNOTAVAIL. */
	addSource(source: Mac | string): void {
		const mac = checkSource(source);
		this.#checkSourceMode();
		this.#sources.add(mac);
		this.#port.addSource(mac, this);
	}

	/** `macaddr del MAC`; one that is not there is no error. Throws `NetError` EINVAL in other modes. */
	delSource(source: Mac | string): void {
		const mac = checkSource(source);
		this.#checkSourceMode();
		if (this.#sources.delete(mac)) this.#port.delSource(mac, this);
	}

	/** `macaddr flush`. */
	flushSources(): void {
		for (const mac of this.#sources) this.#port.delSource(mac, this);
		this.#sources.clear();
	}

	#checkSourceMode(): void {
		if (this.#mode === "source") return;
		throw invalid("Only a macvlan in source mode listens to chosen senders.", {
			device: this.place,
			mode: this.#mode,
		});
	}

	// ── configuration ─────────────────────────────────────────────────────────────────────────────

	/** `ip link set … up`. Throws `NetError` EADDRINUSE when the parent or a running sibling has the address. */
	override up(): void {
		if (this.isUp) return;
		if (this.#mode !== "passthru" && this.#port.isBusy(this.mac)) throw this.#taken(this.mac);
		this.#port.join(this);
		super.up();
		this.multicast.joinLower(this.lower.multicast);
		this.rxModeChanged();
	}

	override down(): void {
		if (!this.isUp) return;
		this.#port.leave(this);
		this.multicast.leaveLower();
		super.down();
		this.rxModeChanged();
	}

	/** Throws `NetError` EADDRINUSE, EADDRNOTAVAIL. A passthru child's address is the parent's: it changes there. */
	override setMac(mac: Mac | string): void {
		const wanted = toMac(mac, "address");
		if (wanted === this.mac) return;
		if (this.#mode === "passthru") {
			const { ownMac } = this.#port;
			this.lower.setMac(wanted);
			this.#port.ownMac = ownMac;
			return;
		}
		checkMac(wanted);
		if (this.#port.isBusy(wanted)) throw this.#taken(wanted);
		this.#becomes(wanted);
	}

	#becomes(mac: Mac): void {
		if (this.isUp) this.#port.leave(this);
		this.changeMac(mac);
		if (this.isUp) this.#port.join(this);
		this.rxModeChanged();
	}

	#taken(mac: Mac): NetError {
		return new NetError("EADDRINUSE", "RTNETLINK answers: Address already in use", {
			remedy: `Neither ${this.lower.name} nor another macvlan that is up on it may have the address.`,
			context: { device: this.place, address: mac.toString(16).padStart(12, "0") },
		});
	}

	/** Throws `NetError` EINVAL beyond the parent's MTU. */
	override setMtu(mtu: number): void {
		checkMtu(mtu, this.lower);
		super.setMtu(mtu);
	}

	/** The parent takes what the child wants: its address, what others on it want, or everything. */
	protected override rxModeChanged(): void {
		if (!this.isUp) return this.#filter.clear();
		const passthru = this.#mode === "passthru";
		const everything = this.promiscuous || (passthru && this.promiscParent);
		this.#filter.ask(passthru ? this.unicast : [this.mac, ...this.unicast], everything);
	}

	/** Carrier follows the parent, the MTU never exceeds its own, and a passthru child has its address. */
	lowerChanged(lower: Device): void {
		if (this.mtu > lower.mtu) super.setMtu(lower.mtu);
		if (this.#mode === "passthru" && this.mac !== lower.mac) {
			this.#port.ownMac = lower.mac;
			this.#becomes(lower.mac);
		}
		const carrier = lower.carrier && lower.isUp;
		if (carrier === this.carrier) return;
		this.carrier = carrier;
		this.changed();
	}

	/** With the last child the parent is as it was, also its address. */
	override delete(): void {
		if (this.gone) return;
		super.delete();
		const { children } = this.#port;
		this.flushSources();
		children.splice(children.indexOf(this), 1);
		if (children.length > 0) return;
		this.lower.upper = null;
		const { ownMac } = this.#port;
		// A bridge without ports had none to go back to.
		if (!this.lower.gone && this.#mode === "passthru" && ownMac !== ZERO_MAC) this.lower.setMac(ownMac);
	}
}

/** What the kernel asks of a new macvlan's parent and options, in its order (`macvlan_common_newlink`). */
function checkOptions(lower: Device, mode: MacvlanMode, options: MacvlanOptions): void {
	checkMode(mode);
	const context = { parent: lower.place, mode };
	if (options.promisc === false && mode !== "passthru")
		throw new NetError("EINVAL", "macvlan: nopromisc flag only valid in passthru mode", { context });
	if (options.nodst === true && mode !== "source")
		throw new NetError("EINVAL", "macvlan: nodst flag only valid in source mode", { context });
	if (options.mtu !== undefined) checkMtu(options.mtu, lower);
	if (lower.upper instanceof MacvlanPort) {
		if (lower.upper.isPassthru || mode === "passthru")
			throw invalid("A passthru macvlan is the only one on its parent.", context);
	} else if (lower.upper !== null) {
		throw new NetError("EBUSY", "RTNETLINK answers: Device or resource busy", {
			remedy: `${lower.name} has a bridge or an ipvlan above it already.`,
			context,
		});
	}
	if (lower.kind === "loopback" || lower.kind === "ipvlan" || lower.gone)
		throw invalid("The parent of a macvlan is an Ethernet device.", context);
	checkNesting(lower);
	if (options.sources !== undefined && mode !== "source")
		throw invalid("Only a macvlan in source mode listens to chosen senders.", context);
}

function checkMode(mode: string): void {
	if (MODES.includes(mode)) return;
	const text = `Error: argument of "mode" must be "private", "vepa", "bridge", "passthru" or "source", not "${mode}"`;
	throw new NetError("EINVAL", text, { context: { mode } });
}

function checkMtu(mtu: number, lower: Device): void {
	if (mtu > lower.mtu)
		throw invalid(`The parent carries ${String(lower.mtu)} octets.`, { parent: lower.place, mtu });
}

function checkSource(source: Mac | string): Mac {
	const mac = toMac(source, "macaddr");
	if (mac !== 0 && Math.floor(mac / 0x100_0000_0000) % 2 === 0) return mac;
	throw new NetError("EADDRNOTAVAIL", "RTNETLINK answers: Cannot assign requested address", {
		remedy: "A sender's address is neither zero nor a multicast address.",
		context: { address: mac },
	});
}

const invalid = (remedy: string, context: Record<string, unknown>): NetError =>
	new NetError("EINVAL", "RTNETLINK answers: Invalid argument", { remedy, context });
