import type { TaskObject } from "../objects.ts";
import { NO_CONTAINER } from "./defaults.ts";

/** What a standalone container's place on a network is made from. */
export interface AttachmentRequest {
	readonly nodeId: string;
	readonly containerId: string;
	readonly networkId: string;
	/** Of its own choice; none for any. */
	readonly addresses: readonly string[];
}

/** The task that stands for a standalone container on a network (swarmkit manager/resourceapi `AttachNetwork`). */
export function attachmentTask(
	id: string,
	now: string,
	{ nodeId, containerId, networkId, addresses }: AttachmentRequest,
): TaskObject {
	return {
		kind: "task",
		id,
		meta: { version: 0, createdAt: now, updatedAt: now },
		serviceId: "",
		serviceName: "",
		slot: 0,
		nodeId,
		spec: {
			runtime: "attachment",
			container: NO_CONTAINER,
			attachmentContainerId: containerId,
			networks: [{ target: networkId, aliases: [], addresses }],
			placement: { constraints: [], preferences: [], maxReplicas: 0 },
			// A container's end is its owner's affair.
			restart: { condition: "none", delay: 0, maxAttempts: 0, window: 0 },
			forceUpdate: 0,
		},
		specVersion: undefined,
		status: { state: "new", timestamp: now, message: "created", err: "" },
		desiredState: "running",
		networks: [],
		endpoint: undefined,
	};
}
