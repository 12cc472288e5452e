import { formatIp4 } from "../../addr/index.ts";
import { Bridge, type Device, type Group, type Member } from "../../link/index.ts";
import type { Shown } from "./shown.ts";

/** One row of `bridge -j mdb show`. */
export interface MdbRow {
	readonly index: number;
	/** The bridge. */
	readonly dev: string;
	/** Where the group goes: a port, or the bridge itself. */
	readonly port: string;
	readonly grp: string;
	readonly state: "permanent" | "temp";
	/** With `details`, where the bridge speaks version 3. */
	readonly filter_mode?: "exclude";
	/** With `details`: who put it there. */
	readonly proto?: "kernel" | "static";
	readonly flags: readonly string[];
	readonly vid?: number;
	/** With `statistics`: seconds until it is forgotten. */
	readonly timer?: string;
}

/** What `bridge -j mdb show` says of a router's port. */
export interface RouterPortRow {
	readonly port: string;
	readonly timer?: string;
	readonly type?: "temp" | "permanent";
}

/** The one element of `bridge -j mdb show`. */
export interface MdbReport {
	readonly mdb: readonly MdbRow[];
	/** By bridge, with `details`. */
	readonly router: Readonly<Record<string, readonly RouterPortRow[]>>;
}

/** What `bridge mdb show` is asked for. */
export interface MdbFilter {
	readonly dev?: string;
	readonly vid?: number;
	/** As `bridge -d`. */
	readonly details?: boolean;
	/** As `bridge -s`. */
	readonly statistics?: boolean;
}

/** `bridge mdb show` of these devices, the newest group first. */
export function showMdb(devices: readonly Device[], filter: MdbFilter): Shown<MdbReport> {
	const bridges = devices
		.filter((device) => device instanceof Bridge)
		.filter((device) => filter.dev === undefined || device.name === filter.dev);
	const mdb = bridges.flatMap((bridge) =>
		bridge.snooping.mdb
			.groups()
			.filter(({ vid }) => filter.vid === undefined || filter.vid === vid)
			.flatMap((group) => groupRows(bridge, group, filter)),
	);
	const routers = bridges
		.filter((bridge) => filter.details === true && bridge.newestPorts.some((port) => port.mcast.isRouter))
		.map((bridge) => [bridge.name, routerRows(bridge, filter)] as const);
	const lines = [...mdb.map(rowText), ...routers.flatMap(([name, rows]) => routerText(name, rows, filter))];
	return {
		text: lines.map((line) => `${line}\n`).join(""),
		json: [{ mdb, router: Object.fromEntries(routers) }],
	};
}

/** The host, then the newest port first. */
function groupRows(bridge: Bridge, group: Group, filter: MdbFilter): MdbRow[] {
	const members = bridge.newestPorts.flatMap((port) => group.members.get(port) ?? []);
	return [...(group.hostJoined ? [undefined] : []), ...members].map((member) =>
		row(bridge, group, member, filter),
	);
}

function row(bridge: Bridge, group: Group, member: Member | undefined, filter: MdbFilter): MdbRow {
	const { details = false, statistics = false } = filter;
	const left = (member?.timer ?? group.timer).left;
	const version3 = bridge.snooping.config.igmpVersion === 3;
	return {
		index: bridge.index,
		dev: bridge.name,
		port: member?.port.device.name ?? bridge.name,
		grp: formatIp4(group.group),
		state: member?.permanent === true ? "permanent" : "temp",
		...(details && member !== undefined && version3 && { filter_mode: "exclude" as const }),
		...(details && member !== undefined && { proto: member.origin }),
		flags: [],
		...(group.vid !== 0 && { vid: group.vid }),
		...(statistics && { timer: time(bridge.owner.jiffies.nanoseconds(left)) }),
	};
}

function routerRows(bridge: Bridge, { statistics = false }: MdbFilter): RouterPortRow[] {
	return bridge.newestPorts
		.filter((port) => port.mcast.isRouter)
		.map(({ device, mcast }) => ({
			port: device.name,
			...(statistics && {
				timer: time(bridge.owner.jiffies.nanoseconds(mcast.routerTimer.left)),
				type: mcast.router === 2 ? ("permanent" as const) : ("temp" as const),
			}),
		}));
}

const rowText = (row: MdbRow): string =>
	[
		`dev ${row.dev} port ${row.port} grp ${row.grp} ${row.state}`,
		row.filter_mode === undefined ? "" : ` filter_mode ${row.filter_mode}`,
		row.proto === undefined ? "" : ` proto ${row.proto}`,
		row.vid === undefined ? "" : ` vid ${String(row.vid)}`,
		row.timer === undefined ? "" : ` ${row.timer}`,
	].join("");

function routerText(bridge: string, rows: readonly RouterPortRow[], { statistics }: MdbFilter): string[] {
	const head = `router ports on ${bridge}: `;
	if (statistics !== true) return [head + rows.map(({ port }) => `${port} `).join("")];
	return rows.map(({ port, timer, type }) => `${head}${port} ${String(timer)} ${String(type)}`);
}

/** Seconds with hundredths, cut off, in seven columns. */
function time(nanoseconds: number): string {
	const hundredths = Math.floor(nanoseconds / 1e7);
	return `${String(Math.floor(hundredths / 100)).padStart(4)}.${String(hundredths % 100).padStart(2, "0")}`;
}
