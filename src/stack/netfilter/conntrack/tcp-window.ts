import { type Frame, ipv4, tcp } from "../../../wire/index.ts";
import type { ConntrackConf } from "./conf.ts";
import { type Direction, ORIGINAL, REPLY } from "./flow.ts";
import type { TcpTrack } from "./tcp.ts";

const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_WINDOW = 3;
const OPTION_SACK_PERMITTED = 4;
const OPTION_SACK = 5;
/** RFC 7323 §2.3. */
const MOST_SCALE = 14;
/** How far behind an acknowledgment may be at least (`MAXACKWINCONST`). */
const ACK_WINDOW = 66_000;

/** What is known of one side's numbers (`struct ip_ct_tcp_state`). */
export interface Sender {
	/** The sequence number behind the last octet sent. */
	end: number;
	/** The most that the other side allowed so far. */
	mostEnd: number;
	/** The widest window it offered; 0 while nothing of it was seen. */
	mostWindow: number;
	/** The most it acknowledged, -1 for nothing. */
	mostAcknowledged: number;
	scale: number;
	scales: boolean;
	sackPermitted: boolean;
	closedFirst: boolean;
	unacknowledged: boolean;
	/** Its history is not known: everything fits. */
	liberal: boolean;
}

const after = (a: number, b: number): boolean => ((b - a) | 0) < 0;
const uint32 = (n: number): number => n >>> 0;

/** The sequence number behind a segment: SYN and FIN count as an octet each. */
export function sequenceAfter(frame: Frame, at: number): number {
	const { view } = frame;
	const flags = tcp.flags(view, at);
	const payload = frame.start + ipv4.totalLength(view, frame.start) - at - tcp.headerOctets(view, at);
	const counted = ((flags & tcp.SYN) !== 0 ? 1 : 0) + ((flags & tcp.FIN) !== 0 ? 1 : 0);
	return uint32(tcp.sequence(view, at) + payload + counted);
}

/** One side, from its first segment, or before it was seen. */
export function senderOf(frame: Frame | null, at: number, fromStart: boolean): Sender {
	const sender: Sender = {
		end: 0,
		mostEnd: 0,
		mostWindow: 0,
		mostAcknowledged: -1,
		scale: 0,
		scales: false,
		sackPermitted: !fromStart,
		closedFirst: false,
		unacknowledged: false,
		liberal: !fromStart,
	};
	if (frame === null) return sender;
	sender.end = sequenceAfter(frame, at);
	sender.mostWindow = Math.max(1, tcp.window(frame.view, at));
	sender.mostEnd = fromStart ? sender.end : uint32(sender.end + sender.mostWindow);
	if (fromStart) readOptions(sender, frame, at);
	return sender;
}

/** Window scale and SACK permission of a SYN. */
function readOptions(sender: Sender, frame: Frame, at: number): void {
	const { view } = frame;
	const end = Math.min(at + tcp.headerOctets(view, at), frame.end);
	sender.scale = 0;
	sender.scales = false;
	sender.sackPermitted = false;
	for (let i = at + tcp.MIN_OCTETS; i < end;) {
		const kind = view.getUint8(i);
		if (kind === OPTION_END) return;
		if (kind === OPTION_NOP) {
			i++;
			continue;
		}
		const octets = i + 1 < end ? view.getUint8(i + 1) : 0;
		if (octets < 2 || i + octets > end) return;
		if (kind === OPTION_SACK_PERMITTED && octets === 2) sender.sackPermitted = true;
		if (kind === OPTION_WINDOW && octets === 3) {
			sender.scale = Math.min(MOST_SCALE, view.getUint8(i + 2));
			sender.scales = true;
		}
		i += octets;
	}
}

/** The highest sequence number that a segment acknowledges, selective acknowledgments included (`tcp_sack`). */
function mostAcknowledged(frame: Frame, at: number, acknowledged: number): number {
	const { view } = frame;
	const header = tcp.headerOctets(view, at);
	if (header <= tcp.MIN_OCTETS) return acknowledged;
	const end = Math.min(at + header, frame.end);
	let most = acknowledged;
	for (let i = at + tcp.MIN_OCTETS; i < end;) {
		const kind = view.getUint8(i);
		if (kind === OPTION_END) return most;
		if (kind === OPTION_NOP) {
			i++;
			continue;
		}
		const octets = i + 1 < end ? view.getUint8(i + 1) : 0;
		if (octets < 2 || i + octets > end) return most;
		if (kind === OPTION_SACK) {
			for (let block = i + 2; block + 8 <= i + octets; block += 8) {
				const right = view.getUint32(block + 4);
				if (after(right, most)) most = right;
			}
		}
		i += octets;
	}
	return most;
}

/**
 * Whether a segment lies where its sender may send, after "Real Stateful TCP Packet Filtering in IP Filter"
 * (Guido van Rooij), and if so what it teaches. Reference: `tcp_in_window`.
 */
