const FIRST_OCTETS = 2048;
/** Writers that nobody uses just now: messages are made all the time, and each needs one for a moment. */
const spare: OctetWriter[] = [];
const MOST_SPARE = 8;
/** A writer that grew beyond this is not kept. */
const MOST_KEPT_OCTETS = 1 << 18;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Octets that grow at their end: what codecs of messages without a fixed layout write to. */
export class OctetWriter {
	/** What was written; valid up to `length`, until the next write. */
	bytes: Uint8Array<ArrayBuffer>;
	/** Octets written. */
	length = 0;

	constructor(octets: number = FIRST_OCTETS) {
		this.bytes = new Uint8Array(octets);
	}

	/** A writer for a message: `finish` gives it back. */
	static begin(): OctetWriter {
		return spare.pop() ?? new OctetWriter();
	}

	/** One octet. */
	put8(value: number): void {
		if (this.length === this.bytes.length) this.#grow(1);
		this.bytes[this.length++] = value;
	}

	/** Two octets, the higher one first. */
	put16(value: number): void {
		this.put8(value >>> 8);
		this.put8(value);
	}

	/** Four octets, the highest one first. */
	put32(value: number): void {
		this.put16(value >>> 16);
		this.put16(value);
	}

	/** Octets as they are. */
	put(octets: Uint8Array): void {
		if (this.length + octets.length > this.bytes.length) this.#grow(octets.length);
		this.bytes.set(octets, this.length);
		this.length += octets.length;
	}

	/** Text of ASCII alone. */
	putAscii(text: string): void {
		if (this.length + text.length > this.bytes.length) this.#grow(text.length);
		for (let i = 0; i < text.length; i++) this.bytes[this.length++] = text.charCodeAt(i);
	}

	/** Writes into the octet at `at` how many were written behind it, as a varint: they make room for more of them. */
	setVarintLength(at: number): void {
		const octets = this.length - at - 1;
		if (octets < 0x80) {
			this.bytes[at] = octets;
			return;
		}
		const more = octets < 0x4000 ? 1 : octets < 0x20_0000 ? 2 : octets < 0x1000_0000 ? 3 : 4;
		if (this.length + more > this.bytes.length) this.#grow(more);
		this.bytes.copyWithin(at + 1 + more, at + 1, this.length);
		this.length += more;
		let rest = octets;
		for (let i = 0; i < more; i++, rest = Math.floor(rest / 0x80)) this.bytes[at + i] = (rest % 0x80) | 0x80;
		this.bytes[at + more] = rest;
	}

	/** The octets written, as an array of their own. The writer is another message's from now on. */
	finish(): Uint8Array<ArrayBuffer> {
		const octets = this.bytes.slice(0, this.length);
		this.discard();
		return octets;
	}

	/** Gives the writer back without asking for what was written. */
	discard(): void {
		this.length = 0;
		if (spare.length < MOST_SPARE && this.bytes.length <= MOST_KEPT_OCTETS) spare.push(this);
	}

	#grow(octets: number): void {
		const wider = new Uint8Array(Math.max(2 * this.bytes.length, this.length + octets));
		wider.set(this.bytes.subarray(0, this.length));
		this.bytes = wider;
	}
}

/** Text as UTF-8. Throws RangeError for half a surrogate pair, which UTF-8 has no octets for. */
export function utf8(text: string, field: string): Uint8Array {
	for (let i = 0; i < text.length; i++) {
		if (text.charCodeAt(i) > 0x7f) {
			if (/\p{Surrogate}/u.test(text))
				throw new RangeError(`${field} is ${JSON.stringify(text)}, expected whole characters`);
			return encoder.encode(text);
		}
	}
	const octets = new Uint8Array(text.length);
	for (let i = 0; i < text.length; i++) octets[i] = text.charCodeAt(i);
	return octets;
}

/** Texts up to this long are looked for among those that were read before. */
const MOST_KNOWN = 64;
const KNOWN_SLOTS = 4096;
/** Texts that were read, by what their octets come to: what many are told alike is one text for all of them. */
const known: string[] = new Array<string>(KNOWN_SLOTS).fill("");

/** UTF-8 as text; undefined when it is none. */
export function readUtf8(bytes: Uint8Array, from: number, to: number): string | undefined {
	let hash = to - from;
	for (let i = from; i < to; i++) {
		const octet = bytes[i]!;
		if (octet > 0x7f) return readWide(bytes.subarray(from, to));
		hash = Math.imul(hash ^ octet, 0x0100_0193);
	}
	if (to - from > MOST_KNOWN) return decoder.decode(bytes.subarray(from, to));
	const slot = (hash ^ (hash >>> 15)) & (KNOWN_SLOTS - 1);
	const before = known[slot]!;
	if (isText(before, bytes, from, to)) return before;
	// At once and not letter by letter, which leaves an object for each.
	const text = String.fromCharCode(...bytes.subarray(from, to));
	known[slot] = text;
	return text;
}

function isText(text: string, bytes: Uint8Array, from: number, to: number): boolean {
	if (text.length !== to - from) return false;
	for (let i = from; i < to; i++) if (text.charCodeAt(i - from) !== bytes[i]) return false;
	return true;
}

function readWide(bytes: Uint8Array): string | undefined {
	try {
		return decoder.decode(bytes);
	} catch {
		return undefined;
	}
}
