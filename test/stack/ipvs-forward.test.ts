import { describe, expect, test } from "vitest";
import { toIp4 } from "../../src/addr/index.ts";
import type { Capture } from "../../src/observe/index.ts";
import { ethernet, icmp, ipv4, tcp, udp } from "../../src/wire/index.ts";
import { ask, balanced, echo, quiet, segment, serverAddress, VIP } from "../support/load-balancer.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

/** IPv4 packets seen at a place, as views behind the Ethernet header. */
function packets(capture: Capture, place: string): DataView[] {
	return capture
		.sightings(place)
		.map(({ data }) => new DataView(data.buffer, data.byteOffset, data.byteLength))
		.filter((view) => ethernet.type(view, 0) === ethernet.TYPE_IPV4)
		.map(
			(view) =>
				new DataView(view.buffer, view.byteOffset + ethernet.OCTETS, view.byteLength - ethernet.OCTETS),
		);
}

const ends = (view: DataView): [number, number] => [ipv4.source(view, 0), ipv4.destination(view, 0)];
const ip = (text: string): number => toIp4(text, "ip");

/** Lets a datagram of the client's pass; gives what left the load balancer for the servers. */
async function oneDatagram(
	options: string,
	port: number,
	about: { readonly octets?: number; readonly ttl?: number; readonly mtu?: "want" | "dont" } = {},
) {
	const net = balanced({ servers: 1 });
	net.lb.ipvsadm(`-A -u ${VIP}:53 -s rr`);
	net.lb.ipvsadm(`-a -u ${VIP}:53 -r ${serverAddress(0)}:${String(port)} ${options}`);
	const capture = net.lab.capture();
	const socket = net.client.udp({ ttl: about.ttl ?? 64, mtuDiscovery: about.mtu ?? "want" });
	socket.connect(VIP, 53);
	socket.send(new Uint8Array(about.octets ?? 8));
	await net.lab.advance("50ms");
	return { ...net, capture, sent: packets(capture, "lb:back"), socket };
}

