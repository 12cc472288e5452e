import { NetError } from "../../errors.ts";
import type { IpvsCommands } from "./commands.ts";
import { listConnections, type ListFormat, listServices } from "./listing.ts";
import {
	type DestinationOptions,
	readServiceName,
	type ServiceOptions,
	type ServiceSelector,
} from "./options.ts";
import type { ForwardMethod } from "./service.ts";

/** The commands: short option, long option, name in messages, and the options each may have or needs (`!`). */
const COMMANDS: readonly (readonly [short: string, long: string, name: string, options: string])[] = [
	["A", "add-service", "add-service", "service-address! scheduler persistent netmask ops sched-flags"],
	["E", "edit-service", "edit-service", "service-address! scheduler persistent netmask ops sched-flags"],
	["D", "delete-service", "delete-service", "service-address!"],
	["C", "clear", "flush", ""],
	[
		"L",
		"list",
		"list",
		"numeric connection service-address timeout stats rate thresholds persistent-conn nosort exact",
	],
	[
		"a",
		"add-server",
		"add-server",
		"service-address! real-server! forwarding-method weight u-threshold l-threshold",
	],
	[
		"e",
		"edit-server",
		"edit-server",
		"service-address! real-server! forwarding-method weight u-threshold l-threshold",
	],
	["d", "delete-server", "delete-server", "service-address! real-server!"],
	["", "set", "set", ""],
	["S", "save", "save", "numeric"],
	["R", "restore", "restore", ""],
	["Z", "zero", "zero", "service-address"],
];

/** The options: short and long, name in messages, whether a word follows. */
const OPTIONS: readonly (readonly [
	short: string,
	long: string,
	name: string,
	follows: "" | "word" | "maybe",
])[] = [
	["n", "numeric", "numeric", ""],
	["c", "connection", "connection", ""],
	["t", "tcp-service", "service-address", "word"],
	["u", "udp-service", "service-address", "word"],
	["f", "fwmark-service", "service-address", "word"],
	["s", "scheduler", "scheduler", "word"],
	["p", "persistent", "persistent", "maybe"],
	["M", "netmask", "netmask", "word"],
	["r", "real-server", "real-server", "word"],
	["m", "masquerading", "forwarding-method", ""],
	["i", "ipip", "forwarding-method", ""],
	["g", "gatewaying", "forwarding-method", ""],
	["w", "weight", "weight", "word"],
	["x", "u-threshold", "u-threshold", "word"],
	["y", "l-threshold", "l-threshold", "word"],
	["", "timeout", "timeout", ""],
	["", "stats", "stats", ""],
	["", "rate", "rate", ""],
	["", "thresholds", "thresholds", ""],
	["", "persistent-conn", "persistent-conn", ""],
	["", "nosort", "nosort", ""],
	["", "sort", "sort", ""],
	["X", "exact", "exact", ""],
	["o", "ops", "ops", ""],
	["b", "sched-flags", "sched-flags", "word"],
];

/** A command line, read: the command, its options by long name with their words, and what was left over. */
interface Line {
	readonly command: string;
	readonly options: ReadonlyMap<string, string>;
	readonly rest: readonly string[];
}

/**
 * ipvsadm(8) of one namespace: does what a line of arguments says and returns what it prints. Names of hosts and
 * ports are numbers. Throws `NetError` with what it prints when it fails.
 */
export function ipvsadm(ipvs: IpvsCommands, line: string, input: string): string {
	const words = line.split(/\s+/).filter((word) => word !== "");
	if (words[0] === "ipvsadm") words.shift();
	if (words.length === 0) return listServices(ipvs, { format: "plain", exact: false, unsorted: false });
	const read = parse(words);
	const { options } = read;
	switch (read.command) {
		case "add-service":
			ipvs.addService(serviceOptions(options));
			return "";
		case "edit-service":
			ipvs.editService(serviceOptions(options));
			return "";
		case "delete-service":
			ipvs.deleteService(selector(options)!);
			return "";
		case "add-server":
			ipvs.addDestination(selector(options)!, destinationOptions(options));
			return "";
		case "edit-server":
			ipvs.editDestination(selector(options)!, destinationOptions(options));
			return "";
		case "delete-server":
			ipvs.deleteDestination(selector(options)!, { address: options.get("real-server") ?? "" });
			return "";
		case "clear":
			ipvs.flush();
			return "";
		case "zero":
			ipvs.zero(selector(options));
			return "";
		case "set":
			return setTimeouts(ipvs, read.rest);
		case "save":
			return listServices(ipvs, { format: "rules", exact: false, unsorted: false });
		case "restore":
			return restore(ipvs, input);
		default:
			return list(ipvs, options);
	}
}

