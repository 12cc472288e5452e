import { describe, expect, test } from "vitest";
import { Lab, type Netns } from "../../src/index.ts";
import { toIp4 } from "../../src/addr/index.ts";
import type { TcpListener, TcpSocket } from "../../src/stack/index.ts";
import { sendPacket } from "../../src/stack/ipv4/send.ts";
import { ethernet, ipv4, tcp } from "../../src/wire/index.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// The flows of k8-tcp and k8b-tcp of which the notes tell: a 10.5.0.1 -- b 10.5.0.2, netem's delay on both ends.
interface Pair {
	readonly lab: Lab;
	readonly a: Netns;
	readonly b: Netns;
}

function pair(delay?: string): Pair {
	const lab = new Lab({ seed: 1, uptime: "256s" });
	const [a, b] = [lab.netns("a"), lab.netns("b")];
	const ends = lab.veth({ ns: a, name: "eth0" }, { ns: b, name: "eth0" });
	for (const [i, end] of ends.entries()) {
		end.addAddress(`10.5.0.${String(i + 1)}/24`);
		end.up();
	}
	if (delay !== undefined) {
		a.tc.add(ends[0], { kind: "netem", delay });
		b.tc.add(ends[1], { kind: "netem", delay });
	}
	a.neigh.add("10.5.0.2", { dev: "eth0", lladdr: ends[1].mac });
	b.neigh.add("10.5.0.1", { dev: "eth0", lladdr: ends[0].mac });
	return { lab, a, b };
}

/** A server of one page, header and body in two writes, that closes behind it. */
function serve(b: Netns): void {
	b.tcp.listen({ port: 80 }).onConnection = (socket) => {
		socket.onReadable = () => {
			if (socket.read().length === 0) return;
			socket.write(new Uint8Array(208));
			socket.write(new Uint8Array(12));
			socket.close();
		};
	};
}

function wget(a: Netns): TcpSocket {
	const socket = a.tcp.connect({ address: "10.5.0.2", port: 80 });
	socket.onConnect = () => void socket.write(new Uint8Array(71));
	socket.onReadable = () => {
		socket.read();
		if (socket.ended) socket.close();
	};
	return socket;
}

/** What a's interface saw, a line each: `120 ms b FA 12`. */
async function seen(net: Pair, programs: () => Promise<unknown>): Promise<string[]> {
	const capture = net.lab.capture("a:eth0");
	await programs();
	await expectCleanInWireshark(capture.toPcapng());
	return capture.sightings("a:eth0").flatMap(({ time, data }) => {
		const view = new DataView(data.buffer, data.byteOffset, data.length);
		if (ethernet.type(view, 0) !== ethernet.TYPE_IPV4) return [];
		const at = ethernet.OCTETS + ipv4.headerOctets(view, ethernet.OCTETS);
		const flags = tcp.flags(view, at);
		const letters = ["F", "S", "R", "P", "A"].filter((_, i) => ((flags >> i) & 1) !== 0).join("");
		const octets =
			ethernet.OCTETS + ipv4.totalLength(view, ethernet.OCTETS) - at - tcp.headerOctets(view, at);
		const who = ipv4.source(view, ethernet.OCTETS) === 0x0a05_0001 ? "a" : "b";
		return [
			`${String(Math.round(time / 1e6))} ms ${who} ${letters}${octets > 0 ? ` ${String(octets)}` : ""}`,
		];
	});
}

/** Segments from nobody who answers: a's own stack does not know of them. */
function flood({ lab, a }: Pair, segments: number, flags: number = tcp.SYN): void {
	for (let i = 0; i < segments; i++) {
		const frame = lab.world.frames.begin(tcp.MIN_OCTETS);
		frame.end = frame.start + tcp.MIN_OCTETS;
		tcp.write(frame.view, frame.start, {
			sourcePort: 1024 + i,
			destinationPort: 80,
			sequence: i * 7919,
			acknowledgment: i * 104_729,
			flags,
			window: 1000,
			urgent: 0,
			options: [],
		});
		const [source, destination] = [toIp4("10.5.0.77", "source"), toIp4("10.5.0.2", "destination")];
		tcp.writeChecksum(frame.view, frame.start, tcp.MIN_OCTETS, source, destination);
		const route = a.route(destination);
		if (route === undefined) throw new Error("no route");
		sendPacket(a, frame, route, source, destination, 6, {
			ttl: 64,
			tos: 0,
			mtuDiscovery: "do",
			nextIdent: () => undefined,
		});
	}
}

