import { compressedAckDue, delayedAckDue } from "./acknowledge.ts";
import { done, fail } from "./closing.ts";
import { COMPRESSED_ACK, DELAYED_ACK, KEEPALIVE, RETRANSMIT, type TimerIndex } from "./effects.ts";
import * as limits from "./limits.ts";
import { currentMss, emit, emitSyn, PROBE, PUSH, sendProbe, sendReset, writeOut } from "./output.ts";
import { detectLoss } from "./rack.ts";
import { enterLoss, enterRecovery, reduceCwnd } from "./recovery.ts";
import { resend, retransmit, retransmitLost } from "./retransmit.ts";
import { armFor, armForSynAck, armRetransmit, probeDelay } from "./retransmit-timer.ts";
import { after, before } from "./sequence.ts";
import type { Tcb } from "./tcb.ts";
import { tcp } from "../../wire/index.ts";

/** A timer of the connection is due. Reference: net/ipv4/tcp_timer.c. */
export function timerDue(tcb: Tcb, timer: TimerIndex): void {
	switch (timer) {
		case RETRANSMIT:
			return retransmitDue(tcb);
		case DELAYED_ACK:
			return delayedAckDue(tcb);
		case KEEPALIVE:
			return keepAliveDue(tcb);
		case COMPRESSED_ACK:
			return compressedAckDue(tcb);
	}
}

function retransmitDue(tcb: Tcb): void {
	const { pending } = tcb;
	if (tcb.state === "closed" || tcb.state === "time-wait") return;
	if (tcb.state === "syn-received" && tcb.bare) return synAckDue(tcb);
	switch (pending) {
		case "rto":
			tcb.pending = "none";
			return timeout(tcb);
		case "probe":
			tcb.pending = "none";
			return probeDue(tcb);
		case "loss-probe":
			return lossProbeDue(tcb);
		case "reorder":
			return reorderDue(tcb);
		default:
	}
}

/** No third segment came: the SYN,ACK again, five times at most (`reqsk_timer_handler`). */
function synAckDue(tcb: Tcb): void {
	if (tcb.backoff >= tcb.conf.tcp_synack_retries) return done(tcb);
	tcb.backoff++;
	tcb.retries++;
	emitSyn(tcb);
	armForSynAck(tcb);
}

/** How long so many retransmissions take (`tcp_model_timeout`). */
function modelTimeout(boundary: number, base: number): number {
	const linear = Math.floor(Math.log2(limits.RTO_MAX / base));
	if (boundary <= linear) return (2 ** (boundary + 1) - 1) * base;
	return (2 ** (linear + 1) - 1) * base + (boundary - linear) * limits.RTO_MAX;
}

/** Whether the retransmissions took so long that the other side counts as gone (`retransmits_timed_out`). */
function timedOut(tcb: Tcb, boundary: number, timeout: number): boolean {
	if (tcb.retries === 0) return false;
	const since =
		tcb.retransStamp >= 0 ? tcb.retransStamp : tcb.queue.unsent > 0 ? tcb.queue.at(0).sentAt : tcb.now;
	const opening = tcb.state === "syn-sent" || tcb.state === "syn-received";
	const limit = timeout > 0 ? timeout : modelTimeout(boundary, opening ? limits.RTO_FIRST : limits.RTO_MIN);
	return tcb.now - since >= limit;
}

/** Gives up, if it is time (`tcp_write_timeout`). */
function givesUp(tcb: Tcb): boolean {
	let expired = false;
	let most = tcb.conf.tcp_retries2;
	if (tcb.state === "syn-sent" || tcb.state === "syn-received") {
		expired = tcb.retries >= tcb.conf.tcp_syn_retries;
	} else if (tcb.orphan) {
		most = orphanRetries(tcb);
	}
	expired ||= tcb.state !== "syn-sent" && timedOut(tcb, most, tcb.userTimeout);
	if (!expired) return false;
	failTimeout(tcb);
	return true;
}

/** `tcp_orphan_retries`: none more when an ICMP error says why nobody answers. */
function orphanRetries(tcb: Tcb): number {
	const most = tcb.conf.tcp_orphan_retries;
	const alive = tcb.rto < limits.RTO_MAX;
	if (tcb.softError !== undefined && !alive) return 0;
	return most === 0 && alive ? 8 : most;
}

/** `tcp_write_err`: an unbelieved ICMP error is the reason now, if one came. */
function failTimeout(tcb: Tcb): void {
	const reason = tcb.softError ?? { code: "ETIMEDOUT", text: "Connection timed out" };
	fail(tcb, reason.code, reason.text);
}

/** The retransmission timeout (RFC 6298 §5; `tcp_retransmit_timer`). */
function timeout(tcb: Tcb): void {
	if (tcb.packetsOut === 0 || tcb.queue.unsent === 0) return;
	const opening = tcb.state === "syn-sent" || tcb.state === "syn-received";
	if (tcb.sndWnd === 0 && !tcb.orphan && !opening) {
		// The other side took back its window: it is asked, not blamed.
		if (tcb.now - tcb.lastHeardAt > limits.RTO_MAX) return failTimeout(tcb);
		enterLoss(tcb);
		retransmit(tcb, 0);
	} else {
		if (givesUp(tcb)) return;
		enterLoss(tcb);
		tcb.retries++;
		if (!retransmit(tcb, 0)) return armFor(tcb, "rto", limits.RESOURCE_PROBE);
		tcb.backoff++;
	}
	tcb.rto = Math.min(tcb.rto * 2, limits.RTO_MAX);
	armFor(tcb, "rto", tcb.rto);
}

