import { createSocket, type RemoteInfo } from "node:dgram";
import { type AddressInfo, createServer } from "node:net";
import { seconds, Timer } from "../sim/index.ts";
import type { IpNamespace, UdpSocket } from "../stack/index.ts";
import { TcpDuplex } from "./tcp-duplex.ts";

/** Where a port of this machine leads, and where it listens. */
export interface PortForwardOptions {
	/** The emulated address and port: `{ address: "127.0.0.11", port: 53 }`. */
	readonly to: { readonly address: string; readonly port: number };
	/** The real port; one that is free unless said. */
	readonly port?: number;
	/** The real address; 127.0.0.1 unless said. Others let other machines in. */
	readonly host?: string;
}

/** A real port that leads into a lab. */
export interface PortForward extends AsyncDisposable {
	readonly address: string;
	readonly port: number;
	/** Listens no more; settles when the port is free. */
	close(): Promise<void>;
}

/** Virtual seconds that the lab goes on for after a datagram, unless an answer comes. */
const PATIENCE = seconds(30);
/** Real milliseconds in which a client says its first word; else the other side may have to begin. */
const FIRST_WORD = 50;
/** Real clients that are remembered; the one that was silent longest is forgotten first. */
const MOST_CLIENTS = 256;

/**
 * Opens a real UDP port of this machine; its datagrams go to a port that programs in `ns` can reach, the embedded name
 * server of a container, say, and answers come back. Each real client has an emulated socket of its own. A datagram makes
 * the lab's clock run, until it is answered or half a virtual minute has passed: a silent answer takes no real time.
 *
 *     await using port = await forwardUdp(c1.netns, { to: { address: "127.0.0.11", port: 53 } });
 *     // dig @127.0.0.1 -p PORT c2
 */
export async function forwardUdp(ns: IpNamespace, options: PortForwardOptions): Promise<PortForward> {
	const { to } = options;
	const real = createSocket("udp4");
	const clients = new Map<string, UdpSocket>();
	const { driver } = ns.kernel;
	/** Ends the drive that waits for an answer to a client. */
	const drives = new Map<string, () => void>();

	function meet(key: string, from: RemoteInfo): UdpSocket {
		const known = clients.get(key);
		clients.delete(key);
		const socket = known ?? ns.udp();
		clients.set(key, socket);
		if (known !== undefined) return known;
		const [oldest] = clients;
		if (oldest !== undefined && clients.size > MOST_CLIENTS) {
			oldest[1].close();
			clients.delete(oldest[0]);
		}
		socket.connect(to.address, to.port);
		socket.handler = (frame, at, octets) => {
			real.send(frame.bytes.slice(at, at + octets), from.port, from.address);
			drives.get(key)?.();
		};
		return socket;
	}

	/** The clock runs until an answer came, or for so long. */
	function drive(key: string): void {
		drives.get(key)?.();
		const run = driver.operation<undefined>(
			(settle) => {
				const timer = new Timer(() => {
					end();
				});
				const end = (): void => {
					timer.cancel();
					drives.delete(key);
					settle.resolve(undefined);
				};
				drives.set(key, end);
				ns.kernel.arm(timer, PATIENCE);
			},
			{ what: `an answer from ${to.address} port ${String(to.port)}`, manner: "patient" },
		);
		void run.then(() => undefined);
	}

	real.on("message", (datagram, from) => {
		const key = `${from.address}:${String(from.port)}`;
		try {
			meet(key, from).send(datagram);
		} catch {
			// As on a wire: what cannot be sent is lost, and who asked hears nothing.
			return;
		}
		drive(key);
	});
	await new Promise<void>((resolve, reject) => {
		real.once("error", reject);
		real.bind(options.port ?? 0, options.host ?? "127.0.0.1", resolve);
	});
	return opened(real.address(), (done) => {
		for (const end of drives.values()) end();
		for (const socket of clients.values()) socket.close();
		clients.clear();
		real.close(done);
	});
}

/**
 * Opens a real TCP port of this machine; each connection to it becomes an emulated one from `ns`, octets go both ways, and
 * so does each side's end. A browser reaches a web server in a lab this way.
 */
export async function forwardTcp(ns: IpNamespace, options: PortForwardOptions): Promise<PortForward> {
	const { address, port } = options.to;
	const open = new Set<{ destroy(): void }>();
	const server = createServer({ allowHalfOpen: true }, (real) => {
		open.add(real);
		// The lab's time runs as soon as there is a connection in it, and might be up before the client said anything.
		const start = (): void => {
			let inside: TcpDuplex;
			try {
				inside = new TcpDuplex(ns.tcp.connect({ address, port }), ns.kernel.driver);
			} catch {
				// No way there: as if nobody listened.
				real.resetAndDestroy();
				return;
			}
			open.add(inside);
			real.pipe(inside).pipe(real);
			inside.on("error", () => real.resetAndDestroy());
			real.on("error", () => inside.destroy(new Error("the real connection was reset")));
			real.on("close", () => open.delete(inside));
		};
		const begin = (): void => {
			clearTimeout(soon);
			real.off("readable", begin);
			// A stream flows again only once it has noted that nobody waits for "readable".
			setImmediate(start);
		};
		const soon = setTimeout(begin, FIRST_WORD);
		real.on("readable", begin);
		real.on("error", () => {
			clearTimeout(soon);
		});
		real.on("close", () => {
			clearTimeout(soon);
			open.delete(real);
		});
	});
	await new Promise<void>((resolve, reject) => {
		server.once("error", reject);
		server.listen(options.port ?? 0, options.host ?? "127.0.0.1", resolve);
	});
	return opened(server.address() as AddressInfo, (done) => {
		for (const stream of open) stream.destroy();
		server.close(done);
	});
}

function opened({ address, port }: AddressInfo, end: (done: () => void) => void): PortForward {
	const close = (): Promise<void> => new Promise((resolve) => end(resolve));
	return { address, port, close, [Symbol.asyncDispose]: close };
}
