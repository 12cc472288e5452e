import * as limits from "./limits.ts";
import type { Segment } from "./segment.ts";
import { after } from "./sequence.ts";
import type { Tcb } from "./tcb.ts";

/** Notes what the segment's timestamps say, for those who measure. */
export function readTimestamps(tcb: Tcb, segment: Segment): void {
	tcb.rcvTsval = segment.tsval;
	tcb.rcvTsecr = segment.tsecr !== 0 ? segment.tsecr | 0 : 0;
}

/** The timestamp to echo: of the segment that the next acknowledgment is for (RFC 7323 §4.3; `tcp_replace_ts_recent`). */
export function replaceRecent(tcb: Tcb, segment: Segment): void {
	if (!segment.timestamps || after(segment.sequence, tcb.rcvWup)) return;
	if (pawsOk(tcb, segment.tsval, 0)) {
		tcb.tsRecent = segment.tsval;
		tcb.tsRecentAt = tcb.now;
	}
}

/** Whether a timestamp is no older than the last, give or take (`tcp_paws_check`). */
export function pawsOk(tcb: Tcb, tsval: number, slack: number): boolean {
	if (((tcb.tsRecent - tsval) | 0) <= slack) return true;
	return tcb.tsRecentAt < 0 || tcb.now - tcb.tsRecentAt >= limits.PAWS_FORGETS || tcb.tsRecent === 0;
}

/**
 * Protection against wrapped sequence numbers (RFC 7323 §5): true when the segment is older than what came last. A
 * duplicate acknowledgment overtaken on the way is none of these (`tcp_paws_discard`, `tcp_disordered_ack`).
 */
export function pawsRejects(tcb: Tcb, segment: Segment): boolean {
	if (pawsOk(tcb, segment.tsval, 1)) return false;
	const harmless =
		segment.ack &&
		segment.sequence === segment.end &&
		segment.sequence === tcb.rcvNxt &&
		segment.acknowledgment === tcb.sndUna &&
		((tcb.tsRecent - segment.tsval) | 0) <= Math.floor((tcb.rto * 1024) / 1e9);
	return !harmless;
}
