import { cliRefuses, DockerError } from "../../cnm/index.ts";
import { type Duration, parseDuration } from "../../sim/index.ts";
import { ENDPOINT, RESTART, STOP_GRACE_PERIOD, UPDATE } from "../manager/defaults.ts";
import type { ContainerSpec, ServiceSpec, TaskSpec, UpdateConfig } from "../objects.ts";
import { readServicePublish } from "./publish.ts";
import type {
	HealthcheckOptions,
	ServiceCreateOptions,
	ServiceNetworkOptions,
	ServiceOptions,
	ServiceUpdateOptions,
} from "./service-options.ts";

const MODES: readonly string[] = ["replicated", "global"];
const ORDERS: readonly string[] = ["stop-first", "start-first"];

type Network = TaskSpec["networks"][number];
/** Finds a network's id by name or id. Throws `DockerError`. */
export type NetworkId = (term: string) => string;

/** The spec that `docker service create` sends. Throws `NetError` where the CLI refuses, `DockerError` for networks. */
export function createSpec(options: ServiceCreateOptions, name: string, networkId: NetworkId): ServiceSpec {
	const { mode = "replicated", replicas, network = [], publish = [], replicasMaxPerNode } = options;
	if (!MODES.includes(mode)) throw cliRefuses(`Unknown mode: ${mode}, only replicated and global supported`);
	if (mode === "global" && replicas !== undefined)
		throw cliRefuses("replicas can only be used with replicated or replicated-job mode");
	if (mode === "global" && (replicasMaxPerNode ?? 0) > 0)
		throw cliRefuses("replicas-max-per-node can only be used with replicated or replicated-job mode");
	const bare: ServiceSpec = {
		name,
		labels: {},
		task: {
			runtime: "container",
			container: { image: "", args: [], labels: {}, stopGracePeriod: STOP_GRACE_PERIOD },
			networks: listOf(network).map((each) => attachment(each, networkId)),
			placement: { constraints: [], preferences: [], maxReplicas: 0 },
			restart: RESTART,
			forceUpdate: 0,
		},
		mode: mode === "global" ? { kind: "global" } : { kind: "replicated", replicas: replicas ?? 1 },
		update: UPDATE,
		rollback: UPDATE,
		endpoint: { ...ENDPOINT, ports: publish.flatMap(readServicePublish) },
	};
	return applyOptions(bare, options);
}

/** The spec that `docker service update` sends, from the one there is. Throws as `createSpec`. */
export function updateSpec(
	old: ServiceSpec,
	options: ServiceUpdateOptions,
	networkId: NetworkId,
): ServiceSpec {
	const { replicas, networkAdd = [], networkRm = [], publishAdd = [], publishRm = [], force } = options;
	if (replicas !== undefined && old.mode.kind !== "replicated")
		throw cliRefuses("replicas can only be used with replicated or replicated-job mode");
	const removed = networkRm.map(networkId);
	const added = networkAdd.map((each) => attachment(each, networkId));
	for (const { target } of added) {
		if (old.task.networks.some((each) => each.target === target) && !removed.includes(target))
			throw cliRefuses(`service is already attached to network ${nameOf(networkAdd, added, target)}`);
	}
	const ports = old.endpoint.ports.filter(
		({ targetPort, protocol }) =>
			!publishRm.some((each) => each.target === targetPort && (each.protocol ?? "tcp") === protocol),
	);
	return applyOptions(
		{
			...old,
			task: {
				...old.task,
				networks: [...old.task.networks.filter(({ target }) => !removed.includes(target)), ...added],
				forceUpdate: old.task.forceUpdate + (force === true ? 1 : 0),
			},
			mode: replicas === undefined ? old.mode : { kind: "replicated", replicas },
			endpoint: { ...old.endpoint, ports: [...ports, ...publishAdd.flatMap(readServicePublish)] },
		},
		options,
	);
}

type NetworkOption = string | ServiceNetworkOptions;

const listOf = (value: NetworkOption | readonly NetworkOption[]): readonly NetworkOption[] =>
	typeof value === "string" || "name" in value ? [value] : value;

const nameOf = (
	asked: readonly (string | ServiceNetworkOptions)[],
	added: readonly Network[],
	target: string,
): string => {
	const found = asked[added.findIndex((each) => each.target === target)] ?? target;
	return typeof found === "string" ? found : found.name;
};

function attachment(value: string | ServiceNetworkOptions, networkId: NetworkId): Network {
	const { name, aliases = [], driverOptions } = typeof value === "string" ? { name: value } : value;
	return {
		target: networkId(name),
		aliases,
		...(driverOptions === undefined ? {} : { driverOptions }),
	};
}

