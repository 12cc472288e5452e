import type { Mac } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import { type Duration, parseDuration, seconds } from "../sim/index.ts";
import { ethernet, type Frame } from "../wire/index.ts";
import { BridgePort } from "./bridge-port.ts";
import { Device, type DeviceOwner } from "./device.ts";
import { Fdb } from "./fdb.ts";
import { keyHigh } from "./mac-table.ts";
import { IN } from "./tap.ts";
import type { World } from "./world.ts";

/** What `ip link add … type bridge` takes. */
export interface BridgeOptions {
	/** Station address; without it the bridge takes the lowest of its ports'. */
	readonly mac?: Mac | string;
	/** Seconds a learned address is kept: `ageing_time`, 300 s. */
	readonly ageing?: Duration;
	/** Bits of link-local groups 01:80:c2:00:00:0X to forward (`group_fwd_mask`); bits 0 to 2 are refused. */
	readonly groupFwdMask?: number;
	/** Octets; without it the smallest of the ports'. */
	readonly mtu?: number;
}

const AGEING = seconds(300); // net/bridge/br_device.c: br_dev_setup
const ETH_DATA_LEN = 1500;
const RESTRICTED_GROUPS = 0x0007; // BR_GROUPFWD_RESTRICTED: STP, pause, LACP

/**
 * A Linux bridge: a device of its own (`br0`, with an address if it gets one) and its ports.
 *
 *     port ─ receive → learn → handle ┬─ known, other port → port.deliver
 *                                     ├─ unknown, broadcast → flood
 *                                     └─ own address, broadcast → up: br0 receive → stack
 *     br0 transmit → send → known port or flood
 *
 * Reference: net/bridge/br_input.c, br_forward.c, br_device.c.
 */
export class Bridge extends Device {
	override readonly kind = "bridge";
	readonly fdb: Fdb<BridgePort>;
	/** Frames handled, for the report of a storm. */
	forwarded = 0;
	/** Newest first, the order in which Linux keeps and floods them. */
	readonly #ports: BridgePort[] = [];
	#groupFwdMask = 0;
	#macSet: boolean;
	#mtuSet: boolean;

	constructor(world: World, owner: DeviceOwner, name: string, mac: Mac, options: BridgeOptions = {}) {
		super(world, owner, name, mac, ETH_DATA_LEN);
		const ageing = options.ageing === undefined ? AGEING : parseDuration(options.ageing, "ageing");
		this.fdb = new Fdb<BridgePort>(world.scheduler, ageing);
		this.#macSet = options.mac !== undefined;
		this.#mtuSet = false;
		if (options.groupFwdMask !== undefined) this.setGroupFwdMask(options.groupFwdMask);
		this.fdb.replace(this.mac, 0, "local", null);
		if (options.mac !== undefined) this.setMac(options.mac);
		if (options.mtu !== undefined) this.setMtu(options.mtu);
		world.crossroads.push({ place: this.place, forwarded: () => this.forwarded });
	}

	/** The ports, in the order they were attached. */
	get ports(): readonly BridgePort[] {
		return [...this.#ports].reverse();
	}

	/** The port of a device, if it has one here. */
	port(device: Device): BridgePort | undefined {
		return this.#ports.find((port) => port.device === device);
	}

	/**
	 * `ip link set dev … master …`. Throws `NetError`: ELOOP for a bridge, EBUSY for a device that already
	 * has a master, EINVAL for loopback or a device of another namespace.
	 */
	attach(device: Device): BridgePort {
		this.#checkPort(device);
		const port = new BridgePort(this, device);
		device.upper = port;
		this.#ports.unshift(port);
		this.fdb.replace(device.mac, 0, "local", port);
		this.#followPorts();
		return port;
	}

	#checkPort(device: Device): void {
		const context = { bridge: this.place, device: device.place };
		if (device.kind === "bridge") {
			throw new NetError("ELOOP", "Error: Can not enslave a bridge to a bridge.", { context });
		}
		if (device.kind === "loopback" || device.gone || device.owner !== this.owner) {
			throw new NetError("EINVAL", "RTNETLINK answers: Invalid argument", {
				remedy: "A port is an Ethernet device of the bridge's own namespace.",
				context,
			});
		}
		if (device.upper !== null) {
			const taken = `device ${device.name} is already a member of a bridge; can't enslave it to bridge ${this.name}.`;
			throw new NetError("EBUSY", taken, { remedy: "Detach it there first.", context });
		}
	}

