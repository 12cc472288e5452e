import { acknowledge, type AckVerdict } from "./ack.ts";
import { acknowledgeIfDue } from "./acknowledge.ts";
import { armTimeWait, done, enterTimeWait, resetReceived, waitForFin } from "./closing.ts";
import { KEEPALIVE } from "./effects.ts";
import * as limits from "./limits.ts";
import { agree, startTransfer } from "./open.ts";
import { emitSyn, sendAck, syncMss, updatePacing } from "./output.ts";
import { measureReceiverRtt, takeData } from "./receive-queue.ts";
import { armFor, armForSynAck, LEAST } from "./retransmit-timer.ts";
import { estimate, noteShortest, setRto } from "./rtt.ts";
import type { Segment } from "./segment.ts";
import { after, before, between } from "./sequence.ts";
import type { Tcb } from "./tcb.ts";
import { pawsOk, readTimestamps } from "./timestamps.ts";
import { challengeAck, validate } from "./validate.ts";
import { hasRoomEnough, pushPending } from "./write.ts";

/** A segment for the connection (RFC 9293 §3.10.7; `tcp_rcv_state_process`, `tcp_rcv_established`). */
export function segmentIn(tcb: Tcb, segment: Segment): void {
	switch (tcb.state) {
		case "closed":
			tcb.effects.refuse = !segment.rst;
			return;
		case "syn-sent":
			return inSynSent(tcb, segment);
		case "time-wait":
			return inTimeWait(tcb, segment);
		case "syn-received":
			if (tcb.bare && !isChild(tcb, segment)) return;
			break;
		default:
			if (tcb.waitsForFin) return inFinWait2(tcb, segment);
	}
	synchronised(tcb, segment);
}

function synchronised(tcb: Tcb, segment: Segment): void {
	if (!segment.ack && !segment.rst && !segment.syn) return;
	switch (validate(tcb, segment)) {
		case "discard":
			return;
		case "reset":
			return resetReceived(tcb);
		default:
	}
	if (!segment.ack) return;
	const established = tcb.state === "established";
	if (tcb.state === "syn-received") {
		if (!establish(tcb, segment)) return;
	} else {
		const verdict = acknowledge(tcb, segment, true);
		if (verdict !== "good" && !tolerated(tcb, verdict, established)) return;
	}
	if (!afterAcknowledgment(tcb, segment)) return;
	if (segment.octets > 0) measureReceiverRtt(tcb, segment.octets);
	const gaps = tcb.gaps.length > 0;
	takeData(tcb, segment);
	if (isGone(tcb)) return;
	sendWhatMayGo(tcb);
	acknowledgeIfDue(tcb, gaps || tcb.gaps.length > 0);
}

const isGone = (tcb: Tcb): boolean => tcb.state === "closed" || tcb.state === "time-wait" || tcb.waitsForFin;

/** An old acknowledgment is no reason to lose the data of an established connection; elsewhere it is asked about. */
function tolerated(tcb: Tcb, verdict: AckVerdict, established: boolean): boolean {
	if (established) return verdict === "old";
	challengeAck(tcb);
	return false;
}

/** Segments that may go now, and programs that wait for room (`tcp_data_snd_check`). */
export function sendWhatMayGo(tcb: Tcb): void {
	pushPending(tcb, 0);
	if (tcb.sendFull && hasRoomEnough(tcb)) {
		tcb.sendFull = false;
		tcb.effects.writable = true;
	}
}

// ── opening ─────────────────────────────────────────────────────────────────────────────────────────

/** `tcp_rcv_synsent_state_process`. */
function inSynSent(tcb: Tcb, segment: Segment): void {
	if (segment.timestamps) readTimestamps(tcb, segment);
	if (segment.ack) {
		const ack = segment.acknowledgment;
		if (!after(ack, tcb.sndUna) || after(ack, tcb.sndNxt)) {
			// An answer to an earlier connection: it is ended, and the SYN goes once more.
			if (tcb.retries === 0) armFor(tcb, "rto", LEAST);
			tcb.effects.refuse = !segment.rst;
			return;
		}
		if (segment.rst) return resetReceived(tcb);
		if (!segment.syn) return;
		return connected(tcb, segment);
	}
	if (segment.rst || !segment.syn) return;
	// Both sides opened at once.
	tcb.state = "syn-received";
	beginReceiving(tcb, segment);
	tcb.sndWl1 = segment.sequence;
	tcb.maxWindow = segment.window;
	syncMss(tcb, tcb.pathMtu);
	emitSyn(tcb);
}

