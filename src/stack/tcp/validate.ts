import { setDsack } from "./receive-queue.ts";
import { enterQuickAck } from "./quick-ack.ts";
import * as limits from "./limits.ts";
import { sendAck } from "./output.ts";
import type { Segment } from "./segment.ts";
import { after, before } from "./sequence.ts";
import type { Tcb } from "./tcb.ts";
import { pawsRejects, readTimestamps } from "./timestamps.ts";

/** What becomes of a segment before its fields count. */
export type Validity = "good" | "discard" | "reset";

/** Answers to what may be an attack, half a second apart (RFC 5961 §7; `tcp_send_challenge_ack`). */
export function challengeAck(tcb: Tcb): void {
	if (tcb.now - tcb.lastChallengeAt < tcb.invalidSpacing) return;
	tcb.lastChallengeAt = tcb.now;
	sendAck(tcb);
}

/** Whether an answer to a segment out of the window has to wait (`tcp_oow_rate_limited`). Data without SYN never does. */
function isLimited(tcb: Tcb, segment: Segment): boolean {
	if (segment.sequence !== segment.end && !segment.syn) return false;
	if (tcb.now - tcb.lastInvalidAckAt < tcb.invalidSpacing) return true;
	tcb.lastInvalidAckAt = tcb.now;
	return false;
}

/** A duplicate: the sender learns which (`tcp_send_dupack`). */
function duplicateAck(tcb: Tcb, segment: Segment): void {
	if (segment.end !== segment.sequence && before(segment.sequence, tcb.rcvNxt)) {
		enterQuickAck(tcb, limits.QUICK_ACKS);
		setDsack(tcb, segment.sequence, after(segment.end, tcb.rcvNxt) ? tcb.rcvNxt : segment.end);
	}
	sendAck(tcb);
}

/**
 * The first four checks of RFC 9293 §3.10.7.4 with those of RFC 7323 §5 and RFC 5961: timestamps, sequence, RST, SYN
 * (`tcp_validate_incoming`).
 */
export function validate(tcb: Tcb, segment: Segment): Validity {
	if (segment.timestamps && tcb.timestamps) {
		readTimestamps(tcb, segment);
		if (pawsRejects(tcb, segment) && !segment.rst) {
			if (segment.syn) return challenge(tcb);
			if (!isLimited(tcb, segment)) duplicateAck(tcb, segment);
			return "discard";
		}
	} else {
		tcb.rcvTsecr = 0;
	}
	const windowEnd = (tcb.rcvNxt + tcb.offeredWindow) | 0;
	if (before(segment.end, tcb.rcvWup) || after(segment.sequence, windowEnd)) {
		if (!segment.rst) {
			if (segment.syn) return challenge(tcb);
			if (!isLimited(tcb, segment)) duplicateAck(tcb, segment);
		} else if (isResetAfterFin(tcb, segment)) {
			return "reset";
		}
		return "discard";
	}
	if (segment.rst) {
		// Only the very next octet's sequence number ends the connection; what is in the window is asked about.
		if (segment.sequence === tcb.rcvNxt || isResetAfterFin(tcb, segment)) return "reset";
		if (tcb.sackOk && tcb.sacks.length > 0 && segment.sequence === highestBlock(tcb)) return "reset";
		return challenge(tcb);
	}
	if (segment.syn) return challenge(tcb);
	return "good";
}

function challenge(tcb: Tcb): Validity {
	challengeAck(tcb);
	return "discard";
}

/** A RST that follows a FIN one octet behind (`tcp_reset_check`). */
const isResetAfterFin = (tcb: Tcb, segment: Segment): boolean =>
	segment.sequence === ((tcb.rcvNxt - 1) | 0) &&
	(tcb.state === "close-wait" || tcb.state === "last-ack" || tcb.state === "closing");

function highestBlock(tcb: Tcb): number {
	let high = tcb.sacks[1] as number;
	for (let i = 3; i < tcb.sacks.length; i += 2) {
		if (after(tcb.sacks[i] as number, high)) high = tcb.sacks[i] as number;
	}
	return high;
}
