import { Rng } from "../../sim/index.ts";
import { tls } from "../../wire/index.ts";

/** Behind a fragment: its type, and the tag. */
const TYPE_OCTETS = 1;
const TAG_OCTETS = tls.SEAL_OCTETS - TYPE_OCTETS;

/**
 * One direction's sealing of records under one key (RFC 8446 §5.2, §5.3).
 *
 * Sealed records are as long as the suite's and look as they do from outside; what covers them is a stream of chance, and
 * the tag is a checksum under it, that finds every changed octet. Both sides draw the key from what both sent in the clear:
 * whoever saw the hellos could open records, so that a real cipher would keep nobody out and be most of a node's work.
 */
export class RecordProtection {
	readonly #key: string;
	#sequence = 0;

	/** `label` tells directions and stages apart. */
	constructor(clientRandom: Uint8Array, serverRandom: Uint8Array, label: string) {
		const rng = new Rng(`${String.fromCharCode(...clientRandom, ...serverRandom)}${label}`);
		this.#key = `${String(rng.uint32())}/${String(rng.uint32())}`;
	}

	/** A record of application data with a fragment of any type in it. Throws RangeError for a fragment that is too long. */
	seal(type: number, fragment: Uint8Array): Uint8Array {
		const { CONTENT, VERSION, OCTETS } = tls;
		const record = tls.recordFor(
			CONTENT.APPLICATION_DATA,
			VERSION.TLS_1_2,
			fragment.length + tls.SEAL_OCTETS,
		);
		const stream = this.#stream();
		const end = OCTETS + fragment.length + TYPE_OCTETS;
		record.set(fragment, OCTETS);
		record[end - TYPE_OCTETS] = type;
		cover(stream, record, OCTETS, end);
		record.set(tag(stream, record, OCTETS, end), end);
		return record;
	}

	/** What was sealed; undefined when it was not under this key, or something is missing. */
	open(sealed: Uint8Array): { readonly type: number; readonly fragment: Uint8Array } | undefined {
		const octets = sealed.length - TAG_OCTETS;
		if (octets < TYPE_OCTETS) return undefined;
		const stream = this.#stream();
		const inner = sealed.slice(0, octets);
		cover(stream, inner, 0, octets);
		const expected = tag(stream, sealed, 0, octets);
		for (let i = 0; i < TAG_OCTETS; i++) if (sealed[octets + i] !== expected[i]) return undefined;
		// Zeros behind the type are padding.
		let end = octets - TYPE_OCTETS;
		while (end > 0 && inner[end] === 0) end--;
		return { type: inner[end] ?? 0, fragment: inner.subarray(0, end) };
	}

	/** Each record has one of its own. */
	#stream(): Rng {
		return new Rng(`${this.#key}/${String(this.#sequence++)}`);
	}
}

/** Covers octets, or uncovers them. */
function cover(stream: Rng, octets: Uint8Array, from: number, to: number): void {
	for (let at = from, word = 0; at < to; at++) {
		word = ((at - from) & 3) === 0 ? stream.uint32() : word >>> 8;
		octets[at] = (octets[at] ?? 0) ^ word;
	}
}

/** 16 octets by covered ones, FNV-1a under a stream's next draws. */
function tag(stream: Rng, octets: Uint8Array, from: number, to: number): Uint8Array {
	let hash = 0x811c_9dc5;
	for (let at = from; at < to; at++) hash = Math.imul(hash ^ (octets[at] ?? 0), 0x0100_0193);
	const found = new Uint8Array(TAG_OCTETS);
	const view = new DataView(found.buffer);
	for (let at = 0; at < TAG_OCTETS; at += 4) view.setUint32(at, stream.uint32() ^ hash);
	return found;
}
