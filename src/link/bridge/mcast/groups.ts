import type { Ip4 } from "../../../addr/index.ts";
import { type Jiffies, KernelTimer, type Scheduler } from "../../../sim/index.ts";
import { MacTable } from "../../mac-table.ts";
import type { BridgePort } from "../port.ts";

/** A port that a group goes to (`struct net_bridge_port_group`). */
export interface Member {
	readonly port: BridgePort;
	/** Set by `bridge mdb add … permanent`: it never ages. */
	readonly permanent: boolean;
	/** `kernel` for those that reported, `static` for those set by hand. */
	readonly origin: "kernel" | "static";
	/** It is forgotten when this fires. */
	readonly timer: KernelTimer;
}

/** A group in a VLAN, and who is in it (`struct net_bridge_mdb_entry`). */
export class Group {
	readonly group: Ip4;
	/** 0 where VLANs play no part. */
	readonly vid: number;
	readonly members: Map<BridgePort, Member> = new Map();
	/** The bridge's own stack is in it. */
	hostJoined = false;
	/** The host is believed in until it fires. */
	readonly timer: KernelTimer;

	constructor(group: Ip4, vid: number, timer: KernelTimer) {
		this.group = group;
		this.vid = vid;
		this.timer = timer;
	}
}

/** What a bridge knows of groups: `bridge mdb`. Reference: net/bridge/br_multicast.c, br_mdb.c. */
export class Mdb {
	readonly #table = new MacTable<Group>();
	/** In the order in which they were made. */
	readonly #list = new Set<Group>();
	readonly #timer: (action: () => void) => KernelTimer;
	/** True while the bridge is up: what expires while it is down stays. */
	readonly #running: () => boolean;

	constructor(scheduler: Scheduler, jiffies: Jiffies, running: () => boolean) {
		this.#timer = (action) => new KernelTimer(scheduler, jiffies, action);
		this.#running = running;
	}

	/** How many groups are known. */
	get size(): number {
		return this.#table.size;
	}

	/** All groups, the newest first. */
	groups(): Group[] {
		return [...this.#list].reverse();
	}

	/** A group in a VLAN. */
	get(group: number, vid: number): Group | undefined {
		return this.#table.get(group, vid);
	}

	/** The same, made when it is not there. */
	make(group: Ip4, vid: number): Group {
		const known = this.get(group, vid);
		if (known !== undefined) return known;
		const made: Group = new Group(
			group,
			vid,
			this.#timer(() => {
				if (this.#running()) this.leaveHost(made);
			}),
		);
		this.#table.set(group, vid, made);
		this.#list.add(made);
		return made;
	}

	/** A port is in a group. */
	add(group: Group, port: BridgePort, permanent: boolean, origin: Member["origin"]): Member {
		const timer = this.#timer(() => {
			if (this.#running() && !permanent) this.remove(group, port);
		});
		const member = { port, permanent, origin, timer };
		group.members.set(port, member);
		return member;
	}

	/** A port is in a group no longer; the last one takes the group along. */
	remove(group: Group, port: BridgePort): void {
		group.members.get(port)?.timer.cancel();
		group.members.delete(port);
		this.#forgetEmpty(group);
	}

	/** The host is in a group no longer. */
	leaveHost(group: Group): void {
		group.hostJoined = false;
		group.timer.cancel();
		this.#forgetEmpty(group);
	}

	#forgetEmpty(group: Group): void {
		if (group.hostJoined || group.members.size > 0) return;
		this.#table.delete(group.group, group.vid);
		this.#list.delete(group);
	}

	/** A port stops, or leaves: it is in no group any more, but for those set by hand unless `all`. */
	removePort(port: BridgePort, all: boolean): void {
		for (const group of [...this.#list]) {
			const member = group.members.get(port);
			if (member !== undefined && (all || !member.permanent)) this.remove(group, port);
		}
	}

	/** The bridge is deleted. */
	clear(): void {
		for (const group of this.#list) group.timer.cancel();
		for (const { members } of this.#list) for (const { timer } of members.values()) timer.cancel();
		this.#list.clear();
	}
}
