import { formatIp4 } from "../../addr/index.ts";
import { type Nanoseconds, seconds, Timer } from "../../sim/index.ts";
import { MachineClock } from "../clock.ts";
import type { IpNamespace, TcpSocket } from "../../stack/index.ts";
import { forwardedFields } from "./caller-metadata.ts";
import { Http2 } from "./http2.ts";
import type { HeaderField } from "./hpack.ts";
import { MessageStream, withPrefix } from "./message-stream.ts";
import {
	type CallOptions,
	type Channel,
	type Identity,
	type Method,
	type ReplySink,
	RPC_CODES,
	RpcError,
} from "./rpc.ts";
import { TlsConnection, type TlsOptions } from "./tls-connection.ts";

/** How long a connection may take to come about (grpc-go `minConnectTimeout`). */
const CONNECT_TIMEOUT = seconds(20);
/** What Go asks of every connection: probes after 15 s of silence. */
export const KEEP_ALIVE: {
	readonly keepAlive: { readonly idle: Nanoseconds; readonly interval: Nanoseconds; readonly probes: number };
} = { keepAlive: { idle: seconds(15), interval: seconds(15), probes: 9 } };
/** In 20.10.24's swarmkit. */
const USER_AGENT = "grpc-go/1.27.1";

/** Where a channel leads, and as whom. */
export interface GrpcTarget extends Omit<TlsOptions, "clock"> {
	readonly address: string;
	readonly port: number;
}

interface Call {
	readonly path: string;
	readonly request: Uint8Array;
	readonly timeout: number | undefined;
	readonly metadata: readonly HeaderField[];
	readonly messages: MessageStream;
	readonly deadline: Timer;
	reply(octets: Uint8Array): void;
	end(error?: RpcError): void;
	stream: number;
}