describe("recorded flows of TCP go as they are told of", () => {
	test("half close: the server goes on for as long as it likes", async () => {
		const net = pair();
		net.b.tcp.listen({ port: 9000 }).onConnection = (socket) => {
			socket.onReadable = () => {
				socket.read();
				if (!socket.ended || socket.state !== "close-wait") return;
				socket.write(new TextEncoder().encode("reply after your FIN: request"));
				socket.onReadable = null;
				server = socket;
			};
		};
		let server: TcpSocket | undefined;
		const lines = await seen(net, async () => {
			const client = net.a.tcp.connect({ address: "10.5.0.2", port: 9000 });
			client.onConnect = () => {
				client.write(new TextEncoder().encode("request"));
				client.shutdown();
			};
			client.onReadable = () => {
				client.read();
				if (client.ended) client.close();
			};
			await net.lab.advance("200ms");
			server?.write(new TextEncoder().encode("more"));
			server?.close();
			await net.lab.advance("1s");
		});
		expect(lines).toEqual([
			"0 ms a S",
			"0 ms b SA",
			"0 ms a A",
			"0 ms a PA 7",
			"0 ms a FA",
			"0 ms b A",
			"0 ms b PA 29",
			"0 ms a A",
			"200 ms b PA 4",
			"200 ms a A",
			"200 ms b FA",
			"200 ms a A",
		]);
	});

	test("both close at once: two FINs cross, two acknowledgments", async () => {
		const net = pair("50ms");
		let server: TcpSocket | undefined;
		net.b.tcp.listen({ port: 9000 }).onConnection = (socket) => (server = socket);
		const lines = await seen(net, async () => {
			const client = net.a.tcp.connect({ address: "10.5.0.2", port: 9000 });
			await net.lab.advance("1s");
			client.close();
			server?.close();
			expect([client.state, server?.state]).toEqual(["fin-wait-1", "fin-wait-1"]);
			await net.lab.advance("1s");
			expect([client.state, server?.state]).toEqual(["time-wait", "time-wait"]);
		});
		expect(lines).toEqual([
			"50 ms a S",
			"100 ms b SA",
			"150 ms a A",
			"1050 ms a FA",
			"1050 ms b FA",
			"1100 ms a A",
			"1100 ms b A",
		]);
	});

	test("a lost SYN,ACK: the client's second SYN brings it again, and the server's own timer begins anew", async () => {
		const net = pair("20ms");
		serve(net.b);
		net.a.iptables(
			"-A INPUT -p tcp --tcp-flags SYN,ACK SYN,ACK -m statistic --mode nth --every 2 --packet 0 -j DROP",
		);
		// The client's timer falls into a slot of 32 ms before the server's.
		await net.lab.advance("22ms");
		const lines = await seen(net, async () => {
			wget(net.a);
			await net.lab.advance("5s");
		});
		expect(lines.filter((line) => line.includes("S"))).toEqual([
			"42 ms a S",
			"62 ms b SA",
			"1044 ms a S",
			"1064 ms b SA",
		]);
	});

	test("a lost FIN comes again together with the last data, 0.29 s later", async () => {
		const net = pair("20ms");
		serve(net.b);
		net.a.iptables(
			"-A INPUT -p tcp --tcp-flags FIN FIN -m statistic --mode nth --every 2 --packet 0 -j DROP",
		);
		const lines = await seen(net, async () => {
			wget(net.a);
			await net.lab.advance("5s");
		});
		expect(lines.slice(-5)).toEqual([
			"80 ms b FPA 12",
			"100 ms a A",
			"368 ms b FPA 12",
			"388 ms a FA",
			"408 ms b A",
		]);
	});

	test("a request that never arrives is repeated, twice as late each time; the FIN of a killed client goes all the same", async () => {
		const net = pair("20ms");
		serve(net.b);
		net.b.iptables("-A INPUT -p tcp --dport 80 -m length --length 80:200 -j DROP");
		const lines = await seen(net, async () => {
			const client = wget(net.a);
			await net.lab.advance("14s");
			client.close();
			await net.lab.advance("1s");
		});
		// A loss probe, then the timeout, twice as late each time.
		expect(lines.filter((line) => line.endsWith("PA 71")).slice(0, 7)).toEqual(
			[60, 308, 556, 1076, 2068, 4052, 8212].map((at) => `${String(at)} ms a PA 71`),
		);
		// The server has a hole before the FIN and says so: the request comes again at once.
		expect(lines.slice(10, 13)).toEqual(["14020 ms a FA", "14040 ms b A", "14060 ms a PA 71"]);
	});
});

