import * as limits from "./limits.ts";
import type { Tcb } from "./tcb.ts";

/** `tcp_app_win` and `tcp_adv_win_scale` 1: half of the memory holds octets. */
export const windowOf = (memory: number): number => memory - (memory >> 1);

/** What a full segment's buffer takes, so that as many octets of window stand for it (`tcp_rcv_space_adjust`). */
function memoryOfSegment(mss: number): number {
	let memory = mss + limits.SEGMENT_OVERHEAD + 256;
	while (windowOf(memory) < mss) memory += 128;
	return memory;
}

const freeSpace = (tcb: Tcb): number => windowOf(tcb.receiveBuffer - tcb.charged);

/** Rounds up to what the window field can say. */
const scaled = (octets: number, scale: number): number => ((octets + (1 << scale) - 1) >> scale) << scale;

/**
 * The first window and its scale (`tcp_select_initial_window`): half of the buffer, whole segments. `mss` is what one
 * carries: without timestamps in a SYN, with them in the answer to one.
 */
export function chooseInitialWindow(tcb: Tcb, mss: number, scaling: boolean): void {
	let space = windowOf(tcb.receiveBuffer);
	let clamp = 65_535 * 2 ** 14;
	if (tcb.receiveBufferFixed) clamp = space;
	space = Math.min(clamp, space);
	if (space > mss) space -= space % mss;
	tcb.rcvWnd = space;
	tcb.rcvScale = 0;
	if (scaling) {
		const most = Math.min(clamp, Math.max(space, tcb.conf.tcp_rmem[2]));
		tcb.rcvScale = Math.max(0, Math.min(14, 16 - Math.clz32(most)));
	}
	tcb.windowClamp = Math.min(65_535 << tcb.rcvScale, clamp);
	tcb.rcvSsthresh = tcb.rcvWnd;
}

/** The connection is there: how far its window may grow for now (`tcp_init_buffer_space`). */
export function initialiseSpace(tcb: Tcb): void {
	if (!tcb.sendBufferFixed) expandSendBuffer(tcb);
	tcb.spaceTime = tcb.now;
	tcb.spaceSeq = tcb.copiedSeq;
	const most = windowOf(tcb.receiveBuffer);
	if (tcb.windowClamp >= most) tcb.windowClamp = most;
	// One segment is kept in reserve.
	const mss = tcb.advertisedMss;
	if (tcb.windowClamp > 2 * mss && tcb.windowClamp + mss > most)
		tcb.windowClamp = Math.max(2 * mss, most - mss);
	tcb.rcvSsthresh = Math.min(tcb.rcvSsthresh, tcb.windowClamp);
	tcb.space = Math.min(tcb.rcvSsthresh, tcb.rcvWnd, limits.INITIAL_WINDOW * mss);
}

/** `tcp_sndbuf_expand`: room for twice the congestion window. */
export function expandSendBuffer(tcb: Tcb): void {
	const perSegment =
		(1 << (32 - Math.clz32(Math.max(tcb.mssClamp, tcb.mss) + limits.SEGMENT_OVERHEAD - 1))) + 256;
	const segments = Math.max(limits.INITIAL_WINDOW, tcb.cwnd, tcb.reordering + 1);
	const wanted = 2 * segments * perSegment;
	if (tcb.sendBuffer < wanted) tcb.sendBuffer = Math.min(wanted, tcb.conf.tcp_wmem[2]);
}

/** The window that may be offered now (`__tcp_select_window`). */
export function possibleWindow(tcb: Tcb): number {
	let mss = tcb.rcvMss;
	let free = freeSpace(tcb);
	const allowed = windowOf(tcb.receiveBuffer);
	const full = Math.min(tcb.windowClamp, allowed);
	if (mss > full) {
		mss = full;
		if (mss <= 0) return 0;
	}
	if (free < full >> 1) {
		free = (free >> tcb.rcvScale) << tcb.rcvScale;
		// Too little for a segment: rather nothing than a silly window (RFC 9293 §3.8.6.2).
		if (free < allowed >> 4 || free < mss) return 0;
	}
	if (free > tcb.rcvSsthresh) free = tcb.rcvSsthresh;
	if (tcb.rcvScale > 0) return scaled(free, tcb.rcvScale);
	const window = tcb.rcvWnd;
	if (window <= free - mss || window > free) return free - (free % mss);
	if (mss === full && free > window + (full >> 1)) return free;
	return window;
}

