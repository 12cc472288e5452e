import { milliseconds, type Rng, Timer } from "../../sim/index.ts";
import type { Clock } from "../clock.ts";
import type { TcpSocket } from "../../stack/index.ts";
import { behind, joined, NO_OCTETS, tls } from "../../wire/index.ts";
import { certificateOf, identityIn } from "./certificate.ts";
import type { Identity } from "./rpc.ts";
import { RecordProtection } from "./tls-keys.ts";

const { CONTENT, HANDSHAKE, VERSION } = tls;
/** What signing, and looking at the other side's signature, takes. */
const SIGNING = milliseconds(2);
/** Go begins with records that fit into one segment, and lets them grow by as much each (`maxPayloadSizeForWrite`). */
const FIRST_RECORD_OCTETS = 1208 - tls.OCTETS - tls.SEAL_OCTETS;
const CLOSE_NOTIFY = Uint8Array.of(1, 0);
/** Handshake messages' bodies of which nothing but the length is known outside. */
const BODY_OCTETS = { ENCRYPTED_EXTENSIONS: 11, CERTIFICATE_REQUEST: 70, FINISHED: 32 } as const;
/** Behind a certificate's octets: that it has no extensions. */
const NO_EXTENSIONS = 2;

/** What one side of a TLS connection is. */
export interface TlsOptions {
	readonly clock: Clock;
	readonly rng: Rng;
	/** Whose certificate is shown; none by who wants to join. */
	readonly identity: Identity | undefined;
	/** SNI, by clients. */
	readonly serverName?: string;
	/** Whether the other side's certificate is good; without one it is a client that wants to join. */
	readonly trusts: (identity: Identity | undefined) => boolean;
}

/** What happens at a TLS connection. */
export interface TlsEvents {
	/** The handshake is complete. */
	secure(peer: Identity | undefined): void;
	data(octets: Uint8Array): void;
	/** It is over: in good order, or with what ended it in Go's words. Called once. */
	closed(error?: string): void;
}

