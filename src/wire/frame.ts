import { assert } from "../assert.ts";
import type { FramePool } from "./frame-pool.ts";

/** Octets kept free in front of a new frame: a VXLAN tunnel needs 50, two nested ones and their tags fit. */
export const HEADROOM = 160;
/** Octets kept free behind what a frame is taken for: to move it back there when more tunnels are put in front of it. */
export const TAILROOM = 352;

/** Below this many octets a loop over 32-bit words beats `set(subarray)`, which allocates a view. */
const LOOP_COPY_LIMIT = 256;

/**
 * One frame in one buffer, with room in front for outer headers.
 *
 *     0          start                    end
 *     | headroom | ethernet … payload     | unused |
 *
 * Owner: whoever holds it last. `transmit` and `receive` give it away; keep a `clone()` if you need it
 * afterwards, and `release()` what ends with you. Headers are read through `view` at absolute offsets
 * (`ipv4.ttl(frame.view, frame.start + 14)`), so a hop costs no object.
 */
export class Frame {
	/** The whole backing store, headroom included. */
	readonly bytes: Uint8Array<ArrayBuffer>;
	/** The one DataView over `bytes`. */
	readonly view: DataView<ArrayBuffer>;
	/** Offset of the first octet of the frame. */
	start: number = HEADROOM;
	/** Offset behind the last octet of the frame. */
	end: number = HEADROOM;

	/** The journey: kept by clones and through tunnels, so all sightings of one packet share it. */
	id = 0;
	/** The number of the network card that put it on its cable last, 0 for none. */
	origin = 0;
	/** Wires crossed so far; a frame that goes round for ever is a storm. */
	hops = 0;
	/** Hash of the flow as a signed 32-bit integer, 0 while nobody asked (`skb->hash`). */
	flowHash = 0;
	/** The packet mark (`skb->mark`), which never leaves its namespace. */
	mark = 0;
	/** Its priority within the machine (`skb->priority`), which VLAN devices map to and from the tag's. */
	priority = 0;
	/** The flow that connection tracking found it to be of (`skb->_nfct`); it never leaves its namespace either. */
	flow: object | null = null;
	/** What it is to that flow (`enum ip_conntrack_info`), 7 for untracked, 0 with `flow` null for not looked at. */
	flowInfo = 0;
	/** What netfilter made of it at a bridge port, bits of `BRIDGING` in `link`; 0 for nothing (`skb->nf_bridge`). */
	bridging = 0;
	/** The devices of the bridge ports it came in and goes out by, as far as netfilter was shown it there. */
	physIn: object | null = null;
	physOut: object | null = null;
	/** The IP virtual server has handled it in this namespace (`skb->ipvs_property`). */
	ipvs = false;
	/** Longest fragment it was put together from, 0 for none (`IPCB(skb)->frag_max_size`). */
	longestFragment = 0;
	/** The IPsec states it came by, outermost first (`skb_sec_path`); what they are is the stack's business. */
	secPath: readonly object[] | null = null;
	/**
	 * Every checksum in the frame was computed by a stack of this lab and nothing touched the octets since
	 * (`CHECKSUM_UNNECESSARY`): receivers need not add them up again. The octets on the wire are real all the same.
	 */
	trusted = false;
	/** This namespace's stack routed it here (`skb_dst`): a tunnel may tell the stack that it is too long. */
	routed = false;
	/** Tunnels this frame is being sent through within one namespace run (`xmit_recursion`). */
	tunnelDepth = 0;

	/** The capture log that holds a copy of `[loggedStart, loggedEnd)` at `loggedAt`, if it is still true. */
	log: object | null = null;
	loggedAt = 0;
	loggedStart = 0;
	loggedEnd = 0;
	/** Row of the latest sighting in `log`. */
	loggedRow = -1;

	/** Where it came from and goes back to. */
	readonly pool: FramePool;
	/** True while the frame lies in the pool; then nobody may touch it. */
	pooled = true;

