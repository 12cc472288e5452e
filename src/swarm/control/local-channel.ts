import { microseconds, Timer } from "../../sim/index.ts";
import type { Clock } from "../clock.ts";
import {
	type CallOptions,
	type Caller,
	type Channel,
	type Method,
	type ReplySink,
	RpcError,
	type RpcServer,
} from "./rpc.ts";

/** From one program to another by a socket of the machine's own. */
const LATENCY = microseconds(50);

/** The way to the manager on one's own node: its socket in the file system, nothing of it is on a wire. */
export class LocalChannel implements Channel {
	readonly #clock: Clock;
	readonly #server: RpcServer;
	readonly #caller: () => Caller;
	readonly #calls = new Set<() => void>();
	#closed = false;

	constructor(clock: Clock, server: RpcServer, caller: () => Caller) {
		this.#clock = clock;
		this.#server = server;
		this.#caller = caller;
	}

	call<Q, R>(
		method: Method<Q, R>,
		request: Q,
		sink: ReplySink<R>,
		{ timeout, forwardedFor }: CallOptions = {},
	): () => void {
		let over = false;
		let cancel = (): void => undefined;
		const deadline = new Timer(() => {
			stop();
			sink.end(new RpcError("DeadlineExceeded", "context deadline exceeded"));
		});
		const stop = (): void => {
			over = true;
			deadline.cancel();
			this.#calls.delete(broken);
			cancel();
		};
		const broken = (): void => {
			stop();
			sink.end(new RpcError("Canceled", "grpc: the client connection is closing"));
		};
		const later = (action: () => void): void => {
			this.#clock.after(
				LATENCY,
				new Timer(() => {
					if (!over) action();
				}),
			);
		};
		if (timeout !== undefined) this.#clock.after(timeout, deadline);
		this.#calls.add(broken);
		if (this.#closed) {
			later(broken);
			return stop;
		}
		later(() => {
			cancel = this.#server.serve(
				method.path,
				method.request.write(request),
				forwardedFor ?? this.#caller(),
				{
					reply: (octets) => {
						const message = method.reply.read(octets);
						if (message !== undefined)
							later(() => {
								sink.reply(message);
							});
					},
					end: (error) => {
						later(() => {
							cancel = () => undefined;
							stop();
							sink.end(error);
						});
					},
				},
			);
		});
		return stop;
	}

	close(): void {
		this.#closed = true;
		for (const broken of [...this.#calls]) broken();
	}
}
