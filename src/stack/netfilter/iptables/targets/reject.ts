import type { Device } from "../../../../link/index.ts";
import { ethernet, type Frame, icmp, ipv4, tcp } from "../../../../wire/index.ts";
import { type IpSocket, sendPacket } from "../../../ipv4/send.ts";
import type { Namespace } from "../../../namespace.ts";
import { attach } from "../../conntrack/flow.ts";
import { DROPPED, type Outcome, type RuleHost, type Situation, type Target } from "../extension.ts";
import { badParameter } from "../refusal.ts";

/** ICMP codes by their name behind `--reject-with`; the short form is `port-unreach`. */
const CODES: Readonly<Record<string, number>> = {
	"icmp-net-unreachable": 0,
	"icmp-host-unreachable": 1,
	"icmp-proto-unreachable": 2,
	"icmp-port-unreachable": 3,
	"icmp-net-prohibited": 9,
	"icmp-host-prohibited": 10,
	"icmp-admin-prohibited": 13,
};
const SHORT: Readonly<Record<string, string>> = {
	"net-unreach": "icmp-net-unreachable",
	"host-unreach": "icmp-host-unreachable",
	"proto-unreach": "icmp-proto-unreachable",
	"port-unreach": "icmp-port-unreachable",
	"net-prohib": "icmp-net-prohibited",
	"host-prohib": "icmp-host-prohibited",
	"admin-prohib": "icmp-admin-prohibited",
	"tcp-rst": "tcp-reset",
};
const RESET = "tcp-reset";

/** `-j REJECT`: the packet ends, and its sender is told. Reference: net/ipv4/netfilter/nf_reject_ipv4.c. */
export class RejectTarget implements Target {
	readonly name = "REJECT";
	readonly options = { "reject-with": 1 };
	readonly tables = ["filter"] as const;
	readonly points = ["INPUT", "FORWARD", "OUTPUT"] as const;
	#with = "icmp-port-unreachable";
	#ns: Namespace | null = null;

	set(_option: string, _inverted: boolean, [text = ""]: readonly string[]): void {
		const name = SHORT[text] ?? text;
		if (!(name in CODES) && name !== RESET) throw badParameter(`unknown reject type "${text}"`);
		this.#with = name;
	}

	finish(protocol: number): void {
		if (this.#with === RESET && protocol !== ipv4.PROTOCOL_TCP)
			throw badParameter("RULE_APPEND failed (Invalid argument): tcp-reset invalid for non-tcp");
	}

	bind(host: RuleHost): void {
		this.#ns = host.ns;
	}

	run(frame: Frame, { inDevice }: Situation): Outcome {
		const ns = this.#ns!;
		if (this.#with === RESET) {
			reset(ns, frame);
			return DROPPED;
		}
		// What this host sends itself is answered by way of loopback.
		const told = inDevice ?? ns.inDevice(ns.loopback);
		if (told !== undefined) ns.ipv4.icmp.tell(frame, told, icmp.UNREACHABLE, CODES[this.#with]!, 0);
		return DROPPED;
	}

	save(): string {
		return ` --reject-with ${this.#with}`;
	}

	show(): string {
		return ` reject-with ${this.#with}`;
	}
}

const UNFRAGMENTED: IpSocket = { ttl: 64, tos: 0, mtuDiscovery: "do", nextIdent: () => undefined };

/** Answers a segment with RST in the name of whom it was for (`nf_send_reset`). The frame stays the caller's. */
function reset(ns: Namespace, frame: Frame): void {
	const { view, start } = frame;
	if (ipv4.fragmentOffset(view, start) !== 0) return;
	const at = start + ipv4.headerOctets(view, start);
	const segment = tcp.read(view, at, frame.end);
	if (typeof segment === "string" || tcp.hasFlag(segment, tcp.RST)) return;
	const source = ipv4.source(view, start);
	const destination = ipv4.destination(view, start);
	if (!frame.trusted && !tcp.isChecksumGood(view, at, frame.end - at, source, destination)) return;
	const route = ns.route(source);
	if (route?.device == null) return;
	const acknowledges = tcp.hasFlag(segment, tcp.ACK);
	const counted = (tcp.hasFlag(segment, tcp.SYN) ? 1 : 0) + (tcp.hasFlag(segment, tcp.FIN) ? 1 : 0);
	const payload = frame.end - at - tcp.headerOctets(view, at);
	const answer = ns.world.frames.begin(tcp.MIN_OCTETS);
	answer.end = answer.start + tcp.MIN_OCTETS;
	tcp.write(answer.view, answer.start, {
		sourcePort: segment.destinationPort,
		destinationPort: segment.sourcePort,
		sequence: acknowledges ? segment.acknowledgment : 0,
		acknowledgment: acknowledges ? 0 : (segment.sequence + counted + payload) >>> 0,
		flags: acknowledges ? tcp.RST : tcp.RST | tcp.ACK,
		window: 0,
		urgent: 0,
		options: [],
	});
	tcp.writeChecksum(answer.view, answer.start, tcp.MIN_OCTETS, destination, source);
	answer.trusted = true;
	attach(answer, frame);
	UNFRAGMENTED.ttl = ns.ipv4.conf.ip_default_ttl;
	const port = frame.physIn as Device | null;
	if (port === null) {
		sendPacket(ns, answer, route, destination, source, ipv4.PROTOCOL_TCP, UNFRAGMENTED);
		return;
	}
	// Back out of the bridge port it came in by, with the MAC it was sent to.
	answer.push(ipv4.MIN_OCTETS);
	const length = ipv4.MIN_OCTETS + tcp.MIN_OCTETS;
	const { ttl, tos } = UNFRAGMENTED;
	const flags = ipv4.DONT_FRAGMENT;
	ipv4.writePlain(
		answer.view,
		answer.start,
		length,
		tos,
		0,
		flags,
		ttl,
		ipv4.PROTOCOL_TCP,
		destination,
		source,
	);
	const link = start - ethernet.OCTETS;
	answer.push(ethernet.OCTETS);
	ethernet.write(answer.view, answer.start, {
		dst: ethernet.src(view, link),
		src: ethernet.dst(view, link),
		type: ethernet.TYPE_IPV4,
	});
	port.transmit(answer);
}
