import { huffman, huffmanOctets, unhuffman } from "./huffman.ts";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";

/** One header field, its name in small letters. */
export type HeaderField = readonly [name: string, value: string];

/** RFC 7541 Appendix A: entries from 1, `name=value`. */
const STATIC: readonly HeaderField[] = (
	":authority :method=GET :method=POST :path=/ :path=/index.html :scheme=http :scheme=https :status=200 :status=204 " +
	":status=206 :status=304 :status=400 :status=404 :status=500 accept-charset accept-encoding=gzip,_deflate " +
	"accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control " +
	"content-disposition content-encoding content-language content-length content-location content-range content-type " +
	"cookie date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since " +
	"last-modified link location max-forwards proxy-authenticate proxy-authorization range referer refresh retry-after " +
	"server set-cookie strict-transport-security transfer-encoding user-agent vary via www-authenticate"
)
	.split(" ")
	.map((entry) => {
		const [name = "", value = ""] = entry.split("=");
		return [name, value.replace("_", " ")];
	});

/** What an entry of the dynamic table counts beside its text (§4.1). */
const ENTRY_OCTETS = 32;
/** `SETTINGS_HEADER_TABLE_SIZE`, never changed by gRPC. */
const TABLE_OCTETS = 4096;

/** The table that one direction of a connection builds up: newest entry first. */
class DynamicTable {
	readonly #entries: HeaderField[] = [];
	#octets = 0;

	at(index: number): HeaderField | undefined {
		return index <= STATIC.length ? STATIC[index - 1] : this.#entries[index - STATIC.length - 1];
	}

	/** Where it stands, whole or by its name alone; 0 for nowhere. */
	find(name: string, value: string): { readonly whole: number; readonly named: number } {
		let named = 0;
		for (let index = 1; ; index++) {
			const entry = this.at(index);
			if (entry === undefined) return { whole: 0, named };
			if (entry[0] !== name) continue;
			if (entry[1] === value) return { whole: index, named };
			if (named === 0) named = index;
		}
	}

	add(field: HeaderField): void {
		const octets = field[0].length + field[1].length + ENTRY_OCTETS;
		this.#entries.unshift(field);
		this.#octets += octets;
		while (this.#octets > TABLE_OCTETS) {
			const gone = this.#entries.pop();
			if (gone === undefined) break;
			this.#octets -= gone[0].length + gone[1].length + ENTRY_OCTETS;
		}
	}
}

/** Header blocks of one direction, compressed as Go's encoder does: every new field goes into the table (RFC 7541). */
export class HpackEncoder {
	readonly #table = new DynamicTable();

	encode(fields: readonly HeaderField[]): Uint8Array {
		const block: number[] = [];
		for (const [name, value] of fields) {
			const { whole, named } = this.#table.find(name, value);
			if (whole > 0) {
				integer(block, 0x80, 7, whole);
				continue;
			}
			integer(block, 0x40, 6, named);
			if (named === 0) string(block, name);
			string(block, value);
			this.#table.add([name, value]);
		}
		return Uint8Array.from(block);
	}
}

/** The other end of an `HpackEncoder`. */
export class HpackDecoder {
	readonly #table = new DynamicTable();

	/** The fields of a block; undefined for one that breaks the rules, after which the connection is of no use. */
	decode(block: Uint8Array): HeaderField[] | undefined {
		const fields: HeaderField[] = [];
		const reader = new BlockReader(block);
		while (reader.left > 0) {
			const first = reader.peek();
			if (first >= 0x80) {
				const field = this.#table.at(reader.integer(7));
				if (field === undefined) return undefined;
				fields.push(field);
				continue;
			}
			if ((first & 0xe0) === 0x20) return undefined;
			const indexed = (first & 0x40) !== 0;
			const index = reader.integer(indexed ? 6 : 4);
			const name = index === 0 ? reader.string() : this.#table.at(index)?.[0];
			const value = reader.string();
			if (name === undefined || value === undefined) return undefined;
			fields.push([name, value]);
			if (indexed) this.#table.add([name, value]);
		}
		return reader.failed ? undefined : fields;
	}
}

function integer(block: number[], flags: number, bits: number, value: number): void {
	const most = 2 ** bits - 1;
	if (value < most) {
		block.push(flags | value);
		return;
	}
	block.push(flags | most);
	let rest = value - most;
	while (rest >= 0x80) {
		block.push((rest & 0x7f) | 0x80);
		rest >>>= 7;
	}
	block.push(rest);
}

function string(block: number[], text: string): void {
	const plain = encodeUtf8(text);
	const coded = huffmanOctets(plain) < plain.length;
	const octets = coded ? huffman(plain) : plain;
	integer(block, coded ? 0x80 : 0, 7, octets.length);
	for (const octet of octets) block.push(octet);
}

class BlockReader {
	readonly #block: Uint8Array;
	#at = 0;
	failed = false;

	constructor(block: Uint8Array) {
		this.#block = block;
	}

	get left(): number {
		return this.failed ? 0 : this.#block.length - this.#at;
	}

	peek(): number {
		return this.#block[this.#at] ?? 0;
	}

	#octet(): number {
		const octet = this.#block[this.#at++];
		if (octet === undefined) this.failed = true;
		return octet ?? 0;
	}

	integer(bits: number): number {
		const most = 2 ** bits - 1;
		let value = this.#octet() & most;
		if (value < most) return value;
		for (let scale = 1; scale < 2 ** 28; scale *= 128) {
			const octet = this.#octet();
			value += (octet & 0x7f) * scale;
			if (octet < 0x80) return value;
		}
		this.failed = true;
		return 0;
	}

	string(): string | undefined {
		const coded = this.peek() >= 0x80;
		const octets = this.integer(7);
		if (octets > this.left) {
			this.failed = true;
			return undefined;
		}
		const text = this.#block.slice(this.#at, (this.#at += octets));
		const plain = coded ? unhuffman(text) : text;
		if (plain === undefined) this.failed = true;
		return plain === undefined ? undefined : decodeUtf8(plain);
	}
}
