import type { Instant } from "../../sim/index.ts";
import { tcp } from "../../wire/index.ts";
import { adjustSpace } from "./receive-window.ts";
import { readDone } from "./acknowledge.ts";
import { close, closeSending, fail } from "./closing.ts";
import type { Effects, TimerIndex } from "./effects.ts";
import { segmentIn, sendWhatMayGo } from "./input.ts";
import { activeOpen, type Beginning, passiveOpen } from "./open.ts";
import { currentMss, syncMss } from "./output.ts";
import { markLost } from "./rack.ts";
import { discharge } from "./receive-queue.ts";
import { retransmitLost } from "./retransmit.ts";
import type { Segment } from "./segment.ts";
import { LOST, RESENT, SACKED } from "./send-queue.ts";
import type { Tcb } from "./tcb.ts";
import { timerDue } from "./timers.ts";
import { write } from "./write.ts";

// The machine's events. Each changes the block and leaves in its effects what is to be done: segments to send,
// timers to arm, programs to wake. Nothing here knows a clock or sends anything.

function begin(tcb: Tcb, now: Instant): Effects {
	tcb.now = now;
	tcb.effects.clear();
	return tcb.effects;
}

/** The program connects. */
export function open(tcb: Tcb, beginning: Beginning, now: Instant): Effects {
	const effects = begin(tcb, now);
	activeOpen(tcb, beginning);
	return effects;
}

/** A SYN came in for somebody who listens. */
export function answer(tcb: Tcb, beginning: Beginning, segment: Segment, now: Instant): Effects {
	const effects = begin(tcb, now);
	passiveOpen(tcb, beginning, segment);
	return effects;
}

/** A segment came in. */
export function segmentArrived(tcb: Tcb, segment: Segment, now: Instant): Effects {
	const effects = begin(tcb, now);
	segmentIn(tcb, segment);
	return effects;
}

/** A timer is due. */
export function timerExpired(tcb: Tcb, timer: TimerIndex, now: Instant): Effects {
	const effects = begin(tcb, now);
	timerDue(tcb, timer);
	return effects;
}

/** The program writes. Returns how many octets were taken; the rest waits until `writable`. */
export function programWrites(tcb: Tcb, data: Uint8Array, now: Instant, more: boolean): number {
	begin(tcb, now);
	if (tcb.state !== "established" && tcb.state !== "close-wait") return 0;
	return write(tcb, data, more);
}

/** The program reads up to `most` octets of what came in order. */
export function programReads(tcb: Tcb, most: number, now: Instant): Uint8Array<ArrayBuffer> {
	begin(tcb, now);
	const octets = Math.min(most, tcb.readable);
	const data = tcb.receiveRing.read(tcb.copiedSeq, octets);
	tcb.copiedSeq = (tcb.copiedSeq + octets) | 0;
	discharge(tcb);
	if (tcb.state !== "closed" && tcb.state !== "time-wait" && !tcb.bare) {
		adjustSpace(tcb);
		readDone(tcb, octets);
	}
	return data;
}

/** The program says no more (`shutdown(SHUT_WR)`). */
export function programShuts(tcb: Tcb, now: Instant): Effects {
	const effects = begin(tcb, now);
	closeSending(tcb);
	return effects;
}

/** The program lets go; with `abort` the other side is told by a RST (`SO_LINGER` of 0). */
export function programCloses(tcb: Tcb, now: Instant, abort: boolean): Effects {
	const effects = begin(tcb, now);
	close(tcb, abort);
	return effects;
}

/** `TCP_NODELAY` was set: what Nagle held back goes. */
export function setNoDelay(tcb: Tcb, now: Instant): Effects {
	const effects = begin(tcb, now);
	tcb.noDelay = true;
	if (tcb.state !== "closed" && !tcb.bare) sendWhatMayGo(tcb);
	return effects;
}

/** An ICMP error about the connection: a fatal one ends a handshake, others wait for the timeout (`tcp_v4_err`). */
export function icmpError(
	tcb: Tcb,
	error: { readonly code: string; readonly text: string; readonly fatal: boolean },
	now: Instant,
): Effects {
	const effects = begin(tcb, now);
	if (tcb.state === "syn-sent" || tcb.state === "syn-received") fail(tcb, error.code, error.text);
	else tcb.softError = error;
	return effects;
}

/**
 * The path's MTU is another one: a router said that packets are too long (RFC 1191; `tcp_v4_mtu_reduced`), and shorter
 * ones take their place; or it may be longer again.
 */
export function pathMtuChanged(tcb: Tcb, pathMtu: number, now: Instant): Effects {
	const effects = begin(tcb, now);
	if (tcb.state === "closed" || tcb.bare || tcb.pathMtu === pathMtu) return effects;
	const longer = pathMtu > tcb.pathMtu;
	syncMss(tcb, pathMtu);
	if (longer) return effects;
	const mss = currentMss(tcb);
	let lost = false;
	joinBursts(tcb);
	for (let i = 0; i < tcb.queue.unsent; i++) {
		const item = tcb.queue.at(i);
		if ((item.marks & SACKED) !== 0 || ((item.end - item.sequence) | 0) <= mss) continue;
		markLost(tcb, item);
		lost = true;
	}
	if (!lost) return effects;
	// Nothing is congested: the window stays (`tcp_simple_retransmit`).
	if (tcb.caState !== "loss") {
		tcb.highSeq = tcb.sndNxt;
		tcb.ssthresh = Math.max(tcb.ssthresh, (tcb.cwnd >>> 1) + (tcb.cwnd >>> 2));
		tcb.priorSsthresh = 0;
		tcb.undoMarker = undefined;
		tcb.caState = "loss";
	}
	retransmitLost(tcb);
	return effects;
}

/** What left as one burst is cut anew as one: its octets are evenly filled into shorter segments. */
function joinBursts(tcb: Tcb): void {
	const { queue } = tcb;
	for (let i = 0; i + 1 < queue.unsent; i++) {
		const first = queue.at(i);
		while (i + 1 < queue.unsent && !first.burstEnd) {
			const { marks } = queue.at(i + 1);
			if (((first.marks | marks) & SACKED) !== 0) break;
			if ((marks & LOST) !== 0) tcb.lostOut--;
			if ((marks & RESENT) !== 0) tcb.resentOut--;
			tcb.packetsOut--;
			queue.join(i);
			first.flags |= tcp.PSH;
		}
	}
}
