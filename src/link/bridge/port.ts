import { isLinkLocalGroup, type Mac } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import { ethernet, type Frame, llc, stp } from "../../wire/index.ts";
import { type Device, isForwardable } from "../device.ts";
import type { Upper } from "../upper.ts";
import type { Bridge } from "./bridge.ts";
import { PortFlags } from "./flags.ts";
import { checkGroupMask } from "./link-local.ts";
import { checkPortRouter, type McastPort, type McastRouter } from "./mcast/port.ts";
import { type PortState, StpPort } from "./stp-port.ts";
import { VID, VlanGroup } from "./vlan-group.ts";

/** What `bridge link set dev …` takes beside the flags. */
export interface PortOptions extends Partial<Omit<PortFlags, "watchesArp">> {
	/** Bits of link-local groups 01:80:c2:00:00:0X that pass when they come in here (`group_fwd_mask`); bit 1 is refused. */
	readonly groupFwdMask?: number;
	/** 0 to 63. */
	readonly priority?: number;
	/** 1 to 65535: of paths by this port. */
	readonly cost?: number;
	/** Whether a multicast router is behind it: 0 never, 1 while one is heard, 2 always, 3 for now (`mcast_router`). */
	readonly mcastRouter?: McastRouter;
	/** By hand, while STP is off. */
	readonly state?: PortState;
}

const MOST_PRIORITY = 63;
const MOST_COST = 65_535;
/** Path costs of 802.1D-1998 table 8-5 as the kernel has them (`port_cost`), by Mb/s. */
const COSTS: ReadonlyMap<number, number> = new Map([
	[10_000, 2],
	[1000, 4],
	[100, 19],
	[10, 100],
]);
const COST_UNKNOWN = 100;
const STATES: readonly string[] = ["disabled", "listening", "learning", "forwarding", "blocking"];

/**
 * A device enslaved to a bridge. Frames that come up from it are learned from, then forwarded, flooded or
 * taken up by the bridge. Reference: `br_handle_frame` in net/bridge/br_input.c.
 */
export class BridgePort implements Upper {
	readonly bridge: Bridge;
	readonly device: Device;
	tableNumber = 0;
	sourceSlot = 0;
	/** Where the destination of the frame before was found that came in here: see `Fdb.slot`. */
	destinationSlot = 0;
	/** The device's address as the bridge knows it. */
	mac: Mac;
	state: PortState = "disabled";
	/** What `isRunning` was when the bridge last looked (`br_port_carrier_check`). */
	wasRunning: boolean;
	readonly flags: PortFlags;
	/** `group_fwd_mask` of the port. */
	groupFwdMask = 0;
	/** What `bridge vlan` says of it. */
	readonly vlanGroup: VlanGroup = new VlanGroup();
	/** What the spanning tree keeps of it. */
	readonly stp: StpPort<BridgePort>;
	/** What snooping keeps of it. */
	readonly mcast: McastPort;
	/** Ends what a port puts its device into: promiscuous mode, and taking all groups. */
	readonly #release: () => void;