/** The window field of the next segment; what was offered is never taken back (`tcp_select_window`). */
export function selectWindow(tcb: Tcb): number {
	const offered = tcb.offeredWindow;
	let window = possibleWindow(tcb);
	if (window < offered) window = scaled(offered, tcb.rcvScale);
	tcb.rcvWnd = window;
	tcb.rcvWup = tcb.rcvNxt;
	if (tcb.rcvScale === 0 && tcb.windowScaling) window = Math.min(window, 0xffff);
	else window = Math.min(window, 0xffff << tcb.rcvScale);
	return window >>> tcb.rcvScale;
}

/** Segments come in well filled: more may be offered (`tcp_grow_window`). */
export function growWindow(tcb: Tcb, octets: number): void {
	const room = Math.min(tcb.windowClamp, freeSpace(tcb)) - tcb.rcvSsthresh;
	if (room <= 0) return;
	// The recorded segments' buffers count as large as what they hold, when nothing lies in between.
	const memory = limits.BUFFER_OVERHEAD + octets;
	const growth = windowOf(memory) <= octets ? 2 * tcb.advertisedMss : slowGrowth(tcb, memory, octets);
	if (growth === 0) return;
	tcb.rcvSsthresh += Math.min(room, Math.max(growth, 2 * octets));
	tcb.quick |= 1;
}

/** Segments with much overhead open the window only as far as their memory goes (`__tcp_grow_window`). */
function slowGrowth(tcb: Tcb, memory: number, octets: number): number {
	let truesize = windowOf(memory) >> 1;
	let window = windowOf(tcb.conf.tcp_rmem[2]) >> 1;
	while (tcb.rcvSsthresh <= window) {
		if (truesize <= octets) return 2 * tcb.rcvMss;
		truesize >>= 1;
		window >>= 1;
	}
	return 0;
}

/** Two minutes in microseconds: a longer round trip is none. */
const LONGEST = 120e6;

/** The receiver's estimate of the round trip, in microseconds times eight (`tcp_rcv_rtt_update`). */
export function updateReceiverRtt(tcb: Tcb, sample: number, windowDependent: boolean): void {
	let m = Math.min(Math.max(1, Math.round(sample)), LONGEST);
	const old = tcb.rcvRtt;
	if (old === 0) {
		tcb.rcvRtt = m << 3;
		return;
	}
	if (!windowDependent) {
		m -= old >> 3;
		tcb.rcvRtt = old + m;
	} else {
		m <<= 3;
		if (m < old) tcb.rcvRtt = m;
	}
}

/** By echoed timestamps of full segments (`tcp_rcv_rtt_measure_ts`). */
export function measureByTimestamp(tcb: Tcb, octets: number): void {
	if (tcb.rcvTsecr === tcb.rcvRttEcho) return;
	tcb.rcvRttEcho = tcb.rcvTsecr;
	if (octets < tcb.rcvMss) return;
	const delta = (tcb.timestamp - tcb.rcvTsecr) | 0;
	if (delta >= 0 && delta < 2_000_000) updateReceiverRtt(tcb, Math.max(1, delta) * 1000, false);
}

/** Without timestamps: a window's worth of data takes a round trip (`tcp_rcv_rtt_measure`). */
export function measureByWindow(tcb: Tcb): void {
	if (tcb.rcvRttTime !== 0) {
		if (((tcb.rcvNxt - tcb.rcvRttSeq) | 0) < 0) return;
		updateReceiverRtt(tcb, Math.floor((tcb.now - tcb.rcvRttTime) / 1000), true);
	}
	tcb.rcvRttSeq = (tcb.rcvNxt + tcb.rcvWnd) | 0;
	tcb.rcvRttTime = tcb.now;
}

/** The program read a round trip's worth: is the buffer large enough for the next (`tcp_rcv_space_adjust`)? */
export function adjustSpace(tcb: Tcb): void {
	const { now } = tcb;
	if (tcb.rcvRtt === 0 || (now - tcb.spaceTime) / 1000 < tcb.rcvRtt >> 3) return;
	const copied = (tcb.copiedSeq - tcb.spaceSeq) | 0;
	if (copied > tcb.space) {
		if (!tcb.receiveBufferFixed) {
			const mss = tcb.advertisedMss;
			let window = 2 * copied + 16 * mss;
			window += 2 * Math.floor((window * (copied - tcb.space)) / tcb.space);
			const memory = Math.min(Math.floor(window / mss) * memoryOfSegment(mss), tcb.conf.tcp_rmem[2]);
			if (memory > tcb.receiveBuffer) {
				tcb.receiveBuffer = memory;
				tcb.windowClamp = windowOf(memory);
			}
		}
		tcb.space = copied;
	}
	tcb.spaceSeq = tcb.copiedSeq;
	tcb.spaceTime = now;
}
