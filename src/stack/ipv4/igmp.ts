import { ANY_IP4, type Ip4, isMulticastIp4, multicastMacOf } from "../../addr/index.ts";
import { type Instant, type Nanoseconds, type Rng, seconds, Timer } from "../../sim/index.ts";
import { checksum, type Frame, igmp, ipv4 } from "../../wire/index.ts";
import type { InDevice } from "../in-device.ts";
import type { Namespace } from "../namespace.ts";
import { Route } from "../route.ts";

const { ALL_HOSTS } = igmp;
/** 224.0.0.2: where leaves of version 2 go. */
const ALL_ROUTERS = (0xe000_0002 | 0) as Ip4;
/** 224.0.0.22: where reports of version 3 go. */
const ALL_REPORTERS = (0xe000_0016 | 0) as Ip4;

/** Defaults of RFC 3376 §8 until a querier says otherwise. */
const QUERY_INTERVAL = seconds(125);
const RESPONSE_INTERVAL = seconds(10);
/** Timers are set to whole ticks of 4 ms, and two more (`igmp_start_timer`). */
const TICK = 4e6;
const LATE = 2 * TICK;

/** `net.ipv4.igmp_*` of one namespace. */
export interface IgmpConf {
	/** Groups a socket may be in. */
	readonly igmp_max_memberships: number;
	/** Whether groups of 224.0.0.0/24 are reported too. */
	readonly igmp_link_local_mcast_reports: number;
	/** How often a report is sent, since one may be lost. */
	readonly igmp_qrv: number;
}

/** Linux's defaults. */
export const IGMP_CONF: IgmpConf = {
	igmp_max_memberships: 20,
	igmp_link_local_mcast_reports: 1,
	igmp_qrv: 2,
};

/** One group on one device (`struct ip_mc_list`). */
interface Membership {
	readonly group: Ip4;
	users: number;
	/** State change records still to be sent (`crcount`). */
	changes: number;
	/** Reports of versions 1 and 2 still to be sent unasked. */
	unsolicited: number;
	/** This host was the last to report the group, so it has to say when it leaves. */
	reporter: boolean;
	/** The device listens to the group's MAC for it. */
	loaded: boolean;
	/** Answers a query, or repeats a report of version 1 or 2; made when first needed. */
	timer: Timer | undefined;
}

/** Shared by all devices on which nobody joined anything. */
const NONE = new Map<Ip4, Membership>();
const NOTHING: readonly never[] = [];

/**
 * The groups of one device, and what it tells routers about them: reports when a group is joined or left, answers to
 * queries of all versions. Without a querier version 3 is spoken.
 *
 *     join → MAC filter, change record → at once and again within a second → 224.0.0.22
 *     query → at random within its time → report
 *
 * Sources are not filtered: whoever joins wants all. Reference: net/ipv4/igmp.c, RFC 3376, RFC 2236.
 */
export class Igmp {
	readonly #ns: Namespace;
	readonly #inDevice: InDevice;
	// Made when first needed: most devices are in no group but that of all hosts.
	#rng: Rng | undefined;
	/** First joined first; reports go the other way. 224.0.0.1 is here only if somebody asked for it. */
	#members: Map<Ip4, Membership> = NONE;
	/** Groups left, with the records still to be sent; last left first. */
	#left: readonly { readonly group: Ip4; changes: number }[] = NOTHING;
	#running = false;
	/** Groups joined before the device came up, and with it 224.0.0.1. */
	#older = 0;
	/** Reports of changes still to be sent (`mr_ifc_count`). */
	#reports = 0;
	#changeTimer: Timer | undefined;
	#generalTimer: Timer | undefined;
	/** As the querier wishes, 0 while none did. */
	#robustness = 0;
	/** As the querier has it, 0 for the usual: numbers beyond 32 bits are objects. */
	#queryInterval: Nanoseconds = 0;
	#responseInterval: Nanoseconds = 0;
	/** Until when a querier of an old version is believed to be there. */
	#version1Until: Instant = -1;
	#version2Until: Instant = -1;

	constructor(ns: Namespace, inDevice: InDevice) {
		this.#ns = ns;
		this.#inDevice = inDevice;
	}

