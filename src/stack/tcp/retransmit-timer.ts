import { RETRANSMIT, STOP } from "./effects.ts";
import * as limits from "./limits.ts";
import type { Pending, Tcb } from "./tcb.ts";

/** Two ticks of 4 ms (`TCP_TIMEOUT_MIN`). */
export const LEAST = 8e6;

/** Arms the one timer of retransmissions for a purpose (`tcp_reset_xmit_timer`). */
export function armFor(tcb: Tcb, pending: Pending, delay: number): void {
	tcb.pending = pending;
	const limited = Math.max(0, Math.min(delay, limits.RTO_MAX));
	tcb.timeoutAt = tcb.now + limited;
	tcb.effects.timers[RETRANSMIT] = limited;
}

/** Arms it for the next SYN,ACK: twice as late as the last time it was due (`reqsk_timeout`). */
export function armForSynAck(tcb: Tcb): void {
	armFor(tcb, "rto", limits.RTO_FIRST * 2 ** tcb.backoff);
}

/** Stops it. */
export function disarm(tcb: Tcb): void {
	tcb.pending = "none";
	tcb.effects.timers[RETRANSMIT] = STOP;
}

/** Nanoseconds until the first segment on its way is overdue (`tcp_rto_delta_us`). */
function untilOverdue(tcb: Tcb): number {
	const first = tcb.queue.unsent > 0 ? tcb.queue.at(0).sentAt : tcb.now;
	return first + tcb.rto - tcb.now;
}

/** `tcp_rearm_rto`. */
export function armRetransmit(tcb: Tcb): void {
	if (tcb.packetsOut === 0) {
		if (tcb.pending !== "none") disarm(tcb);
		return;
	}
	let { rto } = tcb;
	// The time that another purpose took is not given twice.
	if (tcb.pending === "reorder" || tcb.pending === "loss-probe") rto = Math.max(untilOverdue(tcb), 1000);
	armFor(tcb, "rto", rto);
}

/** A tail loss probe two round trips from now, where one may help (RFC 8985 §7; `tcp_schedule_loss_probe`). */
export function scheduleLossProbe(tcb: Tcb, advancing: boolean): boolean {
	if (tcb.packetsOut === 0 || !tcb.sackOk || (tcb.caState !== "open" && tcb.caState !== "cwr")) return false;
	let timeout = limits.RTO_FIRST;
	if (tcb.srtt !== 0) {
		timeout = Math.ceil((tcb.srtt >>> 2) / 4000) * 4e6;
		timeout += tcb.packetsOut === 1 ? limits.RTO_MIN : LEAST;
	}
	const overdue = advancing ? tcb.rto : untilOverdue(tcb);
	if (overdue > 0) timeout = Math.min(timeout, overdue);
	armFor(tcb, "loss-probe", timeout);
	return true;
}

/** Probes of a closed window begin this far apart (`tcp_probe0_base`). */
export const probeBase = (tcb: Tcb): number => Math.max(tcb.rto, limits.RTO_MIN);

/** `tcp_probe0_when`. */
export const probeDelay = (tcb: Tcb): number =>
	Math.min(probeBase(tcb) * 2 ** Math.min(tcb.backoff, 10), limits.RTO_MAX);

/** Something waits that the window forbids, and nothing else will bring news of it (`tcp_check_probe_timer`). */
export function checkProbeTimer(tcb: Tcb): void {
	if (tcb.packetsOut === 0 && tcb.pending === "none") armFor(tcb, "probe", probeBase(tcb));
}
