// DNS messages, RFC 1035 §4, with EDNS (RFC 6891) as the record it is.
//   | id 2 | flags 2 | questions 2 | answers 2 | authorities 2 | additional 2 | questions … | records … |
// Names are text with a dot behind each label, "." for the root; octets that are no plain characters are `\ddd`.
import { formatIp4, formatIp6, type Ip4, type Ip6 } from "../addr/index.ts";
import type { DropReason } from "../drop.ts";
import { checkField, header } from "./layout.ts";

const HEADER = header({ id: 2, flags: 2, questions: 2, answers: 2, authorities: 2, additional: 2 });
const AT = HEADER.at;
/** Octets of the header. */
export const OCTETS: number = HEADER.octets;
/** The port of servers. */
export const PORT = 53;
/** Longest message by UDP without EDNS. */
export const UDP_OCTETS = 512;
const MOST_NAME = 255;
const MOST_LABEL = 63;
/** Pointers one name may follow: no name has more labels. */
const MOST_JUMPS = 127;
const POINTER = 0xc0;
/** Pointers have 14 bits. */
const FARTHEST = 0x4000;
const RECORD_OCTETS = 10;

/** Types of records and questions that have a name here. */
export const TYPE = {
	A: 1,
	NS: 2,
	CNAME: 5,
	SOA: 6,
	PTR: 12,
	MX: 15,
	TXT: 16,
	AAAA: 28,
	SRV: 33,
	OPT: 41,
	ANY: 255,
} as const;
/** The Internet. */
export const CLASS_IN = 1;
/** Bits of the flags word. */
export const FLAG = {
	QR: 0x8000,
	AA: 0x0400,
	TC: 0x0200,
	RD: 0x0100,
	RA: 0x0080,
	AD: 0x0020,
	CD: 0x0010,
} as const;
/** Answers' codes. */
export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

/** What is asked. */
export interface Question {
	readonly name: string;
	readonly type: number;
	readonly class: number;
}

/** A record. Its data is kept as octets; names in the data of the types of RFC 1035 are written out in full. */
export interface ResourceRecord {
	readonly name: string;
	readonly type: number;
	readonly class: number;
	/** Seconds. */
	readonly ttl: number;
	readonly data: Uint8Array;
}

/** What a message means. */
export interface Message {
	readonly id: number;
	/** `FLAG` and, in the lowest four bits, `RCODE`. */
	readonly flags: number;
	readonly questions: readonly Question[];
	readonly answers: readonly ResourceRecord[];
	readonly authorities: readonly ResourceRecord[];
	readonly additional: readonly ResourceRecord[];
}

/** Bytes → meaning. Never throws: pointers that lead nowhere, round or forward, and what ends too early are "dns-malformed". */
export function read(bytes: Uint8Array): Message | DropReason {
	if (bytes.length < OCTETS) return "dns-malformed";
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const reader = new Reader(bytes, view);
	const questions: Question[] = [];
	for (let i = view.getUint16(AT.questions); i > 0; i--) {
		const question = reader.question();
		if (question === undefined) return "dns-malformed";
		questions.push(question);
	}
	const sections: ResourceRecord[][] = [];
	for (const at of [AT.answers, AT.authorities, AT.additional]) {
		const records: ResourceRecord[] = [];
		for (let i = view.getUint16(at); i > 0; i--) {
			const record = reader.record();
			if (record === undefined) return "dns-malformed";
			records.push(record);
		}
		sections.push(records);
	}
	const [answers, authorities, additional] = sections as [
		ResourceRecord[],
		ResourceRecord[],
		ResourceRecord[],
	];
	return {
		id: view.getUint16(AT.id),
		flags: view.getUint16(AT.flags),
		questions,
		answers,
		authorities,
		additional,
	};
}

/**
 * Meaning → bytes. Names are written in full, as in Docker's own answers, or with `compress` by pointers to where they, or
 * their ends, stood before. Throws RangeError for what cannot be put into a message.
 */
export function write(
	message: Message,
	{ compress = false }: { readonly compress?: boolean } = {},
): Uint8Array<ArrayBuffer> {
	const writer = new Writer(compress);
	writer.put16("dns.id", message.id);
	writer.put16("dns.flags", message.flags);
	const sections = [message.answers, message.authorities, message.additional];
	for (const section of [message.questions, ...sections]) writer.put16("dns.count", section.length);
	for (const { name, type, class: klass } of message.questions) {
		writer.name(name);
		writer.put16("dns.type", type);
		writer.put16("dns.class", klass);
	}
	for (const record of sections.flat()) writer.record(record);
	return writer.bytes();
}

