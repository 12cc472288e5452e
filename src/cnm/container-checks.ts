import { type Ip4, parseIp4, parseIp6 } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import type { IpNamespace, SysctlName } from "../stack/index.ts";
import type { Attachment, Container } from "./container.ts";
import { cliRefuses, failed, invalid } from "./docker-error.ts";
import type { PortBinding } from "./driver.ts";
import type { Network } from "./network.ts";
import { sortBindings } from "./publish.ts";
import type { RunOptions } from "./run-options.ts";

const MESSAGES = {
	ipOnDefault: "user specified IP address is supported on user defined networks only",
	ipWithoutSubnet:
		"user specified IP address is supported only when connecting to networks with user configured subnets",
	aliasOnDefault: "network-scoped alias is supported only for containers in user defined networks",
} as const;

/** `HostConfig.NetworkMode`. */
export function modeOf(network: RunOptions["network"]): string {
	if (network === undefined) return "default";
	return typeof network === "string" ? network : network.name;
}

/** What the daemon refuses to combine (runconfig `validateNetMode`). */
export function checkMode(mode: string, options: RunOptions): void {
	const refuse = (condition: boolean, text: string): void => {
		if (condition) throw invalid(`conflicting options: ${text}`);
	};
	const links = (options.links ?? []).length > 0;
	const undefinedBehaviour = "This would result in undefined behavior";
	refuse(mode === "host" && links, `host type networking can't be used with links. ${undefinedBehaviour}`);
	if (!mode.startsWith("container:")) {
		if (mode === "container") throw invalid("invalid container format container:<name|id>");
		return;
	}
	if (mode === "container:")
		throw invalid("Invalid network mode: invalid container format container:<name|id>");
	refuse(options.hostname !== undefined, "hostname and the network mode");
	refuse(links, `container type network can't be used with links. ${undefinedBehaviour}`);
	refuse((options.dns ?? []).length > 0, "dns and the network mode");
	refuse((options.addHost ?? []).length > 0, "custom host-to-IP mapping and the network mode");
	refuse(options.macAddress !== undefined, "mac-address and the network mode");
	const published = (options.publish ?? []).length > 0 || options.publishAll === true;
	refuse(published, "port publishing and the container type network mode");
	refuse((options.expose ?? []).length > 0, "port exposing and the container type network mode");
}

/** Addresses and names are for networks of the user's (`validateNetworkingConfig`). */
export function checkAttachment(network: Network, about: Pick<Attachment, "ip" | "aliases">): void {
	if (network.about.predefined) {
		if (about.ip !== undefined) throw invalid(MESSAGES.ipOnDefault);
		if (about.aliases.length > 0) throw invalid(MESSAGES.aliasOnDefault);
	} else if (about.ip !== undefined && !network.about.userSubnets) {
		throw invalid(MESSAGES.ipWithoutSubnet, {
			remedy: `Create ${network.name} with a subnet (docker network create --subnet).`,
		});
	}
}

/** An address as the CLI reads it. */
export function readIp(value: Ip4 | string | undefined, flag: string): Ip4 | undefined {
	if (typeof value !== "string") return value;
	const ip = parseIp4(value);
	if (ip === undefined) {
		throw cliRefuses(`invalid argument "${value}" for "${flag}" flag: invalid IP address: ${value}`);
	}
	return ip;
}

/** What `--add-host` writes for the host itself. */
export const HOST_GATEWAY = "host-gateway";

/** `--add-host` and `--dns` as the CLI reads them. Throws `NetError`. */
export function checkNames({ addHost = [], dns = [] }: RunOptions): void {
	const refuse = (value: string, flag: string, why: string): never => {
		throw cliRefuses(`invalid argument "${value}" for "${flag}" flag: ${why}`);
	};
	const isAddress = (text: string): boolean =>
		parseIp4(text.trim()) !== undefined || parseIp6(text.trim()) !== undefined;
	for (const entry of addHost) {
		const colon = entry.indexOf(":");
		if (colon < 1) refuse(entry, "--add-host", `bad format for add-host: "${entry}"`);
		const address = entry.slice(colon + 1);
		if (address !== HOST_GATEWAY && !isAddress(address))
			refuse(entry, "--add-host", `invalid IP address in add-host: "${address}"`);
	}
	for (const server of dns) if (!isAddress(server)) refuse(server, "--dns", `${server} is not an ip address`);
}

/** Ports to publish, in the daemon's order; with `-P` also those that are exposed alone. */
export function bindings(container: Container): PortBinding[] {
	const all = container.options.publishAll === true;
	return sortBindings(
		container.ports.map((spec) =>
			spec.bindings.length > 0 || !all
				? spec
				: { ...spec, bindings: [{ proto: spec.proto, port: spec.port, hostPort: 0, hostPortEnd: 0 }] },
		),
	);
}

/** `--sysctl`. Throws `DockerError` in runc's words. */
export function setSysctls(ns: IpNamespace, sysctls: Readonly<Record<string, number>>): void {
	for (const [name, value] of Object.entries(sysctls)) {
		try {
			ns.sysctl.set(name as SysctlName, value);
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			const path = `/proc/sys/${name.replaceAll(".", "/")}`;
			const why = error.code === "ENOENT" ? "no such file or directory" : "invalid argument";
			throw failed(
				"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container" +
					` process: error during container init: open ${path}: ${why}: unknown`,
				{ context: { [name]: value } },
			);
		}
	}
}
