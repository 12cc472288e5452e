import { formatIp4, isLoopbackIp4 } from "../../addr/index.ts";
import { ethernet, type Frame, ipv4 } from "../../wire/index.ts";
import type { InDevice } from "../in-device.ts";
import type { Namespace } from "../namespace.ts";

/**
 * Says in the kernel's log that a packet has an impossible address, when `log_martians` is on for its device or for
 * all. The frame starts at its IPv4 header, its Ethernet header is still in front, and it stays the caller's
 * (`ip_handle_martian_source`).
 */
export function logMartian(ns: Namespace, frame: Frame, inDevice: InDevice): void {
	if (inDevice.conf.log_martians === 0 && ns.confAll.log_martians === 0) return;
	const { log } = ns.kernel;
	if (!log.mayWarn()) return;
	const { view, start, bytes } = frame;
	const destination = ipv4.destination(view, start);
	const [from, to] = [formatIp4(ipv4.source(view, start)), formatIp4(destination)];
	const { name } = inDevice.device;
	if (destination === 0 || isLoopbackIp4(destination)) {
		log.say(`IPv4: martian destination ${to} from ${from}, dev ${name}`);
		return;
	}
	log.say(`IPv4: martian source ${to} from ${from}, on dev ${name}`);
	const header = Array.from(bytes.subarray(start - ethernet.OCTETS, start), (octet) =>
		octet.toString(16).padStart(2, "0"),
	);
	log.say(`ll header: 00000000: ${header.join(" ")}`);
}
