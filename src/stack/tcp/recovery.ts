import { currentMss, currentSsthresh, PUSH, writeOut } from "./output.ts";
import { markLost, rackMarkLost, rackTimeout } from "./rack.ts";
import { retransmitLost } from "./retransmit.ts";
import { armFor } from "./retransmit-timer.ts";
import { FLAG, noteReordering } from "./sack.ts";
import { LOST, RESENT, SACKED, EVER_RESENT } from "./send-queue.ts";
import { after, before } from "./sequence.ts";
import type { CaState, Tcb } from "./tcb.ts";
import * as limits from "./limits.ts";

// Loss recovery: RFC 6675, 6937 (PRR), 5682 (F-RTO), 3522 and 4015 (undo), 6582 (NewReno).
// Reference: tcp_fastretrans_alert and its kin in net/ipv4/tcp_input.c.

/** What to send when the acknowledgment is digested (`REXMIT_…`). */
export type Rexmit = "none" | "lost" | "new";

const isReducing = (tcb: Tcb): boolean => tcb.caState === "cwr" || tcb.caState === "recovery";

/** `tcp_init_undo`. */
function beginUndo(tcb: Tcb): void {
	tcb.undoMarker = tcb.sndUna;
	tcb.undoResent = tcb.resentOut + (tcb.tlpHighSeq !== undefined && tcb.tlpRetrans ? 1 : 0);
	if (tcb.undoResent === 0) tcb.undoResent = -1;
}

/** `tcp_init_cwnd_reduction`. */
export function beginReduction(tcb: Tcb): void {
	tcb.highSeq = tcb.sndNxt;
	tcb.tlpHighSeq = undefined;
	tcb.cwndCount = 0;
	tcb.priorCwnd = tcb.cwnd;
	tcb.prrDelivered = 0;
	tcb.prrOut = 0;
	tcb.ssthresh = tcb.congestion.ssthresh(tcb);
}

/** Proportional rate reduction (RFC 6937; `tcp_cwnd_reduction`). */
export function reduceCwnd(tcb: Tcb, delivered: number, lost: number, flags: number): void {
	if (delivered <= 0 || tcb.priorCwnd === 0) return;
	const { inFlight } = tcb;
	const delta = tcb.ssthresh - inFlight;
	tcb.prrDelivered += delivered;
	let count: number;
	if (delta < 0) {
		count = Math.floor((tcb.ssthresh * tcb.prrDelivered + tcb.priorCwnd - 1) / tcb.priorCwnd) - tcb.prrOut;
	} else {
		count = Math.max(tcb.prrDelivered - tcb.prrOut, delivered);
		if ((flags & FLAG.UNA_ADVANCED) !== 0 && lost === 0) count++;
		count = Math.min(delta, count);
	}
	tcb.cwnd = inFlight + Math.max(count, tcb.prrOut > 0 ? 0 : 1);
}

/** `tcp_end_cwnd_reduction`. */
export function endReduction(tcb: Tcb): void {
	if (tcb.ssthresh < 0x7fff_ffff && (tcb.caState === "cwr" || tcb.undoMarker !== undefined)) {
		tcb.cwnd = tcb.ssthresh;
		tcb.cwndStamp = tcb.now;
	}
}

/** `tcp_enter_recovery`. */
export function enterRecovery(tcb: Tcb): void {
	tcb.priorSsthresh = 0;
	beginUndo(tcb);
	if (!isReducing(tcb)) {
		tcb.priorSsthresh = currentSsthresh(tcb);
		beginReduction(tcb);
	}
	tcb.caState = "recovery";
}

/** The retransmission timer ran out: everything older than a round trip is lost (`tcp_enter_loss`). */
export function enterLoss(tcb: Tcb): void {
	const fresh = tcb.caState === "open" || tcb.caState === "disorder" || tcb.caState === "cwr";
	markTimedOut(tcb);
	if (
		tcb.caState === "open" ||
		tcb.caState === "disorder" ||
		!after(tcb.highSeq, tcb.sndUna) ||
		(tcb.caState === "loss" && tcb.retries === 0)
	) {
		tcb.priorSsthresh = currentSsthresh(tcb);
		tcb.priorCwnd = tcb.cwnd;
		tcb.ssthresh = tcb.congestion.ssthresh(tcb);
		tcb.congestion.reset();
		beginUndo(tcb);
	}
	tcb.cwnd = tcb.inFlight + 1;
	tcb.cwndCount = 0;
	tcb.cwndStamp = tcb.now;
	if (fresh && tcb.sackedOut >= limits.DUPLICATES)
		tcb.reordering = Math.min(tcb.reordering, limits.DUPLICATES);
	tcb.caState = "loss";
	tcb.highSeq = tcb.sndNxt;
	tcb.frto = fresh || tcb.retries > 0;
}

