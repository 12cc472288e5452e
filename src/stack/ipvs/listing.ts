import { BROADCAST_IP4, compareIp4, formatIp4 } from "../../addr/index.ts";
import type { IpvsCommands } from "./commands.ts";
import type { Connection } from "./connection.ts";
import { TABLE_SIZE } from "./connections.ts";
import { formatEnd } from "./options.ts";
import type { Destination, ForwardMethod, Service } from "./service.ts";

/** What `ipvsadm -L` is asked for. */
export type ListFormat = "connections" | "stats" | "rate" | "thresholds" | "persistent" | "rules" | "plain";

/** How it is asked for. */
export interface ListOptions {
	readonly format: ListFormat;
	/** Numbers in full (`--exact`). */
	readonly exact: boolean;
	/** In the kernel's order instead of by address (`--nosort`). */
	readonly unsorted: boolean;
	/** Only this one. */
	readonly service?: Service;
}

const METHOD: Readonly<Record<ForwardMethod, readonly [name: string, option: string]>> = {
	masquerading: ["Masq", "-m"],
	gatewaying: ["Route", "-g"],
	ipip: ["Tunnel", "-i"],
};
/** The width of the first column of tables. */
const NAME = 33;
const DESTINATION = 28;

/** `ipvsadm -L`, `-S`: the table as it prints it, numeric. */
export function listServices(ipvs: IpvsCommands, options: ListOptions): string {
	const { service, format } = options;
	const services = service === undefined ? ipvs.core.services.sorted() : [service];
	const head =
		service === undefined && format !== "rules"
			? [`IP Virtual Server version 1.2.1 (size=${String(TABLE_SIZE)})`]
			: [];
	return [...head, ...titles(format), ...services.flatMap((each) => linesOf(each, options))]
		.map((line) => `${line}\n`)
		.join("");
}

function titles(format: ListFormat): string[] {
	const table = (...columns: readonly string[]): string[] => [
		`${"Prot LocalAddress:Port".padEnd(NAME)}${columns.map((column) => ` ${column}`).join("")}`,
		"  -> RemoteAddress:Port",
	];
	const right = (...columns: readonly string[]): string[] =>
		table(...columns.map((column) => column.padStart(8)));
	switch (format) {
		case "rules":
			return [];
		case "stats":
			return right("Conns", "InPkts", "OutPkts", "InBytes", "OutBytes");
		case "rate":
			return right("CPS", "InPPS", "OutPPS", "InBPS", "OutBPS");
		case "thresholds":
			return table(...["Uthreshold", "Lthreshold", "ActiveConn", "InActConn"].map((each) => each.padEnd(10)));
		case "persistent":
			return table("Weight".padEnd(9), "PersistConn", "ActiveConn", "InActConn ");
		default:
			return [
				"Prot LocalAddress:Port Scheduler Flags",
				"  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn",
			];
	}
}

function linesOf(service: Service, options: ListOptions): string[] {
	const { destinations } = service;
	const shown = options.unsorted
		? destinations
		: [...destinations].sort((a, b) => compareIp4(a.address, b.address) || a.port - b.port);
	return [serviceLine(service, options), ...shown.map((each) => destinationLine(service, each, options))];
}

function serviceLine(service: Service, { format, exact }: ListOptions): string {
	const { stats } = service;
	const name = serviceName(service, format === "rules");
	const { counters, rates } = stats;
	switch (format) {
		case "rules":
			return `-A ${name} -s ${service.scheduler.name}${ruleFlags(service)}`;
		case "stats": {
			const { conns, inPackets, outPackets, inOctets, outOctets } = counters;
			return name.padEnd(NAME) + large([conns, inPackets, outPackets, inOctets, outOctets], exact);
		}
		case "rate": {
			const { cps, inPps, outPps, inBps, outBps } = rates;
			return name.padEnd(NAME) + large([cps, inPps, outPps, inBps, outBps], exact);
		}
		default:
			return `${name} ${service.scheduler.name}${listFlags(service)}`;
	}
}

/** The name of a service: `TCP  10.1.0.100:80`, or as an option `-t 10.1.0.100:80`. */
function serviceName({ fwmark, protocol, address, port }: Service, asOption: boolean): string {
	// printed as a signed number
	if (fwmark !== 0) return `${asOption ? "-f" : "FWM "} ${String(fwmark | 0)}`;
	const kind = protocol === 6 ? ["-t", "TCP "] : ["-u", "UDP "];
	return `${kind[asOption ? 0 : 1]!} ${formatEnd(address, port)}`;
}

