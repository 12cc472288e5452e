import { formatIp4 } from "../../addr/index.ts";
import { type Rng, seconds, Timer } from "../../sim/index.ts";
import type { IpNamespace, TcpListener, TcpSocket, UdpSocket } from "../../stack/index.ts";
import { dns } from "../../wire/index.ts";
import { answer, fitted, udpOctets } from "./answer.ts";
import { forward, type UnderWay } from "./forward.ts";
import { MessageStream, withLength } from "./message-stream.ts";
import type { NameSource } from "./names.ts";

/** Where containers find it. */
export const ADDRESS = "127.0.0.11";
const TCP_OCTETS = 65_535;
const FIRST = seconds(2);
const IDLE = seconds(8);

/** What the server needs to know. */
export interface EmbeddedDnsOptions {
	readonly names: NameSource;
	/** Servers outside, in order: `--dns`, or the host's. */
	readonly servers: () => readonly string[];
	/** Orders answers with several addresses. */
	readonly rng: Rng;
}

/**
 * The name server in a container's namespace: 127.0.0.11, reached on port 53 by way of nat rules, for it listens on
 * ports of the kernel's choice.
 *
 *     query to 127.0.0.11:53 → OUTPUT: DNAT → lo → server ─┬─ known name, own address: answered
 *                                                          └─ all else: upstream, one server after the other
 *     answer → POSTROUTING: SNAT to :53 → lo → asker
 *
 * Reference: libnetwork's resolver.go and resolver_unix.go, Docker 20.10.
 */
export class EmbeddedDns {
	readonly #ns: IpNamespace;
	readonly #options: EmbeddedDnsOptions;
	readonly #udp: UdpSocket;
	readonly #tcp: TcpListener;
	readonly #underWay: UnderWay = { count: 0 };

	/** Listens, and puts the rules in. */
	constructor(ns: IpNamespace, options: EmbeddedDnsOptions) {
		this.#ns = ns;
		this.#options = options;
		this.#udp = ns.udp({ address: ADDRESS });
		this.#udp.handler = (frame, at, octets, source, port) => {
			this.#serve(frame.bytes.slice(at, at + octets), "udp", (bytes) => {
				if (bytes !== undefined) this.#udp.send(bytes, { address: formatIp4(source), port });
			});
		};
		this.#tcp = ns.tcp.listen({ port: 0, address: ADDRESS });
		this.#tcp.onConnection = (socket) => {
			this.#converse(socket);
		};
		for (const rule of rules(this.#udp.port, this.#tcp.port)) ns.iptables(`-t nat ${rule}`);
	}

	/**
	 * By TCP: each message has its length in front, and one is answered after the other. Who says nothing is let go: after
	 * two seconds at first, after eight later (`dnsTimeout` and `tcpIdleTimeout` of the server that the daemon uses).
	 */
	#converse(socket: TcpSocket): void {
		const { kernel } = this.#ns;
		const waiting: Uint8Array[] = [];
		let busy = false;
		const idle = new Timer(() => {
			if (!busy) socket.close();
		});
		const next = (): void => {
			const query = waiting.shift();
			busy = query !== undefined;
			if (query !== undefined) {
				this.#serve(query, "tcp", (bytes) => {
					if (bytes !== undefined && socket.writable) socket.write(withLength(bytes));
					next();
				});
			} else if (socket.ended) socket.close();
			else kernel.arm(idle, IDLE);
		};
		const stream = new MessageStream((query) => {
			waiting.push(query);
		});
		socket.onReadable = () => {
			stream.push(socket.read());
			if (!busy) next();
		};
		socket.onClose = () => {
			idle.cancel();
		};
		kernel.arm(idle, FIRST);
	}

	/** Answers a question: `send` is called once, with nothing for what is not answered. */
	#serve(bytes: Uint8Array, transport: "udp" | "tcp", send: (bytes: Uint8Array | undefined) => void): void {
		const query = dns.read(bytes);
		if (typeof query === "string" || query.questions.length === 0 || (query.flags & dns.FLAG.QR) !== 0) {
			send(undefined);
			return;
		}
		const own = answer(query, this.#options.names, this.#options.rng);
		if (own !== undefined) {
			send(fitted(own, transport === "udp" ? udpOctets(query) : TCP_OCTETS));
			return;
		}
		const servers = this.#options.servers().filter((server) => server !== ADDRESS);
		forward(this.#ns, servers, transport, bytes, this.#underWay, (reply) => {
			// The daemon takes what came apart and puts it together anew, with names compressed.
			const message = reply === undefined ? "dns-malformed" : dns.read(reply);
			send(typeof message === "string" ? undefined : dns.write(message, { compress: true }));
		});
	}

	/** Stops listening; the rules go with the namespace. */
	close(): void {
		this.#udp.close();
		this.#tcp.close();
	}
}

/** The rules that lead port 53 to the server's own ports and back, in the order in which the daemon makes them. */
export function rules(udp: number, tcp: number): string[] {
	return [
		"-N DOCKER_OUTPUT",
		"-N DOCKER_POSTROUTING",
		`-I OUTPUT -d ${ADDRESS} -j DOCKER_OUTPUT`,
		`-A DOCKER_OUTPUT -d ${ADDRESS} -p tcp --dport 53 -j DNAT --to-destination ${ADDRESS}:${String(tcp)}`,
		`-A DOCKER_OUTPUT -d ${ADDRESS} -p udp --dport 53 -j DNAT --to-destination ${ADDRESS}:${String(udp)}`,
		`-I POSTROUTING -d ${ADDRESS} -j DOCKER_POSTROUTING`,
		`-A DOCKER_POSTROUTING -s ${ADDRESS} -p tcp --sport ${String(tcp)} -j SNAT --to-source :53`,
		`-A DOCKER_POSTROUTING -s ${ADDRESS} -p udp --sport ${String(udp)} -j SNAT --to-source :53`,
	];
}
