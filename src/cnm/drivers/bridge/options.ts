import { type Ip4, parseIp4 } from "../../../addr/index.ts";
import { invalid } from "../../docker-error.ts";
import type { DriverOptions } from "../../driver.ts";
import { shortId } from "../../ids.ts";

/** What `-o` says to the bridge driver. */
export interface BridgeConfig {
	/** The device's name. */
	readonly name: string;
	/** docker0. */
	readonly defaultBridge: boolean;
	readonly enableIcc: boolean;
	readonly enableIpMasquerade: boolean;
	readonly hostBinding: Ip4;
	/** The bridge gets no address. */
	readonly inhibitIpv4: boolean;
	/** 0 leaves the kernel's. */
	readonly mtu: number;
	/** What names in containers begin with. */
	readonly ifacePrefix: string;
	/** Where masqueraded packets come from instead, 0 for the way's own address. */
	readonly hostIpv4: Ip4;
}

const BRIDGE = "com.docker.network.bridge.";
/** libnetwork's network labels (drivers/bridge/labels.go, netlabel/labels.go). */
export const LABELS = {
	name: `${BRIDGE}name`,
	defaultBridge: `${BRIDGE}default_bridge`,
	icc: `${BRIDGE}enable_icc`,
	masquerade: `${BRIDGE}enable_ip_masquerade`,
	hostBinding: `${BRIDGE}host_binding_ipv4`,
	inhibit: `${BRIDGE}inhibit_ipv4`,
	mtu: "com.docker.network.driver.mtu",
	prefix: "com.docker.network.container_iface_prefix",
	hostIpv4: "com.docker.network.host_ipv4",
} as const;

/** Reads the options; keys it does not know are not its own. Throws `DockerError` for values that are none. */
export function readOptions(networkId: string, options: DriverOptions): BridgeConfig {
	const flag = (key: string, unless: boolean): boolean => {
		const value = options[key];
		if (value === undefined) return unless;
		if (TRUE.has(value)) return true;
		if (FALSE.has(value)) return false;
		throw unreadable(key, value, `strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`);
	};
	const address = (key: string): Ip4 => {
		const value = options[key];
		if (value === undefined || value === "") return 0 as Ip4;
		const ip = parseIp4(value);
		if (ip === undefined) throw unreadable(key, value, "nil ip");
		return ip;
	};
	const mtu = options[LABELS.mtu] ?? "0";
	if (!/^[+-]?\d+$/.test(mtu))
		throw unreadable(LABELS.mtu, mtu, `strconv.Atoi: parsing ${JSON.stringify(mtu)}: invalid syntax`);
	return {
		name: options[LABELS.name] ?? `br-${shortId(networkId)}`,
		defaultBridge: flag(LABELS.defaultBridge, false),
		enableIcc: flag(LABELS.icc, true),
		enableIpMasquerade: flag(LABELS.masquerade, true),
		hostBinding: address(LABELS.hostBinding),
		inhibitIpv4: flag(LABELS.inhibit, false),
		mtu: Math.max(0, Number(mtu)),
		ifacePrefix: options[LABELS.prefix] ?? "eth",
		hostIpv4: address(LABELS.hostIpv4),
	};
}

const unreadable = (key: string, value: string, why: string): Error =>
	invalid(`failed to parse ${key} value: ${value} (${why})`, { context: { [key]: value } });

/** What Go's `strconv.ParseBool` takes. */
const TRUE = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const FALSE = new Set(["0", "f", "F", "false", "FALSE", "False"]);
