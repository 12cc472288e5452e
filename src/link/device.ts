import type { Mac, Prefix4 } from "../addr/index.ts";
import { BROADCAST_MAC, formatMac, macHigh, macLow, toMac } from "../addr/index.ts";
import type { DropReason } from "../drop.ts";
import { NetError } from "../errors.ts";
import type { Sink } from "../sim/index.ts";
import type { Frame } from "../wire/index.ts";
import { ethernet, vlan } from "../wire/index.ts";
import type { DeviceInput, DeviceOwner } from "./device-owner.ts";
import type { AddressListener, Layer3Upper } from "./layer3.ts";
import { ALL_NODES_MAC, MulticastList } from "./multicast-list.ts";
import { operState, type OperState } from "./operstate.ts";
import type { Qdisc } from "./qdisc/qdisc.ts";
import { IN, OUT, type Tap, tapFor } from "./tap.ts";
import { UnicastList } from "./unicast-list.ts";
import type { Dependent, TagTaker, Upper } from "./upper.ts";
import { isTag } from "./vlan/tag.ts";
import type { World } from "./world.ts";

/** `ip -s link`: frames and octets seen, refused and spoilt at one device. */
export interface DeviceCounters {
	readonly rxPackets: number;
	readonly rxBytes: number;
	readonly txPackets: number;
	readonly txBytes: number;
	readonly rxDropped: number;
	readonly rxErrors: number;
	readonly txDropped: number;
	readonly txErrors: number;
}

/** A device that no namespace has taken in yet is down: nothing comes up from it. */
const NOWHERE: DeviceInput = {
	receive: (frame) => {
		frame.release();
	},
	claimsPacket: () => false,
	receivePacket: (frame) => {
		frame.release();
	},
};

/** Longest device name Linux keeps (`IFNAMSIZ` less the final zero). */
const LONGEST_NAME = 15;
/** Smallest MTU that can carry IPv4 (RFC 791). */
const ETH_MIN_MTU = 68;
const MAX_MTU = 65_535;
/** What a bridge or veth accepts beyond the MTU: the Ethernet header and one VLAN tag (`is_skb_forwardable`). */
export const FORWARDABLE_EXTRA: number = ethernet.OCTETS + vlan.OCTETS;

/**
 * True for a frame that is short enough for a device within the same machine (`is_skb_forwardable`). The outermost
 * tag does not count: the kernel carries it beside the frame.
 */
export function isForwardable(frame: Frame, device: Device): boolean {
	const beyond = frame.end - frame.start - device.mtu - FORWARDABLE_EXTRA;
	return beyond <= 0 || (beyond <= vlan.OCTETS && isTag(ethernet.type(frame.view, frame.start)));
}

const NO_TAPS: readonly never[] = [];

/**
 * A network device: frames in here, frames out there.
 *
 *     transmit(frame)   from above, out to the medium     qdisc → tap (out) → send
 *     receive(frame)    from the medium, up               tap (in) → VLAN device → upper → namespace
 *
 * Both take the frame. Subclasses give `send`, the medium. Reference: `__dev_queue_xmit` and
 * `__netif_receive_skb_core` in net/core/dev.c.
 */
export abstract class Device {
	// What every frame reads comes first: a device is several lines of cache, and a host may have a thousand.
	/** `ip link set … up` was said. */
	isUp = false;
	/** True when something answers at the other end. Devices without a medium always have it. */
	carrier = true;
	/** The queueing discipline frames wait in on their way out (`tc qdisc … root`); `null` for none. */
	qdisc: Qdisc | null = null;
	/** All taps as one, or none: one test on the path of a frame. */
	protected tap: Tap | null = null;
	#mtu: number;
	/** The other end of the wire, of a device with a wire of its own to just one other (veth). */
	protected farEnd: (Device & Sink<Frame>) | null = null;
	readonly world: World;
	// Counted here, read by `counters`: an object of their own would be two more lines.
	rxPackets = 0;
	rxBytes = 0;
	txPackets = 0;
	txBytes = 0;
	/** What takes frames here before the namespace does. */
	upper: Upper | null = null;
	/** VLAN devices on this one, by `tpid << 12 | vid`. */
	vlans: Map<number, TagTaker> | null = null;
	/** What takes frames here last: the namespace's side of the device. */
	input: DeviceInput = NOWHERE;
	/** The address in the two parts in which it is written into headers. */
	macHigh = 0;
	macLow = 0;
	rxDropped = 0;
	txDropped = 0;
	rxErrors = 0;
	txErrors = 0;

