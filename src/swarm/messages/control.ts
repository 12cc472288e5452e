// What managers are asked on behalf of their users (swarmkit api/control.proto): only managers that do not lead send it.
import { protobuf } from "../../wire/index.ts";
import type { ControlRequest } from "../api/requests.ts";
import type { ClusterObject, NetworkSpec, NodeRole, ServiceSpec } from "../objects.ts";
import type { ClusterChange } from "../dispatcher/index.ts";
import { cluster, dispatcherConfig, orchestration } from "./cluster.ts";
import { empty, givenVersion, unlessBare } from "./common.ts";
import { networkSpec } from "./network.ts";
import { changeIn, changeOf, nodeChange, type NodeChangeMessage } from "./node-change.ts";
import { serviceSpec } from "./service.ts";

const { bool, mapped, message, optional, text, word } = protobuf;

/** A call's request and answer, each as the plain data that it is. */
export interface Bodies {
	readonly request: protobuf.Codec<Body>;
	readonly reply: protobuf.Codec<Body>;
}
/** Plain data of a call. */
export interface Body {
	readonly body: unknown;
}

/** The message of a call's data, which is what its name says it is: only `read` meets data of strangers. */
const body = <Data, Message extends object>(
	codec: protobuf.Codec<Message>,
	to: (data: Data) => Message,
	from: (message: Message) => Data | undefined,
	bodiless = false,
): protobuf.Codec<Body> =>
	mapped<Body, Message>(
		codec,
		(of) => to(of.body as Data),
		(found) => {
			const data = from(found);
			return data === undefined && !bodiless ? undefined : { body: data };
		},
	);

/** Nothing is asked. */
const noQuestion = body<undefined, object>(
	empty,
	() => ({}),
	() => undefined,
	true,
);
/** It was done. */
const done = body<object, object>(
	empty,
	() => ({}),
	() => ({}),
);

interface Id {
	readonly id: string;
}
const id = message<Id>({ id: text(1) });
/** Of an object that was made or changed only its id is told. */
const made = body<Id, { readonly object: Id | undefined }>(
	message<{ readonly object: Id | undefined }>({ object: optional(1, id) }),
	(object) => ({ object: { id: object.id } }),
	({ object }) => ({ id: object?.id ?? "" }),
);

type Request<Name extends ControlRequest["method"]> = Extract<ControlRequest, { readonly method: Name }>;

interface Removal {
	readonly id: string;
	readonly force: boolean;
}
const removal = message<Removal>({ id: text(1), force: bool(2) });

interface ServiceUpdate {
	readonly id: string;
	readonly specVersion: number;
	readonly spec: ServiceSpec | undefined;
	readonly rollback: "none" | "previous";
}
const serviceUpdate = message<ServiceUpdate>({
	id: text(1),
	specVersion: givenVersion(2),
	spec: optional(3, serviceSpec),
	rollback: word(4, ["none", "previous"]),
});

interface ClusterChangeMessage {
	readonly orchestration: { readonly taskHistoryLimit: number } | undefined;
	readonly dispatcher: { readonly heartbeat: number } | undefined;
}
/** A `ClusterSpec` with what changes in it alone, where a real one comes whole. */
const clusterChange = message<ClusterChangeMessage>({
	orchestration: optional(3, orchestration),
	dispatcher: optional(5, dispatcherConfig),
});

