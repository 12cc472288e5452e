// TLS 1.3 on the wire: records (RFC 8446 §5.1) and the two handshake messages that go in the clear (§4.1).
//   | type 1 | version 2 | length 2 | fragment … |
// Behind the hellos everything is sealed: | fragment | content type 1 | tag 16 | in records of type application data.
import type { DropReason } from "../drop.ts";
import { joined } from "./joined.ts";
import { checkField, header } from "./layout.ts";

const HEADER = header({ type: 1, version: 2, length: 2 });
const AT = HEADER.at;
/** Octets in front of a record's fragment. */
export const OCTETS: number = HEADER.octets;
/** Octets that sealing adds to a fragment: its content type and the tag of AES-GCM. */
export const SEAL_OCTETS = 17;
/** Longest fragment in the clear. */
export const MOST_OCTETS = 0x4000;
/** What sealed records may be longer by. */
const MOST_EXPANSION = 256;
const RANDOM_OCTETS = 32;
/** A handshake message's type and length. */
const MESSAGE_OCTETS = 4;

/** Types of records. */
export const CONTENT = { CHANGE_CIPHER_SPEC: 20, ALERT: 21, HANDSHAKE: 22, APPLICATION_DATA: 23 } as const;
/** Types of handshake messages. */
export const HANDSHAKE = {
	CLIENT_HELLO: 1,
	SERVER_HELLO: 2,
	ENCRYPTED_EXTENSIONS: 8,
	CERTIFICATE: 11,
	CERTIFICATE_REQUEST: 13,
	CERTIFICATE_VERIFY: 15,
	FINISHED: 20,
} as const;
/** Versions as records and hellos have them. */
export const VERSION = { TLS_1_0: 0x0301, TLS_1_2: 0x0303, TLS_1_3: 0x0304 } as const;
/** The suite that Go's servers choose of what Go's clients offer. */
export const TLS_AES_128_GCM_SHA256 = 0x1301;

const EXTENSION = {
	server_name: 0,
	status_request: 5,
	supported_groups: 10,
	ec_point_formats: 11,
	signature_algorithms: 13,
	application_layer_protocol_negotiation: 16,
	signed_certificate_timestamp: 18,
	supported_versions: 43,
	key_share: 51,
	renegotiation_info: 0xff01,
} as const;
const X25519 = 29;

/** What Go 1.19's client offers, in its order (crypto/tls, `cipherSuitesPreferenceOrder`). */
const SUITES = [
	0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc009, 0xc013, 0xc00a, 0xc014, 0x009c, 0x009d, 0x002f,
	0x0035, 0xc012, 0x000a, 0x1301, 0x1302, 0x1303,
] as const;
const GROUPS = [X25519, 23, 24, 25] as const;
const SIGNATURES = [
	0x0804, 0x0403, 0x0807, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0503, 0x0603, 0x0201, 0x0203,
] as const;

/** One record. */
export interface TlsRecord {
	readonly type: number;
	readonly version: number;
	/** Of a record that was read a view. */
	readonly fragment: Uint8Array;
}

/** What a ClientHello says beside what every Go client offers. */
export interface ClientHello {
	/** 32 octets. */
	readonly random: Uint8Array;
	/** 32 octets: TLS 1.3 has no sessions by id, middleboxes look for them. */
	readonly sessionId: Uint8Array;
	/** SNI, if the server is asked for by name. */
	readonly serverName: string | undefined;
	/** ALPN, most wanted first. */
	readonly protocols: readonly string[];
	/** x25519, 32 octets. */
	readonly keyShare: Uint8Array;
}

/** What a ServerHello says. */
export interface ServerHello {
	readonly random: Uint8Array;
	/** The client's. */
	readonly sessionId: Uint8Array;
	readonly cipherSuite: number;
	readonly keyShare: Uint8Array;
}

/** The first record in a stream of octets, or undefined while some of it is missing. */
export function read(bytes: Uint8Array): TlsRecord | DropReason | undefined {
	if (bytes.length < OCTETS) return undefined;
	const view = viewOf(bytes);
	const [type, version, length] = [
		view.getUint8(AT.type),
		view.getUint16(AT.version),
		view.getUint16(AT.length),
	];
	if (type < CONTENT.CHANGE_CIPHER_SPEC || type > CONTENT.APPLICATION_DATA || version >>> 8 !== 3)
		return "tls-malformed";
	if (length > MOST_OCTETS + MOST_EXPANSION) return "tls-malformed";
	if (bytes.length < OCTETS + length) return undefined;
	return { type, version, fragment: bytes.subarray(OCTETS, OCTETS + length) };
}

