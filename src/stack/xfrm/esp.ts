import { copyOctets, esp, type Frame, ipv4 } from "../../wire/index.ts";
import { IV_OCTETS, type XfrmState } from "./state.ts";

/** Octets in front of the ciphertext: header and IV. */
const FRONT = esp.OCTETS + IV_OCTETS;
const LONGEST = 65_535;
/** What the tag covers beside the ciphertext: SPI and sequence number, or SPI and both halves of it (RFC 4106 §5). */
const AAD = new Uint8Array(esp.OCTETS);
const AAD_ESN = new Uint8Array(esp.OCTETS + 4);

function associatedData(state: XfrmState, number: number): Uint8Array {
	if (state.replay.form !== "esn") return fill(AAD, state.spi, number >>> 0);
	return fill(AAD_ESN, state.spi, Math.floor(number / 0x1_0000_0000), number >>> 0);
}

function fill(octets: Uint8Array, ...words: readonly number[]): Uint8Array {
	const view = new DataView(octets.buffer);
	for (const [i, word] of words.entries()) view.setUint32(4 * i, word);
	return octets;
}

/** Octets a packet of `octets` of payload grows by. */
export const overhead = (state: XfrmState, octets: number): number =>
	FRONT + esp.padding(octets) + esp.TRAILER_OCTETS + state.cipher.icvOctets;

/** The longest payload whose packet has at most `octets` behind its IPv4 header (`esp4_get_mtu`). */
export const longestPayload = (state: XfrmState, octets: number): number =>
	((octets - FRONT - state.cipher.icvOctets) & ~(esp.ALIGNMENT - 1)) - esp.TRAILER_OCTETS;

/**
 * Puts the payload of an IPv4 packet into ESP, in place: SPI, number and IV go between header and payload, padding and
 * tag behind it; the header keeps all but length, protocol and checksum. Takes the frame and returns it, or a longer
 * one; undefined, and the frame is still the caller's, when the packet would be too long for IPv4 (`esp_output`).
 */
export function encapsulate(state: XfrmState, frame: Frame, number: number): Frame | undefined {
	const header = ipv4.headerOctets(frame.view, frame.start);
	const payload = frame.end - frame.start - header;
	const grown = overhead(state, payload);
	if (header + payload + grown > LONGEST) return undefined;
	const out = withRoom(frame, grown);
	const { view, bytes } = out;
	const from = out.start;
	out.push(FRONT);
	for (let i = 0; i < header; i += 4) view.setUint32(out.start + i, view.getUint32(from + i));
	const at = out.start + header;
	esp.writePlain(view, at, state.spi, number >>> 0);
	state.setIv(number);
	bytes.set(state.nonce.subarray(-IV_OCTETS), at + esp.OCTETS);
	const end = esp.writeTrailer(view, out.end, esp.padding(payload), ipv4.protocol(view, out.start));
	state.cipher.seal(state.nonce, associatedData(state, number), bytes, at + FRONT, end - at - FRONT);
	out.end = end + state.cipher.icvOctets;
	readdress(out, ipv4.PROTOCOL_ESP);
	return out;
}

/**
 * Takes the payload of an IPv4 packet out of ESP, in place. Returns why not: "failed" for a wrong tag, and then
 * nothing of the frame was changed (`esp_input`). The frame stays the caller's.
 */
export function decapsulate(
	state: XfrmState,
	frame: Frame,
	number: number,
): "failed" | "malformed" | undefined {
	const { view, bytes } = frame;
	const header = ipv4.headerOctets(view, frame.start);
	const at = frame.start + header;
	const { icvOctets } = state.cipher;
	const octets = frame.end - at - FRONT - icvOctets;
	if (frame.end - at <= FRONT || octets < 0) return "malformed";
	state.nonce.set(bytes.subarray(at + esp.OCTETS, at + FRONT), state.nonce.length - IV_OCTETS);
	const aad = associatedData(state, number);
	if (!state.cipher.open(state.nonce, aad, bytes, at + FRONT, octets)) return "failed";
	frame.changed();
	if (octets < esp.TRAILER_OCTETS) return "malformed";
	const trailer = at + FRONT + octets - esp.TRAILER_OCTETS;
	const [pad, next] = [view.getUint8(trailer), view.getUint8(trailer + 1)];
	if (pad + esp.TRAILER_OCTETS >= octets || next === esp.NEXT_NONE) return "malformed";
	// From behind: the copy may overlap what it reads.
	for (let i = header - 4; i >= 0; i -= 4) {
		view.setUint32(frame.start + FRONT + i, view.getUint32(frame.start + i));
	}
	frame.pull(FRONT);
	frame.end = trailer - pad;
	readdress(frame, next);
	return undefined;
}

function readdress(frame: Frame, protocol: number): void {
	const { view, start } = frame;
	ipv4.setTotalLength(view, start, frame.end - start);
	ipv4.setProtocol(view, start, protocol);
	ipv4.writeChecksum(view, start);
}

/** The frame, or a copy in a longer buffer when it has no room for so many octets. Takes the frame. */
function withRoom(frame: Frame, grown: number): Frame {
	if (frame.start >= FRONT && frame.bytes.length - frame.end >= grown) return frame;
	const octets = frame.end - frame.start;
	const copy = frame.pool.take(octets + grown);
	copy.end = copy.start + octets;
	copyOctets(frame, frame.start, copy, copy.start, octets);
	copy.id = frame.id;
	copy.hops = frame.hops;
	copy.flowHash = frame.flowHash;
	copy.mark = frame.mark;
	copy.trusted = frame.trusted;
	copy.routed = frame.routed;
	copy.tunnelDepth = frame.tunnelDepth;
	frame.release();
	return copy;
}
