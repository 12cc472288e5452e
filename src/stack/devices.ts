import { NetError } from "../errors.ts";
import { type Device, hasCarrier } from "../link/index.ts";
import type { Addresses } from "./addresses.ts";
import { InDevice } from "./in-device.ts";
import type { Namespace } from "./namespace.ts";

/**
 * `ip link` of one namespace: its devices by name and number, how they come and go, and what follows in IPv4.
 * Reference: net/core/dev.c, `inetdev_event` in net/ipv4/devinet.c.
 */
export class Devices {
	readonly #ns: Namespace;
	readonly #addresses: Addresses;
	readonly #named = new Map<string, Device>();
	readonly #states = new Map<Device, InDevice>();
	#nextIndex = 1;
	#movedIn = false;

	constructor(ns: Namespace, addresses: Addresses) {
		this.#ns = ns;
		this.#addresses = addresses;
	}

	/** All of them, by number. */
	get all(): readonly Device[] {
		return [...this.#named.values()].sort((a, b) => a.index - b.index);
	}

	/** All of them, first come first (`for_each_netdev`). */
	get byArrival(): readonly Device[] {
		return [...this.#named.values()];
	}

	/** The device of a name. Throws `NetError` ENODEV. */
	named(name: string): Device {
		const device = this.#named.get(name);
		if (device !== undefined) return device;
		throw new NetError("ENODEV", `Cannot find device "${name}"`, {
			remedy: `Devices here: ${[...this.#named.keys()].join(", ")}.`,
			context: { namespace: this.#ns.name, device: name },
		});
	}

	has(name: string): boolean {
		return this.#named.has(name);
	}

	/** IPv4 state of a device; undefined for one that is elsewhere. */
	state(device: Device): InDevice | undefined {
		return this.#states.get(device);
	}

	/** IPv4 states of all, in the order in which they came. */
	states(): MapIterator<InDevice> {
		return this.#states.values();
	}

	// ── names and numbers ─────────────────────────────────────────────────────────────────────────

	/** Throws `NetError` EEXIST when a device has the name. */
	checkFree(name: string): void {
		if (!this.#named.has(name)) return;
		throw new NetError("EEXIST", "RTNETLINK answers: File exists", {
			remedy: `Choose a name that no device of ${this.#ns.name} has.`,
			context: { namespace: this.#ns.name, device: name },
		});
	}

	#hasIndex(index: number): boolean {
		for (const each of this.#named.values()) if (each.index === index) return true;
		return false;
	}

	/** The next number that no device has (`dev_new_index`). */
	#freeIndex(): number {
		// Only a device that moved in can have a number that was not given here.
		while (this.#movedIn && this.#hasIndex(this.#nextIndex)) this.#nextIndex++;
		return this.#nextIndex++;
	}

	/** `ip link set … name …`. Throws `NetError` EBUSY, EEXIST. */
	rename(device: Device, name: string): void {
		if (device.name === name) return;
		this.checkFree(name);
		if (device.isUp) {
			throw new NetError("EBUSY", "RTNETLINK answers: Device or resource busy", {
				remedy: "Set the device down first.",
				context: { device: device.place },
			});
		}
		const old = device.name;
		device.placeIn(this.#ns, name, device.index, device.input);
		this.#named.delete(old);
		this.#named.set(name, device);
		this.#ns.generation++;
		for (const listener of this.#ns.world.deviceListeners) listener(device);
	}

	// ── they come and go ──────────────────────────────────────────────────────────────────────────

	/** One comes, under a name, with a number of its own or the next one. */
	adopt(device: Device, name: string, index: number = this.#freeIndex()): void {
		this.checkFree(name);
		const { confDefault, neighDefault, world } = this.#ns;
		const state = new InDevice(this.#ns, device, confDefault, neighDefault);
		if (index >= this.#nextIndex) this.#movedIn = true;
		device.placeIn(this.#ns, name, index, state);
		this.#named.set(name, device);
		this.#states.set(device, state);
		this.#tell(state);
		this.#ns.generation++;
		for (const listener of world.deviceListeners) listener(device);
	}

	/** `ip link set … netns …`. Throws `NetError` EINVAL, EEXIST. */
	move(device: Device, to: Devices, name: string): void {
		if (device === this.#ns.loopback) {
			throw new NetError("EINVAL", "RTNETLINK answers: Invalid argument", {
				remedy: "Every namespace keeps its own loopback.",
				context: { device: device.place },
			});
		}
		to.checkFree(name);
		device.down();
		if (device.upper?.staysOnMove !== true) device.upper?.lowerGone(device);
		for (const dependent of [...(device.dependents ?? [])]) dependent.lowerGone();
		this.forget(device);
		// It keeps its number where that is free (`__dev_change_net_namespace`).
		to.adopt(device, name, to.#hasIndex(device.index) ? undefined : device.index);
	}

	/** One is here no longer: its addresses, routes and neighbours go. */
	forget(device: Device): void {
		const state = this.#states.get(device);
		// A primary address takes its secondaries with it.
		for (let first = state?.addresses[0]; first !== undefined; first = state?.addresses[0])
			this.#addresses.remove(device, first.prefix);
		this.#removeRoutes(device);
		state?.neighbours?.clear();
		state?.igmp?.down();
		this.#states.delete(device);
		this.#named.delete(device.name);
		this.#ns.generation++;
	}

	#removeRoutes(device: Device): void {
		const { tables, localFib } = this.#ns;
		for (const fib of tables.filter((each) => each !== localFib))
			for (const route of fib.routes()) if (route.device === device) fib.remove(route);
	}

	// ── they change ───────────────────────────────────────────────────────────────────────────────

	/** One is up or down now, or has a carrier or none. */
	changed(device: Device): void {
		this.#ns.generation++;
		const state = this.#states.get(device);
		if (state === undefined) return;
		if (!device.isUp) {
			state.neighbours?.clear();
			state.igmp?.down();
			// Routes through it go, connected ones come back with it (`fib_sync_down_dev`).
			this.#removeRoutes(device);
			return;
		}
		// Nobody answers there: what was learned goes (`neigh_carrier_down`).
		if (!hasCarrier(device)) state.neighbours?.carrierDown();
		this.#addresses.connect(state);
		this.#ns.igmp(state).up();
		if (state.conf.arp_notify !== 0) {
			for (const { prefix } of state.addresses) this.#ns.announce(state, prefix.address);
		}
	}

	/** A setting changed that decisions were made by. */
	settingsChanged(): void {
		this.#ns.generation++;
		for (const state of this.#states.values()) this.#tell(state);
	}

	#tell({ device, conf }: InDevice): void {
		device.ignoreLinkdown =
			conf.ignore_routes_with_linkdown !== 0 || this.#ns.confAll.ignore_routes_with_linkdown !== 0;
	}
}
