import { describe, expect, test } from "vitest";
import { Lab, type Netns } from "../../src/index.ts";
import { dissect, ipv4 } from "../../src/wire/index.ts";
import { value } from "../support/golden.ts";

const OSPF = 89;

function pair() {
	const lab = new Lab({ seed: 1 });
	const [red, blue] = [lab.netns("red"), lab.netns("blue")];
	const [a, b] = lab.veth({ ns: red, name: "eth0" }, { ns: blue, name: "eth0" });
	a.addAddress("10.0.0.1/24");
	b.addAddress("10.0.0.2/24");
	a.up();
	b.up();
	const capture = lab.capture();
	const arrived = (name: string): unknown => {
		const { data } = capture.sightings("blue:eth0").at(-1)!;
		return value(dissect(data), name);
	};
	return { lab, red, blue, arrived };
}

/** An IPv4 packet as a program writes it. */
function packet(fields: Partial<ipv4.Ipv4> = {}): Uint8Array {
	const bytes = new Uint8Array(24);
	ipv4.write(new DataView(bytes.buffer), 0, {
		tos: 0,
		totalLength: 0,
		ident: 0,
		reservedFlag: false,
		dontFragment: false,
		moreFragments: false,
		fragmentOffset: 0,
		ttl: 3,
		protocol: 17,
		source: 0 as ipv4.Ipv4["source"],
		destination: 0x0a00_0002 as ipv4.Ipv4["source"],
		options: new Uint8Array(),
		...fields,
	});
	return bytes;
}

describe("raw sockets", () => {
	test("send any protocol; whoever listens to it gets the packet with its header, and nobody is told 'unreachable'", async () => {
		const { red, blue, lab } = pair();
		const listener = blue.rawSocket({ protocol: OSPF });
		const speaker = red.rawSocket({ protocol: OSPF, ttl: 1 });
		speaker.connect("10.0.0.2");
		speaker.send(Uint8Array.of(1, 2, 3));
		const { data, address, device } = await listener.receive();
		expect([address, device.name, data.length, data[8], data[9]]).toEqual(["10.0.0.1", "eth0", 23, 1, OSPF]);
		listener.close();
		speaker.send(new Uint8Array(8)); // errors about less than eight octets are nobody's
		await lab.advance("10ms");
		expect(() => {
			speaker.send(Uint8Array.of(5));
		}).toThrow(
			expect.objectContaining({ code: "ENOPROTOOPT", message: "sendto: Protocol not available" }) as Error,
		);
	});

	test("see what the kernel sees as well: echo requests are answered and copied", async () => {
		const { red, blue } = pair();
		const [all, other] = [blue.rawSocket({ protocol: 1 }), blue.rawSocket({ protocol: 1 })];
		other.connect("10.0.0.9");
		expect((await red.ping("10.0.0.2", { count: 1 })).received).toBe(1);
		expect((await all.receive()).data[20]).toBe(8);
		let copies = 0;
		other.onPacket = () => copies++;
		await red.ping("10.0.0.2", { count: 1 });
		expect(copies).toBe(0);
	});

	test("IPPROTO_RAW: the header is the program's; length and checksum are the kernel's, source and id if they are 0", async () => {
		const { lab, red, arrived } = pair();
		const socket = red.rawSocket({ protocol: 255 });
		socket.send(packet({ tos: 0x1c }), "10.0.0.2");
		await lab.advance("10ms");
		expect(["tos", "ttl", "totalLength", "source"].map((name) => arrived(`ipv4.${name}`))).toEqual([
			0x1c, 3, 24, 0x0a00_0001,
		]);
		expect(arrived("ipv4.ident")).not.toBe(0);
		socket.send(packet({ source: 0x0102_0304 as never, ident: 7, protocol: OSPF }), "10.0.0.2");
		await lab.advance("10ms");
		expect([arrived("ipv4.source"), arrived("ipv4.ident")]).toEqual([0x0102_0304, 7]);
	});

	test("a protocol's packets are fragmented and put together like others", async () => {
		const { red, blue } = pair();
		const listener = blue.rawSocket({ protocol: OSPF });
		red.rawSocket({ protocol: OSPF }).send(new Uint8Array(4000).fill(7), "10.0.0.2");
		expect((await listener.receive()).data.length).toBe(4020);
	});

	test.each<readonly [string, string, (ns: Netns) => void]>([
		["EPROTONOSUPPORT", "socket: Protocol not supported", (ns) => ns.rawSocket({ protocol: 0 })],
		[
			"EADDRNOTAVAIL",
			"bind: Cannot assign requested address",
			(ns) => ns.rawSocket({ protocol: OSPF, address: "10.0.0.9" }),
		],
		[
			"EDESTADDRREQ",
			"sendto: Destination address required",
			(ns) => {
				ns.rawSocket({ protocol: OSPF }).send(new Uint8Array(1));
			},
		],
		[
			"ENETUNREACH",
			"sendto: Network is unreachable",
			(ns) => {
				ns.rawSocket({ protocol: OSPF }).send(new Uint8Array(1), "8.8.8.8");
			},
		],
		[
			"EACCES",
			"sendto: Permission denied",
			(ns) => {
				ns.rawSocket({ protocol: OSPF }).send(new Uint8Array(1), "10.0.0.255");
			},
		],
		[
			"EMSGSIZE",
			"message too long, mtu=1500",
			(ns) => {
				ns.rawSocket({ protocol: OSPF, mtuDiscovery: "do" }).send(new Uint8Array(1481), "10.0.0.2");
			},
		],
		[
			"EMSGSIZE",
			"sendto: Message too long",
			(ns) => {
				ns.rawSocket({ protocol: 255 }).send(new Uint8Array(1501), "10.0.0.2");
			},
		],
		[
			"EINVAL",
			"sendto: Invalid argument",
			(ns) => {
				ns.rawSocket({ protocol: 255 }).send(new Uint8Array(19), "10.0.0.2");
			},
		],
	])("refuse in the system's words: %s, %s", (code, message, act) => {
		const { red } = pair();
		expect(() => {
			act(red);
		}).toThrow(expect.objectContaining({ code, message }) as Error);
		expect(red.world.frames.taken).toBe(0);
	});
});
