import type { Ip4 } from "../../../addr/index.ts";
import { NetError } from "../../../errors.ts";
import { seconds, Timer } from "../../../sim/index.ts";
import type { IpNamespace, UdpSocket } from "../../../stack/index.ts";
import type { PortProxy, ProxyRequest } from "./port-mapper.ts";

/** So long a client is remembered after the last answer to it (`UDPConnTrackTimeout`). */
const REMEMBERED = seconds(90);

interface Client {
	readonly socket: UdpSocket;
	readonly timer: Timer;
}

/**
 * docker-proxy for UDP: every client gets a socket of its own towards the container, until nothing was answered to it
 * for 90 s. Reference: cmd/docker-proxy/udp_proxy.go.
 */
export class UdpProxy implements PortProxy {
	readonly #ns: IpNamespace;
	readonly #request: ProxyRequest;
	readonly #listener: UdpSocket;
	/** By address and port. */
	readonly #clients = new Map<number, Client>();

	/** Binds the port. Throws `NetError` EADDRINUSE, EADDRNOTAVAIL. */
	constructor(ns: IpNamespace, request: ProxyRequest) {
		this.#ns = ns;
		this.#request = request;
		this.#listener = ns.udp({ address: request.hostIp, port: request.hostPort });
		this.#listener.handler = (frame, at, octets, source, port) => {
			const key = source * 0x1_0000 + port;
			const client = this.#clients.get(key) ?? this.#meet(key, source, port);
			if (client !== undefined) pass(client.socket, frame.bytes.subarray(at, at + octets));
		};
	}

	#meet(key: number, address: Ip4, port: number): Client | undefined {
		const { kernel } = this.#ns;
		const { containerIp, containerPort } = this.#request;
		const socket = this.#ns.udp();
		try {
			socket.connect(containerIp, containerPort);
		} catch (error) {
			socket.close();
			if (error instanceof NetError) return undefined;
			throw error;
		}
		const timer = new Timer(() => {
			this.#forget(key);
		});
		socket.handler = (frame, at, octets) => {
			kernel.arm(timer, REMEMBERED);
			pass(this.#listener, frame.bytes.subarray(at, at + octets), { address, port });
		};
		kernel.arm(timer, REMEMBERED);
		const client = { socket, timer };
		this.#clients.set(key, client);
		return client;
	}

	#forget(key: number): void {
		const client = this.#clients.get(key);
		this.#clients.delete(key);
		client?.timer.cancel();
		client?.socket.close();
	}

	/** The process ends. */
	close(): void {
		for (const key of [...this.#clients.keys()]) this.#forget(key);
		this.#listener.close();
	}
}

/** What cannot be sent is lost, as datagrams are: the proxy notes it and goes on. */
function pass(socket: UdpSocket, datagram: Uint8Array, to?: Parameters<UdpSocket["send"]>[1]): void {
	try {
		socket.send(datagram, to);
	} catch (error) {
		if (!(error instanceof NetError)) throw error;
	}
}
