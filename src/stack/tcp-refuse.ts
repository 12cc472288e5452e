import { type Frame, ipv4, tcp } from "../wire/index.ts";
import type { InDevice } from "./in-device.ts";
import { type IpSocket, sendPacket } from "./ipv4/send.ts";
import type { Namespace } from "./namespace.ts";

const PROTOCOL = 6;

/** Resets carry no identification and refuse fragments. */
const RESET: IpSocket = { ttl: 64, tos: 0, mtuDiscovery: "do", nextIdent: () => undefined };

/**
 * Answers a segment that no socket wants: RST, as RFC 9293 §3.10.7.1 has it for the CLOSED state.
 * Takes the frame, which starts at its IPv4 header. Reference: `tcp_v4_send_reset`.
 */
export function refuseSegment(ns: Namespace, frame: Frame, inDevice: InDevice): void {
	const { view, start } = frame;
	const at = start + ipv4.headerOctets(view, start);
	const segment = tcp.read(view, at, frame.end);
	if (typeof segment === "string") return inDevice.device.dropIn(frame, segment);
	const source = ipv4.source(view, start);
	const destination = ipv4.destination(view, start);
	if (!tcp.isChecksumGood(view, at, frame.end - at, source, destination))
		return inDevice.device.dropIn(frame, "tcp-csum");
	const port = tcp.destinationPort(view, at);
	const route = ns.route(source, destination);
	if (!tcp.hasFlag(segment, tcp.RST) && ns.isOwnAddress(destination) && route !== undefined) {
		const payload = frame.end - at - tcp.headerOctets(view, at);
		const acknowledges = tcp.hasFlag(segment, tcp.ACK);
		const consumed =
			payload + (tcp.hasFlag(segment, tcp.SYN) ? 1 : 0) + (tcp.hasFlag(segment, tcp.FIN) ? 1 : 0);
		const reset = ns.kernel.world.frames.begin(tcp.MIN_OCTETS);
		reset.end = reset.start + tcp.MIN_OCTETS;
		tcp.write(reset.view, reset.start, {
			sourcePort: port,
			destinationPort: segment.sourcePort,
			sequence: acknowledges ? segment.acknowledgment : 0,
			acknowledgment: acknowledges ? 0 : (segment.sequence + consumed) >>> 0,
			flags: acknowledges ? tcp.RST : tcp.RST | tcp.ACK,
			window: 0,
			urgent: 0,
			options: [],
		});
		tcp.writeChecksum(reset.view, reset.start, tcp.MIN_OCTETS, destination, source);
		reset.trusted = true;
		sendPacket(ns, reset, route, destination, source, PROTOCOL, RESET);
	}
	inDevice.device.dropIn(frame, "no-socket", `tcp port ${String(port)}`);
}
