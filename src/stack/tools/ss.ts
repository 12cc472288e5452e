import { ANY_IP4, formatIp4, type Ip4 } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import type { SocketFamily, SocketProgram } from "../socket-program.ts";
import type { Tcp, TcpSocket } from "../tcp/index.ts";
import type { Udp } from "../udp.ts";

/** Where the tool looks. */
export interface SsHost {
	readonly tcp: Tcp;
	readonly udpPorts: Udp;
}

interface Row {
	readonly netid: "udp" | "tcp";
	readonly family: SocketFamily;
	readonly state: string;
	readonly receive: number;
	readonly send: number;
	readonly local: readonly [address: string, port: string];
	readonly peer: readonly [address: string, port: string];
	readonly program: SocketProgram | undefined;
	readonly info: string;
}

/** As `ss` writes states. */
const STATES: Readonly<Record<string, string>> = {
	"syn-sent": "SYN-SENT",
	"syn-received": "SYN-RECV",
	established: "ESTAB",
	"fin-wait-1": "FIN-WAIT-1",
	"fin-wait-2": "FIN-WAIT-2",
	"close-wait": "CLOSE-WAIT",
	closing: "CLOSING",
	"last-ack": "LAST-ACK",
	"time-wait": "TIME-WAIT",
	closed: "UNCONN",
};
/** What is listed without `-a` and `-l`: connections. */
const NOT_SHOWN: readonly string[] = ["LISTEN", "UNCONN", "TIME-WAIT", "SYN-RECV"];
const LISTENING: readonly string[] = ["LISTEN", "UNCONN"];
const KNOWN = "anltuip46H";

/**
 * `ss ARGUMENTS`: the sockets of a namespace, as iproute2 6.1 prints them to a file: UDP before TCP, numbers for ports
 * and addresses (`-n`). Throws `NetError` with what it prints for an option it does not know.
 */
export function ss(host: SsHost, line: string): string {
	const letters = line
		.split(/\s+/)
		.filter((word) => word !== "")
		.map((word) => {
			if (!/^-[a-zA-Z0-9]+$/.test(word))
				throw new NetError("EINVAL", `Error: an inet prefix is expected rather than "${word}".`);
			return word.slice(1);
		})
		.join("");
	for (const letter of letters) {
		if (!KNOWN.includes(letter)) {
			throw new NetError("EINVAL", `ss: invalid option -- '${letter}'`, {
				remedy: `This ss knows -${KNOWN}.`,
			});
		}
	}
	const asked = (letter: string): boolean => letters.includes(letter);
	const both = asked("t") === asked("u");
	const rows = [
		...(both || asked("u") ? udpRows(host.udpPorts) : []),
		...(both || asked("t") ? tcpRows(host.tcp) : []),
	].filter(({ state, family }) => {
		if (asked("4") !== asked("6") && asked("6") !== (family === "inet6")) return false;
		if (asked("a")) return true;
		return asked("l") ? LISTENING.includes(state) : !NOT_SHOWN.includes(state);
	});
	return table(rows, { netid: both, program: asked("p"), info: asked("i"), header: !asked("H") });
}

function udpRows(udp: Udp): Row[] {
	const sockets = [...udp.sockets()].map((socket): Row => {
		const { peer } = socket;
		return {
			netid: "udp",
			family: socket.family,
			state: peer === undefined ? "UNCONN" : "ESTAB",
			receive: socket.waiting,
			send: 0,
			local: at(socket.family, socket.address, socket.port),
			peer: peer === undefined ? nobody(socket.family) : at(socket.family, peer.address, peer.port),
			program: socket.program,
			info: "",
		};
	});
	const tunnels = udp.tunnels.map((port): Row => ({
		netid: "udp",
		family: "inet",
		state: "UNCONN",
		receive: 0,
		send: 0,
		local: at("inet", ANY_IP4, port),
		peer: nobody("inet"),
		program: undefined,
		info: "",
	}));
	return byFamily([...sockets, ...tunnels]);
}

