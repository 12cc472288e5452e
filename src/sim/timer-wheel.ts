import type { Sink } from "./lane.ts";
import type { Instant } from "./time.ts";

/** Nanoseconds of one slot of the finest level. */
const GRAIN = 2 ** 14;
const SLOTS = 256;
const SLOT_BITS = 8;
const LEVELS = 4;
const FIRST_CAPACITY = 64;
/** Where a node is: in no list, in the heap, or in slot `n` of the wheel (n >= 0). */
const NOWHERE = -2;
const IN_HEAP = -1;
const NONE = -1;

/**
 * Things due at any instant, in exact order: a hierarchical timing wheel for what is far, a binary heap for
 * the little that is near. Putting in and taking out cost O(1) while a thing is far; when the wheel comes to
 * its slot it moves to the heap, which orders by (due, sequence).
 *
 *     level 3  256 slots of 76 h/256 …   level 0  256 slots of 16 us   →   heap: all slots up to `cursor`
 *
 * Nodes are numbers into parallel arrays, so nothing is allocated per entry.
 */
export class TimerWheel {
	/** Entries. */
	size = 0;
	/** When the first entry is due; Infinity when there is none. */
	headDue: Instant = Infinity;
	/** The place of the first entry in the order of asking. */
	headSequence = 0;
	#due = new Float64Array(FIRST_CAPACITY);
	#sequence = new Float64Array(FIRST_CAPACITY);
	#sinks: (Sink | null)[] = new Array<Sink | null>(FIRST_CAPACITY).fill(null);
	#items: (object | null)[] = new Array<object | null>(FIRST_CAPACITY).fill(null);
	#next = new Int32Array(FIRST_CAPACITY).fill(NONE);
	#previous = new Int32Array(FIRST_CAPACITY).fill(NONE);
	#place = new Int32Array(FIRST_CAPACITY).fill(NOWHERE);
	/** Position of a node in the heap. */
	#position = new Int32Array(FIRST_CAPACITY);
	#free: number[] = [];
	#used = 0;

	readonly #heads = new Int32Array(LEVELS * SLOTS).fill(NONE);
	readonly #filled = new Uint32Array((LEVELS * SLOTS) / 32);
	#heap: number[] = [];
	/** The grain up to which everything is in the heap. */
	#cursor = 0;

	/** Puts an entry in; the number it returns takes it out again. */
	add(due: Instant, sequence: number, sink: Sink, item: object): number {
		const node = this.#free.pop() ?? this.#fresh();
		this.#due[node] = due;
		this.#sequence[node] = sequence;
		this.#sinks[node] = sink;
		this.#items[node] = item;
		this.size++;
		this.#insert(node);
		if (due <= this.headDue) this.#refresh();
		return node;
	}

	/** Takes an entry out before it is due. */
	remove(node: number): void {
		if (this.#place[node] === IN_HEAP) this.#heapRemove(this.#position[node]!);
		else this.#unlink(node);
		this.#release(node);
		this.#refresh();
	}

	/** Looks for the first entry again. */
	#refresh(): void {
		if (this.#heap.length === 0 && !this.#advance()) {
			this.headDue = Infinity;
			return;
		}
		const node = this.#heap[0]!;
		this.headDue = this.#due[node]!;
		this.headSequence = this.#sequence[node]!;
	}

	/** Delivers the first entry. Only while there is one. */
	shift(): void {
		const node = this.#heap[0]!;
		this.#heapRemove(0);
		const sink = this.#sinks[node]!;
		const item = this.#items[node]!;
		this.#release(node);
		this.#refresh();
		sink.deliver(item);
	}

	#fresh(): number {
		if (this.#used === this.#due.length) this.#grow();
		return this.#used++;
	}

