// ICMP, RFC 792; next-hop MTU RFC 1191.   | type 1 | code 1 | checksum 2 | rest 4 | data … |
//   rest: echo and timestamp: id 2, sequence 2; unreachable code 4: unused 2, MTU 2; redirect: gateway 4;
//   parameter problem: pointer 1, unused 3. Errors carry the packet they are about, cut short.
import type { DropReason } from "../drop.ts";
import { checksum as checksumOf } from "./checksum.ts";
import { checkField, header } from "./layout.ts";

const HEADER = header({ type: 1, code: 1, checksum: 2, rest: 4 });
/** Octets before the data. */
export const OCTETS: number = HEADER.octets;
const AT = HEADER.at;
/** Octets of a timestamp message: header and three times. */
export const TIMESTAMP_OCTETS = 20;

/** Answer to an echo request. */
export const ECHO_REPLY = 0;
/** The packet cannot get where it was to go; the code says why. */
export const UNREACHABLE = 3;
/** Send more slowly; no longer sent by anyone (RFC 6633). */
export const SOURCE_QUENCH = 4;
/** There is a better first router. */
export const REDIRECT = 5;
/** Please send this back. */
export const ECHO_REQUEST = 8;
/** TTL or reassembly time ran out. */
export const TIME_EXCEEDED = 11;
/** A header field is wrong. */
export const PARAMETER_PROBLEM = 12;
/** Question for the time. */
export const TIMESTAMP = 13;
/** The time. */
export const TIMESTAMP_REPLY = 14;

// Codes of UNREACHABLE.
/** No route to the network. */
export const NET_UNREACHABLE = 0;
/** The last router cannot reach the host. */
export const HOST_UNREACHABLE = 1;
/** No handler for the protocol. */
export const PROTOCOL_UNREACHABLE = 2;
/** No socket on the port. */
export const PORT_UNREACHABLE = 3;
/** Longer than the next MTU, with Don't Fragment set (RFC 1191). */
export const FRAG_NEEDED = 4;
/** Communication administratively prohibited (RFC 1812 §5.2.7.1). */
export const ADMIN_PROHIBITED = 13;
// Codes of REDIRECT and TIME_EXCEEDED.
/** Redirect for the host. */
export const REDIRECT_HOST = 1;
/** TTL ran out. */
export const TTL_EXCEEDED = 0;
/** Not all fragments came in time. */
export const REASSEMBLY_EXCEEDED = 1;

/** Types that ask or answer; all others that are known tell of an error, and of errors no error is told. */
const QUERIES: ReadonlySet<number> = new Set([0, 8, 9, 10, 13, 14, 15, 16, 17, 18]);

/** What the message is. */
export const type = (v: DataView, at: number): number => v.getUint8(at + AT.type);
/** What kind of the type. */
export const code = (v: DataView, at: number): number => v.getUint8(at + AT.code);
/** The checksum field, over the whole message. */
export const checksum = (v: DataView, at: number): number => v.getUint16(at + AT.checksum);
/** The second word, whatever it means for the type. */
export const rest = (v: DataView, at: number): number => v.getUint32(at + AT.rest);
/** Identifier of echo and timestamp messages. */
export const id = (v: DataView, at: number): number => v.getUint16(at + AT.rest);
/** Sequence number of echo and timestamp messages. */
export const sequence = (v: DataView, at: number): number => v.getUint16(at + AT.rest + 2);
/** True for messages that are no errors. */
export const isQuery = (messageType: number): boolean => QUERIES.has(messageType);
/** True for messages that quote a packet. */
export const isError = (messageType: number): boolean =>
	messageType === UNREACHABLE ||
	messageType === SOURCE_QUENCH ||
	messageType === REDIRECT ||
	messageType === TIME_EXCEEDED ||
	messageType === PARAMETER_PROBLEM;
/** The MTU in the second word of "fragmentation needed"; 0 from routers older than RFC 1191. */
export const nextHopMtu = (word: number): number => word & 0xffff;

/** Changes type and code and mends the checksum over `octets` octets: computed anew when it was not right. */
export function setType(v: DataView, at: number, to: number, toCode: number): void {
	const old = v.getUint16(at + AT.type);
	const now = (to << 8) | toCode;
	v.setUint16(at + AT.type, now);
	// RFC 1624 eq. 3; the field is the complement of a sum, so adding the difference takes it off the field.
	let field = (~v.getUint16(at + AT.checksum) & 0xffff) + (~old & 0xffff) + now;
	field = (field & 0xffff) + (field >>> 16);
	field = (field & 0xffff) + (field >>> 16);
	v.setUint16(at + AT.checksum, ~field & 0xffff);
}

/** Computes the checksum of a message as it stands. */
export function writeChecksum(v: DataView, at: number, octets: number): void {
	v.setUint16(at + AT.checksum, 0);
	v.setUint16(at + AT.checksum, checksumOf(v, at, octets));
}

/** Writes the header of an echo message; data and checksum are the caller's. */
export function writeEcho(
	v: DataView,
	at: number,
	echoType: number,
	echoId: number,
	echoSequence: number,
): void {
	v.setUint32(at, echoType << 24);
	v.setUint16(at + AT.rest, echoId);
	v.setUint16(at + AT.rest + 2, echoSequence);
}

/** Writes the header of an error; the quoted packet and the checksum are the caller's. */
export function writeError(
	v: DataView,
	at: number,
	errorType: number,
	errorCode: number,
	word: number,
): void {
	v.setUint32(at, ((errorType << 24) | (errorCode << 16)) >>> 0);
	v.setUint32(at + AT.rest, word);
}

/** Makes a timestamp request its reply: received and sent at `now`, milliseconds since midnight UT (RFC 792). */
export function answerTimestamp(v: DataView, at: number, now: number): void {
	v.setUint8(at + AT.type, TIMESTAMP_REPLY);
	v.setUint32(at + OCTETS + 4, now);
	v.setUint32(at + OCTETS + 8, now);
	writeChecksum(v, at, TIMESTAMP_OCTETS);
}

/** What an ICMP message means. */
export interface Icmp {
	readonly type: number;
	readonly code: number;
	/** The second word as it stands. */
	readonly rest: number;
	/** Everything behind it: echo data, times, the quoted packet. */
	readonly data: Uint8Array;
}

/** Octets of a message. */
export const octets = (message: Icmp): number => OCTETS + message.data.length;

/** Bytes → meaning. The checksum is judged. */
export function read(v: DataView, at: number, end: number): Icmp | DropReason {
	if (end - at < OCTETS) return "icmp-truncated";
	if (checksumOf(v, at, end - at) !== 0) return "icmp-csum";
	return {
		type: type(v, at),
		code: code(v, at),
		rest: rest(v, at),
		data: new Uint8Array(v.buffer, v.byteOffset + at + OCTETS, end - at - OCTETS).slice(),
	};
}

/** Meaning → bytes, checksum included. Throws RangeError for a field too large. */
export function write(v: DataView, at: number, message: Icmp): void {
	checkField("icmp.type", message.type, 8);
	checkField("icmp.code", message.code, 8);
	checkField("icmp.rest", message.rest, 32);
	writeError(v, at, message.type, message.code, message.rest);
	for (const [i, octet] of message.data.entries()) v.setUint8(at + OCTETS + i, octet);
	writeChecksum(v, at, octets(message));
}
