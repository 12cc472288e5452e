import { cliRefuses, readPublish } from "../../cnm/index.ts";
import type { PortProtocol, ServicePort } from "../objects.ts";

/** The long form of `--publish`. */
export interface PublishOptions {
	/** The port in the container. */
	readonly target: number;
	/** The port on the nodes; one of 30000 to 32767 unless said, in mode host one that the node chooses. */
	readonly published?: number;
	/** `tcp` unless said. */
	readonly protocol?: PortProtocol;
	/** `ingress` unless said: by the load balancers of all nodes; `host`: on the task's node alone. */
	readonly mode?: "ingress" | "host";
}

const PROTOCOLS: readonly string[] = ["tcp", "udp", "sctp"];
const MODES: readonly string[] = ["ingress", "host"];

/** Reads `--publish`: `8080:80`, `8080:80/udp`, `published=8080,target=80,mode=host`, or an object. Throws `NetError`. */
export function readServicePublish(value: string | PublishOptions): ServicePort[] {
	if (typeof value !== "string") return [servicePort(value)];
	if (value.includes("=")) return [servicePort(longForm(value))];
	return readPublish(value).map(({ proto, port, hostIp, hostPort, hostPortEnd }) => {
		if (hostIp !== undefined) throw cliRefuses("hostip is not supported");
		if (hostPortEnd > hostPort) throw cliRefuses(`invalid port range for publish: ${value}`);
		return servicePort({ target: port, published: hostPort, protocol: proto });
	});
}

/** Two ports of a service that are the same one; services keep them sorted by it once they were changed (`portConfigToString`). */
const asText = ({ publishedPort, targetPort, protocol, publishMode }: ServicePort): string =>
	`${String(publishedPort)}:${String(targetPort)}/${protocol}/${publishMode}`;

/**
 * `--publish-add` and `--publish-rm`, the latter by port in the container, protocol and mode alone (docker's CLI,
 * command/service/update.go). What is there already is not added again. Throws `NetError`.
 */
export function updatePorts(
	old: readonly ServicePort[],
	add: readonly (string | PublishOptions)[],
	rm: readonly (string | PublishOptions)[],
): ServicePort[] {
	const removed = rm.flatMap(readServicePublish);
	const kept = old.filter(
		(port) =>
			!removed.some(
				({ targetPort, protocol, publishMode }) =>
					port.targetPort === targetPort && port.protocol === protocol && port.publishMode === publishMode,
			),
	);
	const known = new Set(old.map(asText));
	const added = add.flatMap(readServicePublish).filter((port) => !known.has(asText(port)));
	return [...kept, ...added].sort((a, b) => (asText(a) < asText(b) ? -1 : Number(asText(a) > asText(b))));
}

function servicePort({
	target,
	published = 0,
	protocol = "tcp",
	mode = "ingress",
}: PublishOptions): ServicePort {
	if (!PROTOCOLS.includes(protocol)) throw cliRefuses(`invalid protocol value ${protocol}`);
	if (!MODES.includes(mode)) throw cliRefuses(`invalid publish mode value ${mode}`);
	for (const port of [target, published]) {
		if (!Number.isInteger(port) || port < 0 || port > 65_535)
			throw cliRefuses(`strconv.ParseUint: parsing "${String(port)}": value out of range`);
	}
	if (target === 0) throw cliRefuses(`missing mandatory field "target"`);
	return { name: "", protocol, targetPort: target, publishedPort: published, publishMode: mode };
}

function longForm(text: string): PublishOptions {
	const found: { target: number; published?: number; protocol?: PortProtocol; mode?: "ingress" | "host" } = {
		target: 0,
	};
	for (const field of text.split(",")) {
		const at = field.indexOf("=");
		if (at < 0) throw cliRefuses(`invalid field ${field}`);
		const name = field.slice(0, at).toLowerCase();
		const value = field.slice(at + 1).toLowerCase();
		switch (name) {
			case "target":
			case "published":
				if (!/^\d+$/.test(value))
					throw cliRefuses(`strconv.ParseUint: parsing ${JSON.stringify(value)}: invalid syntax`);
				found[name] = Number(value);
				break;
			case "protocol":
				// Judged when the whole is read.
				found.protocol = value as PortProtocol;
				break;
			case "mode":
				found.mode = value as "ingress" | "host";
				break;
			default:
				throw cliRefuses(`invalid field key ${name}`);
		}
	}
	return found;
}
