// A task and how far it is (swarmkit api/objects.proto `Task`, types.proto `TaskStatus`).
import { protobuf } from "../../wire/index.ts";
import {
	type Meta,
	type NetworkObject,
	type ServiceEndpoint,
	type ServicePort,
	TASK_STATES,
	type TaskObject,
	type TaskSpec,
	type TaskState,
	type TaskStatus,
} from "../objects.ts";
import {
	attachment,
	type AttachmentMessage,
	attachmentsIn,
	type NetworkOf,
	networksIn,
	withNetworks,
} from "./attachment.ts";
import { type Annotations, annotations, instant, meta, NO_ANNOTATIONS, port, version } from "./common.ts";
import { endpoint } from "./endpoint.ts";
import { taskSpec } from "./task-spec.ts";

const { always, int32, mapped, message, messages, optional, text, uint, valued } = protobuf;

/** States stand 64 apart, with `remove` between two of them. */
const STATE_VALUES: Readonly<Record<TaskState, number>> = {
	new: 0,
	pending: 64,
	assigned: 192,
	accepted: 256,
	preparing: 320,
	ready: 384,
	starting: 448,
	running: 512,
	complete: 576,
	shutdown: 640,
	failed: 704,
	rejected: 768,
	remove: 800,
	orphaned: 832,
};
const orderOf = (state: TaskState): number => TASK_STATES.indexOf(state);
const [STARTING, RUNNING] = [orderOf("starting"), orderOf("running")];

/** A long-running machine's process ids take three octets; which one it is nobody asks. */
const PIDS = { first: 16_384, digits: 4 };

interface ContainerStatus {
	readonly id: string;
	/** Of its first process while that runs, else 0. */
	readonly pid: number;
	readonly exitCode: number;
}
interface StatusMessage {
	readonly timestamp: string;
	readonly state: TaskState;
	readonly message: string;
	readonly err: string;
	readonly container: ContainerStatus | undefined;
	readonly ports: { readonly ports: readonly ServicePort[] } | undefined;
	readonly appliedBy: string;
	readonly appliedAt: string;
}

/** How far a task is. From its start on its node says so of its container and ports, too. */
export const taskStatus: protobuf.Codec<TaskStatus> = mapped<TaskStatus, StatusMessage>(
	message<StatusMessage>({
		timestamp: instant(1),
		state: valued(2, STATE_VALUES),
		message: text(3),
		err: text(4),
		container: optional(5, message<ContainerStatus>({ id: text(1), pid: int32(2), exitCode: int32(3) })),
		ports: optional(6, message<{ readonly ports: readonly ServicePort[] }>({ ports: messages(1, port) })),
		appliedBy: text(7),
		appliedAt: instant(8),
	}),
	({ timestamp, state, message: said, err, containerId = "", exitCode = 0, ports, appliedBy, appliedAt }) => {
		const started = orderOf(state) >= STARTING && (containerId !== "" || exitCode !== 0);
		return {
			timestamp,
			state,
			message: said,
			err,
			container: started
				? { id: containerId, pid: state === "running" ? pidOf(containerId) : 0, exitCode }
				: undefined,
			ports: started ? { ports: ports ?? [] } : undefined,
			appliedBy: appliedBy ?? "",
			appliedAt: appliedAt ?? "",
		};
	},
	({ timestamp, state, message: said, err, container, ports, appliedBy, appliedAt }) => ({
		state,
		timestamp,
		message: said,
		err,
		...(container === undefined || container.id === "" ? {} : { containerId: container.id }),
		...(container === undefined || (container.exitCode === 0 && orderOf(state) <= RUNNING)
			? {}
			: { exitCode: container.exitCode }),
		...(ports === undefined || ports.ports.length === 0 ? {} : { ports: ports.ports }),
		...(appliedBy === "" ? {} : { appliedBy }),
		...(appliedAt === "" ? {} : { appliedAt }),
	}),
);

/** The same for the same container, whoever says it. */
const pidOf = (containerId: string): number =>
	PIDS.first + (Number.parseInt(containerId.slice(0, PIDS.digits), 16) || 0);

interface TaskFields {
	readonly id: string;
	readonly meta: Meta;
	readonly spec: TaskSpec;
	readonly serviceId: string;
	readonly slot: number;
	readonly nodeId: string;
	readonly annotations: Annotations;
	readonly service: Annotations;
	readonly status: TaskStatus;
	readonly desiredState: TaskState;
	readonly networks: readonly AttachmentMessage[];
	readonly endpoint: ServiceEndpoint | undefined;
	readonly specVersion: number | undefined;
}

/** A task as it is told: with the networks that it is on. */
export interface TaskMessage {
	readonly task: TaskObject;
	readonly networks: readonly AttachmentMessage[];
}

/** A task. */
export const task: protobuf.Codec<TaskMessage> = mapped<TaskMessage, TaskFields>(
	message<TaskFields>({
		id: text(1),
		meta: always(2, meta),
		spec: always(3, taskSpec),
		serviceId: text(4),
		slot: uint(5),
		nodeId: text(6),
		annotations: always(7, annotations),
		service: always(8, annotations),
		status: always(9, taskStatus),
		desiredState: valued(10, STATE_VALUES),
		networks: messages(11, attachment),
		endpoint: optional(12, endpoint),
		specVersion: version(14),
	}),
	({ task: { serviceName, ...of }, networks }) => ({
		...of,
		annotations: NO_ANNOTATIONS,
		service: { name: serviceName, labels: {} },
		networks,
	}),
	({ service, networks, ...of }) => ({
		task: {
			kind: "task",
			id: of.id,
			meta: of.meta,
			serviceId: of.serviceId,
			serviceName: service.name,
			slot: of.slot,
			nodeId: of.nodeId,
			spec: of.spec,
			specVersion: of.specVersion,
			status: of.status,
			desiredState: of.desiredState,
			networks: attachmentsIn(networks),
			endpoint: of.endpoint,
		},
		networks,
	}),
);

/** A task with its networks. */
export const taskTold = (object: TaskObject, networkOf: NetworkOf): TaskMessage => ({
	task: object,
	networks: withNetworks(object.networks, networkOf),
});

/** The networks that were told with a task. */
export const networksOf = ({ networks }: TaskMessage): readonly NetworkObject[] => networksIn(networks);

const NO_OCTETS = new Uint8Array(0);
/** A task of which only the id is told: it goes. */
export function taskNamed(id: string): TaskMessage {
	const bare = task.read(NO_OCTETS);
	if (typeof bare === "string") throw new RangeError("no empty task");
	return { task: { ...bare.task, id }, networks: [] };
}