function beginReceiving(tcb: Tcb, segment: Segment): void {
	agree(tcb, segment);
	tcb.irs = segment.sequence;
	tcb.rcvNxt = (segment.sequence + 1) | 0;
	tcb.rcvWup = tcb.rcvNxt;
	tcb.copiedSeq = tcb.rcvNxt;
	tcb.sndWnd = segment.window;
}

function connected(tcb: Tcb, segment: Segment): void {
	tcb.sndWl1 = segment.sequence;
	tcb.sndScale = 0;
	agree(tcb, segment);
	acknowledge(tcb, segment, false);
	beginReceiving(tcb, segment);
	tcb.sndWl1 = segment.sequence;
	if (tcb.timestamps) tcb.advertisedMss -= limits.TIMESTAMP_OPTION;
	tcb.state = "established";
	tcb.lastReceiveAt = tcb.now;
	startTransfer(tcb);
	armKeepAlive(tcb);
	sendAck(tcb);
}

/** Third segment of a handshake, for a request (`tcp_check_req`): true when it makes the request a connection. */
function isChild(tcb: Tcb, segment: Segment): boolean {
	const rejected = tcb.timestamps && segment.timestamps && !pawsOk(tcb, segment.tsval, 0);
	if (segment.sequence === tcb.irs && segment.syn && !segment.ack && !segment.rst && !rejected) {
		// The SYN again: so is the answer.
		if (tcb.now - tcb.lastInvalidAckAt >= tcb.invalidSpacing) {
			tcb.lastInvalidAckAt = tcb.now;
			tcb.retries++;
			emitSyn(tcb);
			// The timer has nothing to do for as long as it would have waited behind its own.
			armForSynAck(tcb);
		}
		return false;
	}
	if (segment.ack && segment.acknowledgment !== ((tcb.iss + 1) | 0)) {
		tcb.effects.refuse = !segment.rst;
		return false;
	}
	const windowEnd = (tcb.rcvNxt + tcb.rcvWnd) | 0;
	if (rejected || !inWindow(segment, tcb.rcvNxt, windowEnd)) {
		if (!segment.rst && tcb.now - tcb.lastInvalidAckAt >= tcb.invalidSpacing) {
			tcb.lastInvalidAckAt = tcb.now;
			sendAck(tcb);
		}
		return false;
	}
	if (segment.rst || (segment.syn && segment.sequence !== tcb.irs)) {
		tcb.effects.refuse = !segment.rst;
		done(tcb);
		return false;
	}
	if (!segment.ack) return false;
	if (tcb.acceptQueueFull) {
		// The client believes in its connection and will say something; the SYN,ACK comes again until there is room.
		if (tcb.conf.tcp_abort_on_overflow !== 0) {
			tcb.effects.refuse = true;
			done(tcb);
		}
		return false;
	}
	if (segment.timestamps && tcb.timestamps && !after(segment.sequence, tcb.rcvNxt)) {
		tcb.tsRecent = segment.tsval;
		tcb.tsRecentAt = tcb.now;
	}
	tcb.bare = false;
	return true;
}

const inWindow = (segment: Segment, low: number, high: number): boolean =>
	segment.sequence === low ||
	(after(segment.end, low) && before(segment.sequence, high)) ||
	(segment.sequence === high && segment.sequence === segment.end) ||
	(between(segment.sequence, low, high) && between(segment.end, low, high));

/** SYN-RECEIVED becomes ESTABLISHED. Returns false when the acknowledgment is not for the SYN. */
function establish(tcb: Tcb, segment: Segment): boolean {
	const ack = segment.acknowledgment;
	if (ack !== ((tcb.iss + 1) | 0) && !(after(ack, tcb.sndUna) && !after(ack, tcb.sndNxt))) {
		tcb.effects.refuse = true;
		return false;
	}
	if (tcb.queue.unsent > 0) {
		// A SYN of its own (simultaneous open) leaves the queue as data does.
		acknowledge(tcb, segment, true);
	} else {
		if (tcb.retries === 0) {
			const rtt = (tcb.now - tcb.synSentAt) / 1000;
			noteShortest(tcb, rtt);
			estimate(tcb, rtt);
			setRto(tcb);
		}
		tcb.effects.timers[0] = -2;
		tcb.pending = "none";
	}
	tcb.retries = 0;
	tcb.backoff = 0;
	tcb.delivered++;
	tcb.sndUna = ack;
	tcb.sndWnd = segment.window << tcb.sndScale;
	tcb.sndWl1 = segment.sequence;
	tcb.maxWindow = Math.max(tcb.maxWindow, tcb.sndWnd);
	tcb.state = "established";
	// The request's answers were its own.
	tcb.lastInvalidAckAt = -Infinity;
	tcb.lastHeardAt = tcb.now;
	startTransfer(tcb);
	updatePacing(tcb);
	if (tcb.timestamps) tcb.advertisedMss -= limits.TIMESTAMP_OPTION;
	armKeepAlive(tcb);
	return true;
}

