import { copyOctets, type Frame, ipv4 } from "../../wire/index.ts";

/** Options that every fragment repeats have this bit (RFC 791 §3.1). */
const COPIED = 0x80;
const OPTION_END = 0;
const OPTION_NOP = 1;

/**
 * Cuts a packet into fragments of at most `mtu` octets and hands them on, first to last. Takes the frame,
 * which starts at its IPv4 header; what is a fragment already is cut further. The first fragment keeps all
 * options, the others those that ask to be copied. Reference: RFC 791 §3.2, `ip_do_fragment`.
 */
export function fragment(frame: Frame, mtu: number, send: (piece: Frame) => void): void {
	const { view, start } = frame;
	const header = ipv4.headerOctets(view, start);
	const payload = frame.end - start - header;
	const room = (mtu - header) & ~7;
	const offset = ipv4.fragmentOffset(view, start);
	const more = ipv4.moreFragments(view, start);
	for (let at = 0; at < payload; at += room) {
		const octets = Math.min(room, payload - at);
		const piece = frame.pool.take(header + octets);
		piece.end = piece.start + header + octets;
		copyOctets(frame, start, piece, piece.start, header);
		copyOctets(frame, start + header + at, piece, piece.start + header, octets);
		piece.id = frame.id;
		piece.hops = frame.hops;
		piece.mark = frame.mark;
		piece.priority = frame.priority;
		piece.flow = frame.flow;
		piece.flowInfo = frame.flowInfo;
		piece.trusted = frame.trusted;
		piece.routed = frame.routed;
		piece.tunnelDepth = frame.tunnelDepth;
		if (at > 0) blankOptions(piece, header);
		const last = at + octets >= payload;
		ipv4.setTotalLength(piece.view, piece.start, header + octets);
		ipv4.setFragment(piece.view, piece.start, offset + at, more || !last);
		ipv4.writeChecksum(piece.view, piece.start);
		send(piece);
	}
	frame.release();
}

/** Options that only the first fragment carries become no-operations (`ip_options_fragment`). */
function blankOptions(frame: Frame, header: number): void {
	const end = frame.start + header;
	let at = frame.start + ipv4.MIN_OCTETS;
	while (at < end) {
		const kind = frame.view.getUint8(at);
		if (kind === OPTION_END) return;
		const octets = kind === OPTION_NOP ? 1 : frame.view.getUint8(at + 1);
		if (octets < 1 || at + octets > end) return;
		if ((kind & COPIED) === 0) for (let i = 0; i < octets; i++) frame.view.setUint8(at + i, OPTION_NOP);
		at += octets;
	}
}