/** The calls of the control API, by their names. */
export const CONTROL: Readonly<Record<string, Bodies>> = {
	GetCluster: {
		request: noQuestion,
		reply: body<ClusterObject | undefined, { readonly cluster: ClusterObject | undefined }>(
			message<{ readonly cluster: ClusterObject | undefined }>({ cluster: optional(1, cluster) }),
			(of) => ({ cluster: of }),
			(found) => found.cluster,
			true,
		),
	},
	UpdateCluster: {
		request: body<ClusterChange, { readonly spec: ClusterChangeMessage | undefined }>(
			message<{ readonly spec: ClusterChangeMessage | undefined }>({ spec: optional(3, clusterChange) }),
			({ taskHistoryLimit, dispatcherHeartbeat }) => ({
				spec: {
					orchestration: taskHistoryLimit === undefined ? undefined : { taskHistoryLimit },
					dispatcher: dispatcherHeartbeat === undefined ? undefined : { heartbeat: dispatcherHeartbeat },
				},
			}),
			({ spec }) =>
				spec && {
					...(spec.orchestration === undefined
						? {}
						: { taskHistoryLimit: spec.orchestration.taskHistoryLimit }),
					...(spec.dispatcher === undefined ? {} : { dispatcherHeartbeat: spec.dispatcher.heartbeat }),
				},
		),
		reply: done,
	},
	RotateToken: {
		request: body<{ readonly role: NodeRole }, { readonly rotation: Rotation | undefined }>(
			message<{ readonly rotation: Rotation | undefined }>({
				rotation: optional(4, message<Rotation>({ worker: bool(1), manager: bool(2) })),
			}),
			({ role }) => ({ rotation: { worker: role === "worker", manager: role === "manager" } }),
			({ rotation }) => rotation && { role: rotation.manager ? "manager" : "worker" },
		),
		reply: done,
	},
	createService: {
		request: body<Request<"createService">, { readonly spec: ServiceSpec | undefined }>(
			message<{ readonly spec: ServiceSpec | undefined }>({ spec: optional(1, serviceSpec) }),
			({ spec }) => ({ spec }),
			({ spec }) => spec && { method: "createService", spec },
		),
		reply: made,
	},
	updateService: {
		request: body<Request<"updateService">, ServiceUpdate>(
			serviceUpdate,
			({ id: serviceId, spec, specVersion }) => ({ id: serviceId, spec, specVersion, rollback: "none" }),
			({ id: serviceId, spec, specVersion }) =>
				spec && { method: "updateService", id: serviceId, spec, specVersion },
		),
		reply: made,
	},
	rollbackService: {
		request: body<Request<"rollbackService">, ServiceUpdate>(
			serviceUpdate,
			({ id: serviceId }) => ({ id: serviceId, spec: undefined, specVersion: 0, rollback: "previous" }),
			({ id: serviceId }) => ({ method: "rollbackService", id: serviceId }),
		),
		reply: made,
	},
	removeService: {
		request: body<Request<"removeService">, Id>(
			id,
			(asked) => ({ id: asked.id }),
			(asked) => ({ method: "removeService", id: asked.id }),
		),
		reply: made,
	},
	updateNode: {
		request: body<Request<"updateNode">, NodeChangeMessage>(
			nodeChange,
			({ id: nodeId, changes: { labelAdd: labels, ...changes } }) =>
				changeOf(nodeId, { ...changes, ...(labels === undefined ? {} : { labels }) }),
			(found) => {
				const { labels = {}, ...changes } = changeIn(found);
				return {
					method: "updateNode",
					id: found.id,
					changes: { ...changes, ...unlessBare("labelAdd", labels) },
				};
			},
		),
		reply: made,
	},
	removeNode: {
		request: body<Request<"removeNode">, Removal>(
			removal,
			({ id: nodeId, force }) => ({ id: nodeId, force }),
			(asked) => ({ method: "removeNode", ...asked }),
		),
		reply: made,
	},
	createNetwork: {
		request: body<Request<"createNetwork">, { readonly spec: NetworkSpec | undefined }>(
			message<{ readonly spec: NetworkSpec | undefined }>({ spec: optional(1, networkSpec) }),
			({ spec }) => ({ spec }),
			({ spec }) => spec && { method: "createNetwork", spec },
		),
		reply: made,
	},
	removeNetwork: {
		request: body<Request<"removeNetwork">, Id>(
			message<Id>({ id: text(2) }),
			(asked) => ({ id: asked.id }),
			(asked) => ({ method: "removeNetwork", id: asked.id }),
		),
		reply: made,
	},
};

interface Rotation {
	readonly worker: boolean;
	readonly manager: boolean;
}