	/** `ip link set dev … nomaster`. Throws `NetError` EINVAL for a device that is no port of this bridge. */
	detach(device: Device): void {
		const index = this.#ports.findIndex((port) => port.device === device);
		const port = this.#ports[index];
		if (port === undefined) {
			throw new NetError("EINVAL", "RTNETLINK answers: Invalid argument", {
				context: { bridge: this.place, device: device.place },
			});
		}
		port.leave();
		device.upper = null;
		this.#ports.splice(index, 1);
		this.fdb.flush((entry) => entry.port === port);
		this.#followPorts();
	}

	/** `group_fwd_mask`. Throws `NetError` EINVAL for the three groups that a bridge never forwards. */
	setGroupFwdMask(mask: number): void {
		if (!Number.isInteger(mask) || mask < 0 || mask > 0xffff || (mask & RESTRICTED_GROUPS) !== 0) {
			throw new NetError("EINVAL", "RTNETLINK answers: Invalid argument", {
				remedy: "Bits 0 (STP), 1 (pause) and 2 (LACP) cannot be forwarded; the mask has 16 bits.",
				context: { bridge: this.place, mask },
			});
		}
		this.#groupFwdMask = mask;
	}

	/** Whether 01:80:c2:00:00:0X passes like other multicast. STP frames do while STP is off. */
	forwardsLinkLocal(group: number): boolean {
		return group === 0 || ((this.#groupFwdMask >> group) & 1) === 1;
	}

	/** Notes a source address; `high` is the MAC's upper half. */
	learn(low: number, high: number, port: BridgePort): void {
		this.fdb.learn(low, keyHigh(high, 0), port);
	}

	/** A frame came in by a forwarding port. Takes it (`br_handle_frame_finish`). */
	handle(frame: Frame, from: BridgePort): void {
		this.forwarded++;
		const high = ethernet.dstHigh(frame.view, frame.start);
		if ((high & 0x0100) !== 0) return this.#flood(frame, from, true);
		const entry = this.fdb.lookup(ethernet.dstLow(frame.view, frame.start), keyHigh(high, 0));
		if (entry?.isLocal === true) return this.receive(frame);
		if (this.promiscuous) this.#glimpse(frame);
		if (entry === undefined) return this.#flood(frame, from, false);
		this.#forward(frame, from, entry.port);
	}

	/**
	 * Someone captures on the bridge: what passes goes up too, where taps see it and the stack drops it as another
	 * host's (`br_pass_frame_up`). Nobody else would look, so no copy is made for that.
	 */
	#glimpse(frame: Frame): void {
		if (!this.isUp) return;
		this.counters.rxPackets++;
		this.counters.rxBytes += frame.end - frame.start;
		if (this.tap !== null) this.tap.see(frame, this, IN);
	}

	#forward(frame: Frame, from: BridgePort, port: BridgePort | null): void {
		if (port?.mayDeliver(from) === true) return port.deliver(frame);
		const reason =
			port === from
				? "bridge-hairpin"
				: port?.state === "forwarding"
					? "bridge-isolated"
					: "bridge-port-state";
		this.world.drop(frame, reason, this);
	}