	#release(node: number): void {
		this.#place[node] = NOWHERE;
		this.#sinks[node] = null;
		this.#items[node] = null;
		this.#free.push(node);
		this.size--;
	}

	/** To the heap when its grain is reached, else to the finest level whose window holds it. */
	#insert(node: number): void {
		const grain = Math.floor(this.#due[node]! / GRAIN);
		if (grain <= this.#cursor) return this.#heapAdd(node);
		let unit = 1;
		for (let level = 0; level < LEVELS; level++, unit *= SLOTS) {
			const at = Math.floor(grain / unit);
			const here = Math.floor(this.#cursor / unit);
			if (at - here < SLOTS) return this.#link(node, level, at);
			// Farther than the wheel reaches: it waits in the last slot and is looked at again from there.
			if (level === LEVELS - 1) this.#link(node, level, here + SLOTS - 1);
		}
	}

	#link(node: number, level: number, at: number): void {
		const slot = (level << SLOT_BITS) | (at & (SLOTS - 1));
		const head = this.#heads[slot]!;
		this.#place[node] = slot;
		this.#previous[node] = NONE;
		this.#next[node] = head;
		if (head !== NONE) this.#previous[head] = node;
		this.#heads[slot] = node;
		this.#filled[slot >> 5]! |= 1 << (slot & 31);
	}

	#unlink(node: number): void {
		const slot = this.#place[node]!;
		const next = this.#next[node]!;
		const previous = this.#previous[node]!;
		if (next !== NONE) this.#previous[next] = previous;
		if (previous !== NONE) this.#next[previous] = next;
		else this.#heads[slot] = next;
		if (this.#heads[slot] === NONE) this.#filled[slot >> 5]! &= ~(1 << (slot & 31));
	}

	/** Moves the cursor to the next slot that holds something, until the heap has an entry. False when all is empty. */
	#advance(): boolean {
		while (this.#heap.length === 0) {
			if (this.size === 0) return false;
			let first = Infinity;
			let unit = 1;
			for (let level = 0; level < LEVELS; level++, unit *= SLOTS) {
				const here = Math.floor(this.#cursor / unit);
				const offset = this.#nextFilled(level, (here + 1) & (SLOTS - 1));
				if (offset >= 0) first = Math.min(first, (here + 1 + offset) * unit);
			}
			this.#cursor = first;
			// Slots of several levels may begin at this grain: each is poured, since none is looked at again
			// until the wheel has gone round. Coarse before fine, for a coarse one pours into the finer.
			for (let level = LEVELS - 1; level >= 0; level--) {
				unit /= SLOTS;
				if (first % unit === 0) this.#pour((level << SLOT_BITS) | ((first / unit) & (SLOTS - 1)));
			}
		}
		return true;
	}

	/** How many slots after `from` the next filled one of a level is, `from` itself being 0; -1 for none. */
	#nextFilled(level: number, from: number): number {
		const base = level << SLOT_BITS;
		for (let offset = 0; offset < SLOTS;) {
			const slot = (from + offset) & (SLOTS - 1);
			const word = this.#filled[(base | slot) >> 5]! >>> (slot & 31);
			if (word !== 0) {
				const found = offset + (31 - Math.clz32(word & -word));
				return found < SLOTS ? found : -1;
			}
			offset += 32 - (slot & 31);
		}
		return -1;
	}

	/** Puts every entry of a slot where it belongs now. */
	#pour(slot: number): void {
		let node = this.#heads[slot]!;
		this.#heads[slot] = NONE;
		this.#filled[slot >> 5]! &= ~(1 << (slot & 31));
		while (node !== NONE) {
			const next = this.#next[node]!;
			this.#insert(node);
			node = next;
		}
	}

	#before(a: number, b: number): boolean {
		const difference = this.#due[a]! - this.#due[b]!;
		return difference < 0 || (difference === 0 && this.#sequence[a]! < this.#sequence[b]!);
	}

	#heapAdd(node: number): void {
		this.#place[node] = IN_HEAP;
		this.#heap.push(node);
		this.#rise(node, this.#heap.length - 1);
	}

	#heapRemove(at: number): void {
		const last = this.#heap.pop()!;
		if (at === this.#heap.length) return;
		const parent = (at - 1) >> 1;
		if (at > 0 && this.#before(last, this.#heap[parent]!)) this.#rise(last, at);
		else this.#sink(last, at);
	}

	#rise(node: number, from: number): void {
		const heap = this.#heap;
		let at = from;
		while (at > 0) {
			const parent = (at - 1) >> 1;
			const other = heap[parent]!;
			if (!this.#before(node, other)) break;
			heap[at] = other;
			this.#position[other] = at;
			at = parent;
		}
		heap[at] = node;
		this.#position[node] = at;
	}

	#sink(node: number, from: number): void {
		const heap = this.#heap;
		const half = heap.length >> 1;
		let at = from;
		while (at < half) {
			let child = 2 * at + 1;
			if (child + 1 < heap.length && this.#before(heap[child + 1]!, heap[child]!)) child++;
			const other = heap[child]!;
			if (!this.#before(other, node)) break;
			heap[at] = other;
			this.#position[other] = at;
			at = child;
		}
		heap[at] = node;
		this.#position[node] = at;
	}

	#grow(): void {
		const capacity = this.#due.length * 2;
		this.#due = widen(this.#due, new Float64Array(capacity));
		this.#sequence = widen(this.#sequence, new Float64Array(capacity));
		this.#next = widen(this.#next, new Int32Array(capacity).fill(NONE));
		this.#previous = widen(this.#previous, new Int32Array(capacity).fill(NONE));
		this.#place = widen(this.#place, new Int32Array(capacity).fill(NOWHERE));
		this.#position = widen(this.#position, new Int32Array(capacity));
		while (this.#sinks.length < capacity) {
			this.#sinks.push(null);
			this.#items.push(null);
		}
	}
}

function widen<T extends Float64Array | Int32Array>(from: T, to: T): T {
	to.set(from);
	return to;
}
