import fc from "fast-check";
import { type Ip4, type Ip6, type Mac, macOfParts, type Vni } from "../addr/index.ts";
import {
	arp,
	checksum,
	type esp,
	ethernet,
	icmp,
	igmp,
	ipv4,
	type ipv6,
	type llc,
	tcp,
	udp,
	type vlan,
	vxlan,
} from "../wire/index.ts";

const bits = (count: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** count - 1 });

/** Any Ethernet address, groups among them. */
export const anyMac: fc.Arbitrary<Mac> = fc
	.nat({ max: 0xffff_ffff })
	.chain((low) => bits(16).map((high) => macOfParts(high, low)));
/** Any IPv4 address. */
export const anyIp4: fc.Arbitrary<Ip4> = bits(32).map((ip) => (ip | 0) as Ip4);
/** Any IPv6 address. */
export const anyIp6: fc.Arbitrary<Ip6> = fc
	.bigInt({ min: 0n, max: (1n << 128n) - 1n })
	.map((ip) => ip as Ip6);
/** Any VXLAN network identifier. */
export const anyVni: fc.Arbitrary<Vni> = bits(24).map((vni) => vni as Vni);

/** Any Ethernet header. */
export const anyEthernet: fc.Arbitrary<ethernet.Ethernet> = fc.record({
	dst: anyMac,
	src: anyMac,
	type: bits(16),
});
/** Any tag. */
export const anyVlan: fc.Arbitrary<vlan.Vlan> = fc.record({
	pcp: bits(3),
	dei: fc.boolean(),
	vid: bits(12),
	type: bits(16),
});
/** Any LLC header, SNAP among them. */
export const anyLlc: fc.Arbitrary<llc.Llc> = fc.oneof(
	fc
		.record({ dsap: bits(8), ssap: bits(8), control: bits(6).map((value) => value * 4 + 3) })
		.filter((header) => header.dsap !== 0xaa || header.ssap !== 0xaa || header.control !== 3),
	fc.record({
		dsap: bits(8),
		ssap: bits(8),
		control: bits(8).filter((first) => (first & 3) !== 3),
		extended: bits(8),
	}),
	fc.record({
		dsap: fc.constant(0xaa),
		ssap: fc.constant(0xaa),
		control: fc.constant(3),
		snap: fc.record({ oui: bits(24), protocol: bits(16) }),
	}),
);
/** Any ARP packet for Ethernet and IPv4. */
export const anyArp: fc.Arbitrary<arp.Arp> = fc.record({
	operation: bits(16),
	senderMac: anyMac,
	senderIp: anyIp4,
	targetMac: anyMac,
	targetIp: anyIp4,
});
/** Any IPv4 header, options and all. Its total length is at least its own. */
export const anyIpv4: fc.Arbitrary<ipv4.Ipv4> = fc.nat({ max: 10 }).chain((words) =>
	fc.record({
		tos: bits(8),
		totalLength: fc.integer({ min: 20 + 4 * words, max: 0xffff }),
		ident: bits(16),
		reservedFlag: fc.boolean(),
		dontFragment: fc.boolean(),
		moreFragments: fc.boolean(),
		fragmentOffset: bits(13).map((units) => units * 8),
		ttl: bits(8),
		protocol: bits(8),
		source: anyIp4,
		destination: anyIp4,
		options: fc.uint8Array({ minLength: 4 * words, maxLength: 4 * words }),
	}),
);
/** Any IPv6 header. */
export const anyIpv6: fc.Arbitrary<ipv6.Ipv6> = fc.record({
	trafficClass: bits(8),
	flowLabel: bits(20),
	payloadLength: bits(16),
	nextHeader: bits(8),
	hopLimit: bits(8),
	source: anyIp6,
	destination: anyIp6,
});
/** Any ICMP message. */
export const anyIcmp: fc.Arbitrary<icmp.Icmp> = fc.record({
	type: bits(8),
	code: bits(8),
	rest: bits(32),
	data: fc.uint8Array({ maxLength: 200 }),
});
const anyAddresses: fc.Arbitrary<Ip4[]> = fc.array(anyIp4, { maxLength: 4 });
/** Any IGMP message: queries of all versions, reports, leaves. */
export const anyIgmp: fc.Arbitrary<igmp.Igmp> = fc.oneof(
	fc.record({
		type: bits(8).filter((type) => type !== igmp.QUERY && type !== igmp.REPORT_3),
		code: bits(8),
		group: anyIp4,
		data: fc.uint8Array({ maxLength: 8 }),
	}),
	// Four octets more make a query one of version 3.
	fc.record({
		type: fc.constant(igmp.QUERY),
		code: bits(8),
		group: anyIp4,
		data: fc.uint8Array({ maxLength: 3 }),
	}),
	fc.record({
		type: fc.constant(igmp.QUERY),
		code: bits(8),
		group: anyIp4,
		query3: fc.record({ flags: bits(8), qqic: bits(8), sources: anyAddresses }),
		data: fc.uint8Array({ maxLength: 8 }),
	}),
	fc.record({
		type: fc.constant(igmp.REPORT_3),
		code: bits(8),
		reserved: bits(16),
		records: fc.array(
			fc.record({
				type: bits(8),
				group: anyIp4,
				sources: anyAddresses,
				aux: fc
					.nat({ max: 2 })
					.chain((words) => fc.uint8Array({ minLength: 4 * words, maxLength: 4 * words })),
			}),
			{ maxLength: 4 },
		),
		data: fc.uint8Array({ maxLength: 8 }),
	}),
);
/** Any UDP header. */
export const anyUdp: fc.Arbitrary<udp.Udp> = fc.record({
	sourcePort: bits(16),
	destinationPort: bits(16),
	length: fc.integer({ min: 8, max: 0xffff }),
	checksum: bits(16),
});
const anyOption: fc.Arbitrary<tcp.TcpOption> = fc.oneof(
	fc.constant({ kind: "nop" } as const),
	fc.record({ kind: fc.constant("mss" as const), octets: bits(16) }),
	fc.record({ kind: fc.constant("window-scale" as const), shift: bits(8) }),
	fc.constant({ kind: "sack-permitted" } as const),
	fc.record({ kind: fc.constant("timestamps" as const), value: bits(32), echo: bits(32) }),
	fc.record({
		kind: fc.constant("sack" as const),
		blocks: fc.array(fc.record({ left: bits(32), right: bits(32) }), { minLength: 1, maxLength: 3 }),
	}),
	fc.record({
		kind: fc.constant("unknown" as const),
		number: fc.integer({ min: 9, max: 255 }),
		data: fc.uint8Array({ maxLength: 8 }),
	}),
);
/** Any TCP header whose options fit, padded to whole words as senders do. */
export const anyTcp: fc.Arbitrary<tcp.Tcp> = fc
	.record({
		sourcePort: bits(16),
		destinationPort: bits(16),
		sequence: bits(32),
		acknowledgment: bits(32),
		flags: bits(8),
		window: bits(16),
		urgent: bits(16),
		options: fc.array(anyOption, { maxLength: 4 }),
	})
	.map((segment): tcp.Tcp => {
		let options: tcp.TcpOption[] = segment.options;
		while (tcp.octets({ ...segment, options }) > 60) options = options.slice(1);
		const padding = -tcp.octets({ ...segment, options }) & 3;
		const end: tcp.TcpOption[] = padding === 0 ? [] : [{ kind: "end", padding: new Uint8Array(padding - 1) }];
		return { ...segment, options: [...options, ...end] };
	});
