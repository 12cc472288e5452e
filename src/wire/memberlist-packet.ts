// What memberlist puts around its messages, from the outside in.
//   datagram: | 1 | nonce 12 | AES-GCM of { [12 | CRC-32 4] { [9 | {Algo, Buf: LZW}] message or compound } } | tag 16 |
//   stream:   | 10 | octets 4 | 1 | nonce 12 | AES-GCM of { 9 | {Algo, Buf: LZW of message} } | tag 16 |
// In a stream the first five octets are authenticated, too. CRC goes to members that understand version 5; compression is
// used in datagrams when it makes them shorter, in streams always.
import type { DropReason } from "../drop.ts";
import { AesGcm, NONCE_OCTETS } from "./aes-gcm.ts";
import { crc32 } from "./crc32.ts";
import { compress as pack, decompress as unpack } from "./lzw.ts";
import { MOST_STREAM_OCTETS, parts, TYPE } from "./memberlist.ts";
import { raw, Reader, struct, uint } from "./msgpack.ts";
import { OctetWriter } from "./octet-writer.ts";

/** Version of the encryption: AES-GCM without padding. */
const VERSION = 1;
/** Version 0 pads to whole blocks (PKCS7), as protocol 1 wants it. */
const VERSION_PADDED = 0;
const TAG_OCTETS = 16;
/** Octets of a key. */
export const KEY_OCTETS = 16;
/** What encryption adds. */
export const ENCRYPTION_OCTETS: number = 1 + NONCE_OCTETS + TAG_OCTETS;
/** Type and length in front of an encrypted stream. */
export const STREAM_HEADER_OCTETS = 5;
const CRC_OCTETS = 5;
const NO_OCTETS = new Uint8Array(0);
/** How often wrappings may lie in each other. */
const DEEPEST = 8;

/** A key, ready to be used. */
export class GossipKey {
	/** The key itself. */
	readonly octets: Uint8Array;
	/** Made when the key is first used: most of a keyring's are not. */
	#cipher: AesGcm | undefined;

	/** Throws RangeError for a key of another length than 16, 24 or 32 octets. */
	constructor(octets: Uint8Array) {
		if (octets.length !== 16 && octets.length !== 24 && octets.length !== 32)
			throw new RangeError("key size must be 16, 24 or 32 bytes");
		this.octets = octets.slice();
	}

	get #ready(): AesGcm {
		return (this.#cipher ??= new AesGcm(this.octets, TAG_OCTETS));
	}

	/** Encrypts behind what the writer holds; `nonce` must never come twice. */
	seal(writer: OctetWriter, plain: Uint8Array, nonce: Uint8Array, aad: Uint8Array): void {
		writer.put8(VERSION);
		writer.put(nonce);
		const at = writer.length;
		writer.put(plain);
		writer.put(new Uint8Array(TAG_OCTETS));
		this.#ready.seal(nonce, aad, writer.bytes, at, plain.length);
	}

	/** Decrypts; undefined when it was another key, or the octets are not what was sent. */
	open(sealed: Uint8Array, aad: Uint8Array): Uint8Array | undefined {
		const nonce = sealed.subarray(1, 1 + NONCE_OCTETS);
		const text = sealed.slice(1 + NONCE_OCTETS);
		const octets = text.length - TAG_OCTETS;
		return this.#ready.open(nonce, aad, text, 0, octets) ? text.subarray(0, octets) : undefined;
	}
}

interface Compress {
	readonly algo: number;
	readonly buf: Uint8Array;
}
const compressed = struct<Compress>({ algo: uint("Algo", 8), buf: raw("Buf") });
/** Octets of the compress message around its Buf, whose own length takes one to five. */
const COMPRESS_OCTETS = 12;

/** A message compressed; undefined when that would not be shorter than `most` octets. */
export function compress(message: Uint8Array, most: number = Infinity): Uint8Array<ArrayBuffer> | undefined {
	const buf = pack(message, most - COMPRESS_OCTETS);
	if (buf === undefined) return undefined;
	const writer = OctetWriter.begin();
	writer.put8(TYPE.COMPRESS);
	compressed.write(writer, { algo: 0, buf });
	return writer.length < most ? writer.finish() : undefined;
}

/** A compress message's content. */
export function decompress(message: Uint8Array): Uint8Array | DropReason {
	const read = compressed.read(new Reader(message, 1));
	if (typeof read === "string") return read;
	return read.algo === 0 ? unpack(read.buf, MOST_STREAM_OCTETS) : "memberlist-unknown";
}

/** How a datagram is sent. */
export interface PacketOptions {
	/** The first is for sending; none sends in clear. */
	readonly key: GossipKey | undefined;
	/** Twelve octets that never come twice under this key. */
	readonly nonce: Uint8Array;
	/** The receiver is known to understand version 5. */
	readonly crc: boolean;
}

