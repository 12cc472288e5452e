/// <reference lib="esnext.disposable" preserve="true" />
import { formatIp4 } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import { type Driver, type Nanoseconds, type Operation, type Settle, Timer } from "../../sim/index.ts";
import type { ConnectOptions, Tcp } from "./connections.ts";
import type { TcpSocket } from "./socket.ts";

/** Octets that one read gives at most. */
/** States in which the other side has not acknowledged all that was said. */
const UNACKNOWLEDGED: readonly string[] = ["fin-wait-1", "closing", "last-ack"];
const CHUNK = 65_536;

/** Both ends of a connection, as text. */
export interface TcpAddresses {
	readonly localAddress: string;
	readonly localPort: number;
	readonly remoteAddress: string;
	readonly remotePort: number;
}

/**
 * A TCP connection as WHATWG streams. What is awaited of it drives the lab's clock: a read runs it until data comes, a
 * write while the send buffer is full. Backpressure is TCP's own: what is not read closes the receive window.
 *
 * Errors are `NetError`s named by errno: ECONNREFUSED, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, EPIPE.
 */
export class TcpStream implements AsyncDisposable {
	/** What the other side says; it closes with the other side's FIN. Cancelling it ends the connection. */
	readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
	/** What is said to the other side. Closing it sends FIN, aborting it a reset. */
	readonly writable: WritableStream<Uint8Array>;
	/** The socket below, for what streams cannot say: `info`, `setNoDelay`. */
	readonly socket: TcpSocket;
	readonly #driver: Driver;
	readonly #what: string;
	readonly #manner: "patient" | "idle";
	#readWaiter: (() => void) | undefined;
	#writeWaiter: (() => void) | undefined;
	readonly #closeWaiters: (() => void)[] = [];
	#over = false;
	#error: NetError | undefined;
	#readDone = false;
	#writeDone = false;

