import { type Ip4 } from "../../../addr/index.ts";
import type { DropReason } from "../../../drop.ts";
import { type Jiffies, KernelTimer, type Scheduler } from "../../../sim/index.ts";
import { checksum, ethernet, type Frame, igmp, ipv4, vlan } from "../../../wire/index.ts";
import type { BridgePort } from "../port.ts";
import { TAGGED, VID } from "../vlan-group.ts";
import { type Group, Mdb } from "./groups.ts";
import { McastConfig, type McastSettings } from "./options.ts";
import { type McastBridge, Querier } from "./querier.ts";
import { readQuery } from "./queries.ts";
import { McastPort, type McastRouter } from "./port.ts";

const PROTOCOL_PIM = 103;
/** 224.0.0.13, where PIM routers greet each other, and 224.0.0.106, where multicast routers tell snoopers of themselves. */
const ALL_PIM_ROUTERS = 0xe000_000d | 0;
const ALL_SNOOPERS = 0xe000_006a | 0;
const PIM_HELLO = 0x20;
const MULTICAST_ROUTER_ADVERTISEMENT = 0x30;
/** Groups that are always flooded: 224.0.0.0/24. */
const isLocal = (group: number): boolean => group >>> 8 === 0xe0_0000;

/** To everybody. */
export const FLOOD = 0;
/** To `Snooping.group`'s members and to routers. */
export const MEMBERS = 1;
/** To nobody: `Snooping.reason` says why. */
export const REFUSED = 2;

/**
 * IGMP snooping: who is in which group is read from reports on their way, and as long as somebody asks for them, groups
 * go to members and routers alone.
 *
 *     IPv4 to a group ┬─ broken ─────────────────────── nowhere
 *                     ├─ IGMP: noted; reports of 1, 2 ── routers
 *                     ├─ 224.0.0.x, or nobody asks ──── everybody
 *                     └─ else ───────────────────────── members, routers, and up if the host is one
 *
 * Reference: net/bridge/br_multicast.c.
 */
export class Snooping {
	readonly config: McastConfig;
	readonly mdb: Mdb;
	readonly querier: Querier;
	/** After `judge`: the group a frame goes to; null for one that nobody is in. */
	group: Group | null = null;
	/** After `judge`: why a frame is dropped. */
	reason: DropReason = "igmp-truncated";
	readonly #bridge: McastBridge;
	readonly #scheduler: Scheduler;
	readonly #jiffies: Jiffies;
	/** The host itself asked for members a while ago: it routes groups. */
	readonly #routes: KernelTimer;
	/** Some port was said to be a router's for good. */
	#hasFixedRouters = false;

	constructor(bridge: McastBridge, scheduler: Scheduler, jiffies: Jiffies) {
		this.#bridge = bridge;
		this.#scheduler = scheduler;
		this.#jiffies = jiffies;
		this.config = new McastConfig(jiffies);
		this.mdb = new Mdb(scheduler, jiffies, () => bridge.isUp);
		this.querier = new Querier(bridge, this.config, scheduler, jiffies);
		this.#routes = new KernelTimer(scheduler, jiffies, () => undefined);
	}

