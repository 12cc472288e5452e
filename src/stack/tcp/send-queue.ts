import { assert } from "../../assert.ts";
import { distance } from "./sequence.ts";

/** Marks of a segment that was sent (`TCPCB_…`). */
export const SACKED = 1;
/** Sent again, and that one is on its way. */
export const RESENT = 2;
export const LOST = 4;
/** Sent again at some time. */
export const EVER_RESENT = 8;

/** One segment to be sent, or sent and not acknowledged: numbers only, the octets lie in the ring. */
export class Sent {
	sequence = 0;
	/** Behind the last octet, SYN and FIN counted. */
	end = 0;
	/** FIN, PSH and SYN of its own. */
	flags = 0;
	marks = 0;
	/** When it was sent last. */
	sentAt = 0;
	/** It was the last of its burst, or alone. */
	burstEnd = true;
}

/**
 * The segments of one direction: acknowledged ones leave in front, sent ones come first, then what waits to be sent,
 * where one entry may hold many segments' octets (`sk_write_queue` and `tcp_rtx_queue`).
 *
 *     | sent, not acknowledged | to be sent |
 *     0                        unsent       length
 */
export class SendQueue {
	readonly #spare: Sent[] = [];
	#items: Sent[] = [];
	#head = 0;
	/** How many are sent. */
	unsent = 0;

	/** Entries in the queue. */
	get length(): number {
		return this.#items.length - this.#head;
	}

	/** The i-th entry. */
	at(i: number): Sent {
		const item = this.#items[this.#head + i];
		assert(item !== undefined, "a segment of the queue is asked for by its place");
		return item;
	}

	/** The first that waits to be sent. */
	get next(): Sent | undefined {
		return this.#items[this.#head + this.unsent];
	}

	/** The last one, sent or not. */
	get last(): Sent | undefined {
		return this.#items.length > this.#head ? this.#items[this.#items.length - 1] : undefined;
	}

	/** The last one that was sent. */
	get lastSent(): Sent | undefined {
		return this.unsent > 0 ? this.#items[this.#head + this.unsent - 1] : undefined;
	}

	#make(sequence: number, end: number, flags: number): Sent {
		const item = this.#spare.pop() ?? new Sent();
		item.sequence = sequence;
		item.end = end;
		item.flags = flags;
		item.marks = 0;
		item.sentAt = 0;
		item.burstEnd = true;
		return item;
	}

	/** One more to be sent, at the end. */
	add(sequence: number, end: number, flags: number): Sent {
		const item = this.#make(sequence, end, flags);
		this.#items.push(item);
		return item;
	}

	/** The first unsent one, cut to `octets`; the rest stays to be sent with the flags (`tso_fragment`). It counts as sent. */
	takeNext(octets: number, cutFlags: number): Sent {
		const next = this.next;
		assert(next !== undefined, "there is something to be sent");
		const whole = distance(next.sequence, next.end);
		if (octets >= whole) {
			this.unsent++;
			return next;
		}
		const first = this.#make(next.sequence, (next.sequence + octets) | 0, next.flags & ~cutFlags);
		next.sequence = first.end;
		this.#insert(this.unsent, first);
		this.unsent++;
		return first;
	}

	/** Cuts the i-th one in two at `octets`: both keep the marks (`tcp_fragment`). */
	cut(i: number, octets: number, cutFlags: number): void {
		const first = this.at(i);
		const rest = this.#make((first.sequence + octets) | 0, first.end, first.flags);
		first.end = rest.sequence;
		first.flags &= ~cutFlags;
		rest.marks = first.marks;
		rest.sentAt = first.sentAt;
		rest.burstEnd = first.burstEnd;
		first.burstEnd = false;
		this.#insert(i + 1, rest);
		if (i < this.unsent) this.unsent++;
	}

	/** Joins the i-th one with its follower (`tcp_collapse_retrans`). */
	join(i: number): void {
		const first = this.at(i);
		const second = this.at(i + 1);
		first.end = second.end;
		first.flags |= second.flags;
		first.marks |= second.marks & EVER_RESENT;
		first.burstEnd = second.burstEnd;
		this.#items.splice(this.#head + i + 1, 1);
		this.#spare.push(second);
		if (i + 1 < this.unsent) this.unsent--;
	}

	#insert(i: number, item: Sent): void {
		// Room in front is where most of what is sent went: used again before anything is moved.
		if (i < this.length - i && this.#head > 0) {
			const items = this.#items;
			const from = --this.#head;
			for (let k = 0; k < i; k++) items[from + k] = items[from + k + 1] as Sent;
			items[from + i] = item;
			return;
		}
		this.#items.splice(this.#head + i, 0, item);
	}

	/** Takes the first one out; it was acknowledged. */
	drop(): void {
		const item = this.#items[this.#head];
		if (item === undefined) return;
		this.#spare.push(item);
		this.#head++;
		this.unsent--;
		if (this.#head === this.#items.length) {
			this.#items.length = 0;
			this.#head = 0;
		} else if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
			this.#items.copyWithin(0, this.#head);
			this.#items.length -= this.#head;
			this.#head = 0;
		}
	}

	/** Empties the queue. */
	clear(): void {
		if (this.#items.length > 0) this.#items = [];
		if (this.#spare.length > 0) this.#spare.length = 0;
		this.#head = 0;
		this.unsent = 0;
	}
}