	/**
	 * Takes a socket over; its callbacks are the stream's. With `manner` "idle" what is awaited of it leaves driving the
	 * clock to others: servers wait so.
	 */
	constructor(
		socket: TcpSocket,
		driver: Driver,
		{
			signal,
			manner = "patient",
		}: { readonly signal?: AbortSignal | undefined; readonly manner?: "patient" | "idle" } = {},
	) {
		this.#manner = manner;
		this.socket = socket;
		this.#driver = driver;
		this.#what = `TCP ${formatIp4(socket.localAddress)}:${String(socket.localPort)} with ${formatIp4(socket.remoteAddress)}:${String(socket.remotePort)}`;
		socket.onReadable = () => this.#readWaiter?.();
		socket.onWritable = () => this.#writeWaiter?.();
		socket.onClose = (error) => {
			this.#finish(error);
		};
		if (socket.state === "closed") this.#finish(socket.error);
		// Nothing is read before somebody asks: the window is TCP's, not the stream's.
		this.readable = new ReadableStream<Uint8Array<ArrayBuffer>>(
			{ pull: (controller) => this.#pull(controller), cancel: () => this.#stopReading() },
			{ highWaterMark: 0 },
		);
		this.writable = new WritableStream<Uint8Array>(
			{ write: (data) => this.#write(data), close: () => this.#shut(), abort: () => this.socket.abort() },
			{ highWaterMark: 1 },
		);
		if (signal !== undefined) this.#obey(signal);
	}

	/** Begins a connection and settles with its stream, or with what went wrong. Throws what `Tcp.connect` throws. */
	static connect(
		tcp: Tcp,
		options: ConnectOptions,
		driver: Driver,
		settle: Settle<TcpStream>,
		signal?: AbortSignal,
	): void {
		const canceled = (): NetError => new NetError("ECANCELED", "connect: Operation canceled");
		if (signal?.aborted === true) throw canceled();
		const socket = tcp.connect(options);
		const abort = (): void => {
			socket.abort();
			settle.reject(canceled());
		};
		signal?.addEventListener("abort", abort, { once: true });
		socket.onConnect = () => {
			signal?.removeEventListener("abort", abort);
			settle.resolve(new TcpStream(socket, driver, { signal }));
		};
		socket.onClose = (error) => {
			settle.reject(error ?? canceled());
		};
	}

	/** Addresses and ports of both ends. */
	get addresses(): TcpAddresses {
		const { socket } = this;
		return {
			localAddress: formatIp4(socket.localAddress),
			localPort: socket.localPort,
			remoteAddress: formatIp4(socket.remoteAddress),
			remotePort: socket.remotePort,
		};
	}

	/** Settles at once: a stream exists only once its connection does. */
	get opened(): Promise<TcpAddresses> {
		return Promise.resolve(this.addresses);
	}

	/**
	 * Settles when the connection is over in both directions; rejects with what ended it. Awaiting it drives the clock.
	 */
	get closed(): Operation<undefined> {
		return this.#driver.operation<undefined>(
			(settle) => {
				const end = (): void => {
					if (this.#error !== undefined) settle.reject(this.#error);
					else settle.resolve(undefined);
				};
				if (this.#over) end();
				else this.#closeWaiters.push(end);
			},
			{ what: `closing ${this.#what}`, manner: this.#manner },
		);
	}

	/**
	 * Lets the connection go: what was written is still delivered. Settles when nothing more is to be sent or heard; with
	 * `linger` when all that was said is acknowledged, or after so long.
	 */
	close(): Operation<undefined> {
		const { linger } = this.socket;
		this.#release();
		return linger === undefined || linger === 0 ? this.closed : this.#lingered(linger);
	}

	#lingered(most: Nanoseconds): Operation<undefined> {
		return this.#driver.operation<undefined>(
			(settle) => {
				const timer = new Timer(() => {
					settle.resolve(undefined);
				});
				const look = (): void => {
					if (!this.#over && UNACKNOWLEDGED.includes(this.socket.state)) return;
					timer.cancel();
					if (this.#error !== undefined) settle.reject(this.#error);
					else settle.resolve(undefined);
				};
				this.socket.wait(timer, most);
				this.socket.onWritable = look;
				this.#closeWaiters.push(look);
				look();
			},
			{ what: `closing ${this.#what}`, manner: this.#manner },
		);
	}

	/** `await using` closes it. */
	async [Symbol.asyncDispose](): Promise<void> {
		try {
			await this.close();
		} catch {
			// Whoever used it has seen the error.
		}
	}

	#obey(signal: AbortSignal): void {
		const abort = (): void => {
			this.#error ??= new NetError("ECANCELED", "Operation canceled", { context: { reason: signal.reason } });
			this.socket.abort();
		};
		if (signal.aborted) abort();
		else signal.addEventListener("abort", abort, { once: true });
	}

	#finish(error: NetError | undefined): void {
		this.#over = true;
		this.#error ??= error;
		this.#readWaiter?.();
		this.#writeWaiter?.();
		for (const waiter of this.#closeWaiters.splice(0)) waiter();
	}

	#wait(start: (settle: Settle<undefined>) => void, what: string): Operation<undefined> {
		return this.#driver.operation<undefined>(start, { what: `${what} ${this.#what}`, manner: this.#manner });
	}

	// The streams hand these promises on to nobody, but awaiting them is what drives the clock.

	async #pull(controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): Promise<void> {
		const { socket } = this;
		await this.#wait((settle) => {
			const look = (): void => {
				if (socket.readable > 0 || socket.ended || this.#over) {
					this.#readWaiter = undefined;
					settle.resolve(undefined);
				}
			};
			this.#readWaiter = look;
			look();
		}, "reading");
		if (socket.readable > 0) return controller.enqueue(socket.read(CHUNK));
		if (this.#error !== undefined) return controller.error(this.#error);
		controller.close();
		this.#readDone = true;
		if (this.#writeDone) this.#release();
	}

	async #write(data: Uint8Array): Promise<void> {
		const { socket } = this;
		let left = data;
		for (;;) {
			if (this.#error !== undefined) throw this.#error;
			left = left.subarray(socket.write(left));
			if (left.length === 0) return;
			await this.#wait((settle) => {
				const look = (): void => {
					if (!socket.writable && !this.#over) return;
					this.#writeWaiter = undefined;
					settle.resolve(undefined);
				};
				this.#writeWaiter = look;
				look();
			}, "writing");
		}
	}

	#shut(): void {
		if (this.#error !== undefined) throw this.#error;
		this.socket.shutdown();
		this.#writeDone = true;
		if (this.#readDone) this.#release();
	}

	#stopReading(): void {
		this.#readDone = true;
		this.#release();
	}

	/** Both directions are done with: the socket is no longer held. */
	#release(): void {
		this.#readDone = true;
		this.#writeDone = true;
		this.socket.close();
		if (this.socket.state !== "time-wait") return;
		this.#finish(undefined);
	}
}