	/** The word after `type` in `ip -d link`: "veth", "bridge", "vxlan" … */
	abstract readonly kind: string;
	/** Interface number, unique in the namespace. */
	index = 0;
	/** The device this one lies on: of a VLAN, macvlan or ipvlan. */
	readonly lower: Device | null = null;
	/** The group addresses listened to (`ip maddress`). */
	readonly multicast: MulticastList = new MulticastList();
	/** Devices that cannot be without this one, VLANs aside: deleted with it. */
	dependents: Set<Dependent> | null = null;
	/** Hears of the device's IPv4 addresses. */
	addressListener: AddressListener | null = null;
	/** Whose packets come up to the stack by this device, when not its own. */
	layer3: Layer3Upper | null = null;
	/** Neighbour resolution is not used (`IFF_NOARP`). */
	noArp = false;
	/** True from the first time it was up: until then `ip link` shows `qdisc noop`. */
	wasUp = false;
	/** `txqueuelen`: frames a queue of the device may hold unless its qdisc says otherwise. */
	txQueueLength = 1000;
	/** `ignore_routes_with_linkdown`, the device's or its namespace's: without carrier its routes are not used. */
	ignoreLinkdown = false;
	/** True once deleted: frames still on their way to it are dropped. */
	gone = false;

	#name: string;
	#owner: DeviceOwner;
	#mac: Mac;
	#promiscuity = 0;
	#unicast: UnicastList | null = null;
	/** Ends the promiscuous mode that stands for a filter of addresses. */
	#unfiltered: (() => void) | null = null;
	/** Takes frames for the addresses of `addUnicast` alone (`IFF_UNICAST_FLT`); others become promiscuous for them. */
	protected readonly filtersUnicast: boolean = false;
	#taps: readonly Tap[] = NO_TAPS;

	constructor(world: World, owner: DeviceOwner, name: string, mac: Mac, mtu: number) {
		checkName(name);
		this.world = world;
		this.#owner = owner;
		this.#name = name;
		this.#mac = mac;
		this.#mtu = mtu;
		this.#splitMac();
		this.multicast.add(ALL_NODES_MAC);
	}

