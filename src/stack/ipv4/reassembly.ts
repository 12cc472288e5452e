import type { Ip4 } from "../../addr/index.ts";
import { seconds, Timer } from "../../sim/index.ts";
import { copyOctets, type Frame, icmp, ipv4 } from "../../wire/index.ts";
import type { InDevice } from "../in-device.ts";
import type { Ipv4 } from "./ipv4.ts";

const LONGEST = 65_535;

/** The fragments of one datagram so far, by offset. */
interface Queue {
	readonly key: string;
	readonly pieces: { readonly from: number; readonly to: number; readonly frame: Frame }[];
	/** Octets of payload of the whole, once its last fragment came. */
	total: number | undefined;
	/** Octets that are here. */
	have: number;
	readonly timer: Timer;
	inDevice: InDevice;
	/** Value of the source's packet counter at the last fragment. */
	stamp: number;
}

/**
 * Puts fragments together again (RFC 791 §3.2, RFC 5722's rule on overlaps as Linux applies it to IPv4).
 * Each queue lives `ipfrag_time`; when its time is up the sender is told, if the first fragment is here.
 * Reference: net/ipv4/ip_fragment.c, net/ipv4/inet_fragment.c.
 */
export class Reassembly {
	readonly #ipv4: Ipv4;
	readonly #queues = new Map<string, Queue>();
	/** Fragments seen per source, for `ipfrag_max_dist`. */
	readonly #seen = new Map<Ip4, number>();
	#octets = 0;

	constructor(owner: Ipv4) {
		this.#ipv4 = owner;
	}

	/** Takes a fragment, which starts at its IPv4 header. Returns the whole datagram with the last one. */
	add(frame: Frame, inDevice: InDevice): Frame | undefined {
		const { view, start } = frame;
		const header = ipv4.headerOctets(view, start);
		const from = ipv4.fragmentOffset(view, start);
		const more = ipv4.moreFragments(view, start);
		let octets = frame.end - start - header;
		// All fragments but the last are cut at eight octets.
		if (more) octets &= ~7;
		frame.end = start + header + octets;
		const to = from + octets;
		const queue = this.#queue(frame, inDevice);
		if (queue === undefined) return void this.#drop(frame, inDevice, "frag-memory");
		if (to + header > LONGEST) return void this.#drop(frame, inDevice, "frag-too-big");
		if (octets === 0 || (queue.total !== undefined && to > queue.total)) {
			this.#drop(frame, inDevice, "frag-overlap");
			return void this.#end(queue, "frag-overlap");
		}
		if (!more) {
			if (queue.pieces.some((piece) => piece.to > to)) {
				this.#drop(frame, inDevice, "frag-overlap");
				return void this.#end(queue, "frag-overlap");
			}
			queue.total = to;
		}
		const place = queue.pieces.findIndex((piece) => piece.from >= from);
		const at = place < 0 ? queue.pieces.length : place;
		const next = queue.pieces[at];
		const before = queue.pieces[at - 1];
		// The very same piece again is a duplicate; anything else that overlaps spoils the datagram.
		if (next?.from === from && next.to === to)
			return void this.#drop(frame, inDevice, "frag-overlap", "duplicate");
		if ((before !== undefined && before.to > from) || (next !== undefined && next.from < to)) {
			this.#drop(frame, inDevice, "frag-overlap");
			return void this.#end(queue, "frag-overlap");
		}
		queue.pieces.splice(at, 0, { from, to, frame });
		queue.have += octets;
		queue.inDevice = inDevice;
		this.#octets += octets;
		if (queue.have === queue.total) return this.#join(queue);
		return undefined;
	}

	#queue(frame: Frame, inDevice: InDevice): Queue | undefined {
		const { view, start } = frame;
		const source = ipv4.source(view, start);
		const destination = ipv4.destination(view, start);
		// Those that pass a bridge are put together for themselves (`IP_DEFRAG_CONNTRACK_BRIDGE_IN`).
		const user = frame.bridging === 0 ? "" : "bridge ";
		const key = `${user}${String(source)} ${String(destination)} ${String(ipv4.ident(view, start))} ${String(ipv4.protocol(view, start))}`;
		const stamp = (this.#seen.get(source) ?? 0) + 1;
		this.#seen.set(source, stamp);
		let queue = this.#queues.get(key);
		const { ipfrag_max_dist: farthest, ipfrag_high_thresh: most, ipfrag_time: time } = this.#ipv4.conf;
		if (queue !== undefined && farthest !== 0 && stamp - queue.stamp > farthest) {
			this.#end(queue, "frag-timeout");
			queue = undefined;
		}
		if (queue === undefined) {
			if (this.#octets > most) return undefined;
			const kernel = this.#ipv4.ns.kernel;
			const made: Queue = {
				key,
				pieces: [],
				total: undefined,
				have: 0,
				timer: new Timer(() => {
					this.#expire(made);
				}),
				inDevice,
				stamp,
			};
			kernel.arm(made.timer, seconds(time));
			this.#queues.set(key, made);
			queue = made;
		}
		queue.stamp = stamp;
		return queue;
	}

	/** Time is up: ICMP "reassembly time exceeded" quotes the first fragment, if it came. */
	#expire(queue: Queue): void {
		const first = queue.pieces[0];
		const host = this.#ipv4.ns;
		// What was only put together on its way through is nobody's business (`frag_expire_skip_icmp`).
		if (
			first?.from === 0 &&
			first.frame.bridging === 0 &&
			host.isOwnAddress(ipv4.destination(first.frame.view, first.frame.start))
		) {
			this.#ipv4.icmp.tell(first.frame, queue.inDevice, icmp.TIME_EXCEEDED, icmp.REASSEMBLY_EXCEEDED, 0);
		}
		this.#end(queue, "frag-timeout");
	}

	#end(queue: Queue, reason: "frag-timeout" | "frag-overlap"): void {
		this.#forget(queue);
		for (const piece of queue.pieces) queue.inDevice.device.dropIn(piece.frame, reason);
	}

	#forget(queue: Queue): void {
		queue.timer.cancel();
		this.#queues.delete(queue.key);
		this.#octets -= queue.have;
	}

	#drop(
		frame: Frame,
		inDevice: InDevice,
		reason: "frag-memory" | "frag-too-big" | "frag-overlap",
		detail?: string,
	): void {
		inDevice.device.dropIn(frame, reason, detail);
	}

	/** One frame out of all pieces, with the first one's header. */
	#join(queue: Queue): Frame {
		this.#forget(queue);
		const first = queue.pieces[0]!.frame;
		const header = ipv4.headerOctets(first.view, first.start);
		const total = header + queue.have;
		const whole = first.pool.take(total);
		whole.end = whole.start + total;
		whole.id = first.id;
		whole.hops = first.hops;
		whole.flowHash = first.flowHash;
		whole.mark = first.mark;
		for (const { frame } of queue.pieces) {
			whole.longestFragment = Math.max(whole.longestFragment, frame.end - frame.start);
		}
		whole.trusted = queue.pieces.every((piece) => piece.frame.trusted);
		copyOctets(first, first.start, whole, whole.start, header);
		for (const { from, to, frame } of queue.pieces) {
			const at = frame.start + ipv4.headerOctets(frame.view, frame.start);
			copyOctets(frame, at, whole, whole.start + header + from, to - from);
			frame.release();
		}
		ipv4.setTotalLength(whole.view, whole.start, total);
		ipv4.setFragment(whole.view, whole.start, 0, false);
		ipv4.writeChecksum(whole.view, whole.start);
		return whole;
	}
}
