import type { IpNamespace } from "../../stack/index.ts";
import type { Container } from "../container.ts";
import { HOST_GATEWAY } from "../container-checks.ts";
import { GWBRIDGE } from "../gateway.ts";
import type { Machine } from "../machine.ts";
import { EmbeddedDns } from "./embedded-dns.ts";
import { hostsFile, resolvConf, type ResolvConfOptions, serversOf } from "./files.ts";
import { SandboxNames } from "./names.ts";

/** What `daemon.json` says of names. */
export interface DnsDefaults {
	/** `dns`. */
	readonly dns?: readonly string[];
	/** `dns-search`. */
	readonly dnsSearch?: readonly string[];
	/** `dns-opts`. */
	readonly dnsOptions?: readonly string[];
}

/**
 * Names in containers: /etc/resolv.conf and /etc/hosts, and on networks with names of their own a server at 127.0.0.11.
 * The host's namespace has its own files, and a container in it sees those.
 */
export class Naming<N extends IpNamespace> {
	readonly #machine: Machine<N>;
	readonly #defaults: DnsDefaults;
	readonly #hostGateway: string;

	/** `hostGateway` is what `host-gateway` stands for. */
	constructor(machine: Machine<N>, defaults: DnsDefaults, hostGateway: string) {
		this.#hostGateway = hostGateway;
		this.#machine = machine;
		this.#defaults = defaults;
	}

	/** A container's networks are others now: its files are written anew, its server started when it needs one. */
	follow(container: Container<N>): void {
		const { sandbox } = container;
		if (sandbox?.own !== true) return;
		const named = sandbox.endpoints.some(({ network }) => !network.about.predefined);
		const about = this.#about(container);
		if (named) {
			container.dns ??= new EmbeddedDns(sandbox.ns, {
				names: new SandboxNames(
					() => sandbox.endpoints,
					() => linksOf(container),
				),
				servers: () => serversOf(this.#about(container)),
				rng: this.#machine.rng.fork(`dns/${container.id}`),
			});
		}
		const { files } = sandbox.ns;
		files.set("/etc/resolv.conf", resolvConf(about, named));
		files.set(
			"/etc/hosts",
			hostsFile([...this.#extraHosts(container), ...container.linkedHosts], ownHosts(container)),
		);
		files.set("/etc/hostname", `${container.hostname}\n`);
	}

	/** The container stops. */
	end(container: Container<N>): void {
		container.dns?.close();
		container.dns = undefined;
	}

	#extraHosts({ options }: Container<N>): (readonly [string, string])[] {
		return (options.addHost ?? []).map((entry) => {
			const colon = entry.indexOf(":");
			const address = entry.slice(colon + 1);
			return [address === HOST_GATEWAY ? this.#hostGateway : address, entry.slice(0, colon)];
		});
	}

	#about({ options }: Container<N>): ResolvConfOptions {
		return {
			host: this.#machine.netns.files.get("/etc/resolv.conf") ?? "",
			dns: options.dns ?? this.#defaults.dns,
			search: options.dnsSearch ?? this.#defaults.dnsSearch,
			options: options.dnsOptions ?? this.#defaults.dnsOptions,
		};
	}
}

/** `--link NAME:ALIAS`: what the alias stands for. */
function linksOf(container: Container): ReadonlyMap<string, string> {
	const links = [...container.attachments.values()].flatMap((each) => each.links);
	return new Map(
		links.map((link) => {
			const [name = "", alias = name] = link.split(":");
			return [alias.toLowerCase(), name] as const;
		}),
	);
}

function ownHosts({ sandbox, hostname, options }: Container): (readonly [string, string])[] {
	const name = options.domainname === undefined ? hostname : `${hostname}.${options.domainname} ${hostname}`;
	// What only leads in or out has no name (`sbJoin`).
	const own = (sandbox?.endpoints ?? []).filter(
		({ network }) => network.name !== GWBRIDGE && !network.about.ingress,
	);
	return own.flatMap(({ ip }) => (ip === "" ? [] : [[ip, name] as const]));
}
