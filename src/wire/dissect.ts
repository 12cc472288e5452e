import { formatIp4, formatIp6, formatMac, type Ip4 } from "../addr/index.ts";
import type { DropReason } from "../drop.ts";
import * as arp from "./arp.ts";
import * as checksums from "./checksum.ts";
import * as esp from "./esp.ts";
import * as ethernet from "./ethernet.ts";
import * as icmp from "./icmp.ts";
import * as igmp from "./igmp.ts";
import * as ipv4 from "./ipv4.ts";
import * as ipv6 from "./ipv6.ts";
import * as llc from "./llc.ts";
import * as stp from "./stp.ts";
import * as tcp from "./tcp.ts";
import * as udp from "./udp.ts";
import * as vlan from "./vlan.ts";
import * as vxlan from "./vxlan.ts";

/** One field of a frame. Fields smaller than an octet share the octets they lie in. */
export interface Field {
	/** `ipv4.ttl`, `udp.sourcePort` … */
	readonly name: string;
	/** Offset of its first octet in the frame. */
	readonly at: number;
	readonly octets: number;
	/** Integers without sign, IPv4 addresses among them. */
	readonly value: number | bigint | Uint8Array;
	/** As people write it: addresses, flags. */
	readonly text: string;
	/** Of checksums: whether they are right. Undefined where that cannot be told (none, or cut short). */
	readonly good?: boolean;
}

/** One header, or what is left behind the last. */
export interface Layer {
	readonly protocol: string;
	readonly at: number;
	readonly octets: number;
	readonly fields: readonly Field[];
	/** Inside a packet that an ICMP error quotes. */
	readonly quoted: boolean;
}

/** What is decoded as what. */
export interface DissectOptions {
	/** UDP destination ports of VXLAN: IANA's and the kernel's old default unless said. */
	readonly vxlanPorts?: readonly number[];
}

const VXLAN_PORTS = [4789, 8472];

/**
 * A frame, decoded through all its layers, tunnels and quoted packets included. Every octet belongs to a
 * field, so that two frames can be compared by field without a blind spot. Never throws: what cannot be
 * decoded is a `malformed` layer that says why. Not for the path of a frame.
 */
export function dissect(bytes: Uint8Array, options: DissectOptions = {}): Layer[] {
	return new Dissection(bytes, options.vxlanPorts ?? VXLAN_PORTS).run();
}

class Dissection {
	readonly #bytes: Uint8Array;
	readonly #view: DataView;
	readonly #vxlanPorts: readonly number[];
	readonly #layers: Layer[] = [];
	#quoted = false;

	constructor(bytes: Uint8Array, vxlanPorts: readonly number[]) {
		this.#bytes = bytes;
		this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
		this.#vxlanPorts = vxlanPorts;
	}

	run(): Layer[] {
		this.#ethernet(0, this.#bytes.length);
		return this.#layers;
	}