function setTimeouts(ipvs: IpvsCommands, words: readonly string[]): string {
	const [tcp, tcpFin, udp] = words;
	if (tcp === undefined || tcpFin === undefined || udp === undefined)
		throw failure("--set option requires 3 timeout values");
	ipvs.setTimeouts({ tcp: seconds(tcp), tcpFin: seconds(tcpFin), udp: seconds(udp) });
	return "";
}

/** Line by line, as `-S` wrote it; ends at the first that fails, with those before it done. */
function restore(ipvs: IpvsCommands, input: string): string {
	return input
		.split("\n")
		.filter((line) => line.trim() !== "" && !line.trim().startsWith("#"))
		.map((line) => ipvsadm(ipvs, line, ""))
		.join("");
}

function list(ipvs: IpvsCommands, options: ReadonlyMap<string, string>): string {
	const has = (...names: readonly string[]): boolean => names.some((name) => options.has(name));
	if (
		(has("connection", "timeout") && has("stats", "rate", "thresholds")) ||
		(has("timeout") && has("persistent-conn"))
	) {
		throw failure("options conflicts in the list command");
	}
	if (has("connection")) return listConnections(ipvs);
	const name = selector(options);
	if (name === undefined && has("timeout")) {
		const { tcp, tcpFin, udp } = ipvs.timeouts;
		return `Timeout (tcp tcpfin udp): ${String(tcp)} ${String(tcpFin)} ${String(udp)}\n`;
	}
	const formats: readonly (readonly [string, ListFormat])[] = [
		["stats", "stats"],
		["rate", "rate"],
		["thresholds", "thresholds"],
		["persistent-conn", "persistent"],
	];
	const format = formats.find(([option]) => has(option))?.[1] ?? "plain";
	const how = { format, exact: has("exact"), unsorted: has("nosort") };
	if (name === undefined) return listServices(ipvs, how);
	const service = ipvs.core.services.get(readServiceName(name));
	if (service === undefined) throw new NetError("ESRCH", "No such service", { context: { ...name } });
	return listServices(ipvs, { ...how, service });
}

// ── what options mean ─────────────────────────────────────────────────────────────────────────────

function selector(options: ReadonlyMap<string, string>): ServiceSelector | undefined {
	const [tcp, udp, fwmark] = ["tcp-service", "udp-service", "fwmark-service"].map((name) =>
		options.get(name),
	);
	if (tcp !== undefined) return { tcp };
	if (udp !== undefined) return { udp };
	if (fwmark === undefined) return undefined;
	if (!/^\d+$/.test(fwmark)) throw failure(`invalid fwmark value \`${fwmark}' specified`);
	return { fwmark: Number(fwmark) };
}

function serviceOptions(options: ReadonlyMap<string, string>): ServiceOptions {
	const scheduler = options.get("scheduler");
	const persistent = options.get("persistent");
	const netmask = options.get("netmask");
	const flags = (options.get("sched-flags") ?? "").split(",").filter((flag) => flag !== "");
	for (const flag of flags) {
		if (flag !== "sh-fallback" && flag !== "sh-port") throw failure(`unknown scheduler flag: ${flag}`);
	}
	return {
		...selector(options),
		...(scheduler === undefined ? {} : { scheduler }),
		...(persistent === undefined ? {} : { persistent: persistent === "" ? true : seconds(persistent) }),
		...(netmask === undefined ? {} : { netmask }),
		onePacket: options.has("ops"),
		flags: flags as ("sh-fallback" | "sh-port")[],
	};
}

