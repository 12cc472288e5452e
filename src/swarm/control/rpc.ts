import { NetError } from "../../errors.ts";
import type { NodeRole } from "../objects.ts";
import type { protobuf } from "../../wire/index.ts";

/** gRPC's codes of errors, by number. */
export const RPC_CODES = [
	"OK",
	"Canceled",
	"Unknown",
	"InvalidArgument",
	"DeadlineExceeded",
	"NotFound",
	"AlreadyExists",
	"PermissionDenied",
	"ResourceExhausted",
	"FailedPrecondition",
	"Aborted",
	"OutOfRange",
	"Unimplemented",
	"Internal",
	"Unavailable",
	"DataLoss",
	"Unauthenticated",
] as const;
/** A code of gRPC's. */
export type RpcCode = (typeof RPC_CODES)[number];

const ERRNO: Readonly<Partial<Record<RpcCode, string>>> = {
	Canceled: "ECANCELED",
	InvalidArgument: "EINVAL",
	DeadlineExceeded: "ETIMEDOUT",
	NotFound: "ENOENT",
	AlreadyExists: "EEXIST",
	PermissionDenied: "EPERM",
	ResourceExhausted: "ENOSPC",
	FailedPrecondition: "EBUSY",
	Unavailable: "EAGAIN",
	Unauthenticated: "EACCES",
};

/** An RPC's failure: `rpc error: code = NotFound desc = node … not found`. */
export class RpcError extends NetError {
	/** gRPC's code. */
	readonly rpcCode: RpcCode;
	/** What stands behind `desc =`. */
	readonly description: string;

	constructor(rpcCode: RpcCode, description: string) {
		super(ERRNO[rpcCode] ?? "EIO", `rpc error: code = ${rpcCode} desc = ${description}`);
		this.rpcCode = rpcCode;
		this.description = description;
	}
}

/** What an RPC fails with: an `RpcError` as it is, anything else as a handler's own error. */
export function rpcErrorOf(error: unknown): RpcError {
	if (error instanceof RpcError) return error;
	return new RpcError("Unknown", error instanceof Error ? error.message : String(error));
}

/** Octets ↔ meaning of one kind of message. */
export interface MessageCodec<T> {
	write(message: T): Uint8Array;
	/** Undefined for octets that are no such message. */
	read(bytes: Uint8Array): T | undefined;
}

/** A message by its fields, for a call. */
export function messageOf<T extends object>(codec: protobuf.Codec<T>): MessageCodec<T> {
	return {
		write: (value) => codec.write(value),
		read: (bytes) => {
			const value = codec.read(bytes);
			return typeof value === "string" ? undefined : value;
		},
	};
}

/** One call that a server knows: its path, and what goes each way. */
export interface Method<Q, R> {
	/** `/docker.swarmkit.v1.Dispatcher/Heartbeat`. */
	readonly path: string;
	readonly request: MessageCodec<Q>;
	readonly reply: MessageCodec<R>;
}

/** A call as it is on the wire, for whoever hands it on. */
export const rawMethod = (path: string): Method<Uint8Array, Uint8Array> => ({
	path,
	request: RAW,
	reply: RAW,
});

const RAW: MessageCodec<Uint8Array> = { write: (octets) => octets, read: (octets) => octets };

/** Who a node says it is in its certificate. */
export interface Identity {
	readonly nodeId: string;
	readonly role: NodeRole;
	/** The cluster's id. */
	readonly cluster: string;
}

/** Who calls. */
export interface Caller {
	/** Undefined for one without a certificate: it wants to join. */
	readonly identity: Identity | undefined;
	/** Address it calls from. */
	readonly address: string;
}

/** What a call's replies go to. */
export interface ReplySink<R> {
	reply(message: R): void;
	/** Nothing more comes: in good order, or with the error. */
	end(error?: RpcError): void;
}

/** How a call is made. */
export interface CallOptions {
	/** Nanoseconds until it fails with DeadlineExceeded; for ever unless said. */
	readonly timeout?: number;
	/** On whose behalf a manager hands it on to the leader. */
	readonly forwardedFor?: Caller;
}