/** A record's octets. Throws RangeError for a fragment that is too long. */
export function write({ type, version, fragment }: TlsRecord): Uint8Array {
	const bytes = recordFor(type, version, fragment.length);
	bytes.set(fragment, OCTETS);
	return bytes;
}

/** A record with room for a fragment of so many octets behind its header. Throws as `write`. */
export function recordFor(type: number, version: number, octets: number): Uint8Array {
	checkField("tls.type", type, 8);
	checkField("tls.version", version, 16);
	if (octets > MOST_OCTETS + MOST_EXPANSION)
		throw new RangeError(`tls.fragment has ${String(octets)} octets, expected at most 16640`);
	const bytes = new Uint8Array(OCTETS + octets);
	const view = viewOf(bytes);
	view.setUint8(AT.type, type);
	view.setUint16(AT.version, version);
	view.setUint16(AT.length, octets);
	return bytes;
}

/** A handshake message: its type and length in front. */
export const message = (type: number, body: Uint8Array): Uint8Array =>
	joined([Uint8Array.of(type, 0, body.length >>> 8, body.length & 0xff), body]);

/** The first handshake message of a fragment. */
export function readMessage(
	bytes: Uint8Array,
): { readonly type: number; readonly body: Uint8Array } | DropReason {
	const [type, high, middle, low] = bytes;
	if (type === undefined || high === undefined || middle === undefined || low === undefined)
		return "tls-malformed";
	const end = MESSAGE_OCTETS + high * 0x1_0000 + middle * 0x100 + low;
	return bytes.length < end ? "tls-malformed" : { type, body: bytes.slice(MESSAGE_OCTETS, end) };
}

/** A ClientHello as Go 1.19 writes it, in a record of its own. */
export function writeClientHello(hello: ClientHello): Uint8Array {
	const { serverName } = hello;
	const name = serverName === undefined ? [] : [extension("server_name", withLength16(named(serverName)))];
	const body = joined([
		words([VERSION.TLS_1_2]),
		hello.random,
		withLength8(hello.sessionId),
		OFFERED_SUITES,
		withLength16(
			joined([
				...name,
				OFFERED,
				extension(
					"application_layer_protocol_negotiation",
					withLength16(joined(hello.protocols.map((protocol) => withLength8(ascii(protocol))))),
				),
				OFFERED_VERSIONS,
				extension("key_share", withLength16(share(hello.keyShare))),
			]),
		),
	]);
	return write({
		type: CONTENT.HANDSHAKE,
		version: VERSION.TLS_1_0,
		fragment: message(HANDSHAKE.CLIENT_HELLO, body),
	});
}

/** What a handshake message's body says as a ClientHello. */
export function readClientHello(body: Uint8Array): ClientHello | DropReason {
	const reader = new Reader(body);
	reader.skip(2);
	const random = reader.take(RANDOM_OCTETS);
	const sessionId = reader.vector8();
	reader.vector16();
	reader.vector8();
	const extensions = readExtensions(reader.vector16());
	const keyShare = readShare(new Reader(extensions.get(EXTENSION.key_share) ?? NOTHING).vector16());
	if (reader.failed || keyShare === undefined) return "tls-malformed";
	const list = new Reader(
		extensions.get(EXTENSION.application_layer_protocol_negotiation) ?? NOTHING,
	).vector16();
	const protocols: string[] = [];
	for (const each = new Reader(list); each.left > 0 && !each.failed;) protocols.push(textOf(each.vector8()));
	const name = extensions.get(EXTENSION.server_name);
	const serverName = name === undefined ? undefined : textOf(name.slice(5));
	return { random, sessionId, serverName, protocols, keyShare };
}