class Writer {
	readonly #octets: number[] = [];
	/** Where names, and their ends, stand; null while nothing is compressed. */
	readonly #seen: Map<string, number> | null;

	constructor(compress: boolean) {
		this.#seen = compress ? new Map<string, number>() : null;
	}

	bytes(): Uint8Array<ArrayBuffer> {
		return Uint8Array.from(this.#octets);
	}

	put16(field: string, value: number): void {
		checkField(field, value, 16);
		this.#octets.push(value >>> 8, value & 0xff);
	}

	name(name: string): void {
		const whole = nameOctets(name);
		if (this.#seen === null) {
			this.#octets.push(...whole);
			return;
		}
		for (let at = 0; whole[at] !== 0; at += whole[at]! + 1) {
			const rest = whole.slice(at).join(" ");
			const known = this.#seen.get(rest);
			if (known !== undefined) {
				this.#octets.push(((POINTER << 8) | known) >>> 8, known & 0xff);
				return;
			}
			if (this.#octets.length < FARTHEST) this.#seen.set(rest, this.#octets.length);
			this.#octets.push(...whole.slice(at, at + whole[at]! + 1));
		}
		this.#octets.push(0);
	}

	record(record: ResourceRecord): void {
		this.name(record.name);
		this.put16("dns.type", record.type);
		this.put16("dns.class", record.class);
		checkField("dns.ttl", record.ttl, 32);
		this.put16("dns.ttl", record.ttl >>> 16);
		this.put16("dns.ttl", record.ttl & 0xffff);
		this.put16("dns.data", record.data.length);
		const start = this.#octets.length;
		this.#data(record);
		const length = this.#octets.length - start;
		this.#octets[start - 2] = length >>> 8;
		this.#octets[start - 1] = length & 0xff;
	}

	/** Names in data are compressed in the types of RFC 1035 alone, which everyone knows (RFC 3597 §4). */
	#data({ type, data }: ResourceRecord): void {
		const shape = this.#seen === null || type === TYPE.SRV ? undefined : NAMES_IN_DATA.get(type);
		let at = shape?.before ?? 0;
		for (const octet of data.subarray(0, at)) this.#octets.push(octet);
		for (let i = 0; i < (shape?.names ?? 0); i++) {
			const name = nameIn(data.subarray(at));
			if (name === undefined) break;
			this.name(name);
			at += nameOctets(name).length;
		}
		for (const octet of data.subarray(at)) this.#octets.push(octet);
	}
}

/** The octets of a name: labels with their lengths, a zero behind the last. Throws RangeError beyond the limits of RFC 1035. */
export function nameOctets(name: string): number[] {
	const octets: number[] = [];
	for (const label of name === "." || name === "" ? [] : splitLabels(name)) {
		if (label.length === 0 || label.length > MOST_LABEL) {
			throw new RangeError(`dns.name is "${name}", expected labels of 1 to ${String(MOST_LABEL)} octets`);
		}
		octets.push(label.length, ...label);
	}
	octets.push(0);
	if (octets.length > MOST_NAME)
		throw new RangeError(`dns.name is "${name}", expected at most ${String(MOST_NAME)} octets`);
	return octets;
}

/** The labels of a name as octets. */
function splitLabels(name: string): number[][] {
	const labels: number[][] = [[]];
	for (let i = 0; i < name.length; i++) {
		const char = name[i]!;
		if (char === "." && i === name.length - 1) break;
		if (char === ".") labels.push([]);
		else if (char === "\\") {
			const decimal = /^\d{3}/.exec(name.slice(i + 1))?.[0];
			const code = decimal === undefined ? name.charCodeAt(i + 1) || 0x5c : Number(decimal);
			labels.at(-1)!.push(code & 0xff);
			i += decimal === undefined ? 1 : 3;
		} else labels.at(-1)!.push(name.charCodeAt(i) & 0xff);
	}
	return labels;
}

class Reader {
	readonly #bytes: Uint8Array;
	readonly #view: DataView;
	#at = OCTETS;

	constructor(bytes: Uint8Array, view: DataView) {
		this.#bytes = bytes;
		this.#view = view;
	}

