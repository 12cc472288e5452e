import * as limits from "./limits.ts";
import { rackAdvance } from "./rack.ts";
import type { Segment } from "./segment.ts";
import { EVER_RESENT, LOST, RESENT, SACKED, type Sent } from "./send-queue.ts";
import { after, before } from "./sequence.ts";
import type { Tcb } from "./tcb.ts";

/** What an acknowledgment brought (`FLAG_…` of tcp_ack). */
export const FLAG = {
	DATA: 0x01,
	WINDOW: 0x02,
	DATA_ACKED: 0x04,
	RETRANS_ACKED: 0x08,
	SYN_ACKED: 0x10,
	DATA_SACKED: 0x20,
	LOST_RETRANS: 0x80,
	UNA_ADVANCED: 0x400,
	DSACKING: 0x800,
	SET_TIMER: 0x1000,
	RENEGING: 0x2000,
	ORIG_SACKED: 0x200,
} as const;

/** Numbers that one acknowledgment's SACK blocks gave; filled anew by each `tagSacked`. */
export interface SackResult {
	flags: number;
	/** When the first and the last newly SACKed segment were sent, -1 for none. */
	first: number;
	last: number;
	reord: number;
}

const RESULT: SackResult = { flags: 0, first: -1, last: -1, reord: 0 };

/** Behind the highest SACKed octet (`tcp_highest_sack_seq`). */
export const highestSacked = (tcb: Tcb): number => (tcb.sackedOut === 0 ? tcb.sndUna : tcb.highestSack);

/**
 * Marks what the blocks of a segment say has arrived (RFC 2018; `tcp_sacktag_write_queue`). A first block below the
 * acknowledgment or inside the second reports a duplicate (RFC 2883).
 */
export function tagSacked(tcb: Tcb, segment: Segment, priorUna: number): SackResult {
	const result = RESULT;
	result.flags = 0;
	result.first = -1;
	result.last = -1;
	result.reord = tcb.sndNxt;
	if (!tcb.sackOk) return result;
	const { edges, blocks } = segment;
	for (let i = 0; i < blocks; i++) {
		const [left, right] = [edges[2 * i] as number, edges[2 * i + 1] as number];
		const duplicate = i === 0 && isDuplicateReport(segment);
		if (duplicate) {
			tcb.rackDsackSeen = true;
			result.flags |= FLAG.DSACKING;
		}
		if (!isValid(tcb, duplicate, left, right, priorUna)) continue;
		tagBlock(tcb, left, right, duplicate, result);
	}
	if (before(result.reord, tcb.sndNxt)) noteReordering(tcb, result.reord);
	return result;
}

function isDuplicateReport(segment: Segment): boolean {
	const { edges, blocks, acknowledgment } = segment;
	const [left, right] = [edges[0] as number, edges[1] as number];
	if (before(left, acknowledgment)) return true;
	return blocks > 1 && !after(right, edges[3] as number) && !before(left, edges[2] as number);
}

/** `tcp_is_sackblock_valid`. */
function isValid(tcb: Tcb, duplicate: boolean, left: number, right: number, priorUna: number): boolean {
	if (after(right, tcb.sndNxt) || !before(left, right) || !before(left, tcb.sndNxt)) return false;
	if (after(left, priorUna)) return true;
	if (!duplicate || tcb.undoMarker === undefined) return false;
	if (after(right, priorUna)) return false;
	return !before(left, tcb.undoMarker) || after(right, tcb.undoMarker);
}

function tagBlock(tcb: Tcb, left: number, right: number, duplicate: boolean, result: SackResult): void {
	const { queue } = tcb;
	for (let i = firstAt(tcb, left); i < queue.unsent; i++) {
		const item = queue.at(i);
		if (!before(item.sequence, right)) break;
		if (before(item.sequence, left) || after(item.end, right)) continue;
		tagOne(tcb, item, duplicate, result);
	}
}

/** The first sent segment that does not end before `sequence`, by halving. */
function firstAt(tcb: Tcb, sequence: number): number {
	let [low, high] = [0, tcb.queue.unsent];
	while (low < high) {
		const middle = (low + high) >>> 1;
		if (after(tcb.queue.at(middle).end, sequence)) high = middle;
		else low = middle + 1;
	}
	return low;
}

/** `tcp_sacktag_one`. */
function tagOne(tcb: Tcb, item: Sent, duplicate: boolean, result: SackResult): void {
	if (duplicate && (item.marks & EVER_RESENT) !== 0) {
		if (tcb.undoMarker !== undefined && tcb.undoResent > 0 && after(item.end, tcb.undoMarker))
			tcb.undoResent--;
		if ((item.marks & SACKED) !== 0 && before(item.sequence, result.reord)) result.reord = item.sequence;
	}
	if (!after(item.end, tcb.sndUna)) return;
	if ((item.marks & SACKED) === 0) {
		rackAdvance(tcb, item);
		if ((item.marks & RESENT) !== 0) {
			if ((item.marks & LOST) !== 0) {
				item.marks &= ~(LOST | RESENT);
				tcb.lostOut--;
				tcb.resentOut--;
			}
		} else {
			if ((item.marks & EVER_RESENT) === 0) {
				// It fills a hole and was sent once: the network changed the order.
				if (before(item.sequence, highestSacked(tcb)) && before(item.sequence, result.reord))
					result.reord = item.sequence;
				if (!after(item.end, tcb.highSeq)) result.flags |= FLAG.ORIG_SACKED;
				if (result.first < 0) result.first = item.sentAt;
				result.last = item.sentAt;
			}
			if ((item.marks & LOST) !== 0) {
				item.marks &= ~LOST;
				tcb.lostOut--;
			}
		}
		if (tcb.sackedOut === 0 || after(item.end, tcb.highestSack)) tcb.highestSack = item.end;
		item.marks |= SACKED;
		result.flags |= FLAG.DATA_SACKED;
		tcb.sackedOut++;
		tcb.delivered++;
	}
	if (duplicate && (item.marks & RESENT) !== 0) {
		item.marks &= ~RESENT;
		tcb.resentOut--;
	}
}

/** Segments overtook each other by so much (`tcp_check_sack_reordering`). */
export function noteReordering(tcb: Tcb, low: number): void {
	const high = highestSacked(tcb);
	if (!before(low, high)) return;
	const metric = (high - low) | 0;
	if (metric > tcb.reordering * tcb.mss)
		tcb.reordering = Math.min(Math.ceil(metric / tcb.mss), limits.REORDERING_MOST);
	tcb.reorderSeen++;
}
