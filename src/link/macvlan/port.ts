import { type Mac, macHigh, macLow } from "../../addr/index.ts";
import type { Lane, Sink } from "../../sim/index.ts";
import { ethernet, type Frame } from "../../wire/index.ts";
import { type Device, isForwardable } from "../device.ts";
import type { Upper } from "../upper.ts";
import { keyHigh, MacTable } from "../mac-table.ts";
import type { MacvlanDevice } from "./macvlan.ts";

/** Which children a frame is for: bits of `MODE`. */
const MODE = { private: 1, vepa: 2, bridge: 4, passthru: 8, source: 16 } as const;

/** MAC control (802.3x pause), which no child gets to see. */
const TYPE_PAUSE = 0x8808;

/**
 * The parent's side of its macvlan devices: takes what comes up from it and finds the children it is for.
 *
 *     parent.receive ─┬─ unicast, a child's MAC ── child.receive
 *                     ├─ group ── children whose mode wants it, and up to the parent's own stack
 *                     └─ anything else ── the parent's own stack
 *
 * Reference: `macvlan_handle_frame`, `macvlan_process_broadcast` in drivers/net/macvlan.c.
 */
export class MacvlanPort implements Upper, Sink<Frame> {
	readonly device: Device;
	readonly master = null;
	readonly staysOnMove = true;
	/** In the order in which they were made. */
	readonly children: MacvlanDevice[] = [];
	/** What the parent's address was before a passthru child changed it. */
	ownMac: Mac;
	readonly #byMac = new MacTable<MacvlanDevice>();
	/** The children that are up, in the order in which Linux finds them: by the hash of their addresses. */
	#running: { readonly bucket: number; readonly child: MacvlanDevice }[] = [];
	/** The children in source mode that take frames of an address. */
	readonly #sources = new Map<Mac, MacvlanDevice[]>();
	/** Behind what happens now: the work queue for groups. */
	readonly #work: Lane;

	constructor(device: Device) {
		this.device = device;
		this.ownMac = device.mac;
		this.#work = device.world.scheduler.lane(0);
	}

	/** True while the one child takes all that the parent gets. */
	get isPassthru(): boolean {
		return this.children[0]?.mode === "passthru";
	}

	/** The running child of an address, in the two parts in which it stands in headers. */
	find(high: number, low: number): MacvlanDevice | undefined {
		return this.#byMac.get(low, keyHigh(high, 0));
	}

	/** True for an address that the parent or a running child has (`macvlan_addr_busy`). */
	isBusy(mac: Mac): boolean {
		if (!this.isPassthru && mac === this.device.mac) return true;
		return this.find(macHigh(mac), macLow(mac)) !== undefined;
	}

	/** A child went up: it is found by its address. */
	join(child: MacvlanDevice): void {
		this.#byMac.set(child.macLow, keyHigh(child.macHigh, 0), child);
		const bucket = hashMac(child.mac);
		const at = this.#running.findIndex((each) => each.bucket >= bucket);
		this.#running.splice(at < 0 ? this.#running.length : at, 0, { bucket, child });
	}

	/** A child goes down, or changes its address. */
	leave(child: MacvlanDevice): void {
		if (this.find(child.macHigh, child.macLow) === child)
			this.#byMac.delete(child.macLow, keyHigh(child.macHigh, 0));
		this.#running = this.#running.filter((each) => each.child !== child);
	}

	/** A child in source mode takes frames of an address from now on. */
	addSource(mac: Mac, child: MacvlanDevice): void {
		const children = this.#sources.get(mac) ?? [];
		if (!children.includes(child)) this.#sources.set(mac, [child, ...children]);
	}