describe("a packet gets to a real server", () => {
	test("masquerading: with another destination, TTL one less, and a checksum that is right", async () => {
		const { sent, capture } = await oneDatagram("-m", 5353);
		expect(ends(sent[0]!)).toEqual([ip("10.1.0.10"), ip("10.2.0.11")]);
		expect([ipv4.ttl(sent[0]!, 0), udp.destinationPort(sent[0]!, ipv4.MIN_OCTETS)]).toEqual([63, 5353]);
		await expectCleanInWireshark(capture.toPcapng(), {
			harmless: [
				{ protocol: "DNS", why: "eight octets to port 53" },
				{ protocol: "MDNS", why: "eight octets to port 5353" },
			],
		});
	});

	test("gatewaying: as it is but for the TTL, to the real server's MAC", async () => {
		const { capture, servers, sent } = await oneDatagram("-g", 53);
		expect(ends(sent[0]!)).toEqual([ip("10.1.0.10"), ip(VIP)]);
		expect(ipv4.ttl(sent[0]!, 0)).toBe(63);
		const frame = capture.sightings("lb:back").find(({ data }) => data[12] === 8 && data[13] === 0)!;
		const view = new DataView(frame.data.buffer, frame.data.byteOffset);
		expect(ethernet.dst(view, 0)).toBe(servers[0]!.device("eth0").mac);
	});

	test("ipip: inside another packet of lb's, with TTL, TOS and Don't Fragment of the inner one", async () => {
		const { sent, capture } = await oneDatagram("-i", 53, { ttl: 9 });
		const outer = sent[0]!;
		expect(ends(outer)).toEqual([ip("10.2.0.1"), ip("10.2.0.11")]);
		expect([
			ipv4.protocol(outer, 0),
			ipv4.ttl(outer, 0),
			ipv4.dontFragment(outer, 0),
			ipv4.ident(outer, 0),
		]).toEqual([4, 8, true, 0]);
		const inner = new DataView(outer.buffer, outer.byteOffset + ipv4.MIN_OCTETS);
		expect([...ends(inner), ipv4.ttl(inner, 0)]).toEqual([ip("10.1.0.10"), ip(VIP), 8]);
		await expectCleanInWireshark(capture.toPcapng(), {
			harmless: [{ protocol: "DNS", why: "eight octets to port 53" }],
		});
	});

	test("ipip: what is too long for the tunnel is told to the client, unless pmtu_disc is off", async () => {
		const first = await oneDatagram("-i", 53, { octets: 1472 });
		expect(first.sent).toHaveLength(0);
		const told = packets(first.capture, "client:eth0").at(-1)!;
		const at = ipv4.MIN_OCTETS;
		expect([ipv4.source(told, 0), icmp.type(told, at), icmp.code(told, at), icmp.rest(told, at)]).toEqual([
			ip(VIP),
			3,
			4,
			1480,
		]);
		first.lb.sysctl.set("net.ipv4.vs.pmtu_disc", 0);
		const socket = first.client.udp({ mtuDiscovery: "dont" });
		socket.send(new Uint8Array(1472), { address: VIP, port: 53 });
		await first.lab.advance("50ms");
		const sent = packets(first.capture, "lb:back").filter((view) => ipv4.source(view, 0) === ip("10.2.0.1"));
		expect(sent.map((view) => ipv4.isFragment(view, 0))).toEqual([true, true]);
	});

	test("a TTL of 1 ends at lb, which says so with the virtual address", async () => {
		const { sent, capture } = await oneDatagram("-m", 53, { ttl: 1 });
		expect(sent).toHaveLength(0);
		const told = packets(capture, "client:eth0").at(-1)!;
		expect([ipv4.source(told, 0), icmp.type(told, ipv4.MIN_OCTETS)]).toEqual([ip(VIP), 11]);
	});

	test("a server on lb itself gets it without passing a wire", async () => {
		const net = balanced({ servers: 1 });
		net.lb.ipvsadm(`-A -u ${VIP}:53 -s rr`);
		net.lb.ipvsadm(`-a -u ${VIP}:53 -r 10.2.0.1:5353 -m`);
		const server = net.lb.udp({ address: "10.2.0.1", port: 5353 });
		server.handler = (_frame, _at, _octets, source, port) => {
			server.send(Uint8Array.of(7), { address: source, port });
		};
		expect(await ask(net, 53)).toBe(7);
	});

	test("a program on lb itself is a client too", async () => {
		const net = balanced();
		echo(net, 53);
		net.lb.ipvsadm(`-A -u ${VIP}:53 -s rr`);
		for (const i of [0, 1]) net.lb.ipvsadm(`-a -u ${VIP}:53 -r ${serverAddress(i)}:53 -m`);
		const socket = net.lb.udp();
		socket.connect(VIP, 53);
		socket.send(new Uint8Array(4));
		const answer = await socket.receive();
		expect([answer.data[0], answer.address]).toEqual([1, VIP]);
	});

	test("a service by mark takes what is marked, whatever the port", async () => {
		const net = balanced();
		echo(net, 53);
		echo(net, 54);
		net.lb.hooks.register("PREROUTING", -150, (frame) => {
			frame.mark = 0x100;
			return 1;
		});
		net.lb.ipvsadm("-A -f 256 -s rr");
		for (const i of [0, 1, 2]) net.lb.ipvsadm(`-a -f 256 -r ${serverAddress(i)}:0 -m`);
		expect([await ask(net, 53), await ask(net, 54), await ask(net, 53)]).toEqual([2, 1, 0]);
	});

	test("one-packet scheduling forgets each datagram, so that replies come from the server's own address", async () => {
		const net = balanced();
		echo(net, 53);
		net.lb.ipvsadm(`-A -u ${VIP}:53 -s rr -o`);
		for (const i of [0, 1, 2]) net.lb.ipvsadm(`-a -u ${VIP}:53 -r ${serverAddress(i)}:53 -m`);
		const socket = net.client.udp();
		const got: (readonly [number | undefined, string])[] = [];
		for (let i = 0; i < 3; i++) {
			socket.send(new Uint8Array(8), { address: VIP, port: 53 });
			const answer = await socket.receive();
			got.push([answer.data[0], answer.address]);
		}
		expect(got).toEqual([2, 1, 0].map((i) => [i, serverAddress(i)]));
		expect(net.lb.ipvs.core.connections.size).toBe(0);
	});
});

