import { formatIp4, type Ip4, parseIp4, parsePrefix4 } from "../addr/index.ts";
import type { DockerError } from "../cnm/index.ts";
import type { IpNamespace } from "../stack/index.ts";
import { failed, invalid } from "./refusals.ts";

/** The port of managers. */
export const CONTROL_PORT = 2377;
const ANY = "0.0.0.0";
/** Prefix of an address pool's subnets, and the longest there may be. */
const DEFAULT_SUBNET_SIZE = 24;
const MOST_SUBNET_SIZE = 29;
const VXLAN_PORT = 4789;

/** A host and a port, each as text and number. */
export interface HostPort {
	readonly host: string;
	readonly port: number;
}

/** `host:port` again. */
export const joinHostPort = ({ host, port }: HostPort): string => `${host}:${String(port)}`;

/** `--listen-addr`: an address or an interface, a port behind it if need be. Throws `DockerError`. */
export function listenAddress(ns: IpNamespace, text: string = `${ANY}:${String(CONTROL_PORT)}`): HostPort {
	if (text === "") throw invalid(`invalid ListenAddr "": invalid empty address`);
	const { host, port } = split(text, CONTROL_PORT);
	if (port === undefined) throw failed(`could not parse listen address ${text}`);
	const address = interfaceAddress(ns, host) ?? host;
	if (parseIp4(address) === undefined)
		throw failed("listen address must be an IP address or network interface (with optional port number)");
	return { host: address, port };
}

/** `--advertise-addr`, or the machine's only address. Throws `DockerError`. */
export function advertiseAddress(ns: IpNamespace, text: string | undefined, listenPort: number): HostPort {
	if (text === undefined || text === "") return { host: systemAddress(ns), port: listenPort };
	const { host, port = listenPort } = split(text, listenPort);
	const address = interfaceAddress(ns, host) ?? host;
	const ip = parseIp4(address);
	if (ip === undefined || ip === 0)
		throw failed(
			"advertise address must be a non-zero IP address or network interface (with optional port number)",
		);
	return { host: address, port };
}

/** `--data-path-addr`: an address or an interface. Throws `DockerError`. */
export function dataPathAddress(ns: IpNamespace, text: string | undefined): string | undefined {
	if (text === undefined || text === "") return undefined;
	const address = interfaceAddress(ns, text) ?? text;
	const ip = parseIp4(address);
	if (ip === undefined || ip === 0)
		throw failed(
			"data path address must be a non-zero IP address or network interface (without a port number)",
		);
	return address;
}

/** `--data-path-port`. Throws `DockerError`. */
export function dataPathPort(port = 0): number {
	if (port === 0) return VXLAN_PORT;
	if (!Number.isInteger(port) || port < 1024 || port > 49_151)
		throw failed(`Datapath port number is not in valid range (1024-49151) : ${String(port)}`);
	return port;
}

/** `--default-addr-pool` and `--default-addr-pool-mask-length`. Throws `DockerError`. */
export function addressPools(
	pools: readonly string[] = ["10.0.0.0/8"],
	size: number = DEFAULT_SUBNET_SIZE,
): { readonly defaultAddressPool: readonly string[]; readonly subnetSize: number } {
	if (size > MOST_SUBNET_SIZE) throw failed(`subnet size is out of range: ${String(size)}`);
	for (const pool of pools) {
		const prefix = parsePrefix4(pool);
		if (prefix === undefined) throw failed(`invalid base pool ${pool}: invalid CIDR address: ${pool}`);
		if (size < prefix.length)
			throw failed(`invalid CIDR: "${pool}". Subnet size is too small for pool: ${String(size)}`);
	}
	return { defaultAddressPool: pools, subnetSize: size };
}

/** The manager to join, its port added. Throws `DockerError`. */
export function remoteAddress(remotes: readonly string[]): string {
	const [first] = remotes;
	if (first === undefined) throw invalid("at least 1 RemoteAddr is required to join");
	if (first === "") throw invalid(`invalid remoteAddr "": invalid empty address`);
	const { host, port = CONTROL_PORT } = split(first, CONTROL_PORT);
	return joinHostPort({ host, port });
}

/**
 * The address of a node that joins and does not say which: the one it listens at, or the one it calls the manager from
 * (moby daemon/cluster/noderunner.go). Throws `DockerError`.
 */
export function localAddress(ns: IpNamespace, listen: HostPort, remote: string): string {
	if (listen.host !== ANY) return listen.host;
	const host = remote.slice(0, remote.lastIndexOf(":"));
	const to = parseIp4(host);
	if (to === undefined)
		throw failed(`could not find local IP address: dial udp: lookup ${host}: no such host`);
	const route = ns.route(to);
	if (route === undefined)
		throw failed(`could not find local IP address: dial udp ${remote}: connect: network is unreachable`);
	return formatIp4(ns.sourceFor(route, to));
}

function split(text: string, port: number): { readonly host: string; readonly port: number | undefined } {
	const colon = text.lastIndexOf(":");
	if (colon < 0) return { host: text, port };
	const digits = text.slice(colon + 1);
	const number = /^\d{1,5}$/.test(digits) && Number(digits) < 0x1_0000 ? Number(digits) : undefined;
	return { host: text.slice(0, colon), port: number };
}

/** The only IPv4 address of an interface; undefined when there is no such interface. */
function interfaceAddress(ns: IpNamespace, name: string): string | undefined {
	const device = ns.devices.find((each) => each.name === name);
	if (device === undefined) return undefined;
	const [first, second] = addressesOf(ns, device.name);
	if (first === undefined) throw failed(`interface ${name} has no usable IPv4 or IPv6 address`);
	if (second !== undefined)
		throw failed(
			`interface ${name} has more than one IPv4 address (${formatIp4(first)} and ${formatIp4(second)})`,
		);
	return formatIp4(first);
}

/** The machine's only address, those of containers' bridges aside. */
function systemAddress(ns: IpNamespace): string {
	let found: { readonly name: string; readonly address: Ip4 } | undefined;
	for (const device of ns.devices) {
		if (!device.isUp || device.kind === "loopback" || device.kind === "bridge") continue;
		for (const address of addressesOf(ns, device.name)) {
			if (found !== undefined) throw several(found, { name: device.name, address });
			found = { name: device.name, address };
		}
	}
	if (found === undefined) throw failed("could not find the system's IP address");
	return formatIp4(found.address);
}

interface Named {
	readonly name: string;
	readonly address: Ip4;
}

function several(a: Named, b: Named): DockerError {
	const [one, other] = [formatIp4(a.address), formatIp4(b.address)];
	const text = "could not choose an IP address to advertise since this system has multiple addresses on";
	return failed(
		a.name === b.name
			? `${text} interface ${a.name} (${one} and ${other})`
			: `${text} different interfaces (${one} on ${a.name} and ${other} on ${b.name})`,
	);
}

const addressesOf = (ns: IpNamespace, name: string): Ip4[] =>
	ns.inDevices
		.filter(({ device }) => device.name === name)
		.flatMap((each) => each.addresses.map(({ prefix }) => prefix.address));
