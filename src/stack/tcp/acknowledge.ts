import { COMPRESSED_ACK, DELAYED_ACK } from "./effects.ts";
import * as limits from "./limits.ts";
import { sendAck } from "./output.ts";
import { moreQuickAcks } from "./quick-ack.ts";
import { growWindow, measureByWindow, possibleWindow } from "./receive-window.ts";
import type { Segment } from "./segment.ts";
import { ACK_NOW, ACK_PUSHED, ACK_PUSHED_2, ACK_SCHEDULED, ACK_TIMER, type Tcb } from "./tcb.ts";

const inQuickAck = (tcb: Tcb): boolean => tcb.quick > 0 && !tcb.pingpong;

/** Data came in order: how soon is it acknowledged (`tcp_event_data_recv`)? */
export function dataReceived(tcb: Tcb, segment: Segment): void {
	const { now } = tcb;
	tcb.ackPending |= ACK_SCHEDULED;
	measureMss(tcb, segment);
	measureByWindow(tcb);
	if (tcb.ato === 0) {
		// The first data: the sender is in slow start and wants every acknowledgment.
		moreQuickAcks(tcb, limits.QUICK_ACKS);
		tcb.ato = limits.DELAYED_MIN;
	} else {
		const gap = now - tcb.lastReceiveAt;
		if (gap <= limits.DELAYED_MIN / 2) tcb.ato = tcb.ato / 2 + limits.DELAYED_MIN / 2;
		else if (gap < tcb.ato) tcb.ato = Math.min(tcb.ato / 2 + gap, tcb.rto);
		// So long a pause that the sender began anew.
		else if (gap > tcb.rto) moreQuickAcks(tcb, limits.QUICK_ACKS);
	}
	tcb.lastReceiveAt = now;
	if (segment.octets >= 128) growWindow(tcb, segment.octets);
}

/** Estimates the sender's segment size (`tcp_measure_rcv_mss`). */
function measureMss(tcb: Tcb, segment: Segment): void {
	const last = tcb.lastSegmentSize;
	tcb.lastSegmentSize = 0;
	let length = segment.octets;
	if (length >= tcb.rcvMss) {
		tcb.rcvMss = Math.min(length, tcb.advertisedMss);
		return;
	}
	// Options may come and go: the length with the header is what stays.
	length += segment.header;
	const pushed = (segment.flags & 0x0f) !== 0;
	if (length >= limits.MSS_DEFAULT + 20 || (length >= limits.MSS_LEAST + 20 && !pushed)) {
		length -= tcb.headerOctets;
		tcb.lastSegmentSize = length;
		if (length === last) {
			tcb.rcvMss = length;
			return;
		}
	}
	if ((tcb.ackPending & ACK_PUSHED) !== 0) tcb.ackPending |= ACK_PUSHED_2;
	tcb.ackPending |= ACK_PUSHED;
}

/** After a segment: acknowledge now, soon, or with the next data (`__tcp_ack_snd_check`). */
export function acknowledgeIfDue(tcb: Tcb, outOfOrder: boolean): void {
	if ((tcb.ackPending & ACK_SCHEDULED) === 0) return;
	const unacknowledged = (tcb.rcvNxt - tcb.rcvWup) | 0;
	if (
		(unacknowledged > tcb.rcvMss && (tcb.readable < 1 || possibleWindow(tcb) >= tcb.rcvWnd)) ||
		inQuickAck(tcb) ||
		(tcb.ackPending & ACK_NOW) !== 0
	) {
		return sendAck(tcb);
	}
	if (!outOfOrder || tcb.gaps.length === 0) return delayAck(tcb);
	if (!tcb.sackOk || tcb.compressedAcks >= limits.COMPRESS_MOST) return sendAck(tcb);
	if (tcb.compressedNxt !== tcb.rcvNxt) {
		tcb.compressedNxt = tcb.rcvNxt;
		tcb.duplicateAcksSent = 0;
	}
	if (tcb.duplicateAcksSent < limits.DUPLICATES) {
		tcb.duplicateAcksSent++;
		return sendAck(tcb);
	}
	tcb.compressedAcks++;
	if (tcb.compressTimer) return;
	let rtt = tcb.rcvRtt;
	if (tcb.srtt !== 0 && tcb.srtt < rtt) rtt = tcb.srtt;
	tcb.compressTimer = true;
	// 5 % of the round trip (which is kept eightfold), a millisecond at most.
	tcb.effects.timers[COMPRESSED_ACK] = Math.min(limits.COMPRESS_DELAY, Math.floor((rtt * 125) / 20));
}

/** `tcp_send_delayed_ack`. */
export function delayAck(tcb: Tcb): void {
	const { now } = tcb;
	let { ato } = tcb;
	if (ato > limits.DELAYED_MIN) {
		let most = 500e6;
		if (tcb.pingpong || (tcb.ackPending & ACK_PUSHED) !== 0) most = limits.DELAYED_MAX;
		if (tcb.srtt !== 0) most = Math.min(most, Math.max((tcb.srtt >>> 3) * 1000, limits.DELAYED_MIN));
		ato = Math.min(ato, most);
	}
	ato = Math.min(ato, limits.DELAYED_MAX);
	let timeout = now + ato;
	if ((tcb.ackPending & ACK_TIMER) !== 0) {
		if (tcb.ackTimeout <= now + ato / 4) return sendAck(tcb);
		timeout = Math.min(timeout, tcb.ackTimeout);
	}
	tcb.ackPending |= ACK_SCHEDULED | ACK_TIMER;
	tcb.ackTimeout = timeout;
	tcb.effects.timers[DELAYED_ACK] = timeout - now;
}

/** The delayed acknowledgment is due (`tcp_delack_timer_handler`). */
export function delayedAckDue(tcb: Tcb): void {
	if ((tcb.ackPending & ACK_TIMER) === 0) return;
	tcb.ackPending &= ~ACK_TIMER;
	if ((tcb.ackPending & ACK_SCHEDULED) === 0) return;
	if (tcb.pingpong) {
		tcb.pingpong = false;
		tcb.ato = limits.DELAYED_MIN;
	} else {
		// It was waited for in vain: next time a little longer.
		tcb.ato = Math.min(tcb.ato * 2, tcb.rto);
	}
	sendAck(tcb);
}

/** What was held back of duplicate acknowledgments is due (`tcp_compressed_ack_kick`). */
export function compressedAckDue(tcb: Tcb): void {
	tcb.compressTimer = false;
	if (tcb.compressedAcks > 0) {
		// Since acknowledgments out of order are to be counted, the next goes at once.
		tcb.compressedAcks--;
		sendAck(tcb);
	}
}

/** The program read `octets`: an acknowledgment may be due, or a window worth telling of (`tcp_cleanup_rbuf`). */
export function readDone(tcb: Tcb, octets: number): void {
	let due = false;
	if ((tcb.ackPending & ACK_SCHEDULED) !== 0) {
		due =
			((tcb.rcvNxt - tcb.rcvWup) | 0) > tcb.rcvMss ||
			(octets > 0 &&
				((tcb.ackPending & ACK_PUSHED_2) !== 0 || ((tcb.ackPending & ACK_PUSHED) !== 0 && !tcb.pingpong)) &&
				tcb.charged === 0);
	}
	if (octets > 0 && !due && tcb.mayReceiveMore) {
		const offered = tcb.offeredWindow;
		if (2 * offered <= tcb.windowClamp) {
			const window = possibleWindow(tcb);
			due = window > 0 && window >= 2 * offered;
		}
	}
	if (due) sendAck(tcb);
}