	question(): Question | undefined {
		const name = this.#name();
		if (name === undefined || this.#at + 4 > this.#bytes.length) return undefined;
		const question = {
			name,
			type: this.#view.getUint16(this.#at),
			class: this.#view.getUint16(this.#at + 2),
		};
		this.#at += 4;
		return question;
	}

	record(): ResourceRecord | undefined {
		const name = this.#name();
		if (name === undefined || this.#at + RECORD_OCTETS > this.#bytes.length) return undefined;
		const at = this.#at;
		const type = this.#view.getUint16(at);
		const end = at + RECORD_OCTETS + this.#view.getUint16(at + 8);
		if (end > this.#bytes.length) return undefined;
		this.#at = at + RECORD_OCTETS;
		const data = this.#data(type, end);
		this.#at = end;
		return data === undefined
			? undefined
			: { name, type, class: this.#view.getUint16(at + 2), ttl: this.#view.getUint32(at + 4), data };
	}

	/** Data with the names in it written out, since a pointer means nothing elsewhere. */
	#data(type: number, end: number): Uint8Array | undefined {
		const shape = NAMES_IN_DATA.get(type);
		if (shape === undefined) return this.#bytes.slice(this.#at, end);
		const octets = [...this.#bytes.subarray(this.#at, this.#at + shape.before)];
		this.#at += shape.before;
		for (let i = 0; i < shape.names; i++) {
			const name = this.#at < end ? this.#name() : undefined;
			if (name === undefined || this.#at > end) return undefined;
			octets.push(...nameOctets(name));
		}
		return Uint8Array.from([...octets, ...this.#bytes.subarray(this.#at, end)]);
	}

	#name(): string | undefined {
		let text = "";
		let octets = 1;
		let at = this.#at;
		let behind = -1;
		let lowest = at;
		for (let jumps = 0; ;) {
			if (at >= this.#bytes.length) return undefined;
			const length = this.#bytes[at]!;
			if ((length & POINTER) === POINTER) {
				if (at + 1 >= this.#bytes.length || ++jumps > MOST_JUMPS) return undefined;
				if (behind < 0) behind = at + 2;
				const target = this.#view.getUint16(at) & 0x3fff;
				// A pointer leads back, to what was read before (RFC 1035 §4.1.4: "a prior occurrence").
				if (target >= lowest) return undefined;
				at = lowest = target;
				continue;
			}
			if (length > MOST_LABEL || at + 1 + length > this.#bytes.length) return undefined;
			at++;
			if (length === 0) break;
			octets += length + 1;
			if (octets > MOST_NAME) return undefined;
			for (const octet of this.#bytes.subarray(at, at + length)) text += char(octet);
			text += ".";
			at += length;
		}
		this.#at = behind < 0 ? at : behind;
		return text === "" ? "." : text;
	}
}

/** Types whose data has names in it: octets in front of the first, and how many follow each other. */
const NAMES_IN_DATA: ReadonlyMap<number, { readonly before: number; readonly names: number }> = new Map([
	[TYPE.NS, { before: 0, names: 1 }],
	[TYPE.CNAME, { before: 0, names: 1 }],
	[TYPE.PTR, { before: 0, names: 1 }],
	[TYPE.MX, { before: 2, names: 1 }],
	[TYPE.SOA, { before: 0, names: 2 }],
	[TYPE.SRV, { before: 6, names: 1 }],
]);

/** An octet of a label as text: dots, backslashes and what is no plain character are escaped. */
function char(octet: number): string {
	if (octet === 0x2e || octet === 0x5c) return `\\${String.fromCharCode(octet)}`;
	return octet > 0x20 && octet < 0x7f ? String.fromCharCode(octet) : `\\${String(octet).padStart(3, "0")}`;
}

/** The name in a record's data that is nothing else (PTR, CNAME, NS); undefined for other data. */
export function nameIn(data: Uint8Array): string | undefined {
	const padded = new Uint8Array(OCTETS + data.length);
	padded.set(data, OCTETS);
	let at = OCTETS;
	let text = "";
	while (at < padded.length) {
		const length = padded[at]!;
		if (length === 0) return text === "" ? "." : text;
		if (length > MOST_LABEL) return undefined;
		for (const octet of padded.subarray(at + 1, at + 1 + length)) text += char(octet);
		text += ".";
		at += length + 1;
	}
	return undefined;
}

/** Address records as people write them: `172.19.0.3`, `fd00::2`; undefined for other data. */
export function addressIn({ type, data }: ResourceRecord): string | undefined {
	const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
	if (type === TYPE.A && data.length === 4) return formatIp4(view.getInt32(0) as Ip4);
	if (type !== TYPE.AAAA || data.length !== 16) return undefined;
	return formatIp6(((view.getBigUint64(0) << 64n) | view.getBigUint64(8)) as Ip6);
}
