import { tcp } from "../../wire/index.ts";
import { ackSent } from "./quick-ack.ts";
import type { OutSegment } from "./effects.ts";
import * as limits from "./limits.ts";
import { selectWindow } from "./receive-window.ts";
import { after, before } from "./sequence.ts";
import type { Sent } from "./send-queue.ts";
import type { Tcb } from "./tcb.ts";
import { armRetransmit, scheduleLossProbe } from "./retransmit-timer.ts";

/** `sk_gso_max_size`: octets that leave the stack as one burst at most. */
const BURST_MOST = 65_536;
/** `tcp_min_tso_segs`. */
const BURST_LEAST = 2;
/** A millisecond's worth at the pacing rate (`sk_pacing_shift`). */
const PACING_SHIFT = 1024;
/** `tcp_tso_win_divisor`. */
const DEFER_DIVISOR = 3;

// ── segments ────────────────────────────────────────────────────────────────────────────────────────

/** Options of a segment of an established connection, in Linux's order: timestamps, then SACK blocks. */
function establishedOptions(tcb: Tcb, segment: OutSegment): void {
	let octets = 0;
	segment.mss = 0;
	segment.windowScale = -1;
	segment.sackPermitted = false;
	segment.timestamps = tcb.timestamps;
	if (tcb.timestamps) {
		segment.tsval = tcb.timestamp;
		segment.tsecr = tcb.tsRecent;
		octets += limits.TIMESTAMP_OPTION;
	}
	segment.blocks = 0;
	if (tcb.sackOk && (tcb.dsack || tcb.sacks.length > 0)) {
		const most = (40 - octets - 4) >>> 3;
		let n = 0;
		if (tcb.dsack) {
			segment.edges[0] = tcb.dsackLeft;
			segment.edges[1] = tcb.dsackRight;
			n = 1;
		}
		for (let i = 0; i < tcb.sacks.length && n < most; i += 2) {
			segment.edges[2 * n] = tcb.sacks[i] as number;
			segment.edges[2 * n + 1] = tcb.sacks[i + 1] as number;
			n++;
		}
		segment.blocks = n;
		octets += 4 + 8 * n;
		tcb.dsack = false;
	}
	segment.options = octets;
}

/** Hands a segment of the connection to the network (`__tcp_transmit_skb`). */
export function emit(tcb: Tcb, sequence: number, octets: number, flags: number): OutSegment {
	const segment = tcb.effects.add();
	segment.sequence = sequence;
	segment.octets = octets;
	segment.flags = flags;
	segment.bare = tcb.bare;
	segment.acknowledgment = tcb.rcvNxt;
	establishedOptions(tcb, segment);
	segment.window = tcb.bare ? Math.min(tcb.rcvWnd >>> tcb.rcvScale, 0xffff) : selectWindow(tcb);
	if ((flags & tcp.ACK) !== 0) ackSent(tcb);
	if (octets > 0) {
		// Data soon after data came: the two take turns, acknowledgments ride along (`tcp_event_data_sent`).
		const { now } = tcb;
		if (tcb.packetsOut === 0) restartAfterIdle(tcb);
		tcb.lastSendAt = now;
		if (now - tcb.lastReceiveAt < tcb.ato) tcb.pingpong = true;
	}
	tcb.lastAckSent = tcb.rcvNxt;
	return segment;
}

/** A SYN or SYN,ACK: MSS, SACK permitted, timestamps, NOP, window scale. */
export function emitSyn(tcb: Tcb): void {
	const answer = tcb.state === "syn-received";
	const segment = tcb.effects.add();
	segment.sequence = tcb.iss;
	segment.octets = 0;
	segment.flags = answer ? tcp.SYN | tcp.ACK : tcp.SYN;
	segment.bare = tcb.bare;
	segment.acknowledgment = answer ? tcb.rcvNxt : 0;
	segment.mss = tcb.advertisedMss;
	const { conf } = tcb;
	segment.timestamps = answer ? tcb.timestamps : conf.tcp_timestamps !== 0;
	segment.sackPermitted = answer ? tcb.sackOk : conf.tcp_sack !== 0;
	segment.windowScale = (answer ? tcb.windowScaling : conf.tcp_window_scaling !== 0) ? tcb.rcvScale : -1;
	segment.tsval = segment.timestamps ? tcb.timestamp : 0;
	segment.tsecr = answer ? tcb.tsRecent : 0;
	segment.blocks = 0;
	segment.options =
		4 + (segment.timestamps ? 12 : segment.sackPermitted ? 4 : 0) + (segment.windowScale >= 0 ? 4 : 0);
	// The window of a SYN is never scaled (RFC 7323 §2.2).
	segment.window = Math.min(tcb.rcvWnd, 0xffff);
	tcb.synSentAt = tcb.now;
}