describe("a listener has room for so many", () => {
	const dial = ({ a }: Pair, n: number): TcpSocket[] =>
		Array.from({ length: n }, () => a.tcp.connect({ address: "10.5.0.2", port: 80 }));
	const takeOne = (listener: TcpListener): void => {
		listener.accept({ resolve: () => undefined, reject: () => undefined });
	};

	test("with a full queue a third segment is not heard: SYN,ACKs go on, and the connection comes about when there is room", async () => {
		const net = pair();
		const listener = net.b.tcp.listen({ port: 80, backlog: 1 });
		for (let i = 0; i < 2; i++) {
			dial(net, 1);
			await net.lab.advance("10ms");
		}
		expect([listener.waiting, listener.requests]).toEqual([2, 0]);
		// SYNs are not answered while the queue is full; this one was when there was room still.
		takeOne(listener);
		const [third, fourth] = dial(net, 2);
		await net.lab.advance("10ms");
		expect([third?.state, fourth?.state]).toEqual(["established", "established"]);
		expect(listener.waiting).toBe(2);
		takeOne(listener);
		await net.lab.advance("4s");
		expect([listener.waiting, listener.requests]).toEqual([1, 0]);
	});

	test("a SYN to a full queue is dropped, and comes again", async () => {
		const net = pair();
		const listener = net.b.tcp.listen({ port: 80, backlog: 0 });
		dial(net, 1);
		await net.lab.advance("10ms");
		const [late] = dial(net, 1);
		await net.lab.advance("500ms");
		expect(late?.state).toBe("syn-sent");
		takeOne(listener);
		await net.lab.advance("1s");
		expect([late?.state, listener.waiting]).toEqual(["established", 1]);
	});

	test("more half-open connections than the backlog: cookies, which remember nothing and still make connections", async () => {
		const net = pair();
		const { lab, a, b } = net;
		const listener = b.tcp.listen({ port: 80, backlog: 4 });
		flood(net, 20);
		await lab.advance("10ms");
		expect([listener.requests, b.tcp.count]).toEqual([4, 4]);
		expect(b.kernel.log.lines.map(({ text }) => text)).toEqual([
			"TCP: request_sock_TCP: Possible SYN flooding on port 80. Sending cookies.  Check SNMP counters.",
		]);
		const capture = lab.capture("a:eth0");
		const client = a.tcp.connect({ address: "10.5.0.2", port: 80 });
		await lab.advance("10ms");
		expect([client.state, listener.waiting]).toEqual(["established", 1]);
		await expectCleanInWireshark(capture.toPcapng());
		const server = await new Promise<TcpSocket>((resolve, reject) => {
			listener.accept({ resolve, reject });
		});
		// What the SYN said came back: window scale, SACK, timestamps, segment size.
		expect([server.tcb.sndScale, server.tcb.sackOk, server.tcb.timestamps, server.tcb.mss]).toEqual([
			7,
			true,
			true,
			1448,
		]);
		client.write(new Uint8Array(100_000));
		await lab.advance("1s");
		expect(server.readable).toBeGreaterThan(60_000);
	});

	test("an acknowledgment out of nothing is no cookie; without cookies SYNs beyond the backlog are dropped", async () => {
		const net = pair();
		const { lab, b } = net;
		const listener = b.tcp.listen({ port: 80, backlog: 4 });
		flood(net, 20);
		await lab.advance("10ms");
		const before = b.tcp.count;
		flood(net, 2000, tcp.ACK);
		await lab.advance("10ms");
		expect([listener.waiting, b.tcp.count]).toEqual([0, before]);

		b.sysctl.set("net.ipv4.tcp_syncookies", 0);
		const drops: string[] = [];
		lab.onDrop((drop) => drops.push(drop.reason));
		flood(net, 10);
		await lab.advance("10ms");
		// Four of them are known, and answered again.
		expect(drops.filter((reason) => reason !== "neigh-queuefull")).toEqual(
			new Array(6).fill("socket-backlog"),
		);
		// All half-open ones run out: nothing is left.
		await lab.advance("70s");
		expect(b.tcp.count).toBe(0);
	});

	test("tcp_abort_on_overflow resets instead", async () => {
		const net = pair("5ms");
		net.b.sysctl.set("net.ipv4.tcp_abort_on_overflow", 1);
		net.b.tcp.listen({ port: 80, backlog: 2 });
		const clients = dial(net, 2);
		await net.lab.advance("100ms");
		// Two more SYNs find room for a request, and one of them none for a connection.
		clients.push(...dial(net, 2));
		await net.lab.advance("100ms");
		expect(clients.map((client) => client.error?.code)).toEqual([
			undefined,
			undefined,
			undefined,
			"ECONNRESET",
		]);
	});

	test("somaxconn is the most, whatever a program asks for", () => {
		const { b } = pair();
		b.sysctl.set("net.core.somaxconn", 16);
		expect(b.tcp.listen({ port: 80, backlog: 1000 }).backlog).toBe(16);
	});
});

