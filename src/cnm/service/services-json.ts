import { libnetwork } from "../../wire/index.ts";
import type { NetworkServiceJson } from "../network-json.ts";
import type { NetworkTables } from "../network-tables.ts";
import { readRecord, type ServiceOfTask } from "./binding.ts";

type Task = NetworkServiceJson["Tasks"][number];

/** What the tables of a network say of its services; `mark` tells this node's marks (libnetwork `Services`). */
export function servicesJson(
	tables: NetworkTables,
	network: string,
	mark: (service: Pick<ServiceOfTask, "id" | "ingressPorts">) => number,
): Readonly<Record<string, NetworkServiceJson>> {
	const hosts = new Map<string, string>();
	for (const { key, value } of tables.entries(libnetwork.TABLE.overlayPeer, network)) {
		const peer = libnetwork.peerRecord.read(value);
		if (typeof peer !== "string") hosts.set(key, peer.tunnelEndpointIp);
	}
	const found: Record<string, NetworkServiceJson & { readonly Tasks: Task[] }> = {};
	for (const { key, value } of tables.entries(libnetwork.TABLE.endpoint, network)) {
		const record = libnetwork.endpointRecord.read(value);
		const service = readRecord(key, value)?.endpoint.service;
		if (typeof record === "string") continue;
		const entry = (found[record.serviceName] ??= {
			VIP: record.virtualIp,
			Ports: record.ingressPorts.map(
				({ targetPort, publishedPort }) => `Target: ${String(targetPort)}, Publish: ${String(publishedPort)}`,
			),
			LocalLBIndex: service === undefined ? 0 : mark(service),
			Tasks: [],
		});
		const host = hosts.get(key);
		entry.Tasks.push({
			Name: record.name,
			EndpointID: key,
			EndpointIP: record.endpointIp,
			Info: host === undefined ? null : { "Host IP": host },
		});
	}
	return found;
}
