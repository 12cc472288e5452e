import type { Ip4 } from "../../addr/index.ts";
import type { Device } from "../../link/index.ts";
import type { Namespace } from "../namespace.ts";
import { CONNTRACK_CONF, type ConntrackConf } from "./conntrack/conf.ts";
import { Conntrack } from "./conntrack/conntrack.ts";
import { type HookPoint, PRIORITY } from "./hooks.ts";
import { type Predicates, type RuleHost, TABLES, type TableName } from "./iptables/extension.ts";
import { BUILT_IN, Table } from "./iptables/table.ts";
import { Log } from "./log.ts";
import { Nat } from "./nat/nat.ts";

/**
 * Netfilter of one namespace: connection tracking, address translation, tables. Nothing of it is there, and
 * nothing looks at packets, until something asks for it: a table when the first command is about it,
 * connection tracking with the nat table or the first rule that needs it.
 */
export class Netfilter implements RuleHost {
	readonly ns: Namespace;
	/** `dmesg`, as far as packets are concerned. */
	readonly log: Log;
	/** What IPVS and IPsec say about packets; IPVS nothing until it is there. */
	readonly predicates: Predicates = {
		ipvs: () => false,
		ipsec: (frame, direction) =>
			direction === "in" ? frame.secPath !== null : this.ns.ipsec?.transforms(frame) === true,
	};
	/** `net.netfilter.nf_conntrack_*`. */
	readonly conntrackConf: ConntrackConf = { ...CONNTRACK_CONF };
	#conntrack: Conntrack | undefined;
	#nat: Nat | undefined;
	readonly #tables = new Map<TableName, Table>();

	constructor(ns: Namespace) {
		this.ns = ns;
		this.log = new Log(ns.world.scheduler);
	}

	/** Connection tracking; begins when first asked for. */
	get conntrack(): Conntrack {
		return (this.#conntrack ??= new Conntrack(this.ns, this.log, this.conntrackConf));
	}

	/** Connection tracking, if it is on. */
	get trackedBy(): Conntrack | undefined {
		return this.#conntrack;
	}

	/** Address translation; its hooks come with the nat table. */
	get nat(): Nat {
		return (this.#nat ??= new Nat(this.ns, this.conntrack));
	}

	/** The tables there are, in the order `iptables-save` prints them. */
	get tables(): readonly Table[] {
		return TABLES.flatMap((name) => this.#tables.get(name) ?? []);
	}

	/** A table, if a command was about it already. */
	existing(name: TableName): Table | undefined {
		return this.#tables.get(name);
	}

	/** A table; made, with its hooks, when first asked for. */
	table(name: TableName): Table {
		const known = this.#tables.get(name);
		if (known !== undefined) return known;
		const table = new Table(name, this);
		this.#tables.set(name, table);
		if (name === "nat") {
			const { nat } = this;
			nat.start({
				PREROUTING: table.hook("PREROUTING"),
				INPUT: table.hook("INPUT"),
				OUTPUT: table.hook("OUTPUT"),
				POSTROUTING: table.hook("POSTROUTING"),
			});
		} else {
			for (const point of BUILT_IN[name]) this.#register(table, point, PRIORITY[name]);
		}
		return table;
	}

	#register(table: Table, point: HookPoint, priority: number): void {
		this.ns.hooks.register(point, priority, table.hook(point), "by-flow");
	}

	/** All rules and all flows go; tables that were there stay, empty. */
	clear(): void {
		for (const table of this.#tables.values()) table.replace(Table.emptyChains(table.name));
		this.#conntrack?.forgetAll(() => true);
	}

	/** A device went down (`masq_device_event`). */
	deviceDown(device: Device): void {
		this.#nat?.deviceDown(device);
	}

	/** An address was taken from a device (`masq_inet_event`). */
	addressGone(device: Device, address: Ip4): void {
		this.#nat?.addressGone(device, address);
	}
}
