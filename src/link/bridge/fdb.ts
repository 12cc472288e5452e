import { formatMac, type Mac, toMac, ZERO_MAC } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import type { Device } from "../device.ts";
import { Fdb, type FdbEntry, type FdbKind } from "../fdb.ts";
import type { BridgePort } from "./port.ts";
import type { VlanGroup } from "./vlan-group.ts";

/** What `bridge fdb add MAC dev DEV master …` takes. */
export interface BridgeFdbOptions {
	/** The port, or the bridge itself. */
	readonly dev: Device;
	/** One VLAN; without it the address is put in for all VLANs of the port, and for none. */
	readonly vlan?: number;
	/** `permanent` (goes up; iproute2's default), `static`, `dynamic`, `extern_learn`. */
	readonly kind?: "permanent" | "static" | "dynamic" | "extern_learn";
	/** The address stays here when it is seen at another port. */
	readonly sticky?: boolean;
}

/** What `bridge fdb flush` takes; `false` stands for the word with `no` in front. */
export interface FdbFlush {
	/** A port, or the bridge itself. */
	readonly brport?: Device;
	readonly vlan?: number;
	/** What goes up: the bridge's own addresses, its ports', and those set by hand. */
	readonly permanent?: boolean;
	/** What never ages: permanent entries, too, as the kernel counts. */
	readonly static?: boolean;
	/** What is neither. */
	readonly dynamic?: boolean;
	readonly externLearn?: boolean;
	readonly sticky?: boolean;
}

const MOST_VID = 4094;

/** What the table needs of its bridge. */
export interface FdbBridge {
	readonly mac: Mac;
	readonly place: string;
	/** Newest first. */
	readonly newestPorts: readonly BridgePort[];
	readonly vlanGroup: VlanGroup;
	port(device: Device): BridgePort | undefined;
}

/**
 * A bridge's forwarding table: what `Fdb` learns, the addresses of the bridge and its ports in every VLAN they are
 * in, and what `bridge fdb` puts in by hand. Reference: net/bridge/br_fdb.c.
 */
export class BridgeFdb extends Fdb<BridgePort> {
	readonly #bridge: FdbBridge;

	constructor(bridge: FdbBridge, clock: { readonly now: number }, ageing: number) {
		super(clock, ageing);
		this.#bridge = bridge;
	}

	// ── own addresses ────────────────────────────────────────────────────────────────────────────

	/** Frames to `mac` go up from now on; of several ports with one address the first keeps it (`fdb_add_local`). */
	addLocal(port: BridgePort | null, mac: Mac, vlan: number): void {
		if (mac === ZERO_MAC || this.find(mac, vlan)?.isLocal === true) return;
		this.put(mac, vlan, "local", port);
	}

