import type { Mac } from "../addr/index.ts";
import { MacTable, keyHigh, macHigh, macLow } from "./mac-table.ts";

/**
 * How an address came to be in a forwarding table.
 * - `local`: the bridge's own or a port's own address; frames to it go up.
 * - `permanent`: the same, set by hand.
 * - `static`: set by hand, never ages.
 * - `extern_learn`: put there by a control plane (EVPN), never ages, becomes dynamic when the address moves.
 * - `dynamic`: learned, or set by hand as if it had been; ages, moves at once.
 */
export type FdbKind = "local" | "permanent" | "static" | "extern_learn" | "dynamic";

/** One line of `bridge fdb show`. */
export class FdbEntry<Port extends object> {
	readonly mac: Mac;
	/** VLAN id, 0 where VLANs play no part. */
	readonly vlan: number;
	kind: FdbKind;
	/** Where frames to this address go; `null` for the bridge itself. */
	port: Port | null;
	/** Stays at its port even when the address is seen elsewhere. */
	sticky = false;
	/** When the address was last seen as a source. */
	updated: number;
	/** When a frame was last sent to it. */
	used: number;
	/** Its place in the table: later ones come first, as in the kernel's list. */
	order: number;

	constructor(mac: Mac, vlan: number, kind: FdbKind, port: Port | null, now: number, order: number) {
		this.mac = mac;
		this.vlan = vlan;
		this.kind = kind;
		this.port = port;
		this.updated = now;
		this.used = now;
		this.order = order;
	}

	/** True for what goes up to the bridge itself. */
	get isLocal(): boolean {
		return this.kind === "local" || this.kind === "permanent";
	}

	/** True for what is forgotten after a while. */
	get ages(): boolean {
		return this.kind === "dynamic";
	}
}

/** Learned entries that may be there before the first look for aged ones. */
const FIRST_SWEEP = 1024;

/**
 * A learning table of (MAC, VLAN) → port, as bridges and switches keep it. Dynamic entries are forgotten
 * when they were not refreshed for `ageing` nanoseconds; that is judged when they are looked up, and for all
 * when the table has doubled.
 *
 * Reference: net/bridge/br_fdb.c.
 */
export class Fdb<Port extends object> {
	readonly #table = new MacTable<FdbEntry<Port>>();
	readonly #clock: { readonly now: number };
	#made = 0;
	#sweepAt = FIRST_SWEEP;
	#ageing: number;

	constructor(clock: { readonly now: number }, ageing: number) {
		this.#clock = clock;
		this.#ageing = ageing;
	}

	/** Nanoseconds a learned address is kept without being seen; 0 learns nothing. */
	get ageing(): number {
		return this.#ageing;
	}

	set ageing(ageing: number) {
		// What is too old by now has been forgotten, whatever counts from now on.
		this.#sweep();
		this.#ageing = ageing;
	}

	/** Entries, aged ones that nobody looked up since included. */
	get size(): number {
		return this.#table.size;
	}

	#aged(entry: FdbEntry<Port>): boolean {
		return entry.kind === "dynamic" && this.#clock.now - entry.updated >= this.#ageing;
	}

	/** The entry of the address in the frame at `low`, `high` (see `MacTable`), unless it aged. */
	lookup(low: number, high: number): FdbEntry<Port> | undefined {
		const entry = this.#table.get(low, high);
		if (entry === undefined) return undefined;
		if (this.#aged(entry)) {
			this.#table.delete(low, high);
			return undefined;
		}
		return entry;
	}

	/** The entry of an address. */
	find(mac: Mac, vlan = 0): FdbEntry<Port> | undefined {
		return this.lookup(macLow(mac), keyHigh(macHigh(mac), vlan));
	}

	/**
	 * Notes that a source address was seen on `port` (`br_fdb_update`). Returns false when the address is the
	 * bridge's own, which Linux logs as "received packet on … with own address as source address".
	 */
	learn(low: number, high: number, port: Port): boolean {
		if (this.#ageing === 0) return true;
		const entry = this.lookup(low, high);
		const now = this.#clock.now;
		if (entry === undefined) {
			const mac = ((high & 0xffff) * 0x1_0000_0000 + low) as Mac;
			this.put(mac, high >>> 16, "dynamic", port);
			return true;
		}
		if (entry.isLocal) return false;
		entry.updated = now;
		if (entry.port !== port && !entry.sticky) {
			entry.port = port;
			if (entry.kind === "extern_learn") entry.kind = "dynamic";
		}
		return true;
	}

	/** Puts an entry in, in place of the one that was there. */
	put(mac: Mac, vlan: number, kind: FdbKind, port: Port | null): FdbEntry<Port> {
		if (this.#table.size >= this.#sweepAt) this.#sweep();
		const entry = new FdbEntry(mac, vlan, kind, port, this.#clock.now, this.#made++);
		this.#table.set(macLow(mac), keyHigh(macHigh(mac), vlan), entry);
		return entry;
	}

	/** Takes an entry out; says whether it was there. */
	remove(mac: Mac, vlan = 0): boolean {
		return this.#table.delete(macLow(mac), keyHigh(macHigh(mac), vlan));
	}

	/** Forgets every entry that `which` picks; without it all that age. */
	flush(which: (entry: FdbEntry<Port>) => boolean = (entry) => entry.ages): void {
		for (const entry of [...this.#table.values()]) if (which(entry)) this.remove(entry.mac, entry.vlan);
	}

	#sweep(): void {
		this.flush((entry) => this.#aged(entry));
		this.#sweepAt = Math.max(FIRST_SWEEP, this.#table.size * 2);
	}

	/** All entries that did not age, the newest first. */
	entries(): FdbEntry<Port>[] {
		return [...this.#table.values()].filter((entry) => !this.#aged(entry)).sort((a, b) => b.order - a.order);
	}
}
