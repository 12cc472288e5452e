import { NetError } from "../../errors.ts";
import type { Device } from "../device.ts";
import type { BridgeFdb } from "./fdb.ts";
import type { BridgePort } from "./port.ts";
import type { VlanGroup, VlanMember } from "./vlan-group.ts";

/** How a port is in a VLAN: `bridge vlan add … [pvid] [untagged]`. */
export interface VlanFlags {
	readonly pvid?: boolean;
	readonly untagged?: boolean;
}

/** One VLAN, or a range such as "100-199". */
export type VlanRange = number | `${number}-${number}`;

/** What the VLANs of a bridge belong to. */
export interface VlanBridge {
	readonly place: string;
	readonly self: Device;
	readonly newestPorts: readonly BridgePort[];
	readonly vlanGroup: VlanGroup;
	readonly fdb: BridgeFdb;
	port(device: Device): BridgePort | undefined;
}

const MOST_VID = 4094;

/** `bridge vlan …` of one bridge and its ports. Reference: net/bridge/br_vlan.c. */
export class BridgeVlans {
	readonly #bridge: VlanBridge;
	/** What a new port is in, as PVID and untagged; 0 for none (`vlan_default_pvid`). */
	#defaultPvid = 1;

	constructor(bridge: VlanBridge) {
		this.#bridge = bridge;
	}

	/** `vlan_default_pvid`. */
	get defaultPvid(): number {
		return this.#defaultPvid;
	}

	/**
	 * `bridge vlan add dev DEV vid VID [pvid] [untagged]`; for the bridge itself with `self`. Throws `NetError`
	 * EINVAL for an id that is none, or a PVID for several; EOPNOTSUPP for a device that is no port.
	 */
	add(dev: Device, vid: VlanRange, { pvid = false, untagged = false }: VlanFlags = {}): void {
		const vids = this.#range(vid);
		if (pvid && typeof vid === "string" && vid.includes("-"))
			throw this.#invalid("pvid cannot be configured for a vlan range", { vid });
		const { port, group } = this.#at(dev);
		for (const each of vids) this.#add(port, group, each, { pvid, untagged });
	}

	#add(
		port: BridgePort | null,
		group: VlanGroup,
		vid: number,
		flags: { readonly pvid: boolean; readonly untagged: boolean },
	): void {
		group.add(vid, flags);
		this.#bridge.fdb.addLocal(port, (port?.device ?? this.#bridge.self).mac, vid);
	}

	/** `bridge vlan del dev DEV vid VID`; nothing happens for what is not there. Throws `NetError` EINVAL, EOPNOTSUPP. */
	del(dev: Device, vid: VlanRange): void {
		const vids = this.#range(vid);
		const { port, group } = this.#at(dev);
		for (const each of vids) this.#del(port, group, each);
	}

	#del(port: BridgePort | null, group: VlanGroup, vid: number): void {
		if (!group.remove(vid)) return;
		this.#bridge.fdb.deleteLocal(port, (port?.device ?? this.#bridge.self).mac, vid);
		if (port !== null) this.#bridge.fdb.forgetPort(port, { all: false, vlan: vid });
	}

	/** `bridge vlan show dev DEV`. */
	show(dev: Device): VlanMember[] {
		return this.#at(dev).group.members();
	}

	/** A new port, or the bridge itself, joins the default VLAN. */
	joinDefault(port: BridgePort | null): void {
		const group = port === null ? this.#bridge.vlanGroup : port.vlanGroup;
		if (this.#defaultPvid !== 0) this.#add(port, group, this.#defaultPvid, { pvid: true, untagged: true });
	}

	/**
	 * Everyone who was in the old default VLAN as PVID goes to the new one, those aside who are in that one already: a
	 * user has decided there (`__br_vlan_set_default_pvid`).
	 */
	setDefaultPvid(vid: number): void {
		const old = this.#defaultPvid;
		this.#defaultPvid = vid;
		for (const port of [null, ...this.#bridge.newestPorts]) {
			const group = port === null ? this.#bridge.vlanGroup : port.vlanGroup;
			const default_ = group.members().find((member) => member.vid === old);
			const follows = old === 0 || (default_?.pvid === true && default_.untagged);
			if (!follows || group.has(vid)) continue;
			if (vid !== 0) this.#add(port, group, vid, { pvid: true, untagged: true });
			if (old !== 0) this.#del(port, group, old);
		}
	}

	/** The VLANs of a range; what `bridge` reads, then what the kernel takes. */
	#range(vid: VlanRange): number[] {
		const words = String(vid).split("-");
		const [first, last] = [Number(words[0]), Number(words.at(-1))];
		const isRange = words.length > 1;
		for (const each of [first, last]) {
			if (Number.isInteger(each) && each >= 0 && (each <= MOST_VID + 1 || isRange)) continue;
			throw this.#invalid(`Invalid VLAN ID "${String(each)}"`, { vid });
		}
		if (isRange && (first >= last || last > MOST_VID + 1))
			throw this.#invalid(`Invalid VLAN range "${String(first)}-${String(last)}"`, { vid });
		if (first < 1 || last > MOST_VID) throw this.#invalid("Error: bridge: Vlan id is invalid.", { vid });
		return Array.from({ length: last - first + 1 }, (_, i) => first + i);
	}

	#at(dev: Device): { readonly port: BridgePort | null; readonly group: VlanGroup } {
		if (dev === this.#bridge.self) return { port: null, group: this.#bridge.vlanGroup };
		const port = this.#bridge.port(dev);
		if (port !== undefined) return { port, group: port.vlanGroup };
		throw new NetError("EOPNOTSUPP", "RTNETLINK answers: Operation not supported", {
			remedy: `${dev.name} is no port of this bridge.`,
			context: { bridge: this.#bridge.place, device: dev.place },
		});
	}

	#invalid(text: string, context: object): NetError {
		return new NetError("EINVAL", text, {
			remedy: `A VLAN id is a whole number from 1 to ${String(MOST_VID)}; a range has two, and no PVID.`,
			context: { bridge: this.#bridge.place, ...context },
		});
	}
}