/** `tcp_timeout_mark_lost`. */
function markTimedOut(tcb: Tcb): void {
	const { queue } = tcb;
	if (queue.unsent === 0) return;
	// What was SACKed and never acknowledged: the other side threw it away (RFC 2018 §8).
	const reneged = (queue.at(0).marks & SACKED) !== 0;
	if (reneged) tcb.sackedOut = 0;
	else if (!tcb.sackOk) tcb.sackedOut = 0;
	for (let i = 0; i < queue.unsent; i++) {
		const item = queue.at(i);
		if (reneged) item.marks &= ~SACKED;
		else if (tcb.sackOk && i > 0 && rackTimeout(tcb, item, 0) > 0) continue;
		markLost(tcb, item);
	}
}

/** Whether something sent again is not acknowledged (`tcp_any_retrans_done`). */
function anyResent(tcb: Tcb): boolean {
	return tcb.resentOut > 0 || (tcb.queue.unsent > 0 && (tcb.queue.at(0).marks & EVER_RESENT) !== 0);
}

/** The echoed timestamp is older than the first retransmission: the original arrived (RFC 3522; `tcp_packet_delayed`). */
const wasDelayed = (tcb: Tcb): boolean =>
	tcb.retransStamp >= 0 &&
	tcb.timestamps &&
	tcb.rcvTsecr !== 0 &&
	before(tcb.rcvTsecr, (Math.floor(tcb.retransStamp / 1e6) + tcb.timestampOffset) | 0);

const mayUndo = (tcb: Tcb): boolean =>
	tcb.undoMarker !== undefined && (tcb.undoResent === 0 || wasDelayed(tcb));

/** `tcp_undo_cwnd_reduction`. */
function undo(tcb: Tcb, unmark: boolean): void {
	if (unmark) {
		for (let i = 0; i < tcb.queue.unsent; i++) tcb.queue.at(i).marks &= ~LOST;
		tcb.lostOut = 0;
	}
	if (tcb.priorSsthresh > 0) {
		tcb.cwnd = Math.max(tcb.cwnd, tcb.priorCwnd);
		if (tcb.priorSsthresh > tcb.ssthresh) tcb.ssthresh = tcb.priorSsthresh;
	}
	tcb.cwndStamp = tcb.now;
	tcb.undoMarker = undefined;
	tcb.rackAdvanced = true;
}

/** NewReno stays in recovery until something above the mark is acknowledged (`tcp_is_non_sack_preventing_reopen`). */
const holdsOpen = (tcb: Tcb): boolean => {
	if (tcb.sndUna !== tcb.highSeq || tcb.sackOk) return false;
	if (!anyResent(tcb)) tcb.retransStamp = -1;
	return true;
};

function tryUndoRecovery(tcb: Tcb): boolean {
	if (mayUndo(tcb)) undo(tcb, false);
	else if (tcb.rackReoPersist > 0) tcb.rackReoPersist--;
	if (holdsOpen(tcb)) return true;
	tcb.caState = "open";
	tcb.frto = false;
	return false;
}

function tryUndoDsack(tcb: Tcb): boolean {
	if (tcb.undoMarker === undefined || tcb.undoResent !== 0) return false;
	tcb.rackReoPersist = Math.min(16, tcb.rackReoPersist + 1);
	undo(tcb, false);
	return true;
}

function tryUndoLoss(tcb: Tcb, frto: boolean): boolean {
	if (!frto && !mayUndo(tcb)) return false;
	undo(tcb, true);
	tcb.retries = 0;
	if (holdsOpen(tcb)) return true;
	if (frto || tcb.sackOk) {
		tcb.caState = "open";
		tcb.frto = false;
	}
	return true;
}

