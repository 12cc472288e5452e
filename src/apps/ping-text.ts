import { formatIp4, type Ip4 } from "../addr/index.ts";
import type { IcmpError } from "../stack/index.ts";
import { icmp } from "../wire/index.ts";
import type { PingError, PingReply } from "./ping.ts";

const UNREACHABLE: readonly string[] = [
	"Destination Net Unreachable",
	"Destination Host Unreachable",
	"Destination Protocol Unreachable",
	"Destination Port Unreachable",
];

/** The words of iputils for an ICMP error (`pr_icmph`). */
export function errorText(error: IcmpError): string {
	switch (error.type) {
		case icmp.UNREACHABLE:
			if (error.code === icmp.FRAG_NEEDED)
				return `Frag needed and DF set (mtu = ${String(icmp.nextHopMtu(error.info))})`;
			if (error.code === icmp.ADMIN_PROHIBITED) return "Packet filtered";
			return UNREACHABLE[error.code] ?? `Dest Unreachable, Bad Code: ${String(error.code)}`;
		case icmp.TIME_EXCEEDED:
			return error.code === icmp.TTL_EXCEEDED ? "Time to live exceeded" : "Frag reassembly time exceeded";
		case icmp.REDIRECT:
			return `Redirect Host(New nexthop: ${formatIp4(error.info as Ip4)})`;
		case icmp.SOURCE_QUENCH:
			return "Source Quench";
		default:
			return `Parameter problem: pointer = ${String(error.info >>> 24)}`;
	}
}

/** Advice is no failure: a redirect is printed, and the answer is waited for. */
export const isFailure = (text: string): boolean => !text.startsWith("Redirect");

/** What one run of ping has to tell. */
export interface PingStory {
	readonly destination: string;
	readonly size: number;
	readonly sent: number;
	readonly received: number;
	/** As they came. */
	readonly events: readonly (PingReply | PingError)[];
	readonly failures: number;
	/** Requests on their way at once. */
	readonly pipe: number;
	/** Milliseconds. */
	readonly elapsed: number;
	readonly names?: { readonly asked: string; readonly answerer: string | undefined } | undefined;
}

/** What ping(8) prints: a line per answer and error, then the statistics. */
export function report(story: PingStory): string {
	const { destination, size, sent, received, events, failures, pipe, elapsed, names } = story;
	const asked = names?.asked ?? destination;
	const replies = events.filter((event) => isReply(event));
	const lines = [`PING ${asked} (${destination}) ${String(size)}(${String(size + 28)}) bytes of data.`];
	lines.push(...events.map((event) => eventLine(event, names?.answerer)), "");
	lines.push(`--- ${asked} ping statistics ---`);
	const repeated = replies.length - received;
	const duplicates = repeated > 0 ? `, +${String(repeated)} duplicates` : "";
	const errors = failures > 0 ? `, +${String(failures)} errors` : "";
	const loss = sent === 0 ? 0 : ((sent - received) * 100) / sent;
	lines.push(
		`${String(sent)} packets transmitted, ${String(received)} received${duplicates}${errors}, ` +
			`${String(Number(loss.toPrecision(6)))}% packet loss, time ${String(Math.floor(elapsed))}ms`,
	);
	const last = [
		...(replies.length > 0 ? [roundTrips(replies)] : []),
		...(pipe > 1 ? [`pipe ${String(pipe)}`] : []),
	];
	if (last.length > 0) lines.push(last.join(", "));
	return lines.join("\n");
}

const isReply = (event: PingReply | PingError): event is PingReply => "ttl" in event;

function eventLine(event: PingReply | PingError, answerer: string | undefined): string {
	const sequence = `icmp_seq=${String(event.sequence)}`;
	if (isReply(event)) {
		const from = answerer === undefined ? event.from : `${answerer} (${event.from})`;
		const repeated = event.duplicate ? " (DUP!)" : "";
		return `${String(event.octets)} bytes from ${from}: ${sequence} ttl=${String(event.ttl)} time=${milliseconds(event.time)} ms${repeated}`;
	}
	if (event.from === undefined) return `ping: ${event.text}`;
	// Errors come by the socket's error queue; advice is read like an answer, and printed with a colon.
	return `From ${event.from}${isFailure(event.text) ? "" : ":"} ${sequence} ${event.text}`;
}

function roundTrips(replies: readonly PingReply[]): string {
	const times = replies.map((reply) => reply.time);
	const average = times.reduce((a, b) => a + b, 0) / times.length;
	const square = times.reduce((a, b) => a + b * b, 0) / times.length;
	const deviation = Math.sqrt(Math.max(0, square - average * average));
	const numbers = [Math.min(...times), average, Math.max(...times), deviation].map((time) => time.toFixed(3));
	return `rtt min/avg/max/mdev = ${numbers.join("/")} ms`;
}

/** Three significant digits as iputils prints round-trip times. */
function milliseconds(time: number): string {
	if (time >= 100) return time.toFixed(0);
	if (time >= 10) return time.toFixed(1);
	if (time >= 1) return time.toFixed(2);
	return time.toFixed(3);
}