/** A ServerHello in a record of its own. */
export function writeServerHello(hello: ServerHello): Uint8Array {
	const body = joined([
		words([VERSION.TLS_1_2]),
		hello.random,
		withLength8(hello.sessionId),
		words([hello.cipherSuite]),
		Uint8Array.of(0),
		withLength16(
			joined([
				extension("supported_versions", words([VERSION.TLS_1_3])),
				extension("key_share", share(hello.keyShare)),
			]),
		),
	]);
	return write({
		type: CONTENT.HANDSHAKE,
		version: VERSION.TLS_1_2,
		fragment: message(HANDSHAKE.SERVER_HELLO, body),
	});
}

/** What a handshake message's body says as a ServerHello. */
export function readServerHello(body: Uint8Array): ServerHello | DropReason {
	const reader = new Reader(body);
	reader.skip(2);
	const random = reader.take(RANDOM_OCTETS);
	const sessionId = reader.vector8();
	const cipherSuite = reader.word();
	reader.skip(1);
	const extensions = readExtensions(reader.vector16());
	const keyShare = readShare(extensions.get(EXTENSION.key_share) ?? NOTHING);
	if (reader.failed || keyShare === undefined) return "tls-malformed";
	return { random, sessionId, cipherSuite, keyShare };
}

const NOTHING = new Uint8Array(0);

const viewOf = (bytes: Uint8Array): DataView =>
	new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const ascii = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0) & 0x7f);
const textOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
const words = (values: readonly number[]): Uint8Array =>
	Uint8Array.from(values.flatMap((value) => [value >>> 8, value & 0xff]));
const withLength8 = (bytes: Uint8Array): Uint8Array => joined([Uint8Array.of(bytes.length), bytes]);
const withLength16 = (bytes: Uint8Array): Uint8Array => joined([words([bytes.length]), bytes]);
const extension = (name: keyof typeof EXTENSION, body: Uint8Array): Uint8Array =>
	joined([words([EXTENSION[name]]), withLength16(body)]);
const named = (name: string): Uint8Array => joined([Uint8Array.of(0), withLength16(ascii(name))]);
const share = (key: Uint8Array): Uint8Array => joined([words([X25519]), withLength16(key)]);

// What every client's hello has alike: suites and methods of compression, and extensions in front of ALPN and behind it.
const OFFERED_SUITES = joined([withLength16(words(SUITES)), withLength8(Uint8Array.of(0))]);
const OFFERED = joined([
	extension("status_request", Uint8Array.of(1, 0, 0, 0, 0)),
	extension("supported_groups", withLength16(words(GROUPS))),
	extension("ec_point_formats", withLength8(Uint8Array.of(0))),
	extension("signature_algorithms", withLength16(words(SIGNATURES))),
	extension("renegotiation_info", withLength8(new Uint8Array(0))),
]);
const OFFERED_VERSIONS = joined([
	extension("signed_certificate_timestamp", new Uint8Array(0)),
	extension("supported_versions", withLength8(words([VERSION.TLS_1_3, VERSION.TLS_1_2]))),
]);

function readExtensions(bytes: Uint8Array): Map<number, Uint8Array> {
	const found = new Map<number, Uint8Array>();
	for (const reader = new Reader(bytes); reader.left > 0 && !reader.failed;)
		found.set(reader.word(), reader.vector16());
	return found;
}

function readShare(bytes: Uint8Array): Uint8Array | undefined {
	const reader = new Reader(bytes);
	const group = reader.word();
	const key = reader.vector16();
	return reader.failed || group !== X25519 ? undefined : key;
}

/** Takes what there is; `failed` says that something was missing. */
class Reader {
	readonly #bytes: Uint8Array;
	#at = 0;
	failed = false;

	constructor(bytes: Uint8Array) {
		this.#bytes = bytes;
	}

	get left(): number {
		return this.#bytes.length - this.#at;
	}

	take(octets: number): Uint8Array {
		if (this.left < octets) this.failed = true;
		const part = this.#bytes.slice(this.#at, this.#at + octets);
		this.#at = Math.min(this.#bytes.length, this.#at + octets);
		return part;
	}

	skip(octets: number): void {
		this.take(octets);
	}

	word(): number {
		const [high = 0, low = 0] = this.take(2);
		return high * 256 + low;
	}

	vector8(): Uint8Array {
		const [length = 0] = this.take(1);
		return this.take(length);
	}

	vector16(): Uint8Array {
		return this.take(this.word());
	}
}
