import { microseconds, Timer } from "../../sim/index.ts";
import type { Clock } from "../clock.ts";
import {
	FLAG,
	FRAME,
	FRAME_OCTETS,
	type Http2Frame,
	MOST_PAYLOAD,
	PREFACE,
	readFrame,
	uint32,
	writeFrame,
} from "./frames.ts";
import { type HeaderField, HpackDecoder, HpackEncoder } from "./hpack.ts";
import { behind, joined, leftOf, NO_OCTETS } from "../../wire/index.ts";
import type { TlsConnection } from "./tls-connection.ts";
import { encodeUtf8 } from "./utf8.ts";

/** From the first frame that is written to the record that all written meanwhile go in: what a goroutine's turn takes. */
const TURN = microseconds(100);
/** `SETTINGS_MAX_CONCURRENT_STREAMS`, as many as there can be: what grpc-go's servers say. */
const SERVER_SETTINGS = Uint8Array.of(0, 3, 0xff, 0xff, 0xff, 0xff);
/** A quarter of the window: so much received makes a window update by itself. */
const UPDATE_OCTETS = 65_535 / 4;
const PING_OCTETS = 8;

/** What one side of an HTTP/2 connection is told. */
export interface Http2Events {
	/** A server's settings came: calls may begin. */
	ready(): void;
	headers(stream: number, fields: readonly HeaderField[], end: boolean): void;
	data(stream: number, octets: Uint8Array, end: boolean): void;
	/** A stream was given up by the other side. */
	reset(stream: number): void;
	/** The other side breaks the rules; the connection is of no more use. */
	broken(error: string): void;
}

/**
 * One side of an HTTP/2 connection as grpc-go has it: what is written in one turn goes in one record, and data that
 * comes is answered by a window update and a ping, which measure the path, until that ping's answer is there (RFC 9113;
 * grpc-go internal/transport, `controlBuffer`, `bdpEstimator`).
 */
export class Http2 {
	readonly #tls: TlsConnection;
	readonly #clock: Clock;
	readonly #side: "client" | "server";
	readonly #events: Http2Events;
	readonly #encoder = new HpackEncoder();
	readonly #decoder = new HpackDecoder();
	readonly #turn = new Timer(() => {
		this.#flush();
	});
	#queued: Uint8Array[] = [];
	#received: Uint8Array = NO_OCTETS;
	#prefaceLeft: number;
	#measuring = false;
	#unacknowledged = 0;
	#closed = false;

	/** `tls` is secure already. */
	constructor(side: "client" | "server", tls: TlsConnection, clock: Clock, events: Http2Events) {
		this.#side = side;
		this.#tls = tls;
		this.#clock = clock;
		this.#events = events;
		this.#prefaceLeft = side === "server" ? PREFACE.length : 0;
		const settings = side === "server" ? SERVER_SETTINGS : NO_OCTETS;
		if (side === "client") tls.send(encodeUtf8(PREFACE));
		this.#queue(FRAME.SETTINGS, 0, 0, settings);
		this.#flush();
	}

	/** Begins a stream, or answers on one. */
	headers(stream: number, fields: readonly HeaderField[], end: boolean): void {
		const flags = FLAG.END_HEADERS | (end ? FLAG.END_STREAM : 0);
		this.#queue(FRAME.HEADERS, flags, stream, this.#encoder.encode(fields));
	}

	data(stream: number, octets: Uint8Array, end: boolean): void {
		for (let at = 0; at === 0 || at < octets.length; at += MOST_PAYLOAD) {
			const part = octets.subarray(at, at + MOST_PAYLOAD);
			const last = end && at + MOST_PAYLOAD >= octets.length;
			this.#queue(FRAME.DATA, last ? FLAG.END_STREAM : 0, stream, part);
		}
	}

	/** Gives a stream up (`CANCEL`). */
	reset(stream: number): void {
		this.#queue(FRAME.RST_STREAM, 0, stream, uint32(8));
	}

	/** Octets that came; who calls leaves them as they are. */
	receive(octets: Uint8Array): void {
		const stream = behind(this.#received, octets);
		let at = Math.min(this.#prefaceLeft, stream.length);
		this.#prefaceLeft -= at;
		while (!this.#closed) {
			const frame = readFrame(stream, at);
			if (frame === undefined) break;
			if (frame === "too-long") {
				this.#break("http2: frame too large");
				return;
			}
			at += FRAME_OCTETS + frame.payload.length;
			this.#take(frame);
		}
		this.#received = leftOf(stream, at);
	}

	#take({ type, flags, stream, payload }: Http2Frame): void {
		const end = (flags & FLAG.END_STREAM) !== 0;
		switch (type) {
			case FRAME.SETTINGS:
				if ((flags & FLAG.ACK) !== 0) return;
				this.#queue(FRAME.SETTINGS, FLAG.ACK, 0, NO_OCTETS);
				if (this.#side === "client") this.#events.ready();
				return;
			case FRAME.PING:
				if ((flags & FLAG.ACK) !== 0) this.#measuring = false;
				else this.#queue(FRAME.PING, FLAG.ACK, 0, payload);
				return;
			case FRAME.HEADERS: {
				const fields = this.#decoder.decode(payload);
				if (fields === undefined) this.#break("connection error: COMPRESSION_ERROR");
				else this.#events.headers(stream, fields, end);
				return;
			}
			case FRAME.DATA:
				this.#account(payload.length);
				this.#events.data(stream, payload, end);
				return;
			case FRAME.RST_STREAM:
				this.#events.reset(stream);
				return;
			case FRAME.GOAWAY:
				this.#break("the connection is draining");
				return;
			default:
		}
	}

	#account(octets: number): void {
		this.#unacknowledged += octets;
		if (!this.#measuring || this.#unacknowledged >= UPDATE_OCTETS) {
			if (this.#unacknowledged > 0) this.#queue(FRAME.WINDOW_UPDATE, 0, 0, uint32(this.#unacknowledged));
			this.#unacknowledged = 0;
		}
		if (this.#measuring) return;
		this.#measuring = true;
		this.#queue(FRAME.PING, 0, 0, new Uint8Array(PING_OCTETS));
	}

	#break(error: string): void {
		this.close();
		this.#events.broken(error);
	}

	#queue(type: number, flags: number, stream: number, payload: Uint8Array): void {
		if (this.#closed) return;
		this.#queued.push(writeFrame({ type, flags, stream, payload }));
		if (!this.#turn.pending) this.#clock.after(TURN, this.#turn);
	}

	#flush(): void {
		this.#turn.cancel();
		if (this.#queued.length === 0) return;
		const frames = this.#queued;
		this.#queued = [];
		this.#tls.send(joined(frames));
	}

	/** What is queued still goes; nothing is sent or told after it. */
	close(): void {
		if (this.#closed) return;
		this.#flush();
		this.#closed = true;
	}

	/** The machine stopped. */
	forget(): void {
		this.#closed = true;
		this.#turn.cancel();
	}
}
