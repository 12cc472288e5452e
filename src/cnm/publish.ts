import { formatIp4, parseIp4 } from "../addr/index.ts";
import { cliRefuses } from "./docker-error.ts";
import type { PortBinding } from "./driver.ts";

/** A port of a container that is exposed or published. */
export interface PortSpec {
	/** `80/tcp`. */
	readonly key: string;
	readonly proto: "tcp" | "udp";
	readonly port: number;
	/** Where it is published; none for a port that is exposed alone. */
	readonly bindings: readonly PortBinding[];
}

/** `HostConfig.PortBindings` of one port. */
export interface HostPort {
	readonly HostIp: string;
	readonly HostPort: string;
}

/**
 * Reads `-p`: `80`, `5001:80`, `127.0.0.1:5001:80`, `127.0.0.1::80`, `8000-8002:80-82/udp`. Throws `NetError` as the
 * docker CLI prints it.
 */
export function readPublish(text: string): PortBinding[] {
	const slash = text.lastIndexOf("/");
	const [rest, proto] =
		slash < 0 ? [text, "tcp"] : [text.slice(0, slash), text.slice(slash + 1).toLowerCase()];
	if (proto !== "tcp" && proto !== "udp") throw cliRefuses(`invalid proto: ${proto}`);
	const parts = rest.split(":");
	const container = parts.at(-1) ?? "";
	const host = parts.length > 1 ? (parts.at(-2) ?? "") : "";
	const ip = parts
		.slice(0, -2)
		.join(":")
		.replace(/^\[|\]$/g, "");
	if (container === "") throw cliRefuses(`no port specified: ${text}<empty>`);
	if (ip !== "" && parseIp4(ip) === undefined) throw cliRefuses(`invalid IP address: ${ip}`);
	const inner = readRange(container);
	if (inner === undefined) throw cliRefuses(`invalid containerPort: ${container}`);
	const outer = host === "" ? ([0, 0] as const) : readRange(host);
	if (outer === undefined) throw cliRefuses(`invalid hostPort: ${host}`);
	const [first, last] = inner;
	const [hostFirst, hostLast] = outer;
	const same = last - first === hostLast - hostFirst;
	// A range of the host's for one port: the daemon takes the first of it that is free.
	if (host !== "" && !same && first !== last)
		throw cliRefuses(`invalid ranges specified for container and host Ports: ${container} and ${host}`);
	const found: PortBinding[] = [];
	for (let port = first; port <= last; port++) {
		const at = host === "" ? 0 : same ? hostFirst + (port - first) : hostFirst;
		const hostIp = ip === "" ? undefined : parseIp4(ip);
		found.push({
			proto,
			port,
			...(hostIp === undefined ? {} : { hostIp }),
			hostPort: at,
			hostPortEnd: host === "" ? 0 : same ? at : hostLast,
		});
	}
	return found;
}

function readRange(text: string): readonly [number, number] | undefined {
	if (!/^\d+(-\d+)?$/.test(text)) return undefined;
	const [first, last] = text.split("-").map(Number);
	if (first === undefined || first > 65_535 || (last ?? first) > 65_535 || (last ?? first) < first)
		return undefined;
	return [first, last ?? first];
}

/** Reads `--expose`: `80`, `53/udp`, `8000-8002`. Throws `NetError` as the docker CLI prints it. */
export function readExpose(text: string): PortSpec[] {
	if (text.includes(":")) throw cliRefuses(`invalid port format for --expose: ${text}`);
	const [ports = "", proto = "tcp"] = text.split("/");
	const range = readRange(ports);
	if (range === undefined || (proto !== "tcp" && proto !== "udp"))
		throw cliRefuses(`invalid range format for --expose: ${text}, error: Invalid range format`);
	return Array.from({ length: range[1] - range[0] + 1 }, (_, i) => ({
		key: `${String(range[0] + i)}/${proto}`,
		proto,
		port: range[0] + i,
		bindings: [],
	}));
}

/** Ports by their key, published and exposed ones together, in the order in which they were named. */
export function portSpecs(publish: readonly string[], expose: readonly string[]): PortSpec[] {
	const found = new Map<string, PortSpec>();
	for (const binding of publish.flatMap(readPublish)) {
		const { proto, port } = binding;
		const key = `${String(port)}/${proto}`;
		found.set(key, { key, proto, port, bindings: [...(found.get(key)?.bindings ?? []), binding] });
	}
	for (const spec of expose.flatMap(readExpose)) if (!found.has(spec.key)) found.set(spec.key, spec);
	return [...found.values()];
}

/** The order in which the daemon publishes: larger host ports first, then larger ports (`nat.SortPortMap`). */
export function sortBindings(specs: readonly PortSpec[]): PortBinding[] {
	const sorted: PortBinding[] = [];
	// The comparison is no order when ports are equal, so the way of sorting shows: by insertion, as Go's does for few.
	for (const binding of specs.flatMap(({ bindings }) => bindings)) {
		let at = sorted.length;
		for (let last = sorted[at - 1]; last !== undefined && before(binding, last); last = sorted[at - 1]) at--;
		sorted.splice(at, 0, binding);
	}
	return sorted;
}

const before = (a: PortBinding, b: PortBinding): boolean =>
	a.hostPort > b.hostPort || a.port > b.port || (a.port === b.port && a.proto === "tcp");

/** As `HostConfig.PortBindings` has it. */
export const hostPort = ({ hostIp, hostPort: first, hostPortEnd: last }: PortBinding): HostPort => ({
	HostIp: hostIp === undefined ? "" : formatIp4(hostIp),
	HostPort: first === 0 ? "" : last > first ? `${String(first)}-${String(last)}` : String(first),
});