	/** Out of the bridge's own stack (`br_dev_xmit`). Takes the frame. */
	protected override send(frame: Frame): void {
		this.counters.txPackets++;
		this.counters.txBytes += frame.length;
		const high = ethernet.dstHigh(frame.view, frame.start);
		if ((high & 0x0100) !== 0) return this.#flood(frame, null, false);
		const entry = this.fdb.lookup(ethernet.dstLow(frame.view, frame.start), keyHigh(high, 0));
		if (entry === undefined) return this.#flood(frame, null, false);
		if (entry.port?.mayDeliver(null) === true) return entry.port.deliver(frame);
		this.dropOut(frame, "bridge-port-state");
	}

	/** One copy per port that wants it, and one up when `local`. Takes the frame. */
	#flood(frame: Frame, from: BridgePort | null, local: boolean): void {
		const kind = this.#floodKind(frame);
		// One copy per port: each receiver will own its frame. The last one gets the frame itself.
		let last: BridgePort | null = null;
		for (const port of this.#ports) {
			if (!port.flags[kind] || !port.mayDeliver(from)) continue;
			if (last !== null) last.deliver(frame.clone());
			last = port;
		}
		if (local) {
			if (last !== null) last.deliver(frame.clone());
			return this.receive(frame);
		}
		if (last !== null) return last.deliver(frame);
		this.world.drop(frame, this.#ports.length > 1 ? "bridge-no-flood" : "bridge-no-port", this);
	}

	#floodKind(frame: Frame): "flood" | "mcastFlood" | "bcastFlood" {
		const high = ethernet.dstHigh(frame.view, frame.start);
		if ((high & 0x0100) === 0) return "flood";
		const broadcast = high === 0xffff && ethernet.dstLow(frame.view, frame.start) === 0xffff_ffff;
		return broadcast ? "bcastFlood" : "mcastFlood";
	}

	/** Frames to a port's own address are the bridge's too. */
	override isOwnAddress(mac: Mac): boolean {
		return mac === this.mac || this.fdb.find(mac)?.isLocal === true;
	}

	override setMac(mac: Mac | string): void {
		const old = this.mac;
		super.setMac(mac);
		this.#macSet = true;
		this.#macChanged(old);
	}

	override setMtu(mtu: number): void {
		super.setMtu(mtu);
		this.#mtuSet = true;
	}

	override up(): void {
		super.up();
		for (const port of this.#ports) port.followCarrier();
	}

	override down(): void {
		super.down();
		for (const port of this.#ports) port.followCarrier();
		this.fdb.flush();
	}

	override delete(): void {
		for (const port of [...this.#ports]) this.detach(port.device);
		const here = this.world.crossroads.findIndex((each) => each.place === this.place);
		if (here >= 0) this.world.crossroads.splice(here, 1);
		super.delete();
	}

	/** A port's device changed: its address is local here, and the bridge may follow MAC and MTU. */
	portChanged(port: BridgePort): void {
		this.fdb.flush((entry) => entry.port === port && (entry.isLocal || port.state === "disabled"));
		this.fdb.replace(port.device.mac, 0, "local", port);
		this.#followPorts();
	}

	/** Lowest port MAC and smallest port MTU, unless set by hand (`br_stp_recalculate_bridge_id`, `br_mtu_auto_adjust`). */
	#followPorts(): void {
		const old = this.mac;
		const macs = this.#ports.map((port) => port.device.mac);
		if (!this.#macSet && macs.length > 0) super.setMac(macs.reduce((a, b) => (a < b ? a : b)));
		if (!this.#mtuSet && macs.length > 0)
			super.setMtu(Math.min(...this.#ports.map((port) => port.device.mtu)));
		this.#macChanged(old);
	}

	#macChanged(old: Mac): void {
		if (old === this.mac) return;
		const entry = this.fdb.find(old);
		if (entry?.isLocal === true && entry.port === null) this.fdb.del(old);
		if (this.fdb.find(this.mac)?.isLocal !== true) this.fdb.replace(this.mac, 0, "local", null);
	}
}
