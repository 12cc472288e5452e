import { NetError } from "../errors.ts";
import type { DeviceConf, NeighbourConf } from "./in-device.ts";
import type { IgmpConf } from "./ipv4/igmp.ts";
import type { IpvsSettings } from "./ipvs/index.ts";
import type { Ipv4Conf } from "./ipv4/conf.ts";
import type { NeighbourGc } from "./kernel.ts";
import type { Namespace } from "./namespace.ts";
import type { BridgeNetfilterConf } from "./netfilter/bridge-netfilter.ts";
import type { ConntrackConf } from "./netfilter/conntrack/conf.ts";
import type { CoreConf, TcpChoices, TcpConf } from "./tcp/index.ts";

/** The names this stack knows, as `sysctl` writes them; `<device>` may be `all` or `default` where Linux has it. */
export type SysctlName =
	| "net.ipv4.ip_forward"
	| `net.ipv4.${keyof IgmpConf}`
	| `net.bridge.${keyof BridgeNetfilterConf}`
	| `net.netfilter.${keyof ConntrackConf}`
	| `net.ipv4.vs.${keyof IpvsSettings}`
	| `net.ipv4.${keyof Ipv4Conf}`
	| `net.ipv4.neigh.default.${keyof NeighbourGc}`
	| `net.ipv4.${keyof TcpConf}`
	| `net.core.${keyof CoreConf}`
	| `net.ipv4.conf.${string}.${keyof DeviceConf}`
	| `net.ipv4.neigh.${string}.${keyof NeighbourConf}`;

/** Settings that are lists or words. */
export interface SysctlLists {
	/** Ports that the kernel chooses for programs. */
	"net.ipv4.ip_local_port_range": readonly [low: number, high: number];
	"net.ipv4.tcp_rmem": TcpChoices["tcp_rmem"];
	"net.ipv4.tcp_wmem": TcpChoices["tcp_wmem"];
	"net.ipv4.tcp_congestion_control": TcpChoices["tcp_congestion_control"];
}

/** What modules of the kernel keep in their own tables. */
export interface SysctlModules {
	/** The values below `net.netfilter`. */
	readonly conntrack: () => ConntrackConf;
	/** The values below `net.ipv4.vs`. */
	readonly ipvs: () => IpvsSettings;
}

/**
 * `sysctl` of one namespace. Reference: Documentation/networking/ip-sysctl.rst.
 *
 * `net.ipv4.ip_forward` sets forwarding of all devices, as writing it does in Linux.
 */
export class Sysctl {
	readonly #ns: Namespace;
	readonly #modules: SysctlModules;

	/** `modules` are asked when one of their names is named, since most namespaces never need them. */
	constructor(ns: Namespace, modules: SysctlModules) {
		this.#ns = ns;
		this.#modules = modules;
	}

	/** Where the names that begin alike are kept. */
	#families(): readonly (readonly [prefix: string, place: () => Place, begin?: string])[] {
		const ns = this.#ns;
		return [
			["net.netfilter.", () => changing(this.#modules.conntrack())],
			["net.bridge.", () => changing(ns.bridgeFilter?.conf ?? {})],
			["net.ipv4.vs.", () => changing(this.#modules.ipvs())],
			// One for the machine, and shown where it boots.
			["net.ipv4.neigh.default.", () => changing(ns.name === ns.kernel.name ? ns.kernel.neighbourGc : {})],
			["net.ipv4.", () => replacing(ns.igmpConf, (conf) => (ns.igmpConf = conf))],
			["net.ipv4.", () => replacing(ns.ipv4.conf, (conf) => (ns.ipv4.conf = conf))],
			["net.ipv4.", () => changing(ns.tcp.conf), "tcp_"],
			["net.core.", () => changing(ns.tcp.coreConf)],
		];
	}

	/** Reads a value. Throws `NetError` ENOENT for a name or device that is not there. */
	get<N extends SysctlName | keyof SysctlLists>(
		name: N,
	): N extends keyof SysctlLists ? SysctlLists[N] : number;
	get(name: SysctlName | keyof SysctlLists): SysctlLists[keyof SysctlLists] | number {
		if (name === "net.ipv4.ip_forward") return this.#ns.confAll.forwarding;
		if (isList(name)) return this.#list(name);
		const { place, key } = this.#place(name);
		return place.table[key] ?? 0;
	}

	#list(name: keyof SysctlLists): SysctlLists[keyof SysctlLists] {
		const ns = this.#ns;
		switch (name) {
			case "net.ipv4.ip_local_port_range":
				return ns.localPortRange;
			case "net.ipv4.tcp_rmem":
				return ns.tcp.conf.tcp_rmem;
			case "net.ipv4.tcp_wmem":
				return ns.tcp.conf.tcp_wmem;
			case "net.ipv4.tcp_congestion_control":
				return ns.tcp.conf.tcp_congestion_control;
		}
	}

	/** `sysctl -w name=value`. Throws `NetError` ENOENT, EINVAL. */
	set<N extends SysctlName | keyof SysctlLists>(
		name: N,
		value: N extends keyof SysctlLists ? SysctlLists[N] : number,
	): void;
	set(name: SysctlName | keyof SysctlLists, value: SysctlLists[keyof SysctlLists] | number): void {
		if (isList(name)) return this.#setList(name, value);
		if (typeof value !== "number" || !Number.isInteger(value)) throw invalid(name, value);
		if (name === "net.ipv4.ip_forward" || name === "net.ipv4.conf.all.forwarding") {
			this.#setForwarding(value);
		} else {
			const { place, key } = this.#place(name);
			place.set(key, value);
		}
		this.#ns.settingsChanged();
	}

	/** `inet_forward_change`. */
	#setForwarding(forwarding: number): void {
		const ns = this.#ns;
		// A router does not believe in redirects.
		ns.confAll = { ...ns.confAll, forwarding, accept_redirects: forwarding === 0 ? 1 : 0 };
		ns.confDefault = { ...ns.confDefault, forwarding };
		for (const inDevice of ns.inDevices) inDevice.conf = { ...inDevice.conf, forwarding };
	}

	#setList(name: keyof SysctlLists, value: SysctlLists[keyof SysctlLists] | number): void {
		const ns = this.#ns;
		if (name === "net.ipv4.tcp_congestion_control") {
			if (value !== "cubic" && value !== "reno")
				throw invalid(name, value, "ENOENT", "No such file or directory");
			ns.tcp.conf.tcp_congestion_control = value;
			return;
		}
		if (typeof value !== "object" || !value.every(Number.isInteger)) throw invalid(name, value);
		const [first, second, third] = value;
		if (name === "net.ipv4.ip_local_port_range") {
			if (value.length !== 2 || first < 1 || second > 65_535 || first > second) throw invalid(name, value);
			ns.localPortRange = [first, second];
			return;
		}
		if (third === undefined || value.some((each) => each < 1)) throw invalid(name, value);
		ns.tcp.conf[name === "net.ipv4.tcp_rmem" ? "tcp_rmem" : "tcp_wmem"] = [first, second, third];
	}

