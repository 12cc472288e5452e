import type { Instant } from "../../sim/index.ts";

/** `limit …` of `ip xfrm state` and `ip xfrm policy`: octets, packets, seconds. */
export interface LimitOptions {
	/** `limit byte-soft`: a key manager would be told to make a new state. */
	readonly byteSoft?: number;
	/** `limit byte-hard`: the state ends. */
	readonly byteHard?: number;
	readonly packetSoft?: number;
	readonly packetHard?: number;
	/** `limit time-soft`: seconds from when it was added. */
	readonly timeSoft?: number;
	readonly timeHard?: number;
	/** `limit time-use-soft`: seconds from its first use. */
	readonly timeUseSoft?: number;
	readonly timeUseHard?: number;
}

/** How long something may live and how far it is (`struct xfrm_lifetime_cfg`, `xfrm_lifetime_cur`). */
export class Lifetime {
	limits: LimitOptions;
	bytes = 0;
	packets = 0;
	readonly added: Instant;
	/** First use of a state, latest use of a policy. */
	used: Instant | undefined;

	constructor(limits: LimitOptions, added: Instant) {
		this.limits = limits;
		this.added = added;
	}

	/** Octets or packets are used up. */
	get spent(): boolean {
		const { byteHard = Infinity, packetHard = Infinity } = this.limits;
		return this.bytes >= byteHard || this.packets >= packetHard;
	}

	/** When its time is over, by whichever limit comes first; undefined without a limit in time. */
	get ends(): Instant | undefined {
		const { timeHard = 0, timeUseHard = 0 } = this.limits;
		const ends = [
			...(timeHard > 0 ? [this.added + timeHard * 1e9] : []),
			...(timeUseHard > 0 && this.used !== undefined ? [this.used + timeUseHard * 1e9] : []),
		];
		return ends.length === 0 ? undefined : Math.min(...ends);
	}

	/** Counts a packet. */
	count(octets: number): void {
		this.bytes += octets;
		this.packets++;
	}
}
