import { type Ip4, type Mac, ZERO_MAC } from "../../addr/index.ts";
import type { DropReason } from "../../drop.ts";
import { NetError } from "../../errors.ts";
import { type Lane, milliseconds, parseDuration, type Sink } from "../../sim/index.ts";
import { ethernet, type Frame, type FramePool, llc, pushTag, stp, vlan } from "../../wire/index.ts";
import { Device } from "../device.ts";
import type { DeviceOwner } from "../device-owner.ts";
import { keyHigh } from "../mac-table.ts";
import { ALL_SNOOPERS, ALL_SNOOPERS_6_MAC } from "../multicast-list.ts";
import { checkNesting } from "../nesting.ts";
import { IN } from "../tap.ts";
import type { World } from "../world.ts";
import { proxyArp } from "./arp-proxy.ts";
import { BridgeFdb } from "./fdb.ts";
import { LinkLocalGroups } from "./link-local.ts";
import { BRIDGING } from "./filter.ts";
import { AGEING, type BridgeOptions, type BridgeSettings, checkSettings } from "./options.ts";
import { MdbCommands } from "./mcast/mdb.ts";
import type { McastBridge } from "./mcast/querier.ts";
import { FLOOD, REFUSED, Snooping } from "./mcast/snooping.ts";
import { BridgePort } from "./port.ts";
import { SpanningTree, type StpBridge } from "./stp.ts";
import type { StpPort } from "./stp-port.ts";
import { TAGGED, VID, VlanGroup } from "./vlan-group.ts";
import { BridgeVlans } from "./vlans.ts";

const ETH_DATA_LEN = 1500;
/** Devices that cannot be ports: no Ethernet, or without a place for a bridge to take frames (`IFF_NO_RX_HANDLER`). */
const NO_PORTS: ReadonlySet<string> = new Set(["loopback", "ipvlan"]);
/** From up to the first look for aged addresses (`br_stp_enable_bridge`). */
const GC_FIRST = milliseconds(100);
const MOST_PORTS = 1023; // BR_MAX_PORTS - 1

/**
 * A Linux bridge: a device of its own (`br0`, with an address if it gets one) and its ports.
 *
 *     port ─ receive → handle: VLAN → learn ┬─ known, other port → port.deliver
 *                                           ├─ unknown, broadcast → flood
 *                                           └─ own address, broadcast → up: br0 receive → stack
 *     br0 transmit → send → known port or flood
 *     BPDU at a port ─ stp: which ports forward
 *
 * Inside, a frame goes with its `tag` (see `VlanGroup`): 0 while VLAN filtering is off.
 * Reference: net/bridge/br_input.c, br_forward.c, br_device.c, br_if.c.
 */
export class Bridge extends Device implements StpBridge<BridgePort>, McastBridge, Sink<Frame> {
	override readonly kind = "bridge";
	/** `bridge fdb …`. */
	readonly fdb: BridgeFdb;
	/** `bridge vlan …`. */
	readonly vlan: BridgeVlans;
	/** The VLANs that the bridge itself is in. */
	readonly vlanGroup: VlanGroup = new VlanGroup();
	/** `bridge mdb …`. */
	readonly mdb: MdbCommands;
	/** Who is in which multicast group. */
	readonly snooping: Snooping;
	/** Which link-local groups pass, and where BPDUs go. */
	readonly groups: LinkLocalGroups = new LinkLocalGroups();
	/** Which ports forward. */
	readonly stp: SpanningTree<BridgePort>;
	/** Frames handled, for the report of a storm. */
	forwarded = 0;
	/** Newest first, the order in which Linux keeps and floods them. */
	readonly #ports: BridgePort[] = [];
	/** What the spanning tree keeps of them, in the same order. */
	readonly #stpPorts: StpPort<BridgePort>[] = [];
	readonly #replies: Lane;
	#noLinklocalLearn = false;
	#nfCallIptables = false;
	#filtering = false;
	#vlanTpid = vlan.TPID_CUSTOMER;
	#ageing = AGEING;
	#arpWatched = false;
	#upSince = 0;
	#macSet = false;
	#mtuSet = false;

