import type { ClusterNetwork } from "../cnm/index.ts";
import type { NetworkObject } from "./objects.ts";

/** A network as engines see it. One that got no subnet has no driver either (swarmkit issue 2398). */
export function clusterNetwork({ id, meta, spec, allocated }: NetworkObject): ClusterNetwork {
	const configs = allocated?.configs ?? spec.ipam.configs;
	return {
		id,
		name: spec.name,
		driver: allocated === undefined ? "" : spec.driver,
		created: meta.createdAt,
		internal: spec.internal,
		attachable: spec.attachable,
		ingress: spec.ingress,
		labels: spec.labels,
		options: allocated?.options ?? {},
		ipam: configs.map(({ subnet, gateway = "" }, i) => {
			const range = spec.ipam.configs[i]?.range;
			return { Subnet: subnet, Gateway: gateway, ...(range === undefined ? {} : { IPRange: range }) };
		}),
		ipamOptions: spec.ipam.options,
	};
}
