import { describe, expect, test } from "vitest";
import { icmp, ipv4, tcp } from "../../src/wire/index.ts";
import { routed } from "../support/router.ts";

const { SYN, ACK } = tcp;
const word = new Uint8Array(4);
const MASQUERADE = "-t nat -A POSTROUTING -s 10.0.0.0/24 ! -o eth0 -j MASQUERADE";
const PUBLISH =
	"-t nat -A PREROUTING -m addrtype --dst-type LOCAL -p udp --dport 5003 -j DNAT --to-destination 10.0.0.2:53";

describe("MASQUERADE", () => {
	test("gives what leaves the address of the device, keeps the port, and undoes both for answers", () => {
		const { router, fromInside, fromOutside, outsideSees, insideSees, flows } = routed();
		router.iptables(MASQUERADE);
		fromInside({ from: "10.0.0.2:4000", to: "192.168.1.20:80", flags: SYN, sequence: 1 });
		fromOutside({
			from: "192.168.1.20:80",
			to: "192.168.1.10:4000",
			flags: SYN | ACK,
			sequence: 9,
			acknowledgment: 2,
		});
		expect(outsideSees).toEqual(["192.168.1.10:4000 > 192.168.1.20:80 S"]);
		expect(insideSees).toEqual(["192.168.1.20:80 > 10.0.0.2:4000 SA"]);
		expect(flows()).toEqual([
			"tcp      6 SYN_RECV src=10.0.0.2 dst=192.168.1.20 sport=4000 dport=80 src=192.168.1.20 dst=192.168.1.10 sport=80 dport=4000 mark=0 use=1",
		]);
	});

	test.each([
		[4000, 1024, 65_535],
		[700, 600, 1023],
		[80, 1, 511],
	])("gives port %i to a second flow as another one from %i to %i", (port, low, high) => {
		const { router, inside, fromInside, outsideSees } = routed();
		router.iptables(MASQUERADE);
		inside.device("eth0").addAddress("10.0.0.3/24");
		fromInside({ from: `10.0.0.2:${String(port)}`, to: "192.168.1.20:80", flags: SYN });
		fromInside({ from: `10.0.0.3:${String(port)}`, to: "192.168.1.20:80", flags: SYN });
		const ports = outsideSees.map((line) =>
			Number(/^192\.168\.1\.10:(\d+) > 192\.168\.1\.20:80 S$/.exec(line)?.[1]),
		);
		expect(ports[0]).toBe(port);
		expect(ports[1]).not.toBe(port);
		expect(ports[1]).toBeGreaterThanOrEqual(low);
		expect(ports[1]).toBeLessThanOrEqual(high);
	});

	test("flows are forgotten when the device goes down, others stay", async () => {
		const { lab, router, inside, eth1, fromInside, flows } = routed();
		router.iptables(MASQUERADE);
		fromInside({ from: "10.0.0.2:4000", to: "192.168.1.20:80", flags: SYN });
		inside.udp().send(word, { address: "10.0.0.1", port: 9 });
		await lab.advance("1ms");
		expect(flows()).toHaveLength(2);
		eth1.down();
		expect(flows()).toHaveLength(1);
		expect(flows()[0]).toContain("dst=10.0.0.1 ");
	});
});

describe("DNAT", () => {
	test("publishes a port: the inside sees the true source, the outside only the router", async () => {
		const { router, inside, outside } = routed();
		router.iptables(PUBLISH);
		const server = inside.udp({ port: 53 });
		const client = outside.udp({ port: 4000 });
		client.send(word, { address: "192.168.1.10", port: 5003 });
		const asked = await server.receive();
		expect([asked.address, asked.port, asked.to]).toEqual(["192.168.1.20", 4000, "10.0.0.2"]);
		server.send(word, { address: asked.address, port: asked.port });
		const answer = await client.receive();
		expect([answer.address, answer.port]).toEqual(["192.168.1.10", 5003]);
		expect(router.conntrack.line(router.conntrack.flows()[0]!)).toContain(
			"src=192.168.1.20 dst=192.168.1.10 sport=4000 dport=5003 src=10.0.0.2 dst=192.168.1.20 sport=53 dport=4000",
		);
	});

	test("in OUTPUT sends the router's own packets another way", async () => {
		const { router, inside } = routed();
		router.iptables(
			"-t nat -A OUTPUT -m addrtype --dst-type LOCAL -p udp --dport 5003 -j DNAT --to-destination 10.0.0.2:53",
		);
		const server = inside.udp({ port: 53 });
		router.udp().send(word, { address: "192.168.1.10", port: 5003 });
		// The source was chosen for the first destination, as on a real host.
		expect((await server.receive()).address).toBe("192.168.1.10");
	});

	test("with MASQUERADE lets a host reach itself by its published port (hairpin)", async () => {
		const { router, inside, eth0 } = routed();
		eth0.owner.addAddress(eth0, "10.0.0.9/32");
		router.iptables(
			"-t nat -A PREROUTING -d 192.168.1.10 -p udp --dport 5003 -j DNAT --to-destination 10.0.0.2:53",
		);
		router.iptables("-t nat -A POSTROUTING -s 10.0.0.2/32 -d 10.0.0.2/32 -p udp --dport 53 -j MASQUERADE");
		const server = inside.udp({ port: 53 });
		const client = inside.udp({ port: 4000 });
		client.send(word, { address: "192.168.1.10", port: 5003 });
		const asked = await server.receive();
		expect([asked.address, asked.port]).toEqual(["10.0.0.1", 4000]);
		server.send(word, { address: asked.address, port: asked.port });
		const answer = await client.receive();
		expect([answer.address, answer.port]).toEqual(["192.168.1.10", 5003]);
	});

	test("REDIRECT brings a packet to the first address of the device it came in by", async () => {
		const { router, inside } = routed();
		router.iptables("-t nat -A PREROUTING -p udp --dport 5003 -j REDIRECT --to-ports 53");
		const server = router.udp({ port: 53 });
		const client = inside.udp();
		client.send(word, { address: "192.168.1.20", port: 5003 });
		const asked = await server.receive();
		expect(asked.to).toBe("10.0.0.1");
		server.send(word, { address: asked.address, port: asked.port });
		expect((await client.receive()).address).toBe("192.168.1.20");
	});

	test("SNAT of a port alone is how Docker's resolver answers from port 53", async () => {
		const { router } = routed();
		router.iptables(
			"-t nat -A OUTPUT -d 127.0.0.11/32 -p udp --dport 53 -j DNAT --to-destination 127.0.0.11:39250",
		);
		router.iptables("-t nat -A POSTROUTING -s 127.0.0.11/32 -p udp --sport 39250 -j SNAT --to-source :53");
		const resolver = router.udp({ address: "127.0.0.11", port: 39_250 });
		const client = router.udp();
		client.connect("127.0.0.11", 53);
		client.send(word);
		const asked = await resolver.receive();
		resolver.send(word, { address: asked.address, port: asked.port });
		expect((await client.receive()).port).toBe(53);
	});
});

