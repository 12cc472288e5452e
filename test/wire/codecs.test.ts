import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
	anyArp,
	anyEsp,
	anyEthernet,
	anyFrame,
	anyIcmp,
	anyIgmp,
	anyIpv4,
	anyIpv6,
	anyLlc,
	anyTcp,
	anyUdp,
	anyVlan,
	anyVxlan,
} from "../../src/testing/index.ts";
import {
	arp,
	dissect,
	esp,
	ethernet,
	icmp,
	igmp,
	ipv4,
	ipv6,
	llc,
	tcp,
	udp,
	vlan,
	vxlan,
	describe as tell,
} from "../../src/wire/index.ts";

/** What the properties need of a codec. `slack` is payload that a header's own length fields ask for. */
interface Codec<T> {
	readonly any: fc.Arbitrary<T>;
	readonly octets: (value: T) => number;
	readonly read: (v: DataView, at: number, end: number) => T | string;
	readonly write: (v: DataView, at: number, value: T) => void;
	readonly slack?: (value: T) => number;
	/** Octets that a header read from `bytes` stands for. */
	readonly span: (value: T, bytes: Uint8Array) => number;
}

const codec = <T>(c: Codec<T>): Codec<T> => c;
const CODECS = {
	ethernet: codec({
		any: anyEthernet,
		octets: () => ethernet.OCTETS,
		read: ethernet.read,
		write: ethernet.write,
		span: () => ethernet.OCTETS,
	}),
	esp: codec({
		any: anyEsp,
		octets: () => esp.OCTETS,
		read: esp.read,
		write: esp.write,
		span: () => esp.OCTETS,
	}),
	vlan: codec({
		any: anyVlan,
		octets: () => vlan.OCTETS,
		read: vlan.read,
		write: vlan.write,
		span: () => vlan.OCTETS,
	}),
	llc: codec({ any: anyLlc, octets: llc.octets, read: llc.read, write: llc.write, span: llc.octets }),
	arp: codec({
		any: anyArp,
		octets: () => arp.OCTETS,
		read: arp.read,
		write: arp.write,
		span: () => arp.OCTETS,
	}),
	ipv4: codec({
		any: anyIpv4,
		octets: ipv4.octets,
		read: ipv4.read,
		write: ipv4.write,
		slack: (ip) => ip.totalLength - ipv4.octets(ip),
		span: ipv4.octets,
	}),
	ipv6: codec({
		any: anyIpv6,
		octets: () => ipv6.OCTETS,
		read: ipv6.read,
		write: ipv6.write,
		slack: (ip) => ip.payloadLength,
		span: () => ipv6.OCTETS,
	}),
	icmp: codec({ any: anyIcmp, octets: icmp.octets, read: icmp.read, write: icmp.write, span: icmp.octets }),
	igmp: codec({ any: anyIgmp, octets: igmp.octets, read: igmp.read, write: igmp.write, span: igmp.octets }),
	udp: codec({
		any: anyUdp,
		octets: () => udp.OCTETS,
		read: udp.read,
		write: udp.write,
		slack: (d) => d.length - udp.OCTETS,
		span: () => udp.OCTETS,
	}),
	tcp: codec({ any: anyTcp, octets: tcp.octets, read: tcp.read, write: tcp.write, span: tcp.octets }),
	vxlan: codec({
		any: anyVxlan,
		octets: () => vxlan.OCTETS,
		read: vxlan.read,
		write: vxlan.write,
		span: () => vxlan.OCTETS,
	}),
} as const;

/** The codec behind a name, its type forgotten: values only travel from its own arbitrary to its own functions. */
const untyped = (name: keyof typeof CODECS): Codec<unknown> => CODECS[name] as unknown as Codec<unknown>;
const names = Object.keys(CODECS) as (keyof typeof CODECS)[];

