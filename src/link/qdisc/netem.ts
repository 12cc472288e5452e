import {
	type Duration,
	type Instant,
	type Nanoseconds,
	parseDuration,
	parseRate,
	type Rng,
	type Sink,
	Timer,
} from "../../sim/index.ts";
import type { Frame } from "../../wire/index.ts";
import { DIST_SCALE, type Distribution, distributionTable } from "./netem-distribution.ts";
import {
	CorrelatedDraw,
	FourStateLoss,
	GilbertElliottLoss,
	type LossGilbertElliott,
	type LossModel,
	type LossState,
	RandomLoss,
} from "./netem-loss.ts";
import { Qdisc } from "./qdisc.ts";
import { rateText, readCount, readShare, type Share, shareText, timeText } from "./units.ts";
import { TimeQueue } from "./time-queue.ts";
import type { Place, World } from "../world.ts";

/** What `tc qdisc … netem` takes. */
export interface NetemOptions {
	/** Time each frame is held back. */
	readonly delay?: Duration;
	/** Random part of the delay, to both sides. */
	readonly jitter?: Duration;
	/** How much one delay depends on the one before. */
	readonly delayCorrelation?: Share;
	/** How the random part is spread: evenly unless said, else by a table with `jitter` for its deviation. */
	readonly distribution?: Distribution;
	/** Frames lost: a share of them, or a model that loses them in bursts. */
	readonly loss?: Share | { readonly state: LossState } | { readonly gemodel: LossGilbertElliott };
	/** How much one loss depends on the one before. */
	readonly lossCorrelation?: Share;
	/** Frames sent twice. */
	readonly duplicate?: Share;
	readonly duplicateCorrelation?: Share;
	/** Frames of which one random bit is flipped. */
	readonly corrupt?: Share;
	readonly corruptCorrelation?: Share;
	/** Frames sent at once, past those that are held back. */
	readonly reorder?: Share;
	readonly reorderCorrelation?: Share;
	/** With `reorder`: only each gap-th frame. 1 unless said. */
	readonly gap?: number;
	/** Serialisation: bits per second, or `"100mbit"`. */
	readonly rate?: number | string;
	/** Octets that each frame counts more for `rate` (fewer when negative). */
	readonly packetOverhead?: number;
	/** Octets of a cell, when frames travel in cells (ATM). */
	readonly cellSize?: number;
	/** Octets that each cell counts more. */
	readonly cellOverhead?: number;
	/** Frames that may wait; more are dropped. 1000 unless said. */
	readonly limit?: number;
}

const LIMIT = 1000;
const DISTRIBUTIONS: readonly Distribution[] = ["uniform", "normal", "pareto", "paretonormal"];

/** Options read: shares in 2^32nds, times in nanoseconds. */
interface NetemConfig {
	readonly delay: Nanoseconds;
	readonly jitter: Nanoseconds;
	readonly table: Int16Array | null;
	readonly loss: LossModel;
	readonly duplicate: number;
	readonly corrupt: number;
	readonly reorder: number;
	readonly gap: number;
	/** Octets per second, 0 for no limit. */
	readonly rate: number;
	readonly packetOverhead: number;
	readonly cellSize: number;
	readonly cellOverhead: number;
	readonly limit: number;
	readonly correlations: Readonly<Record<"delay" | "duplicate" | "corrupt" | "reorder", number>>;
}

/**
 * Impairments as tc-netem(8) defines them, drawn from a stream of chance of their own. Order of decisions on a frame:
 * duplicate, lose, corrupt, limit, then when it leaves. Reference: `netem_enqueue`, `tabledist`, `packet_time_ns` in
 * net/sched/sch_netem.c.
 */
export class Netem extends Qdisc {
	override readonly kind = "netem";
	readonly #rng: Rng;
	readonly #queue = new TimeQueue();
	readonly #timer: Timer;
	#config: NetemConfig;
	#delayDraw = new CorrelatedDraw(0);
	#duplicateDraw = new CorrelatedDraw(0);
	#corruptDraw = new CorrelatedDraw(0);
	#reorderDraw = new CorrelatedDraw(0);
	/** When the last of the frames that wait will leave. */
	#lastDue: Instant = 0;
	/** Frames held back since the last that was let past. */
	#held = 0;

