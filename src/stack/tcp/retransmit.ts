import { tcp } from "../../wire/index.ts";
import { currentMss, emit, emitSyn } from "./output.ts";
import { armFor } from "./retransmit-timer.ts";
import { EVER_RESENT, LOST, RESENT, SACKED } from "./send-queue.ts";
import { after } from "./sequence.ts";
import type { Tcb } from "./tcb.ts";

/**
 * Sends the i-th segment again (`__tcp_retransmit_skb`): cut to what fits, joined with its followers if they are
 * small. Returns false when the window forbids it.
 */
export function resend(tcb: Tcb, i: number): boolean {
	const { queue } = tcb;
	const item = queue.at(i);
	if ((item.flags & tcp.SYN) !== 0) {
		emitSyn(tcb);
		item.sentAt = tcb.now;
		item.marks |= EVER_RESENT;
		tcb.totalRetrans++;
		return true;
	}
	const mss = currentMss(tcb);
	let room = (tcb.windowEnd - item.sequence) | 0;
	if (room <= 0) {
		if (item.sequence !== tcb.sndUna) return false;
		// The other side took its window back: the first segment goes all the same.
		room = mss;
	}
	const most = Math.min(mss, room);
	let octets = lengthOf(item);
	if (octets > most) {
		queue.cut(i, most, tcp.FIN | tcp.PSH);
		tcb.packetsOut++;
		if ((item.marks & LOST) !== 0) tcb.lostOut++;
		if ((item.marks & RESENT) !== 0) tcb.resentOut++;
		octets = most;
	} else if (octets < most) {
		octets = collapse(tcb, i, most);
	}
	item.sentAt = tcb.now;
	emit(tcb, item.sequence, octets, item.flags | tcp.ACK);
	item.marks |= EVER_RESENT;
	tcb.totalRetrans++;
	return true;
}

const lengthOf = (item: { sequence: number; end: number; flags: number }): number =>
	((item.end - item.sequence) | 0) - ((item.flags & tcp.FIN) !== 0 ? 1 : 0);

/** Small segments become one (`tcp_retrans_try_collapse`). Returns the octets of the first one now. */
function collapse(tcb: Tcb, i: number, most: number): number {
	const { queue } = tcb;
	const item = queue.at(i);
	while (i + 1 < queue.unsent && (item.flags & tcp.FIN) === 0) {
		const next = queue.at(i + 1);
		if ((next.marks & SACKED) !== 0 || (next.flags & tcp.SYN) !== 0) break;
		if (lengthOf(item) + lengthOf(next) > most || after(next.end, tcb.windowEnd)) break;
		if ((next.marks & LOST) !== 0) tcb.lostOut--;
		if ((next.marks & RESENT) !== 0) tcb.resentOut--;
		tcb.packetsOut--;
		queue.join(i);
	}
	return lengthOf(item);
}

/** `tcp_retransmit_skb`: as `resend`, and it counts as on its way again. */
export function retransmit(tcb: Tcb, i: number): boolean {
	if (!resend(tcb, i)) return false;
	const item = tcb.queue.at(i);
	item.marks |= RESENT;
	tcb.resentOut++;
	if (tcb.retransStamp < 0) tcb.retransStamp = tcb.now;
	tcb.undoResent = Math.max(0, tcb.undoResent) + 1;
	return true;
}

/** Sends again what is marked lost, as far as the window goes (`tcp_xmit_retransmit_queue`). */
export function retransmitLost(tcb: Tcb): void {
	const { queue } = tcb;
	let rearm = false;
	for (let i = 0; i < queue.unsent; i++) {
		if (tcb.cwnd - tcb.inFlight <= 0 || tcb.resentOut >= tcb.lostOut) break;
		const item = queue.at(i);
		if ((item.marks & (LOST | SACKED | RESENT)) !== LOST) continue;
		if (!retransmit(tcb, i)) break;
		if (tcb.caState === "recovery" || tcb.caState === "cwr") tcb.prrOut++;
		if (i === 0 && tcb.pending !== "reorder") rearm = true;
	}
	if (rearm) armFor(tcb, "rto", tcb.rto);
}
