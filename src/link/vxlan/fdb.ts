import {
	formatIp4,
	formatMac,
	type Ip4,
	isMulticastMac,
	type Mac,
	macHigh,
	macLow,
	macOfParts,
	type Vni,
	ZERO_MAC,
} from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import type { Instant, Nanoseconds } from "../../sim/index.ts";
import type { Device } from "../device.ts";
import { MacTable } from "../mac-table.ts";

/** One place an address can be reached at: `dst … port … vni … via …` of `bridge fdb`. */
export interface Remote {
	readonly ip: Ip4;
	readonly port: number;
	readonly vni: Vni;
	/** The device of the underlay to leave by; `null` where its routes decide. */
	readonly device: Device | null;
}

/**
 * Who made an entry and how long it stays: `permanent` and `static` ones are set by hand, never age and never move;
 * `reachable` ones were learned, or set by hand with `dynamic`.
 */
export type VxlanFdbState = "permanent" | "static" | "reachable";

/** One address of the overlay and the VTEPs behind which it is. The zero address is the default. */
export class VxlanFdbEntry {
	readonly mac: Mac;
	state: VxlanFdbState;
	/** A router of the overlay: what is sent to it may be short-circuited (`router`, see `rsc`). */
	router: boolean;
	remotes: readonly Remote[];
	/** When a frame to or from the address was last seen. A number from the start: what was undefined first keeps objects. */
	used: Instant = 0;

	constructor(mac: Mac, state: VxlanFdbState, router: boolean, remotes: readonly Remote[], now: Instant) {
		this.mac = mac;
		this.state = state;
		this.router = router;
		this.remotes = remotes;
		this.used = now;
	}

	/** Whether it ages, and moves when the address speaks from elsewhere. */
	get learned(): boolean {
		return this.state === "reachable";
	}
}

/** Permanent entries that were said and are made when a frame first asks for them: a swarm has more than are spoken to. */
export interface PromisedFdb {
	/** Gives away where an address is, if that is known and was not given away before. */
	take(mac: Mac): Remote | undefined;
	/** Gives away all that are left. */
	takeAll(): Iterable<readonly [mac: Mac, remote: Remote]>;
}

/** What a user says about an entry beside its remote. */
export interface FdbFlags {
	readonly state: VxlanFdbState;
	readonly router: boolean;
}

const BY_HAND: FdbFlags = { state: "permanent", router: false };

/**
 * The forwarding table of a VXLAN device: inner MAC → remote VTEPs. Entries set by hand may name several remotes
 * (ingress replication); learned ones name one and are forgotten by `expire` once unused for `ageing` nanoseconds.
 * Reference: drivers/net/vxlan/vxlan_core.c, `vxlan_fdb_*`.
 */
export class VxlanFdb {
	readonly #table = new MacTable<VxlanFdbEntry>();
	readonly #clock: { readonly now: Instant };
	readonly ageing: Nanoseconds;
	/** How many entries age. */
	#learned = 0;
	#promised: PromisedFdb | undefined;

	constructor(clock: { readonly now: Instant }, ageing: Nanoseconds) {
		this.#clock = clock;
		this.ageing = ageing;
	}

	/** Further permanent entries come from `promised`, each when it is first asked for; in place of others promised before. */
	promise(promised: PromisedFdb): void {
		this.#promised = promised;
	}