	/** Whether the group is joined here. */
	has(group: Ip4): boolean {
		return (group === ALL_HOSTS && this.#running) || this.#members.has(group);
	}

	/** The groups, last joined first, and how often each was joined (`/proc/net/igmp`). */
	groups(): { readonly group: Ip4; readonly users: number }[] {
		const joined = this.#others().map(({ group, users }) => ({ group, users }));
		const users = (this.#members.get(ALL_HOSTS)?.users ?? 0) + (this.#running ? 1 : 0);
		if (users > 0) joined.splice(this.#older, 0, { group: ALL_HOSTS, users });
		return joined.reverse();
	}

	/** All but 224.0.0.1, first joined first. */
	#others(): Membership[] {
		return [...this.#members.values()].filter(({ group }) => group !== ALL_HOSTS);
	}

	/** One more listener to a group (`ip_mc_inc_group`). */
	join(group: Ip4): void {
		const known = this.#members.get(group);
		if (known !== undefined) {
			known.users++;
			return;
		}
		const member: Membership = {
			group,
			users: 1,
			changes: 0,
			unsolicited: this.#qrv,
			reporter: false,
			loaded: false,
			timer: undefined,
		};
		if (this.#members === NONE) this.#members = new Map();
		this.#members.set(group, member);
		this.#ns.settingsChanged();
		this.#load(member);
		if (this.#running) this.#added(member);
	}

	/** One listener less (`ip_mc_dec_group`); the last one's leaving is reported. */
	leave(group: Ip4): void {
		const member = this.#members.get(group);
		if (member === undefined) return;
		if (--member.users > 0) return;
		if (group !== ALL_HOSTS && this.#others().indexOf(member) < this.#older) this.#older--;
		this.#members.delete(group);
		this.#ns.settingsChanged();
		this.#unload(member);
		if (this.#running) this.#dropped(member);
	}

	/** The device is up: all groups are reported (`ip_mc_up`). */
	up(): void {
		if (this.#running) return;
		this.#running = true;
		this.#robustness = 0;
		this.#queryInterval = 0;
		this.#responseInterval = 0;
		this.#older = this.#others().length;
		this.#filter(ALL_HOSTS, true);
		for (const member of [...this.#members.values()].reverse()) {
			this.#load(member);
			this.#added(member);
		}
	}

	/** The device is down: nothing is sent any more, the groups are kept for when it comes back (`ip_mc_down`). */
	down(): void {
		if (!this.#running) return;
		for (const member of this.#members.values()) {
			this.#unload(member);
			member.timer?.cancel();
		}
		this.#filter(ALL_HOSTS, false);
		this.#running = false;
		this.#older = 0;
		this.#ns.settingsChanged();
		this.#quiet();
		this.#version1Until = -1;
		this.#version2Until = -1;
		this.#generalTimer?.cancel();
	}

	#quiet(): void {
		this.#reports = 0;
		this.#changeTimer?.cancel();
		this.#left = NOTHING;
	}

	get #qrv(): number {
		return this.#robustness > 0 ? this.#robustness : this.#ns.igmpConf.igmp_qrv;
	}

	/** The version spoken here: that of the oldest querier heard of late, or what `force_igmp_version` says. */
	get version(): 1 | 2 | 3 {
		const forced = this.#ns.confAll.force_igmp_version || this.#inDevice.conf.force_igmp_version;
		if (forced === 1 || forced === 2 || forced === 3) return forced;
		const now = this.#ns.world.scheduler.now;
		if (now < this.#version1Until) return 1;
		return now < this.#version2Until ? 2 : 3;
	}

	/** Groups whose members need not be known: all hosts, and those of the link if the host is told so. */
	#silent(group: Ip4): boolean {
		if (group === ALL_HOSTS) return true;
		return group >>> 8 === 0xe0_0000 && this.#ns.igmpConf.igmp_link_local_mcast_reports === 0;
	}

	#filter(group: Ip4, on: boolean): void {
		const { device } = this.#inDevice;
		if (device.kind === "loopback") return;
		if (on) device.multicast.add(multicastMacOf(group));
		else device.multicast.delete(multicastMacOf(group));
	}

	#load(member: Membership): void {
		if (!member.loaded) this.#filter(member.group, true);
		member.loaded = true;
	}

	#unload(member: Membership): void {
		if (member.loaded) this.#filter(member.group, false);
		member.loaded = false;
	}

	/** `igmp_group_added`. */
	#added(member: Membership): void {
		this.#left = this.#left.filter(({ group }) => group !== member.group);
		if (this.#silent(member.group)) return;
		member.unsolicited = this.#ns.igmpConf.igmp_qrv;
		if (this.version < 3) return this.#arm(this.#timerOf(member), 0);
		member.changes = this.#qrv;
		this.#change();
	}

	/** `igmp_group_dropped`. */
	#dropped(member: Membership): void {
		member.timer?.cancel();
		if (this.#silent(member.group)) return;
		const { version } = this;
		if (version === 3) {
			this.#left = [{ group: member.group, changes: this.#qrv }, ...this.#left];
			this.#change();
		} else if (version === 2 && member.reporter) {
			this.#sendOld(igmp.LEAVE, member.group, ALL_ROUTERS);
		}
	}

	/** `igmp_ifc_event`: what changed is reported at the next but one tick. */
	#change(): void {
		if (this.version < 3) return;
		this.#reports = this.#qrv;
		this.#changeTimer ??= new Timer(() => {
			this.#reportChanges(timer);
		});
		const timer = this.#changeTimer;
		this.#arm(timer, 0);
	}

	#timerOf(member: Membership): Timer {
		return (member.timer ??= new Timer(() => {
			this.#memberTimer(member);
		}));
	}

	/** Two ticks from now and at random up to `most` nanoseconds later. */
	#arm(timer: Timer, most: Nanoseconds): void {
		const ticks = Math.max(1, Math.round(most / TICK));
		timer.cancel();
		this.#ns.kernel.arm(timer, this.#draw(ticks));
	}