	#splitMac(): void {
		this.macHigh = macHigh(this.#mac);
		this.macLow = macLow(this.#mac);
	}

	/** What it has counted up to now. */
	get counters(): DeviceCounters {
		const { rxPackets, rxBytes, txPackets, txBytes, rxDropped, rxErrors, txDropped, txErrors } = this;
		return { rxPackets, rxBytes, txPackets, txBytes, rxDropped, rxErrors, txDropped, txErrors };
	}

	/** The name in its namespace. */
	get name(): string {
		return this.#name;
	}

	/** The namespace the device is in. */
	get owner(): DeviceOwner {
		return this.#owner;
	}

	/** `namespace:device`, the name of the interface in captures and drop messages. */
	get place(): string {
		return `${this.#owner.name}:${this.#name}`;
	}

	/** The device's own address. */
	get mac(): Mac {
		return this.#mac;
	}

	/** Longest packet in octets, link header aside. */
	get mtu(): number {
		return this.#mtu;
	}

	/** What it carries in Mb/s as `ethtool` says, 0 for unknown. */
	get speed(): number {
		return 0;
	}

	/** `state` in `ip link`. */
	get operstate(): OperState {
		return operState(this);
	}

	/** True while somebody wants all frames, also those for other MACs (`IFF_PROMISC`). */
	get promiscuous(): boolean {
		return this.#promiscuity > 0;
	}

	/** How many want all frames (`promiscuity` in `ip -d link`). */
	get promiscuity(): number {
		return this.#promiscuity;
	}

	/** The device that `ip link` names behind the `@`: a veth's peer, what a VLAN is on; `null` for none. */
	get link(): Device | null {
		return null;
	}

	/** The namespace of what it lies on: its own, unless a pair or a tunnel was taken apart (`get_link_net`). */
	get home(): { readonly name: string } {
		return this.link?.owner ?? this.owner;
	}

	/** The devices this one lies on (`adj_list.lower`): of a bridge its ports. */
	get lowers(): readonly Device[] {
		return this.lower === null ? [] : [this.lower];
	}

	/** The devices that lie on this one (`adj_list.upper`): VLANs, macvlans and ipvlans, its bridge, tunnels that leave by it. */
	get uppers(): readonly Device[] {
		return [...(this.vlans?.values() ?? []), ...(this.upper?.above ?? []), ...(this.dependents ?? [])].filter(
			(each) => each instanceof Device,
		);
	}

	/**
	 * Down from the namespace: the queue if there is one, taps, then the medium. Without carrier nothing is sent
	 * (`dev_deactivate` puts the noop queue in the place of any other). Takes the frame.
	 */
	transmit(frame: Frame): void {
		if (!this.isUp) return this.dropOut(frame, "dev-down");
		if (!this.carrier) return this.dropOut(frame, "no-carrier");
		if (this.qdisc !== null) return this.qdisc.send(frame);
		this.startXmit(frame);
	}

	/** Out of the queue: taps, then the medium (`dev_hard_start_xmit`). Takes the frame. */
	startXmit(frame: Frame): void {
		if (this.tap !== null) this.tap.see(frame, this, OUT);
		this.send(frame);
	}

	/** Out to the medium. Takes the frame; counts it or drops it. */
	protected abstract send(frame: Frame): void;

	/** Up from the medium: taps, VLAN device, upper, namespace. Takes the frame. */
	receive(frame: Frame): void {
		if (!this.isUp) return this.dropIn(frame, this.gone ? "device-gone" : "dev-down");
		if (frame.end - frame.start < ethernet.OCTETS) return this.dropIn(frame, "ethernet-truncated");
		this.rxPackets++;
		this.rxBytes += frame.end - frame.start;
		if (this.tap !== null) this.tap.see(frame, this, IN);
		this.passUp(frame);
	}

	/** `receive` behind counters and taps. Takes the frame. */
	protected passUp(frame: Frame): void {
		if (this.vlans !== null && this.takenByVlan(frame)) return;
		const upper = this.upper;
		if (upper !== null) upper.receive(frame, this);
		else this.input.receive(frame);
	}

	/** Gives a frame to the VLAN device of its tag, if there is one; says whether it took it. */
	takenByVlan(frame: Frame): boolean {
		const type = ethernet.type(frame.view, frame.start);
		if (!isTag(type) || frame.end - frame.start < ethernet.OCTETS + vlan.OCTETS) return false;
		const taker = this.vlans?.get((type << 12) | vlan.vid(frame.view, frame.start + ethernet.OCTETS));
		if (taker === undefined) return false;
		taker.receiveTagged(frame);
		return true;
	}

	/** True for a group that somebody here listens to; everybody does to broadcasts. */
	listensTo(group: Mac): boolean {
		return group === BROADCAST_MAC || this.promiscuous || this.multicast.accepts(group);
	}

	/**
	 * True for a destination that means this device, broadcast and multicast aside (`PACKET_HOST`), in the two parts in
	 * which it stands in headers.
	 */
	isOwnAddress(high: number, low: number): boolean {
		return high === this.macHigh && low === this.macLow;
	}

	/** What it has sent and the other end has not yet taken from its queue arrives now. */
	flush(): void {
		// Most devices hand a frame on at once.
	}

	/** Ends a frame that came in. Takes the frame. */
	dropIn(frame: Frame, reason: DropReason, detail?: string): void {
		this.rxDropped++;
		this.world.drop(frame, reason, this, detail);
	}

	/** Ends a frame that was to go out. Takes the frame. */
	dropOut(frame: Frame, reason: DropReason, detail?: string): void {
		this.txDropped++;
		this.world.drop(frame, reason, this, detail);
	}

	/** `ip link set … up`. */
	up(): void {
		if (this.isUp) return;
		this.isUp = true;
		this.wasUp = true;
		this.changed();
	}

	/** `ip link set … down`. */
	down(): void {
		if (!this.isUp) return;
		this.isUp = false;
		this.changed();
	}

	/** `ip link set … mtu …`, octets. Throws `NetError` EINVAL outside what the device can do. */
	setMtu(mtu: number): void {
		if (!Number.isInteger(mtu) || mtu < ETH_MIN_MTU) {
			throw new NetError("EINVAL", "Error: mtu less than device minimum.", {
				remedy: `An MTU is a whole number from ${String(ETH_MIN_MTU)} to ${String(MAX_MTU)}.`,
				context: { device: this.place, mtu },
			});
		}
		if (mtu > MAX_MTU) {
			throw new NetError("EINVAL", "Error: mtu greater than device maximum.", {
				context: { device: this.place, mtu },
			});
		}
		if (mtu === this.#mtu) return;
		this.#mtu = mtu;
		this.changed();
	}

	/** `ip link set … address …`. Throws `NetError` EADDRNOTAVAIL for a multicast or zero address. */
	setMac(mac: Mac | string): void {
		const wanted = toMac(mac, "address");
		checkMac(wanted);
		this.changeMac(wanted);
	}

	/** Takes another address, whatever it is. */
	protected changeMac(mac: Mac): void {
		if (mac === this.#mac) return;
		this.#mac = mac;
		this.#splitMac();
		this.#owner.linkAddressChanged(this);
		this.changed();
	}

	/** `ip address add … dev …`: "10.0.0.1/24". */
	addAddress(address: string | Prefix4): void {
		this.#owner.addAddress(this, address);
	}

	/** `ip address del … dev …`. */
	removeAddress(address: string | Prefix4): void {
		this.#owner.removeAddress(this, address);
	}

	/** `ip link del …`. The peer of a veth goes with it. */
	delete(): void {
		if (this.gone) return;
		this.down();
		this.gone = true;
		this.upper?.lowerGone(this);
		for (const taker of [...(this.vlans?.values() ?? [])]) taker.lowerGone();
		for (const dependent of [...(this.dependents ?? [])]) dependent.lowerGone();
		this.#owner.deviceGone(this);
	}

	/** Called by the namespace that takes the device over or renames it; users call the namespace. */
	placeIn(owner: DeviceOwner, name: string, index: number, input: DeviceInput): void {
		checkName(name);
		this.#owner = owner;
		this.input = input;
		this.#name = name;
		this.index = index;
	}

	/** Adds a tap and switches promiscuous mode on, as tcpdump does. Returns what takes both away. */
	addTap(tap: Tap): () => void {
		this.#taps = [...this.#taps, tap];
		this.tap = tapFor(this.#taps);
		const release = this.promisc();
		return () => {
			if (!this.#taps.includes(tap)) return;
			this.#taps = this.#taps.filter((each) => each !== tap);
			this.tap = tapFor(this.#taps);
			release();
		};
	}

	/** `ip link set … promisc on`; returns what takes it back. */
	promisc(): () => void {
		if (++this.#promiscuity === 1) this.rxModeChanged();
		let on = true;
		return () => {
			if (!on) return;
			on = false;
			if (--this.#promiscuity === 0) this.rxModeChanged();
		};
	}

	/** Takes frames for one more address, once for each call (`dev_uc_add`). */
	addUnicast(mac: Mac): void {
		(this.#unicast ??= new UnicastList()).add(mac);
		if (!this.filtersUnicast) this.#unfiltered ??= this.promisc();
		this.rxModeChanged();
	}

	/** Takes one call of `addUnicast` back (`dev_uc_del`). */
	delUnicast(mac: Mac): void {
		this.#unicast?.del(mac);
		if (this.unicast.length === 0) {
			this.#unfiltered?.();
			this.#unfiltered = null;
		}
		this.rxModeChanged();
	}

	/** The addresses added to the filter. */
	get unicast(): readonly Mac[] {
		return this.#unicast?.macs ?? [];
	}

	/** True for an address added to the filter. */
	hasUnicast(mac: Mac): boolean {
		return this.#unicast?.has(mac) === true;
	}

	/** What the device has to take changed: devices on others pass it down (`ndo_set_rx_mode`). */
	protected rxModeChanged(): void {
		// Most devices take everything that reaches them.
	}

	/** Tells everyone who follows the device's state. */
	protected changed(): void {
		if (!this.isUp || !this.carrier) this.qdisc?.reset();
		this.upper?.lowerChanged(this);
		for (const taker of [...(this.vlans?.values() ?? [])]) taker.lowerChanged(this);
		this.#owner.deviceChanged(this);
	}

	/** `02:42:0a:00:01:06`. */
	get macText(): string {
		return formatMac(this.#mac);
	}
}

function checkName(name: string): void {
	if (
		name.length === 0 ||
		name.length > LONGEST_NAME ||
		/[\s/:]/.test(name) ||
		name === "." ||
		name === ".."
	) {
		throw new NetError("EINVAL", `Error: argument "${name}" is wrong: "name" not a valid ifname`, {
			remedy: `A device name has 1 to ${String(LONGEST_NAME)} characters, no spaces, slashes or colons.`,
			context: { name },
		});
	}
}

/** Throws `NetError` EADDRNOTAVAIL for an address that no device may be given (`is_valid_ether_addr`). */
export function checkMac(mac: Mac): void {
	const multicast = Math.floor(mac / 0x100_0000_0000) % 2 === 1;
	if (mac === 0 || multicast) {
		throw new NetError("EADDRNOTAVAIL", "RTNETLINK answers: Cannot assign requested address", {
			remedy: "A device address is neither zero nor a multicast address.",
			context: { address: formatMac(mac) },
		});
	}
}
