import { formatMac, type Mac, macHigh, macLow, macOfParts } from "../../addr/index.ts";
import type { Nanoseconds } from "../../sim/index.ts";
import { keyHigh, MacTable } from "../mac-table.ts";
import type { SwitchPort } from "./port.ts";

/** One line of a switch's `show mac address-table`. */
export interface SwitchMac {
	/** VLAN id, 0 on an unmanaged switch. */
	readonly vlan: number;
	readonly mac: string;
	/** `secure`: learned or allowed by port security; neither ages nor moves. */
	readonly kind: "dynamic" | "secure";
	readonly port: string;
}

/** What the table keeps of an address. */
export interface SwitchEntry {
	readonly mac: Mac;
	readonly vlan: number;
	kind: "dynamic" | "secure";
	port: SwitchPort;
	/** When it was last seen as a source. */
	updated: number;
}

/**
 * The forwarding table of a physical switch: (MAC, VLAN) → port, of limited size. Unlike a Linux bridge's it has
 * no room for more when it is full, and addresses secured to a port stay there.
 */
export class SwitchTable {
	readonly #table = new MacTable<SwitchEntry>();
	readonly #clock: { readonly now: number };
	readonly #ageing: Nanoseconds;
	readonly #capacity: number;
	/** Before this instant no entry can have aged, so looking for room is in vain. */
	#noneAgedBefore = 0;

	constructor(clock: { readonly now: number }, ageing: Nanoseconds, capacity: number) {
		this.#clock = clock;
		this.#ageing = ageing;
		this.#capacity = capacity;
	}

	/** The entry under the key of `MacTable`, unless it aged. */
	lookup(low: number, high: number): SwitchEntry | undefined {
		const entry = this.#table.get(low, high);
		if (entry === undefined || !this.#aged(entry)) return entry;
		this.#table.delete(low, high);
		return undefined;
	}

	/** Keeps an address at a port; says false when it is new and the table is full. */
	put(low: number, high: number, port: SwitchPort, kind: SwitchEntry["kind"]): boolean {
		const old = this.#table.get(low, high);
		const now = this.#clock.now;
		if (old !== undefined) {
			old.port = port;
			old.kind = kind;
			old.updated = now;
			return true;
		}
		if (this.#table.size >= this.#capacity && !this.#makeRoom()) return false;
		const mac = macOfParts(high & 0xffff, low);
		this.#table.set(low, high, { mac, vlan: high >>> 16, kind, port, updated: now });
		return true;
	}

	#aged(entry: SwitchEntry): boolean {
		return entry.kind === "dynamic" && this.#clock.now - entry.updated > this.#ageing;
	}

	#makeRoom(): boolean {
		if (this.#clock.now < this.#noneAgedBefore) return false;
		this.forget((entry) => this.#aged(entry));
		let oldest = this.#clock.now;
		for (const { kind, updated } of this.#table.values()) {
			if (kind === "dynamic" && updated < oldest) oldest = updated;
		}
		this.#noneAgedBefore = oldest + this.#ageing;
		return this.#table.size < this.#capacity;
	}

	/** Forgets every entry that `which` picks; says how many. */
	forget(which: (entry: SwitchEntry) => boolean): number {
		const gone = [...this.#table.values()].filter(which);
		for (const { mac, vlan } of gone) this.#table.delete(macLow(mac), keyHigh(macHigh(mac), vlan));
		return gone.length;
	}

	/** All entries that did not age, by VLAN and address. */
	entries(): SwitchEntry[] {
		return [...this.#table.values()]
			.filter((entry) => !this.#aged(entry))
			.sort((a, b) => a.vlan - b.vlan || a.mac - b.mac);
	}

	/** The same as plain data. */
	rows(): SwitchMac[] {
		return this.entries().map(({ vlan, mac, kind, port }) => ({
			vlan,
			mac: formatMac(mac),
			kind,
			port: port.name,
		}));
	}
}
