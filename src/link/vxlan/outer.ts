import { ANY_IP4, isMulticastIp4 } from "../../addr/index.ts";
import { ethernet, type Frame, ipv4, ipv6, vlan } from "../../wire/index.ts";
import type { TunnelHeader, Underlay } from "../underlay.ts";
import { isTag } from "../vlan/tag.ts";
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

	/** The header for an inner frame to a remote. `isIp`: whether a whole IPv4 header is in the frame, without a tag. */
	fill(frame: Frame, remote: Remote, isIp: boolean): TunnelHeader {
		const { view } = frame;
		const { header } = this;
		// TTL and TOS are seen behind a tag, too (`ip_tunnel_get_dsfield`); Don't Fragment is not.
		let type = ethernet.type(view, frame.start);
		let ip = frame.start + ethernet.OCTETS;
		if (isTag(type) && frame.end - ip >= vlan.OCTETS) {
			type = vlan.innerType(view, ip);
			ip += vlan.OCTETS;
		}
		const is4 = type === ethernet.TYPE_IPV4 && frame.end - ip >= ipv4.MIN_OCTETS;
		const is6 = type === ethernet.TYPE_IPV6 && frame.end - ip >= ipv6.OCTETS;
		let ttl = this.#ttl;
		if (this.#ttlInherit) ttl = is4 ? ipv4.ttl(view, ip) : is6 ? ipv6.hopLimit(view, ip) : 0;
		else if (ttl === 0 && isMulticastIp4(remote.ip)) ttl = 1;
		const innerTos = is4 ? ipv4.tos(view, ip) : is6 ? ipv6.trafficClass(view, ip) : 0;
		header.ttl = ttl;
		header.tos = outerTos(this.#tosInherit ? innerTos : this.#tos, innerTos);
		// No router fragments IPv6, so none is to fragment what it travels in.
		header.dontFragment =
			this.#df === "set" ||
			(this.#df === "inherit" && (isIp ? ipv4.dontFragment(view, ip) : holdsIp6(frame)));
		header.destination = remote.ip;
		header.device = remote.device;
		header.destinationPort = remote.port;
		header.sourcePort = this.#sourcePort(this.#underlay.flowHash(frame));
		return header;
	}

	/** Inner flows spread over outer ports: `udp_flow_src_port`. */
	#sourcePort(hash: number): number {
		const mixed = hash ^ (hash << 16);
		// (mixed * count) >>> 32, by halves: 32 bits are all that is quick.
		const count = this.#sourcePortCount;
		const low = Math.imul(mixed & 0xffff, count) >>> 16;
		return ((Math.imul(mixed >>> 16, count) + low) >>> 16) + this.#firstSourcePort;
	}
}

/** RFC 6040 as Linux does it: the inner ECN bits, CE shown as ECT(0) (`INET_ECN_encapsulate`). */
function outerTos(tos: number, inner: number): number {
	const ecn = inner & 3;
	return (tos & 0xfc) | (ecn === 3 ? 2 : ecn);
}

/** True for a frame that holds a whole IPv6 header. */
const holdsIp6 = (frame: Frame): boolean =>
	ethernet.type(frame.view, frame.start) === ethernet.TYPE_IPV6 &&
	frame.end - frame.start >= ethernet.OCTETS + ipv6.OCTETS;

const ECT_1 = 1;
const ECT_0 = 2;
const CE = 3;

/**
 * RFC 6040 decapsulation: CE outside marks the packet inside, and ECT(1) outside makes ECT(0) inside ECT(1); false when
 * the packet cannot carry a CE (`INET_ECN_decapsulate`).
 */
export function decapsulateEcn(frame: Frame, outer: number): boolean {
	const mark = outer & 3;
	if (mark !== CE && mark !== ECT_1) return true;
	const { view } = frame;
	const at = frame.start + ethernet.OCTETS;
	const isIp = ethernet.type(view, frame.start) === ethernet.TYPE_IPV4 && frame.end - at >= ipv4.MIN_OCTETS;
	if (!isIp && !holdsIp6(frame)) return true;
	const tos = isIp ? ipv4.tos(view, at) : ipv6.trafficClass(view, at);
	const inner = tos & 3;
	if (inner === 0) return mark !== CE;
	if (inner === mark || (mark === ECT_1 && inner !== ECT_0)) return true;
	const marked = (tos & 0xfc) | mark;
	if (isIp) ipv4.setTos(view, at, marked);
	else ipv6.setTrafficClass(view, at, marked);
	frame.changed();
	return true;
}