	/** What is kept of a new port. */
	port(port: BridgePort): McastPort {
		return new McastPort(() => this.querier.query(port), this.#scheduler, this.#jiffies);
	}

	/** `ip link set … type bridge mcast_…`, after `checkMcast`. */
	set(settings: McastSettings): void {
		const { config } = this;
		config.take(settings);
		if (settings.mcastRouter !== undefined) {
			config.router = settings.mcastRouter;
			if (config.router !== 1) this.#routes.cancel();
		}
		if (settings.mcastSnooping !== undefined) this.#toggle(settings.mcastSnooping);
		if (settings.mcastQuerier !== undefined) this.querier.set(settings.mcastQuerier);
	}

	/** `br_multicast_toggle`. */
	#toggle(on: boolean): void {
		if (on === this.config.snooping) return;
		this.config.snooping = on;
		this.#bridge.snoopingChanged(on);
		if (!on || !this.#bridge.isUp) return;
		this.querier.open();
		for (const port of this.#bridge.newestPorts) this.#enablePort(port);
	}

	/** The host gets every group (`br_multicast_is_router`). */
	get isRouter(): boolean {
		return this.config.router === 2 || (this.config.router === 1 && this.#routes.pending);
	}

	// ── the bridge and its ports ──────────────────────────────────────────────────────────────────

	/**
	 * The spanning tree looked at all ports: queries begin anew at those that are not blocked (`br_multicast_enable_port`
	 * in `br_port_state_selection`). Most bridges neither ask nor have fixed routers, and are done at once.
	 */
	statesSelected(): void {
		if (!this.config.querier && !this.#hasFixedRouters) return;
		for (const port of this.#bridge.newestPorts) {
			if (port.state !== "disabled" && port.state !== "blocking") this.#enablePort(port);
		}
	}

	#enablePort(port: BridgePort): void {
		if (!this.config.snooping || !this.#bridge.isUp) return;
		this.querier.enable(port.mcast.query);
		port.mcast.enable();
	}

	/** `mcast_router` of a port, after `checkPortRouter`. */
	setPortRouter(port: BridgePort, router: McastRouter): void {
		this.#hasFixedRouters ||= router === 2;
		port.mcast.setRouter(router, this.config.querierInterval);
	}

	/** A port stops: whoever was behind it is forgotten (`br_multicast_disable_port`). */
	disablePort(port: BridgePort): void {
		this.mdb.removePort(port, false);
		port.mcast.disable();
	}

	/** A port leaves. */
	removePort(port: BridgePort): void {
		this.mdb.removePort(port, true);
		port.mcast.disable();
	}

	/** The bridge went down (`br_multicast_stop`). */
	stop(): void {
		this.#routes.cancel();
		this.querier.stop();
	}

	// ── frames ────────────────────────────────────────────────────────────────────────────────────

	/**
	 * Where a frame to a group goes, and what it says if it is IGMP: `FLOOD`, `MEMBERS` or `REFUSED`. `from` is null for
	 * what the bridge's own stack says. The frame stays the caller's and as it is (`br_multicast_rcv`, `br_mdb_get`).
	 */
	judge(frame: Frame, from: BridgePort | null, tag: number): number {
		const { view } = frame;
		let at = frame.start + ethernet.OCTETS;
		let type = ethernet.type(view, frame.start);
		if ((tag & TAGGED) !== 0) {
			type = vlan.innerType(view, at);
			at += vlan.OCTETS;
		}
		if (type !== ethernet.TYPE_IPV4) return FLOOD;
		const broken = headerFault(frame, at);
		if (broken !== null) return this.#refuse(broken);
		const destination = ipv4.destination(view, at);
		this.group = this.mdb.size === 0 ? null : (this.mdb.get(destination, tag & VID) ?? null);
		if (ipv4.protocol(view, at) === ipv4.PROTOCOL_IGMP) return this.#judgeIgmp(frame, at, from, tag & VID);
		if (this.group === null && isLocal(destination)) {
			if (destination === ALL_PIM_ROUTERS) this.#judgePim(frame, at, from);
			return FLOOD;
		}
		return this.querier.exists ? MEMBERS : FLOOD;
	}

	#refuse(reason: DropReason): number {
		this.reason = reason;
		return REFUSED;
	}

	#judgePim(frame: Frame, at: number, from: BridgePort | null): void {
		const hello = at + ipv4.headerOctets(frame.view, at);
		if (ipv4.protocol(frame.view, at) !== PROTOCOL_PIM || hello >= frame.end) return;
		if (frame.view.getUint8(hello) === PIM_HELLO) this.#markRouter(from);
	}

	#judgeIgmp(frame: Frame, ip: number, from: BridgePort | null, vid: number): number {
		const { view } = frame;
		const at = ip + ipv4.headerOctets(view, ip);
		const end = ip + ipv4.totalLength(view, ip);
		const octets = end - at;
		if (octets < igmp.OCTETS) return this.#refuse("igmp-truncated");
		if (!frame.trusted && checksum.checksum(view, at, octets) !== 0) return this.#refuse("igmp-csum");
		const destination = ipv4.destination(view, ip);
		const type = igmp.type(view, at);
		const group = igmp.group(view, at);
		if (type === igmp.REPORT_1 || type === igmp.REPORT_2) {
			if (!this.#join(group, vid, from)) return this.#refuse("bridge-mdb-full");
			this.group = null;
			return this.querier.exists ? MEMBERS : FLOOD;
		}
		if (type === igmp.LEAVE) this.#leave(group, vid, from);
		else if (type === igmp.REPORT_3) {
			const report = igmp.parse(view, at, end);
			if (typeof report === "string") return this.#refuse(report);
			if ("records" in report && !this.#report(report.records, vid, from))
				return this.#refuse("bridge-mdb-full");
		} else if (type === igmp.QUERY) {
			if (octets !== igmp.OCTETS && octets < igmp.QUERY3_OCTETS) return this.#refuse("igmp-truncated");
			if (group === 0 && destination !== igmp.ALL_HOSTS) return this.#refuse("igmp-destination");
			this.#query(view, at, octets, ipv4.source(view, ip), vid, from);
		} else if (destination === ALL_SNOOPERS) {
			if (type === MULTICAST_ROUTER_ADVERTISEMENT) this.#markRouter(from);
		} else if (!isLocal(destination) || this.group !== null) return this.querier.exists ? MEMBERS : FLOOD;
		return FLOOD;
	}

	/** Records of version 3, sources aside: with none of them a group is left, otherwise it is joined. */
	#report(records: readonly igmp.GroupRecord[], vid: number, from: BridgePort | null): boolean {
		for (const { type, group, sources } of records) {
			if (type < igmp.MODE_IS_INCLUDE || type > igmp.BLOCK_OLD_SOURCES) continue;
			const includes = type === igmp.MODE_IS_INCLUDE || type === igmp.CHANGE_TO_INCLUDE;
			if (includes && sources.length === 0) this.#leave(group, vid, from);
			else if (!this.#join(group, vid, from)) return false;
		}
		return true;
	}

	/** Whether what comes from there counts (`br_multicast_ctx_should_use` and its callers). */
	#counts(from: BridgePort | null): boolean {
		return this.#bridge.isUp && from?.state !== "disabled";
	}

	/** A report; false when there are too many groups, which ends snooping (`br_multicast_add_group`). */
	#join(address: Ip4, vid: number, from: BridgePort | null): boolean {
		if (isLocal(address) || !this.#counts(from)) return true;
		if (this.mdb.get(address, vid) === undefined && this.mdb.size >= this.config.hashMax) {
			this.#toggle(false);
			return false;
		}
		const group = this.mdb.make(address, vid);
		const { membershipInterval } = this.config;
		if (from === null) {
			group.hostJoined = true;
			group.timer.after(membershipInterval);
			return true;
		}
		const member = group.members.get(from) ?? this.mdb.add(group, from, false, "kernel");
		if (!member.permanent) member.timer.after(membershipInterval);
		return true;
	}

	/** A leave: somebody else's querier asks whether others stay, or this bridge does (`br_multicast_leave_group`). */
	#leave(address: Ip4, vid: number, from: BridgePort | null): void {
		if (isLocal(address) || !this.#counts(from)) return;
		const group = this.mdb.get(address, vid);
		if (group === undefined) return;
		const member = from === null ? undefined : group.members.get(from);
		if (from?.flags.fastLeave === true) {
			if (member?.permanent === false) this.mdb.remove(group, from);
			return;
		}
		if (this.querier.isOther) return;
		const { querier, lastMemberCount, lastMemberInterval } = this.config;
		const time = lastMemberCount * lastMemberInterval;
		if (querier) {
			this.querier.send(from, address);
			if (from !== null) from.mcast.query.timer.after(time);
		}
		if (from === null) {
			if (group.hostJoined) shorten(group.timer, time);
		} else if (member?.permanent === false) shorten(member.timer, time);
	}

	/** A query comes by, of a router or of another bridge (`br_ip4_multicast_query`). */
	#query(
		view: DataView,
		at: number,
		octets: number,
		source: Ip4,
		vid: number,
		from: BridgePort | null,
	): void {
		if (!this.#counts(from)) return;
		const query = readQuery(view, at, octets, source);
		if (query === undefined) return;
		if (query.group === 0) {
			if (this.querier.heard(query)) this.#markRouter(from);
			return;
		}
		const group = this.mdb.get(query.group, vid);
		if (group === undefined) return;
		const time = this.#jiffies.ticks(query.delay) * this.config.lastMemberCount;
		if (group.hostJoined) shorten(group.timer, time);
		for (const { permanent, timer } of group.members.values()) if (!permanent) shorten(timer, time);
	}

	#markRouter(from: BridgePort | null): void {
		const { querierInterval, router } = this.config;
		if (from !== null) from.mcast.mark(querierInterval);
		else if (router === 1) this.#routes.after(querierInterval);
	}

	/** The bridge is deleted. */
	delete(): void {
		this.stop();
		this.mdb.clear();
	}
}

/** A timer fires no later than in `ticks`. */
function shorten(timer: KernelTimer, ticks: number): void {
	if (!timer.pending || timer.left > ticks) timer.after(ticks);
}

/** What is wrong with the IPv4 header at `at`; null when nothing is (`ip_mc_check_iphdr`). */
function headerFault({ view, end, trusted }: Frame, at: number): DropReason | null {
	if (end - at < ipv4.MIN_OCTETS) return "ip-truncated";
	if (ipv4.version(view, at) !== 4) return "ip-version";
	const header = ipv4.headerOctets(view, at);
	if (header < ipv4.MIN_OCTETS || header > end - at) return "ip-inhdr";
	if (!trusted && !ipv4.isChecksumGood(view, at)) return "ip-csum";
	const total = ipv4.totalLength(view, at);
	if (total > end - at) return "ip-truncated";
	return total < header ? "ip-inhdr" : null;
}
