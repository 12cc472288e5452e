import type { DropReason } from "../../drop.ts";
import type { Sink } from "../../sim/index.ts";
import type { Frame } from "../../wire/index.ts";
import type { Place, World } from "../world.ts";

/** `tc -s qdisc show`: what passed a queueing discipline, what waits in it, what it dropped. */
export interface QdiscStats {
	sentBytes: number;
	sentPackets: number;
	dropped: number;
	/** Times the head of the queue had to wait for tokens. */
	overlimits: number;
	backlogBytes: number;
	backlogPackets: number;
}

/**
 * A queueing discipline: decides when a frame goes on to `target`, and whether.
 *
 *     send → queue → (its time) → leave → target.deliver
 *
 * At a device it sits in front of the taps, as in Linux: a capture shows a frame when it leaves the queue. Drops here
 * count in `stats` and not on the device. Reference: `__dev_xmit_skb` in net/core/dev.c.
 */
export abstract class Qdisc {
	/** The word behind `qdisc` in `tc qdisc show`. */
	abstract readonly kind: string;
	readonly stats: QdiscStats = {
		sentBytes: 0,
		sentPackets: 0,
		dropped: 0,
		overlimits: 0,
		backlogBytes: 0,
		backlogPackets: 0,
	};
	protected readonly world: World;
	protected readonly place: Place;
	readonly #target: Sink<Frame>;

	constructor(world: World, target: Sink<Frame>, place: Place) {
		this.world = world;
		this.#target = target;
		this.place = place;
	}

	/** A frame comes in. Takes it. */
	abstract send(frame: Frame): void;

	/** Ends what waits (`qdisc_reset`): the device went down or lost its carrier. */
	abstract reset(): void;

	/** The options as `tc qdisc show` prints them. */
	abstract get text(): string;

	/** Notes a frame that waits from now on. */
	protected queued(frame: Frame): void {
		this.stats.backlogPackets++;
		this.stats.backlogBytes += frame.length;
	}

	/** Notes a frame that waits no longer. */
	protected unqueued(frame: Frame): void {
		this.stats.backlogPackets--;
		this.stats.backlogBytes -= frame.length;
	}

	/** Sends a frame on. Takes it. */
	protected leave(frame: Frame): void {
		this.stats.sentPackets++;
		this.stats.sentBytes += frame.length;
		this.#target.deliver(frame);
	}

	/** Ends a frame. Takes it. */
	protected refuse(frame: Frame, reason: DropReason, detail?: string): void {
		this.stats.dropped++;
		this.world.drop(frame, reason, this.place, detail);
	}
}