/** A message or compound → the payload of a datagram. */
export function sealPacket(message: Uint8Array, { key, nonce, crc }: PacketOptions): Uint8Array<ArrayBuffer> {
	let plain = compress(message, message.length) ?? message;
	if (crc) {
		const writer = OctetWriter.begin();
		writer.put8(TYPE.HAS_CRC);
		writer.put32(crc32(plain));
		writer.put(plain);
		plain = writer.finish();
	}
	if (key === undefined) return plain.slice();
	const writer = OctetWriter.begin();
	key.seal(writer, plain, nonce, NO_OCTETS);
	return writer.finish();
}

/** Opens what was sealed, by whichever of the keys it takes; without keys the octets are in clear. */
export function decrypt(
	sealed: Uint8Array,
	keys: readonly GossipKey[],
	aad: Uint8Array = NO_OCTETS,
): Uint8Array | DropReason {
	if (keys.length === 0) return sealed;
	const [version] = sealed;
	if (version !== VERSION && version !== VERSION_PADDED) return "memberlist-encryption";
	if (sealed.length < ENCRYPTION_OCTETS) return "memberlist-truncated";
	for (const key of keys) {
		const plain = key.open(sealed, aad);
		if (plain === undefined) continue;
		return version === VERSION ? plain : unpadded(plain);
	}
	return "memberlist-no-key";
}

function unpadded(plain: Uint8Array): Uint8Array | DropReason {
	const padding = plain.at(-1) ?? 0;
	return padding > plain.length ? "memberlist-truncated" : plain.subarray(0, plain.length - padding);
}

/** What becomes of a datagram's content. */
export interface Unwrapped {
	/** A message that wraps no others; octets are valid during the call. */
	readonly heard: (message: Uint8Array) => void;
	/** Octets that could not be read. */
	readonly dropped: (reason: DropReason) => void;
}

/** The payload of a datagram → its messages, in order. Never throws. */
export function openPacket(payload: Uint8Array, keys: readonly GossipKey[], to: Unwrapped): void {
	const plain = decrypt(payload, keys);
	if (typeof plain === "string") {
		to.dropped(plain);
		return;
	}
	if (plain.length >= CRC_OCTETS && plain[0] === TYPE.HAS_CRC) {
		const view = new DataView(plain.buffer, plain.byteOffset);
		if (view.getUint32(1) !== crc32(plain, CRC_OCTETS)) to.dropped("memberlist-crc");
		else unwrap(plain.subarray(CRC_OCTETS), to, 0);
	} else unwrap(plain, to, 0);
}

function unwrap(message: Uint8Array, to: Unwrapped, depth: number): void {
	if (message.length === 0) to.dropped("memberlist-truncated");
	else if (depth > DEEPEST) to.dropped("memberlist-nested");
	else if (message[0] === TYPE.COMPOUND) {
		const { messages, cut } = parts(message);
		for (const each of messages) unwrap(each, to, depth + 1);
		if (cut !== undefined) to.dropped(cut);
	} else if (message[0] === TYPE.COMPRESS) {
		const inner = decompress(message);
		if (typeof inner === "string") to.dropped(inner);
		else unwrap(inner, to, depth + 1);
	} else to.heard(message);
}

/** A stream's message → what is written into the connection. */
export function sealStream(
	message: Uint8Array,
	{ key, nonce }: Omit<PacketOptions, "crc">,
): Uint8Array<ArrayBuffer> {
	const plain = compress(message) ?? message;
	if (key === undefined) return plain.slice();
	const writer = OctetWriter.begin();
	writer.put8(TYPE.ENCRYPT);
	writer.put32(plain.length + ENCRYPTION_OCTETS);
	key.seal(writer, plain, nonce, writer.bytes.slice(0, STREAM_HEADER_OCTETS));
	return writer.finish();
}

/**
 * How long the message is that a stream begins with, its header included; undefined while too little of it is there to tell.
 * Only encrypted streams say it; those in clear end where their reader has enough.
 */
export function streamOctets(head: Uint8Array): number | DropReason | undefined {
	if (head.length > 0 && head[0] !== TYPE.ENCRYPT) return "memberlist-clear";
	if (head.length < STREAM_HEADER_OCTETS) return undefined;
	const octets = new DataView(head.buffer, head.byteOffset).getUint32(1);
	return octets > MOST_STREAM_OCTETS ? "memberlist-too-long" : STREAM_HEADER_OCTETS + octets;
}

/** What was written into a connection, whole → the stream's message. Never throws. */
export function openStream(octets: Uint8Array, keys: readonly GossipKey[]): Uint8Array | DropReason {
	const sealed = octets[0] === TYPE.ENCRYPT;
	if (keys.length > 0 && !sealed) return "memberlist-clear";
	if (keys.length === 0 && sealed) return "memberlist-encryption";
	const plain = sealed
		? decrypt(octets.subarray(STREAM_HEADER_OCTETS), keys, octets.subarray(0, STREAM_HEADER_OCTETS))
		: octets;
	if (typeof plain === "string") return plain;
	if (plain.length === 0) return "memberlist-truncated";
	return plain[0] === TYPE.COMPRESS ? decompress(plain) : plain;
}
