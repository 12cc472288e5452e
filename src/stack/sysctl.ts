import { NetError } from "../errors.ts";
import type { DeviceConf, NeighbourConf } from "./in-device.ts";
import type { IgmpConf } from "./ipv4/igmp.ts";
import type { IpvsSettings } from "./ipvs/index.ts";
import type { Ipv4Conf } from "./ipv4/conf.ts";
import type { Namespace } from "./namespace.ts";
import type { BridgeNetfilterConf } from "./netfilter/bridge-netfilter.ts";
import type { ConntrackConf } from "./netfilter/conntrack/conf.ts";

/** The names this stack knows, as `sysctl` writes them; `<device>` may be `all` or `default` where Linux has it. */
export type SysctlName =
	| "net.ipv4.ip_forward"
	| `net.ipv4.${keyof IgmpConf}`
	| `net.bridge.${keyof BridgeNetfilterConf}`
	| `net.netfilter.${keyof ConntrackConf}`
	| `net.ipv4.vs.${keyof IpvsSettings}`
	| `net.ipv4.${keyof Ipv4Conf}`
	| `net.ipv4.conf.${string}.${keyof DeviceConf}`
	| `net.ipv4.neigh.${string}.${keyof NeighbourConf}`;

/**
 * `sysctl` of one namespace. Reference: Documentation/networking/ip-sysctl.rst.
 *
 * `net.ipv4.ip_forward` sets forwarding of all devices, as writing it does in Linux.
 */
export class Sysctl {
	readonly #ns: Namespace;
	/** Where the names that begin alike are kept; asked for when one is named, since most namespaces never need them. */
	readonly #families: readonly (readonly [prefix: string, settings: () => object])[];

	/** `conntrack` gives the values below `net.netfilter`, `ipvs` those below `net.ipv4.vs`. */
	constructor(
		ns: Namespace,
		{ conntrack, ipvs }: { readonly conntrack: () => ConntrackConf; readonly ipvs: () => IpvsSettings },
	) {
		this.#ns = ns;
		this.#families = [
			["net.netfilter.", conntrack],
			["net.bridge.", () => ns.bridgeFilter?.conf ?? {}],
			["net.ipv4.vs.", ipvs],
			["net.ipv4.", () => ns.igmpConf],
			["net.ipv4.", () => ns.ipv4.conf],
		];
	}

	/** Reads a value. Throws `NetError` ENOENT for a name or device that is not there. */
	get(name: SysctlName): number {
		if (name === "net.ipv4.ip_forward") return this.#ns.confAll.forwarding;
		const value = this.#place(name);
		return value.table[value.key] ?? 0;
	}

	/** `sysctl -w name=value`. Throws `NetError` ENOENT, EINVAL. */
	set(name: SysctlName, value: number): void {
		if (!Number.isInteger(value)) {
			throw new NetError("EINVAL", `sysctl: setting key "${name}": Invalid argument`, { context: { value } });
		}
		if (name === "net.ipv4.ip_forward" || name === "net.ipv4.conf.all.forwarding") {
			this.#ns.confAll.forwarding = value;
			this.#ns.confDefault.forwarding = value;
			// A router does not believe in redirects (`inet_forward_change`).
			this.#ns.confAll.accept_redirects = value === 0 ? 1 : 0;
			for (const inDevice of this.#ns.inDevices) inDevice.conf.forwarding = value;
		} else {
			const { table, key } = this.#place(name);
			table[key] = value;
		}
		this.#ns.settingsChanged();
	}

	#place(name: string): { readonly table: Record<string, number>; readonly key: string } {
		for (const [prefix, settings] of this.#families) {
			const own = name.slice(prefix.length);
			if (!name.startsWith(prefix)) continue;
			const table = shared(settings());
			if (Object.hasOwn(table, own)) return { table, key: own };
		}
		const match = /^net\.ipv4\.(conf|neigh)\.(.+)\.([a-z0-9_]+)$/.exec(name);
		const [, kind, device, key] = match ?? [];
		const table = kind === undefined || device === undefined ? undefined : this.#table(kind, device);
		if (table === undefined || key === undefined || !Object.hasOwn(table, key)) {
			throw new NetError(
				"ENOENT",
				`sysctl: cannot stat /proc/sys/${name.replaceAll(".", "/")}: No such file or directory`,
				{
					context: { name },
				},
			);
		}
		return { table, key };
	}

	#table(kind: string, device: string): Record<string, number> | undefined {
		const ns = this.#ns;
		if (kind === "conf" && device === "all") return shared(ns.confAll);
		if (kind === "conf" && device === "default") return shared(ns.confDefault);
		if (kind === "neigh" && device === "default") return shared(ns.neighDefault);
		if (!ns.hasDevice(device)) return undefined;
		const inDevice = ns.inDevice(ns.device(device));
		if (inDevice === undefined) return undefined;
		return shared(kind === "conf" ? inDevice.conf : inDevice.neigh);
	}
}

/** The same object, its keys open: the tables hold numbers only. */
const shared = <T extends { [K in keyof T]: number }>(table: T): Record<string, number> => table;
