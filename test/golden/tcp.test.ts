import { describe, expect, test } from "vitest";
import { report } from "../support/recording.ts";
import { replayTcp, type TcpRecording, type Who } from "../support/tcp-replay.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// k8-tcp and k8b-tcp: a 10.5.0.1 -- b 10.5.0.2, one veth. The programs' calls are made at the instants of the frames
// they caused; everything else is the stacks' own.
const get = (
	at: Readonly<Record<"request" | "header" | "body" | "bye" | "end", number>>,
	request: number,
): TcpRecording["deeds"] => [
	[at.request, "client", "write", request],
	[at.header, "server", "read", request],
	[at.header, "server", "write", 208],
	[at.header + 1, "client", "drain"],
	[at.body, "server", "write", 12],
	[at.bye, "server", "shutdown"],
	[at.end, "client", "close"],
];

/** Which of all segments: by their number from 0. */
function nth(which: (n: number) => boolean): () => boolean {
	let n = 0;
	return () => which(n++);
}

/** Which of the full segments: by their number from 0. */
function nthFull(which: (n: number) => boolean): (segment: { readonly octets: number }) => boolean {
	let n = 0;
	return ({ octets }) => octets >= 1000 && which(n++);
}

/** `wget`, of one page of twelve octets after a header of 208: the FIN rides on the body. */
const wget = (
	n: string,
	at: Readonly<Record<"connect" | "request" | "answer", number>>,
): TcpRecording["deeds"] => [
	[at.connect, `client${n}` as Who, "connect"],
	[at.connect, `client${n}` as Who, "fetch"],
	[at.request, `client${n}` as Who, "write", 71],
	[at.answer, `server${n}` as Who, "read", 71],
	[at.answer, `server${n}` as Who, "write", 208],
	[at.answer, `server${n}` as Who, "write", 12],
	[at.answer, `server${n}` as Who, "close"],
];