/** Any ESP header. */
export const anyEsp: fc.Arbitrary<esp.Esp> = fc.record({ spi: bits(32), sequence: bits(32) });
/** Any VXLAN header, extension bits and all. */
export const anyVxlan: fc.Arbitrary<vxlan.Vxlan> = fc
	.record({ vni: anyVni, flags: bits(32), reserved: bits(8) })
	.map(({ vni, flags, reserved }) => {
		const rest = (flags & ~vxlan.FLAG_VNI) >>> 0;
		return {
			vni,
			flags: rest,
			reserved,
			...((rest & vxlan.FLAG_GBP) !== 0 ? { group: rest & 0xffff } : {}),
			...((rest & vxlan.FLAG_GPE_PROTOCOL) !== 0 ? { nextProtocol: rest & 0xff } : {}),
		};
	});

/** A frame of what `write` puts at its front, `payload` behind. */
function frame(octets: number, payload: Uint8Array, write: (view: DataView) => void): Uint8Array {
	const bytes = new Uint8Array(octets + payload.length);
	bytes.set(payload, octets);
	write(new DataView(bytes.buffer));
	return bytes;
}

const ethernetOf =
	(type: number) =>
	(payload: Uint8Array, dst: Mac, src: Mac): Uint8Array =>
		frame(ethernet.OCTETS, payload, (view) => ethernet.write(view, 0, { dst, src, type }));

