/** Which of the two forms of replay protection a state has: `anti-replay context` or `anti-replay esn context`. */
export type ReplayForm = "legacy" | "bitmap" | "esn";

/** Why a sequence number is refused: too old for the window, seen before, or 0, which is no packet's. */
export type ReplayRefusal = "replay-window" | "replay" | "zero";

const WORD = 32;
const HIGH = 0x1_0000_0000;

/**
 * The replay window of a state and its own sequence number (RFC 4303 §3.4.3; net/xfrm/xfrm_replay.c).
 *
 * Numbers are whole: with extended sequence numbers up to 2^64 in theory, here up to 2^53. Bit 0 of a legacy bitmap is
 * the highest number seen; the longer bitmaps are rings, in which number n has bit (n - 1) modulo the window.
 */
export class Replay {
	readonly form: ReplayForm;
	/** Numbers looked back; 0 switches the check off. */
	readonly window: number;
	/** Highest number received. */
	seq = 0;
	/** Last number sent. */
	oseq = 0;
	readonly bitmap: Uint32Array;

	constructor(form: ReplayForm, window: number) {
		this.form = form;
		this.window = window;
		this.bitmap = new Uint32Array(form === "legacy" ? 1 : Math.ceil(window / WORD));
	}

	/** The number of the next packet; undefined when there is none left (`xfrm_replay_overflow`). */
	next(): number | undefined {
		if (this.form !== "esn" && this.oseq === HIGH - 1) return undefined;
		return ++this.oseq;
	}

	/** The whole of a received number, whose upper half the packet does not carry (`xfrm_replay_seqhi`). */
	whole(low: number): number {
		if (this.form !== "esn") return low;
		const high = Math.floor(this.seq / HIGH);
		const bottom = this.seq - high * HIGH - this.window + 1;
		// The window lies in one half, or reaches back into the one before.
		if (bottom >= 0) return (low < bottom ? high + 1 : high) * HIGH + low;
		return (low >= bottom + HIGH ? high - 1 : high) * HIGH + low;
	}

	/** Why the number must not be taken, undefined when it may be. */
	check(number: number): ReplayRefusal | undefined {
		if (this.window === 0) return undefined;
		if (number <= 0) return "zero";
		if (number > this.seq) return undefined;
		if (this.seq - number >= this.window) return "replay-window";
		return this.#has(number) ? "replay" : undefined;
	}

	/** Notes a number that was taken. */
	advance(number: number): void {
		if (this.window === 0) return;
		const step = number - this.seq;
		if (this.form === "legacy") {
			if (step > 0) {
				const kept = step < this.window ? this.bitmap[0]! << step : 0;
				this.bitmap[0] = kept | 1;
				this.seq = number;
			} else this.bitmap[0] = this.bitmap[0]! | (1 << -step);
			return;
		}
		if (step >= this.window) this.bitmap.fill(0);
		else for (let n = this.seq + 1; n < number; n++) this.#set(n, false);
		if (step > 0) this.seq = number;
		this.#set(number, true);
	}

	#has(number: number): boolean {
		if (this.form === "legacy") return (this.bitmap[0]! & (1 << (this.seq - number))) !== 0;
		const bit = (number - 1) % this.window;
		return (this.bitmap[bit >>> 5]! & (1 << (bit & 31))) !== 0;
	}

	#set(number: number, seen: boolean): void {
		const bit = (number - 1) % this.window;
		const word = this.bitmap[bit >>> 5]!;
		this.bitmap[bit >>> 5] = seen ? word | (1 << (bit & 31)) : word & ~(1 << (bit & 31));
	}
}
