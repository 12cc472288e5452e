import type { Ip4 } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import type { TcpSocket } from "./socket.ts";
import type { TcpTuning } from "./tcb.ts";

/** What a listener is opened with. */
export interface ListenOptions extends TcpTuning {
	readonly port: number;
	/** Local address; all of the namespace's unless said. */
	readonly address?: Ip4 | string;
	/** Connections that may wait to be accepted (`listen(2)`). */
	readonly backlog?: number;
}

/**
 * A listening socket: it answers SYNs and keeps the connections that came about until a program takes them. Handshakes
 * under way are requests of their own (`syn-received`), as in Linux.
 */
export class TcpListener {
	readonly address: Ip4;
	readonly port: number;
	readonly backlog: number;
	readonly tuning: TcpTuning;
	/** Takes connections as they come about; else they wait in a queue. */
	onConnection: ((socket: TcpSocket) => void) | null = null;
	/** Handshakes under way. */
	requests = 0;
	readonly #remove: (listener: TcpListener) => void;
	readonly #queue: TcpSocket[] = [];
	#waiters: { resolve(socket: TcpSocket): void; reject(error: unknown): void }[] = [];
	#closed = false;
	#warned = false;

	/** `most` is `net.core.somaxconn`. */
	constructor(
		address: Ip4,
		port: number,
		options: ListenOptions,
		most: number,
		remove: (listener: TcpListener) => void,
	) {
		this.address = address;
		this.port = port;
		this.backlog = Math.min(options.backlog ?? most, most);
		this.tuning = options;
		this.#remove = remove;
	}

	/** Connections that wait to be accepted. */
	get waiting(): number {
		return this.#queue.length;
	}

	/** No more may wait (`sk_acceptq_is_full`): as many as the backlog, and one. */
	get full(): boolean {
		return this.#queue.length > this.backlog;
	}

	/** Whether the log has to be told that SYNs are answered by cookies: once for each listener (`synflood_warned`). */
	warnsOfFlood(): boolean {
		const first = !this.#warned;
		this.#warned = true;
		return first;
	}

	/** True once `close` was called. */
	get closed(): boolean {
		return this.#closed;
	}

	/** A connection came about. Called by the stack. */
	arrived(socket: TcpSocket): void {
		if (this.#closed) return socket.abort();
		if (this.onConnection !== null) return this.onConnection(socket);
		const waiter = this.#waiters.shift();
		if (waiter === undefined) this.#queue.push(socket);
		else waiter.resolve(socket);
	}

	/** The next connection: at once if one waits, or to the waiter later. */
	accept(waiter: { resolve(socket: TcpSocket): void; reject(error: unknown): void }): void {
		const socket = this.#queue.shift();
		if (socket !== undefined) waiter.resolve(socket);
		else if (this.#closed) waiter.reject(closedError());
		else this.#waiters.push(waiter);
	}

	/** Ends it: connections that nobody accepted are reset, the port is free (`inet_csk_listen_stop`). */
	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#remove(this);
		for (const socket of this.#queue.splice(0)) socket.abort();
		for (const waiter of this.#waiters.splice(0)) waiter.reject(closedError());
	}
}

const closedError = (): NetError => new NetError("EBADF", "accept: Bad file descriptor");