export function fits(
	track: TcpTrack,
	frame: Frame,
	at: number,
	direction: Direction,
	onlyAck: boolean,
	conf: ConntrackConf,
): boolean {
	const { view } = frame;
	const sender = track.seen[direction];
	const receiver = track.seen[direction === ORIGINAL ? REPLY : ORIGINAL];
	const flags = tcp.flags(view, at);
	const syn = (flags & tcp.SYN) !== 0;
	let sequence = tcp.sequence(view, at);
	let end = sequenceAfter(frame, at);
	let acknowledged = tcp.acknowledgment(view, at);
	let sacked = receiver.sackPermitted ? mostAcknowledged(frame, at, acknowledged) : acknowledged;
	let window = tcp.window(view, at);

	if (sender.mostWindow === 0) {
		if (syn) {
			// The answer to a SYN, or a SYN of a simultaneous open.
			begin(sender, receiver, frame, at, end, window);
			if ((flags & tcp.ACK) === 0) return true;
		} else {
			// In the middle of a connection: what is here is all there is to go by.
			sender.end = end;
			sender.mostWindow = Math.max(1, window << sender.scale);
			sender.mostEnd = uint32(end + sender.mostWindow);
			if (receiver.mostWindow === 0) {
				receiver.end = sacked;
				receiver.mostEnd = sacked;
			} else if (sacked === uint32(receiver.end + 1)) receiver.end = uint32(receiver.end + 1);
		}
	} else if (syn && after(end, sender.end) && (track.state === 1 || track.state === 2)) {
		// A SYN beyond the last one: the side began again.
		begin(sender, receiver, frame, at, end, window);
		if (direction === REPLY && (flags & tcp.ACK) === 0) return true;
	}

	if ((flags & tcp.ACK) === 0 || ((flags & tcp.RST) !== 0 && acknowledged === 0)) {
		acknowledged = receiver.end;
		sacked = receiver.end;
	}
	if ((flags & tcp.RST) !== 0 && sequence === 0 && track.state === 1) {
		// A reset that answers a SYN counts from nowhere.
		sequence = sender.end;
		end = sender.end;
	}
	const inWindow = receiver.mostWindow === 0 || after(end, uint32(sender.end - receiver.mostWindow - 1));
	const good =
		after(uint32(sender.mostEnd + 1), sequence) &&
		inWindow &&
		after(uint32(receiver.end + 1), sacked) &&
		after(sacked, uint32(receiver.end - Math.max(sender.mostWindow, ACK_WINDOW) - 1));
	if (!good) return sender.liberal || conf.nf_conntrack_tcp_be_liberal !== 0;

	const offered = window;
	if (!syn) window <<= sender.scale;
	sender.mostWindow = Math.max(sender.mostWindow, window + uint32(sacked - acknowledged));
	if (after(end, sender.end)) {
		sender.end = end;
		sender.unacknowledged = true;
	}
	if (
		(flags & tcp.ACK) !== 0 &&
		(sender.mostAcknowledged < 0 || after(acknowledged, sender.mostAcknowledged))
	)
		sender.mostAcknowledged = acknowledged;
	if (receiver.mostWindow !== 0 && after(end, sender.mostEnd))
		receiver.mostWindow += uint32(end - sender.mostEnd);
	if (after(uint32(sacked + window), uint32(receiver.mostEnd - 1))) {
		receiver.mostEnd = uint32(sacked + window + (window === 0 ? 1 : 0));
	}
	if (acknowledged === receiver.end) receiver.unacknowledged = false;
	if (onlyAck) noteRepetition(track, direction, sequence, acknowledged, end, offered);
	return true;
}

function begin(
	sender: Sender,
	receiver: Sender,
	frame: Frame,
	at: number,
	end: number,
	window: number,
): void {
	sender.end = end;
	sender.mostEnd = end;
	sender.mostWindow = Math.max(1, window);
	readOptions(sender, frame, at);
	// Both sides must offer it, or neither does (RFC 7323 §2.2).
	if (!sender.scales || !receiver.scales) {
		sender.scale = 0;
		receiver.scale = 0;
	}
}

function noteRepetition(
	track: TcpTrack,
	direction: Direction,
	sequence: number,
	acknowledged: number,
	end: number,
	window: number,
): void {
	if (
		track.lastDirection === direction &&
		track.lastSequence === sequence &&
		track.lastAcknowledgment === acknowledged &&
		track.lastEnd === end &&
		track.lastWindow === window
	) {
		track.retransmissions++;
		return;
	}
	track.lastDirection = direction;
	track.lastSequence = sequence;
	track.lastAcknowledgment = acknowledged;
	track.lastEnd = end;
	track.lastWindow = window;
	track.retransmissions = 0;
}
