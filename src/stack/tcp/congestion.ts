import type { Tcb } from "./tcb.ts";

/** A congestion control algorithm (`struct tcp_congestion_ops`): how `cwnd` grows, and what a loss leaves of it. */
export interface Congestion {
	readonly name: "cubic" | "reno";
	/** The threshold after a loss. */
	ssthresh(tcb: Tcb): number;
	/** `acked` segments were acknowledged and nothing is wrong. */
	avoid(tcb: Tcb, ack: number, acked: number): void;
	/** A round trip of `rtt` microseconds was measured. */
	sampled(tcb: Tcb, rtt: number): void;
	/** Everything was lost: begin anew. */
	reset(): void;
	/** The sender was idle for `octets`' worth of time and starts again. */
	restarted(tcb: Tcb, idle: number): void;
}

/** Slow start: one segment more for each acknowledged one (`tcp_slow_start`). Returns what is left above the threshold. */
export function slowStart(tcb: Tcb, acked: number): number {
	const cwnd = Math.min(tcb.cwnd + acked, tcb.ssthresh);
	const left = acked - (cwnd - tcb.cwnd);
	tcb.cwnd = Math.min(cwnd, tcb.cwndClamp);
	return left;
}

/** Additive increase: a segment more for each `per` acknowledged ones (`tcp_cong_avoid_ai`). */
export function increase(tcb: Tcb, per: number, acked: number): void {
	if (tcb.cwndCount >= per) {
		tcb.cwndCount = 0;
		tcb.cwnd++;
	}
	tcb.cwndCount += acked;
	if (tcb.cwndCount >= per) {
		const delta = Math.floor(tcb.cwndCount / per);
		tcb.cwndCount -= delta * per;
		tcb.cwnd += delta;
	}
	tcb.cwnd = Math.min(tcb.cwnd, tcb.cwndClamp);
}

/** Whether the window is what holds the sender back (`tcp_is_cwnd_limited`). */
export const isCwndLimited = (tcb: Tcb): boolean =>
	tcb.cwndLimited || (tcb.cwnd < tcb.ssthresh && tcb.cwnd < 2 * tcb.maxPacketsOut);

/** NewReno (RFC 5681, RFC 6582). */
export class Reno implements Congestion {
	readonly name = "reno";

	ssthresh(tcb: Tcb): number {
		return Math.max(tcb.cwnd >>> 1, 2);
	}

	avoid(tcb: Tcb, _: number, acked: number): void {
		if (!isCwndLimited(tcb)) return;
		let left = acked;
		if (tcb.cwnd < tcb.ssthresh) {
			left = slowStart(tcb, acked);
			if (left === 0) return;
		}
		increase(tcb, tcb.cwnd, left);
	}

	sampled(): void {
		// Reno does not look at round trips.
	}

	reset(): void {
		// It keeps nothing.
	}

	restarted(): void {
		// It keeps nothing.
	}
}
