import { tcp } from "../../wire/index.ts";
import { syncMss, updatePacing } from "./output.ts";
import { rackAdvance, updateReorderingWindow } from "./rack.ts";
import { alert, answerToProbe, forgetMarks, reduceCwnd, removeRenoSacks, sendRecovery } from "./recovery.ts";
import { armFor, armRetransmit, disarm, probeDelay, scheduleLossProbe } from "./retransmit-timer.ts";
import { sample } from "./rtt.ts";
import { FLAG, highestSacked, noteReordering, type SackResult, tagSacked } from "./sack.ts";
import type { Segment } from "./segment.ts";
import { EVER_RESENT, SACKED } from "./send-queue.ts";
import { after, before } from "./sequence.ts";
import type { Tcb } from "./tcb.ts";
import { replaceRecent } from "./timestamps.ts";
import { challengeAck } from "./validate.ts";

/** How an acknowledgment number was judged. */
export type AckVerdict = "good" | "old" | "too-old" | "unsent";

/**
 * An acknowledgment came in (RFC 9293 §3.10.7.4, fifth; `tcp_ack`): what is acknowledged leaves the queue, round trips
 * are measured, the windows move, losses are found and repaired.
 */
export function acknowledge(tcb: Tcb, segment: Segment, updateRecent: boolean): AckVerdict {
	const ack = segment.acknowledgment;
	const priorUna = tcb.sndUna;
	if (before(ack, priorUna)) {
		if (before(ack, (priorUna - tcb.maxWindow) | 0)) {
			challengeAck(tcb);
			return "too-old";
		}
		// An old one may carry news in its SACK blocks.
		if (segment.blocks > 0) {
			const result = tagSacked(tcb, segment, priorUna);
			const flags = alert(tcb, priorUna, 0, result.flags);
			if ((flags & FLAG.SET_TIMER) !== 0) setTimer(tcb);
			sendRecovery(tcb);
		}
		return "old";
	}
	if (after(ack, tcb.sndNxt)) return "unsent";
	const priorDelivered = tcb.delivered;
	const priorLost = tcb.lost;
	const priorPackets = tcb.packetsOut;
	const priorHighest = highestSacked(tcb);
	let flags = 0;
	if (after(ack, priorUna)) {
		flags |= FLAG.UNA_ADVANCED;
		tcb.retries = 0;
	}
	if (updateRecent) replaceRecent(tcb, segment);
	if (segment.sequence !== segment.end) flags |= FLAG.DATA;
	flags |= updateWindow(tcb, segment, ack);
	let sacked: SackResult | undefined;
	if (segment.blocks > 0) {
		sacked = tagSacked(tcb, segment, priorUna);
		flags |= sacked.flags;
	}
	tcb.softError = undefined;
	tcb.probesOut = 0;
	tcb.probesSince = -1;
	tcb.lastHeardAt = tcb.now;
	if (priorPackets === 0) {
		if ((flags & FLAG.DSACKING) !== 0) flags = alert(tcb, priorUna, 0, flags);
		answerWindow(tcb);
		answerToProbe(tcb, ack, flags);
		return "good";
	}
	flags |= cleanQueue(tcb, flags, sacked, priorHighest);
	updateReorderingWindow(tcb);
	answerToProbe(tcb, ack, flags);
	const notDuplicate = FLAG.DATA | FLAG.WINDOW | FLAG.DATA_ACKED | FLAG.SYN_ACKED;
	if (
		(flags & notDuplicate) === 0 ||
		(flags & (FLAG.DATA_SACKED | FLAG.DSACKING)) !== 0 ||
		tcb.caState !== "open"
	) {
		const duplicates = (flags & (FLAG.UNA_ADVANCED | notDuplicate | FLAG.DSACKING)) === 0 ? 1 : 0;
		flags = alert(tcb, priorUna, duplicates, flags);
	}
	if ((flags & FLAG.SET_TIMER) !== 0) setTimer(tcb);
	if ((flags & (FLAG.DATA_ACKED | FLAG.SYN_ACKED | FLAG.DATA_SACKED)) !== 0 || (flags & notDuplicate) === 0)
		tcb.effects.confirm = true;
	const delivered = tcb.delivered - priorDelivered;
	if (tcb.caState === "cwr" || tcb.caState === "recovery") {
		reduceCwnd(tcb, delivered, tcb.lost - priorLost, flags);
	} else {
		const raises = tcb.reordering > 3 ? FLAG.DATA_ACKED | FLAG.SYN_ACKED | FLAG.DATA_SACKED : FLAG.DATA_ACKED;
		if ((flags & raises) !== 0) tcb.congestion.avoid(tcb, ack, delivered);
	}
	updatePacing(tcb);
	sendRecovery(tcb);
	return "good";
}

