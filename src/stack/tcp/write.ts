import { tcp } from "../../wire/index.ts";
import * as limits from "./limits.ts";
import { currentMss, MORE, ONE, PUSH, sizeGoal, writeOut } from "./output.ts";
import { checkProbeTimer } from "./retransmit-timer.ts";
import { after } from "./sequence.ts";
import type { Tcb } from "./tcb.ts";

/** Memory that what was written and not acknowledged takes (`sk_wmem_queued`). */
const queuedMemory = (tcb: Tcb): number =>
	((tcb.writeSeq - tcb.sndUna) | 0) + tcb.queue.length * limits.BUFFER_OVERHEAD;

/** Whether the program may write (`sk_stream_memory_free`). */
export const hasRoom = (tcb: Tcb): boolean => queuedMemory(tcb) < tcb.sendBuffer;

/** Whether a program that waits for room is told (`sk_stream_is_writeable`): a third of the buffer is free. */
export function hasRoomEnough(tcb: Tcb): boolean {
	const queued = queuedMemory(tcb);
	return tcb.sendBuffer - queued >= queued >> 1;
}

/**
 * The program writes: octets are copied into the ring and gathered into what one burst may carry, and sent as the
 * windows allow (`tcp_sendmsg_locked`). `more` says that more follows at once (`MSG_MORE`). Returns how many octets
 * found room.
 */
export function write(tcb: Tcb, data: Uint8Array, more: boolean): number {
	const { queue, sendRing } = tcb;
	const mss = currentMss(tcb);
	const goal = sizeGoal(tcb, mss);
	let taken = 0;
	while (taken < data.length) {
		let last = queue.next === undefined ? undefined : queue.last;
		let room = last === undefined ? 0 : goal - ((last.end - last.sequence) | 0);
		if (room <= 0) {
			if (!hasRoom(tcb)) break;
			last = queue.add(tcb.writeSeq, tcb.writeSeq, 0);
			room = goal;
		}
		if (last === undefined) break;
		const octets = Math.min(room, data.length - taken);
		const end = (tcb.writeSeq + octets) | 0;
		sendRing.reserve(tcb.sndUna, tcb.writeSeq, end);
		sendRing.write(tcb.writeSeq, data, taken, octets);
		tcb.writeSeq = end;
		last.end = end;
		last.flags &= ~tcp.PSH;
		taken += octets;
		if (octets < room || taken === data.length) continue;
		if (isPushForced(tcb)) {
			markPush(tcb);
			pushPending(tcb, PUSH);
		} else if (queue.length === queue.unsent + 1) {
			writeOut(tcb, mss, ONE | PUSH);
		}
	}
	if (taken > 0 && queue.next !== undefined) {
		const full = taken < data.length;
		if (!more || full || isPushForced(tcb)) markPush(tcb);
		pushPending(tcb, full ? PUSH : more ? MORE : 0);
	}
	tcb.sendFull = taken < data.length;
	return taken;
}

/** Half of the largest window was written since the last PSH (`forced_push`). */
const isPushForced = (tcb: Tcb): boolean => after(tcb.writeSeq, (tcb.pushedSeq + (tcb.maxWindow >>> 1)) | 0);

function markPush(tcb: Tcb): void {
	const { last } = tcb.queue;
	if (last !== undefined) last.flags |= tcp.PSH;
	tcb.pushedSeq = tcb.writeSeq;
}

/** Sends what may be sent (`__tcp_push_pending_frames`). */
export function pushPending(tcb: Tcb, how: number): void {
	if (tcb.queue.next === undefined) return;
	if (writeOut(tcb, currentMss(tcb), how)) checkProbeTimer(tcb);
}

/** Puts a FIN behind what was written, into its last segment if that waits still (`tcp_send_fin`). */
export function queueFin(tcb: Tcb): void {
	if (tcb.finQueued) return;
	tcb.finQueued = true;
	const { queue } = tcb;
	const last = queue.next === undefined ? undefined : queue.last;
	const end = (tcb.writeSeq + 1) | 0;
	if (last !== undefined) {
		last.flags |= tcp.FIN;
		last.end = end;
	} else {
		queue.add(tcb.writeSeq, end, tcp.FIN);
	}
	tcb.writeSeq = end;
	pushPending(tcb, PUSH);
}