	/** Throws RangeError for options out of range. */
	constructor(world: World, rng: Rng, target: Sink<Frame>, place: Place, options: NetemOptions) {
		super(world, target, place);
		this.#rng = rng;
		this.#config = this.#take(options);
		this.#timer = new Timer(() => {
			this.#run();
		});
	}

	/** `tc qdisc change`: what waits keeps its time. Throws RangeError, and changes nothing then. */
	change(options: NetemOptions): void {
		this.#config = this.#take(options);
	}

	#take(options: NetemOptions): NetemConfig {
		const config = readNetem(options);
		this.#delayDraw = new CorrelatedDraw(config.correlations.delay);
		this.#duplicateDraw = new CorrelatedDraw(config.correlations.duplicate);
		this.#corruptDraw = new CorrelatedDraw(config.correlations.corrupt);
		this.#reorderDraw = new CorrelatedDraw(config.correlations.reorder);
		return config;
	}

	send(frame: Frame): void {
		this.#enqueue(frame, this.#config.duplicate);
		this.#run();
	}

	/** `duplicate` is 0 for a copy, which is not copied again. */
	#enqueue(frame: Frame, duplicate: number): void {
		const config = this.#config;
		const twice = this.#duplicateDraw.hits(duplicate, this.#rng);
		const lost = config.loss.next(this.#rng);
		// A frame that is to be doubled and lost goes out once.
		if (lost && !twice) return this.refuse(frame, "netem-loss");
		if (twice && !lost) this.#enqueue(frame.clone(), 0);
		if (this.#corruptDraw.hits(config.corrupt, this.#rng)) this.#flip(frame);
		if (this.#queue.size >= config.limit)
			return this.refuse(frame, "qdisc-drop", `limit ${String(config.limit)}`);
		const past =
			config.gap > 0 && this.#held >= config.gap - 1 && config.reorder >= this.#reorderDraw.next(this.#rng);
		if (past) {
			this.#held = 0;
			return this.leave(frame);
		}
		this.#held++;
		const due = this.#dueTime(frame.length);
		if (this.#queue.size === 0 || due > this.#lastDue) this.#lastDue = due;
		this.#queue.push(frame, due);
		this.queued(frame);
	}

	#flip(frame: Frame): void {
		const at = frame.start + this.#rng.below(frame.length);
		frame.view.setUint8(at, frame.view.getUint8(at) ^ (1 << this.#rng.below(8)));
		frame.trusted = false;
		frame.changed();
	}

	/** When a frame leaves. With a rate it follows the last one that waits, and what that one waited counts for it. */
	#dueTime(octets: number): Instant {
		const { delay, jitter, rate } = this.#config;
		const { now } = this.world.scheduler;
		const hold = jitter === 0 ? delay : this.#spread(delay, jitter);
		if (rate === 0) return now + hold;
		const serialisation = Math.floor((this.#onWire(octets) * 1e9) / rate);
		if (this.#queue.size === 0) return now + hold + serialisation;
		return this.#lastDue + Math.max(0, hold - (this.#lastDue - now)) + serialisation;
	}

	#spread(delay: Nanoseconds, jitter: Nanoseconds): Nanoseconds {
		const draw = this.#delayDraw.next(this.#rng);
		const { table } = this.#config;
		if (table === null) return (draw % (2 * jitter)) + delay - jitter;
		const step = table[draw % table.length] ?? 0;
		const amount = Math.round((jitter * Math.abs(step)) / DIST_SCALE);
		return step < 0 ? delay - amount : delay + amount;
	}

	/** Octets that count for the rate. */
	#onWire(octets: number): number {
		const { packetOverhead, cellSize, cellOverhead } = this.#config;
		const length = Math.max(0, octets + packetOverhead);
		return cellSize === 0 ? length : Math.ceil(length / cellSize) * (cellSize + cellOverhead);
	}

	/** Sends on what is due and sets the clock for the next. */
	#run(): void {
		const { scheduler } = this.world;
		while (this.#queue.headDue <= scheduler.now) {
			const frame = this.#queue.shift();
			if (frame === undefined) break;
			this.unqueued(frame);
			this.leave(frame);
		}
		const next = this.#queue.headDue;
		if (next === Infinity) return;
		if (!this.#timer.pending || this.#timer.due !== next) scheduler.at(next, this.#timer);
	}

	reset(): void {
		this.#timer.cancel();
		for (let frame = this.#queue.shift(); frame !== undefined; frame = this.#queue.shift()) {
			this.unqueued(frame);
			this.refuse(frame, "qdisc-drop", "the queue was emptied");
		}
	}

	get text(): string {
		const { limit, delay, jitter, duplicate, corrupt, reorder, rate, gap, correlations, ...rest } =
			this.#config;
		const with_ = (word: string, share: number, correlation: number): string =>
			share === 0
				? ""
				: ` ${word} ${shareText(share)}${correlation === 0 ? "" : ` ${shareText(correlation)}`}`;
		const spread =
			jitter === 0
				? ""
				: `  ${timeText(jitter)}${correlations.delay === 0 ? "" : ` ${shareText(correlations.delay)}`}`;
		return [
			`limit ${String(limit)}`,
			delay === 0 ? "" : ` delay ${timeText(delay)}${spread}`,
			rest.loss.text,
			with_("duplicate", duplicate, correlations.duplicate),
			with_("reorder", reorder, correlations.reorder),
			with_("corrupt", corrupt, correlations.corrupt),
			rate === 0 ? "" : ` rate ${rateText(rate)}`,
			rest.packetOverhead === 0 ? "" : ` packetoverhead ${String(rest.packetOverhead)}`,
			rest.cellSize === 0 ? "" : ` cellsize ${String(rest.cellSize)}`,
			rest.cellOverhead === 0 ? "" : ` celloverhead ${String(rest.cellOverhead)}`,
			gap === 0 ? "" : ` gap ${String(gap)}`,
		].join("");
	}
}

/** Options as netem has them. Throws RangeError that names the option. */
function readNetem(options: NetemOptions): NetemConfig {
	const { distribution = "uniform" } = options;
	if (!DISTRIBUTIONS.includes(distribution)) {
		throw new RangeError(
			`distribution is ${JSON.stringify(distribution)}, expected one of ${DISTRIBUTIONS.join(", ")}`,
		);
	}
	const reorder = readShare(options.reorder, "reorder");
	const gap = options.gap === undefined ? 0 : readCount(options.gap, "gap", 1);
	return {
		delay: options.delay === undefined ? 0 : parseDuration(options.delay, "delay"),
		jitter: options.jitter === undefined ? 0 : parseDuration(options.jitter, "jitter"),
		table: distributionTable(distribution),
		loss: readLoss(options),
		duplicate: readShare(options.duplicate, "duplicate"),
		corrupt: readShare(options.corrupt, "corrupt"),
		// A gap alone lets each gap-th frame past (`netem_change`).
		reorder: gap > 0 && reorder === 0 ? 0xffff_ffff : reorder,
		gap: gap === 0 && reorder > 0 ? 1 : gap,
		rate: options.rate === undefined ? 0 : Math.max(1, Math.floor(parseRate(options.rate, "rate") / 8)),
		packetOverhead: readCount(options.packetOverhead ?? 0, "packetOverhead", -0x7fff_ffff),
		cellSize: readCount(options.cellSize ?? 0, "cellSize", 0),
		cellOverhead: readCount(options.cellOverhead ?? 0, "cellOverhead", -0x7fff_ffff),
		limit: readCount(options.limit ?? LIMIT, "limit", 1),
		correlations: {
			delay: readShare(options.delayCorrelation, "delayCorrelation"),
			duplicate: readShare(options.duplicateCorrelation, "duplicateCorrelation"),
			corrupt: readShare(options.corruptCorrelation, "corruptCorrelation"),
			reorder: readShare(options.reorderCorrelation, "reorderCorrelation"),
		},
	};
}

function readLoss({ loss, lossCorrelation }: NetemOptions): LossModel {
	if (typeof loss === "object") {
		return "state" in loss ? new FourStateLoss(loss.state) : new GilbertElliottLoss(loss.gemodel);
	}
	return new RandomLoss(readShare(loss, "loss"), readShare(lossCorrelation, "lossCorrelation"));
}
