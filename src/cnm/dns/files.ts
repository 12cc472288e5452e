import { ADDRESS } from "./embedded-dns.ts";

/** What a container's resolv.conf is made of: the host's file, and what `docker run` says. */
export interface ResolvConfOptions {
	/** The host's /etc/resolv.conf. */
	readonly host: string;
	readonly dns?: readonly string[] | undefined;
	readonly search?: readonly string[] | undefined;
	readonly options?: readonly string[] | undefined;
}

/** Where a host without a name server of its own sends its containers (`defaultIPv4Dns`). */
const PUBLIC = ["8.8.8.8", "8.8.4.4"];

/** /etc/resolv.conf of a container. `embedded`: on networks with names of their own it asks 127.0.0.11. */
export function resolvConf(about: ResolvConfOptions, embedded: boolean): string {
	const host = parse(about.host);
	const search = about.search ?? host.search;
	const options = [...(about.options ?? host.options)];
	if (embedded && !options.some((option) => option.startsWith("ndots:"))) options.push("ndots:0");
	const servers = embedded ? [ADDRESS] : serversOf(about);
	const lines = [
		...(search.length === 0 || search.join(" ") === "." ? [] : [`search ${search.join(" ")}`]),
		...servers.map((server) => `nameserver ${server}`),
		...(options.length === 0 ? [] : [`options ${options.join(" ")}`]),
	];
	return lines.map((line) => `${line}\n`).join("");
}

/** The servers outside: `--dns`, else the host's but those on its loopback, else public ones. */
export function serversOf({ host, dns }: ResolvConfOptions): readonly string[] {
	if (dns !== undefined && dns.length > 0) return dns;
	const own = parse(host).servers.filter((server) => !server.startsWith("127."));
	return own.length > 0 ? own : PUBLIC;
}

function parse(text: string): { servers: string[]; search: string[]; options: string[] } {
	const found = { servers: [] as string[], search: [] as string[], options: [] as string[] };
	for (const line of text.split("\n")) {
		const [word, ...rest] = line.trim().split(/\s+/);
		if (word === "nameserver" && rest[0] !== undefined) found.servers.push(rest[0]);
		if (word === "search" || word === "domain") found.search = rest;
		if (word === "options") found.options = rest;
	}
	return found;
}

/** /etc/hosts of a container: the fixed lines, `--add-host`, and its own addresses with its name. */
export function hostsFile(
	extra: readonly (readonly [address: string, name: string])[],
	own: readonly (readonly [address: string, name: string])[],
): string {
	const lines = [
		["127.0.0.1", "localhost"],
		["::1", "localhost ip6-localhost ip6-loopback"],
		["fe00::0", "ip6-localnet"],
		["ff00::0", "ip6-mcastprefix"],
		["ff02::1", "ip6-allnodes"],
		["ff02::2", "ip6-allrouters"],
		...extra,
		...own,
	];
	return lines.map(([address, name]) => `${address}\t${name}\n`).join("");
}