/** A way to a server. */
export interface Channel {
	/** Begins a call; what is returned gives it up, after which nothing is told any more. */
	call<Q, R>(method: Method<Q, R>, request: Q, sink: ReplySink<R>, options?: CallOptions): () => void;
	/** No more calls; those under way end. */
	close(): void;
}

/** A call with exactly one reply. */
export function unary<Q, R>(
	channel: Channel,
	method: Method<Q, R>,
	request: Q,
	done: (reply: R | RpcError) => void,
	options?: CallOptions,
): () => void {
	let answer: R | undefined;
	return channel.call(
		method,
		request,
		{
			reply: (message) => {
				answer = message;
			},
			end: (error) => {
				done(error ?? answer ?? new RpcError("Internal", "the server closed the stream without a reply"));
			},
		},
		options,
	);
}

/** A call at its server. */
export class Exchange<R> implements ReplySink<R> {
	readonly caller: Caller;
	/** The caller gave it up, or its connection broke. */
	onCancel: (() => void) | null = null;
	readonly #sink: ReplySink<R>;
	#over = false;

	constructor(caller: Caller, sink: ReplySink<R>) {
		this.caller = caller;
		this.#sink = sink;
	}

	/** True once nothing can be replied any more. */
	get over(): boolean {
		return this.#over;
	}

	reply(message: R): void {
		if (!this.#over) this.#sink.reply(message);
	}

	end(error?: RpcError): void {
		if (this.#over) return;
		this.#over = true;
		this.#sink.end(error);
	}

	/** The one reply, and the end. */
	answer(message: R): void {
		this.reply(message);
		this.end();
	}

	/** By the transport: nobody waits for it any more. */
	cancel(): void {
		if (this.#over) return;
		this.#over = true;
		this.onCancel?.();
	}
}

/** What a server does with a call. What it throws ends the call. */
export type Handler<Q, R> = (request: Q, exchange: Exchange<R>) => void;

/** The calls that a manager answers. */
export class RpcServer {
	readonly #handlers = new Map<string, (request: Uint8Array, exchange: Exchange<Uint8Array>) => void>();
	readonly #calls = new Set<Exchange<Uint8Array>>();
	/** Takes the calls that nobody here answers: the path, the request, and the call. */
	fallback: ((path: string, request: Uint8Array, exchange: Exchange<Uint8Array>) => void) | null = null;

	/** Answers a method from now on. */
	handle<Q, R>(method: Method<Q, R>, handler: Handler<Q, R>): void {
		this.#handlers.set(method.path, (octets, raw) => {
			const request = method.request.read(octets);
			if (request === undefined) {
				raw.end(new RpcError("Internal", "grpc: failed to unmarshal the received message"));
				return;
			}
			const exchange = new Exchange<R>(raw.caller, {
				reply: (message) => {
					raw.reply(method.reply.write(message));
				},
				end: (error) => {
					raw.end(error);
				},
			});
			raw.onCancel = () => {
				exchange.cancel();
			};
			handler(request, exchange);
		});
	}

	/** A call came. Returns what gives it up. */
	serve(path: string, request: Uint8Array, caller: Caller, sink: ReplySink<Uint8Array>): () => void {
		const exchange = new Exchange<Uint8Array>(caller, {
			reply: (message) => {
				sink.reply(message);
			},
			end: (error) => {
				this.#calls.delete(exchange);
				sink.end(error);
			},
		});
		const handler = this.#handlers.get(path);
		if (handler === undefined && this.fallback === null) {
			const [, service = "", method = ""] = path.split("/");
			const text = `unknown ${service === "" ? "method" : "service"} ${service === "" ? method : service}`;
			exchange.end(new RpcError("Unimplemented", text));
			return () => undefined;
		}
		this.#calls.add(exchange);
		try {
			if (handler === undefined) this.fallback?.(path, request, exchange);
			else handler(request, exchange);
		} catch (error) {
			exchange.end(rpcErrorOf(error));
		}
		return () => {
			this.#calls.delete(exchange);
			exchange.cancel();
		};
	}

	/** Ends the calls under way that `which` picks, with an error. */
	abort(error: RpcError, which: (caller: Caller) => boolean = () => true): void {
		for (const call of [...this.#calls]) if (which(call.caller)) call.end(error);
	}
}