	constructor(world: World, owner: DeviceOwner, name: string, mac: Mac, options: BridgeOptions = {}) {
		super(world, owner, name, mac, ETH_DATA_LEN);
		this.#replies = world.scheduler.lane(0);
		this.fdb = new BridgeFdb(this, world.scheduler, AGEING);
		this.stp = new SpanningTree<BridgePort>(this, world.scheduler, owner.jiffies, mac);
		this.snooping = new Snooping(this, world.scheduler, owner.jiffies);
		this.mdb = new MdbCommands(this);
		this.vlan = new BridgeVlans(this);
		this.fdb.addLocal(null, mac, 0);
		this.vlan.joinDefault(null);
		const { mac: address, mtu, ...settings } = options;
		this.set(settings);
		if (address !== undefined) this.setMac(address);
		if (mtu !== undefined) this.setMtu(mtu);
		this.carrier = false;
		world.crossroads.push({ place: this.place, forwarded: () => this.forwarded });
	}

	/** The ports, in the order they were attached. */
	get ports(): readonly BridgePort[] {
		return [...this.#ports].reverse();
	}

	/** The ports, the newest first: the order in which Linux goes through them. */
	get newestPorts(): readonly BridgePort[] {
		return this.#ports;
	}

	override get lowers(): readonly Device[] {
		return this.#ports.map((port) => port.device);
	}

	get stpPorts(): readonly StpPort<BridgePort>[] {
		return this.#stpPorts;
	}

	/** The device as the VLANs and the table see it. */
	get self(): Device {
		return this;
	}

	/** TPID of the tags that name this bridge's VLANs. */
	get vlanTpid(): number {
		return this.#vlanTpid;
	}

	/** `vlan_protocol`. */
	get vlanProtocol(): "802.1Q" | "802.1ad" {
		return this.#vlanTpid === vlan.TPID_CUSTOMER ? "802.1Q" : "802.1ad";
	}

	/** Where frames are made. */
	get frames(): FramePool {
		return this.world.frames;
	}

	/** What its queries may come from. */
	get address(): Ip4 {
		return this.owner.sourceOf(this);
	}

	/** `no_linklocal_learn`. */
	get noLinklocalLearn(): boolean {
		return this.#noLinklocalLearn;
	}

	/** `vlan_filtering`. */
	get vlanFiltering(): boolean {
		return this.#filtering;
	}

	/** `nf_call_iptables`: iptables see its IPv4 frames, whatever `net.bridge.bridge-nf-call-iptables` says. */
	get nfCallIptables(): boolean {
		return this.#nfCallIptables;
	}

	/** `ageing_time` in nanoseconds, as it was set. */
	get ageing(): number {
		return this.#ageing;
	}

	/** Nanoseconds until aged addresses are next looked for: when the first of them is due (`br_fdb_cleanup`). */
	get gcLeft(): number {
		if (!this.isUp) return 0;
		const { now } = this.world.scheduler;
		// A tenth of a second after it came up, then when the first address could have aged.
		const begins = this.#upSince + GC_FIRST;
		if (begins > now) return begins - now;
		if (begins + this.#ageing > now) return begins + this.#ageing - now;
		const due = this.fdb.entries().filter((entry) => entry.ages);
		return due.reduce((least, entry) => Math.min(least, this.fdb.ageing - entry.updated), this.fdb.ageing);
	}

	/** As fast as its fastest port. */
	override get speed(): number {
		return Math.max(0, ...this.#ports.map((port) => port.device.speed));
	}

	/** The port of a device, if it has one here. */
	port(device: Device): BridgePort | undefined {
		return device.upper instanceof BridgePort && device.upper.bridge === this ? device.upper : undefined;
	}

	/**
	 * `ip link set … type bridge …`. Throws `NetError`, nothing changed: ERANGE for times out of their range,
	 * EINVAL.
	 */
	set(settings: BridgeSettings): void {
		checkSettings(this.place, settings, { stp: this.stp.enabled });
		const { ageing, groupFwdMask, priority, defaultPvid, vlanProtocol } = settings;
		const ticks = (time: NonNullable<BridgeSettings["helloTime"]>): number =>
			this.owner.jiffies.ticks(parseDuration(time, "time"));
		if (groupFwdMask !== undefined) this.groups.mask = groupFwdMask;
		this.snooping.set(settings);
		if (settings.noLinklocalLearn !== undefined) this.#noLinklocalLearn = settings.noLinklocalLearn;
		if (settings.nfCallIptables !== undefined) this.#nfCallIptables = settings.nfCallIptables;
		if (vlanProtocol !== undefined)
			this.#vlanTpid = vlanProtocol === "802.1Q" ? vlan.TPID_CUSTOMER : vlan.TPID_SERVICE;
		if (defaultPvid !== undefined) this.vlan.setDefaultPvid(defaultPvid);
		if (settings.vlanFiltering !== undefined) this.#filtering = settings.vlanFiltering;
		if (settings.groupAddress !== undefined) this.groups.setAddress(settings.groupAddress);
		this.groups.follow(this.#filtering && this.#vlanTpid === vlan.TPID_SERVICE);
		if (settings.helloTime !== undefined) this.stp.setHelloTime(ticks(settings.helloTime));
		if (settings.maxAge !== undefined) this.stp.setMaxAge(ticks(settings.maxAge));
		if (settings.forwardDelay !== undefined) this.stp.setForwardDelay(ticks(settings.forwardDelay));
		if (settings.stp !== undefined) this.stp.setEnabled(settings.stp);
		if (priority !== undefined) this.stp.setPriority(priority);
		if (ageing === undefined) return;
		this.#ageing = parseDuration(ageing, "ageing");
		this.ageingChanged();
	}

	/** It listens to the snoopers' groups from now on, or does not. */
	snoopingChanged(on: boolean): void {
		if (this.isUp) this.#hearSnoopers(on);
	}

	/** As any listener, it reports that it is in the group (`br_multicast_join_snoopers`). */
	#hearSnoopers(on: boolean): void {
		if (on) {
			this.owner.joinGroup(ALL_SNOOPERS, this);
			this.multicast.add(ALL_SNOOPERS_6_MAC);
		} else {
			this.owner.leaveGroup(ALL_SNOOPERS, this);
			this.multicast.delete(ALL_SNOOPERS_6_MAC);
		}
	}

	/** `group_fwd_mask`. Throws `NetError` EINVAL for the three groups that a bridge never forwards. */
	setGroupFwdMask(mask: number): void {
		this.set({ groupFwdMask: mask });
	}

	// ── ports ────────────────────────────────────────────────────────────────────────────────────

	/**
	 * `ip link set dev … master …`. Throws `NetError`: ELOOP for a bridge, EBUSY for a device that already
	 * has a master or lies on the bridge, EINVAL for loopback or a device of another namespace, EMLINK, EXFULL beyond
	 * 1023 ports.
	 */
	attach(device: Device): BridgePort {
		this.#checkPort(device);
		const taken = new Set(this.#ports.map((port) => port.stp.number));
		let number = 1;
		while (taken.has(number)) number++;
		if (number > MOST_PORTS) {
			throw new NetError("EXFULL", "RTNETLINK answers: Exchange full", { context: { bridge: this.place } });
		}
		const port = new BridgePort(this, device, number);
		device.upper = port;
		this.fdb.addPort(port);
		this.#ports.unshift(port);
		this.#stpPorts.unshift(port.stp);
		this.fdb.addLocal(port, device.mac, 0);
		this.vlan.joinDefault(port);
		this.#followMac();
		if (port.isRunning && this.isUp) this.stp.enablePort(port.stp);
		this.#followMtu();
		return port;
	}

	#checkPort(device: Device): void {
		const context = { bridge: this.place, device: device.place };
		if (device.kind === "bridge") {
			throw new NetError("ELOOP", "Error: Can not enslave a bridge to a bridge.", { context });
		}
		const foreign = device.gone || device.owner !== this.owner;
		// What is on a bridge without ports has no address either.
		if (NO_PORTS.has(device.kind) || foreign || device.mac === ZERO_MAC) {
			throw new NetError("EINVAL", "RTNETLINK answers: Invalid argument", {
				remedy: "A port is an Ethernet device of the bridge's own namespace, with an address.",
				context,
			});
		}
		if (device.upper === null) return checkNesting(device, this);
		// brctl addif has words of its own; `ip link set master` would move the port.
		const text =
			device.upper instanceof BridgePort
				? `device ${device.name} is already a member of a bridge; can't enslave it to bridge ${this.name}.`
				: "RTNETLINK answers: Device or resource busy";
		throw new NetError("EBUSY", text, { remedy: "Detach it there first.", context });
	}

	/** `ip link set dev … nomaster`. Throws `NetError` EINVAL for a device that is no port of this bridge. */
	detach(device: Device): void {
		const port = this.port(device);
		if (port === undefined) {
			throw new NetError("EINVAL", "RTNETLINK answers: Invalid argument", {
				context: { bridge: this.place, device: device.place },
			});
		}
		this.stp.disablePort(port.stp);
		this.fdb.forgetPort(port, { all: true });
		this.snooping.removePort(port);
		port.leave();
		device.upper = null;
		this.#ports.splice(this.#ports.indexOf(port), 1);
		this.#stpPorts.splice(this.#stpPorts.indexOf(port.stp), 1);
		this.fdb.removePort(port);
		this.flagsChanged();
		this.#followMtu();
		this.#followMac();
	}

	/** A port's flags about ARP changed. */
	flagsChanged(): void {
		this.#arpWatched = this.#ports.some((port) => port.flags.watchesArp);
	}

	/** A port's device changed: up, down, carrier, address, MTU. */
	portChanged(port: BridgePort): void {
		if (port.mac !== port.device.mac) {
			port.mac = port.device.mac;
			this.fdb.moveLocal(port, port.mac);
			this.#followMac();
		}
		// A port that was shut, by hand or by a BPDU at `guard`, stays so until its link comes anew.
		const running = port.isRunning;
		const cameOrWent = running !== port.wasRunning;
		port.wasRunning = running;
		if (this.isUp && cameOrWent) {
			if (running && port.state === "disabled") this.stp.enablePort(port.stp);
			if (!running && port.state !== "disabled") this.stp.disablePort(port.stp);
		}
		this.#followMtu();
	}

	/** Lowest port MAC, unless set by hand; none without a port (`br_stp_recalculate_bridge_id`). */
	#followMac(): void {
		if (this.#macSet) return;
		const lowest = this.#ports.reduce((least, port) => Math.min(least, port.device.mac), Infinity);
		this.#takeMac((lowest === Infinity ? ZERO_MAC : lowest) as Mac);
	}

	#takeMac(mac: Mac): void {
		if (mac === this.mac) return;
		this.changeMac(mac);
		this.fdb.moveLocal(null, mac);
		this.stp.setMac(mac);
	}

	/** Smallest port MTU, unless set by hand (`br_mtu_auto_adjust`). */
	#followMtu(): void {
		if (this.#mtuSet) return;
		const mtus = this.#ports.map((port) => port.device.mtu);
		super.setMtu(mtus.length === 0 ? ETH_DATA_LEN : Math.min(...mtus));
	}

	// ── frames ───────────────────────────────────────────────────────────────────────────────────

	/** Learns the source of a frame that stays at its port (`__br_handle_local_finish`). The frame stays the caller's. */
	learnLocally(frame: Frame, port: BridgePort): void {
		const learns = port.state === "learning" || port.state === "forwarding";
		if (!learns || !port.flags.learning || this.#noLinklocalLearn) return;
		const vid = this.#filtering ? port.vlanGroup.vlanOf(frame, this.#vlanTpid) : 0;
		if (this.#filtering && vid === 0) return;
		const { view, start } = frame;
		this.fdb.learn(ethernet.srcLow(view, start), keyHigh(ethernet.srcHigh(view, start), vid), port);
	}

	/** A frame came in by a port that learns or forwards. Takes it (`br_handle_frame_finish`). */
	handle(frame: Frame, from: BridgePort): void {
		this.forwarded++;
		let tag = 0;
		if (this.#filtering) {
			tag = from.vlanGroup.admit(frame, this.#vlanTpid);
			if (tag === 0) return from.device.dropIn(frame, "vlan-ingress", `port ${from.device.name}`);
		}
		const { view, start } = frame;
		const vid = tag & VID;
		const sourceLow = ethernet.srcLow(view, start);
		const sourceHigh = keyHigh(ethernet.srcHigh(view, start), vid);
		const { flags } = from;
		if (flags.locked) {
			const slot = this.fdb.slot(sourceLow, sourceHigh);
			const known = slot >= 0 && !this.fdb.isLocalAt(slot) && this.fdb.portAt(slot) === from;
			if (!known) return from.device.dropIn(frame, "bridge-locked");
		}
		if (flags.learning) this.fdb.learn(sourceLow, sourceHigh, from);
		const high = ethernet.dstHigh(view, start);
		const isGroup = (high & 0x0100) !== 0;
		const way =
			isGroup && this.snooping.config.snooping && high !== 0xffff
				? this.snooping.judge(frame, from, tag)
				: FLOOD;
		if (way === REFUSED) return from.device.dropIn(frame, this.snooping.reason);
		if (from.state === "learning") {
			return from.device.dropIn(frame, "bridge-port-state", `port ${from.device.name} is learning`);
		}
		const answered = this.#arpWatched && proxyArp(this, frame, from, tag);
		if (isGroup) {
			if (way !== FLOOD) return this.#toMembers(frame, from, tag);
			return this.#flood(frame, from, true, tag, answered);
		}
		const { fdb } = this;
		const slot = fdb.slot(ethernet.dstLow(view, start), keyHigh(high, vid), from.destinationSlot);
		if (slot >= 0) {
			from.destinationSlot = slot;
			if (fdb.isLocalAt(slot)) return this.#passUp(frame, tag);
		}
		let copy: Frame | null = null;
		if (this.promiscuous) {
			// Netfilter gave it another's address at the port, but it came for this host: it goes both ways.
			if ((frame.bridging & BRIDGING.forHost) === 0) this.#glimpse(frame, tag);
			else {
				copy = frame.clone();
				copy.forgetFlow();
			}
		}
		if (slot < 0) this.#flood(frame, from, false, tag, answered);
		else {
			fdb.useAt(slot);
			this.#forward(frame, from, fdb.portAt(slot), tag);
		}
		if (copy !== null) this.#passUp(copy, tag);
	}

	/** Up to the bridge's own stack (`br_pass_frame_up`). Takes the frame. */
	#passUp(frame: Frame, tag: number): void {
		if (tag !== 0) {
			if (this.vlanGroup.has(tag & VID)) this.vlanGroup.dress(frame, tag, this.#vlanTpid);
			else if (!this.promiscuous) return this.dropIn(frame, "vlan-egress");
			else if ((tag & TAGGED) === 0) pushTag(frame, this.#vlanTpid, tag & VID);
		}
		this.receive(frame);
	}

	/**
	 * Someone captures on the bridge: what passes goes up too, where taps see it and the stack drops it as another
	 * host's (`br_pass_frame_up`). Nobody else would look, so no copy is made for that while VLANs play no part.
	 */
	#glimpse(frame: Frame, tag: number): void {
		if (!this.isUp) return;
		// A macvlan or VLAN device on the bridge may want it.
		if (tag !== 0 || this.upper !== null || this.vlans !== null) return this.#passUp(frame.clone(), tag);
		this.rxPackets++;
		this.rxBytes += frame.end - frame.start;
		if (this.tap !== null) this.tap.see(frame, this, IN);
	}

	#forward(frame: Frame, from: BridgePort | null, port: BridgePort | null, tag: number): void {
		if (port?.mayDeliver(from, tag) === true) return port.deliver(frame, tag);
		if (port === from && port !== null) return this.world.drop(frame, "bridge-hairpin", this);
		if (port?.state !== "forwarding") return this.world.drop(frame, "bridge-port-state", this);
		const outside = tag !== 0 && !port.vlanGroup.has(tag & VID);
		this.world.drop(frame, outside ? "vlan-egress" : "bridge-isolated", this);
	}

	/** Out of the bridge's own stack (`br_dev_xmit`). Takes the frame. */
	protected override send(frame: Frame): void {
		if (frame.bridging !== 0) {
			if ((frame.bridging & BRIDGING.resolving) !== 0) return this.owner.bridgeFilter?.resolved(frame);
			// It came by another bridge and was routed here: only what comes in by a port is shown at ports.
			frame.bridging = 0;
		}
		this.txPackets++;
		this.txBytes += frame.length;
		let tag = 0;
		if (this.#filtering) {
			tag = this.vlanGroup.admit(frame, this.#vlanTpid);
			if (tag === 0) return this.dropOut(frame, "vlan-ingress");
		}
		const answered = this.#arpWatched && proxyArp(this, frame, null, tag);
		const high = ethernet.dstHigh(frame.view, frame.start);
		if ((high & 0x0100) !== 0) {
			const snoops = this.snooping.config.snooping && high !== 0xffff;
			const way = snoops ? this.snooping.judge(frame, null, tag) : FLOOD;
			if (way === REFUSED) return this.dropOut(frame, this.snooping.reason);
			if (way !== FLOOD) return this.#toMembers(frame, null, tag);
			return this.#flood(frame, null, false, tag, answered);
		}
		const slot = this.fdb.slot(ethernet.dstLow(frame.view, frame.start), keyHigh(high, tag & VID));
		if (slot < 0) return this.#flood(frame, null, false, tag, answered);
		this.fdb.useAt(slot);
		this.#forward(frame, null, this.fdb.portAt(slot), tag);
	}

	/** One copy per port that wants it, and one up when `local` (`br_flood`). Takes the frame. */
	#flood(frame: Frame, from: BridgePort | null, local: boolean, tag: number, answered: boolean): void {
		const kind = this.#floodKind(frame);
		// What the bridge itself says to a group goes everywhere.
		const always = from === null && kind !== "flood";
		// One copy per port: each receiver will own its frame. The last one gets the frame itself.
		let last: BridgePort | null = null;
		for (const port of this.#ports) {
			if ((!always && !port.flags[kind]) || !port.mayDeliver(from, tag)) continue;
			if (this.#arpWatched && shuns(port, answered)) continue;
			if (last !== null) last.deliver(frame.clone(), tag);
			last = port;
		}
		this.#deliverLast(frame, last, local, tag, this.#ports.length > 1 ? "bridge-no-flood" : "bridge-no-port");
	}

	/** The last port of a flood gets the frame itself, or a copy when it goes up, too. Takes the frame. */
	#deliverLast(frame: Frame, last: BridgePort | null, local: boolean, tag: number, nobody: DropReason): void {
		if (local) {
			if (last !== null) last.deliver(frame.clone(), tag);
			// What goes up because somebody captures is of no flow there (`br_nf_local_in`).
			if (this.promiscuous && frame.bridging !== 0) frame.forgetFlow();
			return this.#passUp(frame, tag);
		}
		if (last !== null) return last.deliver(frame, tag);
		this.world.drop(frame, nobody, this);
	}

	/**
	 * One copy per port with a member of the group that was found, or with a router, and one up when the host is one of
	 * them (`br_multicast_flood`). Takes the frame.
	 */
	#toMembers(frame: Frame, from: BridgePort | null, tag: number): void {
		const { group } = this.snooping;
		const local = from !== null && (this.promiscuous || group?.hostJoined === true || this.snooping.isRouter);
		let last: BridgePort | null = null;
		for (const port of this.#ports) {
			if (!port.mcast.isRouter && (group === null || !group.members.has(port))) continue;
			if (!port.mayDeliver(from, tag)) continue;
			if (last !== null) last.deliver(frame.clone(), tag);
			last = port;
		}
		this.#deliverLast(frame, last, local, tag, "bridge-no-member");
	}

	#floodKind(frame: Frame): "flood" | "mcastFlood" | "bcastFlood" {
		const high = ethernet.dstHigh(frame.view, frame.start);
		if ((high & 0x0100) === 0) return "flood";
		const broadcast = high === 0xffff && ethernet.dstLow(frame.view, frame.start) === -1;
		return broadcast ? "bcastFlood" : "mcastFlood";
	}

	/** A frame made here comes in through the queue (`netif_rx`). Takes it. */
	receiveLater(frame: Frame): void {
		this.#replies.push(this, frame);
	}

	/** A frame of `receiveLater` is through the queue. Takes it. */
	deliver(frame: Frame): void {
		this.receive(frame);
	}

	/** Frames to a port's own address are the bridge's too. */
	override isOwnAddress(high: number, low: number): boolean {
		if (super.isOwnAddress(high, low)) return true;
		const slot = this.fdb.slot(low, keyHigh(high, 0));
		return slot >= 0 && this.fdb.isLocalAt(slot);
	}

	// ── spanning tree ────────────────────────────────────────────────────────────────────────────

	sendBpdu(port: BridgePort, bpdu: stp.Bpdu): void {
		const length = llc.OCTETS + stp.octets(bpdu);
		const frame = this.world.frames.begin(ethernet.OCTETS + length);
		const { view, start } = frame;
		frame.end = start + ethernet.OCTETS + length;
		ethernet.write(view, start, { dst: this.groups.address, src: port.device.mac, type: length });
		llc.write(view, start + ethernet.OCTETS, { dsap: llc.SAP_STP, ssap: llc.SAP_STP, control: llc.UI });
		stp.write(view, start + ethernet.OCTETS + llc.OCTETS, bpdu);
		port.device.transmit(frame);
	}

	stateChanged(port: BridgePort): void {
		if (port.state !== "disabled") return;
		this.fdb.forgetPort(port, { all: false });
		this.snooping.disablePort(port);
	}

	statesSelected(): void {
		this.snooping.statesSelected();
	}

	carrierChanged(carrier: boolean): void {
		if (carrier === this.carrier) return;
		this.carrier = carrier;
		this.changed();
	}

	ageingChanged(): void {
		const { topologyChange, forwardDelay } = this.stp;
		this.fdb.ageing = topologyChange ? this.owner.jiffies.nanoseconds(forwardDelay) : this.#ageing;
	}

	blocksRoot(port: BridgePort): boolean {
		return port.flags.rootBlock;
	}

	// ── the device itself ────────────────────────────────────────────────────────────────────────

	override setMac(mac: Mac | string): void {
		const old = this.mac;
		super.setMac(mac);
		this.#macSet = true;
		if (old === this.mac) return;
		this.fdb.moveLocal(null, this.mac);
		this.stp.setMac(this.mac);
	}

	override setMtu(mtu: number): void {
		super.setMtu(mtu);
		this.#mtuSet = true;
	}

	override up(): void {
		if (this.isUp) return;
		this.#upSince = this.world.scheduler.now;
		if (this.snooping.config.snooping) this.#hearSnoopers(true);
		super.up();
		this.stp.start();
		for (const port of this.#ports) if (port.isRunning) this.stp.enablePort(port.stp);
		this.snooping.querier.open();
	}

	override down(): void {
		if (!this.isUp) return;
		super.down();
		// Down already: nobody is told.
		if (this.snooping.config.snooping) this.#hearSnoopers(false);
		for (const port of this.#ports) if (port.state !== "disabled") this.stp.disablePort(port.stp);
		this.stp.stop();
		this.snooping.stop();
	}

	override delete(): void {
		if (this.gone) return;
		for (const port of [...this.#ports]) this.detach(port.device);
		const here = this.world.crossroads.findIndex((each) => each.place === this.place);
		if (here >= 0) this.world.crossroads.splice(here, 1);
		super.delete();
		this.snooping.delete();
	}
}

/** Ports with `proxyarp` get nothing that is flooded; those that suppress nothing that was answered. */
const shuns = ({ flags }: BridgePort, answered: boolean): boolean =>
	flags.proxyArp || (answered && (flags.proxyArpWifi || flags.neighSuppress));
