import { formatIp4 } from "../../addr/index.ts";
import type { Rng } from "../../sim/index.ts";
import { MachineClock } from "../clock.ts";
import type { IpNamespace, TcpListener, TcpSocket } from "../../stack/index.ts";
import { callerOf } from "./caller-metadata.ts";
import { KEEP_ALIVE } from "./grpc-client.ts";
import { Http2 } from "./http2.ts";
import type { HeaderField } from "./hpack.ts";
import { MessageStream, withPrefix } from "./message-stream.ts";
import { type Caller, type Identity, RPC_CODES, type RpcError, type RpcServer } from "./rpc.ts";
import { TlsConnection } from "./tls-connection.ts";

/** What a server of RPCs is started with. */
export interface GrpcServerOptions {
	/** Local address; all of the namespace's unless said. */
	readonly address?: string;
	readonly port: number;
	readonly identity: Identity;
	readonly trusts: (identity: Identity | undefined) => boolean;
	readonly rng: Rng;
}

interface Stream {
	readonly path: string;
	readonly fields: readonly HeaderField[];
	readonly messages: MessageStream;
	begun: boolean;
	answered: boolean;
	cancel: (() => void) | undefined;
}

/** A port where RPCs are answered, by TLS alone. */
export class GrpcServer {
	readonly #ns: IpNamespace;
	readonly #rpc: RpcServer;
	readonly #options: GrpcServerOptions;
	readonly #listener: TcpListener;
	readonly #connections = new Set<ServerConnection>();

	/** Listens. Throws `NetError` EADDRINUSE, EADDRNOTAVAIL. */
	constructor(ns: IpNamespace, rpc: RpcServer, options: GrpcServerOptions) {
		this.#ns = ns;
		this.#rpc = rpc;
		this.#options = options;
		const { address, port } = options;
		const on = address === undefined ? ({ family: "inet6" } as const) : { address };
		this.#listener = ns.tcp.listen({ port, ...on, ...KEEP_ALIVE });
		this.#listener.onConnection = (socket) => {
			const connection = new ServerConnection(this.#ns, socket, this.#rpc, this.#options, () => {
				this.#connections.delete(connection);
			});
			this.#connections.add(connection);
		};
	}

	/** Closes the connections that nodes of which this is true have. */
	disconnect(which: (identity: Identity | undefined) => boolean): void {
		for (const connection of [...this.#connections]) if (which(connection.peer)) connection.close();
	}

	/** Listens no more, and closes all connections. */
	close(): void {
		this.#listener.close();
		this.disconnect(() => true);
	}

	/** The machine stopped: nothing is sent to anybody. */
	forget(): void {
		this.#listener.close();
		for (const connection of this.#connections) connection.forget();
		this.#connections.clear();
	}
}

class ServerConnection {
	readonly #rpc: RpcServer;
	readonly #tls: TlsConnection;
	readonly #address: string;
	readonly #gone: () => void;
	readonly #streams = new Map<number, Stream>();
	#http: Http2 | undefined;
	peer: Identity | undefined;

	constructor(
		ns: IpNamespace,
		socket: TcpSocket,
		rpc: RpcServer,
		options: GrpcServerOptions,
		gone: () => void,
	) {
		this.#rpc = rpc;
		this.#gone = gone;
		this.#address = formatIp4(socket.remoteAddress);
		const clock = new MachineClock(ns.kernel);
		const { identity, trusts, rng } = options;
		this.#tls = new TlsConnection(
			"server",
			socket,
			{ clock, rng, identity, trusts },
			{
				secure: (peer) => {
					this.peer = peer;
					this.#http = new Http2("server", this.#tls, clock, {
						ready: () => undefined,
						headers: (stream, fields) => {
							this.#headers(stream, fields);
						},
						data: (stream, octets, end) => {
							this.#data(stream, octets, end);
						},
						reset: (stream) => {
							this.#end(stream);
						},
						broken: () => {
							this.close();
						},
					});
				},
				data: (octets) => this.#http?.receive(octets),
				closed: () => {
					this.#over();
				},
			},
		);
	}

	get #caller(): Caller {
		return { identity: this.peer, address: this.#address };
	}

	#headers(stream: number, fields: readonly HeaderField[]): void {
		const path = fields.find(([name]) => name === ":path")?.[1] ?? "";
		this.#streams.set(stream, {
			path,
			fields,
			messages: new MessageStream(),
			begun: false,
			answered: false,
			cancel: undefined,
		});
	}

	#data(id: number, octets: Uint8Array, end: boolean): void {
		const stream = this.#streams.get(id);
		if (stream === undefined) return;
		const [request] = stream.messages.push(octets);
		if (request === undefined || stream.begun) {
			if (end && !stream.begun) this.#end(id);
			return;
		}
		stream.begun = true;
		const cancel = this.#rpc.serve(stream.path, request, callerOf(stream.fields, this.#caller), {
			reply: (message) => {
				this.#answer(id, stream);
				this.#http?.data(id, withPrefix(message), false);
			},
			end: (error) => {
				if (!this.#streams.has(id)) return;
				this.#streams.delete(id);
				if (error === undefined) this.#answer(id, stream);
				this.#trailers(id, stream, error);
			},
		});
		stream.cancel = cancel;
	}

	/** The answer's own headers, once. */
	#answer(id: number, stream: Stream): void {
		if (stream.answered) return;
		stream.answered = true;
		this.#http?.headers(
			id,
			[
				[":status", "200"],
				["content-type", "application/grpc"],
			],
			false,
		);
	}

	#trailers(id: number, stream: Stream, error: RpcError | undefined): void {
		const status = String(RPC_CODES.indexOf(error?.rpcCode ?? "OK"));
		const alone: HeaderField[] = stream.answered
			? []
			: [
					[":status", "200"],
					["content-type", "application/grpc"],
				];
		this.#http?.headers(
			id,
			[...alone, ["grpc-status", status], ["grpc-message", escaped(error?.description ?? "")]],
			true,
		);
	}

	#end(id: number): void {
		const stream = this.#streams.get(id);
		this.#streams.delete(id);
		stream?.cancel?.();
	}

	close(): void {
		this.#http?.close();
		this.#tls.close();
		this.#over();
	}

	#over(): void {
		this.#http?.forget();
		for (const id of [...this.#streams.keys()]) this.#end(id);
		this.#gone();
	}

	/** The machine stopped. */
	forget(): void {
		this.#http?.forget();
		this.#tls.forget();
		this.#streams.clear();
	}
}

/** Octets that are no printable ASCII, and `%`, by their hexadecimal digits (gRPC over HTTP/2, "Status-Message"). */
const escaped = (text: string): string =>
	text.replace(
		/[^ -$&-~]/g,
		(letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
	);