/** What create and update have in common: what is not said stays. */
function applyOptions(spec: ServiceSpec, options: ServiceOptions): ServiceSpec {
	const { task } = spec;
	return {
		...spec,
		labels: options.labels ?? spec.labels,
		task: {
			...task,
			container: containerSpec(task.container, options),
			placement: {
				...task.placement,
				constraints: options.constraints ?? task.placement.constraints,
				preferences: options.placementPref?.map(readPreference) ?? task.placement.preferences,
				maxReplicas: options.replicasMaxPerNode ?? task.placement.maxReplicas,
			},
			restart: {
				condition: options.restartCondition ?? task.restart.condition,
				delay: nanoseconds(options.restartDelay, "restartDelay", task.restart.delay),
				maxAttempts: options.restartMaxAttempts ?? task.restart.maxAttempts,
				window: nanoseconds(options.restartWindow, "restartWindow", task.restart.window),
			},
		},
		update: {
			parallelism: options.updateParallelism ?? spec.update.parallelism,
			delay: nanoseconds(options.updateDelay, "updateDelay", spec.update.delay),
			failureAction: failureAction(options.updateFailureAction, spec.update, [
				"pause",
				"continue",
				"rollback",
			]),
			monitor: nanoseconds(options.updateMonitor, "updateMonitor", spec.update.monitor),
			maxFailureRatio: options.updateMaxFailureRatio ?? spec.update.maxFailureRatio,
			order: order(options.updateOrder, spec.update),
		},
		rollback: {
			parallelism: options.rollbackParallelism ?? spec.rollback.parallelism,
			delay: nanoseconds(options.rollbackDelay, "rollbackDelay", spec.rollback.delay),
			failureAction: failureAction(options.rollbackFailureAction, spec.rollback, ["pause", "continue"]),
			monitor: nanoseconds(options.rollbackMonitor, "rollbackMonitor", spec.rollback.monitor),
			maxFailureRatio: options.rollbackMaxFailureRatio ?? spec.rollback.maxFailureRatio,
			order: order(options.rollbackOrder, spec.rollback),
		},
		endpoint: { ...spec.endpoint, mode: options.endpointMode ?? spec.endpoint.mode },
	};
}

function containerSpec(old: ContainerSpec, options: ServiceOptions): ContainerSpec {
	const { image, args, hostname, containerLabels, host, dns, dnsSearch, dnsOptions, sysctls } = options;
	return {
		...old,
		image: image === undefined ? old.image : tagged(image),
		args: args ?? old.args,
		labels: containerLabels ?? old.labels,
		...(hostname === undefined ? {} : { hostname }),
		...(host === undefined ? {} : { hosts: host.map(hostsLine) }),
		...(dns === undefined ? {} : { dns }),
		...(dnsSearch === undefined ? {} : { dnsSearch }),
		...(dnsOptions === undefined ? {} : { dnsOptions }),
		...(sysctls === undefined ? {} : { sysctls }),
		stopGracePeriod: nanoseconds(options.stopGracePeriod, "stopGracePeriod", old.stopGracePeriod),
		...(options.healthcheck === undefined ? {} : { healthcheck: healthcheck(options.healthcheck) }),
	};
}

const healthcheck = ({
	interval = 0,
	timeout = 0,
	retries = 0,
	startPeriod = 0,
}: HealthcheckOptions): NonNullable<ContainerSpec["healthcheck"]> => ({
	interval: parseDuration(interval, "healthcheck.interval"),
	timeout: parseDuration(timeout, "healthcheck.timeout"),
	retries,
	startPeriod: parseDuration(startPeriod, "healthcheck.startPeriod"),
});

const nanoseconds = (value: Duration | undefined, argument: string, otherwise: number): number =>
	value === undefined ? otherwise : parseDuration(value, argument);

/** `reference.TagNameOnly`. */
const tagged = (image: string): string =>
	image === "" || image.includes("@") || /:[^/]*$/.test(image) ? image : `${image}:latest`;

/** `db:10.0.0.1` as a line of a hosts file: `10.0.0.1 db`. */
function hostsLine(text: string): string {
	const at = text.indexOf(":");
	if (at <= 0) throw cliRefuses(`bad format for add-host: ${JSON.stringify(text)}`);
	return `${text.slice(at + 1)} ${text.slice(0, at)}`;
}

function readPreference(text: string): { readonly spread: string } {
	const at = text.indexOf("=");
	if (at < 0) throw cliRefuses('placement preference must be of the format "<strategy>=<arg>"');
	const strategy = text.slice(0, at);
	if (strategy !== "spread")
		throw cliRefuses(`unsupported placement preference ${strategy} (only spread is supported)`);
	return { spread: text.slice(at + 1) };
}

function failureAction(
	value: UpdateConfig["failureAction"] | undefined,
	old: UpdateConfig,
	known: readonly UpdateConfig["failureAction"][],
): UpdateConfig["failureAction"] {
	if (value !== undefined && !known.includes(value))
		throw new DockerError(400, `unrecognized update failure action ${value}`);
	return value ?? old.failureAction;
}

function order(value: UpdateConfig["order"] | undefined, old: UpdateConfig): UpdateConfig["order"] {
	if (value !== undefined && !ORDERS.includes(value))
		throw new DockerError(400, `unrecognized update order ${value}`);
	return value ?? old.order;
}
