import { formatIp4 } from "../../../../addr/index.ts";
import type { Device } from "../../../../link/index.ts";
import { ethernet, type Frame, HEADROOM, icmp, ipv4, tcp, udp } from "../../../../wire/index.ts";
import type { Log } from "../../log.ts";
import { NEXT_RULE, type Outcome, type RuleHost, type Situation, type Target } from "../extension.ts";
import { badParameter } from "../refusal.ts";
import { parseNumber, quoted } from "../values.ts";

const LEVELS = ["emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"] as const;
const WARNING = 4;
const LONGEST_PREFIX = 29;
/** Switches, by the bits `iptables -L` shows. */
const FLAGS: Readonly<Record<string, number>> = {
	"log-tcp-sequence": 1,
	"log-tcp-options": 2,
	"log-ip-options": 4,
	"log-uid": 8,
	"log-macdecode": 32,
};

/** `-j LOG`: a line for each packet, as net/netfilter/nf_log_syslog.c writes it. */
export class LogTarget implements Target {
	readonly name = "LOG";
	readonly options = {
		"log-prefix": 1,
		"log-level": 1,
		"log-tcp-sequence": 0,
		"log-tcp-options": 0,
		"log-ip-options": 0,
		"log-uid": 0,
		"log-macdecode": 0,
	};
	#prefix = "";
	#level = WARNING;
	#flags = 0;
	#log: Log | null = null;

	set(option: string, _inverted: boolean, [text = ""]: readonly string[]): void {
		if (option === "log-prefix") {
			if (text.length > LONGEST_PREFIX)
				throw badParameter(`Maximum prefix length ${String(LONGEST_PREFIX)} for --log-prefix`);
			this.#prefix = text;
		} else if (option === "log-level") {
			const level = parseNumber(text) ?? LEVELS.findIndex((name) => name.startsWith(text));
			if (level < 0 || level > 7) throw badParameter(`log-level "${text}" unknown`);
			this.#level = level;
		} else this.#flags |= FLAGS[option] ?? 0;
	}

	finish(): void {
		// Everything has a default.
	}

	bind(host: RuleHost): void {
		this.#log = host.log;
	}

	run(frame: Frame, at: Situation): Outcome {
		this.#log!.write(this.#prefix + line(frame, at, this.#flags));
		return NEXT_RULE;
	}