const anyEchoPacket: fc.Arbitrary<{ protocol: number; payload: Uint8Array }> = anyIcmp.map((message) => ({
	protocol: ipv4.PROTOCOL_ICMP,
	payload: frame(icmp.octets(message), new Uint8Array(), (view) => icmp.write(view, 0, message)),
}));

const anyGroupPacket: fc.Arbitrary<{ protocol: number; payload: Uint8Array }> = anyIgmp.map((message) => ({
	protocol: ipv4.PROTOCOL_IGMP,
	payload: frame(igmp.octets(message), new Uint8Array(), (view) => igmp.write(view, 0, message)),
}));

/** A whole IPv4 packet around a payload, with good checksums. */
function packet(source: Ip4, destination: Ip4, protocol: number, payload: Uint8Array): Uint8Array {
	return frame(ipv4.MIN_OCTETS, payload, (view) =>
		ipv4.writePlain(view, 0, payload.length + ipv4.MIN_OCTETS, 0, 1, 0, 64, protocol, source, destination),
	);
}

function datagram(source: Ip4, destination: Ip4, port: number, payload: Uint8Array): Uint8Array {
	return frame(udp.OCTETS, payload, (view) => {
		const octets = payload.length + udp.OCTETS;
		udp.writePlain(view, 0, 40_000, port, octets);
		const sum = checksum.sum(
			view,
			0,
			octets,
			checksum.pseudoHeader4(source, destination, ipv4.PROTOCOL_UDP, octets),
		);
		udp.setChecksum(view, 0, udp.sent(checksum.fold(sum)));
	});
}

/** Any whole, valid frame: ARP, ICMP, IGMP, UDP, and those again inside VXLAN up to two deep. */
export const anyFrame: fc.Arbitrary<Uint8Array> = fc.letrec<{
	frame: Uint8Array;
	plain: Uint8Array;
	tunnel: Uint8Array;
}>((tie) => ({
	plain: fc.oneof(
		fc.tuple(anyArp, anyMac, anyMac).map(([message, dst, src]) =>
			ethernetOf(ethernet.TYPE_ARP)(
				frame(arp.OCTETS, new Uint8Array(), (view) => arp.write(view, 0, message)),
				dst,
				src,
			),
		),
		fc
			.tuple(fc.oneof(anyEchoPacket, anyGroupPacket), anyIp4, anyIp4, anyMac, anyMac)
			.map(([{ protocol, payload }, from, to, dst, src]) =>
				ethernetOf(ethernet.TYPE_IPV4)(packet(from, to, protocol, payload), dst, src),
			),
		fc
			.tuple(fc.uint8Array({ maxLength: 300 }), anyIp4, anyIp4, anyMac, anyMac)
			.map(([payload, from, to, dst, src]) =>
				ethernetOf(ethernet.TYPE_IPV4)(
					packet(from, to, ipv4.PROTOCOL_UDP, datagram(from, to, 9, payload)),
					dst,
					src,
				),
			),
	),
	tunnel: fc
		.tuple(tie("frame"), anyVni, anyIp4, anyIp4, anyMac, anyMac)
		.map(([inner, vni, from, to, dst, src]) => {
			const message = frame(vxlan.OCTETS, inner, (view) => vxlan.writeVni(view, 0, vni));
			return ethernetOf(ethernet.TYPE_IPV4)(
				packet(from, to, ipv4.PROTOCOL_UDP, datagram(from, to, 4789, message)),
				dst,
				src,
			);
		}),
	frame: fc.oneof({ depthSize: "small", withCrossShrink: true }, tie("plain"), tie("tunnel")),
})).frame;
