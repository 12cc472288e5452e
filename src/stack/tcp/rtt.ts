import { RTO_MAX, RTO_MIN } from "./limits.ts";
import { after } from "./sequence.ts";
import type { Tcb } from "./tcb.ts";

const RTO_MIN_US = RTO_MIN / 1000;
/** Two minutes: a longer round trip is none. */
const LONGEST = 120e6;
/** The shortest round trip is believed for five minutes (`tcp_min_rtt_wlen`). */
const MIN_RTT_WINDOW = 300e9;
/** The clock of timeouts ticks at 250 Hz. */
const TICK_US = 4000;

/**
 * One sample of the round trip, in microseconds (RFC 6298, with Linux's two variances: the mean deviation rises at
 * once and falls once in a round trip; `tcp_rtt_estimator`).
 */
export function estimate(tcb: Tcb, sample: number): void {
	let m = Math.min(Math.max(0, Math.round(sample)), LONGEST);
	let { srtt } = tcb;
	if (srtt !== 0) {
		m -= srtt >>> 3;
		srtt += m;
		if (m < 0) {
			m = -m;
			m -= tcb.mdev >>> 2;
			// A round trip that gets shorter is no reason to wait longer.
			if (m > 0) m >>= 3;
		} else {
			m -= tcb.mdev >>> 2;
		}
		tcb.mdev += m;
		if (tcb.mdev > tcb.mdevMax) {
			tcb.mdevMax = tcb.mdev;
			if (tcb.mdevMax > tcb.rttvar) tcb.rttvar = tcb.mdevMax;
		}
		if (after(tcb.sndUna, tcb.rttSeq)) {
			if (tcb.mdevMax < tcb.rttvar) tcb.rttvar -= (tcb.rttvar - tcb.mdevMax) >>> 2;
			tcb.rttSeq = tcb.sndNxt;
			tcb.mdevMax = RTO_MIN_US;
		}
	} else {
		srtt = m << 3;
		tcb.mdev = m << 1;
		tcb.rttvar = Math.max(tcb.mdev, RTO_MIN_US);
		tcb.mdevMax = tcb.rttvar;
		tcb.rttSeq = tcb.sndNxt;
	}
	tcb.srtt = Math.max(1, srtt);
}

/** The timeout that follows, in whole ticks (`tcp_set_rto`). */
export function setRto(tcb: Tcb): void {
	const us = (tcb.srtt >>> 3) + tcb.rttvar;
	tcb.rto = Math.min(RTO_MAX, Math.ceil(us / TICK_US) * TICK_US * 1000);
}

/** Keeps the shortest round trip of the last five minutes (`tcp_update_rtt_min`). */
export function noteShortest(tcb: Tcb, sample: number): void {
	if (sample <= tcb.minRtt || tcb.now - tcb.minRttAt > MIN_RTT_WINDOW) {
		tcb.minRtt = Math.max(1, sample);
		tcb.minRttAt = tcb.now;
	}
}

/**
 * A sample from an acknowledgment: of the segments acknowledged in order or, without one, of those SACKed; else of
 * the echoed timestamp (`tcp_ack_update_rtt`). Returns whether there was one.
 */
export function sample(tcb: Tcb, sequenceRtt: number, sackRtt: number, ackFlags: boolean): boolean {
	let rtt = sequenceRtt >= 0 ? sequenceRtt : sackRtt;
	let forCongestion = sequenceRtt >= 0 ? sequenceRtt : sackRtt;
	if (rtt < 0 && tcb.timestamps && tcb.rcvTsecr !== 0 && ackFlags) {
		const delta = (tcb.timestamp - tcb.rcvTsecr) | 0;
		if (delta >= 0 && delta < 0x7fff_ffff / 1000) {
			rtt = Math.max(1, delta) * 1000;
			forCongestion = rtt;
		}
	}
	if (rtt < 0) return false;
	noteShortest(tcb, forCongestion);
	estimate(tcb, rtt);
	setRto(tcb);
	tcb.backoff = 0;
	return true;
}