function destinationOptions(options: ReadonlyMap<string, string>): DestinationOptions {
	const number = (name: string, what: string): number | undefined => {
		const word = options.get(name);
		if (word !== undefined && !/^\d+$/.test(word)) throw failure(`illegal ${what} specified`);
		return word === undefined ? undefined : Number(word);
	};
	const methods: readonly ForwardMethod[] = ["masquerading", "ipip", "gatewaying"];
	const weight = number("weight", "weight");
	const upperThreshold = number("u-threshold", "u_threshold");
	const lowerThreshold = number("l-threshold", "l_threshold");
	const forward = methods.find((method) => options.has(method));
	return {
		address: options.get("real-server") ?? "",
		...(forward === undefined ? {} : { forward }),
		...(weight === undefined ? {} : { weight }),
		...(upperThreshold === undefined ? {} : { upperThreshold }),
		...(lowerThreshold === undefined ? {} : { lowerThreshold }),
	};
}

function seconds(word: string): number {
	if (!/^\d+$/.test(word)) throw failure(`invalid timeout value \`${word}' specified`);
	return Number(word);
}

// ── the line ──────────────────────────────────────────────────────────────────────────────────────

/** Reads words as popt does: short options may stand together, the command comes first. */
function parse(words: readonly string[]): Line {
	const given: { readonly word: string; readonly name: string; readonly long: boolean }[] = [];
	const options = new Map<string, string>();
	const rest: string[] = [];
	let command: (typeof COMMANDS)[number] | undefined;
	const waiting = words.flatMap(split);
	for (let i = 0; i < waiting.length; i++) {
		const word = waiting[i]!;
		if (!word.startsWith("-") || word === "-") {
			rest.push(word);
			continue;
		}
		if (command === undefined) {
			command = COMMANDS.find(([short, long]) => isNamed(word === "-l" ? "-L" : word, short, long));
			if (command === undefined) {
				throw failure("Try `ipvsadm -h' or 'ipvsadm --help' for more information.");
			}
			continue;
		}
		const option = OPTIONS.find(([short, long]) => isNamed(word, short, long));
		if (option === undefined) throw failure(`${word}: unknown option`);
		const [, long, name, follows] = option;
		if (name !== "sort" && given.some((each) => each.name === name)) {
			throw failure(`multiple '${name}' options specified`);
		}
		given.push({ word, name, long: word.startsWith("--") });
		const next = waiting[i + 1];
		const hasWord =
			follows === "word" || (follows === "maybe" && next !== undefined && !next.startsWith("-"));
		if (hasWord && next === undefined) throw failure(`${word}: missing argument`);
		options.set(long, hasWord ? next! : "");
		if (hasWord) i++;
	}
	if (command === undefined) throw failure("Try `ipvsadm -h' or 'ipvsadm --help' for more information.");
	check(
		command,
		given.map(({ name }) => name),
	);
	if (command[1] !== "set" && rest[0] !== undefined) throw failure(`unexpected argument ${rest[0]}`);
	return { command: command[1], options, rest };
}

/** `-Lcn` is `-L -c -n`; `--name=word` is `--name word`. */
function split(word: string): string[] {
	if (word.startsWith("--")) {
		const at = word.indexOf("=");
		return at < 0 ? [word] : [word.slice(0, at), word.slice(at + 1)];
	}
	return /^-[A-Za-z]{2,}$/.test(word) ? Array.from(word.slice(1), (letter) => `-${letter}`) : [word];
}

const isNamed = (word: string, short: string, long: string): boolean =>
	word === `--${long}` || (short !== "" && word === `-${short}`);

/** `generic_opt_check`: options a command needs, and those it does not know. */
function check([, , name, allowed]: (typeof COMMANDS)[number], given: readonly string[]): void {
	const known = allowed.split(" ");
	for (const option of known) {
		if (!option.endsWith("!") || given.includes(option.slice(0, -1))) continue;
		throw failure(`You need to supply the '${option.slice(0, -1)}' option for the '${name}' command`);
	}
	for (const option of given) {
		if (option === "sort" || known.includes(option) || known.includes(`${option}!`)) continue;
		throw failure(`Illegal '${option}' option with the '${name}' command`);
	}
}

const failure = (message: string): NetError => new NetError("EINVAL", message);
