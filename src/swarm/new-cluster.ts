import { timestamp } from "../cnm/index.ts";
import { type Rng, seconds } from "../sim/index.ts";
import type { Kernel } from "../stack/index.ts";
import { rootCertificate } from "./certificates.ts";
import { firstKeys } from "./dispatcher/index.ts";
import { digestOf, newId, newToken } from "./identity.ts";
import type { NewCluster } from "./manager/index.ts";
import type { ClusterObject, NodeAvailability } from "./objects.ts";

/** What `swarm init` says of the cluster. */
export interface NewClusterOptions extends Pick<
	ClusterObject,
	"defaultAddressPool" | "subnetSize" | "dataPathPort"
> {
	readonly availability: NodeAvailability;
	/** Address of its first node. */
	readonly address: string;
}

/** A cluster and its first node, as swarmkit's defaults have them (manager.go, `defaultClusterObject`). */
export function newCluster(kernel: Kernel, rng: Rng, options: NewClusterOptions): NewCluster {
	const { defaultAddressPool, subnetSize, dataPathPort, availability, address } = options;
	const now = timestamp(kernel);
	const meta = { version: 0, createdAt: now, updatedAt: now };
	const id = newId(rng);
	const rootDigest = digestOf(rootCertificate(id));
	return {
		cluster: {
			kind: "cluster",
			id,
			meta,
			tokens: { worker: newToken(rootDigest, rng), manager: newToken(rootDigest, rng) },
			rootDigest,
			defaultAddressPool,
			subnetSize,
			dataPathPort,
			dispatcherHeartbeat: seconds(5),
			taskHistoryLimit: 5,
			...firstKeys(rng),
		},
		node: {
			kind: "node",
			id: newId(rng),
			meta,
			spec: { role: "manager", availability, labels: {} },
			role: "manager",
			description: undefined,
			status: { state: "unknown", message: "", addr: address },
			managerStatus: undefined,
			attachments: [],
		},
	};
}