describe("ICMP errors about translated packets", () => {
	/** The quoted packet of the ICMP error in a frame. */
	const quoted = (bytes: Uint8Array) => {
		const view = new DataView(bytes.buffer, bytes.byteOffset);
		const at = 14 + 20 + icmp.OCTETS;
		const header = ipv4.readQuoted(view, at, bytes.length);
		if (typeof header === "string") throw new Error(header);
		return {
			outer: [ipv4.source(view, 14), ipv4.destination(view, 14)],
			inner: [header.source, header.destination, view.getUint16(at + 20), view.getUint16(at + 22)],
			headerIsGood: ipv4.isChecksumGood(view, at) && ipv4.isChecksumGood(view, 14),
		};
	};
	const ip = (text: string): number => text.split(".").reduce((sum, part) => (sum << 8) | Number(part), 0);

	test("come to the inside as if nothing had been translated", async () => {
		const { lab, router, inside } = routed();
		router.iptables(MASQUERADE);
		const errors: Uint8Array[] = [];
		inside.packetSocket().onFrame = (bytes) => {
			if (bytes[23] === 1) errors.push(bytes);
		};
		const client = inside.udp({ port: 4000 });
		client.connect("192.168.1.20", 7);
		client.send(word);
		await lab.advance("5ms");
		expect(errors.map(quoted)).toEqual([
			{
				outer: [ip("192.168.1.20"), ip("10.0.0.2")],
				inner: [ip("10.0.0.2"), ip("192.168.1.20"), 4000, 7],
				headerIsGood: true,
			},
		]);
		expect(() => {
			client.send(word);
		}).toThrow(/Connection refused/);
	});

	test("leave for the outside in the router's name", async () => {
		const { lab, router, outside } = routed();
		router.iptables(PUBLISH);
		const errors: Uint8Array[] = [];
		outside.packetSocket().onFrame = (bytes) => {
			if (bytes[23] === 1) errors.push(bytes);
		};
		outside.udp({ port: 4000 }).send(word, { address: "192.168.1.10", port: 5003 });
		await lab.advance("5ms");
		expect(errors.map(quoted)).toEqual([
			{
				outer: [ip("192.168.1.10"), ip("192.168.1.20")],
				inner: [ip("192.168.1.20"), ip("192.168.1.10"), 4000, 5003],
				headerIsGood: true,
			},
		]);
	});
});

describe("what is not translated", () => {
	test("INVALID segments pass as they are", () => {
		const { router, fromInside, outsideSees } = routed();
		router.iptables(MASQUERADE);
		fromInside({ from: "10.0.0.2:4000", to: "192.168.1.20:80", flags: SYN | ACK });
		expect(outsideSees).toEqual(["10.0.0.2:4000 > 192.168.1.20:80 SA"]);
	});

	test("the nat table is asked about the first packet of a flow only", () => {
		const { router, fromInside } = routed();
		router.iptables(MASQUERADE);
		for (let i = 0; i < 3; i++)
			fromInside({ from: "10.0.0.2:4000", to: "192.168.1.20:80", flags: SYN, sequence: 1 });
		fromInside({ from: "10.0.0.2:4001", to: "192.168.1.20:80", flags: SYN });
		expect(router.iptables("-t nat -vS POSTROUTING")).toContain("-c 2 80 -j MASQUERADE");
	});
});

test("REJECT --reject-with tcp-reset answers in the name of the one who was spoken to", () => {
	const { router, fromInside, insideSees, drops } = routed();
	router.iptables(MASQUERADE);
	router.iptables("-A FORWARD -p tcp --dport 80 -j REJECT --reject-with tcp-reset");
	fromInside({ from: "10.0.0.2:4000", to: "192.168.1.20:80", flags: SYN, sequence: 5 });
	expect(insideSees).toEqual(["192.168.1.20:80 > 10.0.0.2:4000 RA"]);
	expect(drops).toEqual([
		"iptables-drop router:eth0 -t filter -A FORWARD -p tcp -m tcp --dport 80 -j REJECT --reject-with tcp-reset",
	]);
});
