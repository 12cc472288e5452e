import type { Ip4 } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import type { Lane, Sink } from "../../sim/index.ts";
import { arp, ethernet, type Frame, ipv4 } from "../../wire/index.ts";
import { type Device, isForwardable } from "../device.ts";
import type { Upper } from "../upper.ts";
import type { IpvlanDevice } from "./ipvlan.ts";
import type { Layer3Upper } from "../layer3.ts";

/** How an ipvlan's frames leave: by the parent's wire (l2), or through its namespace's routes (l3, l3s). */
export type IpvlanMode = "l2" | "l3" | "l3s";
/** What passes between siblings: everything, nothing, or what a switch outside sends back. */
export type IpvlanFlag = "bridge" | "private" | "vepa";

/** MAC control (802.3x pause), which no child gets to see. */
const TYPE_PAUSE = 0x8808;

/**
 * The parent's side of its ipvlan devices. All have its MAC, so what comes up is told apart by IPv4 addresses:
 * the destination of a packet, the target of an ARP message. Mode and flag are the parent's: the child made or
 * changed last decides for all. Reference: drivers/net/ipvlan/ipvlan_core.c.
 */
export class IpvlanPort implements Upper, Layer3Upper, Sink<Frame> {
	readonly device: Device;
	readonly master = null;
	readonly staysOnMove = true;
	/** In the order in which they were made. */
	readonly children: IpvlanDevice[] = [];
	mode: IpvlanMode = "l3";
	flag: IpvlanFlag = "bridge";
	/** The children that are up, by address. */
	readonly #byAddress = new Map<Ip4, IpvlanDevice>();
	/** Behind what happens now: the work queue for groups. */
	readonly #work: Lane;

	constructor(device: Device) {
		this.device = device;
		this.#work = device.world.scheduler.lane(0);
	}

	/** Sets the mode for all children (`ipvlan_set_port_mode`). */
	setMode(mode: IpvlanMode): void {
		this.mode = mode;
		this.device.layer3 = mode === "l3s" ? this : null;
		const noArp = mode !== "l2";
		for (const child of this.children) {
			if (child.noArp === noArp) continue;
			child.noArp = noArp;
			child.owner.linkAddressChanged(child);
		}
	}

	/** Throws `NetError` EADDRINUSE for an address that one of the children has, up or down. */
	checkAddress(address: Ip4): void {
		const owner = this.children.find((child) => child.addresses.has(address));
		if (owner === undefined) return;
		throw new NetError("EADDRINUSE", "Error: Address already assigned to an ipvlan device.", {
			remedy: `${owner.place} has it.`,
			context: { parent: this.device.place },
		});
	}

	/** The address leads to the child, which is up. */
	join(address: Ip4, child: IpvlanDevice): void {
		this.#byAddress.set(address, child);
	}

	/** The address leads nowhere any more. */
	leave(address: Ip4): void {
		this.#byAddress.delete(address);
	}

	layer3Child(destination: Ip4): Device | undefined {
		return this.#byAddress.get(destination);
	}

