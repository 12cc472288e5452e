import { armFor, LEAST } from "./retransmit-timer.ts";
import { RESENT, EVER_RESENT, LOST, SACKED, type Sent } from "./send-queue.ts";
import { after } from "./sequence.ts";
import type { Tcb } from "./tcb.ts";

// RACK (RFC 8985): what was sent before something that arrived, and is a reordering window late, is lost.
// Reference: net/ipv4/tcp_recovery.c.

/** Whether (a, its end) was sent after (b, its end). */
const sentAfter = (a: number, b: number, aEnd: number, bEnd: number): boolean =>
	a > b || (a === b && after(aEnd, bEnd));

/** A segment arrived: `tcp_rack_advance`. */
export function rackAdvance(tcb: Tcb, item: Sent): void {
	const rtt = (tcb.now - item.sentAt) / 1000;
	// The answer to the original, not to what was sent again.
	if (rtt < tcb.minRtt && (item.marks & EVER_RESENT) !== 0) return;
	tcb.rackAdvanced = true;
	tcb.rackRtt = rtt;
	if (sentAfter(item.sentAt, tcb.rackSentAt, item.end, tcb.rackEnd)) {
		tcb.rackSentAt = item.sentAt;
		tcb.rackEnd = item.end;
	}
}

/** How late, in microseconds, a segment may be (`tcp_rack_reo_wnd`). */
function reorderingWindow(tcb: Tcb): number {
	if (tcb.reorderSeen === 0) {
		if (tcb.caState === "recovery" || tcb.caState === "loss") return 0;
		if (tcb.sackedOut >= tcb.reordering) return 0;
	}
	const quarter = Number.isFinite(tcb.minRtt) ? Math.floor(tcb.minRtt / 4) : 0;
	return Math.min(quarter * tcb.rackReoSteps, tcb.srtt >>> 3);
}

/** Microseconds until a segment counts as lost (`tcp_rack_skb_timeout`). */
export const rackTimeout = (tcb: Tcb, item: Sent, window: number): number =>
	tcb.rackRtt + window - (tcb.now - item.sentAt) / 1000;

/** `tcp_mark_skb_lost`. */
export function markLost(tcb: Tcb, item: Sent): void {
	if ((item.marks & SACKED) !== 0) return;
	if ((item.marks & LOST) !== 0) {
		if ((item.marks & RESENT) === 0) return;
		item.marks &= ~RESENT;
		tcb.resentOut--;
		tcb.lost++;
		return;
	}
	item.marks |= LOST;
	tcb.lostOut++;
	tcb.lost++;
	if ((item.marks & RESENT) !== 0) {
		item.marks &= ~RESENT;
		tcb.resentOut--;
	}
}

/** Marks what is lost; microseconds until the next one may be, 0 for none (`tcp_rack_detect_loss`). */
export function detectLoss(tcb: Tcb): number {
	const window = reorderingWindow(tcb);
	const { queue } = tcb;
	let timeout = 0;
	for (let i = 0; i < queue.unsent; i++) {
		const item = queue.at(i);
		if ((item.marks & SACKED) !== 0) continue;
		if ((item.marks & (LOST | RESENT)) === LOST) continue;
		if (!sentAfter(tcb.rackSentAt, item.sentAt, tcb.rackEnd, item.end)) continue;
		const remaining = rackTimeout(tcb, item, window);
		if (remaining <= 0) markLost(tcb, item);
		else timeout = Math.max(timeout, remaining);
	}
	return timeout;
}

/** `tcp_rack_mark_lost`: returns whether the timer waits for reordered segments now. */
export function rackMarkLost(tcb: Tcb): boolean {
	if (!tcb.rackAdvanced) return false;
	tcb.rackAdvanced = false;
	const timeout = detectLoss(tcb);
	if (timeout === 0) return false;
	armFor(tcb, "reorder", Math.min(Math.ceil(timeout / 4000) * 4e6 + LEAST, tcb.rto));
	return true;
}

/** Segments that arrived twice widen the window for a while (`tcp_rack_update_reo_wnd`). */
export function updateReorderingWindow(tcb: Tcb): void {
	if (tcb.delivered - tcb.packetsOut < tcb.rackLastDelivered) tcb.rackDsackSeen = false;
	if (tcb.rackDsackSeen) {
		tcb.rackReoSteps = Math.min(0xff, tcb.rackReoSteps + 1);
		tcb.rackDsackSeen = false;
		tcb.rackLastDelivered = tcb.delivered;
		tcb.rackReoPersist = 16;
	} else if (tcb.rackReoPersist === 0) {
		tcb.rackReoSteps = 1;
	}
}
