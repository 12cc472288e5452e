import * as limits from "./limits.ts";
import { dataReceived } from "./acknowledge.ts";
import { enterQuickAck } from "./quick-ack.ts";
import { growWindow, measureByTimestamp } from "./receive-window.ts";
import { finReceived } from "./closing.ts";
import type { Segment } from "./segment.ts";
import { after, before } from "./sequence.ts";
import { ACK_NOW, ACK_SCHEDULED, type Tcb } from "./tcb.ts";

/** Memory that a received segment's buffer takes, as the recorded machines' was for full-sized and for small ones. */
const FULL_CHARGE = 2816;

/** A socket whose buffer the program fixed is charged to the octet; others as the recorded ones were. */
const chargeOf = (tcb: Tcb, octets: number): number =>
	tcb.receiveBufferFixed
		? limits.BUFFER_OVERHEAD + octets
		: Math.max(FULL_CHARGE, limits.BUFFER_OVERHEAD + octets);

/**
 * Takes the data and FIN of a segment in, in order or not (`tcp_data_queue`). The segment was found acceptable and is
 * trimmed to the window.
 */
export function takeData(tcb: Tcb, segment: Segment): void {
	if (segment.sequence === segment.end) return;
	if (segment.sequence === tcb.rcvNxt) {
		if (tcb.offeredWindow === 0) return outOfWindow(tcb);
		return takeInOrder(tcb, segment);
	}
	if (!after(segment.end, tcb.rcvNxt)) {
		// Seen before: the sender learns what it sent twice (RFC 2883).
		setDsack(tcb, segment.sequence, segment.end);
		return outOfWindow(tcb);
	}
	if (!before(segment.sequence, (tcb.rcvNxt + tcb.offeredWindow) | 0)) return outOfWindow(tcb);
	if (before(segment.sequence, tcb.rcvNxt)) {
		setDsack(tcb, segment.sequence, tcb.rcvNxt);
		if (tcb.offeredWindow === 0) return outOfWindow(tcb);
		return takeInOrder(tcb, segment);
	}
	takeOutOfOrder(tcb, segment);
}

function outOfWindow(tcb: Tcb): void {
	enterQuickAck(tcb, limits.QUICK_ACKS);
	tcb.ackPending |= ACK_SCHEDULED;
}

function takeInOrder(tcb: Tcb, segment: Segment): void {
	const skip = (tcb.rcvNxt - segment.sequence) | 0;
	const offered = (tcb.rcvNxt + tcb.offeredWindow) | 0;
	const { fin } = segment;
	const dataEnd = fin ? (segment.end - 1) | 0 : segment.end;
	let octets = (dataEnd - tcb.rcvNxt) | 0;
	let whole = true;
	if (after((tcb.rcvNxt + octets) | 0, offered)) {
		octets = (offered - tcb.rcvNxt) | 0;
		whole = false;
	}
	if (octets > 0) store(tcb, tcb.rcvNxt, segment, skip, octets);
	if (octets > 0 && !tcb.readShut) charge(tcb, (tcb.rcvNxt + octets) | 0, chargeOf(tcb, octets));
	tcb.rcvNxt = (tcb.rcvNxt + Math.max(0, octets)) | 0;
	if (segment.octets > 0) dataReceived(tcb, segment);
	if (fin && whole) finReceived(tcb);
	if (tcb.gaps.length > 0) {
		joinGaps(tcb);
		// A filled gap is told at once (RFC 5681 §4.2).
		if (tcb.gaps.length === 0) tcb.ackPending |= ACK_NOW;
	}
	if (tcb.sacks.length > 0) removeSacks(tcb);
	if (octets > 0) tcb.effects.readable = true;
}

function store(tcb: Tcb, sequence: number, segment: Segment, skip: number, octets: number): void {
	// Nobody will read it any more.
	if (tcb.readShut) return;
	const ring = tcb.receiveRing;
	const end = (sequence + octets) | 0;
	let kept = tcb.rcvNxt;
	const { gaps } = tcb;
	if (gaps.length > 0) kept = gaps[gaps.length - 2] as number;
	if (ring.capacity < ((end - tcb.copiedSeq) | 0)) {
		ring.reserve(tcb.copiedSeq, after(kept, tcb.copiedSeq) ? kept : tcb.copiedSeq, end);
	}
	ring.write(sequence, segment.bytes, segment.at + skip, octets);
}

function charge(tcb: Tcb, end: number, memory: number): void {
	tcb.charged += memory;
	tcb.charges.push(end, memory);
}

/** The program read up to `copiedSeq`: whole segments' memory is free again. */
export function discharge(tcb: Tcb): void {
	const { charges } = tcb;
	let head = tcb.chargesHead;
	while (head < charges.length && !after(charges[head] as number, tcb.copiedSeq)) {
		tcb.charged -= charges[head + 1] as number;
		head += 2;
	}
	if (head === charges.length) {
		charges.length = 0;
		head = 0;
	} else if (head > 256 && head * 2 > charges.length) {
		charges.copyWithin(0, head);
		charges.length -= head;
		head = 0;
	}
	tcb.chargesHead = head;
}

