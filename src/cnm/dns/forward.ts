import { seconds, Timer } from "../../sim/index.ts";
import type { IpNamespace } from "../../stack/index.ts";
import { dns } from "../../wire/index.ts";
import { MessageStream, withLength } from "./message-stream.ts";

/** Each server has so long to answer (`extIOTimeout`). */
const PATIENCE = seconds(4);
/** Of the servers that are known no more are asked (`maxExtDNS`). */
const MOST_SERVERS = 3;
/** Questions one sandbox may have under way upstream; more are not asked at all (`maxConcurrent`). */
const MOST_AT_ONCE = 100;

/** What one sandbox has under way upstream. */
export interface UnderWay {
	count: number;
}

/**
 * Asks the servers outside one after the other, each from a port of its own, until one says something final: as Docker
 * 20.10 does, any answer without an error, or NXDOMAIN by an authority. The last server's answer counts whatever it is;
 * when that one was silent nobody answers at all (resolver.go, `ServeDNS`).
 */
export function forward(
	ns: IpNamespace,
	servers: readonly string[],
	transport: "udp" | "tcp",
	query: Uint8Array,
	underWay: UnderWay,
	done: (answer: Uint8Array | undefined) => void,
): void {
	const left = servers.slice(0, MOST_SERVERS);
	const next = (): void => {
		const server = left.shift();
		if (server === undefined || underWay.count >= MOST_AT_ONCE) {
			done(undefined);
			return;
		}
		underWay.count++;
		ask(ns, server, transport, query, (answer) => {
			underWay.count--;
			if (left.length > 0 && (answer === undefined || !isFinal(answer))) next();
			else done(answer);
		});
	};
	next();
}

/** One exchange, by the transport that the question came by; undefined after four seconds, or when the server cannot be reached. */
function ask(
	ns: IpNamespace,
	server: string,
	transport: "udp" | "tcp",
	query: Uint8Array,
	done: (answer: Uint8Array | undefined) => void,
): void {
	let over = false;
	let close = (): void => undefined;
	const end = (answer: Uint8Array | undefined): void => {
		if (over) return;
		over = true;
		timer.cancel();
		close();
		done(answer);
	};
	const timer = new Timer(() => {
		end(undefined);
	});
	ns.kernel.arm(timer, PATIENCE);
	// Another query's answer is none to this one.
	const heard = (bytes: Uint8Array): void => {
		if (bytes.length >= dns.OCTETS && bytes[0] === query[0] && bytes[1] === query[1]) end(bytes);
	};
	try {
		close = (transport === "udp" ? byUdp : byTcp)(ns, server, query, heard, () => {
			end(undefined);
		});
	} catch {
		// No way to it: the next one is asked.
		end(undefined);
	}
}

/** How one transport asks: gives what ends it. */
type Exchange = (
	ns: IpNamespace,
	server: string,
	query: Uint8Array,
	heard: (bytes: Uint8Array) => void,
	failed: () => void,
) => () => void;

const byUdp: Exchange = (ns, server, query, heard) => {
	const socket = ns.udp();
	socket.handler = (frame, at, octets) => {
		heard(frame.bytes.slice(at, at + octets));
	};
	socket.connect(server, dns.PORT);
	socket.send(query);
	return () => {
		socket.close();
	};
};

const byTcp: Exchange = (ns, server, query, heard, failed) => {
	const socket = ns.tcp.connect({ address: server, port: dns.PORT });
	const stream = new MessageStream((bytes) => {
		heard(bytes);
	});
	socket.onConnect = () => {
		socket.write(withLength(query));
	};
	socket.onReadable = () => {
		stream.push(socket.read());
	};
	socket.onClose = failed;
	return () => {
		socket.close();
	};
};

function isFinal(answer: Uint8Array): boolean {
	const [, , high = 0, low = 0] = answer;
	const flags = (high << 8) | low;
	const rcode = flags & 0xf;
	return rcode === dns.RCODE.NOERROR || (rcode === dns.RCODE.NXDOMAIN && (flags & dns.FLAG.AA) !== 0);
}
