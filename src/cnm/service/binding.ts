import { formatIp4, type Ip4, parseIp4 } from "../../addr/index.ts";
import { libnetwork } from "../../wire/index.ts";

/** A protocol that services publish. */
export type IngressProtocol = "tcp" | "udp" | "sctp";

/** A port of a service that the ingress network publishes on every node. */
export interface IngressPort {
	readonly name: string;
	readonly protocol: IngressProtocol;
	/** The program's. */
	readonly targetPort: number;
	/** The nodes'. */
	readonly publishedPort: number;
}

/** What a service is to the endpoints of its tasks on one network (`CreateOptionService`). */
export interface ServiceOfTask {
	readonly id: string;
	readonly name: string;
	/** Its address on the network; undefined for endpoint mode dnsrr. */
	readonly virtualIp: Ip4 | undefined;
	/** Other names of the service on the network. */
	readonly aliases: readonly string[];
	/** Of ingress alone: on other networks they are not told. */
	readonly ingressPorts: readonly IngressPort[];
}

/** An endpoint as the nodes of its network tell each other: what it is called, and which service it stands for. */
export interface BoundEndpoint {
	readonly endpointId: string;
	readonly ip: Ip4;
	/** The task's name, `web.1.37zuant3qj3diewp3k8ek55vh`, or the standalone container's. */
	readonly name: string;
	/** The container's short id, and what `--network-alias` says. */
	readonly aliases: readonly string[];
	/** Undefined for a container that is no task. */
	readonly service?: ServiceOfTask;
}

const PROTOCOLS: readonly IngressProtocol[] = ["tcp", "udp", "sctp"];

/** An entry of `endpoint_table`; `disabled` while the task winds down. */
export function recordOf(endpoint: BoundEndpoint, disabled: boolean): Uint8Array<ArrayBuffer> {
	const { service } = endpoint;
	return libnetwork.endpointRecord.write({
		name: endpoint.name,
		serviceName: service?.name ?? "",
		serviceId: service?.id ?? "",
		virtualIp: service?.virtualIp === undefined ? "<nil>" : formatIp4(service.virtualIp),
		endpointIp: formatIp4(endpoint.ip),
		ingressPorts: (service?.ingressPorts ?? []).map((port) => ({
			name: port.name,
			protocol: PROTOCOLS.indexOf(port.protocol),
			targetPort: port.targetPort,
			publishedPort: port.publishedPort,
		})),
		aliases: service?.aliases ?? [],
		taskAliases: endpoint.aliases,
		serviceDisabled: disabled,
	});
}

/** What an entry of `endpoint_table` says; undefined where it names no endpoint (`handleEpTableEvent`). */
export function readRecord(
	endpointId: string,
	value: Uint8Array,
): { readonly endpoint: BoundEndpoint; readonly disabled: boolean } | undefined {
	const record = libnetwork.endpointRecord.read(value);
	if (typeof record === "string") return undefined;
	const ip = parseIp4(record.endpointIp);
	if (record.name === "" || ip === undefined) return undefined;
	const service: ServiceOfTask = {
		id: record.serviceId,
		name: record.serviceName,
		virtualIp: parseIp4(record.virtualIp),
		aliases: record.aliases,
		ingressPorts: record.ingressPorts.flatMap(({ protocol, ...port }) => {
			const known = PROTOCOLS[protocol];
			return known === undefined ? [] : [{ ...port, protocol: known }];
		}),
	};
	return {
		endpoint: {
			endpointId,
			ip,
			name: record.name,
			aliases: record.taskAliases,
			...(service.id === "" ? {} : { service }),
		},
		disabled: record.serviceDisabled,
	};
}
