import { tcp } from "../../wire/index.ts";
import * as limits from "./limits.ts";
import { emitSyn, syncMss } from "./output.ts";
import { chooseInitialWindow, initialiseSpace } from "./receive-window.ts";
import { armFor, armRetransmit } from "./retransmit-timer.ts";
import type { Segment } from "./segment.ts";
import type { Tcb } from "./tcb.ts";

/** What a connection begins with that the machine cannot know: drawn at random, or asked of the route. */
export interface Beginning {
	/** Initial sequence number. */
	readonly iss: number;
	/** Start of the timestamps clock. */
	readonly timestampOffset: number;
	/** The path's MTU, and the MTU that the other side may send here. */
	readonly pathMtu: number;
	readonly localMtu: number;
}

function begin(tcb: Tcb, beginning: Beginning): void {
	tcb.iss = beginning.iss | 0;
	tcb.timestampOffset = beginning.timestampOffset | 0;
	tcb.sndUna = tcb.iss;
	tcb.sndNxt = tcb.iss;
	tcb.sndSml = tcb.iss;
	tcb.writeSeq = tcb.iss;
	tcb.pathMtu = beginning.pathMtu;
	tcb.advertisedMss = Math.min(tcb.userMss, beginning.localMtu - limits.HEADERS);
	tcb.rto = limits.RTO_FIRST;
	tcb.synSentAt = tcb.now;
}

/** Sends a SYN (`tcp_v4_connect`, `tcp_connect`). */
export function activeOpen(tcb: Tcb, beginning: Beginning): void {
	begin(tcb, beginning);
	tcb.state = "syn-sent";
	tcb.mssClamp = tcb.advertisedMss;
	syncMss(tcb, beginning.pathMtu);
	chooseInitialWindow(tcb, tcb.advertisedMss, tcb.conf.tcp_window_scaling !== 0);
	tcb.writeSeq = (tcb.iss + 1) | 0;
	const syn = tcb.queue.add(tcb.iss, tcb.writeSeq, tcp.SYN);
	syn.sentAt = tcb.now;
	tcb.queue.unsent = 1;
	tcb.packetsOut = 1;
	tcb.sndNxt = tcb.writeSeq;
	tcb.pushedSeq = tcb.writeSeq;
	tcb.retransStamp = -1;
	emitSyn(tcb);
	armRetransmit(tcb);
}

/** Options of the other side's SYN: what is spoken from now on. */
export function agree(tcb: Tcb, segment: Segment): void {
	const { conf } = tcb;
	tcb.timestamps = segment.timestamps && conf.tcp_timestamps !== 0;
	tcb.sackOk = segment.sackPermitted && conf.tcp_sack !== 0;
	tcb.windowScaling = segment.windowScale >= 0 && conf.tcp_window_scaling !== 0;
	tcb.sndScale = tcb.windowScaling ? segment.windowScale : 0;
	if (!tcb.windowScaling) {
		tcb.rcvScale = 0;
		tcb.windowClamp = Math.min(tcb.windowClamp, 65_535);
	}
	tcb.mssClamp = segment.mss === 0 ? limits.MSS_DEFAULT : Math.max(Math.min(segment.mss, tcb.userMss), 48);
	if (tcb.timestamps) {
		tcb.tsRecent = segment.tsval;
		tcb.tsRecentAt = tcb.now;
		tcb.headerOctets = 20 + limits.TIMESTAMP_OPTION;
	}
}

/** Answers a SYN with SYN,ACK: a request, which becomes a connection with the third segment (`tcp_conn_request`). */
export function passiveOpen(tcb: Tcb, beginning: Beginning, segment: Segment): void {
	begin(tcb, beginning);
	tcb.state = "syn-received";
	tcb.bare = true;
	agree(tcb, segment);
	tcb.irs = segment.sequence;
	tcb.rcvNxt = (segment.sequence + 1) | 0;
	tcb.rcvWup = tcb.rcvNxt;
	tcb.copiedSeq = tcb.rcvNxt;
	tcb.sndWnd = segment.window;
	tcb.maxWindow = segment.window;
	chooseInitialWindow(
		tcb,
		tcb.advertisedMss - (tcb.timestamps ? limits.TIMESTAMP_OPTION : 0),
		tcb.windowScaling,
	);
	tcb.writeSeq = (tcb.iss + 1) | 0;
	tcb.sndNxt = tcb.writeSeq;
	tcb.pushedSeq = tcb.writeSeq;
	emitSyn(tcb);
	armFor(tcb, "rto", limits.RTO_FIRST);
}

/** The connection is there: windows, buffers and segment size begin (`tcp_init_transfer`). */
export function startTransfer(tcb: Tcb): void {
	syncMss(tcb, tcb.pathMtu);
	tcb.maxWindow = Math.max(tcb.maxWindow, tcb.sndWnd);
	const half = Math.floor(tcb.rcvWnd / 2);
	tcb.rcvMss = Math.max(Math.min(tcb.advertisedMss, tcb.mss, half, limits.MSS_DEFAULT), limits.MSS_LEAST);
	tcb.cwnd = limits.INITIAL_WINDOW;
	// A second SYN was needed and the answer was not to the first: begin carefully (RFC 5681 §3.1).
	if (tcb.totalRetrans > 1 && tcb.undoMarker !== undefined) tcb.cwnd = 1;
	tcb.cwndStamp = tcb.now;
	// No round trip was measured (RFC 6298 §5.7).
	if (tcb.srtt === 0) {
		tcb.rttvar = limits.RTO_FALLBACK / 1000;
		tcb.mdev = tcb.rttvar;
		tcb.mdevMax = tcb.rttvar;
		tcb.rto = limits.RTO_FALLBACK;
	}
	initialiseSpace(tcb);
	tcb.lastSendAt = tcb.now;
	tcb.effects.connected = true;
	tcb.effects.writable = true;
}