describe("settings of net.ipv4.tcp_…", () => {
	test("without SACK, timestamps and scaling a SYN has the MSS alone", async () => {
		const net = pair();
		for (const name of ["tcp_sack", "tcp_timestamps", "tcp_window_scaling"] as const)
			net.a.sysctl.set(`net.ipv4.${name}`, 0);
		serve(net.b);
		const capture = net.lab.capture("a:eth0");
		wget(net.a);
		await net.lab.advance("1s");
		const [syn, answer] = capture.sightings("a:eth0");
		expect([syn?.data.length, answer?.data.length]).toEqual([58, 58]);
	});

	test("tcp_syn_retries and tcp_fin_timeout", async () => {
		const { lab, a, b } = pair();
		a.sysctl.set("net.ipv4.tcp_syn_retries", 2);
		b.iptables("-A INPUT -p tcp --dport 82 -j DROP");
		const lost = a.tcp.connect({ address: "10.5.0.2", port: 82 });
		await lab.advance("7.5s");
		expect(lost.error?.code).toBe("ETIMEDOUT");

		a.sysctl.set("net.ipv4.tcp_fin_timeout", 10);
		b.tcp.listen({ port: 80 });
		const client = a.tcp.connect({ address: "10.5.0.2", port: 80 });
		await lab.advance("100ms");
		client.close();
		await lab.advance("9s");
		expect(a.tcp.count).toBe(1);
		await lab.advance("2s");
		expect(a.tcp.count).toBe(0);
	});

	test("keepalive by the settings: a silent peer that is gone is found out", async () => {
		const { lab, a, b } = pair();
		for (const [name, value] of [
			["tcp_keepalive_time", 10],
			["tcp_keepalive_intvl", 5],
			["tcp_keepalive_probes", 3],
		] as const)
			a.sysctl.set(`net.ipv4.${name}`, value);
		b.tcp.listen({ port: 80 });
		const client = a.tcp.connect({ address: "10.5.0.2", port: 80, keepAlive: true });
		await lab.advance("100ms");
		b.iptables("-A INPUT -p tcp -j DROP");
		await lab.advance("24s");
		expect(client.state).toBe("established");
		await lab.advance("3s");
		expect(client.error?.code).toBe("ETIMEDOUT");
	});

	test("unknown names are refused as sysctl refuses them", () => {
		const { a } = pair();
		expect(() => a.sysctl.get("net.ipv4.tcp_nonsense" as "net.ipv4.tcp_sack")).toThrow(
			"sysctl: cannot stat /proc/sys/net/ipv4/tcp_nonsense: No such file or directory",
		);
	});
});

