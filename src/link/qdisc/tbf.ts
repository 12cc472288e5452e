import {
	type Duration,
	type Instant,
	type Nanoseconds,
	parseDuration,
	parseRate,
	type Sink,
	Timer,
} from "../../sim/index.ts";
import type { Frame } from "../../wire/index.ts";
import { Qdisc } from "./qdisc.ts";
import { rateText, readSize, type Size, sizeText, timeText } from "./units.ts";
import type { Place, World } from "../world.ts";

/** What `tc qdisc … tbf` takes. */
export interface TbfOptions {
	/** Bits per second, or `"1mbit"`. */
	readonly rate: number | string;
	/** Octets that may go at once after a pause; longer frames are dropped. */
	readonly burst: Size;
	/** Octets that may wait. Either this or `latency`. */
	readonly limit?: Size;
	/** The longest time a frame may wait, which gives the limit. */
	readonly latency?: Duration;
	/** The most that goes even within a burst; needs `mtu`. */
	readonly peakrate?: number | string;
	/** Octets of the bucket of `peakrate`. */
	readonly mtu?: Size;
}

/** What one octet costs in nanoseconds, in the fixed-point form in which the kernel has it (`psched_ratecfg`). */
class RateConfig {
	/** Octets per second. */
	readonly rate: number;
	readonly #mult: number;
	readonly #scale: number;

	constructor(bits: number) {
		this.rate = Math.max(1, Math.floor(bits / 8));
		let factor = 1_000_000_000n;
		let shift = 0;
		while (factor / BigInt(this.rate) < 0x8000_0000n && factor < 0x8000_0000_0000_0000n) {
			factor <<= 1n;
			shift++;
		}
		this.#mult = Number(factor / BigInt(this.rate));
		this.#scale = 2 ** shift;
	}

	/** Nanoseconds that `octets` take (`psched_l2t_ns`). */
	time(octets: number): Nanoseconds {
		return Math.floor((octets * this.#mult) / this.#scale);
	}
}

interface TbfConfig {
	readonly rate: RateConfig;
	readonly peak: RateConfig | null;
	/** Both buckets in nanoseconds at their rates. */
	readonly buffer: Nanoseconds;
	readonly mtu: Nanoseconds;
	/** The longest frame that can ever go, octets. */
	readonly longest: number;
	/** Octets. */
	readonly limit: number;
}

/**
 * Token bucket filter: frames leave at `rate`, after a pause up to `burst` octets at once. Tokens are nanoseconds, so
 * departures are exact. Reference: `tbf_enqueue`, `tbf_dequeue`, `tbf_change` in net/sched/sch_tbf.c.
 */
export class Tbf extends Qdisc {
	override readonly kind = "tbf";
	readonly #queue: Frame[] = [];
	readonly #timer: Timer;
	#config: TbfConfig;
	#tokens: Nanoseconds;
	#peakTokens: Nanoseconds;
	/** When the tokens were counted last. */
	#counted: Instant;

	/** Throws RangeError for options out of range. */
	constructor(world: World, target: Sink<Frame>, place: Place, options: TbfOptions) {
		super(world, target, place);
		this.#config = readTbf(options);
		this.#tokens = this.#config.buffer;
		this.#peakTokens = this.#config.mtu;
		this.#counted = world.scheduler.now;
		this.#timer = new Timer(() => {
			this.#run();
		});
	}

	/** `tc qdisc change`: the buckets are full again, what waits stays. Throws RangeError, and changes nothing then. */
	change(options: TbfOptions): void {
		this.#config = readTbf(options);
		this.#tokens = this.#config.buffer;
		this.#peakTokens = this.#config.mtu;
	}

	send(frame: Frame): void {
		const { longest, limit } = this.#config;
		const octets = frame.length;
		if (octets > longest) return this.refuse(frame, "qdisc-drop", `longer than burst ${String(longest)}`);
		if (this.stats.backlogBytes + octets > limit)
			return this.refuse(frame, "qdisc-drop", `limit ${String(limit)}`);
		this.#queue.push(frame);
		this.queued(frame);
		this.#run();
	}

