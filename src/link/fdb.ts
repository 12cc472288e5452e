import { formatMac, type Mac } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import { MacTable, keyHigh, macHigh, macLow } from "./mac-table.ts";

/**
 * How an address came to be in a forwarding table.
 * - `local`: the bridge's own or a port's own address; frames to it go up.
 * - `permanent`: set by hand as `local`'s twin without a port of its own.
 * - `static`: set by hand, never ages, never moves.
 * - `dynamic`: learned, ages, moves at once.
 */
export type FdbKind = "local" | "permanent" | "static" | "dynamic";

/** One line of `bridge fdb show`. */
export class FdbEntry<Port extends object> {
	readonly mac: Mac;
	/** VLAN id, 0 where VLANs play no part. */
	readonly vlan: number;
	kind: FdbKind;
	/** Where frames to this address go; `null` for the bridge itself. */
	port: Port | null;
	/** When the address was last seen as a source. */
	updated: number;

	constructor(mac: Mac, vlan: number, kind: FdbKind, port: Port | null, now: number) {
		this.mac = mac;
		this.vlan = vlan;
		this.kind = kind;
		this.port = port;
		this.updated = now;
	}

	/** True for what goes up to the bridge itself. */
	get isLocal(): boolean {
		return this.kind === "local" || this.kind === "permanent";
	}
}

/**
 * A learning table of (MAC, VLAN) → port, as bridges and switches keep it. Dynamic entries are forgotten
 * when they were not refreshed for `ageing` nanoseconds; that is judged when they are looked up.
 *
 * Reference: net/bridge/br_fdb.c.
 */
export class Fdb<Port extends object> {
	readonly #table = new MacTable<FdbEntry<Port>>();
	readonly #clock: { readonly now: number };
	/** Nanoseconds a learned address is kept without being seen; 0 forgets at once. */
	ageing: number;

	constructor(clock: { readonly now: number }, ageing: number) {
		this.#clock = clock;
		this.ageing = ageing;
	}

	/** Entries, aged ones that nobody looked up since included. */
	get size(): number {
		return this.#table.size;
	}

	/** The entry of the address in the frame at `low`, `high` (see `MacTable`), unless it aged. */
	lookup(low: number, high: number): FdbEntry<Port> | undefined {
		const entry = this.#table.get(low, high);
		if (entry === undefined) return undefined;
		if (entry.kind === "dynamic" && this.#clock.now - entry.updated > this.ageing) {
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
	 * Notes that a source address was seen on `port`. Returns false when the address is the bridge's own,
	 * which Linux logs as "received packet on … with own address as source address".
	 */
	learn(low: number, high: number, port: Port): boolean {
		const entry = this.#table.get(low, high);
		const now = this.#clock.now;
		if (entry === undefined) {
			const mac = ((high & 0xffff) * 0x1_0000_0000 + low) as Mac;
			this.#table.set(low, high, new FdbEntry<Port>(mac, high >>> 16, "dynamic", port, now));
			return true;
		}
		if (entry.isLocal) return false;
		if (entry.kind === "dynamic") entry.port = port;
		entry.updated = now;
		return true;
	}

	/** `bridge fdb add`: refuses what is there already, unless it was only learned. Throws EEXIST. */
	add(mac: Mac, vlan: number, kind: FdbKind, port: Port | null): void {
		const old = this.find(mac, vlan);
		if (old !== undefined && old.kind !== "dynamic") {
			throw new NetError("EEXIST", "RTNETLINK answers: File exists", {
				context: { address: formatMac(mac), vlan },
			});
		}
		this.replace(mac, vlan, kind, port);
	}

	/** `bridge fdb replace`. */
	replace(mac: Mac, vlan: number, kind: FdbKind, port: Port | null): void {
		const entry = new FdbEntry(mac, vlan, kind, port, this.#clock.now);
		this.#table.set(macLow(mac), keyHigh(macHigh(mac), vlan), entry);
	}

	/** `bridge fdb del`. Throws ENOENT for what is not there. */
	del(mac: Mac, vlan = 0): void {
		if (!this.#table.delete(macLow(mac), keyHigh(macHigh(mac), vlan))) {
			throw new NetError("ENOENT", "RTNETLINK answers: No such file or directory", {
				context: { address: formatMac(mac), vlan },
			});
		}
	}

	/** Forgets every entry that `which` picks; without it all learned ones (`bridge fdb flush`). */
	flush(which: (entry: FdbEntry<Port>) => boolean = (entry) => entry.kind === "dynamic"): void {
		for (const entry of this.entries()) {
			if (which(entry)) this.#table.delete(macLow(entry.mac), keyHigh(macHigh(entry.mac), entry.vlan));
		}
	}

	/** All entries that did not age, by address and VLAN. */
	entries(): FdbEntry<Port>[] {
		const now = this.#clock.now;
		return [...this.#table.values()]
			.filter((entry) => entry.kind !== "dynamic" || now - entry.updated <= this.ageing)
			.sort((a, b) => a.mac - b.mac || a.vlan - b.vlan);
	}
}
