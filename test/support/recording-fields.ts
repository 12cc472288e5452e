import { dissect, type Field, type Layer } from "../../src/wire/index.ts";

/** One field of a frame, as frames are compared. */
export interface ComparedField extends Pick<Field, "name" | "octets" | "value" | "text" | "good"> {
	/** `ipv4.ttl`, `inner ipv4.ttl` in a tunnel, `quoted ipv4.ttl` in an ICMP error. */
	readonly path: string;
	/** Of what the field is counted or drawn: a direction of a connection, a pair of hosts. */
	readonly owner: string;
	/** In a header of a fragment. */
	readonly fragment: boolean;
}

/** A frame through all its layers, with questions that selections ask. Packets quoted by ICMP errors do not count. */
export class DissectedFrame {
	/** From 1, in its capture. */
	readonly number: number;
	readonly data: Uint8Array;
	readonly layers: readonly Layer[];

	constructor(number: number, data: Uint8Array) {
		this.number = number;
		this.data = data;
		this.layers = dissect(data);
	}

	/** True if there is a header of this protocol: `frame.has("arp")`. */
	has(protocol: string): boolean {
		return this.layers.some((layer) => layer.protocol === protocol && !layer.quoted);
	}

	/** The first field of that name as text: `frame.text("ipv4.source") === "10.0.1.6"`. */
	text(name: string): string | undefined {
		return this.#field(name)?.text;
	}

	/** The first field of that name as a number: `frame.value("udp.destinationPort") === 7946`. */
	value(name: string): number | undefined {
		const value = this.#field(name)?.value;
		return typeof value === "number" ? value : undefined;
	}

	#field(name: string): Field | undefined {
		const fields = this.layers.filter((layer) => !layer.quoted).flatMap((layer) => layer.fields);
		return fields.find((field) => field.name === name);
	}
}

/** Says whether a UDP payload is a DNS message, by the ports of its recorded datagram. */
export const isDns = (udp: Layer, ports: readonly number[]): boolean =>
	udp.fields.some(
		({ name, value }) => /^udp\.(source|destination)Port$/.test(name) && ports.includes(Number(value)),
	);

/**
 * All fields of a frame, in order and without a gap. What dissection leaves whole is taken apart where a part of it
 * is drawn at random: options of TCP, the id of DNS messages (`dns` holds the indices of their UDP layers).
 */
export function fieldsOf(layers: readonly Layer[], dns: ReadonlySet<number>): ComparedField[] {
	const fields: ComparedField[] = [];
	let [ip, tunnel, fragment, train] = [{ source: "", destination: "" }, "", false, ""];
	for (const [index, layer] of layers.entries()) {
		const of = (name: string): Field | undefined => layer.fields.find((field) => field.name === name);
		if (layer.protocol === "ipv4") {
			ip = { source: of("ipv4.source")?.text ?? "", destination: of("ipv4.destination")?.text ?? "" };
			const more = (Number(of("ipv4.flags")?.value ?? 0) & 1) === 1;
			fragment = more || Number(of("ipv4.fragmentOffset")?.value ?? 0) > 0;
			train = `${ip.source} > ${ip.destination}`;
		}
		const from = `${ip.source}:${of("tcp.sourcePort")?.text ?? ""}`;
		const to = `${ip.destination}:${of("tcp.destinationPort")?.text ?? ""}`;
		const counted: Record<string, string> = {
			"tcp.sequence": `${from} > ${to}`,
			"tcp.tsval": `${from} > ${to}`,
			"tcp.acknowledgment": `${to} > ${from}`,
			"tcp.sackEdge": `${to} > ${from}`,
			"tcp.tsecr": `${to} > ${from}`,
		};
		const inside = layers[index + 1];
		if (layer.protocol === "ipv4" && inside?.protocol === "tcp" && !fragment) {
			const port = (name: string): string => inside.fields.find((field) => field.name === name)?.text ?? "";
			counted["ipv4.ident"] =
				`${ip.source}:${port("tcp.sourcePort")} > ${ip.destination}:${port("tcp.destinationPort")}`;
		}
		const prefix = `${tunnel}${layer.quoted ? "quoted " : ""}`;
		for (const field of parts(layer, dns.has(index - 1))) {
			fields.push({
				...field,
				path: `${prefix}${field.name}`,
				owner: counted[field.name] ?? train,
				fragment: fragment && layer.protocol === "ipv4",
			});
		}
		if (layer.protocol === "vxlan") tunnel += "inner ";
	}
	return fields;
}

type Part = Pick<Field, "name" | "octets" | "value" | "text" | "good">;

function parts(layer: Layer, dns: boolean): Part[] {
	return layer.fields.flatMap((field): Part[] => {
		if (!(field.value instanceof Uint8Array)) return [field];
		if (field.name === "tcp.options") return tcpOptions(field.value);
		if (field.name === "tcp.quoted" && field.octets >= 8) return quotedTcp(field.value);
		if (dns && field.name === "payload.data" && field.octets >= 2) {
			return [word("dns.id", field.value, 0, 2), rest("dns.message", field.value.subarray(2))];
		}
		return [field];
	});
}

/** Kind by kind; timestamps and selective acknowledgments number by number. */
function tcpOptions(octets: Uint8Array): Part[] {
	const found: Part[] = [];
	let at = 0;
	while (at < octets.length) {
		const kind = octets[at] ?? 0;
		const length = kind < 2 ? 1 : (octets[at + 1] ?? 0);
		if (length === 0 || at + length > octets.length) break;
		const option = octets.subarray(at, at + length);
		const numbers =
			kind === 8 && length === 10 ? ["tcp.tsval", "tcp.tsecr"] : kind === 5 ? sackEdges(length) : [];
		if (numbers.length === 0) found.push(rest("tcp.option", option));
		else {
			found.push(rest("tcp.option", option.subarray(0, 2)));
			for (const [i, name] of numbers.entries()) found.push(word(name, option, 2 + 4 * i, 4));
		}
		at += length;
	}
	return at < octets.length ? [...found, rest("tcp.options", octets.subarray(at))] : found;
}

const sackEdges = (length: number): string[] =>
	(length - 2) % 8 === 0 ? Array.from({ length: (length - 2) / 4 }, () => "tcp.sackEdge") : [];

/** The eight octets of a segment that every ICMP error quotes. */
const quotedTcp = (octets: Uint8Array): Part[] => [
	word("tcp.sourcePort", octets, 0, 2),
	word("tcp.destinationPort", octets, 2, 2),
	word("tcp.sequence", octets, 4, 4),
	rest("tcp.quoted", octets.subarray(8)),
];

function word(name: string, octets: Uint8Array, at: number, length: 2 | 4): Part {
	const view = new DataView(octets.buffer, octets.byteOffset);
	const value = length === 2 ? view.getUint16(at) : view.getUint32(at);
	return { name, octets: length, value, text: String(value) };
}

function rest(name: string, value: Uint8Array): Part {
	return { name, octets: value.length, value, text: Buffer.from(value).toString("hex") };
}