describe("ICMP errors find their way", () => {
	/** A TCP service, its one connection, and a way for either end to be told of an error by a router. */
	async function connected() {
		const net = balanced({ servers: 1 });
		quiet(net.client, ...net.servers);
		net.lb.ipvsadm(`-A -t ${VIP}:80 -s rr`);
		net.lb.ipvsadm(`-a -t ${VIP}:80 -r ${serverAddress(0)}:8080 -m`);
		segment(net.client, { from: "10.1.0.10", to: VIP, ports: [40_000, 80], flags: tcp.SYN });
		await net.lab.advance("10ms");
		const capture = net.lab.capture();
		return { ...net, capture };
	}

	/** The quoted packet of an ICMP error: its ends and ports, and whether the message adds up. */
	function told(view: DataView | undefined): unknown {
		if (view === undefined) return "nothing";
		const quote = ipv4.MIN_OCTETS + icmp.OCTETS;
		const ports = quote + ipv4.MIN_OCTETS;
		return {
			ends: ends(view),
			type: icmp.type(view, ipv4.MIN_OCTETS),
			quoted: [
				ipv4.source(view, quote),
				view.getUint16(ports),
				ipv4.destination(view, quote),
				view.getUint16(ports + 2),
			],
			good: ipv4.isChecksumGood(view, 0) && ipv4.isChecksumGood(view, quote),
		};
	}

	test("of what the client sent: from the virtual address, about a packet to it", async () => {
		const net = await connected();
		net.servers[0]!.protocols.delete(6);
		// The server has no route to a longer packet: it says so about what it got.
		net.servers[0]!.protocols.set(6, (frame, inDevice) => {
			net.servers[0]!.ipv4.icmp.tell(frame, inDevice, 3, 10, 0);
			frame.release();
		});
		segment(net.client, { from: "10.1.0.10", to: VIP, ports: [40_000, 80], flags: tcp.ACK });
		await net.lab.advance("10ms");
		expect(told(packets(net.capture, "client:eth0").at(-1))).toEqual({
			ends: [ip(VIP), ip("10.1.0.10")],
			type: 3,
			quoted: [ip("10.1.0.10"), 40_000, ip(VIP), 80],
			good: true,
		});
		await expectCleanInWireshark(net.capture.toPcapng());
	});

	test("of what the server sent: to it, about a packet of its own", async () => {
		const net = await connected();
		net.client.protocols.set(6, (frame, inDevice) => {
			net.client.ipv4.icmp.tell(frame, inDevice, 3, 10, 0);
			frame.release();
		});
		segment(net.servers[0]!, {
			from: serverAddress(0),
			to: "10.1.0.10",
			ports: [8080, 40_000],
			flags: tcp.SYN | tcp.ACK,
		});
		await net.lab.advance("10ms");
		expect(told(packets(net.capture, "s0:eth0").at(-1))).toEqual({
			ends: [ip("10.1.0.10"), ip(serverAddress(0))],
			type: 3,
			quoted: [ip(serverAddress(0)), 8080, ip("10.1.0.10"), 40_000],
			good: true,
		});
	});

	test("of no connection: they are routed as they are", async () => {
		const net = await connected();
		net.client.protocols.set(6, (frame, inDevice) => {
			net.client.ipv4.icmp.tell(frame, inDevice, 3, 10, 0);
			frame.release();
		});
		segment(net.servers[0]!, {
			from: serverAddress(0),
			to: "10.1.0.10",
			ports: [9999, 40_001],
			flags: tcp.ACK,
		});
		await net.lab.advance("10ms");
		expect(told(packets(net.capture, "s0:eth0").at(-1))).toMatchObject({
			ends: [ip("10.1.0.10"), ip(serverAddress(0))],
			quoted: [ip(serverAddress(0)), 9999, ip("10.1.0.10"), 40_001],
		});
	});

	test("nat_icmp_send: a server's segment of no connection is refused", async () => {
		const net = await connected();
		net.lb.sysctl.set("net.ipv4.vs.nat_icmp_send", 1);
		segment(net.servers[0]!, {
			from: serverAddress(0),
			to: "10.1.0.10",
			ports: [8080, 40_001],
			flags: tcp.ACK,
		});
		await net.lab.advance("10ms");
		const last = packets(net.capture, "s0:eth0").at(-1)!;
		expect([icmp.type(last, ipv4.MIN_OCTETS), icmp.code(last, ipv4.MIN_OCTETS)]).toEqual([3, 3]);
	});
});

describe("without services", () => {
	test("nothing looks at packets: the hooks are there with the first and go with the last", () => {
		const { lb } = balanced();
		const hooked = (): boolean[] =>
			[lb.hooks.input, lb.hooks.forward, lb.hooks.output].map((chain) => chain !== null);
		expect(hooked()).toEqual([false, false, false]);
		lb.ipvsadm(`-A -u ${VIP}:53`);
		expect(hooked()).toEqual([true, true, true]);
		lb.ipvsadm("-C");
		expect(hooked()).toEqual([false, false, false]);
	});
});