	/** The child that a frame is for, or comes from. */
	#childOf(frame: Frame, destination: boolean): IpvlanDevice | undefined {
		const { view } = frame;
		const at = frame.start + ethernet.OCTETS;
		const octets = frame.end - at;
		const type = ethernet.type(view, frame.start);
		if (type === ethernet.TYPE_IPV4) {
			if (octets < ipv4.MIN_OCTETS || ipv4.version(view, at) !== 4) return undefined;
			const header = ipv4.headerOctets(view, at);
			const total = ipv4.totalLength(view, at);
			if (header < ipv4.MIN_OCTETS || total < header || total > octets) return undefined;
			return this.#byAddress.get(destination ? ipv4.destination(view, at) : ipv4.source(view, at));
		}
		if (type !== ethernet.TYPE_ARP || octets < arp.OCTETS) return undefined;
		return this.#byAddress.get(destination ? arp.targetIp(view, at) : arp.senderIp(view, at));
	}

	get above(): readonly Device[] {
		return this.children;
	}

	// ── up from the parent ────────────────────────────────────────────────────────────────────────

	receive(frame: Frame, device: Device): void {
		if (this.mode === "l2" && (ethernet.dstHigh(frame.view, frame.start) & 0x0100) !== 0) {
			// What a switch sent back was heard by the siblings on its way out.
			if (!this.#isFromChild(frame)) this.#flood(frame, null, this.#work);
		} else if (this.mode !== "l3s") {
			const child = this.#childOf(frame, true);
			if (child !== undefined) return child.receive(frame);
		}
		device.input.receive(frame);
	}

	#isFromChild(frame: Frame): boolean {
		const { device } = this;
		return (
			ethernet.srcHigh(frame.view, frame.start) === device.macHigh &&
			ethernet.srcLow(frame.view, frame.start) === device.macLow &&
			this.#childOf(frame, false) !== undefined
		);
	}

	/** One copy for each child that is up and listens to the group, the sender aside. The frame stays the caller's. */
	#flood(frame: Frame, from: IpvlanDevice | null, lane: Lane): void {
		if (ethernet.type(frame.view, frame.start) === TYPE_PAUSE) return;
		const group = ethernet.dst(frame.view, frame.start);
		for (const child of this.children) {
			if (child === from || !child.isUp || !child.listensTo(group)) continue;
			const copy = frame.clone();
			copy.mark = 0;
			this.#push(copy, child, child, lane);
		}
	}

	// ── out of a child ────────────────────────────────────────────────────────────────────────────

	/** Out of a child in l2 mode. Takes the frame (`ipvlan_xmit_mode_l2`). */
	sendLayer2(frame: Frame, from: IpvlanDevice): void {
		const { view, start } = frame;
		const high = ethernet.dstHigh(view, start);
		const toOwnMac =
			high === ethernet.srcHigh(view, start) && ethernet.dstLow(view, start) === ethernet.srcLow(view, start);
		if (toOwnMac && this.flag !== "vepa") {
			const child = this.#childOf(frame, true);
			if (child !== undefined) return this.#toSibling(frame, from, child);
			// For the parent's own stack: it comes up there.
			return this.#push(frame, this.device, this, this.device.world.softirq);
		}
		if ((high & 0x0100) !== 0) {
			this.#flood(frame, from, this.device.world.softirq);
			frame.mark = 0;
		}
		if (this.device.owner !== from.owner) frame.routed = false;
		this.device.transmit(frame);
	}

	/** Out of a child in l3 or l3s mode: the parent's namespace routes it. Takes the frame (`ipvlan_xmit_mode_l3`). */
	sendLayer3(frame: Frame, from: IpvlanDevice): void {
		if (this.flag !== "vepa") {
			const child = this.#childOf(frame, true);
			if (child !== undefined) return this.#toSibling(frame, from, child);
		}
		if ((ethernet.dstHigh(frame.view, frame.start) & 0x0100) !== 0)
			return from.dropOut(frame, "ipvlan-group");
		if (ethernet.type(frame.view, frame.start) !== ethernet.TYPE_IPV4)
			return from.dropOut(frame, "unhandled-proto");
		frame.pull(ethernet.OCTETS);
		if (this.device.owner !== from.owner) frame.mark = 0;
		frame.routed = false;
		this.device.owner.sendPacket(frame, this.device);
	}

	#toSibling(frame: Frame, from: IpvlanDevice, child: IpvlanDevice): void {
		if (this.flag === "private") return from.dropOut(frame, "ipvlan-private", child.place);
		this.#push(frame, child, child, this.device.world.softirq);
	}

	/** Hands a frame to another device (`dev_forward_skb`). Takes the frame. */
	#push(frame: Frame, to: Device, sink: Sink<Frame>, lane: Lane): void {
		if (!to.isUp) return to.dropIn(frame, "dev-down");
		if (!isForwardable(frame, to)) return to.dropIn(frame, "rx-length");
		to.world.crossing(frame);
		lane.push(sink, frame);
	}

	/** The far end of the queue to the parent. */
	deliver(frame: Frame): void {
		this.device.receive(frame);
	}

	// ── what becomes of the parent ────────────────────────────────────────────────────────────────

	lowerChanged(device: Device): void {
		for (const child of [...this.children]) child.lowerChanged(device);
	}

	lowerGone(): void {
		for (const child of [...this.children]) child.delete();
	}
}