	constructor(pool: FramePool, octets: number) {
		this.pool = pool;
		const buffer = new ArrayBuffer(octets);
		this.bytes = new Uint8Array(buffer);
		this.view = new DataView(buffer);
	}

	/** Octets from `start` to `end`. */
	get length(): number {
		return this.end - this.start;
	}

	/** Octets the backing store can hold behind `start`. */
	get room(): number {
		return this.bytes.length - this.start;
	}

	/**
	 * Makes `octets` of room in front; the caller fills them, so a copy in a capture log ends being this frame. Where there
	 * is no room the frame moves within its store: `start` is asked for after this, not before.
	 */
	push(octets: number): void {
		if (this.start < octets) this.#moveBack(octets);
		this.start -= octets;
		this.log = null;
	}

	/** Makes headroom anew behind many headers (`skb_cow_head`). */
	#moveBack(octets: number): void {
		const by = Math.min(HEADROOM, this.bytes.length - this.end);
		assert(this.start + by >= octets, "a frame has room for the headers put in front of it");
		this.bytes.copyWithin(this.start + by, this.start, this.end);
		this.start += by;
		this.end += by;
	}

	/** Takes `octets` off the front. */
	pull(octets: number): void {
		this.start += octets;
		assert(this.start <= this.end, "no more is taken off a frame than it has");
	}

	/** Puts `octets` that `pull` took off back in front; nobody has written over them. */
	unpull(octets: number): void {
		this.start -= octets;
	}

	/** Says that octets in the frame were overwritten: a copy in a capture log is no longer this frame. */
	changed(): void {
		this.log = null;
	}

	/** Forgets what connection tracking and IPVS said of it: it leaves the namespace, or enters or left a tunnel (`nf_reset_ct`). */
	forgetFlow(): void {
		if (this.flow !== null) this.flow = null;
		this.flowInfo = 0;
		this.ipvs = false;
	}

	/** A second frame with the same octets and journey. The caller owns it. */
	clone(): Frame {
		const length = this.end - this.start;
		// At the same offsets, so that a copy in a capture log serves both.
		const copy = this.pool.takeLike(this);
		copy.start = this.start;
		copy.end = this.end;
		copyOctets(this, this.start, copy, copy.start, length);
		copy.id = this.id;
		copy.origin = this.origin;
		copy.hops = this.hops;
		copy.flowHash = this.flowHash;
		copy.mark = this.mark;
		copy.priority = this.priority;
		copy.flow = this.flow;
		copy.flowInfo = this.flowInfo;
		copy.bridging = this.bridging;
		copy.physIn = this.physIn;
		copy.physOut = this.physOut;
		copy.ipvs = this.ipvs;
		copy.longestFragment = this.longestFragment;
		copy.secPath = this.secPath;
		copy.trusted = this.trusted;
		copy.routed = this.routed;
		copy.tunnelDepth = this.tunnelDepth;
		copy.log = this.log;
		copy.loggedAt = this.loggedAt;
		copy.loggedStart = this.loggedStart;
		copy.loggedEnd = this.loggedEnd;
		copy.loggedRow = this.loggedRow;
		return copy;
	}

	/** Ends the frame: it goes back to its pool and must not be touched again. */
	release(): void {
		this.pool.put(this);
	}

	/** A copy of the octets, for those who keep them: sockets, tests. Never on the way of a frame. */
	toBytes(): Uint8Array<ArrayBuffer> {
		return this.bytes.slice(this.start, this.end);
	}
}

/** Copies octets from one frame's store to another's, without allocation for short frames. */
export function copyOctets(from: Frame, at: number, to: Frame, toAt: number, octets: number): void {
	if (octets > LOOP_COPY_LIMIT) {
		to.bytes.set(from.bytes.subarray(at, at + octets), toAt);
		return;
	}
	const source = from.view;
	const target = to.view;
	const words = octets & ~3;
	let i = 0;
	for (; i < words; i += 4) target.setInt32(toAt + i, source.getInt32(at + i, true), true);
	for (; i < octets; i++) target.setUint8(toAt + i, source.getUint8(at + i));
}
