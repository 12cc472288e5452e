import type { Rng } from "../../sim/index.ts";
import { readShare, type Share, shareText } from "./units.ts";

/** `loss state`: the four states of the general and intuitive model, by the probabilities between them. */
export interface LossState {
	/** Good to a burst of losses. */
	readonly p13: Share;
	/** Burst to good; what `p13` leaves unless said. */
	readonly p31?: Share;
	/** Losing to receiving within a burst; 0 unless said. */
	readonly p32?: Share;
	/** Receiving to losing within a burst; 1 unless said. */
	readonly p23?: Share;
	/** Good to one loss alone; 0 unless said. */
	readonly p14?: Share;
}

/** `loss gemodel`: Gilbert and Elliott's two states. */
export interface LossGilbertElliott {
	/** Good to bad. */
	readonly p: Share;
	/** Bad to good; 1 unless said. */
	readonly r?: Share;
	/** Loss in the bad state; 1 unless said. */
	readonly "1-h"?: Share;
	/** Loss in the good state; 0 unless said. */
	readonly "1-k"?: Share;
}

/** What decides whether a frame is lost. */
export interface LossModel {
	/** Decides for the next frame. */
	next(rng: Rng): boolean;
	/** As tc prints it, with a space in front. */
	readonly text: string;
}

const ALWAYS = 0xffff_ffff;

/** Draws that depend on the one before: `get_crandom` with the correlation in 2^32nds. */
export class CorrelatedDraw {
	readonly #rho: number;
	#last: number | undefined;

	constructor(correlation: number) {
		this.#rho = correlation === 0 ? 0 : (correlation + 1) / 0x1_0000_0000;
	}

	/** 0 to 2^32 - 1. */
	next(rng: Rng): number {
		if (this.#rho === 0) return rng.uint32();
		this.#last ??= rng.uint32();
		const value = rng.uint32();
		this.#last = Math.floor(value * (1 - this.#rho) + this.#last * this.#rho);
		return this.#last;
	}

	/** True for a share of the draws, given in 2^32nds; none is drawn for none. */
	hits(share: number, rng: Rng): boolean {
		return share > 0 && share >= this.next(rng);
	}
}

/** Each frame by itself, or after the one before. */
export class RandomLoss implements LossModel {
	readonly #share: number;
	readonly #correlation: number;
	readonly #draw: CorrelatedDraw;

	/** Shares in 2^32nds. */
	constructor(share: number, correlation: number) {
		this.#share = share;
		this.#correlation = correlation;
		this.#draw = new CorrelatedDraw(correlation);
	}

	next(rng: Rng): boolean {
		return this.#draw.hits(this.#share, rng);
	}

	get text(): string {
		if (this.#share === 0) return "";
		const correlation = this.#correlation === 0 ? "" : ` ${shareText(this.#correlation)}`;
		return ` loss ${shareText(this.#share)}${correlation}`;
	}
}

/** `loss_gilb_ell`: the state moves first, then the state it was in decides. */
export class GilbertElliottLoss implements LossModel {
	readonly #p: number;
	readonly #r: number;
	readonly #h: number;
	readonly #k1: number;
	#bad = false;

	/** Throws RangeError. */
	constructor(options: LossGilbertElliott) {
		this.#p = readShare(options.p, "loss gemodel p");
		this.#r = readShare(options.r ?? 1, "loss gemodel r");
		this.#h = ALWAYS - readShare(options["1-h"] ?? 1, "loss gemodel h");
		this.#k1 = readShare(options["1-k"], "loss gemodel k");
	}

	next(rng: Rng): boolean {
		if (!this.#bad) {
			if (rng.uint32() < this.#p) this.#bad = true;
			return rng.uint32() < this.#k1;
		}
		if (rng.uint32() < this.#r) this.#bad = false;
		return rng.uint32() > this.#h;
	}

	get text(): string {
		const [p, r, h, k] = [this.#p, this.#r, ALWAYS - this.#h, this.#k1].map(shareText);
		return ` loss gemodel p ${p ?? ""} r ${r ?? ""} 1-h ${h ?? ""} 1-k ${k ?? ""}`;
	}
}

/** `loss_4state`: good, one loss alone, and bursts in which frames are lost or received. */
export class FourStateLoss implements LossModel {
	readonly #p13: number;
	readonly #p31: number;
	readonly #p32: number;
	readonly #p23: number;
	readonly #p14: number;
	#state: "good" | "alone" | "losing" | "receiving" = "good";

	/** Throws RangeError. */
	constructor(options: LossState) {
		this.#p13 = readShare(options.p13, "loss p13");
		this.#p31 = options.p31 === undefined ? ALWAYS - this.#p13 : readShare(options.p31, "loss p31");
		this.#p32 = readShare(options.p32, "loss p32");
		this.#p23 = readShare(options.p23 ?? 1, "loss p23");
		this.#p14 = readShare(options.p14, "loss p14");
	}

	next(rng: Rng): boolean {
		const draw = rng.uint32();
		switch (this.#state) {
			case "good":
				if (draw < this.#p14) this.#state = "alone";
				else if (draw < this.#p13 + this.#p14) this.#state = "losing";
				return this.#state !== "good";
			case "receiving":
				if (draw >= this.#p23) return false;
				this.#state = "losing";
				return true;
			case "losing":
				if (draw < this.#p32) this.#state = "receiving";
				else if (draw < this.#p31 + this.#p32) this.#state = "good";
				return this.#state === "losing";
			case "alone":
				this.#state = "good";
				return false;
		}
	}

	get text(): string {
		const of = (name: string, share: number): string => ` ${name} ${shareText(share)}`;
		return ` loss state${of("p13", this.#p13)}${of("p31", this.#p31)}${of("p32", this.#p32)}${of("p23", this.#p23)}${of("p14", this.#p14)}`;
	}
}