	#number(name: string, at: number, octets: number, text?: string, value?: number): Field {
		let number = value;
		if (number === undefined) {
			number = 0;
			for (let i = 0; i < octets; i++) number = number * 256 + this.#view.getUint8(at + i);
		}
		return { name, at, octets, value: number, text: text ?? String(number) };
	}

	#mac(name: string, at: number): Field {
		const mac = ethernet.macAt(this.#view, at);
		return { name, at, octets: 6, value: mac, text: formatMac(mac) };
	}

	#ip(name: string, at: number): Field {
		const ip = this.#view.getUint32(at);
		return { name, at, octets: 4, value: ip, text: formatIp4(ip as Ip4) };
	}

	#data(name: string, at: number, end: number): Field {
		const value = this.#bytes.subarray(at, end);
		return { name, at, octets: end - at, value, text: hex(value) };
	}

	#layer(protocol: string, at: number, octets: number, fields: readonly Field[]): void {
		this.#layers.push({ protocol, at, octets, fields, quoted: this.#quoted });
	}

	#rest(protocol: string, name: string, at: number, end: number): void {
		if (end > at) this.#layer(protocol, at, end - at, [this.#data(name, at, end)]);
	}

	#malformed(at: number, end: number, reason: DropReason): void {
		const field = this.#data("malformed.data", at, end);
		this.#layer("malformed", at, end - at, [{ ...field, text: `${reason}: ${field.text}` }]);
	}

	#ethernet(at: number, end: number): void {
		if (end - at < ethernet.OCTETS) return this.#malformed(at, end, "ethernet-truncated");
		const type = ethernet.type(this.#view, at);
		this.#layer("ethernet", at, ethernet.OCTETS, [
			this.#mac("ethernet.dst", at),
			this.#mac("ethernet.src", at + 6),
			this.#number("ethernet.type", at + 12, 2, `0x${type.toString(16).padStart(4, "0")}`),
		]);
		this.#typed(type, at + ethernet.OCTETS, end);
	}

	/** What an EtherType announces. */
	#typed(type: number, at: number, end: number): void {
		if (type < ethernet.FIRST_TYPE) return this.#llc(type, at, end);
		switch (type) {
			case vlan.TPID_CUSTOMER:
			case vlan.TPID_SERVICE:
				return this.#vlan(at, end);
			case ethernet.TYPE_ARP:
				return this.#arp(at, end);
			case ethernet.TYPE_IPV4:
				return this.#ipv4(at, end);
			case ethernet.TYPE_IPV6:
				return this.#ipv6(at, end);
			default:
				return this.#rest("payload", "payload.data", at, end);
		}
	}

	#vlan(at: number, end: number): void {
		if (end - at < vlan.OCTETS) return this.#malformed(at, end, "vlan-truncated");
		const view = this.#view;
		const type = vlan.innerType(view, at);
		this.#layer("vlan", at, vlan.OCTETS, [
			this.#number("vlan.pcp", at, 2, undefined, vlan.pcp(view, at)),
			this.#number("vlan.dei", at, 2, undefined, vlan.dei(view, at)),
			this.#number("vlan.vid", at, 2, undefined, vlan.vid(view, at)),
			this.#number("vlan.type", at + 2, 2, `0x${type.toString(16).padStart(4, "0")}`),
		]);
		this.#typed(type, at + vlan.OCTETS, end);
	}

	#llc(length: number, at: number, end: number): void {
		const last = Math.min(end, at + length);
		const header = llc.read(this.#view, at, last);
		if (typeof header === "string" || last < at + length) {
			return this.#malformed(at, end, "llc-truncated");
		}
		const octets = llc.octets(header);
		const control = octets - (header.snap === undefined ? 0 : llc.SNAP_OCTETS) - 2;
		const fields = [
			this.#number("llc.dsap", at, 1),
			this.#number("llc.ssap", at + 1, 1),
			this.#number("llc.control", at + 2, control),
		];
		if (header.snap !== undefined) {
			fields.push(this.#data("llc.oui", at + 3, at + 6), this.#number("llc.protocol", at + 6, 2));
		}
		this.#layer("llc", at, octets, fields);
		const spanningTree =
			header.dsap === llc.SAP_STP && header.ssap === llc.SAP_STP && header.control === llc.UI;
		if (spanningTree) this.#stp(at + octets, last);
		else this.#rest("payload", "payload.data", at + octets, last);
		this.#rest("padding", "ethernet.padding", last, end);
	}

	#stp(at: number, end: number): void {
		const bpdu = stp.read(this.#view, at, end);
		if (bpdu === "stp-unsupported") return this.#rest("payload", "payload.data", at, end);
		if (typeof bpdu === "string") return this.#malformed(at, end, bpdu);
		const octets = stp.octets(bpdu);
		const fields = [
			this.#number("stp.protocol", at, 2),
			this.#number("stp.version", at + 2, 1),
			this.#number("stp.type", at + 3, 1, bpdu.type === stp.TCN ? "TCN" : "Config"),
		];
		if (bpdu.type === stp.CONFIG) {
			const changed = (bpdu.flags & stp.TOPOLOGY_CHANGE) === 0 ? "" : "TC";
			const acknowledged = (bpdu.flags & stp.TOPOLOGY_CHANGE_ACK) === 0 ? "" : "TCA";
			fields.push(
				this.#number("stp.flags", at + 4, 1, [changed, acknowledged].filter((flag) => flag !== "").join(" ")),
				this.#number("stp.rootPriority", at + 5, 2),
				this.#mac("stp.rootMac", at + 7),
				this.#number("stp.rootCost", at + 13, 4),
				this.#number("stp.bridgePriority", at + 17, 2),
				this.#mac("stp.bridgeMac", at + 19),
				this.#number("stp.port", at + 25, 2, `0x${bpdu.port.toString(16)}`),
				this.#number("stp.messageAge", at + 27, 2),
				this.#number("stp.maxAge", at + 29, 2),
				this.#number("stp.helloTime", at + 31, 2),
				this.#number("stp.forwardDelay", at + 33, 2),
			);
		}
		this.#layer("stp", at, octets, fields);
		this.#rest("payload", "payload.data", at + octets, end);
	}

	#arp(at: number, end: number): void {
		const packet = arp.read(this.#view, at, end);
		if (typeof packet === "string") return this.#malformed(at, end, packet);
		const operation =
			packet.operation === arp.REQUEST ? "request" : packet.operation === arp.REPLY ? "reply" : undefined;
		this.#layer("arp", at, arp.OCTETS, [
			this.#number("arp.hardware", at, 2),
			this.#number("arp.protocol", at + 2, 2),
			this.#number("arp.hardwareLength", at + 4, 1),
			this.#number("arp.protocolLength", at + 5, 1),
			this.#number("arp.operation", at + 6, 2, operation),
			this.#mac("arp.senderMac", at + 8),
			this.#ip("arp.senderIp", at + 14),
			this.#mac("arp.targetMac", at + 18),
			this.#ip("arp.targetIp", at + 24),
		]);
		this.#rest("padding", "ethernet.padding", at + arp.OCTETS, end);
	}

	#ipv4(at: number, end: number): void {
		const view = this.#view;
		const header = ipv4.readQuoted(view, at, end);
		if (typeof header === "string") return this.#malformed(at, end, header);
		const octets = ipv4.octets(header);
		const flags = [
			header.reservedFlag ? "evil" : "",
			header.dontFragment ? "DF" : "",
			header.moreFragments ? "MF" : "",
		];
		const fields = [
			this.#number("ipv4.version", at, 1, undefined, ipv4.version(view, at)),
			this.#number("ipv4.headerOctets", at, 1, undefined, octets),
			this.#number("ipv4.tos", at + 1, 1, `0x${header.tos.toString(16).padStart(2, "0")}`),
			this.#number("ipv4.totalLength", at + 2, 2),
			this.#number("ipv4.ident", at + 4, 2),
			this.#number(
				"ipv4.flags",
				at + 6,
				2,
				flags.filter((flag) => flag !== "").join(" "),
				ipv4.flags(view, at) >>> 13,
			),
			this.#number("ipv4.fragmentOffset", at + 6, 2, undefined, header.fragmentOffset),
			this.#number("ipv4.ttl", at + 8, 1),
			this.#number("ipv4.protocol", at + 9, 1),
			{ ...this.#number("ipv4.checksum", at + 10, 2), good: ipv4.isChecksumGood(view, at) },
			this.#ip("ipv4.source", at + 12),
			this.#ip("ipv4.destination", at + 16),
		];
		if (octets > ipv4.MIN_OCTETS) fields.push(this.#data("ipv4.options", at + ipv4.MIN_OCTETS, at + octets));
		this.#layer("ipv4", at, octets, fields);
		const last = Math.min(end, at + header.totalLength);
		const whole = last === at + header.totalLength && !ipv4.isFragment(view, at);
		this.#transport(header, at + octets, last, whole);
		this.#rest("padding", "ethernet.padding", last, end);
	}

	#transport(header: ipv4.Ipv4, at: number, end: number, whole: boolean): void {
		if (header.fragmentOffset > 0) return this.#rest("payload", "payload.data", at, end);
		switch (header.protocol) {
			case ipv4.PROTOCOL_ICMP:
				return this.#icmp(at, end, whole);
			case ipv4.PROTOCOL_IGMP:
				return this.#igmp(at, end, whole);
			case ipv4.PROTOCOL_UDP:
				return this.#udp(header, at, end, whole);
			case ipv4.PROTOCOL_TCP:
				return this.#tcp(header, at, end, whole);
			case ipv4.PROTOCOL_ESP:
				return this.#esp(at, end);
			default:
				return this.#rest("payload", "payload.data", at, end);
		}
	}

	#ipv6(at: number, end: number): void {
		const view = this.#view;
		const header = ipv6.read(view, at, end);
		if (typeof header === "string") return this.#malformed(at, end, header);
		const ip6 = (name: string, place: number, ip: ipv6.Ipv6["source"]): Field => ({
			name,
			at: place,
			octets: 16,
			value: ip,
			text: formatIp6(ip),
		});
		this.#layer("ipv6", at, ipv6.OCTETS, [
			this.#number("ipv6.version", at, 4, undefined, 6),
			this.#number("ipv6.trafficClass", at, 4, undefined, header.trafficClass),
			this.#number("ipv6.flowLabel", at, 4, undefined, header.flowLabel),
			this.#number("ipv6.payloadLength", at + 4, 2),
			this.#number("ipv6.nextHeader", at + 6, 1),
			this.#number("ipv6.hopLimit", at + 7, 1),
			ip6("ipv6.source", at + 8, header.source),
			ip6("ipv6.destination", at + 24, header.destination),
		]);
		const last = at + ipv6.OCTETS + header.payloadLength;
		this.#rest("payload", "payload.data", at + ipv6.OCTETS, last);
		this.#rest("padding", "ethernet.padding", last, end);
	}

	#icmp(at: number, end: number, whole: boolean): void {
		const view = this.#view;
		if (end - at < icmp.OCTETS) return this.#malformed(at, end, "icmp-truncated");
		const type = icmp.type(view, at);
		const good = whole ? { good: checksums.checksum(view, at, end - at) === 0 } : {};
		const echo = type === icmp.ECHO_REQUEST || type === icmp.ECHO_REPLY;
		this.#layer("icmp", at, icmp.OCTETS, [
			this.#number("icmp.type", at, 1),
			this.#number("icmp.code", at + 1, 1),
			{ ...this.#number("icmp.checksum", at + 2, 2), ...good },
			...(echo
				? [this.#number("icmp.id", at + 4, 2), this.#number("icmp.sequence", at + 6, 2)]
				: [this.#number("icmp.rest", at + 4, 4)]),
		]);
		const data = at + icmp.OCTETS;
		if (!icmp.isError(type) || this.#quoted) {
			if (!echo) return this.#rest("payload", "payload.data", data, end);
			// ping(8) puts the time of day in front of its pattern.
			const stamp = Math.min(end, data + 16);
			this.#rest("payload", "icmp.timestamp", data, stamp);
			return this.#rest("payload", "payload.data", stamp, end);
		}
		this.#quoted = true;
		this.#ipv4(data, end);
		this.#quoted = false;
	}

	#igmp(at: number, end: number, whole: boolean): void {
		const message = igmp.parse(this.#view, at, end);
		if (typeof message === "string") return this.#malformed(at, end, message);
		const good = whole ? { good: checksums.checksum(this.#view, at, end - at) === 0 } : {};
		const fields = [
			this.#number("igmp.type", at, 1, `0x${message.type.toString(16)}`),
			this.#number("igmp.code", at + 1, 1),
			{ ...this.#number("igmp.checksum", at + 2, 2), ...good },
		];
		let next = at + igmp.OCTETS;
		const addresses = (list: readonly Ip4[]): void => {
			for (let i = 0; i < list.length; i++, next += 4) fields.push(this.#ip("igmp.source", next));
		};
		if ("records" in message) {
			fields.push(this.#number("igmp.reserved", at + 4, 2), this.#number("igmp.records", at + 6, 2));
			for (const record of message.records) {
				fields.push(
					this.#number("igmp.recordType", next, 1),
					this.#number("igmp.auxWords", next + 1, 1),
					this.#number("igmp.sources", next + 2, 2),
					this.#ip("igmp.recordGroup", next + 4),
				);
				next += igmp.RECORD_OCTETS;
				addresses(record.sources);
				if (record.aux.length > 0) fields.push(this.#data("igmp.aux", next, next + record.aux.length));
				next += record.aux.length;
			}
		} else {
			fields.push(this.#ip("igmp.group", at + 4));
			if (message.query3 !== undefined) {
				fields.push(
					this.#number("igmp.flags", next, 1),
					this.#number("igmp.qqic", next + 1, 1),
					this.#number("igmp.sources", next + 2, 2),
				);
				next = at + igmp.QUERY3_OCTETS;
				addresses(message.query3.sources);
			}
		}
		this.#layer("igmp", at, next - at, fields);
		this.#rest("payload", "payload.data", next, end);
	}

	#udp(ip: ipv4.Ipv4, at: number, end: number, whole: boolean): void {
		const view = this.#view;
		if (end - at < udp.OCTETS) return this.#malformed(at, end, "udp-truncated");
		const length = udp.length(view, at);
		if (length < udp.OCTETS || (whole && length > end - at)) return this.#malformed(at, end, "udp-truncated");
		const judged = whole && udp.checksum(view, at) !== 0;
		const good = judged ? { good: udp.isChecksumGood(view, at, length, ip.source, ip.destination) } : {};
		this.#layer("udp", at, udp.OCTETS, [
			this.#number("udp.sourcePort", at, 2),
			this.#number("udp.destinationPort", at + 2, 2),
			this.#number("udp.length", at + 4, 2),
			{ ...this.#number("udp.checksum", at + 6, 2), ...good },
		]);
		const data = at + udp.OCTETS;
		const last = whole ? at + length : end;
		if (this.#vxlanPorts.includes(udp.destinationPort(view, at))) this.#vxlan(data, last, whole);
		else this.#rest("payload", "payload.data", data, last);
		this.#rest("payload", "payload.data", last, end);
	}

	#vxlan(at: number, end: number, whole: boolean): void {
		const header = vxlan.read(this.#view, at, end);
		if (typeof header === "string") return this.#malformed(at, end, header);
		this.#layer("vxlan", at, vxlan.OCTETS, [
			this.#number("vxlan.flags", at, 4, `0x${vxlan.flags(this.#view, at).toString(16).padStart(8, "0")}`),
			this.#number("vxlan.vni", at + 4, 3),
			this.#number("vxlan.reserved", at + 7, 1),
		]);
		// A first fragment of a tunnel packet holds only a part of the inner frame.
		if (whole || end - at > vxlan.OCTETS + ethernet.OCTETS) this.#ethernet(at + vxlan.OCTETS, end);
		else this.#rest("payload", "payload.data", at + vxlan.OCTETS, end);
	}

	#esp(at: number, end: number): void {
		const header = esp.read(this.#view, at, end);
		if (typeof header === "string") return this.#malformed(at, end, header);
		this.#layer("esp", at, esp.OCTETS, [
			this.#number("esp.spi", at, 4, `0x${header.spi.toString(16).padStart(8, "0")}`),
			this.#number("esp.sequence", at + 4, 4),
		]);
		this.#rest("payload", "payload.data", at + esp.OCTETS, end);
	}

	#tcp(ip: ipv4.Ipv4, at: number, end: number, whole: boolean): void {
		const view = this.#view;
		const segment = tcp.read(view, at, end);
		// A quoted segment is cut behind its first eight octets or anywhere later.
		if (typeof segment === "string") {
			if (this.#quoted) return this.#rest("payload", "tcp.quoted", at, end);
			return this.#malformed(at, end, segment);
		}
		const octets = tcp.octets(segment);
		const good = whole ? { good: tcp.isChecksumGood(view, at, end - at, ip.source, ip.destination) } : {};
		const fields = [
			this.#number("tcp.sourcePort", at, 2),
			this.#number("tcp.destinationPort", at + 2, 2),
			this.#number("tcp.sequence", at + 4, 4),
			this.#number("tcp.acknowledgment", at + 8, 4),
			this.#number("tcp.offset", at + 12, 1),
			this.#number("tcp.flags", at + 13, 1, flagText(segment.flags)),
			this.#number("tcp.window", at + 14, 2),
			{ ...this.#number("tcp.checksum", at + 16, 2), ...good },
			this.#number("tcp.urgent", at + 18, 2),
		];
		if (octets > tcp.MIN_OCTETS) fields.push(this.#data("tcp.options", at + tcp.MIN_OCTETS, at + octets));
		this.#layer("tcp", at, octets, fields);
		this.#rest("payload", "payload.data", at + octets, end);
	}
}

const hex = (bytes: Uint8Array): string =>
	Array.from(bytes, (octet) => octet.toString(16).padStart(2, "0")).join("");

const FLAGS: readonly (readonly [number, string])[] = [
	[tcp.SYN, "SYN"],
	[tcp.FIN, "FIN"],
	[tcp.RST, "RST"],
	[tcp.PSH, "PSH"],
	[tcp.ACK, "ACK"],
	[tcp.URG, "URG"],
	[tcp.ECE, "ECE"],
	[tcp.CWR, "CWR"],
];

/** `SYN ACK`. */
const flagText = (bits: number): string =>
	FLAGS.filter(([bit]) => (bits & bit) !== 0)
		.map(([, name]) => name)
		.join(" ");