	/** A port, or the bridge, does not have the address any more; another that has it takes over (`fdb_delete_local`). */
	deleteLocal(port: BridgePort | null, mac: Mac, vlan: number): void {
		const entry = this.find(mac, vlan);
		if (entry?.kind !== "local" || entry.port !== port) return;
		const has = (group: VlanGroup): boolean => vlan === 0 || group.has(vlan);
		const other = this.#bridge.newestPorts.find(
			(each) => each !== port && each.device.mac === mac && has(each.vlanGroup),
		);
		const bridges = port !== null && this.#bridge.mac === mac && has(this.#bridge.vlanGroup);
		if (other === undefined && !bridges) this.remove(mac, vlan);
		else this.change(mac, vlan, { kind: "local", port: other ?? null, sticky: false });
	}

	/** A port's device, or the bridge, changed its address (`br_fdb_changeaddr`, `br_fdb_change_mac_address`). */
	moveLocal(port: BridgePort | null, mac: Mac): void {
		for (const entry of this.entries()) {
			if (entry.kind === "local" && entry.port === port && entry.mac !== mac) {
				this.deleteLocal(port, entry.mac, entry.vlan);
			}
		}
		this.addLocal(port, mac, 0);
		const group = port === null ? this.#bridge.vlanGroup : port.vlanGroup;
		for (const { vid } of group.members()) this.addLocal(port, mac, vid);
	}

	/** Forgets what was learned at a port, or all of it when the port leaves (`br_fdb_delete_by_port`). */
	forgetPort(port: BridgePort, { all, vlan }: { readonly all: boolean; readonly vlan?: number }): void {
		for (const entry of this.entries()) {
			if (entry.port !== port || (vlan !== undefined && entry.vlan !== vlan)) continue;
			if (entry.kind === "local" && all) this.deleteLocal(port, entry.mac, entry.vlan);
			else if (all || entry.ages) this.remove(entry.mac, entry.vlan);
		}
	}

	// ── bridge fdb … ─────────────────────────────────────────────────────────────────────────────

	/**
	 * `bridge fdb add … master`. Throws `NetError` EEXIST (never for `extern_learn`, which takes over what is there),
	 * EINVAL, EPERM, EOPNOTSUPP.
	 */
	add(mac: Mac | string, options: BridgeFdbOptions): void {
		this.#command(mac, options, options.kind !== "extern_learn");
	}

	/** `bridge fdb append … master`: on a bridge the same as replace. Throws `NetError` EINVAL, EPERM, EOPNOTSUPP. */
	append(mac: Mac | string, options: BridgeFdbOptions): void {
		this.#command(mac, options, false);
	}

	/** `bridge fdb replace … master`. Throws `NetError` EINVAL, EPERM, EOPNOTSUPP. */
	replace(mac: Mac | string, options: BridgeFdbOptions): void {
		this.#command(mac, options, false);
	}

	#command(mac: Mac | string, options: BridgeFdbOptions, exclusive: boolean): void {
		const address = toMac(mac, "address");
		const { vlan, kind = "permanent", sticky = false } = options;
		const { port, group } = this.#at(options.dev, vlan);
		const context = { bridge: this.#bridge.place, address: formatMac(address), vlan };
		const refused =
			(address === ZERO_MAC && "All zeros is no address a bridge could forward to.") ||
			(vlan !== undefined && !group.has(vlan) && `VLAN ${String(vlan)} is not configured there.`) ||
			(port === null && kind !== "permanent" && "An address of the bridge itself is permanent.") ||
			(sticky && kind === "permanent" && "A permanent entry cannot be sticky.");
		if (refused !== false) {
			throw new NetError("EINVAL", "RTNETLINK answers: Invalid argument", { remedy: refused, context });
		}
		const learns = port === null || port.state === "learning" || port.state === "forwarding";
		if (kind === "dynamic" && !learns) {
			throw new NetError("EPERM", "RTNETLINK answers: Operation not permitted", {
				remedy: "A port that does not learn now takes permanent and static entries only.",
				context,
			});
		}
		// As the kernel has it: without a VLAN the entry is made for none and for each of the port's.
		const vlans = vlan === undefined ? [0, ...group.members().map(({ vid }) => vid)] : [vlan];
		if (exclusive && vlans.some((each) => this.find(address, each) !== undefined)) {
			throw new NetError("EEXIST", "RTNETLINK answers: File exists", {
				remedy: "Use replace for what is there, learned entries among them.",
				context: { ...context, port: port?.device.name },
			});
		}
		for (const each of vlans) this.#set(address, each, port, kind, sticky);
	}

	#set(mac: Mac, vlan: number, port: BridgePort | null, kind: FdbKind, sticky: boolean): void {
		const old = this.find(mac, vlan);
		if (old === undefined) this.put(mac, vlan, kind, port);
		// A control plane moves what was set by hand, and leaves it what it is (`br_fdb_external_learn_add`).
		const stays = kind === "extern_learn" && old !== undefined && !old.ages;
		this.change(mac, vlan, stays ? { ...old, port } : { kind, port, sticky });
	}

	/**
	 * `bridge fdb del … master`. Throws `NetError` ENOENT for what is not there, at that port, EINVAL for a VLAN that
	 * the port is not in.
	 */
	del(mac: Mac | string, { dev, vlan }: Pick<BridgeFdbOptions, "dev" | "vlan">): void {
		const address = toMac(mac, "address");
		const { port, group } = this.#at(dev, vlan);
		const context = { bridge: this.#bridge.place, address: formatMac(address), vlan };
		if (vlan !== undefined && !group.has(vlan)) {
			throw new NetError("EINVAL", "RTNETLINK answers: Invalid argument", {
				remedy: `VLAN ${String(vlan)} is not configured there.`,
				context,
			});
		}
		const vlans = vlan === undefined ? [0, ...group.members().map(({ vid }) => vid)] : [vlan];
		const there = vlans.filter((each) => this.find(address, each)?.port === port);
		if (there.length === 0)
			throw new NetError("ENOENT", "RTNETLINK answers: No such file or directory", { context });
		for (const each of there) this.remove(address, each);
	}

	/**
	 * With words, `bridge fdb flush dev BR …`: every entry that is all of this goes, with none of them really every one.
	 * Without, `ip link set BR type bridge fdb_flush`: what was learned, here or by a control plane. Throws `NetError`
	 * EOPNOTSUPP, EINVAL.
	 */
	override flush(which?: FdbFlush | ((entry: FdbEntry<BridgePort>) => boolean)): void {
		if (typeof which === "function") return super.flush(which);
		if (which === undefined) return super.flush(({ kind }) => kind === "dynamic" || kind === "extern_learn");
		const at = which.brport === undefined ? undefined : this.#at(which.brport, which.vlan);
		checkVlan(which.vlan, this.#bridge.place);
		const is = (wanted: boolean | undefined, fact: boolean): boolean =>
			wanted === undefined || wanted === fact;
		super.flush(
			(entry) =>
				(at === undefined || entry.port === at.port) &&
				(which.vlan === undefined || entry.vlan === which.vlan) &&
				is(which.permanent, entry.isLocal) &&
				is(which.static, entry.isLocal || entry.kind === "static") &&
				is(which.dynamic, !entry.isLocal && entry.kind !== "static") &&
				is(which.externLearn, entry.kind === "extern_learn") &&
				is(which.sticky, entry.sticky),
		);
	}

	#at(
		dev: Device,
		vlan: number | undefined,
	): { readonly port: BridgePort | null; readonly group: VlanGroup } {
		checkVlan(vlan, this.#bridge.place);
		if (dev.place === this.#bridge.place) return { port: null, group: this.#bridge.vlanGroup };
		const port = this.#bridge.port(dev);
		if (port !== undefined) return { port, group: port.vlanGroup };
		throw new NetError("EOPNOTSUPP", "RTNETLINK answers: Operation not supported", {
			remedy: `${dev.name} is no port of this bridge.`,
			context: { bridge: this.#bridge.place, device: dev.place },
		});
	}
}

/** Throws `NetError` EINVAL for an id that is none (`fdb_vid_parse`). */
function checkVlan(vlan: number | undefined, bridge: string): void {
	if (vlan === undefined || (Number.isInteger(vlan) && vlan >= 1 && vlan <= MOST_VID)) return;
	throw new NetError("EINVAL", "Error: invalid vlan id.", {
		remedy: `A VLAN id is a whole number from 1 to ${String(MOST_VID)}.`,
		context: { bridge, vlan },
	});
}