/** A channel over one TCP connection, made at once. When it breaks all calls end with Unavailable, and so does every new one. */
export class GrpcClient implements Channel {
	readonly #clock: MachineClock;
	readonly #target: GrpcTarget;
	readonly #calls = new Set<Call>();
	readonly #streams = new Map<number, Call>();
	readonly #connecting = new Timer(() => {
		this.#fail(this.#dialing(`dial tcp ${this.#peer}: i/o timeout`));
		this.#socket?.abort();
	});
	#socket: TcpSocket | undefined;
	#tls: TlsConnection | undefined;
	#http: Http2 | undefined;
	#ready = false;
	#error: RpcError | undefined;
	#server: Identity | undefined;
	#nextStream = 1;
	/** The connection is over. */
	onClose: ((error: RpcError) => void) | null = null;

	constructor(ns: IpNamespace, target: GrpcTarget) {
		this.#target = target;
		const clock = new MachineClock(ns.kernel);
		this.#clock = clock;
		clock.after(CONNECT_TIMEOUT, this.#connecting);
		try {
			this.#socket = ns.tcp.connect({ address: target.address, port: target.port, ...KEEP_ALIVE });
		} catch (error) {
			const text = error instanceof Error ? error.message : String(error);
			this.#failSoon(this.#dialing(`dial tcp ${this.#peer}: ${inGo(text)}`));
			return;
		}
		this.#tls = new TlsConnection(
			"client",
			this.#socket,
			{ ...target, clock },
			{
				secure: (peer) => {
					this.#server = peer;
					this.#secure();
				},
				data: (octets) => this.#http?.receive(octets),
				closed: (error = "EOF") => {
					this.#fail(this.#closedBy(error));
				},
			},
		);
	}

	get #peer(): string {
		return `${this.#target.address}:${String(this.#target.port)}`;
	}

	/** True until it broke or was closed. */
	get open(): boolean {
		return this.#error === undefined;
	}

	/** The machine's own address on it; undefined for a connection that could not be begun. */
	get localAddress(): string | undefined {
		return this.#socket === undefined ? undefined : formatIp4(this.#socket.localAddress);
	}

	/** Whose certificate the other side showed; undefined before. */
	get server(): Identity | undefined {
		return this.#server;
	}

	/** A call can be made without waiting. */
	get ready(): boolean {
		return this.#ready && this.open;
	}

	#dialing(text: string): RpcError {
		return new RpcError("Unavailable", `connection error: desc = "transport: Error while dialing ${text}"`);
	}

	#closedBy(error: string): RpcError {
		if (this.#ready) return new RpcError("Unavailable", "transport is closing");
		if (this.#tls?.begun !== true)
			return this.#dialing(`dial tcp ${this.#peer}: connect: ${error.toLowerCase()}`);
		return new RpcError(
			"Unavailable",
			`connection error: desc = "transport: authentication handshake failed: ${error}"`,
		);
	}

	#secure(): void {
		if (this.#tls === undefined) return;
		this.#http = new Http2("client", this.#tls, this.#clock, {
			ready: () => {
				this.#connecting.cancel();
				this.#ready = true;
				for (const call of [...this.#calls]) this.#begin(call);
			},
			headers: (stream, fields, end) => {
				if (end) this.#trailers(stream, fields);
			},
			data: (stream, octets) => {
				const call = this.#streams.get(stream);
				for (const message of call?.messages.push(octets) ?? []) call?.reply(message);
			},
			reset: (stream) => {
				this.#finish(
					this.#streams.get(stream),
					new RpcError("Unavailable", "stream terminated by RST_STREAM"),
				);
			},
			broken: (error) => {
				this.#tls?.close();
				this.#fail(new RpcError("Unavailable", error));
			},
		});
	}

	#begin(call: Call): void {
		const http = this.#http;
		if (http === undefined || call.stream !== 0) return;
		call.stream = this.#nextStream;
		this.#nextStream += 2;
		this.#streams.set(call.stream, call);
		const timeout: HeaderField[] = call.timeout === undefined ? [] : [["grpc-timeout", this.#timeout(call)]];
		http.headers(
			call.stream,
			[
				[":method", "POST"],
				[":scheme", "https"],
				[":path", call.path],
				[":authority", this.#target.serverName ?? this.#peer],
				["content-type", "application/grpc"],
				["user-agent", USER_AGENT],
				["te", "trailers"],
				...timeout,
				...call.metadata,
			],
			false,
		);
		http.data(call.stream, withPrefix(call.request), true);
	}

	/** What is left, in microseconds. */
	#timeout(call: Call): string {
		const left = call.deadline.due - this.#clock.now;
		return `${String(Math.max(1, Math.floor(left / 1000) - 20 - this.#target.rng.below(400)))}u`;
	}

	#trailers(stream: number, fields: readonly HeaderField[]): void {
		const value = (name: string): string | undefined => fields.find((field) => field[0] === name)?.[1];
		const code = RPC_CODES[Number(value("grpc-status") ?? "2")] ?? "Unknown";
		const error = code === "OK" ? undefined : new RpcError(code, unescaped(value("grpc-message") ?? ""));
		this.#finish(this.#streams.get(stream), error);
	}

	#finish(call: Call | undefined, error?: RpcError): void {
		if (call === undefined) return;
		this.#forgetCall(call);
		call.end(error);
	}

	#forgetCall(call: Call): void {
		call.deadline.cancel();
		this.#calls.delete(call);
		this.#streams.delete(call.stream);
	}

	call<Q, R>(
		method: Method<Q, R>,
		request: Q,
		sink: ReplySink<R>,
		{ timeout, forwardedFor }: CallOptions = {},
	): () => void {
		const give = (error?: RpcError): void => {
			if (!this.#calls.has(call)) return;
			if (call.stream !== 0) this.#http?.reset(call.stream);
			this.#forgetCall(call);
			if (error !== undefined) sink.end(error);
		};
		const call: Call = {
			path: method.path,
			request: method.request.write(request),
			timeout,
			metadata: forwardedFields(forwardedFor),
			messages: new MessageStream(),
			deadline: new Timer(() => {
				give(new RpcError("DeadlineExceeded", "context deadline exceeded"));
			}),
			reply: (octets) => {
				const message = method.reply.read(octets);
				if (message !== undefined) sink.reply(message);
			},
			end: (error) => {
				sink.end(error);
			},
			stream: 0,
		};
		this.#calls.add(call);
		if (timeout !== undefined) this.#clock.after(timeout, call.deadline);
		if (this.#error !== undefined) this.#failSoon(this.#error);
		else if (this.#ready) this.#begin(call);
		return () => {
			give();
		};
	}

	/** Not while the caller still calls. */
	#failSoon(error: RpcError): void {
		this.#clock.after(
			0,
			new Timer(() => {
				this.#fail(error);
			}),
		);
	}

	#fail(error: RpcError): void {
		const first = this.#error === undefined;
		this.#error ??= error;
		this.#connecting.cancel();
		this.#http?.forget();
		if (first) this.onClose?.(error);
		for (const call of [...this.#calls]) this.#finish(call, this.#error);
	}

	close(): void {
		if (this.#error !== undefined) return;
		this.#http?.close();
		this.#tls?.close();
		this.#fail(new RpcError("Canceled", "grpc: the client connection is closing"));
	}

	/** The machine stopped: nothing is sent, nobody is told. */
	forget(): void {
		this.onClose = null;
		this.#connecting.cancel();
		this.#http?.forget();
		this.#tls?.forget();
		for (const call of [...this.#calls]) this.#forgetCall(call);
		this.#error ??= new RpcError("Canceled", "grpc: the client connection is closing");
	}
}

/** The kernel's words as Go has them: `connect: connection refused`. */
const inGo = (text: string): string => {
	const [call = "", what = ""] = text.split(": ");
	return `${call}: ${what.toLowerCase()}`;
};

const unescaped = (text: string): string =>
	text.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
