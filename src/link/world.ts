import type { Ip4, Vni } from "../addr/index.ts";
import type { DropReason } from "../drop.ts";
import { DROPS } from "../drop.ts";
import { NetError } from "../errors.ts";
import type { Lane, Nanoseconds, Rng, Scheduler } from "../sim/index.ts";
import type { Partition } from "./partition.ts";
import { FramePool, type Frame } from "../wire/index.ts";

/** Wires one frame may cross. No routed path comes near: IPv4 ends a packet after 255 routers. */
const MOST_HOPS = 4096;

/** How long a frame needs where nobody says otherwise. */
export interface Latencies {
	/** From one end of a veth pair to the other: the softirq that picks the frame up. */
	readonly veth: Nanoseconds;
	/** From one end of a cable to the other. */
	readonly cable: Nanoseconds;
}

/** The end of one packet. */
export interface Drop {
	/** Virtual nanoseconds since the lab's epoch. */
	readonly time: number;
	readonly reason: DropReason;
	/** The journey that ended, see `Frame.id`. */
	readonly frame: number;
	/** `namespace:device`, or the place's own name where no device is involved. */
	readonly place: string;
	/** The rule or entry that decided, where there is one. */
	readonly detail: string | undefined;
	/** What `lab.explain` says. */
	readonly text: string;
}

/** What ended a packet at a place that is not a device: a cable, a switch. */
export interface Place {
	readonly place: string;
}

/**
 * What all devices of one lab share: the clock, the frames, chance, and the record of how packets end.
 * One world per lab; nothing in it is global.
 */
export class World {
	readonly scheduler: Scheduler;
	readonly frames: FramePool = new FramePool();
	readonly rng: Rng;
	readonly latency: Latencies;
	/** Where frames wait that one device hands to another: the softirq that picks them up. */
	readonly softirq: Lane;
	/** Packets ended so far, by reason. */
	readonly dropped: Map<DropReason, number> = new Map();
	/** Called for each drop, before the frame is released. Listeners may read the frame and must not keep it. */
	readonly dropListeners: ((drop: Drop, frame: Frame) => void)[] = [];
	/** Called for each frame that enters a tunnel, before its outer headers are written. They must not change it. */
	readonly tunnelListeners: ((frame: Frame, remote: Ip4, vni: Vni) => void)[] = [];
	/** Called for each device that joins a namespace or gets another name there. */
	readonly deviceListeners: ((device: Place) => void)[] = [];
	/**
	 * Whether namespaces that track connections from now on remember the ways of established flows (`KnownWays`). That cannot
	 * be seen; tests compare with what happens without.
	 */
	remembersWays = true;
	/** The network's parts that do not hear each other at present. */
	readonly partitions: Partition[] = [];
	/** Looks at the whole lab when a storm is reported: names the bridges and switches that carried it. */
	readonly crossroads: { readonly place: string; readonly forwarded: () => number }[] = [];

	#cards = 0;

	constructor(scheduler: Scheduler, rng: Rng, latency: Latencies) {
		this.scheduler = scheduler;
		this.rng = rng;
		this.latency = latency;
		this.softirq = scheduler.lane(latency.veth);
	}

	/** Ends a frame: counts it, tells the listeners, releases it. Takes the frame. */
	drop(frame: Frame, reason: DropReason, where: Place, detail?: string): void {
		this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + 1);
		if (this.dropListeners.length > 0) {
			const drop: Drop = {
				time: this.scheduler.now,
				reason,
				frame: frame.id,
				place: where.place,
				detail,
				text: DROPS[reason],
			};
			for (const listener of this.dropListeners) listener(drop, frame);
		}
		frame.release();
	}

	/** The number of a new network card. */
	nextCard(): number {
		return ++this.#cards;
	}

	/** Whether a partition lies between two cards. */
	isCut(from: number, to: number): boolean {
		return this.partitions.some((partition) => partition.cuts(from, to));
	}

	/**
	 * Counts a wire crossing, behind which nobody knows how the frame was routed. A frame that crosses `MOST_HOPS` of them goes
	 * round in a loop that nothing breaks (no STP): the run stops here with a `NetError` of code `ELOOP` that names where it
	 * went round.
	 */
	crossing(frame: Frame): void {
		frame.routed = false;
		frame.priority = 0;
		frame.bridging = 0;
		// Most frames have none of these, and to look costs less than to write.
		if (frame.secPath !== null) frame.secPath = null;
		if (frame.physIn !== null) frame.physIn = null;
		if (frame.physOut !== null) frame.physOut = null;
		if (++frame.hops > MOST_HOPS) throw this.storm(`one frame crossed ${String(MOST_HOPS)} wires`);
	}

	/** The error that ends a storm. Names the busiest bridges and switches, busiest first. */
	storm(what: string): NetError {
		const busy = this.crossroads
			.map((each) => ({ place: each.place, forwarded: each.forwarded() }))
			.filter((each) => each.forwarded > 0)
			.sort((a, b) => b.forwarded - a.forwarded);
		const names = busy.slice(0, 8).map((each) => each.place);
		const more = busy.length > names.length ? ` and ${String(busy.length - names.length)} more` : "";
		return new NetError(
			"ELOOP",
			`broadcast storm: ${what}, by way of ${names.join(", ") || "unknown devices"}${more}`,
			{
				remedy: "Switch STP on at the bridges of the loop, or take one link out of it.",
				context: { bridges: busy.map((each) => each.place) },
			},
		);
	}
}
