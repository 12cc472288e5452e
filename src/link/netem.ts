import {
	type Duration,
	type Nanoseconds,
	parseDuration,
	parseRate,
	type Rng,
	type Sink,
} from "../sim/index.ts";
import type { Frame } from "../wire/index.ts";
import type { Place, World } from "./world.ts";

/** A share of frames: a number from 0 to 1, or a text such as `"5%"`. */
export type Share = number | string;

/** What `tc qdisc … netem` takes. */
export interface NetemOptions {
	/** Time each frame is held back. */
	readonly delay?: Duration;
	/** Random part of the delay, to both sides. */
	readonly jitter?: Duration;
	/** How the random part is spread: evenly, or as a bell with `jitter` for its deviation. */
	readonly distribution?: "uniform" | "normal";
	/** Frames lost. */
	readonly loss?: Share;
	/** How much one loss depends on the one before. */
	readonly lossCorrelation?: Share;
	/** Frames sent twice. */
	readonly duplicate?: Share;
	/** Frames of which one random bit is flipped. */
	readonly corrupt?: Share;
	/** Frames sent at once, past those that are held back. */
	readonly reorder?: Share;
	/** With `reorder`: only each gap-th frame. 1 unless said. */
	readonly gap?: number;
	/** Serialisation: bits per second, or `"100mbit"`. */
	readonly rate?: number | string;
	/** Frames that may wait; more are dropped. 1000 unless said. */
	readonly limit?: number;
}

const LIMIT = 1000;

/**
 * Impairments of one direction of a cable, as tc-netem(8) defines them, drawn from a stream of chance of
 * their own. Order of decisions on a frame: duplicate, lose, corrupt, limit, then when it leaves.
 * Reference: `netem_enqueue` in net/sched/sch_netem.c.
 */
export class Netem implements Sink<Frame> {
	readonly #world: World;
	readonly #rng: Rng;
	readonly #target: Sink<Frame>;
	readonly #place: Place;
	readonly #base: Nanoseconds;
	readonly #jitter: Nanoseconds;
	readonly #normal: boolean;
	readonly #loss: number;
	readonly #lossCorrelation: number;
	readonly #duplicate: number;
	readonly #corrupt: number;
	readonly #reorder: number;
	readonly #gap: number;
	readonly #nanosecondsPerOctet: number;
	readonly #limit: number;
	#lastLoss = 0;
	#waiting = 0;
	/** When the last frame to be serialised has left. */
	#busyUntil = 0;
	/** Frames held back since the last that was let past. */
	#held = 0;

	/** `wire` is the cable's own delay, which frames wait in any case. Throws RangeError for options out of range. */
	constructor(
		world: World,
		rng: Rng,
		target: Sink<Frame>,
		place: Place,
		wire: Nanoseconds,
		options: NetemOptions,
	) {
		this.#world = world;
		this.#rng = rng;
		this.#target = target;
		this.#place = place;
		this.#base = wire + (options.delay === undefined ? 0 : parseDuration(options.delay, "delay"));
		this.#jitter = options.jitter === undefined ? 0 : parseDuration(options.jitter, "jitter");
		this.#normal = options.distribution === "normal";
		this.#loss = share(options.loss, "loss");
		this.#lossCorrelation = share(options.lossCorrelation, "lossCorrelation");
		this.#duplicate = share(options.duplicate, "duplicate");
		this.#corrupt = share(options.corrupt, "corrupt");
		this.#reorder = share(options.reorder, "reorder");
		this.#gap = options.gap ?? (this.#reorder > 0 ? 1 : 0);
		this.#nanosecondsPerOctet = options.rate === undefined ? 0 : 8e9 / parseRate(options.rate, "rate");
		this.#limit = options.limit ?? LIMIT;
		if (!Number.isInteger(this.#limit) || this.#limit < 1) {
			throw new RangeError(`limit is ${String(options.limit)}, expected a whole number of frames from 1`);
		}
	}

	/** A frame enters the cable. Takes it. */
	send(frame: Frame): void {
		if (this.#rng.chance(this.#duplicate)) this.#enqueue(frame.clone());
		if (this.#lost()) return this.#world.drop(frame, "netem-loss", this.#place);
		this.#enqueue(frame);
	}

	#lost(): boolean {
		if (this.#loss === 0) return false;
		const rho = this.#lossCorrelation;
		const draw = rho === 0 ? this.#rng.float() : this.#rng.float() * (1 - rho) + this.#lastLoss * rho;
		this.#lastLoss = draw;
		return draw < this.#loss;
	}

	#enqueue(frame: Frame): void {
		if (this.#rng.chance(this.#corrupt)) this.#flip(frame);
		if (this.#waiting >= this.#limit) return this.#world.drop(frame, "full-ring", this.#place);
		this.#waiting++;
		this.#world.scheduler.wire(this, frame, this.#delay(frame.length));
	}

	#flip(frame: Frame): void {
		const at = frame.start + this.#rng.below(frame.length);
		frame.view.setUint8(at, frame.view.getUint8(at) ^ (1 << this.#rng.below(8)));
		frame.trusted = false;
		frame.changed();
	}

	#delay(octets: number): Nanoseconds {
		const past = this.#gap > 0 && this.#held >= this.#gap - 1 && this.#rng.chance(this.#reorder);
		if (past) {
			this.#held = 0;
			return 0;
		}
		this.#held++;
		const spread =
			this.#jitter === 0 ? 0 : this.#jitter * (this.#normal ? this.#rng.normal() : 2 * this.#rng.float() - 1);
		const hold = Math.max(0, Math.round(this.#base + spread));
		if (this.#nanosecondsPerOctet === 0) return hold;
		const now = this.#world.scheduler.now;
		const starts = Math.max(now, this.#busyUntil);
		this.#busyUntil = starts + Math.round(octets * this.#nanosecondsPerOctet);
		return this.#busyUntil - now + hold;
	}

	/** The frame's time has come. */
	deliver(frame: Frame): void {
		this.#waiting--;
		this.#target.deliver(frame);
	}
}

function share(value: Share | undefined, name: string): number {
	if (value === undefined) return 0;
	const part =
		typeof value === "number" ? value : /^\d+(\.\d+)?%$/.test(value) ? Number.parseFloat(value) / 100 : NaN;
	if (part >= 0 && part <= 1) return part;
	throw new RangeError(
		`${name} is ${JSON.stringify(value)}, expected a share from 0 to 1 or a text such as "5%"`,
	);
}
