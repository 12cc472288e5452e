import { formatIp4, type Ip4, isMulticastIp4, toIp4 } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import type { Device } from "../link/index.ts";
import type { Namespace } from "./namespace.ts";

/**
 * The groups one socket is in, each on a device (`struct ip_mc_socklist`). Reference: `ip_mc_join_group`,
 * `ip_mc_leave_group`, `ip_mc_drop_socket` in net/ipv4/igmp.c.
 */
export class Memberships {
	readonly #ns: Namespace;
	#list: { readonly group: Ip4; readonly device: Device }[] = [];

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	/** Throws `NetError` EINVAL, ENODEV, EADDRINUSE, ENOBUFS. */
	join(group: Ip4 | string, on?: Device): void {
		const { address, device } = this.#find(group, on);
		if (this.has(address, device)) throw refused("EADDRINUSE", "Address already in use", address);
		if (this.#list.length >= this.#ns.igmpConf.igmp_max_memberships) {
			throw refused("ENOBUFS", "No buffer space available", address);
		}
		const inDevice = this.#ns.inDevice(device);
		if (inDevice === undefined) throw refused("ENODEV", "No such device", address);
		this.#list.push({ group: address, device });
		this.#ns.igmp(inDevice).join(address);
	}

	/** Throws `NetError` EINVAL, ENODEV, EADDRNOTAVAIL. */
	leave(group: Ip4 | string, on?: Device): void {
		const { address, device } = this.#find(group, on);
		if (!this.has(address, device)) {
			throw refused("EADDRNOTAVAIL", "Cannot assign requested address", address);
		}
		this.#list = this.#list.filter((each) => each.group !== address || each.device !== device);
		this.#ns.inDevice(device)?.igmp?.leave(address);
	}

	/** Whether the socket is in a group on a device. */
	has(group: Ip4, device: Device): boolean {
		return this.#list.some((each) => each.group === group && each.device === device);
	}

	/** The socket is closed: it leaves everything. */
	drop(): void {
		for (const { group, device } of this.#list.splice(0)) this.#ns.inDevice(device)?.igmp?.leave(group);
	}

	/** Without a device, the one by which the group is reached (`ip_mc_find_dev`). */
	#find(group: Ip4 | string, on: Device | undefined): { readonly address: Ip4; readonly device: Device } {
		const address = toIp4(group, "group");
		if (!isMulticastIp4(address)) throw refused("EINVAL", "Invalid argument", address);
		const device = on ?? this.#ns.route(address)?.device;
		if (device == null) throw refused("ENODEV", "No such device", address);
		return { address, device };
	}
}

const refused = (code: string, text: string, group: Ip4): NetError =>
	new NetError(code, `setsockopt: ${text}`, { context: { group: formatIp4(group) } });
