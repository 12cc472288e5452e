/// <reference lib="esnext.disposable" preserve="true" />
import { formatIp4 } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import type { Driver, Operation } from "../../sim/index.ts";
import type { TcpListener } from "./listener.ts";
import type { TcpSocket } from "./socket.ts";
import { TcpStream } from "./stream.ts";

/** A listening socket whose connections are streams. */
export class TcpServer implements AsyncIterable<TcpStream> {
	readonly #listener: TcpListener;
	readonly #driver: Driver;

	constructor(listener: TcpListener, driver: Driver) {
		this.#listener = listener;
		this.#driver = driver;
	}

	/** Where it listens; address `0.0.0.0` stands for all of the namespace's. */
	get address(): { readonly address: string; readonly port: number } {
		return { address: formatIp4(this.#listener.address), port: this.#listener.port };
	}

	/** The next connection. Awaiting it drives the clock. Rejects with `NetError` EBADF when the server is closed. */
	accept(): Operation<TcpStream> {
		return this.#next("drives");
	}

	#next(manner: "drives" | "idle"): Operation<TcpStream> {
		return this.#driver.operation<TcpStream>(
			(settle) => {
				this.#listener.accept({
					resolve: (socket: TcpSocket) =>
						settle.resolve(
							new TcpStream(socket, this.#driver, { manner: manner === "idle" ? "idle" : "patient" }),
						),
					reject: (error) => settle.reject(error),
				});
			},
			{ what: `accept on port ${String(this.#listener.port)}`, manner },
		);
	}

	/**
	 * Connections until it is closed. A server that waits so lets time stand still, and so do its connections: whoever
	 * talks to it drives the clock.
	 */
	async *[Symbol.asyncIterator](): AsyncGenerator<TcpStream> {
		while (!this.#listener.closed) {
			try {
				yield await this.#next("idle");
			} catch (error) {
				if (error instanceof NetError && error.code === "EBADF") return;
				throw error;
			}
		}
	}

	/** Listens no more. Connections that were accepted live on. */
	close(): void {
		this.#listener.close();
	}

	/** `using` closes it. */
	[Symbol.dispose](): void {
		this.close();
	}
}