function tryUndoPartial(tcb: Tcb, priorUna: number): boolean {
	if (tcb.undoMarker === undefined || !wasDelayed(tcb)) return false;
	noteReordering(tcb, priorUna);
	if (tcb.resentOut > 0) return true;
	if (!anyResent(tcb)) tcb.retransStamp = -1;
	undo(tcb, true);
	keepOpen(tcb);
	return false;
}

/** `tcp_try_keep_open`. */
export function keepOpen(tcb: Tcb): void {
	const state: CaState = tcb.sackedOut + tcb.lostOut > 0 || anyResent(tcb) ? "disorder" : "open";
	if (tcb.caState === state) return;
	tcb.caState = state;
	tcb.highSeq = tcb.sndNxt;
}

/** Which segments are lost, by RACK or by duplicates counted (`tcp_identify_packet_loss`). Returns the flags it changed. */
function identifyLoss(tcb: Tcb, flags: number): number {
	if (tcb.queue.unsent === 0) return flags;
	if (!tcb.sackOk) {
		const begins = !["recovery", "loss"].includes(tcb.caState) && tcb.sackedOut >= tcb.reordering;
		if (begins || (tcb.caState === "recovery" && (flags & FLAG.UNA_ADVANCED) !== 0)) {
			const head = tcb.queue.at(0);
			if ((head.marks & LOST) === 0) markLost(tcb, head);
		}
		return flags;
	}
	const resent = tcb.resentOut;
	let now = flags;
	if (rackMarkLost(tcb)) now &= ~FLAG.SET_TIMER;
	if (resent > tcb.resentOut) now |= FLAG.LOST_RETRANS;
	return now;
}

/** Without SACK each duplicate stands for one segment that arrived (`tcp_add_reno_sack`). */
function addRenoSack(tcb: Tcb, duplicates: number): void {
	if (duplicates === 0) return;
	const most = tcb.packetsOut - Math.max(1, tcb.lostOut);
	const old = tcb.sackedOut;
	tcb.sackedOut = Math.max(0, Math.min(old + duplicates, most));
	tcb.delivered += Math.max(0, tcb.sackedOut - old);
}

/** New data was acknowledged without SACK: what duplicates stood for is among it (`tcp_remove_reno_sacks`). */
export function removeRenoSacks(tcb: Tcb, acked: number): void {
	if (acked > 0) {
		tcb.delivered += Math.max(acked - tcb.sackedOut, 1);
		tcb.sackedOut = acked - 1 >= tcb.sackedOut ? 0 : tcb.sackedOut - (acked - 1);
	}
	if (tcb.sackedOut > tcb.packetsOut - tcb.lostOut) tcb.sackedOut = Math.max(0, tcb.packetsOut - tcb.lostOut);
}

/** The answer to the timeout (`tcp_process_loss`). */
function processLoss(tcb: Tcb, flags: number, duplicates: number): Rexmit {
	const recovered = !before(tcb.sndUna, tcb.highSeq);
	if ((flags & FLAG.UNA_ADVANCED) !== 0 && tryUndoLoss(tcb, false)) return "none";
	if (tcb.frto) {
		// Something sent before the timeout arrived: it came too early (RFC 5682 §3.1).
		if ((flags & FLAG.ORIG_SACKED) !== 0 && tryUndoLoss(tcb, true)) return "none";
		if (after(tcb.sndNxt, tcb.highSeq)) {
			if ((flags & FLAG.DATA_SACKED) !== 0 || duplicates > 0) tcb.frto = false;
		} else if ((flags & FLAG.UNA_ADVANCED) !== 0 && !recovered) {
			tcb.highSeq = tcb.sndNxt;
			if (tcb.queue.next !== undefined && after(tcb.windowEnd, tcb.sndNxt)) return "new";
			tcb.frto = false;
		}
	}
	if (recovered) {
		tryUndoRecovery(tcb);
		return "none";
	}
	if (!tcb.sackOk) {
		if (after(tcb.sndNxt, tcb.highSeq) && duplicates > 0) addRenoSack(tcb, duplicates);
		else if ((flags & FLAG.UNA_ADVANCED) !== 0) tcb.sackedOut = 0;
	}
	return "lost";
}

/**
 * The heart of recovery: an acknowledgment that is a duplicate, brings SACKs, or comes while something is lost
 * (`tcp_fastretrans_alert`). Returns the flags as they are now; what to send is in `tcb.rexmit`.
 */