/** TLS 1.3 over a TCP connection, as Go speaks it: both sides show certificates (RFC 8446 §2). */
export class TlsConnection {
	readonly #socket: TcpSocket;
	readonly #options: TlsOptions;
	readonly #events: TlsEvents;
	readonly #side: "client" | "server";
	readonly #random = new Uint8Array(32);
	#received: Uint8Array = NO_OCTETS;
	#unsent: Uint8Array[] = [];
	#sealing: RecordProtection | undefined;
	#opening: RecordProtection | undefined;
	#peerRandom: Uint8Array = NO_OCTETS;
	#peer: Identity | undefined;
	#secure = false;
	#begun = false;
	#over = false;
	#records = 0;
	readonly #work = new Timer(() => {
		this.#worked?.();
	});
	#worked: (() => void) | undefined;

	constructor(side: "client" | "server", socket: TcpSocket, options: TlsOptions, events: TlsEvents) {
		this.#side = side;
		this.#socket = socket;
		this.#options = options;
		this.#events = events;
		options.rng.bytes(this.#random);
		socket.setNoDelay();
		socket.onReadable = () => {
			this.#readable();
		};
		socket.onWritable = () => {
			this.#flush();
		};
		socket.onClose = (error) => {
			this.#end(error === undefined ? "EOF" : error.message);
		};
		if (side === "server") return;
		const begin = (): void => {
			this.#begun = true;
			this.#write(this.#clientHello());
		};
		if (socket.state === "established") begin();
		else socket.onConnect = begin;
	}

	/** The TCP connection came about: what fails now is no dialing. */
	get begun(): boolean {
		return this.#begun;
	}

	/** Seals and sends. */
	send(octets: Uint8Array): void {
		const records: Uint8Array[] = [];
		for (let at = 0; at < octets.length && this.#sealing !== undefined;) {
			const most = Math.min(tls.MOST_OCTETS, FIRST_RECORD_OCTETS * ++this.#records);
			records.push(this.#sealing.seal(CONTENT.APPLICATION_DATA, octets.subarray(at, at + most)));
			at += most;
		}
		const [first] = records;
		if (first !== undefined) this.#write(records.length === 1 ? first : joined(records));
	}

	/** Says that it ends, and ends it. */
	close(): void {
		if (this.#over) return;
		this.#over = true;
		this.#work.cancel();
		if (this.#sealing !== undefined) this.#write(this.#sealing.seal(CONTENT.ALERT, CLOSE_NOTIFY));
		this.#release();
		this.#socket.close();
	}

	/** The machine stopped: nothing is said to anybody. */
	forget(): void {
		this.#over = true;
		this.#work.cancel();
		this.#release();
		this.#socket.vanish();
	}

	#release(): void {
		this.#socket.onReadable = null;
		this.#socket.onClose = null;
		this.#socket.onConnect = null;
		this.#socket.onWritable = null;
	}

	#write(octets: Uint8Array): void {
		this.#unsent.push(octets);
		this.#flush();
	}

	#flush(): void {
		const socket = this.#socket;
		while (this.#unsent.length > 0) {
			const [first = NO_OCTETS] = this.#unsent;
			const taken = socket.writable ? socket.write(first) : 0;
			if (taken < first.length) {
				this.#unsent[0] = first.subarray(taken);
				return;
			}
			this.#unsent.shift();
		}
	}

	#readable(): void {
		this.#received = behind(this.#received, this.#socket.read());
		// While it is at work nothing is looked at.
		if (!this.#work.pending) this.#take();
		if (this.#socket.ended && this.#socket.error === undefined && !this.#over) {
			this.#socket.close();
			this.#end("EOF");
		}
	}

	#take(): void {
		while (!this.#over && !this.#work.pending) {
			const record = tls.read(this.#received);
			if (record === undefined) break;
			if (typeof record === "string") {
				this.#fail("tls: first record does not look like a TLS handshake");
				return;
			}
			this.#received = this.#received.subarray(tls.OCTETS + record.fragment.length);
			this.#record(record);
		}
		// What was read is a part of a buffer that others have parts of, and is not to keep it.
		const { length, buffer } = this.#received;
		if (length < buffer.byteLength) this.#received = length === 0 ? NO_OCTETS : this.#received.slice();
	}

	#record({ type, fragment }: tls.TlsRecord): void {
		if (type === CONTENT.CHANGE_CIPHER_SPEC) return;
		if (type === CONTENT.HANDSHAKE) {
			this.#hello(fragment);
			return;
		}
		const opened = this.#opening?.open(fragment);
		if (opened === undefined) this.#fail("local error: tls: bad record MAC");
		else if (opened.type === CONTENT.APPLICATION_DATA) this.#events.data(opened.fragment);
		else if (opened.type === CONTENT.ALERT) {
			this.close();
			this.#events.closed(opened.fragment[1] === 0 ? "EOF" : "remote error: tls: bad certificate");
		} else this.#message(opened.fragment);
	}

	#hello(fragment: Uint8Array): void {
		const message = tls.readMessage(fragment);
		if (typeof message === "string") {
			this.#fail("tls: unexpected message");
			return;
		}
		if (this.#side === "server" && message.type === HANDSHAKE.CLIENT_HELLO) {
			const hello = tls.readClientHello(message.body);
			if (typeof hello === "string") this.#fail("tls: unexpected message");
			else
				this.#atWork(() => {
					this.#serverFlight(hello);
				});
		} else if (this.#side === "client" && message.type === HANDSHAKE.SERVER_HELLO) {
			const hello = tls.readServerHello(message.body);
			if (typeof hello === "string") this.#fail("tls: unexpected message");
			else {
				this.#peerRandom = hello.random;
				this.#opening = this.#protection("server handshake");
			}
		} else this.#fail("tls: unexpected message");
	}

	/** A sealed handshake message. */
	#message(fragment: Uint8Array): void {
		const message = tls.readMessage(fragment);
		if (typeof message === "string") {
			this.#fail("tls: unexpected message");
			return;
		}
		const { type, body } = message;
		if (type === HANDSHAKE.CERTIFICATE) {
			this.#peer = body.length > 4 ? identityIn(body.slice(7)) : undefined;
			if (!this.#options.trusts(this.#peer)) this.#fail("remote error: tls: bad certificate");
		} else if (type === HANDSHAKE.FINISHED) {
			this.#opening = this.#protection(this.#side === "client" ? "server data" : "client data");
			this.#atWork(() => {
				if (this.#side === "server") this.#complete();
				else this.#clientFlight();
			});
		}
	}

	#atWork(then: () => void): void {
		this.#worked = () => {
			then();
			this.#take();
		};
		this.#options.clock.after(SIGNING, this.#work);
	}

	#clientHello(): Uint8Array {
		return tls.writeClientHello({
			random: this.#random,
			sessionId: this.#drawn(32),
			serverName: this.#options.serverName,
			protocols: ["h2"],
			keyShare: this.#drawn(32),
		});
	}

	#serverFlight({ random, sessionId }: tls.ClientHello): void {
		this.#peerRandom = random;
		const hello = tls.writeServerHello({
			random: this.#random,
			sessionId,
			cipherSuite: tls.TLS_AES_128_GCM_SHA256,
			keyShare: this.#drawn(32),
		});
		const keys = this.#protection("server handshake");
		this.#opening = this.#protection("client handshake");
		this.#write(
			joined([
				hello,
				changeCipherSpec(),
				this.#sealed(keys, "ENCRYPTED_EXTENSIONS"),
				this.#sealed(keys, "CERTIFICATE_REQUEST"),
				...this.#proof(keys),
				this.#sealed(keys, "FINISHED"),
			]),
		);
		this.#sealing = this.#protection("server data");
	}

	#clientFlight(): void {
		const keys = this.#protection("client handshake");
		this.#write(joined([changeCipherSpec(), ...this.#proof(keys), this.#sealed(keys, "FINISHED")]));
		this.#sealing = this.#protection("client data");
		this.#complete();
	}

	#complete(): void {
		this.#secure = true;
		this.#events.secure(this.#peer);
	}

	/** The certificate, and the signature that it is one's own; without a certificate an empty list and no signature. */
	#proof(keys: RecordProtection): Uint8Array[] {
		const { identity, rng } = this.#options;
		const certificate = identity === undefined ? undefined : certificateOf(identity, rng);
		if (certificate === undefined)
			return [keys.seal(CONTENT.HANDSHAKE, tls.message(HANDSHAKE.CERTIFICATE, new Uint8Array(4)))];
		const list = certificate.length + 3 + NO_EXTENSIONS;
		const body = joined([
			Uint8Array.of(0, 0, list >>> 8, list & 0xff, 0, certificate.length >>> 8, certificate.length & 0xff),
			certificate,
			new Uint8Array(NO_EXTENSIONS),
		]);
		// ECDSA with P-256 in DER: two numbers of 32 octets, each with a zero in front when its first bit is set.
		const signature = this.#drawn(4 + 70 + rng.below(2) + rng.below(2));
		return [
			keys.seal(CONTENT.HANDSHAKE, tls.message(HANDSHAKE.CERTIFICATE, body)),
			keys.seal(CONTENT.HANDSHAKE, tls.message(HANDSHAKE.CERTIFICATE_VERIFY, signature)),
		];
	}

	#sealed(keys: RecordProtection, what: keyof typeof BODY_OCTETS): Uint8Array {
		return keys.seal(CONTENT.HANDSHAKE, tls.message(HANDSHAKE[what], this.#drawn(BODY_OCTETS[what])));
	}

	#protection(label: string): RecordProtection {
		const [client, server] =
			this.#side === "client" ? [this.#random, this.#peerRandom] : [this.#peerRandom, this.#random];
		return new RecordProtection(client, server, label);
	}

	#drawn(octets: number): Uint8Array {
		const drawn = new Uint8Array(octets);
		this.#options.rng.bytes(drawn);
		return drawn;
	}

	#fail(error: string): void {
		if (this.#over) return;
		if (this.#secure || this.#sealing !== undefined) {
			this.close();
			this.#events.closed(error);
			return;
		}
		this.#socket.close();
		this.#end(error);
	}

	#end(error: string): void {
		if (this.#over) return;
		this.#over = true;
		this.#work.cancel();
		this.#release();
		this.#events.closed(error);
	}
}

const changeCipherSpec = (): Uint8Array =>
	tls.write({ type: CONTENT.CHANGE_CIPHER_SPEC, version: VERSION.TLS_1_2, fragment: Uint8Array.of(1) });
