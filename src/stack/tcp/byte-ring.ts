import { assert } from "../../assert.ts";

/** Octets of a new ring. */
const FIRST = 512;
/** Small copies are parts of one allocation this long: an allocation each costs more than the copy. */
const SLAB = 65_536;
const NOTHING = new Uint8Array(0);
let slab = new Uint8Array(0);

/** Room for `octets` octets that nobody else has, all zero. */
function room(octets: number): Uint8Array<ArrayBuffer> {
	if (octets === 0) return NOTHING;
	if (octets > SLAB >> 2) return new Uint8Array(octets);
	if (slab.length < octets) slab = new Uint8Array(SLAB);
	const taken = slab.subarray(0, octets);
	slab = slab.subarray(octets);
	return taken;
}

/**
 * A stream's octets, each at the place its sequence number says (`sequence & mask`): what comes out of order is
 * written where it belongs, and nothing is moved when the front is taken off. It grows by doubling and is made when
 * first written to.
 */
export class ByteRing {
	#bytes: Uint8Array<ArrayBuffer> | undefined;
	#view: DataView<ArrayBuffer> | undefined;
	#mask = 0;

	/** Octets it can hold now. */
	get capacity(): number {
		return this.#bytes?.length ?? 0;
	}

	/** Makes room for `[from, to)`, keeping `[from, kept)`. */
	reserve(from: number, kept: number, to: number): void {
		const needed = (to - from) | 0;
		assert(needed >= 0, "a ring holds a range that does not end before it begins");
		const old = this.#bytes;
		if (old !== undefined && needed <= old.length) return;
		let size = old?.length ?? FIRST;
		while (size < needed) size *= 2;
		const view = (size === FIRST ? spare.pop() : undefined) ?? new DataView(new ArrayBuffer(size));
		const bytes = new Uint8Array(view.buffer);
		const mask = size - 1;
		if (old !== undefined) {
			const oldMask = this.#mask;
			const octets = (kept - from) | 0;
			for (let done = 0; done < octets;) {
				const source = (from + done) & oldMask;
				const target = (from + done) & mask;
				const run = Math.min(octets - done, old.length - source, size - target);
				bytes.set(old.subarray(source, source + run), target);
				done += run;
			}
		}
		this.#giveBack();
		this.#bytes = bytes;
		this.#view = view;
		this.#mask = mask;
	}

	/** Puts octets at a sequence number. Room has been made for them. */
	write(sequence: number, from: Uint8Array, at: number, octets: number): void {
		const bytes = this.#bytes;
		if (bytes === undefined || octets === 0) return;
		const place = sequence & this.#mask;
		const run = Math.min(octets, bytes.length - place);
		bytes.set(from.subarray(at, at + run), place);
		if (run < octets) bytes.set(from.subarray(at + run, at + octets), 0);
	}

	/** A copy of `octets` octets from a sequence number on. */
	read(sequence: number, octets: number): Uint8Array<ArrayBuffer> {
		const out = room(octets);
		const bytes = this.#bytes;
		if (bytes === undefined || octets === 0) return out;
		const place = sequence & this.#mask;
		const run = Math.min(octets, bytes.length - place);
		out.set(bytes.subarray(place, place + run));
		if (run < octets) out.set(bytes.subarray(0, octets - run), run);
		return out;
	}

	/**
	 * Copies octets into a frame and adds them up on the way: the sum of 16-bit words on top of `seed`, as
	 * `checksum.sum` gives it.
	 */
	copySummed(sequence: number, to: DataView, at: number, octets: number, seed: number): number {
		const view = this.#view;
		if (view === undefined || octets === 0) return seed;
		const place = sequence & this.#mask;
		const run = Math.min(octets, view.byteLength - place);
		const total = copySum(view, place, to, at, run, seed);
		if (run === octets) return total;
		const rest = octets - run;
		if ((run & 1) === 0) return copySum(view, 0, to, at + run, rest, total);
		// The seam lies inside a 16-bit word: copied in two parts, added up in one.
		copySum(view, 0, to, at + run, rest, 0);
		return copySum(to, at, to, at, octets, seed);
	}

	/** Its octets are never read again: whoever gets the buffer writes before it reads. */
	#giveBack(): void {
		if (this.#view?.byteLength === FIRST && spare.length < SPARE_MOST) spare.push(this.#view);
	}

	/** Gives the memory back. */
	clear(): void {
		this.#giveBack();
		this.#bytes = undefined;
		this.#view = undefined;
		this.#mask = 0;
	}
}

/** First buffers of rings that are gone, for new ones: short connections need no other. */
const spare: DataView<ArrayBuffer>[] = [];
const SPARE_MOST = 256;

function copySum(
	from: DataView,
	at: number,
	to: DataView,
	toAt: number,
	octets: number,
	seed: number,
): number {
	let high = 0;
	let low = seed;
	let i = 0;
	for (const quads = octets - 15; i < quads; i += 16) {
		const a = from.getUint32(at + i);
		const b = from.getUint32(at + i + 4);
		const c = from.getUint32(at + i + 8);
		const d = from.getUint32(at + i + 12);
		to.setUint32(toAt + i, a);
		to.setUint32(toAt + i + 4, b);
		to.setUint32(toAt + i + 8, c);
		to.setUint32(toAt + i + 12, d);
		high += (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16);
		low += (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff);
	}
	for (; i + 1 < octets; i += 2) {
		const word = from.getUint16(at + i);
		to.setUint16(toAt + i, word);
		low += word;
	}
	if (i < octets) {
		const octet = from.getUint8(at + i);
		to.setUint8(toAt + i, octet);
		low += octet << 8;
	}
	return high + low;
}
