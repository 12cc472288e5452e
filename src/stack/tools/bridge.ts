import { formatMac } from "../../addr/index.ts";
import { Bridge, BridgePort, type Device, type FdbEntry, type VlanMember } from "../../link/index.ts";
import type { Shown } from "./shown.ts";

/** One row of `bridge -j fdb show`. */
export interface FdbRow {
	readonly mac: string;
	readonly ifname: string;
	readonly vlan?: number;
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

/** Where the tool looks. */
export interface BridgeToolHost {
	/** By interface number. */
	readonly devices: readonly Device[];
	readonly world: { readonly scheduler: { readonly now: number } };
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
			.flatMap((device) => this.#rows(device, filter.statistics ?? false));
		return { text: rows.map((row) => `${fdbText(row)}\n`).join(""), json: rows };
	}

	#rows(device: Device, statistics: boolean): FdbRow[] {
		const bridge = bridgeOf(device);
		const port = device === bridge ? null : device.upper;
		const entries = bridge?.fdb.entries().filter((entry) => entry.port === port) ?? [];
		return entries.map((entry) => this.#row(device, bridge!, entry, statistics));
	}

	#row(device: Device, bridge: Bridge, entry: FdbEntry<BridgePort>, statistics: boolean): FdbRow {
		const { now } = this.#host.world.scheduler;
		const since = (instant: number): number => Math.floor((now - instant) / 1e9);
		const flags = [entry.kind === "extern_learn" ? "extern_learn" : "", entry.sticky ? "sticky" : ""];
		return {
			mac: formatMac(entry.mac),
			ifname: device.name,
			...(entry.vlan === 0 ? {} : { vlan: entry.vlan }),
			...(statistics ? { used: since(entry.used), updated: since(entry.updated) } : {}),
			flags: flags.filter((flag) => flag !== ""),
			master: bridge.name,
			state: entry.isLocal ? "permanent" : entry.kind === "static" ? "static" : "",
		};
	}

	/** `bridge vlan show`: each port's VLANs, then those of the bridges themselves. */
	vlan(filter: { readonly dev?: string } = {}): Shown<VlanRow> {
		const ports = this.#host.devices.filter((device) => device.upper instanceof BridgePort);
		const bridges = this.#host.devices.filter((device) => device instanceof Bridge);
		const rows = [...ports, ...bridges]
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
		`dev ${row.ifname}`,
		row.vlan === undefined ? "" : `vlan ${String(row.vlan)}`,
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