	#run(): void {
		const { rate, peak, buffer, mtu } = this.#config;
		const { scheduler } = this.world;
		for (let frame = this.#queue[0]; frame !== undefined; frame = this.#queue[0]) {
			const { now } = scheduler;
			const passed = Math.min(now - this.#counted, buffer);
			const peakTokens =
				peak === null ? 0 : Math.min(mtu, this.#peakTokens + passed) - peak.time(frame.length);
			const tokens = Math.min(buffer, this.#tokens + passed) - rate.time(frame.length);
			if (tokens < 0 || peakTokens < 0) {
				this.stats.overlimits++;
				scheduler.at(now + Math.max(-tokens, -peakTokens), this.#timer);
				return;
			}
			this.#counted = now;
			this.#tokens = tokens;
			this.#peakTokens = peakTokens;
			this.#queue.shift();
			this.unqueued(frame);
			this.leave(frame);
		}
	}

	reset(): void {
		this.#timer.cancel();
		for (const frame of this.#queue.splice(0)) {
			this.unqueued(frame);
			this.refuse(frame, "qdisc-drop", "the queue was emptied");
		}
		this.#counted = this.world.scheduler.now;
		this.#tokens = this.#config.buffer;
		this.#peakTokens = this.#config.mtu;
	}

	get text(): string {
		const { rate, peak, buffer, mtu, limit } = this.#config;
		// The kernel hands bucket sizes back in ticks of 64 ns, which tc takes for whole microseconds.
		const [bucket, peakBucket] = [buffer, mtu].map((time) => Math.floor((Math.floor(time / 64) * 64) / 1000));
		let late = (limit * 1e6) / rate.rate - (bucket ?? 0);
		let peakText = "";
		if (peak !== null) {
			late = Math.max(late, (limit * 1e6) / peak.rate - (peakBucket ?? 0));
			peakText = `peakrate ${rateText(peak.rate)} minburst ${sizeText((peak.rate * (peakBucket ?? 0)) / 1e6)} `;
		}
		const burst = sizeText((rate.rate * (bucket ?? 0)) / 1e6);
		const lat = late < 1 ? "0us" : timeText(Math.floor(late) * 1000);
		return `rate ${rateText(rate.rate)} burst ${burst} ${peakText}lat ${lat} `;
	}
}

/** Options as tbf has them. Throws RangeError that names the option. */
function readTbf(options: TbfOptions): TbfConfig {
	const rate = new RateConfig(parseRate(options.rate, "rate"));
	const burst = readSize(options.burst, "burst");
	if ((options.limit === undefined) === (options.latency === undefined)) {
		throw new RangeError("limit and latency: expected one of them");
	}
	const peak =
		options.peakrate === undefined ? null : new RateConfig(parseRate(options.peakrate, "peakrate"));
	const mtu = options.mtu === undefined ? 0 : readSize(options.mtu, "mtu");
	if (peak !== null && mtu === 0) throw new RangeError("peakrate is given without mtu, expected both");
	if (peak !== null && peak.rate <= rate.rate) {
		throw new RangeError(`peakrate is ${JSON.stringify(options.peakrate)}, expected more than rate`);
	}
	return {
		rate,
		peak,
		buffer: rate.time(burst),
		mtu: peak?.time(mtu) ?? 0,
		longest: peak === null ? burst : Math.min(burst, mtu),
		limit: readLimit(options, rate, burst, peak, mtu),
	};
}

/** tc's rule: what goes within the latency, and a bucket more. */
function readLimit(
	options: TbfOptions,
	rate: RateConfig,
	burst: number,
	peak: RateConfig | null,
	mtu: number,
): number {
	if (options.limit !== undefined) return readSize(options.limit, "limit");
	const late = Math.floor(parseDuration(options.latency ?? 0, "latency") / 1000) / 1e6;
	const limit = rate.rate * late + burst;
	return Math.floor(peak === null ? limit : Math.min(limit, peak.rate * late + mtu));
}
