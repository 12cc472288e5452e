import { BROADCAST_IP4, formatIp4, type Ip4, isMulticastIp4 } from "../../addr/index.ts";
import { isValid } from "../neighbour/state.ts";
import type { InDevice } from "../in-device.ts";
import type { Namespace } from "../namespace.ts";
import type { IcmpError } from "./icmp.ts";

/** Redirects for networks, hosts, and both by type of service: all are taken for the host (RFC 1122 §3.2.2.2). */
const HIGHEST_CODE = 3;

/**
 * A router says that a destination has a better first hop. It is believed when it is the first hop itself and the
 * settings allow it; a better hop whose link address is not known is asked for first, and the next redirect changes
 * the way (`__ip_do_redirect`).
 */
export function followRedirect(ns: Namespace, error: IcmpError, inDevice: InDevice): void {
	const { destination, from } = error;
	const gateway = error.info as Ip4;
	const route = ns.route(destination);
	if (error.code > HIGHEST_CODE || !ns.isOwnAddress(error.source) || route?.device == null) return;
	if (route.via !== from) return;
	if (!mayBelieve(ns, inDevice, gateway, from)) return reject(ns, error, inDevice, gateway);
	const next = ns.inDevice(route.device);
	if (next === undefined) return;
	const neighbours = ns.neighbours(next);
	if (isValid(neighbours.ensure(gateway).facts.state)) ns.ipv4.follow(destination, from, gateway);
	else neighbours.probe(gateway);
}

function mayBelieve(ns: Namespace, { conf, device }: InDevice, gateway: Ip4, from: Ip4): boolean {
	const all = ns.confAll;
	// A router asks both settings, a host either (`IN_DEV_RX_REDIRECTS`).
	const accepts =
		conf.forwarding !== 0
			? all.accept_redirects !== 0 && conf.accept_redirects !== 0
			: all.accept_redirects !== 0 || conf.accept_redirects !== 0;
	if (!accepts || gateway === from || isMulticastIp4(gateway) || gateway === BROADCAST_IP4) return false;
	if (gateway >>> 24 === 0) return false;
	if (all.shared_media !== 0 || conf.shared_media !== 0) {
		return !ns.isOwnAddress(gateway) && !ns.isBroadcast(gateway);
	}
	const inDevice = ns.inDevice(device);
	if (inDevice === undefined || !ns.isOnLink(inDevice, gateway)) return false;
	const secure = all.secure_redirects !== 0 || conf.secure_redirects !== 0;
	return !secure || ns.fib.find(0 as Ip4, 0).some((each) => each.via === gateway && each.device === device);
}

function reject(ns: Namespace, error: IcmpError, inDevice: InDevice, gateway: Ip4): void {
	if (inDevice.conf.log_martians === 0 && ns.confAll.log_martians === 0) return;
	if (!ns.kernel.log.mayWarn()) return;
	const { from, source, destination } = error;
	ns.kernel.log.say(
		`IPv4: Redirect from ${formatIp4(from)} on ${inDevice.device.name} about ${formatIp4(gateway)} ignored`,
	);
	ns.kernel.log.say(`  Advised path = ${formatIp4(source)} -> ${formatIp4(destination)}`);
}