/** Keepalive counts from the handshake. */
export function armKeepAlive(tcb: Tcb): void {
	if (tcb.keepAlive !== undefined) tcb.effects.timers[KEEPALIVE] = tcb.keepAlive.idle;
}

// ── closing ─────────────────────────────────────────────────────────────────────────────────────────

/** What an acknowledgment means to a connection that closes. Returns false when nothing is left to do with the segment. */
function afterAcknowledgment(tcb: Tcb, segment: Segment): boolean {
	const all = tcb.sndUna === tcb.writeSeq;
	const hasNewData = (): boolean =>
		segment.octets > 0 && after((segment.sequence + segment.octets) | 0, tcb.rcvNxt);
	switch (tcb.state) {
		case "fin-wait-1":
			if (!all) break;
			tcb.state = "fin-wait-2";
			tcb.effects.writable = true;
			if (!tcb.orphan) break;
			if (hasNewData()) return refuseData(tcb);
			if (segment.fin) break;
			waitForFin(tcb);
			return false;
		case "closing":
			if (!all) break;
			enterTimeWait(tcb);
			return false;
		case "last-ack":
			if (!all) break;
			done(tcb);
			return false;
		default:
	}
	// Data for a program that is gone (RFC 9293 §3.6.1, RFC 1122 §4.2.2.13).
	if (tcb.orphan && (tcb.state === "fin-wait-1" || tcb.state === "fin-wait-2") && hasNewData())
		return refuseData(tcb);
	return true;
}

function refuseData(tcb: Tcb): false {
	tcb.effects.refuse = true;
	done(tcb);
	return false;
}

/** FIN-WAIT-2 without a program (`tcp_timewait_state_process`). */
function inFinWait2(tcb: Tcb, segment: Segment): void {
	const rejected = tcb.timestamps && segment.timestamps && !pawsOk(tcb, segment.tsval, 0);
	if (rejected || !inWindow(segment, tcb.rcvNxt, (tcb.rcvNxt + tcb.rcvWnd) | 0))
		return answerOnce(tcb, segment);
	if (segment.rst) return done(tcb);
	if (segment.syn && !before(segment.sequence, tcb.rcvNxt)) return refuseAndForget(tcb);
	if (!segment.ack || !after(segment.end, tcb.rcvNxt) || segment.end === segment.sequence) return;
	if (!segment.fin || segment.end !== ((tcb.rcvNxt + 1) | 0)) return refuseAndForget(tcb);
	tcb.state = "time-wait";
	tcb.waitsForFin = false;
	tcb.rcvNxt = segment.end;
	if (segment.timestamps) tcb.tsRecent = segment.tsval;
	armTimeWait(tcb);
	sendAck(tcb);
}

function refuseAndForget(tcb: Tcb): void {
	tcb.effects.refuse = true;
	done(tcb);
}

function answerOnce(tcb: Tcb, segment: Segment): void {
	if (segment.rst || tcb.now - tcb.lastInvalidAckAt < tcb.invalidSpacing) return;
	tcb.lastInvalidAckAt = tcb.now;
	sendAck(tcb);
}

function inTimeWait(tcb: Tcb, segment: Segment): void {
	const rejected = tcb.timestamps && segment.timestamps && !pawsOk(tcb, segment.tsval, 0);
	if (!rejected && segment.sequence === tcb.rcvNxt && (segment.sequence === segment.end || segment.rst)) {
		if (segment.rst) return tcb.conf.tcp_rfc1337 === 0 ? done(tcb) : undefined;
		if (segment.timestamps) tcb.tsRecent = segment.tsval;
		return armTimeWait(tcb);
	}
	const newer =
		after(segment.sequence, tcb.rcvNxt) || (segment.timestamps && ((tcb.tsRecent - segment.tsval) | 0) < 0);
	if (segment.syn && !segment.rst && !segment.ack && !rejected && newer) {
		tcb.effects.reopen = true;
		return done(tcb);
	}
	if (segment.rst) return;
	if (rejected || segment.ack) armTimeWait(tcb);
	answerOnce(tcb, segment);
}
