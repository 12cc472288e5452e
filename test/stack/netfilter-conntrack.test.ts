import { describe, expect, test } from "vitest";
import { tcp } from "../../src/wire/index.ts";
import { routed } from "../support/router.ts";

const CLIENT = "10.0.0.2:4000";
const SERVER = "192.168.1.20:80";
const { SYN, ACK, FIN, RST } = tcp;
const word = new Uint8Array(4);

function tracked() {
	const net = routed();
	void net.router.netfilter.conntrack;
	const up = (flags: number, more: object = {}): void => {
		net.fromInside({ from: CLIENT, to: SERVER, flags, ...more });
	};
	const down = (flags: number, more: object = {}): void => {
		net.fromOutside({ from: SERVER, to: CLIENT, flags, ...more });
	};
	/** Name of the state and seconds left. */
	const state = (): string =>
		/^tcp +6 (\d+ \w+)/
			.exec(net.router.conntrack.list())?.[1]
			?.replace(/^\d+/, (left) => String(Math.round(Number(left) / 10) * 10)) ?? "none";
	/** What a rule for INVALID packets counted. */
	net.router.iptables("-A FORWARD -m conntrack --ctstate INVALID -j DROP");
	const invalid = (): string =>
		/\[(\d+):/.exec(net.router.iptablesTool.save({ counters: true }).split("-A")[0] ?? "")?.[1] ?? "";
	return { ...net, up, down, state, invalid };
}

function established() {
	const net = tracked();
	net.up(SYN, { sequence: 100 });
	net.down(SYN | ACK, { sequence: 500, acknowledgment: 101 });
	net.up(ACK, { sequence: 101, acknowledgment: 501 });
	return net;
}

describe("a TCP connection", () => {
	test("goes from SYN_SENT to TIME_WAIT with the timeouts of its states", () => {
		const { up, down, state, flows } = tracked();
		const states: string[] = [];
		const step = (action: () => void): void => {
			action();
			states.push(state());
		};
		step(() => {
			up(SYN, { sequence: 100 });
		});
		expect(flows()[0]).toContain("[UNREPLIED]");
		step(() => {
			down(SYN | ACK, { sequence: 500, acknowledgment: 101 });
		});
		step(() => {
			up(ACK, { sequence: 101, acknowledgment: 501 });
		});
		step(() => {
			up(ACK, { sequence: 101, acknowledgment: 501, payload: 10 });
		});
		step(() => {
			down(ACK, { sequence: 501, acknowledgment: 111 });
		});
		step(() => {
			up(FIN | ACK, { sequence: 111, acknowledgment: 501 });
		});
		step(() => {
			down(ACK, { sequence: 501, acknowledgment: 112 });
		});
		step(() => {
			down(FIN | ACK, { sequence: 501, acknowledgment: 112 });
		});
		step(() => {
			up(ACK, { sequence: 112, acknowledgment: 502 });
		});
		expect(states).toEqual([
			"120 SYN_SENT",
			"60 SYN_RECV",
			"432000 ESTABLISHED",
			// Data that nobody acknowledged yet is not waited for five days.
			"300 ESTABLISHED",
			"432000 ESTABLISHED",
			"120 FIN_WAIT",
			"60 CLOSE_WAIT",
			"30 LAST_ACK",
			"120 TIME_WAIT",
		]);
		expect(flows()).toEqual([
			"tcp      6 TIME_WAIT src=10.0.0.2 dst=192.168.1.20 sport=4000 dport=80 src=192.168.1.20 dst=10.0.0.2 sport=80 dport=4000 [ASSURED] mark=0 use=1",
		]);
	});

	test("may be opened again from TIME_WAIT", () => {
		const { up, down, state } = established();
		up(FIN | ACK, { sequence: 101, acknowledgment: 501 });
		down(FIN | ACK, { sequence: 501, acknowledgment: 102 });
		up(ACK, { sequence: 102, acknowledgment: 502 });
		expect(state()).toBe("120 TIME_WAIT");
		up(SYN, { sequence: 90_000 });
		expect(state()).toBe("120 SYN_SENT");
	});

	test("refused by RST is forgotten at once", () => {
		const { up, down, flows } = tracked();
		up(SYN, { sequence: 100 });
		down(RST | ACK, { sequence: 0, acknowledgment: 101 });
		expect(flows()).toEqual([]);
	});

	test("reset later closes within ten seconds", () => {
		const { down, state } = established();
		down(RST | ACK, { sequence: 501, acknowledgment: 101 });
		expect(state()).toBe("10 CLOSE");
	});

	test.each([
		["far beyond the window", { sequence: 101 + 200_000, acknowledgment: 501, payload: 10 }],
		["far behind it", { sequence: (101 - 200_000) >>> 0, acknowledgment: 501, payload: 10 }],
		["acknowledging what was never sent", { sequence: 101, acknowledgment: 5_000_000 }],
	])("a segment %s is INVALID", (_what, segment) => {
		const { up, outsideSees, drops } = established();
		const before = outsideSees.length;
		up(ACK, segment);
		expect(outsideSees).toHaveLength(before);
		expect(drops).toEqual([
			"iptables-drop router:eth0 -t filter -A FORWARD -m conntrack --ctstate INVALID -j DROP",
		]);
	});

	test("a SYN,ACK nobody asked for is INVALID, and so are flags that make no sense together", () => {
		const { down, up, drops } = tracked();
		down(SYN | ACK, { sequence: 1, acknowledgment: 1 });
		up(SYN | FIN);
		up(0);
		expect(drops).toHaveLength(3);
	});

	test("is picked up in its middle, for a shorter while", () => {
		const { up, state } = tracked();
		up(ACK, { sequence: 9000, acknowledgment: 7000, payload: 3 });
		expect(state()).toBe("300 ESTABLISHED");
	});

	test("is not picked up in its middle when nf_conntrack_tcp_loose is 0", () => {
		const { router, up, drops } = tracked();
		router.sysctl.set("net.netfilter.nf_conntrack_tcp_loose", 0);
		up(ACK, { sequence: 9000, acknowledgment: 7000 });
		expect(drops).toHaveLength(1);
	});
});

describe("flows", () => {
	test("of datagrams live 30 s, and 120 s and assured once they go both ways for two seconds", async () => {
		const { lab, inside, outside, router, flows } = tracked();
		const left = (): number => Number(/udp +17 (\d+)/.exec(router.conntrack.list())?.[1] ?? -1);
		outside.routes.add("default", { via: "192.168.1.10" });
		const server = outside.udp({ port: 53 });
		const client = inside.udp({ port: 4000 });
		client.send(word, { address: "192.168.1.20", port: 53 });
		await server.receive();
		expect(flows()).toEqual([
			"udp      17 src=10.0.0.2 dst=192.168.1.20 sport=4000 dport=53 [UNREPLIED] src=192.168.1.20 dst=10.0.0.2 sport=53 dport=4000 mark=0 use=1",
		]);
		server.send(word, { address: "10.0.0.2", port: 4000 });
		await client.receive();
		expect(left()).toBeGreaterThanOrEqual(29);
		expect(left()).toBeLessThanOrEqual(30);
		expect(flows()[0]).not.toMatch(/UNREPLIED|ASSURED/);
		await lab.advance("3s");
		client.send(word, { address: "192.168.1.20", port: 53 });
		await lab.advance("1ms");
		expect(flows()[0]).toContain("[ASSURED]");
		expect(left()).toBeGreaterThan(110);
	});

	test("of a ping are known by their identifier", async () => {
		const { inside, outside, flows } = tracked();
		outside.routes.add("default", { via: "192.168.1.10" });
		await inside.ping("192.168.1.20", { count: 2 });
		expect(flows()).toEqual([
			"icmp     1 src=10.0.0.2 dst=192.168.1.20 type=8 code=0 id=1 src=192.168.1.20 dst=10.0.0.2 type=0 code=0 id=1 mark=0 use=1",
		]);
	});

	test("end when their time is over, and the table is empty then", async () => {
		const { lab, inside, router } = tracked();
		for (let port = 1; port <= 20; port++) inside.udp().send(word, { address: "192.168.1.20", port });
		await lab.advance("10s");
		expect(router.netfilter.conntrack.count).toBe(20);
		await lab.advance("29s");
		expect(router.conntrack.count()).toBe(0);
		expect(router.netfilter.conntrack.count).toBe(0);
	});

	test("give way to new ones when the table is full, unless they are assured: then new ones are dropped", async () => {
		const { lab, router, drops, up, down, inside } = established();
		router.sysctl.set("net.netfilter.nf_conntrack_max", 1);
		inside.udp().send(word, { address: "192.168.1.20", port: 9 });
		await lab.advance("1ms");
		expect(drops).toContain("conntrack-full router");
		expect(router.netfilter.log.lines.map(({ text }) => text)).toContain(
			"nf_conntrack: nf_conntrack: table full, dropping packet",
		);
		down(RST | ACK, { sequence: 501, acknowledgment: 101 });
		await lab.advance("20s");
		up(SYN, { sequence: 7 });
		drops.length = 0;
		inside.udp().send(word, { address: "192.168.1.20", port: 9 });
		await lab.advance("1ms");
		expect(drops.filter((drop) => drop.startsWith("conntrack"))).toEqual([]);
	});

	test("errors about their packets are RELATED, errors about nothing INVALID", async () => {
		const { lab, inside, outside, router, drops } = tracked();
		outside.routes.add("default", { via: "192.168.1.10" });
		router.iptables("-I FORWARD -m conntrack --ctstate RELATED -j ACCEPT");
		const socket = inside.udp();
		socket.connect("192.168.1.20", 7);
		socket.send(word);
		await lab.advance("5ms");
		expect(() => {
			socket.send(word);
		}).toThrow(/Connection refused/);
		expect(router.iptablesTool.save({ counters: true })).toContain(
			"[1:60] -A FORWARD -m conntrack --ctstate RELATED -j ACCEPT",
		);
		router.conntrack.flush();
		// The error to a datagram whose flow was forgotten on its way.
		router.iptables("-t raw -A PREROUTING -i eth0 -j NOTRACK");
		drops.length = 0;
		socket.send(word);
		await lab.advance("5ms");
		expect(drops.some((drop) => drop.includes("--ctstate INVALID"))).toBe(true);
	});

	test("untracked packets are UNTRACKED and of no flow", async () => {
		const { lab, inside, router, flows } = tracked();
		router.iptables("-t raw -A PREROUTING -p udp -j NOTRACK");
		router.iptables("-I FORWARD -m conntrack --ctstate UNTRACKED -j ACCEPT");
		inside.udp().send(word, { address: "192.168.1.20", port: 9 });
		await lab.advance("5ms");
		expect(router.iptables("-vS FORWARD")).toContain("--ctstate UNTRACKED -c 1 32 -j ACCEPT");
		expect(flows().filter((line) => line.startsWith("udp"))).toEqual([]);
	});

	test("carry a mark that packets give them and take from them", async () => {
		const { lab, inside, router, flows } = tracked();
		router.iptables("-t mangle -A PREROUTING -p udp -j MARK --set-mark 0x2a");
		router.iptables("-t mangle -A PREROUTING -p udp -j CONNMARK --save-mark");
		inside.udp().send(word, { address: "192.168.1.20", port: 9 });
		await lab.advance("5ms");
		expect(flows()[0]).toContain("mark=42 ");
	});

	test("are counted when nf_conntrack_acct is on", async () => {
		const { lab, inside, router, flows } = tracked();
		router.sysctl.set("net.netfilter.nf_conntrack_acct", 1);
		inside.udp().send(word, { address: "192.168.1.20", port: 9 });
		await lab.advance("5ms");
		expect(flows()[0]).toMatch(/dport=9 packets=1 bytes=32 \[UNREPLIED\] .* packets=0 bytes=0 mark/);
	});
});
