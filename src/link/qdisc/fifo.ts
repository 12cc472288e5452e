import type { Sink } from "../../sim/index.ts";
import type { Frame } from "../../wire/index.ts";
import { Qdisc } from "./qdisc.ts";
import { readSize, type Size, sizeText } from "./units.ts";
import type { Place, World } from "../world.ts";

/** What `tc qdisc … pfifo` and `bfifo` take. */
export interface FifoOptions {
	/** Frames (`pfifo`, 1000 unless said) or octets (`bfifo`, 1000 frames of 1514 unless said) that may wait. */
	readonly limit?: Size;
}

const FRAMES = 1000;
const OCTETS = FRAMES * 1514;

/**
 * First in, first out. No device here keeps its queue waiting, so a frame leaves as it comes, and only one that is
 * longer than the whole queue is dropped. Reference: net/sched/sch_fifo.c.
 */
export class Fifo extends Qdisc {
	override readonly kind: "pfifo" | "bfifo";
	#limit: number;

	/** Throws RangeError for a limit out of range. */
	constructor(
		world: World,
		target: Sink<Frame>,
		place: Place,
		kind: "pfifo" | "bfifo",
		options: FifoOptions,
	) {
		super(world, target, place);
		this.kind = kind;
		this.#limit = readLimit(kind, options);
	}

	/** `tc qdisc change`. Throws RangeError. */
	change(options: FifoOptions): void {
		this.#limit = readLimit(this.kind, options);
	}

	send(frame: Frame): void {
		if (this.kind === "bfifo" && frame.length > this.#limit)
			return this.refuse(frame, "qdisc-drop", `limit ${String(this.#limit)}`);
		this.leave(frame);
	}

	reset(): void {
		// Nothing ever waits.
	}

	get text(): string {
		return this.kind === "pfifo" ? `limit ${String(this.#limit)}p` : `limit ${sizeText(this.#limit)}`;
	}
}

const readLimit = (kind: "pfifo" | "bfifo", { limit }: FifoOptions): number =>
	limit === undefined ? (kind === "pfifo" ? FRAMES : OCTETS) : readSize(limit, "limit");
