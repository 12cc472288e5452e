import { formatMac } from "../../addr/index.ts";
import {
	Bridge,
	BridgePort,
	type Device,
	type FdbEntry,
	linkFlags,
	type VlanMember,
	VxlanDevice,
} from "../../link/index.ts";
import { type MdbFilter, type MdbReport, showMdb } from "./mdb.ts";
import type { Shown } from "./shown.ts";

/** One row of `bridge -j fdb show`. */
export interface FdbRow {
	readonly mac: string;
	/** Unless one device was asked for. */
	readonly ifname?: string;
	/** The remote of a VXLAN device's entry: `port`, `vni`, `viaIf` where they are not the device's own. */
	readonly dst?: string;
	readonly vlan?: number;
	readonly port?: number;
	readonly vni?: number;
	readonly viaIf?: string;
	/** Number of the namespace in which the remote is reached, where that is another one. */
	readonly linkNetNsId?: number;
	/** Seconds since it was used and since it was seen, with `statistics`. */
	readonly used?: number;
	readonly updated?: number;
	readonly flags: readonly string[];
	readonly master?: string;
	/** `permanent`, `static`, `stale`, or empty. */
	readonly state: string;
}

/** One row of `bridge -j vlan show`. */
export interface VlanRow {
	readonly ifname: string;
	readonly vlans: readonly { readonly vlan: number; readonly flags?: readonly string[] }[];
}

/** One row of `bridge -j link show`; the flags with `details`. */
export interface PortRow {
	readonly ifindex: number;
	readonly ifname: string;
	/** The far end of a veth pair in another namespace, by its number there. */
	readonly link_index?: number;
	readonly link?: string;
	readonly flags: readonly string[];
	readonly mtu: number;
	readonly master: string;
	readonly state: string;
	readonly priority: number;
	readonly cost: number;
	readonly hairpin?: boolean;
	readonly guard?: boolean;
	readonly root_block?: boolean;
	readonly fastleave?: boolean;
	readonly learning?: boolean;
	readonly flood?: boolean;
	readonly mcast_flood?: boolean;
	readonly bcast_flood?: boolean;
	readonly mcast_router?: number;
	readonly mcast_to_unicast?: boolean;
	readonly neigh_suppress?: boolean;
	readonly vlan_tunnel?: boolean;
	readonly isolated?: boolean;
	readonly locked?: boolean;
}

/** Where the tool looks. */
export interface BridgeToolHost {
	/** By interface number. */
	readonly devices: readonly Device[];
	/** First come first. */
	readonly devicesByArrival: readonly Device[];
	readonly links: {
		/** The number of another namespace here, undefined for this one. */
		netnsid(owner: { readonly name: string }): number | undefined;
	};
}

/** Width of a device name in the table of VLANs. */
const NAME_WIDTH = 18;

/** `bridge` of iproute2: what bridges know, as it prints it. */
export class BridgeTool {
	readonly #host: BridgeToolHost;

	constructor(host: BridgeToolHost) {
		this.#host = host;
	}