	#place(name: string): { readonly place: Place; readonly key: string } {
		for (const [prefix, placeOf, begin = ""] of this.#families()) {
			const own = name.slice(prefix.length);
			if (!name.startsWith(prefix) || !own.startsWith(begin)) continue;
			const place = placeOf();
			if (Object.hasOwn(place.table, own)) return { place, key: own };
		}
		const match = /^net\.ipv4\.(conf|neigh)\.(.+)\.([a-z0-9_]+)$/.exec(name);
		const [, kind, device, key] = match ?? [];
		const place = kind === undefined || device === undefined ? undefined : this.#placeOf(kind, device);
		if (place === undefined || key === undefined || !Object.hasOwn(place.table, key)) {
			throw new NetError(
				"ENOENT",
				`sysctl: cannot stat /proc/sys/${name.replaceAll(".", "/")}: No such file or directory`,
				{
					context: { name },
				},
			);
		}
		return { place, key };
	}

	#placeOf(kind: string, device: string): Place | undefined {
		const ns = this.#ns;
		if (kind === "conf" && device === "all") return replacing(ns.confAll, (conf) => (ns.confAll = conf));
		if (kind === "conf" && device === "default")
			return replacing(ns.confDefault, (conf) => (ns.confDefault = conf));
		if (kind === "neigh" && device === "default")
			return replacing(ns.neighDefault, (conf) => (ns.neighDefault = conf));
		if (!ns.hasDevice(device)) return undefined;
		const inDevice = ns.inDevice(ns.device(device));
		if (inDevice === undefined) return undefined;
		return kind === "conf"
			? replacing(inDevice.conf, (conf) => (inDevice.conf = conf))
			: replacing(inDevice.neigh, (neigh) => (inDevice.neigh = neigh));
	}
}

const LISTS: readonly string[] = [
	"net.ipv4.ip_local_port_range",
	"net.ipv4.tcp_rmem",
	"net.ipv4.tcp_wmem",
	"net.ipv4.tcp_congestion_control",
] satisfies readonly (keyof SysctlLists)[];

const isList = (name: string): name is keyof SysctlLists => LISTS.includes(name);

const invalid = (name: string, value: unknown, code = "EINVAL", text = "Invalid argument"): NetError =>
	new NetError(code, `sysctl: setting key "${name}": ${text}`, { context: { value } });

/** Numbers by their names, and how one of them becomes another. */
interface Place {
	readonly table: Readonly<Record<string, number>>;
	set(key: string, value: number): void;
}

/** A table that belongs to one module alone. */
function changing(conf: object): Place {
	const table = shared(conf);
	return {
		table,
		set(key, value) {
			table[key] = value;
		},
	};
}

/** The same object, its keys open: the tables hold numbers only where a name leads to them. */
const shared = <T extends { [K in keyof T]: number }>(table: T): Record<string, number> => table;

/** A table that many share: who changes it gets one of its own. */
const replacing = <T extends { readonly [K in keyof T]: number }>(
	table: T,
	put: (changed: T) => void,
): Place => ({
	table,
	set(key, value) {
		put({ ...table, [key]: value });
	},
});