	/** Takes `addSource` back. */
	delSource(mac: Mac, child: MacvlanDevice): void {
		const left = (this.#sources.get(mac) ?? []).filter((each) => each !== child);
		if (left.length > 0) this.#sources.set(mac, left);
		else this.#sources.delete(mac);
	}

	get above(): readonly Device[] {
		return this.children;
	}

	// ── up from the parent ────────────────────────────────────────────────────────────────────────

	receive(frame: Frame, device: Device): void {
		const { view, start } = frame;
		if (this.#sources.size > 0 && this.#forwardBySource(frame)) return frame.release();
		const high = ethernet.dstHigh(view, start);
		if ((high & 0x0100) !== 0) return this.#receiveGroup(frame, device);
		const child = this.isPassthru ? this.children[0] : this.find(high, ethernet.dstLow(view, start));
		if (child === undefined || child.mode === "source") return device.input.receive(frame);
		child.receive(frame);
	}

	#receiveGroup(frame: Frame, device: Device): void {
		const { view, start } = frame;
		const from = this.find(ethernet.srcHigh(view, start), ethernet.srcLow(view, start));
		if (from === undefined) {
			this.#flood(frame, null, MODE.private | MODE.vepa | MODE.passthru | MODE.bridge, this.#work);
		} else if (from.mode === "vepa") {
			// The switch sent it back: now the siblings get it.
			this.#flood(frame, from, MODE.vepa | MODE.bridge, this.#work);
		} else if (from.mode === "bridge") {
			// Siblings in bridge mode had it on its way out.
			this.#flood(frame, from, MODE.vepa, this.#work);
		} else {
			this.device.world.crossing(frame);
			return this.#work.push(from, frame);
		}
		device.input.receive(frame);
	}

	/** Copies for the children that listen to the sender. True when the parent itself is to get nothing (`nodst`). */
	#forwardBySource(frame: Frame): boolean {
		const children = this.#sources.get(ethernet.src(frame.view, frame.start));
		if (children === undefined) return false;
		let consumed = false;
		for (const child of children) {
			if (child.nodst) consumed = true;
			if (!child.isUp) continue;
			const copy = frame.clone();
			this.device.world.crossing(copy);
			this.device.world.softirq.push(child, copy);
		}
		return consumed;
	}

	/**
	 * One copy for each running child of these modes that listens to the group, the sender aside. The frame stays the
	 * caller's.
	 */
	#flood(frame: Frame, from: MacvlanDevice | null, modes: number, lane: Lane): void {
		if (ethernet.type(frame.view, frame.start) === TYPE_PAUSE) return;
		const group = ethernet.dst(frame.view, frame.start);
		for (const { child } of this.#running) {
			if (child === from || (MODE[child.mode] & modes) === 0 || !child.listensTo(group)) continue;
			const copy = frame.clone();
			if (lane === this.device.world.softirq && !isForwardable(copy, child)) {
				child.dropIn(copy, "rx-length");
				continue;
			}
			this.device.world.crossing(copy);
			lane.push(child, copy);
		}
	}

	// ── from child to child ───────────────────────────────────────────────────────────────────────

	/** A child in bridge mode says something to a group: its siblings in bridge mode hear it. The frame stays the caller's. */
	tellSiblings(frame: Frame, from: MacvlanDevice): void {
		this.#flood(frame, from, MODE.bridge, this.device.world.softirq);
	}

	/**
	 * Unicast from one child in bridge mode to another: it comes up from the parent, so that captures there see it
	 * (`dev_forward_skb`). Takes the frame.
	 */
	forward(frame: Frame): void {
		const { device } = this;
		if (!device.isUp) return device.dropIn(frame, "dev-down");
		if (!isForwardable(frame, device)) return device.dropIn(frame, "rx-length");
		device.world.crossing(frame);
		this.device.world.softirq.push(this, frame);
	}

	/** The far end of the queue. */
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

const GOLDEN_RATIO = 0x61c8_8646_80b5_83ebn; // include/linux/hash.h
/**
 * The bucket of an address among 256: the order in which groups are delivered (`macvlan_eth_hash` on a
 * little-endian machine).
 */
function hashMac(mac: Mac): number {
	let value = 0n;
	for (let i = 0; i < 6; i++)
		value |= BigInt(Math.floor(mac / 2 ** (8 * (5 - i))) % 256) << BigInt(8 * i + 16);
	return Number(BigInt.asUintN(64, value * GOLDEN_RATIO) >> 56n);
}