/** Acknowledges what came so far (`tcp_send_ack`). */
export function sendAck(tcb: Tcb): void {
	if (tcb.state === "closed") return;
	emit(tcb, tcb.sndNxt, 0, tcp.ACK);
}

/** A segment just outside of the window, which the other side answers: keepalive and zero-window probes (`tcp_xmit_probe_skb`). */
export function sendProbe(tcb: Tcb): void {
	emit(tcb, (tcb.sndUna - 1) | 0, 0, tcp.ACK);
}

/** Ends the connection for the other side: unread data, `SO_LINGER` of 0 (`tcp_send_active_reset`). */
export function sendReset(tcb: Tcb): void {
	emit(tcb, acceptableSequence(tcb), 0, tcp.RST | tcp.ACK);
}

/** `tcp_acceptable_seq`. */
function acceptableSequence(tcb: Tcb): number {
	return before(tcb.windowEnd, tcb.sndNxt) ? tcb.windowEnd : tcb.sndNxt;
}

// ── segment size ────────────────────────────────────────────────────────────────────────────────────

/** `tcp_sync_mss`: the path's MTU less headers, no more than the other side takes, no more than half of its window. */
export function syncMss(tcb: Tcb, pathMtu: number): void {
	let mss = Math.min(pathMtu - limits.HEADERS, tcb.mssClamp);
	mss = Math.max(mss, 48) - (tcb.headerOctets - 20);
	tcb.mss = boundToHalfWindow(tcb, mss);
	tcb.pathMtu = pathMtu;
}

function boundToHalfWindow(tcb: Tcb, octets: number): number {
	const cutoff = tcb.maxWindow > limits.MSS_DEFAULT ? tcb.maxWindow >>> 1 : tcb.maxWindow;
	return cutoff > 0 && octets > cutoff ? Math.max(cutoff, 68 - tcb.headerOctets) : octets;
}

/** Data octets of the next segment: SACK blocks take their room (`tcp_current_mss`). */
export function currentMss(tcb: Tcb): number {
	const blocks = tcb.sackOk
		? Math.min(tcb.sacks.length / 2 + (tcb.dsack ? 1 : 0), tcb.timestamps ? 3 : 4)
		: 0;
	return blocks === 0 ? tcb.mss : tcb.mss - 4 - 8 * blocks;
}

/** Octets that a program's writes are gathered into before they are sent (`tcp_xmit_size_goal`). */
export function sizeGoal(tcb: Tcb, mss: number): number {
	const goal = boundToHalfWindow(tcb, BURST_MOST - 1 - 320);
	return Math.max(mss, goal - (goal % mss));
}

/** Segments that leave as one burst: a millisecond's worth (`tcp_tso_autosize`). */
function burstSegments(tcb: Tcb, mss: number): number {
	const octets = Math.min(tcb.pacingRate / PACING_SHIFT, BURST_MOST - 1 - 320);
	return Math.max(Math.floor(octets / mss), BURST_LEAST);
}

/** Twice the window in slow start, 1.2 times else, per round trip (`tcp_update_pacing_rate`). */
export function updatePacing(tcb: Tcb): void {
	if (tcb.srtt === 0) return;
	const ratio = tcb.cwnd < tcb.ssthresh / 2 ? 2 : 1.2;
	tcb.pacingRate = (tcb.mss * Math.max(tcb.cwnd, tcb.packetsOut) * ratio * 8e6) / tcb.srtt;
}

// ── sending what waits ──────────────────────────────────────────────────────────────────────────────

/** Bits of the reason to send: what Nagle must let pass. */
export const PUSH = 1;
/** One segment, then see (`push_one`). */
export const ONE = 2;
/** A loss probe, whatever the window says. */
export const PROBE = 4;
/** The program says that more follows: only whole segments go (`MSG_MORE`). */
export const MORE = 8;