	get #switches(): string {
		return Object.entries(FLAGS)
			.filter(([, bit]) => (this.#flags & bit) !== 0)
			.map(([name]) => ` --${name}`)
			.join("");
	}

	save(): string {
		const prefix = this.#prefix === "" ? "" : ` --log-prefix ${quoted(this.#prefix)}`;
		const level = this.#level === WARNING ? "" : ` --log-level ${String(this.#level)}`;
		return prefix + level + this.#switches;
	}

	show(): string {
		const prefix = this.#prefix === "" ? "" : ` prefix "${this.#prefix}"`;
		return ` LOG flags ${String(this.#flags)} level ${String(this.#level)}${prefix}`;
	}
}

const octet = (value: number): string => value.toString(16).padStart(2, "0");

function line(frame: Frame, { inDevice, out }: Situation, flags: number): string {
	const mac = inDevice === null ? "" : `MAC=${linkHeader(frame)} `;
	const mark = frame.mark === 0 ? "" : `MARK=0x${frame.mark.toString(16)} `;
	const packet = describe(frame.view, frame.start, frame.end, flags, true);
	const ports = portName("PHYSIN", frame.physIn) + portName("PHYSOUT", frame.physOut);
	return `IN=${inDevice?.device.name ?? ""} OUT=${out?.name ?? ""} ${ports}${mac}${packet}${mark}`;
}

/** A bridge port, as far as br_netfilter showed the packet there. */
const portName = (what: string, device: object | null): string =>
	device === null ? "" : `${what}=${(device as Device).name} `;

/** The Ethernet header still lies in front of a packet that came in whole. */
function linkHeader(frame: Frame): string {
	const at = frame.start - ethernet.OCTETS;
	if (at < 0 || frame.start === HEADROOM) return "";
	return Array.from(frame.bytes.subarray(at, frame.start), octet).join(":");
}

function describe(view: DataView, at: number, end: number, flags: number, quote: boolean): string {
	if (end - at < ipv4.MIN_OCTETS) return "TRUNCATED";
	const tos = ipv4.tos(view, at);
	let text =
		`SRC=${formatIp4(ipv4.source(view, at))} DST=${formatIp4(ipv4.destination(view, at))} ` +
		`LEN=${String(ipv4.totalLength(view, at))} TOS=0x${octet(tos & 0x1e).toUpperCase()} ` +
		`PREC=0x${octet(tos & 0xe0).toUpperCase()} TTL=${String(ipv4.ttl(view, at))} ID=${String(ipv4.ident(view, at))} `;
	if ((ipv4.flags(view, at) & ipv4.RESERVED_FLAG) !== 0) text += "CE ";
	if (ipv4.dontFragment(view, at)) text += "DF ";
	if (ipv4.moreFragments(view, at)) text += "MF ";
	const offset = ipv4.fragmentOffset(view, at);
	if (offset !== 0) text += `FRAG:${String(offset / 8)} `;
	const transport = at + ipv4.headerOctets(view, at);
	const octets = end - transport;
	const whole = offset === 0;
	switch (ipv4.protocol(view, at)) {
		case ipv4.PROTOCOL_TCP:
			return `${text}PROTO=TCP ${whole ? describeTcp(view, transport, octets, flags) : ""}`;
		case ipv4.PROTOCOL_UDP:
			text += "PROTO=UDP ";
			if (!whole) return text;
			if (octets < udp.OCTETS) return `${text}INCOMPLETE [${String(octets)} bytes] `;
			return `${text}SPT=${String(udp.sourcePort(view, transport))} DPT=${String(udp.destinationPort(view, transport))} LEN=${String(udp.length(view, transport))} `;
		case ipv4.PROTOCOL_ICMP:
			text += "PROTO=ICMP ";
			return whole ? text + describeIcmp(view, transport, end, flags, quote) : text;
		default:
			return `${text}PROTO=${String(ipv4.protocol(view, at))} `;
	}
}

const TCP_FLAGS = [
	["CWR", tcp.CWR],
	["ECE", tcp.ECE],
	["URG", tcp.URG],
	["ACK", tcp.ACK],
	["PSH", tcp.PSH],
	["RST", tcp.RST],
	["SYN", tcp.SYN],
	["FIN", tcp.FIN],
] as const;

function describeTcp(view: DataView, at: number, octets: number, flags: number): string {
	if (octets < tcp.MIN_OCTETS) return `INCOMPLETE [${String(octets)} bytes] `;
	let text = `SPT=${String(tcp.sourcePort(view, at))} DPT=${String(tcp.destinationPort(view, at))} `;
	if ((flags & 1) !== 0)
		text += `SEQ=${String(tcp.sequence(view, at))} ACK=${String(tcp.acknowledgment(view, at))} `;
	text += `WINDOW=${String(tcp.window(view, at))} RES=0x${octet(view.getUint8(at + 12) & 15)} `;
	for (const [name, bit] of TCP_FLAGS) if ((tcp.flags(view, at) & bit) !== 0) text += `${name} `;
	text += `URGP=${String(tcp.urgent(view, at))} `;
	const options = Math.min(tcp.headerOctets(view, at), octets) - tcp.MIN_OCTETS;
	if ((flags & 2) === 0 || options <= 0) return text;
	const listed = Array.from({ length: options }, (_, i) => octet(view.getUint8(at + tcp.MIN_OCTETS + i)));
	return `${text}OPT (${listed.join("").toUpperCase()}) `;
}

function describeIcmp(view: DataView, at: number, end: number, flags: number, quote: boolean): string {
	if (end - at < icmp.OCTETS) return `INCOMPLETE [${String(end - at)} bytes] `;
	const type = icmp.type(view, at);
	const code = icmp.code(view, at);
	const text = `TYPE=${String(type)} CODE=${String(code)} `;
	if (type === icmp.ECHO_REQUEST || type === icmp.ECHO_REPLY)
		return `${text}ID=${String(icmp.id(view, at))} SEQ=${String(icmp.sequence(view, at))} `;
	if (!icmp.isError(type) || !quote) return text;
	const quoted = `[${describe(view, at + icmp.OCTETS, end, flags, false)}] `;
	if (type === icmp.REDIRECT) return `${text}GATEWAY=${formatIp4(icmp.rest(view, at) as never)} ${quoted}`;
	const mtu =
		type === icmp.UNREACHABLE && code === icmp.FRAG_NEEDED
			? `MTU=${String(icmp.nextHopMtu(icmp.rest(view, at)))} `
			: "";
	return text + quoted + mtu;
}
