import { NetError } from "../../errors.ts";
import type { Device } from "../../link/index.ts";
import type { IpNamespace } from "../../stack/index.ts";
import { failed, invalid } from "../docker-error.ts";
import { errno } from "./errno.ts";

/** The device that children of a macvlan or ipvlan network lie on, and whether the daemon made it. */
export interface Parent {
	readonly device: Device;
	readonly ours: boolean;
}

/**
 * Finds the parent, or makes it: `eth0.100` that is not there becomes VLAN 100 of eth0; without a name a dummy device of
 * the network's own does. Throws `DockerError` in libnetwork's words (macvlan_setup.go, ipvlan_setup.go).
 */
export function findParent(ns: IpNamespace, name: string, dummy: string, type: string): Parent {
	if (name === "" || name === dummy) {
		const device = ns.addDummy(dummy);
		device.txQueueLength = 0;
		device.up();
		return { device, ours: true };
	}
	if (name === "lo") throw failed(`loopback interface is not a valid ${type} parent link`);
	if (ns.hasDevice(name)) return { device: ns.device(name), ours: false };
	const [base = "", id = "", more] = name.split(".");
	if (!name.includes(".")) {
		throw failed(`invalid subinterface vlan name ${name}, example formatting is eth0.10`, {
			remedy: `Name a device of ${ns.name}, or a VLAN on one.`,
		});
	}
	if (more !== undefined || id === "") {
		throw failed(
			`required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received ${name}`,
		);
	}
	if (!/^\d+$/.test(id))
		throw failed(`unable to parse a valid vlan id from: ${id} (ex. eth0.10 for vlan 10)`);
	const vid = Number(id);
	if (vid < 1 || vid > 4094) throw invalid(`vlan id must be between 1-4094, received: ${String(vid)}`);
	if (!ns.hasDevice(base)) throw failed(`-o parent interface was not found on the host: ${base}`);
	try {
		const device = ns.addVlan(base, vid, { name });
		device.txQueueLength = 0;
		device.up();
		return { device, ours: true };
	} catch (error) {
		if (!(error instanceof NetError)) throw error;
		throw failed(`failed to create ${name} vlan link: ${errno(error)}`);
	}
}
