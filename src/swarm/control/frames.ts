// HTTP/2 frames, RFC 9113 §4.1: | length 24 | type 8 | flags 8 | stream 32 | payload … |

/** Octets in front of a frame's payload. */
export const FRAME_OCTETS = 9;
/** Types of frames that gRPC uses. */
export const FRAME = {
	DATA: 0,
	HEADERS: 1,
	RST_STREAM: 3,
	SETTINGS: 4,
	PING: 6,
	GOAWAY: 7,
	WINDOW_UPDATE: 8,
} as const;
/** Bits of a frame's flags; ACK is of SETTINGS and PING. */
export const FLAG = { END_STREAM: 1, ACK: 1, END_HEADERS: 4 } as const;
/** Longest payload unless the other side says that it takes more. */
export const MOST_PAYLOAD = 0x4000;
/** What a client says first (§3.4). */
export const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** One frame. */
export interface Http2Frame {
	readonly type: number;
	readonly flags: number;
	readonly stream: number;
	/** Of a frame that was read a view. */
	readonly payload: Uint8Array;
}

/** A frame's octets. */
export function writeFrame({ type, flags, stream, payload }: Http2Frame): Uint8Array {
	const bytes = new Uint8Array(FRAME_OCTETS + payload.length);
	const view = new DataView(bytes.buffer);
	view.setUint32(0, payload.length * 256 + type);
	view.setUint8(4, flags);
	view.setUint32(5, stream);
	bytes.set(payload, FRAME_OCTETS);
	return bytes;
}

/** The frame at a place in a stream of octets; undefined while some of it is missing. */
export function readFrame(bytes: Uint8Array, at: number): Http2Frame | "too-long" | undefined {
	if (bytes.length - at < FRAME_OCTETS) return undefined;
	const view = new DataView(bytes.buffer, bytes.byteOffset + at, FRAME_OCTETS);
	const word = view.getUint32(0);
	const end = at + FRAME_OCTETS + (word >>> 8);
	if (word >>> 8 > MOST_PAYLOAD) return "too-long";
	if (bytes.length < end) return undefined;
	return {
		type: word & 0xff,
		flags: view.getUint8(4),
		stream: view.getUint32(5) & 0x7fff_ffff,
		payload: bytes.subarray(at + FRAME_OCTETS, end),
	};
}

/** Four octets of a whole number: a window's increment, an error's code. */
export function uint32(value: number): Uint8Array {
	const bytes = new Uint8Array(4);
	new DataView(bytes.buffer).setUint32(0, value);
	return bytes;
}
