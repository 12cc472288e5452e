// What a task is to be (swarmkit api/specs.proto `TaskSpec`).
import { protobuf } from "../../wire/index.ts";
import { NO_CONTAINER, RESTART } from "../manager/defaults.ts";
import { same } from "../manager/same.ts";
import type { ContainerSpec, RestartPolicy, TaskSpec } from "../objects.ts";
import { duration, empty, unlessBare, unlessEmpty } from "./common.ts";
import { containerSpec } from "./container.ts";

const { map, mapped, message, messages, optional, text, texts, uint, word } = protobuf;

const NO_RESTART: RestartPolicy = { condition: "none", delay: 0, maxAttempts: 0, window: 0 };
const restart = message<RestartPolicy>({
	condition: word(1, ["none", "on-failure", "any"]),
	delay: duration(2),
	maxAttempts: uint(3),
	window: duration(4),
});

interface PlacementMessage {
	readonly constraints: readonly string[];
	readonly preferences: readonly { readonly spread: { readonly spread: string } | undefined }[];
	readonly platforms: readonly { readonly architecture: string; readonly os: string }[];
	readonly maxReplicas: number;
}
const NO_PLACEMENT: PlacementMessage = { constraints: [], preferences: [], platforms: [], maxReplicas: 0 };
const placement = message<PlacementMessage>({
	constraints: texts(1),
	preferences: messages(
		2,
		message<PlacementMessage["preferences"][number]>({
			spread: optional(1, message<{ readonly spread: string }>({ spread: text(1) })),
		}),
	),
	platforms: messages(
		3,
		message<PlacementMessage["platforms"][number]>({ architecture: text(1), os: text(2) }),
	),
	maxReplicas: uint(4),
});

interface ResourcesMessage {
	readonly limits: object | undefined;
	readonly reservations: object | undefined;
}
/** Neither limits nor reservations, but the command line says both. */
const NO_RESOURCES: ResourcesMessage = { limits: {}, reservations: {} };

/** A network that a task is to be on, as asked for. */
export interface AttachmentConfig {
	readonly target: string;
	readonly aliases: readonly string[];
	readonly addresses: readonly string[];
	readonly driverOptions: Readonly<Record<string, string>>;
}
export const attachmentConfig: protobuf.Codec<AttachmentConfig> = message<AttachmentConfig>({
	target: text(1),
	aliases: texts(2),
	addresses: texts(3),
	driverOptions: map(4),
});

interface TaskSpecMessage {
	readonly container: ContainerSpec | undefined;
	readonly resources: ResourcesMessage | undefined;
	readonly restart: RestartPolicy | undefined;
	readonly placement: PlacementMessage | undefined;
	readonly networks: readonly AttachmentConfig[];
	readonly attachment: { readonly containerId: string } | undefined;
	readonly forceUpdate: number;
}

/** A task as asked for. What the command line leaves to swarmkit is left out. */
export const taskSpec: protobuf.Codec<TaskSpec> = mapped<TaskSpec, TaskSpecMessage>(
	message<TaskSpecMessage>({
		container: optional(1, containerSpec),
		resources: optional(
			2,
			message<ResourcesMessage>({ limits: optional(1, empty), reservations: optional(2, empty) }),
		),
		restart: optional(4, restart),
		placement: optional(5, placement),
		networks: messages(7, attachmentConfig),
		attachment: optional(8, message<{ readonly containerId: string }>({ containerId: text(1) })),
		forceUpdate: uint(9),
	}),
	(spec) => {
		const attaches = spec.runtime === "attachment";
		const runs = !attaches && spec.container !== NO_CONTAINER;
		const usual = attaches ? NO_RESTART : RESTART;
		const { constraints, preferences, platforms = [], maxReplicas } = spec.placement;
		const placed: PlacementMessage = {
			constraints,
			preferences: preferences.map((spread) => ({ spread })),
			platforms,
			maxReplicas,
		};
		return {
			container: runs ? spec.container : undefined,
			resources: runs ? NO_RESOURCES : undefined,
			restart: same(spec.restart, usual) ? undefined : spec.restart,
			placement: !runs && same(placed, NO_PLACEMENT) ? undefined : placed,
			networks: spec.networks.map(({ target, aliases, addresses = [], driverOptions = {} }) => ({
				target,
				aliases,
				addresses,
				driverOptions,
			})),
			attachment: attaches ? { containerId: spec.attachmentContainerId ?? "" } : undefined,
			forceUpdate: spec.forceUpdate,
		};
	},
	({ container, restart: policy, placement: placed = NO_PLACEMENT, networks, attachment, forceUpdate }) => ({
		runtime: attachment === undefined ? "container" : "attachment",
		container: container ?? NO_CONTAINER,
		...(attachment === undefined ? {} : { attachmentContainerId: attachment.containerId }),
		networks: networks.map(({ target, aliases, addresses, driverOptions }) => ({
			target,
			aliases,
			...unlessEmpty("addresses", addresses),
			...unlessBare("driverOptions", driverOptions),
		})),
		placement: {
			constraints: placed.constraints,
			preferences: placed.preferences.flatMap(({ spread }) => spread ?? []),
			maxReplicas: placed.maxReplicas,
			...unlessEmpty("platforms", placed.platforms),
		},
		restart: policy ?? (attachment === undefined ? RESTART : NO_RESTART),
		forceUpdate,
	}),
);
