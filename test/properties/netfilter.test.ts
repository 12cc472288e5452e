import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DROPS } from "../../src/drop.ts";
import { NetError } from "../../src/index.ts";
import { dissect, ethernet, ipv4 } from "../../src/wire/index.ts";
import { routed } from "../support/router.ts";

/** One rule or more for every match and target there is. */
const RULES = [
	"-t raw -A PREROUTING -p udp --dport 9 -j NOTRACK",
	"-t mangle -A PREROUTING -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1000",
	"-t mangle -A FORWARD -p tcp -j TCPMSS --clamp-mss-to-pmtu",
	"-t mangle -A PREROUTING -p udp -m multiport --ports 1:1000 -j MARK --set-mark 7",
	"-t mangle -A PREROUTING -j CONNMARK --save-mark",
	'-t mangle -A PREROUTING -m u32 --u32 "0>>22&0x3C@0>>16=0:1000 && 4&0x1FFF=0" -j CONNMARK --restore-mark',
	"-t mangle -A PREROUTING -m length --length 60:90 -m statistic --mode random --probability 0.5 -j MARK --or-mark 8",
	"-t nat -A PREROUTING -m addrtype --dst-type LOCAL -p tcp -j DNAT --to-destination 10.0.0.2:80",
	"-t nat -A PREROUTING -m addrtype --dst-type LOCAL -p udp -j REDIRECT --to-ports 1-9 --random",
	"-t nat -A PREROUTING -p icmp -d 192.168.1.10 -j DNAT --to-destination 10.0.0.2-10.0.0.5",
	"-t nat -A POSTROUTING -o eth1 -p udp -j SNAT --to-source 192.168.1.10:20-29 --persistent",
	"-t nat -A POSTROUTING -o eth1 -j MASQUERADE",
	"-A INPUT -m conntrack --ctstate INVALID -j LOG --log-tcp-sequence --log-tcp-options",
	"-A FORWARD -j LOG --log-prefix any",
	"-A FORWARD -p icmp --icmp-type 3 -j ACCEPT",
	"-A FORWARD -m mark --mark 7/7 -m limit --limit 5/sec -j REJECT",
	"-A FORWARD -p tcp -m connmark --mark 0 -j REJECT --reject-with tcp-reset",
	"-A FORWARD -f -j DROP",
	"-A FORWARD -p 50 -j DROP",
] as const;
const ADDRESSES = [0x0a00_0002, 0x0a00_0001, 0xc0a8_010a, 0xc0a8_0114, 0x7f00_0001, 0xe000_0001, 0xffff_ffff];

/** IPv4 packets whose headers pass the first checks, with anything behind. */
const anyPacket = fc.record({
	source: fc.constantFrom(...ADDRESSES),
	destination: fc.constantFrom(...ADDRESSES),
	protocol: fc.constantFrom(1, 1, 6, 6, 17, 17, 50),
	words: fc.integer({ min: 5, max: 8 }),
	fragment: fc.constantFrom(0, 0, 0, 0x4000, 0x2000, 0x2001, 0x0003),
	ttl: fc.constantFrom(1, 2, 64),
	payload: fc.oneof(
		fc.uint8Array({ maxLength: 80 }),
		// Begins as ports and flags of TCP do, or as ICMP errors with a packet inside.
		fc.uint8Array({ minLength: 40, maxLength: 80 }).map((bytes) => {
			bytes[12] = 0x50 | ((bytes[12] ?? 0) & 0x20);
			return bytes;
		}),
		fc
			.tuple(fc.constantFrom(3, 5, 11, 12, 8, 0), fc.uint8Array({ minLength: 40, maxLength: 80 }))
			.map(([type, bytes]) => {
				bytes[0] = type;
				bytes[8] = 0x45;
				return bytes;
			}),
	),
	trusted: fc.boolean(),
	outside: fc.boolean(),
});