describe.each(names)("%s", (name) => {
	const { any, octets, read, write, slack, span } = untyped(name);

	test("what is written is what is read, over any old bytes", () => {
		fc.assert(
			fc.property(any, fc.integer({ min: 0, max: 255 }), fc.nat({ max: 9 }), (value, old, at) => {
				const end = at + octets(value) + (slack?.(value) ?? 0);
				const view = new DataView(new Uint8Array(end).fill(old).buffer);
				write(view, at, value);
				expect(read(view, at, end)).toEqual(value);
			}),
		);
	});

	test("what is read is written back octet by octet, checksums aside where they are judged elsewhere", () => {
		fc.assert(
			fc.property(fc.uint8Array({ minLength: 0, maxLength: 120 }), (bytes) => {
				const view = new DataView(bytes.slice().buffer);
				const value = read(view, 0, bytes.length);
				if (typeof value === "string") return;
				const length = span(value, bytes);
				const again = new Uint8Array(bytes.length);
				write(new DataView(again.buffer), 0, value);
				const expected = bytes.slice(0, length);
				// TCP's checksum belongs to the segment, not the header.
				if (name === "tcp") expected.fill(0, 16, 18);
				// ARP's first six octets and IPv6's version say what `read` requires of them.
				expect(again.slice(0, length)).toEqual(expected);
			}),
		);
	});

	test("any bytes give a header or a reason, never an exception", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 2048 }), fc.nat({ max: 2048 }), (bytes, at) => {
				const value = read(
					new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
					Math.min(at, bytes.length),
					bytes.length,
				);
				expect(["object", "string"]).toContain(typeof value);
			}),
		);
	});
});

describe("dissect", () => {
	/** Fields that share an octet start at the same one; all others follow each other without gap. */
	function covered(bytes: Uint8Array): void {
		let at = 0;
		for (const layer of dissect(bytes)) {
			for (const field of layer.fields) {
				expect(field.at).toBeLessThanOrEqual(at);
				at = Math.max(at, field.at + field.octets);
			}
		}
		expect(at).toBe(bytes.length);
	}

	test("gives every octet of any valid frame to a field, and finds nothing malformed in it", () => {
		fc.assert(
			fc.property(anyFrame, (bytes) => {
				covered(bytes);
				const bad = dissect(bytes)
					.flatMap((layer) => layer.fields)
					.filter((field) => field.good === false);
				expect(bad).toEqual([]);
				expect(tell(bytes)).toContain("octets");
			}),
		);
	});

	test("gives every octet of any bytes up to 2 KiB to a field, and never throws", () => {
		fc.assert(fc.property(fc.uint8Array({ maxLength: 2048 }), covered));
	});

	test("gives every octet of a frame with one octet changed to a field", () => {
		fc.assert(
			fc.property(anyFrame, fc.nat(), fc.nat({ max: 255 }), (bytes, at, to) => {
				const broken = bytes.slice();
				broken[at % broken.length] = to;
				covered(broken);
			}),
		);
	});
});

describe("what cannot be put on a wire is refused by name, value and range", () => {
	const view = new DataView(new ArrayBuffer(100));
	const ip: ipv4.Ipv4 = {
		tos: 0,
		totalLength: 20,
		ident: 0,
		reservedFlag: false,
		dontFragment: false,
		moreFragments: false,
		fragmentOffset: 0,
		ttl: 64,
		protocol: 1,
		source: 0 as never,
		destination: 0 as never,
		options: new Uint8Array(),
	};
	test.each([
		[
			"vxlan.vni is 16777216, expected a whole number from 0 to 16777215",
			() => {
				vxlan.write(view, 0, { vni: 16_777_216 as never, flags: 0, reserved: 0 });
			},
		],
		[
			"ipv4.ttl is 256, expected a whole number from 0 to 255",
			() => {
				ipv4.write(view, 0, { ...ip, ttl: 256 });
			},
		],
		[
			"ipv4.fragmentOffset is 7, expected a multiple of 8 from 0 to 65528",
			() => {
				ipv4.write(view, 0, { ...ip, fragmentOffset: 7 });
			},
		],
		[
			"ipv4.options has 3 octets, expected a multiple of 4 up to 40",
			() => {
				ipv4.write(view, 0, { ...ip, options: new Uint8Array(3) });
			},
		],
		[
			"vlan.vid is 4096, expected a whole number from 0 to 4095",
			() => {
				vlan.write(view, 0, { pcp: 0, dei: false, vid: 4096, type: 0 });
			},
		],
		[
			"udp.sourcePort is -1, expected a whole number from 0 to 65535",
			() => {
				udp.write(view, 0, { sourcePort: -1, destinationPort: 0, length: 8, checksum: 0 });
			},
		],
		[
			"ethernet.type is 65536, expected a whole number from 0 to 65535",
			() => {
				ethernet.write(view, 0, { dst: 0 as never, src: 0 as never, type: 65_536 });
			},
		],
	])("%s", (message, write) => {
		expect(write).toThrow(new RangeError(message));
	});
});
