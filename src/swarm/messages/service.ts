// A service (swarmkit api/specs.proto `ServiceSpec`, objects.proto `Service`).
import { protobuf } from "../../wire/index.ts";
import { ENDPOINT, UPDATE } from "../manager/defaults.ts";
import { same } from "../manager/same.ts";
import type {
	EndpointSpec,
	Meta,
	ServiceEndpoint,
	ServiceObject,
	ServiceSpec,
	TaskSpec,
	UpdateConfig,
	UpdateStatus,
} from "../objects.ts";
import {
	type Annotations,
	annotations,
	duration,
	empty,
	givenDuration,
	instant,
	meta,
	version,
} from "./common.ts";
import { endpoint, endpointSpec } from "./endpoint.ts";
import { taskSpec } from "./task-spec.ts";

const { always, float, mapped, message, optional, text, uint, valued, word } = protobuf;

const updateConfig = message<UpdateConfig>({
	parallelism: uint(1),
	delay: givenDuration(2),
	failureAction: word(3, ["pause", "continue", "rollback"]),
	monitor: duration(4),
	maxFailureRatio: float(5),
	order: word(6, ["stop-first", "start-first"]),
});
/** What nobody asked for otherwise the command line does not say. */
const unusual = (config: UpdateConfig): UpdateConfig | undefined =>
	same(config, UPDATE) ? undefined : config;

interface SpecMessage {
	readonly annotations: Annotations;
	readonly task: TaskSpec;
	readonly replicated: { readonly replicas: number } | undefined;
	readonly global: object | undefined;
	readonly update: UpdateConfig | undefined;
	readonly endpoint: EndpointSpec | undefined;
	readonly rollback: UpdateConfig | undefined;
}

/** A service as asked for. */
export const serviceSpec: protobuf.Codec<ServiceSpec> = mapped<ServiceSpec, SpecMessage>(
	message<SpecMessage>({
		annotations: always(1, annotations),
		task: always(2, taskSpec),
		replicated: optional(3, message<{ readonly replicas: number }>({ replicas: uint(1) })),
		global: optional(4, empty),
		update: optional(6, updateConfig),
		endpoint: optional(8, endpointSpec),
		rollback: optional(9, updateConfig),
	}),
	({ name, labels, task, mode, update, rollback, endpoint: reached }) => ({
		annotations: { name, labels },
		task,
		replicated: mode.kind === "replicated" ? { replicas: mode.replicas } : undefined,
		global: mode.kind === "global" ? {} : undefined,
		update: unusual(update),
		endpoint: reached,
		rollback: unusual(rollback),
	}),
	({ annotations: { name, labels }, task, replicated, global, update, rollback, endpoint: reached }) => ({
		name,
		labels,
		task,
		mode:
			global === undefined ? { kind: "replicated", replicas: replicated?.replicas ?? 0 } : { kind: "global" },
		update: update ?? UPDATE,
		rollback: rollback ?? UPDATE,
		endpoint: reached ?? ENDPOINT,
	}),
);

interface UpdateStatusMessage {
	readonly state: UpdateStatus["state"] | "unknown";
	readonly startedAt: string;
	readonly completedAt: string;
	readonly message: string;
}
const updateStatus = mapped<UpdateStatus, UpdateStatusMessage>(
	message<UpdateStatusMessage>({
		state: valued(1, {
			unknown: 0,
			updating: 1,
			paused: 2,
			completed: 3,
			rollback_started: 4,
			rollback_paused: 5,
			rollback_completed: 6,
		}),
		startedAt: instant(2),
		completedAt: instant(3),
		message: text(4),
	}),
	({ completedAt = "", ...status }) => ({ ...status, completedAt }),
	({ state, startedAt, completedAt, message: said }) =>
		state === "unknown"
			? undefined
			: { state, startedAt, ...(completedAt === "" ? {} : { completedAt }), message: said },
);

interface ServiceMessage {
	readonly id: string;
	readonly meta: Meta;
	readonly spec: ServiceSpec;
	readonly endpoint: ServiceEndpoint | undefined;
	readonly updateStatus: UpdateStatus | undefined;
	readonly previousSpec: ServiceSpec | undefined;
	readonly specVersion: number | undefined;
	readonly previousSpecVersion: number | undefined;
}

/** A service. */
export const service: protobuf.Codec<ServiceObject> = mapped<ServiceObject, ServiceMessage>(
	message<ServiceMessage>({
		id: text(1),
		meta: always(2, meta),
		spec: always(3, serviceSpec),
		endpoint: optional(4, endpoint),
		updateStatus: optional(5, updateStatus),
		previousSpec: optional(6, serviceSpec),
		specVersion: version(10),
		previousSpecVersion: version(11),
	}),
	(object) => object,
	({ specVersion, ...of }) => ({ kind: "service", ...of, specVersion: specVersion ?? 0 }),
);
