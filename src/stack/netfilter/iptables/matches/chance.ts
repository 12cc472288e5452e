import type { Rng, Scheduler } from "../../../../sim/index.ts";
import type { Match, RuleHost } from "../extension.ts";
import { badParameter } from "../refusal.ts";
import { parseNumber } from "../values.ts";

/** Units of rates, longest first; a rate is a period in ten-thousandths of a second (`XT_LIMIT_SCALE`). */
const UNITS = [
	["day", 864_000_000],
	["hour", 36_000_000],
	["min", 600_000],
	["sec", 10_000],
] as const;
const DEFAULT_BURST = 5;

/** `-m limit`: a bucket of credit that fills at a rate. */
export class LimitMatch implements Match {
	readonly name = "limit";
	readonly options = { limit: 1, "limit-burst": 1 };
	/** Between two packets in the long run, ten-thousandths of a second. */
	#period = 36_000_000 / 3;
	#burst = DEFAULT_BURST;
	#scheduler: Scheduler | null = null;
	#credit = 0;
	#stamp = 0;

	set(option: string, inverted: boolean, [text = ""]: readonly string[]): void {
		if (inverted) throw badParameter('limit: "!" not supported');
		if (option === "limit-burst") {
			const burst = parseNumber(text);
			if (burst === undefined || burst > 10_000)
				throw badParameter(`limit: bad value for option "--limit-burst"`);
			this.#burst = burst;
			return;
		}
		const [, count = "", unit = "sec"] = /^(\d+)(?:\/(\w+))?$/.exec(text) ?? [];
		const scale = UNITS.find(
			([name]) => unit !== "" && (name.startsWith(unit) || unit.startsWith(name)),
		)?.[1];
		if (scale === undefined || Number(count) === 0 || Number(count) > scale)
			throw badParameter(`bad rate "${text}"'`);
		this.#period = Math.floor(scale / Number(count));
	}

	finish(): void {
		this.#credit = this.#cap;
	}

	get #cost(): number {
		return this.#period * 100_000;
	}

	get #cap(): number {
		return this.#cost * this.#burst;
	}

	bind(host: RuleHost): void {
		this.#scheduler = host.ns.world.scheduler;
		this.#stamp = this.#scheduler.now;
	}

	test(): boolean {
		const { now } = this.#scheduler!;
		this.#credit = Math.min(this.#cap, this.#credit + (now - this.#stamp));
		this.#stamp = now;
		if (this.#credit < this.#cost) return false;
		this.#credit -= this.#cost;
		return true;
	}

	get #rate(): string {
		let best: (typeof UNITS)[number] = UNITS[0];
		for (const unit of UNITS.slice(1)) {
			if (this.#period > unit[1] || Math.floor(unit[1] / this.#period) < unit[1] % this.#period) break;
			best = unit;
		}
		return `${String(Math.floor(best[1] / this.#period))}/${best[0]}`;
	}

	save(): string {
		return ` --limit ${this.#rate}${this.#burst === DEFAULT_BURST ? "" : ` --limit-burst ${String(this.#burst)}`}`;
	}

	show(): string {
		return ` limit: avg ${this.#rate} burst ${String(this.#burst)}`;
	}
}

/** `-m statistic`: every so many packets, or so many of all at random. */
export class StatisticMatch implements Match {
	readonly name = "statistic";
	readonly options = { mode: 1, probability: 1, every: 1, packet: 1 };
	#mode: "random" | "nth" | null = null;
	/** Of 2^31. */
	#probability = -1;
	#every = 0;
	#packet = 0;
	#inverted = false;
	#count = 0;
	#rng: Rng | null = null;

	set(option: string, inverted: boolean, [text = ""]: readonly string[]): void {
		if (inverted) this.#inverted = true;
		switch (option) {
			case "mode":
				if (text !== "random" && text !== "nth") throw badParameter(`Bad mode "${text}"`);
				this.#mode = text;
				return;
			case "probability": {
				const probability = /^\d*\.?\d+$/.test(text) ? Number(text) : -1;
				if (probability < 0 || probability > 1)
					throw badParameter('statistic: bad value for option "--probability", or out of range (0.0-1.0).');
				this.#probability = Math.round(probability * 0x8000_0000);
				return;
			}
			case "every":
				this.#every = parseNumber(text) ?? 0;
				if (this.#every === 0)
					throw badParameter('statistic: bad value for option "--every", or out of range');
				return;
			default: {
				const packet = parseNumber(text);
				if (packet === undefined) throw badParameter('statistic: bad value for option "--packet"');
				this.#packet = packet;
			}
		}
	}

	finish(): void {
		if (this.#mode === null) throw badParameter('statistic: option "--mode" must be specified');
		if (this.#mode === "random" && this.#probability < 0)
			throw badParameter("--probability must be specified when using random mode");
		if (this.#mode === "nth" && this.#every === 0)
			throw badParameter("--every must be specified when using nth mode");
		if (this.#mode === "nth" && this.#packet >= this.#every)
			throw badParameter("the --packet p must be 0 <= p <= n-1");
		// The packet of that number, from 0, is the first one meant.
		this.#count = this.#every - 1 - this.#packet;
	}

	bind(host: RuleHost): void {
		this.#rng = host.ns.kernel.rng.fork(`statistic/${host.ns.name}`);
	}

	test(): boolean {
		if (this.#mode === "random") return this.#rng!.uint32() >>> 1 < this.#probability !== this.#inverted;
		this.#count = this.#count + 1 === this.#every ? 0 : this.#count + 1;
		return (this.#count === 0) !== this.#inverted;
	}

	#text(dashes: string): string {
		const not = this.#inverted ? " !" : "";
		return this.#mode === "random"
			? ` ${dashes}mode random${not} ${dashes}probability ${(this.#probability / 0x8000_0000).toFixed(11)}`
			: ` ${dashes}mode nth${not} ${dashes}every ${String(this.#every)}`;
	}

	save(): string {
		return this.#text("--") + (this.#mode === "nth" ? ` --packet ${String(this.#packet)}` : "");
	}

	show(): string {
		const packet = this.#mode === "nth" && this.#packet !== 0 ? ` packet ${String(this.#packet)}` : "";
		return ` statistic${this.#text("")}${packet}`;
	}
}
