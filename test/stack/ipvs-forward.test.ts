import { describe, expect, test } from "vitest";
import { formatIp4, toIp4 } from "../../src/addr/index.ts";
import { Lab, type Netns } from "../../src/index.ts";
import type { Capture } from "../../src/observe/index.ts";
import { ethernet, icmp, ipv4, tcp, udp } from "../../src/wire/index.ts";
import { ask, balanced, echo, quiet, segment, serverAddress, VIP } from "../support/load-balancer.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

/** IPv4 packets to one host seen at a place, as views behind the Ethernet header: bridges tell groups which ones they are in. */
function packets(capture: Capture, place: string): DataView[] {
	return capture
		.sightings(place)
		.map(({ data }) => new DataView(data.buffer, data.byteOffset, data.byteLength))
		.filter((view) => ethernet.type(view, 0) === ethernet.TYPE_IPV4 && (view.getUint8(0) & 1) === 0)
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

	test("requests and replies in fragments arrive whole, the reply from the virtual address", async () => {
		const net = balanced({ servers: 1 });
		net.lb.ipvsadm(`-A -u ${VIP}:53 -s rr`);
		net.lb.ipvsadm(`-a -u ${VIP}:53 -r ${serverAddress(0)}:53 -m`);
		const server = net.servers[0]!.udp({ port: 53, mtuDiscovery: "dont" });
		server.handler = (_frame, _at, octets, source, port) => {
			server.send(new Uint8Array(octets + 1), { address: source, port });
		};
		const socket = net.client.udp({ mtuDiscovery: "dont" });
		socket.send(new Uint8Array(3000), { address: VIP, port: 53 });
		const answer = await socket.receive();
		expect([answer.address, answer.data.length]).toEqual([VIP, 3001]);
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

describe("a load balancer as Docker's sandboxes are", () => {
	/** One network with a client, tasks and the load balancer, which has the virtual address beside its own. */
	function swarm() {
		const lab = new Lab({ seed: 1 });
		const sw = lab.netns("switch");
		const br0 = sw.addBridge("br0");
		br0.up();
		const join = (name: string, address: string): Netns => {
			const ns = lab.netns(name);
			const [port, eth0] = lab.veth({ ns: sw, name: `p-${name}` }, { ns, name: "eth0" });
			br0.attach(port);
			for (const device of [port, eth0]) device.up();
			eth0.addAddress(`${address}/24`);
			return ns;
		};
		const client = join("client", "10.8.8.12");
		const lb = join("lb", "10.8.8.8");
		lb.device("eth0").addAddress("10.8.8.2/32");
		const heard: string[] = [];
		for (const n of [3, 4, 5]) {
			const task = join(`task${String(n)}`, `10.8.8.${String(n)}`);
			const socket = task.udp({ port: 53 });
			socket.handler = (frame, at, _octets, source, port) => {
				heard.push(
					`${formatIp4(source)} ttl ${String(ipv4.ttl(frame.view, at - udp.OCTETS - ipv4.MIN_OCTETS))}`,
				);
				socket.send(Uint8Array.of(n), { address: source, port });
			};
		}
		lb.iptables("-t mangle -A INPUT -d 10.8.8.2/32 -j MARK --set-mark 0x102");
		lb.iptables("-t nat -A POSTROUTING -d 10.8.8.0/24 -m ipvs --ipvs -j SNAT --to-source 10.8.8.8");
		for (const [name, value] of [
			["conntrack", 1],
			["conn_reuse_mode", 0],
			["expire_nodest_conn", 1],
			["expire_quiescent_template", 1],
		] as const) {
			lb.sysctl.set(`net.ipv4.vs.${name}`, value);
		}
		lb.ipvsadm("-A -f 258 -s rr");
		for (const n of [3, 4, 5]) lb.ipvsadm(`-a -f 258 -r 10.8.8.${String(n)}:0 -m -w 1`);
		const asks = async (): Promise<string> => {
			const socket = client.udp({ port: 40_000 + heard.length });
			socket.connect("10.8.8.2", 53);
			socket.send(new Uint8Array(4));
			const { data, address, ttl } = await socket.receive();
			return `${address} ${String(data[0])} ttl ${String(ttl)}`;
		};
		return { lab, lb, client, heard, asks };
	}

	test("its table is as recorded on node 1 (08-service-vip)", () => {
		expect(swarm().lb.ipvsadm("-Ln")).toBe(
			[
				"IP Virtual Server version 1.2.1 (size=4096)",
				"Prot LocalAddress:Port Scheduler Flags",
				"  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn",
				"FWM  258 rr",
				"  -> 10.8.8.3:0                   Masq    1      0          0         ",
				"  -> 10.8.8.4:0                   Masq    1      0          0         ",
				"  -> 10.8.8.5:0                   Masq    1      0          0         ",
				"",
			].join("\n"),
		);
	});

	test("tasks see the load balancer, the client sees the virtual address; the newest task is the first", async () => {
		const { asks, heard, lb } = swarm();
		lb.sysctl.set("net.ipv4.ip_forward", 1);
		const answers: string[] = [];
		for (let i = 0; i < 4; i++) answers.push(await asks());
		expect(answers).toEqual([5, 4, 3, 5].map((n) => `10.8.8.2 ${String(n)} ttl 63`));
		expect(new Set(heard)).toEqual(new Set(["10.8.8.8 ttl 63"]));
		expect(lb.conntrack.list()).toContain(
			"src=10.8.8.12 dst=10.8.8.2 sport=40000 dport=53 src=10.8.8.5 dst=10.8.8.8 sport=53 dport=40000",
		);
	});

	test("when a connection ends connection tracking forgets its flow", async () => {
		const { asks, lb, lab } = swarm();
		lb.sysctl.set("net.ipv4.ip_forward", 1);
		lb.ipvsadm("--set 0 0 5");
		await asks();
		expect(lb.conntrack.flows()).toHaveLength(1);
		await lab.advance("6s");
		expect(lb.conntrack.flows()).toHaveLength(0);
	});

	test("without conntrack=1 the rule is not asked: packets keep the client's address", async () => {
		const { client, heard, lb, lab } = swarm();
		lb.sysctl.set("net.ipv4.vs.conntrack", 0);
		client.udp().send(new Uint8Array(4), { address: "10.8.8.2", port: 53 });
		await lab.advance("10ms");
		expect(heard).toEqual(["10.8.8.12 ttl 63"]);
	});

	test("ping to the virtual address is answered by the load balancer itself", async () => {
		const { client, lb } = swarm();
		expect((await client.ping("10.8.8.2", { count: 1 })).replies.map(({ ttl }) => ttl)).toEqual([64]);
		expect(lb.ipvs.core.connections.size).toBe(0);
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
