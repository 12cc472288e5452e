import { NetError } from "../../../errors.ts";
import { seconds } from "../../../sim/index.ts";
import type { IpNamespace, TcpListener, TcpSocket } from "../../../stack/index.ts";
import type { PortProxy, ProxyRequest } from "./port-mapper.ts";

/** What Go's net package sets on accepted connections: every 15 s, nine times. */
const KEEP_ALIVE = { idle: seconds(15), interval: seconds(15), probes: 9 };
/** Octets that are copied at once (`io.Copy`). */
const CHUNK = 32_768;

/** What the process is woken for: a new connection, or one of the two directions of one. */
export type ProxyWork = "accept" | "to-container" | "to-client";

/** When the process gets the processor to do some work; a program of the lab does at once. */
export type Wake = (work: ProxyWork, run: () => void) => void;

const AT_ONCE: Wake = (_work, run) => {
	run();
};

/** One direction of a proxied connection: what one side says, to the other. Ends with a FIN of its own. */
class Copy {
	readonly #from: TcpSocket;
	readonly #to: TcpSocket;
	readonly #wake: (run: () => void) => void;
	readonly #done: () => void;
	/** What was read and found no room yet. */
	#rest: Uint8Array = new Uint8Array();
	#woken = false;
	#over = false;

	constructor(from: TcpSocket, to: TcpSocket, wake: (run: () => void) => void, done: () => void) {
		this.#from = from;
		this.#to = to;
		this.#wake = wake;
		this.#done = done;
	}

	/** Something changed at one of the sockets: there may be something to read, or room to write. */
	poke(): void {
		if (this.#woken || this.#over) return;
		this.#woken = true;
		this.#wake(() => {
			this.#woken = false;
			if (this.#step()) this.poke();
		});
	}

	/** One read and one write; says whether there may be more to do. */
	#step(): boolean {
		if (this.#over) return false;
		try {
			if (this.#rest.length === 0) this.#rest = this.#from.read(CHUNK);
			if (this.#rest.length > 0) {
				const taken = this.#to.write(this.#rest);
				this.#rest = this.#rest.subarray(taken);
				return taken > 0;
			}
		} catch (error) {
			// The other side takes no more: this direction is at its end.
			if (!(error instanceof NetError)) throw error;
			this.#end();
			return false;
		}
		if (this.#from.ended) this.#end();
		return false;
	}

	#end(): void {
		this.#over = true;
		this.#to.shutdown();
		this.#done();
	}
}

/**
 * docker-proxy for TCP: every connection to the host's port becomes a second one, from the host to the container. Each
 * side's FIN is passed on by itself. Reference: cmd/docker-proxy/tcp_proxy.go.
 */
export class TcpProxy implements PortProxy {
	readonly #ns: IpNamespace;
	readonly #request: ProxyRequest;
	readonly #listener: TcpListener;
	readonly #sockets = new Set<TcpSocket>();
	readonly #wake: Wake;

	/** Listens. Throws `NetError` EADDRINUSE, EADDRNOTAVAIL. */
	constructor(ns: IpNamespace, request: ProxyRequest, wake: Wake = AT_ONCE) {
		this.#ns = ns;
		this.#request = request;
		this.#wake = wake;
		this.#listener = ns.tcp.listen({
			address: request.hostIp,
			port: request.hostPort,
			noDelay: true,
			keepAlive: KEEP_ALIVE,
		});
		this.#listener.onConnection = (client) => {
			this.#sockets.add(client);
			wake("accept", () => {
				this.#accept(client);
			});
		};
	}

	#accept(client: TcpSocket): void {
		const { containerIp, containerPort } = this.#request;
		let backend: TcpSocket;
		try {
			backend = this.#ns.tcp.connect({ address: containerIp, port: containerPort, noDelay: true });
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			return this.#close(client);
		}
		this.#sockets.add(backend);
		// Until there is a second connection the client's words wait in its socket.
		client.onClose = () => this.#sockets.delete(client);
		backend.onConnect = () => {
			this.#couple(client, backend);
		};
		backend.onClose = () => {
			this.#sockets.delete(backend);
			this.#close(client);
		};
	}

	#couple(client: TcpSocket, backend: TcpSocket): void {
		let left = 2;
		const done = (): void => {
			if (--left > 0) return;
			this.#close(client);
			this.#close(backend);
		};
		const wake =
			(work: ProxyWork) =>
			(run: () => void): void => {
				this.#wake(work, run);
			};
		const there = new Copy(client, backend, wake("to-container"), done);
		const back = new Copy(backend, client, wake("to-client"), done);
		const both = (): void => {
			there.poke();
			back.poke();
		};
		for (const socket of [client, backend]) {
			socket.onReadable = both;
			socket.onWritable = both;
			socket.onClose = () => {
				this.#sockets.delete(socket);
				both();
			};
		}
		both();
	}

	#close(socket: TcpSocket): void {
		this.#sockets.delete(socket);
		socket.close();
	}

	/** The process ends: nobody is listened to any more, and what is under way is closed. */
	close(): void {
		this.#listener.close();
		for (const socket of [...this.#sockets]) this.#close(socket);
	}
}
