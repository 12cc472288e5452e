import { isLinkLocalGroup } from "../addr/index.ts";
import { ethernet, type Frame } from "../wire/index.ts";
import type { Bridge } from "./bridge.ts";
import { type Device, FORWARDABLE_EXTRA, type Upper } from "./device.ts";

/** What a port does with frames, in the order of 802.1D: only `forwarding` passes them. */
export type PortState = "disabled" | "listening" | "learning" | "forwarding" | "blocking";

/** The flags of `bridge link set dev …`, with Linux's defaults. */
export interface PortFlags {
	/** Source addresses are learned here. */
	learning: boolean;
	/** Unicast to unknown addresses goes out here. */
	flood: boolean;
	/** Multicast goes out here. */
	mcastFlood: boolean;
	/** Broadcast goes out here. */
	bcastFlood: boolean;
	/** Frames may leave by the port they came in on. */
	hairpin: boolean;
	/** Nothing passes between two isolated ports. */
	isolated: boolean;
}

/**
 * A device enslaved to a bridge. Frames that come up from it are learned from, then forwarded, flooded or
 * taken up by the bridge. Reference: `br_handle_frame` in net/bridge/br_input.c.
 */
export class BridgePort implements Upper {
	readonly bridge: Bridge;
	readonly device: Device;
	state: PortState = "disabled";
	readonly flags: PortFlags = {
		learning: true,
		flood: true,
		mcastFlood: true,
		bcastFlood: true,
		hairpin: false,
		isolated: false,
	};
	/** Ends the promiscuous mode a port puts its device into. */
	readonly #release: () => void;

	constructor(bridge: Bridge, device: Device) {
		this.bridge = bridge;
		this.device = device;
		this.#release = device.promisc();
		this.followCarrier();
	}

	get master(): Bridge {
		return this.bridge;
	}

	/** A port forwards while its device is up and has carrier, and the bridge is up. */
	followCarrier(): void {
		this.state = this.device.isUp && this.device.carrier && this.bridge.isUp ? "forwarding" : "disabled";
	}

	receive(frame: Frame, device: Device): void {
		const view = frame.view;
		const at = frame.start;
		// A multicast or zero source is no station (`is_valid_ether_addr`).
		const sourceHigh = ethernet.srcHigh(view, at);
		const sourceLow = ethernet.srcLow(view, at);
		if ((sourceHigh & 0x0100) !== 0 || (sourceHigh === 0 && sourceLow === 0)) {
			return device.dropIn(frame, "bridge-port-state", "source address is multicast or zero");
		}
		if (ethernet.dstHigh(view, at) === 0x0180 && isLinkLocalGroup(ethernet.dst(view, at))) {
			return this.#linkLocal(frame, device);
		}
		if (this.state !== "forwarding" && this.state !== "learning") {
			return device.dropIn(frame, "bridge-port-state", `port ${device.name} is ${this.state}`);
		}
		if (this.flags.learning) this.bridge.learn(sourceLow, sourceHigh, this);
		if (this.state === "learning")
			return device.dropIn(frame, "bridge-port-state", `port ${device.name} is learning`);
		this.bridge.handle(frame, this);
	}

	/** 01:80:c2:00:00:0X: forwarded only where the bridge says so, else left to the port's own stack. */
	#linkLocal(frame: Frame, device: Device): void {
		const group = ethernet.dstLow(frame.view, frame.start) & 0xff;
		if (this.bridge.forwardsLinkLocal(group)) {
			if (this.state !== "forwarding")
				return device.dropIn(frame, "bridge-port-state", `port ${device.name} is ${this.state}`);
			if (this.flags.learning) {
				this.bridge.learn(
					ethernet.srcLow(frame.view, frame.start),
					ethernet.srcHigh(frame.view, frame.start),
					this,
				);
			}
			this.bridge.handle(frame, this);
			return;
		}
		// 802.3x pause frames end here; LLDP, 802.1X and the rest are for programs on this port.
		if (group === 0x01) return device.dropIn(frame, "bridge-link-local");
		device.input.receive(frame);
	}

	/** True when a frame that came in by `from` may go out here (`should_deliver`). */
	mayDeliver(from: BridgePort | null): boolean {
		if (this.state !== "forwarding") return false;
		if (from === null) return true;
		if (from === this) return this.flags.hairpin;
		return !(this.flags.isolated && from.flags.isolated);
	}

	/** Out of the bridge by this port (`br_dev_queue_push_xmit`). Takes the frame. */
	deliver(frame: Frame): void {
		const device = this.device;
		if (frame.end - frame.start > device.mtu + FORWARDABLE_EXTRA)
			return device.dropOut(frame, "mtu-exceeded");
		device.transmit(frame);
	}

	lowerChanged(): void {
		this.followCarrier();
		this.bridge.portChanged(this);
	}

	lowerGone(device: Device): void {
		this.bridge.detach(device);
	}

	/** The port is taken out of the bridge. */
	leave(): void {
		this.#release();
		this.state = "disabled";
	}
}
