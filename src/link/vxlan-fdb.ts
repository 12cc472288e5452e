import {
	formatIp4,
	formatMac,
	type Ip4,
	isMulticastMac,
	type Mac,
	type Vni,
	ZERO_MAC,
} from "../addr/index.ts";
import { NetError } from "../errors.ts";
import { MacTable, macHigh, macLow } from "./mac-table.ts";

/** One place an address can be reached at: `dst … port … vni …` of `bridge fdb`. */
export interface Remote {
	readonly ip: Ip4;
	readonly port: number;
	readonly vni: Vni;
}

/** One address of the overlay and the VTEPs behind which it is. The zero address is the default. */
export class VxlanFdbEntry {
	readonly mac: Mac;
	/** Set by hand: never ages, never moves (`permanent`, `static`); otherwise learned. */
	readonly learned: boolean;
	remotes: readonly Remote[];
	/** When a frame to or from the address was last seen. */
	used: number;

	constructor(mac: Mac, learned: boolean, remotes: readonly Remote[], now: number) {
		this.mac = mac;
		this.learned = learned;
		this.remotes = remotes;
		this.used = now;
	}
}

/**
 * The forwarding table of a VXLAN device: inner MAC → remote VTEPs. Entries set by hand may name several
 * remotes (ingress replication); learned ones name one and are forgotten `ageing` nanoseconds after the
 * last frame. Reference: drivers/net/vxlan/vxlan_core.c, `vxlan_fdb_*`.
 */
export class VxlanFdb {
	readonly #table = new MacTable<VxlanFdbEntry>();
	readonly #clock: { readonly now: number };
	readonly ageing: number;

	constructor(clock: { readonly now: number }, ageing: number) {
		this.#clock = clock;
		this.ageing = ageing;
	}

	/** The entry of the address in the frame at `low`, `high` (see `MacTable`), marked as used. */
	lookup(low: number, high: number): VxlanFdbEntry | undefined {
		const entry = this.#table.get(low, high);
		if (entry === undefined) return undefined;
		const now = this.#clock.now;
		if (entry.learned && now - entry.used > this.ageing) {
			this.#table.delete(low, high);
			return undefined;
		}
		entry.used = now;
		return entry;
	}

	/** The entry of an address. */
	find(mac: Mac): VxlanFdbEntry | undefined {
		return this.#table.get(macLow(mac), macHigh(mac));
	}

	/** Notes that `mac` is behind one remote, as learned from a packet. */
	learn(mac: Mac, remote: Remote): void {
		this.#put(new VxlanFdbEntry(mac, true, [remote], this.#clock.now));
	}

	/** `bridge fdb add`: throws EEXIST when a hand-set entry is there. */
	add(mac: Mac, remote: Remote): void {
		const old = this.find(mac);
		if (old !== undefined && !old.learned) throw exists(mac);
		this.#put(new VxlanFdbEntry(mac, false, [remote], this.#clock.now));
	}

	/**
	 * `bridge fdb append`: one more remote, at the end. Only the default and multicast addresses keep several;
	 * for any other address that is there, and for a remote that is there, nothing changes, as in Linux.
	 */
	append(mac: Mac, remote: Remote): void {
		const old = this.find(mac);
		if (old === undefined || old.learned) return this.add(mac, remote);
		if (isGroup(mac) && !old.remotes.some((each) => sameRemote(each, remote))) {
			old.remotes = [...old.remotes, remote];
		}
	}

	/** `bridge fdb replace`. Throws EOPNOTSUPP for the default and multicast addresses when they are there. */
	replace(mac: Mac, remote: Remote): void {
		if (isGroup(mac) && this.find(mac) !== undefined) {
			throw new NetError("EOPNOTSUPP", "RTNETLINK answers: Operation not supported", {
				remedy: "Delete the remotes of the default or multicast address one by one and append the new ones.",
				context: { address: formatMac(mac) },
			});
		}
		this.#put(new VxlanFdbEntry(mac, false, [remote], this.#clock.now));
	}

	/** `bridge fdb del`: the one remote, or the whole entry. Throws ENOENT for what is not there. */
	del(mac: Mac, ip?: Ip4): void {
		const entry = this.find(mac);
		const left = ip === undefined ? [] : (entry?.remotes.filter((each) => each.ip !== ip) ?? []);
		if (entry === undefined || left.length === entry.remotes.length) {
			throw new NetError("ENOENT", "RTNETLINK answers: No such file or directory", {
				context: { address: formatMac(mac), ...(ip === undefined ? {} : { dst: formatIp4(ip) }) },
			});
		}
		if (left.length > 0) entry.remotes = left;
		else this.#table.delete(macLow(mac), macHigh(mac));
	}

	/** Forgets what was learned (`bridge fdb flush`). */
	flush(): void {
		for (const entry of this.entries()) {
			if (entry.learned) this.#table.delete(macLow(entry.mac), macHigh(entry.mac));
		}
	}

	/** All entries, by address. */
	entries(): VxlanFdbEntry[] {
		return [...this.#table.values()].sort((a, b) => a.mac - b.mac);
	}

	#put(entry: VxlanFdbEntry): void {
		this.#table.set(macLow(entry.mac), macHigh(entry.mac), entry);
	}
}

/** The zero address (the default) or a multicast address: what may be behind several VTEPs. */
const isGroup = (mac: Mac): boolean => mac === ZERO_MAC || isMulticastMac(mac);

const sameRemote = (a: Remote, b: Remote): boolean => a.ip === b.ip && a.port === b.port && a.vni === b.vni;

const exists = (mac: Mac): NetError =>
	new NetError("EEXIST", "RTNETLINK answers: File exists", { context: { address: formatMac(mac) } });
