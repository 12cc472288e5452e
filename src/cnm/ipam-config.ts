import { network as netOf, parseIp4, parsePrefix4, type Prefix4 } from "../addr/index.ts";
import { cliRefuses, invalid } from "./docker-error.ts";
import type { IpamConfig } from "./network.ts";

/** `--subnet`, `--ip-range`, `--gateway`, `--aux-address` of `docker network create`. */
export interface IpamFlags {
	readonly subnet?: string | readonly string[];
	readonly ipRange?: string | readonly string[];
	readonly gateway?: string | readonly string[];
	readonly auxAddress?: Readonly<Record<string, string>>;
}

interface Draft {
	readonly prefix: Prefix4;
	readonly Subnet: string;
	IPRange: string | undefined;
	Gateway: string | undefined;
	readonly aux: Record<string, string>;
}

const listOf = (value: string | readonly string[] | undefined): readonly string[] =>
	value === undefined ? [] : typeof value === "string" ? [value] : value;

/** Reads a subnet as the daemon does. Throws `DockerError` 400. */
export function readSubnet(text: string): Prefix4 {
	const prefix = text.includes("/") ? parsePrefix4(text) : undefined;
	if (prefix === undefined) throw invalid(`Invalid subnet ${text} : invalid CIDR address: ${text}`);
	return { address: netOf(prefix), length: prefix.length };
}

/** `consolidateIpam`: what belongs to which subnet. Throws `NetError` in the CLI's words. */
export function ipamConfigs(options: IpamFlags): IpamConfig[] {
	const [subnets, ranges, gateways] = [options.subnet, options.ipRange, options.gateway].map(listOf) as [
		readonly string[],
		readonly string[],
		readonly string[],
	];
	if (subnets.length < ranges.length || subnets.length < gateways.length)
		throw cliRefuses("every ip-range or gateway must have a corresponding subnet");
	const read = subnets.map((text) => ({ text, prefix: cidr(text) }));
	for (const [i, a] of read.entries()) {
		for (const b of read.slice(0, i)) {
			if (within(a.prefix, b.prefix) || within(b.prefix, a.prefix))
				throw cliRefuses("multiple overlapping subnet configuration is not supported");
		}
	}
	const found: Draft[] = read.map(({ text, prefix }) => ({
		prefix,
		Subnet: text,
		IPRange: undefined,
		Gateway: undefined,
		aux: {},
	}));
	for (const range of ranges) {
		const of = found.find(({ prefix }) => within(cidr(range), prefix));
		if (of === undefined) throw cliRefuses(`no matching subnet for range ${range}`);
		if (of.IPRange !== undefined) {
			throw cliRefuses(
				`cannot configure multiple ranges (${range}, ${of.IPRange}) on the same subnet (${of.Subnet})`,
			);
		}
		of.IPRange = range;
	}
	for (const gateway of gateways) {
		const of = found.find(({ prefix }) => has(prefix, gateway));
		if (of === undefined) throw cliRefuses(`no matching subnet for gateway ${gateway}`);
		if (of.Gateway !== undefined) {
			throw cliRefuses(
				`cannot configure multiple gateways (${gateway}, ${of.Gateway}) for the same subnet (${of.Subnet})`,
			);
		}
		of.Gateway = gateway;
	}
	for (const [name, address] of Object.entries(options.auxAddress ?? {})) {
		const of = found.find(({ prefix }) => has(prefix, address));
		if (of === undefined) throw cliRefuses(`no matching subnet for aux-address ${address}`);
		of.aux[name] = address;
	}
	return found.map(({ Subnet, IPRange, Gateway, aux }) => ({
		Subnet,
		...(IPRange === undefined ? {} : { IPRange }),
		...(Gateway === undefined ? {} : { Gateway }),
		...(Object.keys(aux).length === 0 ? {} : { AuxiliaryAddresses: aux }),
	}));
}

function cidr(text: string): Prefix4 {
	const prefix = text.includes("/") ? parsePrefix4(text) : undefined;
	if (prefix === undefined) throw cliRefuses(`invalid CIDR address: ${text}`);
	return prefix;
}

const within = (part: Prefix4, whole: Prefix4): boolean =>
	part.length >= whole.length && netOf({ address: part.address, length: whole.length }) === netOf(whole);

function has(prefix: Prefix4, address: string): boolean {
	const ip = parseIp4(address);
	return ip !== undefined && within({ address: ip, length: 32 }, prefix);
}