describe("hostile packets through every match and target", () => {
	test("no exception, every end has a reason, nothing is left, and what leaves is well-formed", async () => {
		const { lab, router, eth0, eth1 } = routed();
		for (const rule of RULES) router.iptables(rule);
		const reasons = new Set<string>();
		lab.onDrop((drop) => reasons.add(drop.reason));
		await fc.assert(
			fc.asyncProperty(anyPacket, async (packet) => {
				const header = packet.words * 4;
				const frame = lab.world.frames.begin(ethernet.OCTETS + header + packet.payload.length);
				frame.end = frame.start + ethernet.OCTETS + header + packet.payload.length;
				const { view, start } = frame;
				const device = packet.outside ? eth1 : eth0;
				ethernet.write(view, start, { dst: device.mac, src: 2 as never, type: ethernet.TYPE_IPV4 });
				const at = start + ethernet.OCTETS;
				const octets = header + packet.payload.length;
				const { source, destination } = packet;
				ipv4.writePlain(
					view,
					at,
					octets,
					0,
					7,
					packet.fragment,
					packet.ttl,
					packet.protocol,
					source as never,
					destination as never,
				);
				view.setUint8(at, 0x40 | packet.words);
				frame.bytes.fill(1, at + 20, at + header);
				frame.bytes.set(packet.payload, at + header);
				ipv4.writeChecksum(view, at);
				frame.trusted = packet.trusted;
				device.receive(frame);
				await lab.advance("1ms");
			}),
			{ numRuns: 3000 },
		);
		await lab.advance("500000s");
		expect(lab.world.frames.taken).toBe(0);
		expect(router.netfilter.conntrack.count).toBe(0);
		for (const reason of reasons) expect(DROPS).toHaveProperty(reason);
		expect(reasons).toContain("iptables-drop");
		expect(router.netfilter.log.lines.length).toBeGreaterThan(100);
	});

	test("answers and translated packets have right checksums", async () => {
		const { lab, router, outside } = routed();
		for (const rule of RULES) if (!rule.includes("-f ")) router.iptables(rule);
		outside.routes.add("default", { via: "192.168.1.10" });
		const seen: Uint8Array[] = [];
		outside.packetSocket().onFrame = (bytes) => seen.push(bytes);
		await fc.assert(
			fc.asyncProperty(
				fc.integer({ min: 1, max: 65_535 }),
				fc.integer({ min: 1, max: 65_535 }),
				async (from, to) => {
					try {
						const socket = outside.udp({ port: from });
						socket.send(Uint8Array.of(1, 2, 3), { address: "192.168.1.10", port: to });
						await lab.advance("1100ms");
						socket.close();
					} catch (error) {
						// The port may still be taken by the last example.
						expect(error).toBeInstanceOf(NetError);
					}
				},
			),
		);
		for (const bytes of seen) {
			// Three octets are no VXLAN, whatever port they go to.
			const layers = dissect(bytes, { vxlanPorts: [] });
			expect(layers.filter((layer) => layer.protocol === "malformed")).toEqual([]);
			expect(layers.flatMap((layer) => layer.fields).filter((field) => field.good === false)).toEqual([]);
		}
		expect(seen.length).toBeGreaterThan(50);
	});
});

test("any words after iptables are done or refused by a NetError, and refused ones change nothing", () => {
	const vocabulary = [
		...new Set(RULES.flatMap((rule) => rule.split(" "))),
		..."-A -I -D -C -R -N -X -F -P -Z -S -L -E ! 1 99 DOCKER DROP RETURN -s -d any/0 10.0.0.0/8 -g -m conntrack --ctstate NEW --foo".split(
			" ",
		),
	];
	const timeless = (text: string): string => text.replaceAll(/ on \w{3} \w{3} .*/g, "");
	fc.assert(
		fc.property(fc.array(fc.constantFrom(...vocabulary), { maxLength: 10 }), (words) => {
			const { router } = routed();
			router.iptables("-N DOCKER");
			router.iptables("-A FORWARD -j DOCKER");
			const before = timeless(router.iptablesTool.save());
			try {
				router.iptables(words);
			} catch (error) {
				expect(error).toBeInstanceOf(NetError);
				expect(timeless(router.iptablesTool.save())).toBe(before);
				return;
			}
			// Whatever came about can be printed and read again.
			const text = router.iptablesTool.save({ counters: true });
			const again = routed().router;
			again.iptablesTool.restore(text, { counters: true });
			expect(timeless(again.iptablesTool.save({ counters: true }))).toBe(timeless(text));
		}),
		{ numRuns: 400 },
	);
});
