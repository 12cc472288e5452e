import { formatPrefix4, type Ip4, network, type Prefix4, toPort, toPrefix4 } from "../../addr/index.ts";
import { type Frame, icmp, ipv4, udp } from "../../wire/index.ts";
import { signedMask } from "../route.ts";

/** Protocols by the names `ip xfrm` prints. */
const PROTOCOLS: Readonly<Record<string, number>> = {
	icmp: 1,
	tcp: 6,
	udp: 17,
	gre: 47,
	esp: 50,
	ah: 51,
	sctp: 132,
};
const [ICMP, TCP, UDP, SCTP] = [1, 6, 17, 132];

/** The SELECTOR of `ip xfrm`: what is left out matches everything. */
export interface SelectorOptions {
	/** A prefix, or an address alone. */
	readonly src?: string | Prefix4;
	readonly dst?: string | Prefix4;
	/** A name (`udp`, `icmp` …) or a number. */
	readonly proto?: string | number;
	readonly sport?: number;
	readonly dport?: number;
	/** Of ICMP. */
	readonly type?: number;
	readonly code?: number;
}

/** The fields of a packet that policies and states choose by; one object, filled again for each packet (`struct flowi`). */
export class Flow {
	source: Ip4 = 0 as Ip4;
	destination: Ip4 = 0 as Ip4;
	protocol = 0;
	/** Source port, or the type of an ICMP message. */
	sport = 0;
	/** Destination port, or the code of an ICMP message. */
	dport = 0;
	mark = 0;

	/** Takes the fields of a frame that starts at its IPv4 header (`xfrm_decode_session`). */
	decode(frame: Frame): void {
		const { view, start } = frame;
		const transport = ipv4.isFragment(view, start) ? frame.end : start + ipv4.headerOctets(view, start);
		const [source, destination] = [ipv4.source(view, start), ipv4.destination(view, start)];
		this.set(source, destination, ipv4.protocol(view, start), frame, transport);
	}

	/** Takes the fields of a packet whose transport header is at `at` in the frame; none when nothing is left there. */
	set(source: Ip4, destination: Ip4, protocol: number, frame: Frame, at: number): void {
		const { view } = frame;
		this.source = source;
		this.destination = destination;
		this.protocol = protocol;
		this.mark = frame.mark;
		this.sport = 0;
		this.dport = 0;
		if (frame.end - at < 4) return;
		if (this.protocol === UDP || this.protocol === TCP || this.protocol === SCTP) {
			this.sport = udp.sourcePort(view, at);
			this.dport = udp.destinationPort(view, at);
		} else if (this.protocol === ICMP) {
			this.sport = icmp.type(view, at);
			this.dport = icmp.code(view, at);
		}
	}
}

/** Which packets a policy or a state is for (`struct xfrm_selector`). */
export class Selector {
	readonly src: Prefix4;
	readonly dst: Prefix4;
	/** 0 for any. */
	readonly protocol: number;
	/** Source port or ICMP type; undefined for any. */
	readonly sport: number | undefined;
	/** Destination port or ICMP code; undefined for any. */
	readonly dport: number | undefined;
	readonly #srcMask: number;
	readonly #dstMask: number;

	/** Throws RangeError or TypeError for what is no prefix, protocol or port. */
	constructor(options: SelectorOptions) {
		this.src = toPrefix4(options.src ?? "0.0.0.0/0", "src");
		this.dst = toPrefix4(options.dst ?? "0.0.0.0/0", "dst");
		this.protocol = toProtocol(options.proto ?? 0);
		const first = options.sport ?? options.type;
		const second = options.dport ?? options.code;
		this.sport = first === undefined ? undefined : toPort(first, "sport");
		this.dport = second === undefined ? undefined : toPort(second, "dport");
		this.#srcMask = signedMask(this.src.length);
		this.#dstMask = signedMask(this.dst.length);
	}

	/** Whether a packet is one of them (`xfrm_selector_match`). */
	matches(flow: Flow): boolean {
		return (
			((flow.destination ^ this.dst.address) & this.#dstMask) === 0 &&
			((flow.source ^ this.src.address) & this.#srcMask) === 0 &&
			(this.protocol === 0 || this.protocol === flow.protocol) &&
			(this.dport === undefined || this.dport === flow.dport) &&
			(this.sport === undefined || this.sport === flow.sport)
		);
	}

	/** The same packets, as the kernel compares selectors. */
	equals(other: Selector): boolean {
		return this.text === other.text && network(this.src) === network(other.src);
	}

	/** As `ip xfrm` prints it; every word has a space behind. */
	get text(): string {
		const parts = [`src ${formatPrefix4(this.src)}`, `dst ${formatPrefix4(this.dst)}`];
		if (this.protocol !== 0) parts.push(`proto ${protocolName(this.protocol)}`);
		const names = this.protocol === ICMP ? ["type", "code"] : ["sport", "dport"];
		if (this.sport !== undefined) parts.push(`${names[0]!} ${String(this.sport)}`);
		if (this.dport !== undefined) parts.push(`${names[1]!} ${String(this.dport)}`);
		return `${parts.join(" ")} `;
	}
}

function toProtocol(value: string | number): number {
	const number = typeof value === "string" ? (PROTOCOLS[value] ?? Number(value)) : value;
	if (Number.isInteger(number) && number >= 0 && number <= 255) return number;
	throw new RangeError(
		`proto is ${JSON.stringify(value)}, expected a protocol such as udp or a number up to 255`,
	);
}

const protocolName = (protocol: number): string =>
	Object.entries(PROTOCOLS).find(([, number]) => number === protocol)?.[0] ?? String(protocol);