export function alert(tcb: Tcb, priorUna: number, duplicates: number, given: number): number {
	let flags = given;
	tcb.rexmit = "none";
	if (tcb.packetsOut === 0 && tcb.sackedOut > 0) tcb.sackedOut = 0;
	if ((flags & FLAG.RENEGING) !== 0) {
		// The other side may still fill in: wait a little before believing that it threw data away.
		armFor(tcb, "rto", Math.max((tcb.srtt >>> 4) * 1000, 10e6));
		return flags & ~FLAG.SET_TIMER;
	}
	if (tcb.caState === "open") tcb.retransStamp = -1;
	else if (!before(tcb.sndUna, tcb.highSeq)) {
		if (tcb.caState === "cwr") {
			if (tcb.sndUna !== tcb.highSeq) {
				endReduction(tcb);
				tcb.caState = "open";
			}
		} else if (tcb.caState === "recovery") {
			if (!tcb.sackOk) tcb.sackedOut = 0;
			if (tryUndoRecovery(tcb)) return flags;
			endReduction(tcb);
		}
	}
	if (tcb.caState === "recovery") {
		if ((flags & FLAG.UNA_ADVANCED) === 0) {
			if (!tcb.sackOk) addRenoSack(tcb, duplicates);
		} else if (tryUndoPartial(tcb, priorUna)) {
			return flags;
		}
		if (tryUndoDsack(tcb)) keepOpen(tcb);
		flags = identifyLoss(tcb, flags);
		if ((tcb.caState as CaState) !== "recovery") {
			if (tcb.lostOut === 0) return flags;
			enterRecovery(tcb);
		}
		tcb.rexmit = "lost";
		return flags;
	}
	if (tcb.caState === "loss") {
		tcb.rexmit = processLoss(tcb, flags, duplicates);
		flags = identifyLoss(tcb, flags);
		if (!((tcb.caState as CaState) === "open" || (flags & FLAG.LOST_RETRANS) !== 0)) return flags;
	}
	if (!tcb.sackOk) {
		if ((flags & FLAG.UNA_ADVANCED) !== 0) tcb.sackedOut = 0;
		addRenoSack(tcb, duplicates);
	}
	if (tcb.caState === "open" || tcb.caState === "disorder") tryUndoDsack(tcb);
	flags = identifyLoss(tcb, flags);
	if (tcb.lostOut === 0) {
		if (!anyResent(tcb)) tcb.retransStamp = -1;
		if (tcb.caState !== "cwr") keepOpen(tcb);
		return flags;
	}
	enterRecovery(tcb);
	tcb.rexmit = "lost";
	return flags;
}

/** An acknowledgment that answers a tail loss probe (`tcp_process_tlp_ack`). */
export function answerToProbe(tcb: Tcb, ack: number, flags: number): void {
	const high = tcb.tlpHighSeq;
	if (high === undefined || before(ack, high)) return;
	if (!tcb.tlpRetrans || (flags & FLAG.DSACKING) !== 0) {
		tcb.tlpHighSeq = undefined;
	} else if (after(ack, high)) {
		// The probe repaired a loss that nobody else noticed.
		beginReduction(tcb);
		tcb.caState = "cwr";
		endReduction(tcb);
		keepOpen(tcb);
	} else if ((flags & (FLAG.UNA_ADVANCED | FLAG.DATA | FLAG.WINDOW | FLAG.DATA_SACKED)) === 0) {
		tcb.tlpHighSeq = undefined;
	}
}

/** Sends what recovery asks for (`tcp_xmit_recovery`). */
export function sendRecovery(tcb: Tcb): void {
	const { rexmit } = tcb;
	tcb.rexmit = "none";
	if (rexmit === "none" || tcb.state === "syn-sent") return;
	if (rexmit === "new") {
		writeOut(tcb, currentMss(tcb), PUSH);
		if (after(tcb.sndNxt, tcb.highSeq)) return;
		tcb.frto = false;
	}
	retransmitLost(tcb);
}

/** Marks of a segment that was acknowledged are taken back. */
export function forgetMarks(tcb: Tcb, marks: number): void {
	if ((marks & SACKED) !== 0) tcb.sackedOut--;
	if ((marks & LOST) !== 0) tcb.lostOut--;
	if ((marks & RESENT) !== 0) tcb.resentOut--;
	tcb.packetsOut--;
}