	#keep(low: number, high: number): VxlanFdbEntry | undefined {
		const mac = macOfParts(high, low);
		const remote = this.#promised?.take(mac);
		if (remote === undefined) return undefined;
		this.#create(mac, remote, BY_HAND);
		return this.#table.get(low, high);
	}

	#get(low: number, high: number): VxlanFdbEntry | undefined {
		return this.#table.get(low, high) ?? (this.#promised === undefined ? undefined : this.#keep(low, high));
	}

	/** The entry of the address in the frame at `low`, `high` (see `MacTable`), marked as used. */
	lookup(low: number, high: number): VxlanFdbEntry | undefined {
		const entry = this.#get(low, high);
		if (entry !== undefined) entry.used = this.#clock.now;
		return entry;
	}

	/** The entry of an address, marked as used. */
	use(mac: Mac): VxlanFdbEntry | undefined {
		return this.lookup(macLow(mac), macHigh(mac));
	}

	/** The entry of an address. */
	find(mac: Mac): VxlanFdbEntry | undefined {
		return this.#get(macLow(mac), macHigh(mac));
	}

	/** Notes that `mac` is behind one remote, as learned from a packet. */
	learn(mac: Mac, remote: Remote): void {
		this.#put(new VxlanFdbEntry(mac, "reachable", false, [remote], this.#clock.now));
	}

	/** A learned address speaks from elsewhere: port and VNI stay (`vxlan_snoop`). */
	move(entry: VxlanFdbEntry, ip: Ip4): void {
		const [first] = entry.remotes;
		if (first !== undefined) entry.remotes = [{ ...first, ip }];
	}

	/** `bridge fdb add`: throws EEXIST when an entry is there, learned ones included. */
	add(mac: Mac, remote: Remote, flags: FdbFlags = BY_HAND): void {
		if (this.find(mac) !== undefined) throw exists(mac);
		this.#create(mac, remote, flags);
	}

	/**
	 * `bridge fdb append`: one more remote, at the end. Only the default and multicast addresses keep several; any
	 * other address that is there becomes `flags` and keeps its remote, as in Linux.
	 */
	append(mac: Mac, remote: Remote, flags: FdbFlags = BY_HAND): void {
		const old = this.find(mac);
		if (old === undefined) return this.#create(mac, remote, flags);
		if (old.learned) this.#learned--;
		old.state = flags.state;
		if (old.learned) this.#learned++;
		old.router = flags.router;
		if (isGroup(mac) && !old.remotes.some((each) => sameRemote(each, remote))) {
			old.remotes = [...old.remotes, remote];
		}
	}

	/** `bridge fdb replace`. Throws EOPNOTSUPP for the default and multicast addresses. */
	replace(mac: Mac, remote: Remote, flags: FdbFlags = BY_HAND): void {
		if (isGroup(mac)) {
			const text =
				this.find(mac) === undefined
					? "RTNETLINK answers: Operation not supported"
					: "Error: Cannot replace non-unicast fdb entries.";
			throw new NetError("EOPNOTSUPP", text, {
				remedy: "Delete the remotes of the default or multicast address one by one and append the new ones.",
				context: { address: formatMac(mac) },
			});
		}
		this.#create(mac, remote, flags);
	}

	/** `bridge fdb del`: the one remote, or the whole entry. Throws ENOENT for what is not there. */
	del(mac: Mac, remote?: Remote): void {
		const entry = this.find(mac);
		const left = remote === undefined ? [] : entry?.remotes.filter((each) => !sameRemote(each, remote));
		if (entry === undefined || left === undefined || left.length === entry.remotes.length) {
			throw new NetError("ENOENT", "RTNETLINK answers: No such file or directory", {
				remedy: "A remote is meant by its address, port, VNI and device together.",
				context: {
					address: formatMac(mac),
					...(remote === undefined ? {} : { dst: formatIp4(remote.ip) }),
				},
			});
		}
		if (left.length > 0) entry.remotes = left;
		else this.#delete(mac);
	}

	/** Forgets what was learned, as when the device goes down (`vxlan_flush`). */
	flush(): void {
		for (const entry of [...this.#table.values()])
			if (entry.learned && entry.mac !== ZERO_MAC) this.#delete(entry.mac);
	}

	/** Forgets what was unused too long; says when the next entry will have been, if any ages (`vxlan_cleanup`). */
	expire(): Instant | undefined {
		const { now } = this.#clock;
		let next: Instant | undefined;
		if (this.#learned === 0) return undefined;
		for (const entry of [...this.#table.values()]) {
			if (!entry.learned) continue;
			const due = entry.used + this.ageing;
			if (due <= now) this.#delete(entry.mac);
			else next = Math.min(next ?? due, due);
		}
		return next;
	}

	/** Whether anything is there that ages. */
	get hasLearned(): boolean {
		return this.#learned > 0;
	}

	/** All entries, by address. */
	entries(): VxlanFdbEntry[] {
		for (const [mac, remote] of this.#promised?.takeAll() ?? []) this.#create(mac, remote, BY_HAND);
		this.#promised = undefined;
		return [...this.#table.values()].sort((a, b) => a.mac - b.mac);
	}

	#create(mac: Mac, remote: Remote, { state, router }: FdbFlags): void {
		this.#put(new VxlanFdbEntry(mac, state, router, [remote], this.#clock.now));
	}

	#put(entry: VxlanFdbEntry): void {
		if (this.find(entry.mac)?.learned === true) this.#learned--;
		if (entry.learned) this.#learned++;
		this.#table.set(macLow(entry.mac), macHigh(entry.mac), entry);
	}

	#delete(mac: Mac): void {
		if (this.find(mac)?.learned === true) this.#learned--;
		this.#table.delete(macLow(mac), macHigh(mac));
	}
}

/** The zero address (the default) or a multicast address: what may be behind several VTEPs. */
const isGroup = (mac: Mac): boolean => mac === ZERO_MAC || isMulticastMac(mac);

const sameRemote = (a: Remote, b: Remote): boolean =>
	a.ip === b.ip && a.port === b.port && a.vni === b.vni && a.device === b.device;

const exists = (mac: Mac): NetError =>
	new NetError("EEXIST", "RTNETLINK answers: File exists", { context: { address: formatMac(mac) } });