	constructor(bridge: Bridge, device: Device, number: number) {
		this.bridge = bridge;
		this.device = device;
		this.mac = device.mac;
		this.wasRunning = device.isUp && device.carrier;
		this.flags = new PortFlags(() => {
			bridge.flagsChanged();
		});
		this.stp = new StpPort<BridgePort>(this, number, costOf(device), bridge.stp.id, {
			scheduler: bridge.world.scheduler,
			jiffies: bridge.owner.jiffies,
			tree: bridge.stp,
		});
		this.mcast = bridge.snooping.port(this);
		const [promisc, groups] = [device.promisc(), device.multicast.acceptAll()];
		this.#release = () => {
			promisc();
			groups();
		};
	}

	get master(): Bridge {
		return this.bridge;
	}

	get above(): readonly Device[] {
		return [this.bridge];
	}

	/** True when frames can pass: the device is up and has carrier (`netif_oper_up`). */
	get isRunning(): boolean {
		return this.device.isUp && this.device.carrier;
	}

	/** `bridge link set dev … …`. Throws `NetError`: ERANGE, EINVAL, EBUSY for a state while STP runs, ENETDOWN. */
	set(options: PortOptions): void {
		const { priority, cost, state, groupFwdMask, mcastRouter, ...flags } = options;
		for (const [value, least, most] of [
			[priority, 0, MOST_PRIORITY],
			[cost, 1, MOST_COST],
		] as const) {
			if (value !== undefined && (!Number.isInteger(value) || value < least || value > most)) {
				throw new NetError("ERANGE", "RTNETLINK answers: Numerical result out of range", {
					remedy: `Expected a whole number from ${String(least)} to ${String(most)}.`,
					context: { device: this.device.place, value },
				});
			}
		}
		if (state !== undefined) this.#checkState(state);
		if (groupFwdMask !== undefined) checkGroupMask(groupFwdMask, "port", this.device.place);
		if (mcastRouter !== undefined) checkPortRouter(mcastRouter, this.device.place);
		Object.assign(this.flags, flags);
		if (groupFwdMask !== undefined) this.groupFwdMask = groupFwdMask;
		if (mcastRouter !== undefined) this.bridge.snooping.setPortRouter(this, mcastRouter);
		if (priority !== undefined) this.bridge.stp.setPortPriority(this.stp, priority);
		if (cost !== undefined) {
			this.stp.costSet = true;
			this.bridge.stp.setPortCost(this.stp, cost);
		}
		if (state !== undefined) this.bridge.stp.setPortState(this.stp, state);
	}

	#checkState(state: PortState): void {
		const context = { device: this.device.place, state };
		if (!STATES.includes(state)) {
			const remedy = `Expected one of ${STATES.join(", ")}.`;
			throw new NetError("EINVAL", "Error: invalid STP port state", { remedy, context });
		}
		if (this.bridge.stp.enabled) {
			throw new NetError("EBUSY", "RTNETLINK answers: Device or resource busy", {
				remedy: "Switch STP off to set states by hand.",
				context,
			});
		}
		if (!this.device.isUp || (!this.isRunning && state !== "disabled")) {
			throw new NetError("ENETDOWN", "RTNETLINK answers: Network is down", {
				remedy: "Set the port's device up, and its far end.",
				context,
			});
		}
	}

	receive(frame: Frame, device: Device): void {
		const view = frame.view;
		const at = frame.start;
		// A multicast or zero source is no station (`is_valid_ether_addr`).
		const sourceHigh = ethernet.srcHigh(view, at);
		if ((sourceHigh & 0x0100) !== 0 || (sourceHigh === 0 && ethernet.srcLow(view, at) === 0)) {
			return device.dropIn(frame, "bridge-port-state", "source address is multicast or zero");
		}
		if (ethernet.dstHigh(view, at) === 0x0180 && isLinkLocalGroup(ethernet.dst(view, at))) {
			return this.#linkLocal(frame, device);
		}
		this.#enter(frame);
	}

	/** In by this port, past netfilter where the bridge's namespace lets it look (`NF_BR_PRE_ROUTING`). Takes the frame. */
	#enter(frame: Frame): void {
		if (this.state !== "forwarding" && this.state !== "learning") return this.#refuse(frame);
		const filter = this.bridge.owner.bridgeFilter;
		if (filter?.watches(frame, this.bridge) === true) return filter.enter(frame, this);
		this.bridge.handle(frame, this);
	}

	#refuse(frame: Frame): void {
		this.device.dropIn(frame, "bridge-port-state", `port ${this.device.name} is ${this.state}`);
	}

	/** 01:80:c2:00:00:0X: forwarded only where the bridge says so, else left to the port's own stack. */
	#linkLocal(frame: Frame, device: Device): void {
		const group = ethernet.dstLow(frame.view, frame.start) & 0xff;
		if (this.bridge.groups.forwards(group, this.groupFwdMask, this.bridge.stp.enabled))
			return this.#enter(frame);
		// 802.3x pause frames end here; LLDP, 802.1X and the rest are for programs on this port.
		if (group === 0x01) return device.dropIn(frame, "bridge-link-local");
		this.bridge.learnLocally(frame, this);
		const at = frame.start + ethernet.OCTETS;
		const length = ethernet.type(frame.view, frame.start);
		const isLlc = length < ethernet.FIRST_TYPE && length >= llc.OCTETS && at + length <= frame.end;
		const spanningTree =
			isLlc &&
			llc.dsap(frame.view, at) === llc.SAP_STP &&
			llc.ssap(frame.view, at) === llc.SAP_STP &&
			llc.control(frame.view, at) === llc.UI;
		if (!spanningTree || group !== this.bridge.groups.group) return device.input.receive(frame);
		this.#receiveBpdu(frame, at + llc.OCTETS, at + length);
	}

	/** `br_stp_rcv`. Takes the frame. */
	#receiveBpdu(frame: Frame, at: number, end: number): void {
		const bpdu = stp.read(frame.view, at, end);
		if (typeof bpdu === "string") return this.device.dropIn(frame, bpdu);
		if (!this.bridge.stp.enabled || !this.bridge.isUp || this.state === "disabled") {
			return this.device.dropIn(frame, "stp-ignored");
		}
		if (this.flags.guard) {
			this.bridge.stp.disablePort(this.stp);
			return this.device.dropIn(frame, "stp-guard");
		}
		frame.release();
		this.bridge.stp.receive(this.stp, bpdu);
	}

	/** True when a frame that came in by `from` may go out here (`should_deliver`); `tag` as in `VlanGroup`. */
	mayDeliver(from: BridgePort | null, tag: number): boolean {
		if (this.state !== "forwarding") return false;
		if (tag !== 0 && !this.vlanGroup.has(tag & VID)) return false;
		if (from === null) return true;
		if (from === this && !this.flags.hairpin) return false;
		return !(from.flags.isolated && this.flags.isolated);
	}

	/** Out of the bridge by this port, past netfilter if it saw the frame come in (`__br_forward`). Takes the frame. */
	deliver(frame: Frame, tag: number): void {
		if (tag !== 0) this.vlanGroup.dress(frame, tag, this.bridge.vlanTpid);
		const filter = frame.bridging === 0 ? null : this.bridge.owner.bridgeFilter;
		if (filter !== null) return filter.leave(frame, this);
		this.send(frame);
	}

	/** Out by the device, if it is short enough (`br_dev_queue_push_xmit`). Takes the frame. */
	send(frame: Frame): void {
		const { device } = this;
		if (!isForwardable(frame, device)) return device.dropOut(frame, "mtu-exceeded");
		device.transmit(frame);
	}

	/** Follows the device: up, down, carrier, address, MTU, speed. */
	lowerChanged(): void {
		if (!this.stp.costSet) this.stp.cost = costOf(this.device);
		this.bridge.portChanged(this);
	}

	lowerGone(device: Device): void {
		this.bridge.detach(device);
	}

	/** The port is taken out of the bridge. */
	leave(): void {
		this.#release();
		this.stp.cancelTimers();
		this.state = "disabled";
	}
}

const costOf = (device: Device): number => COSTS.get(device.speed) ?? COST_UNKNOWN;
