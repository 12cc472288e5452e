import type {
	ContainerSpec,
	EndpointSpec,
	NetworkObject,
	NetworkSpec,
	RestartPolicy,
	UpdateConfig,
} from "../objects.ts";
import { PREDEFINED } from "./labels.ts";

const SECOND = 1e9;

/** What `docker service create` asks for unless told otherwise (swarmkit api/defaults/service.go). */
export const UPDATE: UpdateConfig = {
	parallelism: 1,
	delay: 0,
	failureAction: "pause",
	monitor: 5 * SECOND,
	maxFailureRatio: 0,
	order: "stop-first",
};
export const RESTART: RestartPolicy = { condition: "any", delay: 5 * SECOND, maxAttempts: 0, window: 0 };
export const STOP_GRACE_PERIOD: number = 10 * SECOND;
export const ENDPOINT: EndpointSpec = { mode: "vip", ports: [] };
/** Tasks of one slot that are kept. */
export const TASK_HISTORY = 5;

/** What is in an attachment's spec where a service's task has its container. */
export const NO_CONTAINER: ContainerSpec = { image: "", args: [], labels: {}, stopGracePeriod: 0 };

const network = (id: string, now: string, spec: NetworkSpec, predefined: boolean): NetworkObject => ({
	kind: "network",
	id,
	meta: { version: 0, createdAt: now, updatedAt: now },
	spec,
	allocated: undefined,
	predefined,
});

/** The network for published ports, made with the cluster. */
export const ingressNetwork = (id: string, now: string): NetworkObject =>
	network(
		id,
		now,
		{
			name: "ingress",
			labels: {},
			driver: "overlay",
			options: {},
			internal: false,
			attachable: false,
			ingress: true,
			ipam: { options: null, configs: [] },
		},
		false,
	);

/** The cluster's name for each node's own `bridge` or `host`. */
export const predefinedNetwork = (id: string, now: string, name: "bridge" | "host"): NetworkObject =>
	network(
		id,
		now,
		{
			name,
			labels: { [PREDEFINED]: "true" },
			driver: name,
			options: {},
			internal: false,
			attachable: false,
			ingress: false,
			ipam: { options: null, configs: [] },
		},
		true,
	);