/** Small segments wait while others are on their way (RFC 1122 §4.2.3.4; `tcp_nagle_check`). */
function nagleHolds(tcb: Tcb, partial: boolean, push: boolean, more: boolean): boolean {
	if (!partial || push) return false;
	if (more) return true;
	if (tcb.noDelay) return false;
	return tcb.packetsOut > 0 && after(tcb.sndSml, tcb.sndUna) && !after(tcb.sndSml, tcb.sndNxt);
}

/** Sends what the windows allow (`tcp_write_xmit`). Returns whether something waits and nothing is on its way. */
export function writeOut(tcb: Tcb, mss: number, how: number): boolean {
	const { queue } = tcb;
	const burst = burstSegments(tcb, mss);
	let sent = 0;
	let cwndLimited = false;
	for (;;) {
		const next = queue.next;
		if (next === undefined) break;
		const fin = (next.flags & tcp.FIN) !== 0;
		const inFlight = tcb.inFlight;
		let quota = inFlight >= tcb.cwnd ? 0 : Math.min(Math.max(tcb.cwnd >>> 1, 1), tcb.cwnd - inFlight);
		if (quota === 0) {
			// The last FIN is not held back by the congestion window (`tcp_cwnd_test`).
			if ((how & PROBE) === 0 && !(fin && dataOctets(next) <= mss)) {
				cwndLimited = true;
				break;
			}
			quota = 1;
		}
		const octets = dataOctets(next);
		const last = queue.length === queue.unsent + 1;
		// The first segment's worth must fit the other side's window.
		const firstEnd = octets > mss ? (next.sequence + mss) | 0 : next.end;
		if (after(firstEnd, tcb.windowEnd)) break;
		let limit = mss;
		if (octets <= mss) {
			if (nagleHolds(tcb, octets < mss, !last || (how & PUSH) !== 0 || fin, (how & MORE) !== 0)) break;
		} else {
			if ((how & (ONE | PROBE)) === 0 && defers(tcb, next, octets, burst, last)) {
				cwndLimited ||= tcb.cwndLimited;
				break;
			}
			limit = splitPoint(tcb, next, octets, mss, Math.min(quota, burst), last, fin ? how | PUSH : how);
		}
		if (limit <= 0) break;
		sent += sendBurst(tcb, Math.min(limit, octets), mss);
		if ((how & (ONE | PROBE)) !== 0) break;
	}
	if (sent === 0 && !cwndLimited) return tcb.packetsOut === 0 && queue.next !== undefined;
	cwndLimited ||= tcb.inFlight >= tcb.cwnd;
	validateCwnd(tcb, cwndLimited);
	if (sent > 0) {
		if (tcb.caState === "recovery" || tcb.caState === "cwr") tcb.prrOut += sent;
		if ((how & PROBE) === 0) scheduleLossProbe(tcb, false);
		return false;
	}
	return tcb.packetsOut === 0 && queue.next !== undefined;
}

const dataOctets = (item: Sent): number =>
	((item.end - item.sequence) | 0) - ((item.flags & tcp.FIN) !== 0 ? 1 : 0);

/** `tcp_mss_split_point`: whole segments, and the rest only where Nagle lets it go. */
function splitPoint(
	tcb: Tcb,
	next: Sent,
	octets: number,
	mss: number,
	segments: number,
	last: boolean,
	how: number,
): number {
	const window = (tcb.windowEnd - next.sequence) | 0;
	const most = mss * segments;
	if (most <= window && !last) return most;
	const needed = Math.min(octets, window);
	if (most <= needed) return most;
	const partial = needed % mss;
	return nagleHolds(tcb, partial !== 0, (how & PUSH) !== 0, (how & MORE) !== 0) ? needed - partial : needed;
}

/** A larger burst is soon possible: wait for the next acknowledgment (`tcp_tso_should_defer`). */
function defers(tcb: Tcb, next: Sent, octets: number, burst: number, last: boolean): boolean {
	if (tcb.caState === "recovery" || tcb.caState === "loss") return false;
	if (tcb.now - tcb.lastSendAt > 1e6) return false;
	const sendWindow = (tcb.windowEnd - next.sequence) | 0;
	const congestionWindow = (tcb.cwnd - tcb.inFlight) * tcb.mss;
	const limit = Math.min(sendWindow, congestionWindow);
	if (limit >= burst * tcb.mss) return false;
	if (!last && limit >= octets) return false;
	if (limit >= Math.floor(Math.min(tcb.sndWnd, tcb.cwnd * tcb.mss) / DEFER_DIVISOR)) return false;
	if (tcb.queue.unsent === 0) return false;
	const age = tcb.now - tcb.queue.at(0).sentAt;
	if (age - (tcb.srtt >>> 4) * 1000 < 0) return false;
	if (congestionWindow < sendWindow) {
		if (congestionWindow <= octets) {
			tcb.cwndLimited = true;
			return true;
		}
	} else if (sendWindow <= octets) {
		return true;
	}
	return (next.flags & tcp.FIN) === 0;
}

