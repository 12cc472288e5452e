import { KEEPALIVE, STOP } from "./effects.ts";
import { seconds } from "../../sim/index.ts";
import * as limits from "./limits.ts";
import { sendAck, sendReset } from "./output.ts";
import { disarm } from "./retransmit-timer.ts";
import { ACK_SCHEDULED, type Tcb } from "./tcb.ts";
import { queueFin } from "./write.ts";

/** What a program may want of a close (`SO_LINGER`). */
export type Close = "close" | "shutdown" | "abort";

/** The FIN of the other side is next in line (`tcp_fin`). */
export function finReceived(tcb: Tcb): void {
	tcb.ackPending |= ACK_SCHEDULED;
	tcb.rcvNxt = (tcb.rcvNxt + 1) | 0;
	tcb.finReceived = true;
	tcb.finAt = undefined;
	tcb.effects.readable = true;
	switch (tcb.state) {
		case "syn-received":
		case "established":
			tcb.state = "close-wait";
			// The other side says no more: acknowledgments have nothing to ride on but ours (`inet_csk_enter_pingpong_mode`).
			tcb.pingpong = true;
			break;
		case "fin-wait-1":
			// Both closed at once.
			sendAck(tcb);
			tcb.state = "closing";
			break;
		case "fin-wait-2":
			sendAck(tcb);
			enterTimeWait(tcb);
			break;
		default:
			break;
	}
	empty(tcb.gaps);
	empty(tcb.sacks);
}

/** The connection is over; segments that come late are answered for a minute (`tcp_time_wait`). */
export function enterTimeWait(tcb: Tcb): void {
	disarm(tcb);
	shrink(tcb);
	tcb.state = "time-wait";
	// What is left of it counts anew (`tw_last_oow_ack_time`).
	tcb.lastInvalidAckAt = -Infinity;
	freezeWindow(tcb);
	tcb.waitsForFin = false;
	tcb.bare = true;
	armTimeWait(tcb);
	tcb.effects.readable = true;
}

/** The program closed and FIN-WAIT-2 has a minute: the same kind of entry waits for the other side's FIN (`tcp_fin_time`). */
export function waitForFin(tcb: Tcb): void {
	disarm(tcb);
	shrink(tcb);
	freezeWindow(tcb);
	tcb.lastInvalidAckAt = -Infinity;
	tcb.bare = true;
	tcb.waitsForFin = true;
	const wait = Math.max(seconds(tcb.conf.tcp_fin_timeout), 3.5 * tcb.rto);
	tcb.effects.timers[KEEPALIVE] = wait;
}

/** The window stays what it was for what is said from now on. */
function freezeWindow(tcb: Tcb): void {
	const offered = tcb.offeredWindow;
	tcb.rcvWnd = offered;
	tcb.rcvWup = tcb.rcvNxt;
}

/** A minute from now. */
export function armTimeWait(tcb: Tcb): void {
	tcb.effects.timers[KEEPALIVE] = limits.TIME_WAIT;
}

/** Nothing more is sent; what can still be read stays. */
function shrink(tcb: Tcb): void {
	tcb.queue.clear();
	tcb.sendRing.clear();
	tcb.packetsOut = 0;
	tcb.sackedOut = 0;
	tcb.lostOut = 0;
	tcb.resentOut = 0;
	tcb.effects.timers.fill(STOP);
	tcb.ackPending = 0;
	tcb.compressTimer = false;
	if (tcb.orphan) forgetInput(tcb);
}

function forgetInput(tcb: Tcb): void {
	tcb.receiveRing.clear();
	empty(tcb.gaps);
	empty(tcb.sacks);
	empty(tcb.charges);
	tcb.chargesHead = 0;
	tcb.charged = 0;
}

/** Most connections end with nothing in their lists, and setting a length costs more than asking for it. */
function empty(list: number[]): void {
	if (list.length > 0) list.length = 0;
}

/** The end: no timer runs, nothing is kept but what can be read (`tcp_done`). */
export function done(tcb: Tcb): void {
	if (tcb.state === "closed" && tcb.effects.closed) return;
	shrink(tcb);
	disarm(tcb);
	tcb.state = "closed";
	tcb.effects.closed = true;
	tcb.effects.readable = true;
	tcb.effects.writable = true;
}

/** It failed: programs are told why. */
export function fail(tcb: Tcb, code: string, text: string): void {
	tcb.error ??= { code, text };
	done(tcb);
}

/** A RST that counts (`tcp_reset`). */
export function resetReceived(tcb: Tcb): void {
	if (tcb.state === "syn-sent") return fail(tcb, "ECONNREFUSED", "Connection refused");
	if (tcb.state === "close-wait") return fail(tcb, "EPIPE", "Broken pipe");
	fail(tcb, "ECONNRESET", "Connection reset by peer");
}

/** The program says no more (`shutdown(SHUT_WR)`; `tcp_shutdown`). */
export function closeSending(tcb: Tcb): void {
	switch (tcb.state) {
		case "syn-received":
		case "established":
			tcb.state = "fin-wait-1";
			break;
		case "close-wait":
			tcb.state = "last-ack";
			break;
		default:
			return;
	}
	queueFin(tcb);
}

/** The program lets go of the connection (`tcp_close`): unread data or a linger time of 0 end it by a RST. */
export function close(tcb: Tcb, abort: boolean): void {
	if (tcb.state === "closed") {
		tcb.orphan = true;
		return forgetInput(tcb);
	}
	const unread = tcb.readable > 0;
	tcb.readShut = true;
	tcb.orphan = true;
	if (tcb.state === "time-wait") return forgetInput(tcb);
	if (tcb.state === "syn-sent") return done(tcb);
	if (unread || abort) {
		// What was sent may never be answered now.
		sendReset(tcb);
		return done(tcb);
	}
	if (tcb.state === "established" || tcb.state === "close-wait" || tcb.state === "syn-received")
		closeSending(tcb);
	else if (tcb.state === "fin-wait-2") waitForFin(tcb);
	forgetInput(tcb);
}