function tcpRows(tcp: Tcp): Row[] {
	const listeners = [...tcp.listening()].map((listener): Row => {
		const family = listener.tuning.family ?? "inet";
		return {
			netid: "tcp",
			family,
			state: "LISTEN",
			receive: listener.waiting,
			send: listener.backlog,
			local: at(family, listener.address, listener.port),
			peer: nobody(family),
			program: listener.tuning.program,
			info: "",
		};
	});
	const connections = [...tcp.sockets()].map((socket): Row => {
		const { info, family } = socket;
		return {
			netid: "tcp",
			family,
			state: STATES[info.state] ?? info.state,
			receive: info.receiveQueue,
			send: info.sendQueue,
			local: at(family, socket.localAddress, socket.localPort),
			peer: at(family, socket.remoteAddress, socket.remotePort),
			program: socket.program,
			info: info.state === "time-wait" ? "" : infoOf(socket),
		};
	});
	return byFamily([...listeners, ...connections]);
}

/** `-i`: what congestion control and the timers know. */
function infoOf(socket: TcpSocket): string {
	const { tcb, info } = socket;
	const number = (value: number): string => String(Number(value.toFixed(3)));
	return [
		info.congestion,
		...(tcb.timestamps ? ["ts"] : []),
		...(tcb.sackOk ? ["sack"] : []),
		...(tcb.windowScaling ? [`wscale:${String(tcb.sndScale)},${String(tcb.rcvScale)}`] : []),
		`rto:${number(info.rto)}`,
		...(info.rtt > 0 ? [`rtt:${number(info.rtt)}/${number(tcb.mdev / 4000)}`] : []),
		`mss:${String(info.mss)}`,
		`pmtu:${String(tcb.pathMtu)}`,
		`rcvmss:${String(tcb.rcvMss)}`,
		`advmss:${String(tcb.advertisedMss)}`,
		`cwnd:${String(info.cwnd)}`,
		...(info.ssthresh < 0x7fff_ffff ? [`ssthresh:${String(info.ssthresh)}`] : []),
		...(info.retransmitted > 0 ? [`retrans:${String(tcb.resentOut)}/${String(info.retransmitted)}`] : []),
	].join(" ");
}

/** The kernel is asked for one family after the other. */
const byFamily = (rows: readonly Row[]): Row[] =>
	(["inet", "inet6"] as const).flatMap((family) => rows.filter((row) => row.family === family));

/** All addresses of both families are `*`; one of IPv4 is mapped (RFC 4291 §2.5.5.2). */
const host = (family: SocketFamily, address: Ip4): string =>
	family === "inet" ? formatIp4(address) : address === ANY_IP4 ? "*" : `[::ffff:${formatIp4(address)}]`;
const at = (family: SocketFamily, address: Ip4, port: number): readonly [string, string] => [
	host(family, address),
	String(port),
];
const nobody = (family: SocketFamily): Row["peer"] => [host(family, ANY_IP4), "*"];

interface Columns {
	readonly netid: boolean;
	readonly program: boolean;
	readonly info: boolean;
	readonly header: boolean;
}

/** Columns as wide as their widest field, addresses to the right, everything else to the left. */
function table(rows: readonly Row[], columns: Columns): string {
	const left = (text: string, width: number): string => text.padEnd(width);
	const right = (text: string, width: number): string => text.padStart(width);
	const shape: readonly (readonly [between: string, pad: typeof left])[] = [
		...(columns.netid ? ([["", left]] as const) : []),
		[columns.netid ? " " : "", left],
		[" ", left],
		[" ", left],
		[" ", right],
		["", left],
		[" ", right],
		["", left],
		["", left],
	];
	const head = ["State", "Recv-Q", "Send-Q", "Local Address:", "Port", "Peer Address:", "Port", "Process"];
	const lines = rows.map((row) => [
		...(columns.netid ? [row.netid] : []),
		row.state,
		String(row.receive),
		String(row.send),
		`${row.local[0]}:`,
		row.local[1],
		`${row.peer[0]}:`,
		row.peer[1],
		columns.program && row.program !== undefined ? users(row.program) : "",
	]);
	const all = [[...(columns.netid ? ["Netid"] : []), ...head], ...lines];
	const widths = shape.map((_, i) => Math.max(...all.map((fields) => fields[i]?.length ?? 0)));
	const text = all.map((fields, n) => {
		const cells = fields.map(
			(field, i) => `${shape[i]?.[0] ?? ""}${shape[i]?.[1](field, widths[i] ?? 0) ?? ""}`,
		);
		const info = n > 0 && columns.info ? (rows[n - 1]?.info ?? "") : "";
		return `${cells.join("")}\n${info === "" ? "" : `\t ${info}\n`}`;
	});
	return (columns.header ? text : text.slice(1)).join("");
}

const users = ({ name, pid, fd }: SocketProgram): string =>
	` users:(("${name}",pid=${String(pid)},fd=${String(fd)}))`;
