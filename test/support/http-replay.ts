import { formatIp4, toIp4 } from "../../src/addr/index.ts";
import type { Lab, Netns } from "../../src/index.ts";
import type { TcpSocket } from "../../src/stack/index.ts";
import { dissect, ipv4, tcp, ethernet } from "../../src/wire/index.ts";
import type { TimedFrame } from "./golden.ts";

/** One recorded request and its answer, as its client's interface saw them: what was said, and when. */
export interface Exchange {
	readonly client: string;
	readonly server: string;
	readonly port: number;
	readonly request: Uint8Array;
	/** Each piece of the answer as it was written; with the last one the server may also have ended. */
	readonly answer: readonly Uint8Array[];
	readonly at: {
		readonly connect: number;
		readonly request: number;
		readonly answer: readonly number[];
		/** The server's end, when it came behind the last piece. */
		readonly end: number | undefined;
		readonly close: number;
	};
}

/** The exchanges of a recording with a port, in the order of their SYNs; `offset` is added to its times. */
export function exchanges(frames: readonly TimedFrame[], port: number, offset = 0): Exchange[] {
	const found = new Map<string, { -readonly [K in keyof Exchange]: Exchange[K] }>();
	for (const { time: recorded, data } of frames) {
		const time = recorded + offset;
		const layers = dissect(data);
		if (layers[2]?.protocol !== "tcp") continue;
		const view = new DataView(data.buffer, data.byteOffset, data.length);
		const ip = ethernet.OCTETS;
		const at = ip + ipv4.headerOctets(view, ip);
		const payload = data.slice(at + tcp.headerOctets(view, at), ip + ipv4.totalLength(view, ip));
		const fromServer = tcp.sourcePort(view, at) === port;
		const [source, destination] = [formatIp4(ipv4.source(view, ip)), formatIp4(ipv4.destination(view, ip))];
		const clientPort = fromServer ? tcp.destinationPort(view, at) : tcp.sourcePort(view, at);
		const key = `${fromServer ? destination : source} ${String(clientPort)}`;
		const flags = tcp.flags(view, at);
		let exchange = found.get(key);
		if (exchange === undefined) {
			const never = { connect: time, request: 0, answer: [], end: undefined, close: 0 };
			const nothing = { request: new Uint8Array(0), answer: [] };
			exchange = { client: source, server: destination, port, ...nothing, at: never };
			found.set(key, exchange);
		}
		if (payload.length > 0 && fromServer) {
			exchange.answer = [...exchange.answer, payload];
			exchange.at = { ...exchange.at, answer: [...exchange.at.answer, time] };
		} else if (payload.length > 0) {
			exchange.request = payload;
			exchange.at = { ...exchange.at, request: time };
		}
		if ((flags & tcp.FIN) === 0) continue;
		if (!fromServer) exchange.at = { ...exchange.at, close: time };
		else if (payload.length === 0) exchange.at = { ...exchange.at, end: time };
	}
	return [...found.values()];
}

/** Programs that do at its instants what the recorded ones did. Servers are those of all namespaces that `listen`. */
export class HttpReplay {
	readonly #lab: Lab;
	readonly #accepted = new Map<number, TcpSocket>();
	/** The namespaces that took connections, in that order. */
	readonly servers: string[] = [];
	readonly commands: (readonly [at: number, command: () => unknown])[] = [];

	constructor(lab: Lab) {
		this.#lab = lab;
	}

	/** A server's namespace takes connections. */
	listen(ns: Netns, port: number): void {
		ns.tcp.listen({ port, backlog: 9 }).onConnection = (socket) => {
			socket.onReadable = () => {
				socket.read();
				if (socket.ended) socket.close();
			};
			this.servers.push(ns.name);
			// On its way the client's port stays.
			this.#accepted.set(socket.remotePort, socket);
		};
	}

	/** An exchange is to be made from a namespace; the server speaks so many seconds before its client sees it. */
	add(ns: Netns, exchange: Exchange, ahead: number): void {
		const { server, port, at } = exchange;
		let client: TcpSocket | undefined;
		const accepted = (): TcpSocket => {
			const socket = this.#accepted.get(client?.localPort ?? 0);
			if (socket === undefined)
				throw new Error(`nobody accepted ${server}:${String(port)} by ${String(this.#lab.now)}`);
			return socket;
		};
		const last = exchange.answer.length - 1;
		this.commands.push(
			[
				at.connect,
				() => {
					client = ns.tcp.connect({ address: toIp4(server, "server"), port });
					const socket = client;
					socket.onReadable = () => void socket.read();
				},
			],
			[at.request, () => client?.write(exchange.request)],
			...exchange.answer.map(
				(piece, i) =>
					[
						(at.answer[i] ?? 0) - ahead,
						() => {
							accepted().write(piece);
							if (i === last && at.end === undefined) accepted().shutdown();
						},
					] as const,
			),
			[at.close, () => client?.close()],
		);
		if (at.end !== undefined) this.commands.push([at.end - ahead, () => accepted().shutdown()]);
	}
}
