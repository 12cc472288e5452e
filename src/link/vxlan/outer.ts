import { ANY_IP4, isMulticastIp4 } from "../../addr/index.ts";
import { ethernet, type Frame, ipv4 } from "../../wire/index.ts";
import type { TunnelHeader, Underlay } from "../underlay.ts";
import type { Remote } from "./fdb.ts";
import { checkLocal, checkOctet, checkSourcePorts, type VxlanOptions } from "./options.ts";

/**
 * What a VXLAN device puts into its outer headers: by its options, by the remote, and by what it inherits from the
 * packet inside (`vxlan_xmit_one`).
 */
export class OuterHeader {
	/** Reused for every packet: `fill` says what differs. */
	readonly header: TunnelHeader;
	readonly #underlay: Underlay;
	readonly #ttl: number;
	readonly #ttlInherit: boolean;
	readonly #tos: number;
	readonly #tosInherit: boolean;
	readonly #df: "unset" | "set" | "inherit";
	readonly #firstSourcePort: number;
	readonly #sourcePortCount: number;

	/** Throws `NetError` EINVAL. */
	constructor(options: VxlanOptions, underlay: Underlay, port: number) {
		this.#underlay = underlay;
		this.#ttl = typeof options.ttl === "number" ? checkOctet(options.ttl, "ttl") : 0;
		this.#ttlInherit = options.ttl === "inherit";
		this.#tos = typeof options.tos === "number" ? checkOctet(options.tos, "tos") : 0;
		this.#tosInherit = options.tos === "inherit" || options.tos === 1;
		this.#df = options.df ?? "unset";
		const [first, count] = checkSourcePorts(options.sourcePorts, underlay.localPortRange);
		this.#firstSourcePort = first;
		this.#sourcePortCount = count;
		this.header = {
			source: checkLocal(options.local),
			destination: ANY_IP4,
			device: null,
			sourcePort: 0,
			destinationPort: port,
			ttl: 0,
			tos: 0,
			dontFragment: false,
			checksum: options.udpChecksum ?? true,
		};
	}

	/** The header for an inner frame to a remote. `isIp`: whether a whole IPv4 header is in the frame. */
	fill(frame: Frame, remote: Remote, isIp: boolean): TunnelHeader {
		const { view } = frame;
		const { header } = this;
		const ip = frame.start + ethernet.OCTETS;
		let ttl = this.#ttl;
		if (this.#ttlInherit) ttl = isIp ? ipv4.ttl(view, ip) : 0;
		else if (ttl === 0 && isMulticastIp4(remote.ip)) ttl = 1;
		const innerTos = isIp ? ipv4.tos(view, ip) : 0;
		header.ttl = ttl;
		header.tos = outerTos(this.#tosInherit ? innerTos : this.#tos, innerTos);
		header.dontFragment =
			this.#df === "set" || (this.#df === "inherit" && isIp && ipv4.dontFragment(view, ip));
		header.destination = remote.ip;
		header.device = remote.device;
		header.destinationPort = remote.port;
		header.sourcePort = this.#sourcePort(this.#underlay.flowHash(frame));
		return header;
	}

	/** Inner flows spread over outer ports: `udp_flow_src_port`. */
	#sourcePort(hash: number): number {
		const mixed = (hash ^ (hash << 16)) >>> 0;
		return Math.floor((mixed * this.#sourcePortCount) / 0x1_0000_0000) + this.#firstSourcePort;
	}
}

/** RFC 6040 as Linux does it: the inner ECN bits, CE shown as ECT(0) (`INET_ECN_encapsulate`). */
function outerTos(tos: number, inner: number): number {
	const ecn = inner & 3;
	return (tos & 0xfc) | (ecn === 3 ? 2 : ecn);
}

/** RFC 6040 decapsulation: CE outside marks the packet inside; false when it cannot carry the mark. */
export function decapsulateEcn(frame: Frame, outer: number): boolean {
	if ((outer & 3) !== 3) return true;
	const at = frame.start + ethernet.OCTETS;
	if (ethernet.type(frame.view, frame.start) !== ethernet.TYPE_IPV4 || frame.end - at < ipv4.MIN_OCTETS)
		return true;
	const tos = ipv4.tos(frame.view, at);
	if ((tos & 3) === 0) return false;
	ipv4.setTos(frame.view, at, tos | 3);
	frame.changed();
	return true;
}