/**
 * Data behind a gap (`tcp_data_queue_ofo`). Kept as ranges: octets at their place in the ring, a FIN counted like an
 * octet and remembered by the range's end.
 */
function takeOutOfOrder(tcb: Tcb, segment: Segment): void {
	const offered = (tcb.rcvNxt + tcb.offeredWindow) | 0;
	const left = segment.sequence;
	const cut = after(segment.end, offered);
	const right = cut ? offered : segment.end;
	const octets = Math.min(segment.octets, (right - left) | 0);
	tcb.ackPending |= ACK_SCHEDULED;
	const memory = chargeOf(tcb, octets);
	if (tcb.charged + memory > 2 * tcb.receiveBuffer) {
		// No memory for it: it will come again.
		return;
	}
	const { gaps } = tcb;
	// Where it lies among what came before.
	let i = 0;
	while (i < gaps.length && before(gaps[i + 1] as number, left)) i += 3;
	if (i < gaps.length && !after(gaps[i] as number, left) && !before(gaps[i + 1] as number, right)) {
		setDsack(tcb, left, right);
		return addSack(tcb, gaps[i] as number, gaps[i + 1] as number);
	}
	if (i < gaps.length && before(gaps[i] as number, right) && after(gaps[i + 1] as number, left)) {
		// Part of it is there already.
		const from = before(left, gaps[i] as number) ? (gaps[i] as number) : left;
		const to = after(right, gaps[i + 1] as number) ? (gaps[i + 1] as number) : right;
		setDsack(tcb, from, to);
	}
	store(tcb, left, segment, 0, octets);
	if (segment.fin && !cut) tcb.finAt = right;
	tcb.charged += memory;
	let [low, high, sum] = [left, right, memory];
	let j = i;
	while (j < gaps.length && !after(gaps[j] as number, right)) {
		if (before(gaps[j] as number, low)) low = gaps[j] as number;
		if (after(gaps[j + 1] as number, high)) high = gaps[j + 1] as number;
		sum += gaps[j + 2] as number;
		j += 3;
	}
	gaps.splice(i, j - i, low, high, sum);
	addSack(tcb, low, high);
	growWindow(tcb, octets);
}

/** The gap in front closed: what lay behind it is in order now (`tcp_ofo_queue`). */
function joinGaps(tcb: Tcb): void {
	const { gaps } = tcb;
	let taken = 0;
	while (taken < gaps.length && !after(gaps[taken] as number, tcb.rcvNxt)) {
		const [left, right, memory] = [
			gaps[taken] as number,
			gaps[taken + 1] as number,
			gaps[taken + 2] as number,
		];
		if (before(left, tcb.rcvNxt)) setDsack(tcb, left, before(right, tcb.rcvNxt) ? right : tcb.rcvNxt);
		if (after(right, tcb.rcvNxt)) tcb.rcvNxt = right;
		if (tcb.readShut) tcb.charged -= memory;
		else tcb.charges.push(right, memory);
		taken += 3;
	}
	if (taken > 0) gaps.splice(0, taken);
	if (tcb.finAt === tcb.rcvNxt && !tcb.finReceived) {
		// The FIN is counted again when it is taken.
		tcb.rcvNxt = (tcb.rcvNxt - 1) | 0;
		finReceived(tcb);
	}
}

/** Puts a block in front of those to report; blocks that touch become one (`tcp_sack_new_ofo_skb`). */
function addSack(tcb: Tcb, left: number, right: number): void {
	if (!tcb.sackOk) return;
	const { sacks } = tcb;
	let [low, high] = [left, right];
	for (let i = 0; i < sacks.length; i += 2) {
		const [a, b] = [sacks[i] as number, sacks[i + 1] as number];
		if (after(a, high) || before(b, low)) continue;
		if (before(a, low)) low = a;
		if (after(b, high)) high = b;
		sacks.splice(i, 2);
		i -= 2;
	}
	sacks.unshift(low, high);
	if (sacks.length > 8) sacks.length = 8;
}

/** Blocks that are in order now need no report (`tcp_sack_remove`). */
function removeSacks(tcb: Tcb): void {
	const { sacks } = tcb;
	if (tcb.gaps.length === 0) {
		sacks.length = 0;
		return;
	}
	for (let i = 0; i < sacks.length; i += 2) {
		if (before(tcb.rcvNxt, sacks[i] as number)) continue;
		sacks.splice(i, 2);
		i -= 2;
	}
}

/** Remembers for the next acknowledgment what came twice (`tcp_dsack_set`, `tcp_dsack_extend`). */
export function setDsack(tcb: Tcb, left: number, right: number): void {
	if (!tcb.sackOk) return;
	if (tcb.dsack && !after(left, tcb.dsackRight) && !before(right, tcb.dsackLeft)) {
		if (before(left, tcb.dsackLeft)) tcb.dsackLeft = left;
		if (after(right, tcb.dsackRight)) tcb.dsackRight = right;
		return;
	}
	tcb.dsack = true;
	tcb.dsackLeft = left;
	tcb.dsackRight = right;
}

/** The receiver's own estimate of the round trip goes on with every segment of data. */
export function measureReceiverRtt(tcb: Tcb, octets: number): void {
	if (tcb.timestamps) measureByTimestamp(tcb, octets);
}