function listFlags(service: Service): string {
	const flags = schedulerFlags(service);
	return (
		(flags === "" ? "" : ` (${flags})`) +
		(service.persistence > 0 ? ` persistent ${String(service.persistence)}${mask(service, "mask")}` : "") +
		(service.onePacket ? " ops" : "")
	);
}

function ruleFlags(service: Service): string {
	const flags = schedulerFlags(service);
	return (
		(flags === "" ? "" : ` -b ${flags}`) +
		(service.persistence > 0 ? ` -p ${String(service.persistence)}${mask(service, "-M")}` : "") +
		(service.onePacket ? " -o" : "")
	);
}

const mask = ({ netmask }: Service, word: string): string =>
	netmask === BROADCAST_IP4 ? "" : ` ${word} ${formatIp4(netmask)}`;

const schedulerFlags = ({ fallback, hashPort }: Service): string =>
	[...(fallback ? ["sh-fallback"] : []), ...(hashPort ? ["sh-port"] : [])].join(",");

function destinationLine(service: Service, destination: Destination, { format, exact }: ListOptions): string {
	const name = formatEnd(destination.address, destination.port);
	const [method, option] = METHOD[destination.forward];
	const { weight, active, inactive, persistent, upper, lower } = destination;
	const left = `  -> ${name.padEnd(DESTINATION)}`;
	const columns = (...values: readonly (readonly [value: number | string, width: number])[]): string =>
		left + values.map(([value, width]) => ` ${String(value).padEnd(width)}`).join("");
	switch (format) {
		case "rules":
			return `-a ${serviceName(service, true)} -r ${name} ${option} -w ${String(weight)}${thresholds(destination)}`;
		case "stats": {
			const { conns, inPackets, outPackets, inOctets, outOctets } = destination.stats.counters;
			return left + large([conns, inPackets, outPackets, inOctets, outOctets], exact);
		}
		case "rate": {
			const { cps, inPps, outPps, inBps, outBps } = destination.stats.rates;
			return left + large([cps, inPps, outPps, inBps, outBps], exact);
		}
		case "thresholds":
			return columns([upper, 10], [lower, 10], [active, 10], [inactive, 10]);
		case "persistent":
			return columns([weight, 9], [persistent, 11], [active, 10], [inactive, 10]);
		default:
			return columns([method, 7], [weight, 6], [active, 10], [inactive, 10]);
	}
}

const thresholds = ({ upper, lower }: Destination): string =>
	(upper > 0 ? ` -x ${String(upper)}` : "") + (lower > 0 ? ` -y ${String(lower)}` : "");

/** Numbers of nine columns, in thousands, millions … where they are too long (`print_largenum`). */
function large(values: readonly number[], exact: boolean): string {
	return values.map((value) => largeOne(value, exact)).join("");
}

const UNITS: readonly (readonly [divisor: number, unit: string, most: number])[] = [
	[1e3, "K", 1e9],
	[1e6, "M", 1e11],
	[1e9, "G", 1e14],
];

function largeOne(value: number, exact: boolean): string {
	if (exact) return ` ${String(value).padStart(8)}`;
	if (value < 1e8) return String(value).padStart(9);
	const [divisor, unit] = UNITS.find(([, , most]) => value < most) ?? [1e12, "T"];
	return String(Math.floor(value / divisor)).padStart(8) + unit;
}

/** `ipvsadm -Lc`: connections in the order of the kernel's table. */
export function listConnections(ipvs: IpvsCommands): string {
	const { connections } = ipvs.core;
	const row = (
		expire: string,
		protocol: string,
		...rest: readonly [string, string, string, string]
	): string => {
		const [state, source, virtual, destination] = rest;
		const ends = `${source.padEnd(18)} ${virtual.padEnd(18)} ${destination}\n`;
		return `${protocol.padEnd(3)} ${expire.padEnd(6)} ${state.padEnd(11)} ${ends}`;
	};
	const title = row("expire", "pro", "state", "source", "virtual", "destination");
	const rows = [...connections.all()].map((each) =>
		row(
			clock(connections.secondsLeft(each)),
			protocolName(each),
			each.stateName,
			formatEnd(each.client, each.clientPort),
			formatEnd(each.virtual, each.virtualPort),
			formatEnd(each.address, each.port),
		),
	);
	return `IPVS connection entries\n${title}${rows.join("")}`;
}

const protocolName = ({ protocol }: Connection): string =>
	protocol === 0 ? "IP" : protocol === 6 ? "TCP" : "UDP";

const clock = (seconds: number): string =>
	[Math.floor(seconds / 60), seconds % 60].map((each) => String(each).padStart(2, "0")).join(":");