/** By what they are about; `says` is for whoever reads a failure. */
const CASES: Readonly<Record<string, TcpRecording & { readonly says: string }>> = {
	get: {
		says: "wget of a small page: handshake, one acknowledgment per segment, half close of the server",
		capture: "k8-tcp/get-a",
		arp: true,
		deeds: [[1, "client", "connect"], ...get({ request: 6, header: 8, body: 10, bye: 12, end: 13 }, 71)],
	},
	"get-keepalive-curl": {
		says: "curl of two pages: the client closes first while the server still may speak",
		capture: "k8-tcp/get-keepalive-curl-a",
		deeds: [[1, "client", "connect"], ...get({ request: 4, header: 6, body: 8, bye: 10, end: 11 }, 72)],
		last: 12,
	},
	"get-curl": {
		says: "curl of the same page",
		capture: "k8-tcp/get-curl-a",
		deeds: [[3, "client", "connect"], ...get({ request: 6, header: 8, body: 10, bye: 12, end: 13 }, 72)],
	},
	"closed-port": {
		says: "a closed port answers RST,ACK without options, identification 0",
		capture: "k8-tcp/closed-port-a",
		port: 81,
		closed: true,
		deeds: [[1, "client", "connect"]],
	},
	"syn-dropped": {
		says: "a SYN without answer is repeated after 1, 3, 7, 15 s, with a new timestamp and identification",
		capture: "k8-tcp/syn-dropped-a",
		port: 82,
		lost: { b: () => true },
		deeds: [[1, "client", "connect"]],
	},
	closeunread: {
		says: "closing with unread data resets",
		capture: "k8-tcp/closeunread-a",
		port: 9000,
		deeds: [
			[1, "client", "connect"],
			[4, "client", "write", 17],
			[6, "server", "close"],
		],
	},
	"zerowin, the first": {
		says: "a receiver of 2048 octets: the same, the first acknowledgment between the two segments of a write",
		capture: "k8-tcp/zerowin-a",
		// The delayed acknowledgment of frame 7 waited 100 ms for a program that held the socket; all that follows with it.
		tolerance: 165,
		port: 9000,
		server: { receiveBuffer: 2048 },
		deeds: [
			[1, "client", "connect"],
			// The real machine's acknowledgment came between the two segments of one write.
			[4, "client", "write-more", 724],
			[6, "client", "write", 19_276],
		],
	},
	"get-big": {
		says: "90 KB, the first flight: an acknowledgment for each segment while the window shrinks, PSH ends a burst of five",
		capture: "k8-tcp/get-big-a",
		deeds: [
			[1, "client", "connect"],
			[4, "client", "write", 74],
			[6, "server", "read", 74],
			[6, "server", "write", 191],
			[6, "client", "read-at", 191 + 1448, 191],
			[8, "server", "write", 90_000],
		],
		apart: true,
		last: 27,
	},
	"reorder-big": {
		says: "90 KB, 40 ms away: the first flight in bursts of two, an acknowledgment each",
		capture: "k8-tcp/reorder-big-a",
		delay: 20,
		deeds: [
			[1, "client", "connect"],
			[4, "client", "write", 74],
			[6, "server", "read", 74],
			[6, "server", "write", 191],
			[7, "server", "write", 90_000],
		],
		last: 17,
	},
	"loss-big": {
		says: "90 KB, 40 ms away: the header's acknowledgment lets two more go",
		capture: "k8-tcp/loss-big-a",
		delay: 20,
		deeds: [
			[1, "client", "connect"],
			[4, "client", "write", 74],
			[6, "server", "read", 74],
			[6, "server", "write", 191],
			[8, "server", "write", 90_000],
		],
		last: 18,
	},
	rstlinger: {
		says: "SO_LINGER of 0 resets on close",
		capture: "k8b-tcp/rstlinger-a",
		port: 9000,
		deeds: [
			[1, "client", "connect"],
			[4, "client", "write", 2],
			[6, "server", "read", 2],
			[6, "server", "abort"],
		],
	},
	keepalive: {
		says: "keepalive: one octet below, without payload, each second; FIN_WAIT2 of a closed socket is bare",
		capture: "k8-tcp/keepalive-a",
		port: 9000,
		client: { keepAlive: { idle: 1e9, interval: 1e9, probes: 9 } },
		deeds: [
			[1, "client", "connect"],
			[12, "client", "close"],
			[14, "server", "close"],
		],
	},
	serverclose: {
		says: "data for a socket that its program closed is reset",
		capture: "k8-tcp/serverclose-a",
		port: 9000,
		deeds: [
			[1, "client", "connect"],
			[4, "client", "write", 2],
			[6, "server", "read", 2],
			[6, "server", "close"],
			[8, "client", "write", 5],
		],
	},
	mtu1450: {
		says: "a client with MTU 1450 announces MSS 1410 and gets 1398 octets a segment",
		capture: "k8-tcp/mtu1450-client-a",
		mtu: 1450,
		deeds: [
			[1, "client", "connect"],
			[4, "client", "write", 75],
			[6, "server", "read", 75],
			[6, "server", "write", 187],
			[8, "server", "write-more", 3000],
			[14, "server", "shutdown"],
			[15, "client", "read", 4000],
			[15, "client", "close"],
		],
	},
	"syn-nohost": {
		says: "nobody answers ARP: EHOSTUNREACH after three requests",
		capture: "k8-tcp/syn-nohost-a",
		arp: true,
		closed: true,
		to: "10.5.0.9",
		deeds: [[1, "client", "connect"]],
		// The recorded program was told a little later, after one SYN more.
		last: 3,
	},
	zerowin: {
		says: "a receiver of 2048 octets: half-window segments, zero window, probes after RTO and double, answers half a second apart",
		capture: "k8b-tcp/zerowin-a",
		port: 9000,
		server: { receiveBuffer: 2048 },
		deeds: [
			[3, "client", "connect"],
			// The real machine's acknowledgment came between the two segments of one write.
			[6, "client", "write-more", 724],
			[8, "client", "write", 19_276],
			[15, "server", "read", 768],
		],
		last: 15,
	},
	"drop-one-data": {
		says: "every 20th full segment is lost, 40 ms away: quick acknowledgments, SACK blocks, compressed duplicates, RACK",
		capture: "k8b-tcp/drop-one-data-a",
		also: { "k8b-tcp/drop-one-data-b": "b" },
		delay: 20,
		lost: { a: nthFull((n) => n % 20 === 19) },
		deeds: [
			[1, "client", "connect"],
			[4, "client", "write", 74],
			[6, "server", "read", 74],
			[6, "server", "write", 191],
			[7, "server", "write", 88_856],
			// When the program read follows from the windows: the header after the first full segment came, then what
			// it had room for.
			[6, "client", "read-at", 191 + 1448, 191],
			[26, "client", "read", 12_000],
			[26, "client", "read-at", 2400, 2000],
		],
		last: 80,
	},
	"loss-get": {
		says: "five pages, 5 % of frames lost: body, header, FIN, request and acknowledgment come again after RTO or SACK",
		capture: "k8-tcp/loss-get-a",
		also: { "k8-tcp/loss-get-b": "b" },
		delay: 20,
		netem: {
			a: [
				[2, 6],
				[3, 3],
				[3, 5],
			],
			b: [
				[1, 4],
				[2, 3],
			],
		},
		deeds: [
			...wget("", { connect: 1, request: 4, answer: 6 }),
			...wget("2", { connect: 10, request: 14, answer: 16 }),
			// The slow machine had something else to do before it wrote the request, which was lost.
			...wget("3", { connect: 20, request: 22.25, answer: 27 }),
			...wget("4", { connect: 30, request: 34, answer: 36 }),
			...wget("5", { connect: 40, request: 44, answer: 46 }),
		],
	},
	"loss-get, eight": {
		says: "eight pages: lost SYNs and SYN,ACKs; the timestamp of the first SYN makes a long RTO; D-SACK behind a FIN",
		capture: "k8b-tcp/loss-get-a",
		// Two timeouts in a row, each late by what the slow machine took for a round trip.
		tolerance: 80,
		exceptions: [
			{
				field: "ipv4.ident",
				frames: [20],
				why: "our server's probe before it, which is lost, had one as well",
			},
		],
		also: { "k8b-tcp/loss-get-b": "b" },
		delay: 20,
		netem: {
			a: [
				[1, 3],
				[2, 5],
				[4, 1],
				[4, 7],
			],
			b: [
				// The slow machine measured 60 ms, and its probe would have come behind the client's FIN.
				[2, 5],
				[3, 3],
				[4, 1],
				[4, 2],
				[8, 4],
				[8, 6],
			],
		},
		deeds: [
			...wget("", { connect: 1, request: 3, answer: 6 }),
			...wget("2", { connect: 11, request: 14, answer: 16 }),
			...wget("3", { connect: 19, request: 22, answer: 24 }),
			...wget("4", { connect: 29, request: 36, answer: 38 }),
			...wget("5", { connect: 41, request: 44, answer: 46 }),
			...wget("6", { connect: 50, request: 54, answer: 56 }),
			...wget("7", { connect: 61, request: 66, answer: 68 }),
			...wget("8", { connect: 72, request: 76, answer: 78 }),
		],
	},
	"drop-syn": {
		says: "the first SYN was dropped: the second comes a second later",
		capture: "k8b-tcp/drop-syn-a",
		also: { "k8b-tcp/drop-syn-b": "b" },
		delay: 20,
		lost: { b: nth((n) => n === 0) },
		deeds: [
			[1, "client", "connect"],
			[5, "client", "write", 71],
			[7, "server", "read", 71],
			[7, "server", "write", 208],
			[8, "server", "write", 12],
			[8, "server", "shutdown"],
		],
		last: 8,
	},
};

describe("TCP says on the wire what Linux's says", () => {
	test.each(Object.entries(CASES))("%s", async (name, recording) => {
		const { found, pcapng } = await replayTcp(recording);
		expect(found.length === 0 ? "" : report(name, found)).toBe("");
		await expectCleanInWireshark(pcapng);
	});
});
