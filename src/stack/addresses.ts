import {
	ANY_IP4,
	broadcast,
	formatPrefix4,
	type Ip4,
	isLoopbackIp4,
	network,
	type Prefix4,
} from "../addr/index.ts";
import { NetError } from "../errors.ts";
import type { Device } from "../link/index.ts";
import type { InDevice, InterfaceAddress } from "./in-device.ts";
import type { Namespace } from "./namespace.ts";
import { Route, type RouteScope } from "./route.ts";

/**
 * `ip address` of one namespace: the addresses of its devices, and the routes that come and go with them.
 * Reference: net/ipv4/devinet.c, `fib_add_ifaddr` in net/ipv4/fib_frontend.c.
 */
export class Addresses {
	readonly #ns: Namespace;

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	/** `ip address add … dev …`. Throws `NetError` EEXIST, ENODEV. */
	add(device: Device, prefix: Prefix4): void {
		const inDevice = this.#ns.inDevice(device);
		if (inDevice === undefined) throw new NetError("ENODEV", `Cannot find device "${device.name}"`);
		if (inDevice.addresses.some((each) => samePrefix(each.prefix, prefix))) {
			throw new NetError("EEXIST", "RTNETLINK answers: File exists", {
				context: { device: device.place, address: formatPrefix4(prefix) },
			});
		}
		device.addressListener?.checkAddress(prefix.address);
		const loopback = isLoopbackIp4(prefix.address);
		const added: InterfaceAddress = {
			prefix,
			broadcast: prefix.length >= 31 || loopback ? ANY_IP4 : broadcast(prefix),
			scope: loopback ? "host" : "global",
			secondary: inDevice.addresses.some((each) => !each.secondary && sameSubnet(each.prefix, prefix)),
		};
		// As long as it must be: a list that is spread or grows in place takes room for seventeen.
		inDevice.addresses = inDevice.addresses.concat(added);
		device.addressListener?.addressAdded(prefix.address);
		this.#ns.settingsChanged();
		const { address, length } = prefix;
		this.#ns.localFib.add(kernelRoute(address, 32, "local", device, address, "host"));
		if (loopback)
			this.#ns.localFib.add(kernelRoute(network(prefix), length, "local", device, address, "host"));
		if (device.isUp && !added.secondary) this.#connect(inDevice, added);
	}

	/** The device is up: its subnets are connected. What is connected already stays as it is. */
	connect(inDevice: InDevice): void {
		for (const address of inDevice.addresses) if (!address.secondary) this.#connect(inDevice, address);
	}

	#connect({ device }: InDevice, { prefix, broadcast: last }: InterfaceAddress): void {
		const { fib, localFib, loopback } = this.#ns;
		const here = (route: Route): boolean => route.device === device && route.via === ANY_IP4;
		// Loopback's address says none, and its subnet has one all the same (`fib_add_ifaddr`).
		const all = device === loopback && prefix.length < 31 ? broadcast(prefix) : last;
		if (all !== ANY_IP4 && !localFib.find(all, 32).some(here)) {
			localFib.add(kernelRoute(all, 32, "broadcast", device, prefix.address, "link"));
		}
		const net = network(prefix);
		if (prefix.length === 32 || device === loopback || fib.find(net, prefix.length).some(here)) return;
		fib.add(kernelRoute(net, prefix.length, "unicast", device, prefix.address, "link"));
	}

	/** `ip address del … dev …`. Throws `NetError` EADDRNOTAVAIL for what is not there. */
	remove(device: Device, prefix: Prefix4): void {
		const inDevice = this.#ns.inDevice(device);
		const gone = inDevice?.addresses.find((each) => samePrefix(each.prefix, prefix));
		if (inDevice === undefined || gone === undefined) {
			throw new NetError("EADDRNOTAVAIL", "RTNETLINK answers: Cannot assign requested address", {
				context: { device: device.place, address: formatPrefix4(prefix) },
			});
		}
		inDevice.addresses = inDevice.addresses.filter((each) => each !== gone);
		device.addressListener?.addressRemoved(prefix.address);
		// A primary address takes the secondaries of its subnet with it (`promote_secondaries` 0).
		if (!gone.secondary) {
			for (const each of inDevice.addresses.filter(({ secondary }) => secondary)) {
				if (sameSubnet(each.prefix, prefix)) this.remove(device, each.prefix);
			}
		}
		this.#ns.settingsChanged();
		// Without an address nobody is spoken to by the device, and no way leads there (`fib_disable_ip`).
		const last = inDevice.addresses.length === 0;
		for (const fib of this.#ns.tables) {
			for (const route of fib.routes()) {
				if (route.device === device && (last || route.source === prefix.address)) fib.remove(route);
			}
		}
		if (last) inDevice.neighbours?.clear();
	}
}

const samePrefix = (a: Prefix4, b: Prefix4): boolean => a.address === b.address && a.length === b.length;
const sameSubnet = (a: Prefix4, b: Prefix4): boolean => a.length === b.length && network(a) === network(b);

function kernelRoute(
	net: Ip4,
	length: number,
	type: "unicast" | "local" | "broadcast",
	device: Device,
	source: Ip4,
	scope: RouteScope,
): Route {
	return new Route({ network: net, length, type, device, source, scope, protocol: "kernel" });
}