	/**
	 * `bridge fdb show [br BR] [dev DEV]`, with `statistics` as `bridge -s`. Rows come by device, the newest entry of
	 * each first.
	 */
	fdb(
		filter: {
			readonly br?: string;
			readonly dev?: string;
			readonly statistics?: boolean;
		} = {},
	): Shown<FdbRow> {
		const rows = this.#host.devices
			.filter((device) => filter.dev === undefined || device.name === filter.dev)
			.filter((device) => filter.br === undefined || bridgeOf(device)?.name === filter.br)
			.flatMap((device) => {
				// iproute2 does not repeat the device that it was asked for.
				const ifname = filter.dev === undefined ? { ifname: device.name } : {};
				return this.#rows(device, filter.statistics ?? false).map(({ mac, ...row }) => ({
					mac,
					...ifname,
					...row,
				}));
			});
		return { text: rows.map((row) => `${fdbText(row)}\n`).join(""), json: rows };
	}

	/** What a bridge knows at the device, what a VXLAN device knows, and the groups the device listens to. */
	#rows(device: Device, statistics: boolean): FdbRow[] {
		const bridge = bridgeOf(device);
		const port = device === bridge ? null : device.upper;
		const entries = bridge?.fdb.entries().filter((entry) => entry.port === port) ?? [];
		const master = entries.map((entry) => this.#row(bridge!, entry, statistics));
		if (device instanceof VxlanDevice)
			return [...master, ...device.fdbShow(this.#host.links.netnsid(device.home)).map(({ json }) => json)];
		const self = [...device.unicast, ...device.multicast.addresses()].map((mac): FdbRow => ({
			mac: formatMac(mac),
			flags: ["self"],
			state: "permanent",
		}));
		return device === bridge ? [...self, ...master] : [...master, ...self];
	}

	#row(bridge: Bridge, entry: FdbEntry<BridgePort>, statistics: boolean): FdbRow {
		const seconds = (time: number): number => Math.floor(time / 1e9);
		const flags = [entry.kind === "extern_learn" ? "extern_learn" : "", entry.sticky ? "sticky" : ""];
		return {
			mac: formatMac(entry.mac),
			...(entry.vlan === 0 ? {} : { vlan: entry.vlan }),
			...(statistics ? { used: seconds(entry.used), updated: seconds(entry.updated) } : {}),
			flags: flags.filter((flag) => flag !== ""),
			master: bridge.name,
			state: entry.isLocal ? "permanent" : entry.kind === "static" ? "static" : "",
		};
	}

	/** `bridge link show [dev DEV]`, with `details` as `bridge -d`. */
	link(filter: { readonly dev?: string; readonly details?: boolean } = {}): Shown<PortRow> {
		const rows = this.#host.devices
			.filter((device) => filter.dev === undefined || device.name === filter.dev)
			.flatMap((device) =>
				device.upper instanceof BridgePort ? [portRow(device.upper, filter.details ?? false)] : [],
			);
		return { text: rows.map(portText).join(""), json: rows };
	}

	/** `bridge mdb show [dev BR] [vid VID]`, with `details` as `bridge -d`, with `statistics` as `bridge -s`. */
	mdb(filter: MdbFilter = {}): Shown<MdbReport> {
		return showMdb(this.#host.devices, filter);
	}

	/** `bridge vlan show`: the VLANs of ports and of bridges themselves, in the order in which the devices came. */
	vlan(filter: { readonly dev?: string } = {}): Shown<VlanRow> {
		const rows = this.#host.devicesByArrival
			.filter((device) => device.upper instanceof BridgePort || device instanceof Bridge)
			.filter((device) => filter.dev === undefined || device.name === filter.dev)
			.map((device) => ({ device, members: membersOf(device) }))
			.filter(({ members }) => members.length > 0);
		const lines = rows.flatMap(({ device, members }) =>
			members.map((member, i) => {
				const name = i === 0 ? device.name.padEnd(NAME_WIDTH - 2) + "  " : " ".repeat(NAME_WIDTH);
				return [`${name}${String(member.vid)}`, ...memberFlags(member)].join(" ");
			}),
		);
		return {
			text: ["port".padEnd(NAME_WIDTH) + "vlan-id  ", ...lines].map((line) => `${line}\n`).join(""),
			json: rows.map(({ device, members }) => ({
				ifname: device.name,
				vlans: members.map((member) => {
					const flags = memberFlags(member);
					return { vlan: member.vid, ...(flags.length === 0 ? {} : { flags }) };
				}),
			})),
		};
	}
}

function portRow({ device, bridge, state, stp, flags, mcast }: BridgePort, details: boolean): PortRow {
	const { link } = device;
	const far = link !== null && link.owner !== device.owner;
	const own = {
		ifindex: device.index,
		...(link === null ? {} : far ? { link_index: link.index } : { link: link.name }),
		ifname: device.name,
		flags: linkFlags(device),
		mtu: device.mtu,
		master: bridge.name,
		state,
		priority: stp.priority,
		cost: stp.cost,
	};
	if (!details) return own;
	return {
		...own,
		hairpin: flags.hairpin,
		guard: flags.guard,
		root_block: flags.rootBlock,
		fastleave: flags.fastLeave,
		learning: flags.learning,
		flood: flags.flood,
		mcast_flood: flags.mcastFlood,
		bcast_flood: flags.bcastFlood,
		mcast_router: mcast.router,
		mcast_to_unicast: false,
		neigh_suppress: flags.neighSuppress,
		vlan_tunnel: false,
		isolated: flags.isolated,
		locked: flags.locked,
	};
}

/** In the order in which they are printed. */
const FLAGS = [
	"hairpin",
	"guard",
	"root_block",
	"fastleave",
	"learning",
	"flood",
	"mcast_flood",
	"bcast_flood",
	"mcast_router",
	"mcast_to_unicast",
	"neigh_suppress",
	"vlan_tunnel",
	"isolated",
	"locked",
] as const;

/** The line of a port as `bridge` prints it, and the one of its flags when there are any. */
function portText(row: PortRow): string {
	const below =
		row.link_index === undefined
			? row.link === undefined
				? ""
				: `@${row.link}`
			: `@if${String(row.link_index)}`;
	const line =
		`${String(row.ifindex)}: ${row.ifname}${below}: <${row.flags.join(",")}> mtu ${String(row.mtu)} ` +
		`master ${row.master} state ${row.state} priority ${String(row.priority)} cost ${String(row.cost)} \n`;
	if (row.hairpin === undefined) return line;
	const words = FLAGS.map((flag) => {
		const value = row[flag];
		return `${flag} ${typeof value === "boolean" ? (value ? "on" : "off") : String(value)} `;
	});
	return `${line}    ${words.join("")}\n`;
}

/** The bridge a device is, or is a port of. */
function bridgeOf(device: Device): Bridge | undefined {
	if (device instanceof Bridge) return device;
	return device.upper instanceof BridgePort ? device.upper.bridge : undefined;
}

function membersOf(device: Device): VlanMember[] {
	if (device instanceof Bridge) return device.vlanGroup.members();
	return device.upper instanceof BridgePort ? device.upper.vlanGroup.members() : [];
}

const memberFlags = ({ pvid, untagged }: VlanMember): string[] => [
	...(pvid ? ["PVID"] : []),
	...(untagged ? ["Egress Untagged"] : []),
];

/** A line as `bridge` prints it: every word but the state with a space behind. */
function fdbText(row: FdbRow): string {
	const words = [
		row.mac,
		row.ifname === undefined ? "" : `dev ${row.ifname}`,
		row.dst === undefined ? "" : `dst ${row.dst}`,
		row.vlan === undefined ? "" : `vlan ${String(row.vlan)}`,
		row.port === undefined ? "" : `port ${String(row.port)}`,
		row.vni === undefined ? "" : `vni ${String(row.vni)}`,
		row.viaIf === undefined ? "" : `via ${row.viaIf}`,
		row.linkNetNsId === undefined ? "" : `link-netnsid ${String(row.linkNetNsId)}`,
		row.used === undefined ? "" : `used ${String(row.used)}/${String(row.updated)}`,
		...row.flags,
		row.master === undefined ? "" : `master ${row.master}`,
	];
	return (
		words
			.filter((word) => word !== "")
			.map((word) => `${word} `)
			.join("") + row.state
	);
}