describe("what a connection begins with", () => {
	test("local ports are even first, and go up by two to one destination", () => {
		const { a } = pair();
		const ports = Array.from(
			{ length: 50 },
			() => a.tcp.connect({ address: "10.5.0.2", port: 80 }).localPort,
		);
		expect(new Set(ports).size).toBe(50);
		expect(ports.every((port) => port % 2 === 0)).toBe(true);
		const steps = ports.slice(1).map((port, i) => port - (ports[i] ?? 0));
		expect(steps.filter((step) => step === 2).length).toBeGreaterThan(35);
	});

	test("who listens on port 0 gets an odd one of the range's lower half, then the even, then the upper half", () => {
		const { a } = pair();
		const listen = (): number => a.tcp.listen({ port: 0 }).port;
		const drawn = Array.from({ length: 200 }, listen);
		expect(new Set(drawn).size).toBe(200);
		expect(drawn.filter((port) => port % 2 === 0 || port < 32_768 || port >= 46_884)).toEqual([]);
		expect(Math.max(...drawn) - Math.min(...drawn)).toBeGreaterThan(12_000);
		a.localPortRange = [50_000, 50_009];
		const order = Array.from({ length: 10 }, listen);
		const sorted = (from: number, to: number): number[] => order.slice(from, to).sort();
		expect(sorted(0, 2)).toEqual([50_001, 50_003]);
		expect(sorted(2, 4)).toEqual([50_000, 50_002]);
		expect(sorted(4, 7)).toEqual([50_005, 50_007, 50_009]);
		expect(sorted(7, 10)).toEqual([50_004, 50_006, 50_008]);
		expect(listen).toThrow("Cannot assign requested address");
		// Of a short range all are alike, and what is over of an odd number is never drawn.
		a.localPortRange = [51_000, 51_002];
		expect([listen(), listen()]).toEqual([51_001, 51_000]);
		expect(listen).toThrow("Cannot assign requested address");
	});

	test("a SYN from the same port while the server is in TIME-WAIT: a new connection, numbered behind the old one", async () => {
		const { lab, a, b } = pair();
		let server: TcpSocket | undefined;
		b.tcp.listen({ port: 80 }).onConnection = (socket) => (server = socket);
		const dial = (): TcpSocket => a.tcp.connect({ address: "10.5.0.2", port: 80, localPort: 40_000 });
		const first = dial();
		await lab.advance("100ms");
		const old = server;
		old?.close();
		await lab.advance("10ms");
		first.close();
		await lab.advance("2s");
		expect([old?.state, a.tcp.count]).toEqual(["time-wait", 0]);
		const second = dial();
		await lab.advance("100ms");
		expect(second.state).toBe("established");
		expect(((server?.tcb.iss ?? 0) - (old?.tcb.sndNxt ?? 0)) | 0).toBe(65_537);
	});

	test("one local port may serve two destinations; for one it runs out", () => {
		const { a } = pair();
		a.localPortRange = [40_000, 40_003];
		const to = (port: number): number => a.tcp.connect({ address: "10.5.0.2", port }).localPort;
		expect([to(80), to(80), to(80), to(80)].sort()).toEqual([40_000, 40_001, 40_002, 40_003]);
		expect(() => to(80)).toThrow("Cannot assign requested address");
		expect(to(81)).toBeGreaterThanOrEqual(40_000);
	});

	test("a reset has the TOS of what it answers and the host's own TTL", async () => {
		const { lab, a, b } = pair();
		b.sysctl.set("net.ipv4.ip_default_ttl", 99);
		const capture = lab.capture("a:eth0");
		const client = a.tcp.connect({ address: "10.5.0.2", port: 81 });
		expect(client.state).toBe("syn-sent");
		const socket = a.tcp.connect({ address: "10.5.0.2", port: 82, tos: 0x10 });
		await lab.advance("10ms");
		expect(socket.error?.code).toBe("ECONNREFUSED");
		const headers = capture.sightings("a:eth0").map(({ data }) => [data[15], data[22]]);
		expect(headers).toEqual([
			[0, 64],
			[0x10, 64],
			[0, 99],
			[0x10, 99],
		]);
	});
});