/** Sends `octets` of the first unsent entry in segments; a burst of several ends with PSH. Returns how many went. */
function sendBurst(tcb: Tcb, octets: number, mss: number): number {
	const { queue } = tcb;
	const several = octets > mss;
	let left = octets;
	let sent = 0;
	do {
		const before = tcb.queue.next;
		if (before === undefined) break;
		const size = Math.min(left, mss);
		const item = queue.takeNext(
			size >= dataOctets(before) ? (before.end - before.sequence) | 0 : size,
			tcp.FIN | tcp.PSH,
		);
		left -= size;
		let flags = item.flags | tcp.ACK;
		if (several && left === 0) flags |= tcp.PSH;
		item.sentAt = tcb.now;
		item.burstEnd = left === 0;
		emit(tcb, item.sequence, size, flags);
		newDataSent(tcb, item);
		// `tcp_minshall_update`
		if (size < mss) tcb.sndSml = item.end;
		sent++;
	} while (left > 0);
	return sent;
}

/** `tcp_event_new_data_sent`. */
function newDataSent(tcb: Tcb, item: Sent): void {
	const first = tcb.packetsOut === 0;
	tcb.sndNxt = item.end;
	tcb.packetsOut++;
	if (first || tcb.pending === "loss-probe") armRetransmit(tcb);
}

/** After an idle time the window is what it was at the start, halved for each RTO since (`tcp_cwnd_restart`). */
function restartAfterIdle(tcb: Tcb): void {
	let idle = tcb.now - tcb.lastSendAt;
	if (tcb.lastSendAt > 0) tcb.congestion.restarted(tcb, idle);
	if (tcb.conf.tcp_slow_start_after_idle === 0 || idle <= tcb.rto || tcb.lastSendAt === 0) return;
	const restart = Math.min(limits.INITIAL_WINDOW, tcb.cwnd);
	tcb.ssthresh = currentSsthresh(tcb);
	let { cwnd } = tcb;
	while ((idle -= tcb.rto) > 0 && cwnd > restart) cwnd >>>= 1;
	tcb.cwnd = Math.max(cwnd, restart);
	tcb.cwndStamp = tcb.now;
	tcb.cwndUsed = 0;
}

/** `tcp_current_ssthresh`. */
export function currentSsthresh(tcb: Tcb): number {
	if (tcb.caState === "cwr" || tcb.caState === "recovery") return tcb.ssthresh;
	return Math.max(tcb.ssthresh, (tcb.cwnd >>> 1) + (tcb.cwnd >>> 2));
}

/** Whether the window was used up, which lets it grow; unused it decays (RFC 2861; `tcp_cwnd_validate`). */
function validateCwnd(tcb: Tcb, limited: boolean): void {
	if (
		!before(tcb.sndUna, tcb.cwndUsageSeq) ||
		limited ||
		(!tcb.cwndLimited && tcb.packetsOut > tcb.maxPacketsOut)
	) {
		tcb.cwndLimited = limited;
		tcb.maxPacketsOut = tcb.packetsOut;
		tcb.cwndUsageSeq = tcb.sndNxt;
	}
	if (tcb.cwndLimited || (tcb.cwnd < tcb.ssthresh && tcb.cwnd < 2 * tcb.maxPacketsOut)) {
		tcb.cwndUsed = 0;
		tcb.cwndStamp = tcb.now;
		return;
	}
	if (tcb.packetsOut > tcb.cwndUsed) tcb.cwndUsed = tcb.packetsOut;
	if (tcb.now - tcb.cwndStamp < tcb.rto) return;
	// The program is what holds it back.
	if (tcb.caState === "open" && tcb.queue.next === undefined) {
		const used = Math.max(tcb.cwndUsed, limits.INITIAL_WINDOW);
		if (used < tcb.cwnd) {
			tcb.ssthresh = currentSsthresh(tcb);
			tcb.cwnd = (tcb.cwnd + used) >>> 1;
		}
		tcb.cwndUsed = 0;
	}
	tcb.cwndStamp = tcb.now;
}