function setTimer(tcb: Tcb): void {
	if (!scheduleLossProbe(tcb, true)) armRetransmit(tcb);
}

/** Takes the window over from segments newer than the last that gave it (RFC 9293 §3.10.7.4; `tcp_ack_update_window`). */
function updateWindow(tcb: Tcb, segment: Segment, ack: number): number {
	let flags = 0;
	const window = segment.syn ? segment.window : segment.window << tcb.sndScale;
	if (
		after(ack, tcb.sndUna) ||
		after(segment.sequence, tcb.sndWl1) ||
		(segment.sequence === tcb.sndWl1 && window > tcb.sndWnd)
	) {
		flags |= FLAG.WINDOW;
		tcb.sndWl1 = segment.sequence;
		if (tcb.sndWnd !== window) {
			tcb.sndWnd = window;
			if (window > tcb.maxWindow) {
				tcb.maxWindow = window;
				syncMss(tcb, tcb.pathMtu);
			}
		}
	}
	tcb.sndUna = ack;
	return flags;
}

/** The answer to a probe of a closed window (`tcp_ack_probe`). */
function answerWindow(tcb: Tcb): void {
	const next = tcb.queue.next;
	if (next === undefined) return;
	if (!after(next.end, tcb.windowEnd)) {
		tcb.backoff = 0;
		tcb.probesSince = -1;
		if (tcb.pending === "probe") disarm(tcb);
	} else {
		armFor(tcb, "probe", probeDelay(tcb));
	}
}

/** Takes out what is acknowledged and measures its round trip (`tcp_clean_rtx_queue`). Returns what it found. */
function cleanQueue(tcb: Tcb, given: number, sacked: SackResult | undefined, priorHighest: number): number {
	const { queue, now } = tcb;
	let flags = 0;
	let firstSent = -1;
	let lastSent = -1;
	let acked = 0;
	let reord = tcb.sndNxt;
	while (queue.unsent > 0) {
		const item = queue.at(0);
		if (after(item.end, tcb.sndUna)) {
			// Part of it was taken: it begins later now.
			if (after(tcb.sndUna, item.sequence) && (item.flags & tcp.SYN) === 0) item.sequence = tcb.sndUna;
			break;
		}
		const { marks } = item;
		if ((marks & EVER_RESENT) !== 0) flags |= FLAG.RETRANS_ACKED;
		else if ((marks & SACKED) === 0) {
			lastSent = item.sentAt;
			if (firstSent < 0) firstSent = lastSent;
			if (before(item.sequence, reord)) reord = item.sequence;
			if (!after(item.end, tcb.highSeq)) flags |= FLAG.ORIG_SACKED;
		}
		if ((marks & SACKED) === 0 && tcb.sackOk) {
			tcb.delivered++;
			rackAdvance(tcb, item);
		}
		if (!tcb.sackOk && (marks & SACKED) !== 0) item.marks &= ~SACKED;
		forgetMarks(tcb, item.marks & (tcb.sackOk ? 15 : ~SACKED));
		acked++;
		if ((item.flags & tcp.SYN) === 0) flags |= FLAG.DATA_ACKED;
		else {
			flags |= FLAG.SYN_ACKED;
			tcb.retransStamp = -1;
		}
		queue.drop();
	}
	if (queue.unsent > 0 && (queue.at(0).marks & SACKED) !== 0 && acked > 0) flags |= FLAG.RENEGING;
	let sequenceRtt = -1;
	let congestionRtt = -1;
	if (firstSent >= 0 && (flags & FLAG.RETRANS_ACKED) === 0) {
		sequenceRtt = (now - firstSent) / 1000;
		congestionRtt = (now - lastSent) / 1000;
	}
	let sackRtt = -1;
	if (sacked !== undefined && sacked.first >= 0) {
		sackRtt = (now - sacked.first) / 1000;
		congestionRtt = (now - sacked.last) / 1000;
	}
	const sampled = sample(tcb, sequenceRtt, sackRtt, (given & FLAG.UNA_ADVANCED) !== 0);
	if (acked > 0) {
		flags |= FLAG.SET_TIMER;
		if (!tcb.sackOk) {
			removeRenoSacks(tcb, acked);
			if ((flags & FLAG.RETRANS_ACKED) !== 0) flags &= ~FLAG.ORIG_SACKED;
		} else if (before(reord, priorHighest)) {
			noteReordering(tcb, reord);
		}
	} else if (queue.unsent > 0 && sampled && sackRtt >= 0 && sackRtt > (now - queue.at(0).sentAt) / 1000) {
		flags |= FLAG.SET_TIMER;
	}
	if (congestionRtt >= 0) tcb.congestion.sampled(tcb, congestionRtt);
	return flags;
}
