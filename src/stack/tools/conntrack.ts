import { formatIp4, type Ip4 } from "../../addr/index.ts";
import { type Flow, STATUS, type Tuple } from "../netfilter/conntrack/flow.ts";
import type { Netfilter } from "../netfilter/netfilter.ts";

/** conntrack-tools' version whose words these are. */
const VERSION = "v1.4.7";
/** Names of the protocols that libnetfilter_conntrack knows. */
const NAMES: Readonly<Record<number, string>> = {
	1: "icmp",
	6: "tcp",
	17: "udp",
	33: "dccp",
	47: "gre",
	132: "sctp",
	136: "udplite",
};

/** What `conntrack` is asked for: flows of one protocol, from or to an address. */
export interface ConntrackFilter {
	/** `-p`. */
	readonly protocol?: number;
	/** `-s`: source of the original direction. */
	readonly source?: string;
	/** `-d`: destination of the original direction. */
	readonly destination?: string;
}

/** `conntrack` of one namespace. */
export class ConntrackTool {
	readonly #netfilter: Netfilter;

	constructor(netfilter: Netfilter) {
		this.#netfilter = netfilter;
	}

	/** The flows, oldest first. */
	flows(filter: ConntrackFilter = {}): Flow[] {
		const wanted = (flow: Flow): boolean =>
			(filter.protocol === undefined || filter.protocol === flow.protocol) &&
			(filter.source === undefined || filter.source === address(flow.original.source)) &&
			(filter.destination === undefined || filter.destination === address(flow.original.destination));
		return this.#netfilter.trackedBy?.flows().filter(wanted) ?? [];
	}

	/** `conntrack -L`, as a terminal shows it, the line of the count included. */
	list(filter: ConntrackFilter = {}): string {
		const flows = this.flows(filter);
		return `${flows.map((flow) => `${this.line(flow)}\n`).join("")}${counted(flows.length, "shown")}`;
	}

	/** One line of `conntrack -L`. */
	line(flow: Flow): string {
		const conntrack = this.#netfilter.trackedBy;
		const left = Math.max(0, Math.floor((flow.expires - this.#netfilter.ns.world.scheduler.now) / 1e9));
		const accounted = conntrack !== undefined && conntrack.conf.nf_conntrack_acct !== 0;
		const counters = (packets: number, octets: number): string =>
			accounted ? `packets=${String(packets)} bytes=${String(octets)} ` : "";
		return [
			`${(NAMES[flow.protocol] ?? "unknown").padEnd(8)} ${String(flow.protocol)} ${String(left)} `,
			flow.tcp === null ? "" : `${flow.tcp.stateName} `,
			describe(flow.original),
			counters(flow.packetsThere, flow.octetsThere),
			(flow.status & STATUS.seenReply) === 0 ? "[UNREPLIED] " : "",
			describe(flow.reply),
			counters(flow.packetsBack, flow.octetsBack),
			(flow.status & STATUS.assured) === 0 ? "" : "[ASSURED] ",
			`mark=${String(flow.mark)} use=1`,
		].join("");
	}

	/** `conntrack -D`: forgets flows. Returns what it prints. */
	delete(filter: ConntrackFilter = {}): string {
		const flows = this.flows(filter);
		const lines = flows.map((flow) => `${this.line(flow)}\n`).join("");
		for (const flow of flows) this.#netfilter.trackedBy?.forget(flow);
		return lines + counted(flows.length, "deleted");
	}

	/** `conntrack -F`: forgets all flows. */
	flush(): string {
		this.#netfilter.trackedBy?.forgetAll(() => true);
		return `conntrack ${VERSION} (conntrack-tools): connection tracking table has been emptied.\n`;
	}

	/** `conntrack -C`: how many there are. */
	count(): number {
		return this.flows().length;
	}
}

const counted = (count: number, done: string): string =>
	`conntrack ${VERSION} (conntrack-tools): ${String(count)} flow entries have been ${done}.\n`;

const address = (signed: number): string => formatIp4(signed as Ip4);

function describe(tuple: Tuple): string {
	const { protocol, ports } = tuple;
	const pair = `src=${address(tuple.source)} dst=${address(tuple.destination)} `;
	if (protocol === 1)
		return `${pair}type=${String((ports >>> 8) & 255)} code=${String(ports & 255)} id=${String(ports >>> 16)} `;
	if (protocol === 6 || protocol === 17)
		return `${pair}sport=${String(ports >>> 16)} dport=${String(ports & 0xffff)} `;
	return pair;
}
