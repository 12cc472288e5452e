import type { DropReason } from "../../drop.ts";
import { type Frame, ipv4 } from "../../wire/index.ts";

/**
 * Judges the IPv4 header that a frame starts at, and cuts off what lies behind the packet: Ethernet padding is no part
 * of it. Null when it is good (`ip_rcv_core`, `br_validate_ipv4`).
 */
export function checkHeader(frame: Frame): DropReason | null {
	const { view, start } = frame;
	const available = frame.end - start;
	if (available < ipv4.MIN_OCTETS) return "ip-truncated";
	if (ipv4.version(view, start) !== 4) return "ip-version";
	const header = ipv4.headerOctets(view, start);
	if (header < ipv4.MIN_OCTETS || header > available) return "ip-inhdr";
	if (!frame.trusted && !ipv4.isChecksumGood(view, start)) return "ip-csum";
	const total = ipv4.totalLength(view, start);
	if (total > available) return "ip-truncated";
	if (total < header) return "ip-inhdr";
	frame.end = start + total;
	return null;
}
