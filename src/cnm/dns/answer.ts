import { parseIp4 } from "../../addr/index.ts";
import type { Rng } from "../../sim/index.ts";
import { dns } from "../../wire/index.ts";
import type { NameSource } from "./names.ts";

/** Seconds that Docker's answers may be kept. */
const TTL = 600;
/** Of the query's flags those that an answer repeats: operation, RD, CD. */
const KEPT = 0x7800 | dns.FLAG.RD | dns.FLAG.CD;

/**
 * What the server answers itself: addresses of names it knows, nothing for other types of those names that it looks up
 * (AAAA, MX), names of addresses. Undefined for all else, which goes upstream (resolver.go, `serveDNS`).
 */
export function answer(query: dns.Message, names: NameSource, rng: Rng): dns.Message | undefined {
	const [question] = query.questions;
	if (question === undefined) return undefined;
	const { name, type } = question;
	switch (type) {
		case dns.TYPE.A: {
			const addresses = names.addresses(name);
			if (addresses === undefined) return undefined;
			const records = rng.shuffled(addresses).map((address) => {
				const data = new Uint8Array(4);
				new DataView(data.buffer).setUint32(0, address);
				return { name, type, class: dns.CLASS_IN, ttl: TTL, data };
			});
			return reply(query, records);
		}
		case dns.TYPE.AAAA:
		case dns.TYPE.MX:
			return names.addresses(name) === undefined ? undefined : reply(query, []);
		case dns.TYPE.PTR: {
			const address = parseIp4(
				name
					.replace(/\.in-addr\.arpa\.$/i, "")
					.split(".")
					.reverse()
					.join("."),
			);
			const known = address === undefined ? undefined : names.nameOf(address);
			if (known === undefined) return undefined;
			return reply(query, [
				{ name, type, class: dns.CLASS_IN, ttl: TTL, data: Uint8Array.from(dns.nameOctets(known)) },
			]);
		}
		default:
			return undefined;
	}
}

/** A reply to a query in Docker's manner: RA, no AA, no EDNS, the question repeated as it came. */
export function reply(query: dns.Message, answers: readonly dns.ResourceRecord[], rcode = 0): dns.Message {
	return {
		id: query.id,
		flags: dns.FLAG.QR | dns.FLAG.RA | (query.flags & KEPT) | rcode,
		questions: query.questions,
		answers,
		authorities: [],
		additional: [],
	};
}

/** Cuts answers until a message fits, and says so (`truncateResp`). */
export function fitted(message: dns.Message, octets: number): Uint8Array<ArrayBuffer> {
	let bytes = dns.write(message);
	let { answers } = message;
	while (bytes.length > octets && answers.length > 0) {
		answers = answers.slice(0, -1);
		bytes = dns.write({ ...message, answers, flags: message.flags | dns.FLAG.TC });
	}
	return bytes;
}

/** What the asker takes by UDP: 512 octets, or what its EDNS record says. */
export const udpOctets = (query: dns.Message): number =>
	Math.max(dns.UDP_OCTETS, query.additional.find(({ type }) => type === dns.TYPE.OPT)?.class ?? 0);