/** Something is on its way and will be answered, or nothing waits. */
const nothingToProbe = (tcb: Tcb): boolean => tcb.packetsOut > 0 || tcb.queue.next === undefined;

/** The window is closed and something waits (RFC 9293 §3.8.6.1; `tcp_probe_timer`, `tcp_send_probe0`). */
function probeDue(tcb: Tcb): void {
	if (nothingToProbe(tcb)) {
		tcb.probesOut = 0;
		tcb.probesSince = -1;
		return;
	}
	if (tcb.probesSince < 0) tcb.probesSince = tcb.now;
	else if (tcb.userTimeout > 0 && tcb.now - tcb.probesSince >= tcb.userTimeout) return failTimeout(tcb);
	let most = tcb.conf.tcp_retries2;
	if (tcb.orphan) {
		most = orphanRetries(tcb);
		if (tcb.backoff >= most && tcb.rto >= limits.RTO_MAX) return failTimeout(tcb);
	}
	if (tcb.probesOut >= most) return failTimeout(tcb);
	wakeUp(tcb);
	if (nothingToProbe(tcb)) {
		tcb.probesOut = 0;
		tcb.backoff = 0;
		return;
	}
	tcb.probesOut++;
	if (tcb.backoff < tcb.conf.tcp_retries2) tcb.backoff++;
	armFor(tcb, "probe", probeDelay(tcb));
}

/** Sends what fits the window, or a segment just outside of it (`tcp_write_wakeup`). */
function wakeUp(tcb: Tcb): void {
	const { next } = tcb.queue;
	if (next === undefined || !before(next.sequence, tcb.windowEnd)) return sendProbe(tcb);
	const room = (tcb.windowEnd - next.sequence) | 0;
	const octets = Math.min(
		room,
		currentMss(tcb),
		((next.end - next.sequence) | 0) - ((next.flags & tcp.FIN) !== 0 ? 1 : 0),
	);
	const whole = (next.end - next.sequence) | 0;
	const item = tcb.queue.takeNext(
		octets + 1 >= whole && (next.flags & tcp.FIN) !== 0 ? whole : octets,
		tcp.FIN | tcp.PSH,
	);
	item.sentAt = tcb.now;
	emit(tcb, item.sequence, octets, item.flags | tcp.ACK | tcp.PSH);
	tcb.sndNxt = item.end;
	tcb.packetsOut++;
	armRetransmit(tcb);
}

/** Two round trips without a sign: the last segment again, or a new one (RFC 8985 §7; `tcp_send_loss_probe`). */
function lossProbeDue(tcb: Tcb): void {
	if (tcb.tlpHighSeq !== undefined) return armRetransmit(tcb);
	tcb.tlpRetrans = false;
	const next = tcb.queue.next;
	const mss = currentMss(tcb);
	const fits =
		next !== undefined &&
		!after(((next.end - next.sequence) | 0) > mss ? (next.sequence + mss) | 0 : next.end, tcb.windowEnd);
	if (fits) {
		const before = tcb.packetsOut;
		writeOut(tcb, mss, PROBE | PUSH);
		if (tcb.packetsOut > before) return probed(tcb);
	} else if (tcb.queue.unsent > 0) {
		if (resend(tcb, tcb.queue.unsent - 1)) {
			tcb.tlpRetrans = true;
			return probed(tcb);
		}
	}
	armRetransmit(tcb);
}

function probed(tcb: Tcb): void {
	tcb.tlpHighSeq = tcb.sndNxt;
	// The timeout counts from the probe.
	tcb.pending = "none";
	armRetransmit(tcb);
}

/** What was given a reordering window's time is lost (`tcp_rack_reo_timeout`). */
function reorderDue(tcb: Tcb): void {
	const before = tcb.inFlight;
	detectLoss(tcb);
	if (before !== tcb.inFlight) {
		if (tcb.caState !== "recovery") {
			enterRecovery(tcb);
			reduceCwnd(tcb, 1, 0, 0);
		}
		retransmitLost(tcb);
	}
	if (tcb.pending !== "rto") armRetransmit(tcb);
}

/** Is the other side still there (RFC 9293 §3.8.4; `tcp_keepalive_timer`)? In TIME-WAIT the minute is over. */
function keepAliveDue(tcb: Tcb): void {
	if (tcb.state === "time-wait" || tcb.waitsForFin) return done(tcb);
	if (tcb.state === "fin-wait-2" && tcb.orphan) {
		sendReset(tcb);
		return done(tcb);
	}
	const settings = tcb.keepAlive;
	if (settings === undefined || tcb.state === "closed" || tcb.state === "syn-sent") return;
	const { timers } = tcb.effects;
	// With data on its way the retransmission timer finds out.
	if (tcb.packetsOut > 0 || tcb.queue.next !== undefined) {
		timers[KEEPALIVE] = settings.idle;
		return;
	}
	const silent = tcb.now - Math.max(tcb.lastHeardAt, tcb.lastReceiveAt);
	if (silent < settings.idle) {
		timers[KEEPALIVE] = settings.idle - silent;
		return;
	}
	const late =
		tcb.userTimeout > 0 ? silent >= tcb.userTimeout && tcb.probesOut > 0 : tcb.probesOut >= settings.probes;
	if (late) {
		sendReset(tcb);
		return failTimeout(tcb);
	}
	sendProbe(tcb);
	tcb.probesOut++;
	timers[KEEPALIVE] = settings.interval;
}
