import { assert } from "../assert.ts";
import { Frame, HEADROOM, TAILROOM } from "./frame.ts";

/** Octets of a frame of the common size: a 1,518-octet frame and some, and the room around it. */
const COMMON = 2048;
/** Octets of a frame of the large size: the longest IPv4 packet with its Ethernet header and two tags. */
const LARGE = HEADROOM + 14 + 8 + 65_536 + TAILROOM;

/**
 * Frames for reuse, so that a packet costs no allocation. Two sizes: common ones (MTU up to about 1,500)
 * and large ones (loopback's 65,536, jumbo MTUs, reassembled datagrams).
 *
 * Frames taken and not released are counted in `taken`: in a lab at rest it is the number of frames that
 * wait in queues, which tests compare with what they can account for.
 */
export class FramePool {
	/** Frames in somebody's hands. */
	taken = 0;
	#nextId = 1;
	readonly #common: Frame[] = [];
	readonly #large: Frame[] = [];

	/**
	 * A frame with room for `octets` behind the usual headroom, `start = end = HEADROOM`, content undefined.
	 * The caller owns it. It belongs to no journey yet: see `begin`.
	 */
	take(octets: number): Frame {
		const large = octets > COMMON - HEADROOM - TAILROOM;
		assert(
			octets <= LARGE - HEADROOM - TAILROOM,
			"no frame is longer than an IPv4 packet with its Ethernet header",
		);
		return this.#take(large);
	}

	/** `take`, for a copy of a frame at the same offsets, with the room that it has in front and behind. */
	takeLike(frame: Frame): Frame {
		return this.#take(frame.bytes.length !== COMMON && frame.end > COMMON - TAILROOM);
	}

	#take(large: boolean): Frame {
		const frame = (large ? this.#large.pop() : this.#common.pop()) ?? new Frame(this, large ? LARGE : COMMON);
		this.taken++;
		frame.pooled = false;
		frame.start = HEADROOM;
		frame.end = HEADROOM;
		frame.id = 0;
		frame.origin = 0;
		frame.hops = 0;
		frame.flowHash = 0;
		frame.mark = 0;
		frame.priority = 0;
		frame.flow = null;
		frame.flowInfo = 0;
		frame.bridging = 0;
		frame.physIn = null;
		frame.physOut = null;
		frame.ipvs = false;
		frame.longestFragment = 0;
		frame.secPath = null;
		frame.trusted = false;
		frame.routed = false;
		frame.tunnelDepth = 0;
		frame.log = null;
		frame.loggedRow = -1;
		return frame;
	}

	/** `take`, and a new journey begins here: the frame gets the next id. */
	begin(octets: number): Frame {
		const frame = this.take(octets);
		frame.id = this.#nextId++;
		return frame;
	}

	/** A frame that holds a copy of `bytes`, at the begin of its journey. */
	from(bytes: Uint8Array): Frame {
		const frame = this.begin(bytes.length);
		frame.bytes.set(bytes, frame.start);
		frame.end = frame.start + bytes.length;
		return frame;
	}

	/** Takes a frame back; called by `Frame.release`. */
	put(frame: Frame): void {
		assert(!frame.pooled, "a frame is released once");
		frame.pooled = true;
		this.taken--;
		(frame.bytes.length === COMMON ? this.#common : this.#large).push(frame);
	}
}
