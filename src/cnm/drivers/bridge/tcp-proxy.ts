import { NetError } from "../../../errors.ts";
import { seconds } from "../../../sim/index.ts";
import type { IpNamespace, TcpListener, TcpSocket } from "../../../stack/index.ts";
import type { PortProxy, ProxyRequest } from "./port-mapper.ts";

/** What Go's net package sets on accepted connections: every 15 s, nine times. */
const KEEP_ALIVE = { idle: seconds(15), interval: seconds(15), probes: 9 };
/** Octets that are copied at once (`io.Copy`). */
const CHUNK = 32_768;

/** One direction of a proxied connection: what one side says, to the other. Ends with a FIN of its own. */
class Copy {
	readonly #from: TcpSocket;
	readonly #to: TcpSocket;
	readonly #done: () => void;
	/** What was read and found no room yet. */
	#rest: Uint8Array = new Uint8Array();
	#over = false;

	constructor(from: TcpSocket, to: TcpSocket, done: () => void) {
		this.#from = from;
		this.#to = to;
		this.#done = done;
	}

	/** Copies what there is, as far as there is room. */
	run(): void {
		if (this.#over) return;
		try {
			for (;;) {
				if (this.#rest.length === 0) {
					if (this.#from.readable === 0) break;
					this.#rest = this.#from.read(CHUNK);
				}
				const taken = this.#to.write(this.#rest);
				if (taken === 0) return;
				this.#rest = this.#rest.subarray(taken);
			}
		} catch (error) {
			// The other side takes no more: this direction is at its end.
			if (!(error instanceof NetError)) throw error;
			return this.#end();
		}
		if (this.#from.ended) this.#end();
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

	/** Listens. Throws `NetError` EADDRINUSE, EADDRNOTAVAIL. */
	constructor(ns: IpNamespace, request: ProxyRequest) {
		this.#ns = ns;
		this.#request = request;
		this.#listener = ns.tcp.listen({
			address: request.hostIp,
			port: request.hostPort,
			noDelay: true,
			keepAlive: KEEP_ALIVE,
		});
		this.#listener.onConnection = (client) => {
			this.#accept(client);
		};
	}

	#accept(client: TcpSocket): void {
		const { containerIp, containerPort } = this.#request;
		this.#sockets.add(client);
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
		const there = new Copy(client, backend, done);
		const back = new Copy(backend, client, done);
		const both = (): void => {
			there.run();
			back.run();
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
