import { formatIp4, type Ip4, isMulticastIp4, toIp4 } from "../../../addr/index.ts";
import { NetError } from "../../../errors.ts";
import type { Device } from "../../device.ts";
import type { BridgePort } from "../port.ts";
import type { VlanGroup } from "../vlan-group.ts";
import type { Group } from "./groups.ts";
import type { Snooping } from "./snooping.ts";

/** What `bridge mdb add dev BR port DEV grp GROUP …` takes. */
export interface MdbOptions {
	/** The port, or the bridge itself: its own stack joins. */
	readonly port: Device;
	readonly group: Ip4 | string;
	/** One VLAN; without it, while VLANs are filtered, all of the port's. */
	readonly vid?: number;
	/** It stays until it is deleted; otherwise as long as a report would last. */
	readonly permanent?: boolean;
}

/** What the commands need of their bridge. */
export interface MdbBridge {
	readonly place: string;
	readonly isUp: boolean;
	readonly self: Device;
	readonly vlanGroup: VlanGroup;
	readonly vlanFiltering: boolean;
	readonly snooping: Snooping;
	port(device: Device): BridgePort | undefined;
}

const MOST_VID = 4094;

/** `bridge mdb …` of one bridge. Reference: net/bridge/br_mdb.c. */
export class MdbCommands {
	readonly #bridge: MdbBridge;

	constructor(bridge: MdbBridge) {
		this.#bridge = bridge;
	}

	/** `bridge mdb add dev BR port DEV grp GROUP [permanent] [vid VID]`. Throws `NetError` EINVAL, EEXIST. */
	add(options: MdbOptions): void {
		const { mdb, config } = this.#bridge.snooping;
		const permanent = options.permanent ?? false;
		const address = this.#group(options);
		if (!this.#bridge.isUp) throw this.#refused("Error: bridge: Bridge device is not running.", options);
		if (!config.snooping)
			throw this.#refused("Error: bridge: Bridge's multicast processing is disabled.", options);
		const port = this.#port(options);
		if (port?.state === "disabled" && !permanent) {
			const text = "Error: bridge: Port is in disabled state and entry is not permanent.";
			throw this.#refused(text, options);
		}
		if (port === null && permanent)
			throw this.#refused("Error: bridge: Flags are not allowed for host groups.", options);
		const vids = this.#vids(port, options.vid);
		if (vids.some((vid) => isIn(mdb.get(address, vid), port))) {
			const who = port === null ? "host" : "port";
			throw this.#refused(`Error: bridge: Group is already joined by ${who}.`, options, "EEXIST");
		}
		for (const vid of vids) {
			const group = mdb.make(address, vid);
			if (port === null) group.hostJoined = true;
			const { timer } = port === null ? group : mdb.add(group, port, permanent, "static");
			if (!permanent) timer.after(config.membershipInterval);
		}
	}

	/** `bridge mdb del dev BR port DEV grp GROUP [vid VID]`. Throws `NetError` EINVAL, also for what is not there. */
	del(options: Omit<MdbOptions, "permanent">): void {
		const { mdb, config } = this.#bridge.snooping;
		const address = this.#group(options);
		const port = this.#port(options);
		const groups = this.#vids(port, options.vid).map((vid) => mdb.get(address, vid));
		const there = groups.filter((group) => isIn(group, port));
		if (there.length === 0 || !this.#bridge.isUp || !config.snooping)
			throw this.#refused("RTNETLINK answers: Invalid argument", options);
		for (const group of there) {
			if (port === null) mdb.leaveHost(group!);
			else mdb.remove(group!, port);
		}
	}

	#group(options: MdbOptions): Ip4 {
		const { vid } = options;
		const group = toIp4(options.group, "group");
		if (!isMulticastIp4(group))
			throw this.#refused("Error: bridge: IPv4 entry group address is not multicast.", options);
		if (group >>> 8 === 0xe0_0000)
			throw this.#refused("Error: bridge: IPv4 entry group address is local multicast.", options);
		if (vid !== undefined && (!Number.isInteger(vid) || vid < 0 || vid > MOST_VID))
			throw this.#refused("Error: bridge: Invalid entry VLAN id.", options);
		return group;
	}

	#port(options: MdbOptions): BridgePort | null {
		if (options.port === this.#bridge.self) return null;
		const port = this.#bridge.port(options.port);
		if (port !== undefined) return port;
		const text =
			options.port.upper?.master?.kind === "bridge"
				? "Error: bridge: Port belongs to a different bridge device."
				: "Error: bridge: Net device is not a bridge port.";
		throw this.#refused(text, options);
	}

	#vids(port: BridgePort | null, vid: number | undefined): readonly number[] {
		if (vid !== undefined && vid !== 0) return [vid];
		if (!this.#bridge.vlanFiltering) return [0];
		return (port?.vlanGroup ?? this.#bridge.vlanGroup).members().map((member) => member.vid);
	}

	#refused(text: string, { group, port, vid }: MdbOptions, code = "EINVAL"): NetError {
		return new NetError(code, text, {
			context: {
				bridge: this.#bridge.place,
				group: typeof group === "string" ? group : formatIp4(group),
				port: port.name,
				vid,
			},
		});
	}
}

const isIn = (group: Group | undefined, port: BridgePort | null): boolean =>
	port === null ? group?.hostJoined === true : group?.members.has(port) === true;
