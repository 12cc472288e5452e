import { Duplex } from "node:stream";
import type { IpNamespace, TcpListener, TcpSocket } from "../stack/index.ts";
import type { Driver } from "../sim/index.ts";
import { formatIp4 } from "../addr/index.ts";

/** Octets that one read gives at most. */
const CHUNK = 65_536;

/**
 * An emulated TCP connection as a Node stream, for code written against `net.Socket`: Node's `http` client and server
 * run over it unchanged. While it is open it drives the lab's clock, so nobody has to await anything of the lab; a
 * server's connections leave that to who talks to it, and so does a client's that an agent keeps for later (`unref`).
 *
 * Timeouts of Node's own (`setTimeout` of a socket or a server) are of real time and do nothing here.
 */
export class TcpDuplex extends Duplex {
	/** The emulated connection. */
	readonly connection: TcpSocket;
	readonly #driver: Driver;
	#wantsData = false;
	#waiting: { data: Uint8Array; done: (error?: Error | null) => void } | undefined;
	#connecting: boolean;
	#settleDrive: (() => void) | undefined;

	#manner: "patient" | "idle";

	/** Takes a connection over, under way (`connecting`) or there; a server's with manner "idle". */
	constructor(
		connection: TcpSocket,
		driver: Driver,
		{ manner = "patient" }: { readonly manner?: "patient" | "idle" } = {},
	) {
		super({ allowHalfOpen: true, autoDestroy: true });
		this.#manner = manner;
		this.connection = connection;
		this.#driver = driver;
		this.#connecting = connection.state === "syn-sent";
		connection.onConnect = () => {
			this.#connecting = false;
			this.emit("connect");
			this.emit("ready");
			this.#more();
		};
		connection.onReadable = () => {
			this.#give();
			this.#pause();
		};
		connection.onWritable = () => {
			this.#more();
			this.#pause();
		};
		connection.onClose = (error) => {
			this.#settleDrive?.();
			if (error !== undefined) this.destroy(error);
			else this.#give();
		};
		// Time begins when the caller has said what it listens to.
		setImmediate(() => {
			this.#drive();
		});
	}

	/** The clock runs while the connection is open. */
	#drive(): void {
		const { connection } = this;
		if (this.destroyed || connection.state === "closed" || connection.state === "time-wait") return;
		this.#settleDrive?.();
		const open = this.#driver.operation<undefined>(
			(settle) => {
				this.#settleDrive = () => {
					this.#settleDrive = undefined;
					settle.resolve(undefined);
				};
			},
			{ what: `the connection to port ${String(connection.remotePort)}`, manner: this.#manner },
		);
		void open.then(() => undefined);
	}

	/** Something happened: Node's program has a turn before time goes on. */
	#pause(): void {
		// What is settled stops the clock; a connection that came a moment ago has nothing to settle yet.
		if (this.#settleDrive === undefined) this.#drive();
		this.#drive();
	}

	/** True until the handshake is done. */
	get connecting(): boolean {
		return this.#connecting;
	}

	/** The other side's address. */
	get remoteAddress(): string {
		return formatIp4(this.connection.remoteAddress);
	}

	/** The other side's port. */
	get remotePort(): number {
		return this.connection.remotePort;
	}

	/** This side's address. */
	get localAddress(): string {
		return formatIp4(this.connection.localAddress);
	}

	/** This side's port. */
	get localPort(): number {
		return this.connection.localPort;
	}

	/** Called by the stream: somebody wants data. */
	override _read(): void {
		this.#wantsData = true;
		this.#drive();
		this.#give();
	}

	#give(): void {
		const { connection } = this;
		while (this.#wantsData && connection.readable > 0) {
			this.#wantsData = this.push(connection.read(CHUNK));
		}
		if (connection.ended && !this.readableEnded && connection.error === undefined) {
			this.push(null);
		}
	}

	/** Called by the stream: data to be sent; `done` when it found room. */
	override _write(data: Uint8Array, _: BufferEncoding, done: (error?: Error | null) => void): void {
		this.#waiting = { data, done };
		this.#drive();
		this.#more();
	}

	#more(): void {
		const waiting = this.#waiting;
		if (waiting === undefined || this.#connecting) return;
		try {
			waiting.data = waiting.data.subarray(this.connection.write(waiting.data));
		} catch (error) {
			this.#waiting = undefined;
			return waiting.done(error instanceof Error ? error : new Error(String(error)));
		}
		if (waiting.data.length > 0) return;
		this.#waiting = undefined;
		waiting.done();
	}

	/** Called by the stream: nothing more will be written. Sends FIN. */
	override _final(done: (error?: Error | null) => void): void {
		this.connection.shutdown();
		this.#drive();
		done();
	}

	/** Called by the stream: closes, or resets after an error. */
	override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
		if (error !== null) this.connection.abort();
		else this.connection.close();
		const { state } = this.connection;
		if (state === "closed" || state === "time-wait") this.#settleDrive?.();
		done(error);
	}

	/** `TCP_NODELAY`. */
	setNoDelay(): this {
		this.connection.setNoDelay();
		return this;
	}

	/** Has no effect: keepalive is set when connecting. */
	setKeepAlive(): this {
		return this;
	}

	/** Has no effect: time is the lab's. */
	setTimeout(): this {
		return this;
	}

	/** It drives the clock again: an agent has a request for it. */
	ref(): this {
		this.#manner = "patient";
		this.#drive();
		return this;
	}

	/** It is kept for later, and time does not go on for its sake. */
	unref(): this {
		this.#manner = "idle";
		this.#drive();
		return this;
	}
}

/**
 * What `http.request({ createConnection })` or an agent wants: a function that connects from a namespace.
 *
 *     http.get("http://10.0.0.2/", { createConnection: createConnection(ns) }, …)
 */
export function createConnection(
	ns: IpNamespace,
): (options: {
	readonly host?: string | null | undefined;
	readonly port?: number | string | null | undefined;
}) => TcpDuplex {
	return ({ host, port }) => {
		const socket = ns.tcp.connect({ address: host ?? "127.0.0.1", port: Number(port ?? 80) });
		return new TcpDuplex(socket, ns.kernel.driver);
	};
}

/**
 * Hands the connections of a port to a server of Node's: `serve(ns, 80, http.createServer(…))`. Returns the listener;
 * closing it leaves connections alone.
 */
export function serve(
	ns: IpNamespace,
	port: number,
	server: { emit(event: "connection", connection: Duplex): boolean },
): TcpListener {
	const listener = ns.tcp.listen({ port, family: "inet6" });
	listener.onConnection = (socket) => {
		server.emit("connection", new TcpDuplex(socket, ns.kernel.driver, { manner: "idle" }));
	};
	return listener;
}
