import { COMPRESSED_ACK, DELAYED_ACK, STOP } from "./effects.ts";
import * as limits from "./limits.ts";
import { ACK_TIMER, type Tcb } from "./tcb.ts";

/** Segments that are acknowledged at once, as many as half the window holds (`tcp_incr_quickack`). */
export function moreQuickAcks(tcb: Tcb, most: number): void {
	const wanted = Math.floor(tcb.rcvWnd / (2 * tcb.rcvMss)) || 2;
	tcb.quick = Math.max(tcb.quick, Math.min(wanted, most));
}

/** `tcp_enter_quickack_mode`. */
export function enterQuickAck(tcb: Tcb, most: number): void {
	moreQuickAcks(tcb, most);
	tcb.pingpong = false;
	tcb.ato = limits.DELAYED_MIN;
}

/** An acknowledgment went out, alone or with data (`tcp_event_ack_sent`). */
export function ackSent(tcb: Tcb): void {
	if (tcb.compressTimer) {
		tcb.compressTimer = false;
		tcb.effects.timers[COMPRESSED_ACK] = STOP;
	}
	tcb.compressedAcks = 0;
	if (tcb.quick > 0 && --tcb.quick === 0) tcb.ato = limits.DELAYED_MIN;
	if ((tcb.ackPending & ACK_TIMER) !== 0) tcb.effects.timers[DELAYED_ACK] = STOP;
	tcb.ackPending = 0;
}
