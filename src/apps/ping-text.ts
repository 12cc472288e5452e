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

/** What ping(8) prints: a line per answer and error, then the statistics. */
export function report(
	destination: string,
	size: number,
	sent: number,
	replies: readonly PingReply[],
	errors: readonly PingError[],
	failures: number,
	elapsed: number,
	names?: { readonly asked: string; readonly answerer: string | undefined },
): string {
	const asked = names?.asked ?? destination;
	const from = (address: string): string =>
		names?.answerer === undefined ? address : `${names.answerer} (${address})`;
	const lines = [`PING ${asked} (${destination}) ${String(size)}(${String(size + 28)}) bytes of data.`];
	const events = [
		...replies.map((reply) => ({
			sequence: reply.sequence,
			text: `${String(reply.octets)} bytes from ${from(reply.from)}: icmp_seq=${String(reply.sequence)} ttl=${String(reply.ttl)} time=${milliseconds(reply.time)} ms`,
		})),
		...errors.map((error) => ({
			sequence: error.sequence,
			text:
				error.from === undefined
					? `ping: ${error.text}`
					: `From ${error.from} icmp_seq=${String(error.sequence)} ${error.text}`,
		})),
	].sort((a, b) => a.sequence - b.sequence);
	lines.push(...events.map((event) => event.text), "", `--- ${asked} ping statistics ---`);
	const loss = sent === 0 ? 0 : Math.floor(((sent - replies.length) * 100) / sent);
	const errorPart = failures > 0 ? `, +${String(failures)} errors` : "";
	lines.push(
		`${String(sent)} packets transmitted, ${String(replies.length)} received${errorPart}, ${String(loss)}% packet loss, time ${String(Math.floor(elapsed))}ms`,
	);
	if (replies.length > 0) {
		const times = replies.map((reply) => reply.time);
		const average = times.reduce((a, b) => a + b, 0) / times.length;
		const square = times.reduce((a, b) => a + b * b, 0) / times.length;
		const deviation = Math.sqrt(Math.max(0, square - average * average));
		const numbers = [Math.min(...times), average, Math.max(...times), deviation].map((time) =>
			time.toFixed(3),
		);
		lines.push(`rtt min/avg/max/mdev = ${numbers.join("/")} ms`);
	}
	return lines.join("\n");
}

/** Three significant digits as iputils prints round-trip times. */
function milliseconds(time: number): string {
	if (time >= 100) return time.toFixed(0);
	if (time >= 10) return time.toFixed(1);
	if (time >= 1) return time.toFixed(2);
	return time.toFixed(3);
}