	/** So many ticks at most, and two. */
	#draw(ticks: number): Nanoseconds {
		this.#rng ??= this.#ns.kernel.rng.fork(`igmp/${this.#inDevice.device.place}`);
		return this.#rng.below(ticks) * TICK + LATE;
	}

	/** `igmp_ifc_timer_expire`: the records of all changes, and once more later since a report may be lost. */
	#reportChanges(timer: Timer): void {
		const records: igmp.GroupRecord[] = [];
		for (const left of this.#left) {
			records.push(record(igmp.CHANGE_TO_INCLUDE, left.group));
			left.changes--;
		}
		this.#left = this.#left.filter(({ changes }) => changes > 0);
		for (const member of [...this.#members.values()].reverse()) {
			if (member.changes === 0) continue;
			records.push(record(igmp.CHANGE_TO_EXCLUDE, member.group));
			member.changes--;
		}
		this.#report3(records);
		if (this.#reports > 0 && --this.#reports > 0) {
			this.#arm(timer, this.#inDevice.conf.igmpv3_unsolicited_report_interval * 1e6);
		}
	}

	/** A query of version 1 or 2 asks for this group, or it is time to repeat the report. */
	#memberTimer(member: Membership): void {
		if (member.unsolicited > 0 && --member.unsolicited > 0) {
			const { igmpv2_unsolicited_report_interval: old, igmpv3_unsolicited_report_interval: current } =
				this.#inDevice.conf;
			this.#arm(this.#timerOf(member), (this.version < 3 ? old : current) * 1e6);
		}
		member.reporter = true;
		const { version } = this;
		if (version === 3) this.#report3([record(igmp.MODE_IS_EXCLUDE, member.group)]);
		else this.#sendOld(version === 1 ? igmp.REPORT_1 : igmp.REPORT_2, member.group, member.group);
	}

	/** The answer to a general query. */
	#current(): igmp.GroupRecord[] {
		return [...this.#members.keys()]
			.reverse()
			.filter((group) => !this.#silent(group))
			.map((group) => record(igmp.MODE_IS_EXCLUDE, group));
	}

	// ── in ────────────────────────────────────────────────────────────────────────────────────────

	/** An IGMP packet for this host; the frame starts at its IPv4 header. Takes the frame (`igmp_rcv`). */
	receive(frame: Frame): void {
		const { view, start } = frame;
		const { device } = this.#inDevice;
		const at = start + ipv4.headerOctets(view, start);
		const octets = frame.end - at;
		if (octets < igmp.OCTETS) return device.dropIn(frame, "igmp-truncated");
		if (!frame.trusted && checksum.checksum(view, at, octets) !== 0) return device.dropIn(frame, "igmp-csum");
		const type = igmp.type(view, at);
		if (type === igmp.QUERY) {
			if (!this.#query(view, at, octets)) return device.dropIn(frame, "igmp-truncated");
		} else if (type === igmp.REPORT_1 || type === igmp.REPORT_2) {
			// Somebody else has told the router: one report is enough. What came by unicast the router did not hear.
			if (isMulticastIp4(ipv4.destination(view, start))) this.#heard(igmp.group(view, at));
		}
		frame.release();
	}

	/** `igmp_heard_report`. */
	#heard(group: Ip4): void {
		const member = this.#members.get(group);
		if (member === undefined || this.#silent(group)) return;
		member.timer?.cancel();
		member.reporter = false;
		member.unsolicited = 0;
	}

	/** `igmp_heard_query`; false when it is cut short. */
	#query(view: DataView, at: number, octets: number): boolean {
		const { now } = this.#ns.world.scheduler;
		const code = igmp.code(view, at);
		let group = igmp.group(view, at);
		let most: Nanoseconds;
		if (octets === igmp.OCTETS) {
			const interval = this.#queryInterval || QUERY_INTERVAL;
			const until = now + this.#qrv * interval + (this.#responseInterval || RESPONSE_INTERVAL);
			if (code === 0) {
				most = RESPONSE_INTERVAL;
				this.#version1Until = until;
				group = ANY_IP4;
			} else {
				most = code * 1e8;
				this.#version2Until = until;
			}
			this.#quiet();
		} else if (octets < igmp.QUERY3_OCTETS) {
			return false;
		} else if (this.version === 1) {
			most = RESPONSE_INTERVAL;
			group = ANY_IP4;
		} else {
			most = igmp.duration(code) * 1e8;
			if (this.version === 3) {
				const sources = igmp.sourceCount(view, at);
				if (octets < igmp.QUERY3_OCTETS + 4 * sources) return false;
				most = Math.max(most, TICK);
				this.#robustness = igmp.robustness(view, at);
				const interval = igmp.duration(igmp.qqic(view, at));
				this.#queryInterval = interval > 0 ? seconds(interval) : QUERY_INTERVAL;
				this.#responseInterval = most;
				if (group === ANY_IP4) return this.#generalQuery(most, sources);
			}
		}
		for (const member of [...this.#members.values()].reverse()) {
			if (group !== ANY_IP4 && group !== member.group) continue;
			if (!this.#silent(member.group)) this.#answer(member, most);
		}
		return true;
	}

	/** One report for all groups; an answer that is due earlier stays as it is. */
	#generalQuery(most: Nanoseconds, sources: number): boolean {
		if (sources > 0) return false;
		const timer = (this.#generalTimer ??= new Timer(() => {
			this.#report3(this.#current());
		}));
		const delay = this.#draw(Math.max(1, Math.round(most / TICK)));
		if (timer.pending && this.#ns.world.scheduler.now + delay >= timer.due) return true;
		timer.cancel();
		this.#ns.kernel.arm(timer, delay);
		return true;
	}

	/** `igmp_mod_timer`: an answer that is due in time stays as it is. */
	#answer(member: Membership, most: Nanoseconds): void {
		member.unsolicited = 0;
		const timer = this.#timerOf(member);
		const left = timer.due - this.#ns.world.scheduler.now;
		if (timer.pending && left < most) return;
		this.#arm(timer, most);
	}

	// ── out ───────────────────────────────────────────────────────────────────────────────────────

	/** A report of version 3, or several when the device's MTU is too small for all records. */
	#report3(records: readonly igmp.GroupRecord[]): void {
		const { mtu } = this.#inDevice.device;
		const most = Math.max(1, Math.floor((mtu - igmp.PACKET_HEADER - igmp.OCTETS) / igmp.RECORD_OCTETS));
		for (let i = 0; i < records.length; i += most) {
			const some = records.slice(i, i + most);
			this.#send(
				{ type: igmp.REPORT_3, code: 0, reserved: 0, records: some, data: new Uint8Array() },
				ALL_REPORTERS,
			);
		}
	}

	#sendOld(type: number, group: Ip4, to: Ip4): void {
		this.#send({ type, code: 0, group, data: new Uint8Array() }, to);
	}

	#send(message: igmp.Igmp, to: Ip4): void {
		const ns = this.#ns;
		const { device } = this.#inDevice;
		const octets = igmp.packetOctets(message);
		const frame = ns.world.frames.begin(octets);
		frame.end = frame.start + octets;
		// Version 3 speaks with an address of the device, or with none (RFC 3376 §4.2.13, `igmpv3_get_srcaddr`).
		const source =
			message.type === igmp.REPORT_3
				? this.#inDevice.selectSource(ANY_IP4, "link")
				: ns.selectSource(this.#inDevice, ANY_IP4, "link");
		igmp.writePacket(frame.view, frame.start, source, to, message);
		frame.trusted = true;
		// The host itself need not hear that it is in a group.
		const route = new Route({ network: to, length: 32, device, scope: "link", loop: false });
		ns.ipv4.output(frame, route);
	}
}

const record = (type: number, group: Ip4): igmp.GroupRecord => ({
	type,
	group,
	sources: [],
	aux: new Uint8Array(),
});
