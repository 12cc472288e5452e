import { cliRefuses, DockerError } from "../../cnm/index.ts";
import { type Duration, parseDuration } from "../../sim/index.ts";
import { ENDPOINT, RESTART, STOP_GRACE_PERIOD, UPDATE } from "../manager/defaults.ts";
import type { ContainerSpec, ServiceSpec, TaskSpec, UpdateConfig } from "../objects.ts";
import { count, servers } from "./flags.ts";
import { readServicePublish, updatePorts } from "./publish.ts";
import { isImage } from "./validate.ts";
import type {
	HealthcheckOptions,
	ServiceCreateOptions,
	ServiceNetworkOptions,
	ServiceOptions,
	ServiceUpdateOptions,
} from "./service-options.ts";

const MODES: readonly string[] = ["replicated", "global"];
const ORDERS: readonly string[] = ["stop-first", "start-first"];
const RESTARTS: readonly string[] = ["none", "on-failure", "any"];
const RESOLUTIONS: readonly string[] = ["vip", "dnsrr"];

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
			networks: byTarget(listOf(network).map((each) => attachment(each, networkId))),
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
	const { replicas, networkAdd, networkRm, publishAdd, publishRm, force } = options;
	if (replicas !== undefined && old.mode.kind !== "replicated")
		throw cliRefuses("replicas can only be used with replicated or replicated-job mode");
	const networks =
		networkAdd === undefined && networkRm === undefined
			? old.task.networks
			: updateNetworks(old.task.networks, networkAdd ?? [], (networkRm ?? []).map(networkId), networkId);
	const ports =
		publishAdd === undefined && publishRm === undefined
			? old.endpoint.ports
			: updatePorts(old.endpoint.ports, publishAdd ?? [], publishRm ?? []);
	return applyOptions(
		{
			...old,
			task: {
				...old.task,
				networks,
				forceUpdate: old.task.forceUpdate + (force === true ? 1 : 0),
			},
			mode: replicas === undefined ? old.mode : { kind: "replicated", replicas },
			endpoint: { ...old.endpoint, ports },
		},
		options,
	);
}

type NetworkOption = string | ServiceNetworkOptions;

const listOf = (value: NetworkOption | readonly NetworkOption[]): readonly NetworkOption[] =>
	typeof value === "string" || "name" in value ? [value] : value;

/** As the CLI sends them, so that a service whose networks are the same has the same spec. */
const byTarget = (networks: readonly Network[]): Network[] =>
	networks.toSorted((a, b) => (a.target < b.target ? -1 : Number(a.target > b.target)));

/** `--network-add`, `--network-rm` (docker's CLI, command/service/update.go). Throws `NetError`. */
function updateNetworks(
	old: readonly Network[],
	add: readonly NetworkOption[],
	removed: readonly string[],
	networkId: NetworkId,
): Network[] {
	const networks = old.filter(({ target }) => !removed.includes(target));
	for (const option of add) {
		const added = attachment(option, networkId);
		if (networks.some(({ target }) => target === added.target)) {
			const name = typeof option === "string" ? option : option.name;
			throw cliRefuses(`service is already attached to network ${name}`);
		}
		networks.push(added);
	}
	return byTarget(networks);
}

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
				maxReplicas: count(options.replicasMaxPerNode, "replicas-max-per-node", task.placement.maxReplicas),
			},
			restart: {
				condition: restartCondition(options.restartCondition, task.restart.condition),
				delay: nanoseconds(options.restartDelay, "restartDelay", task.restart.delay),
				maxAttempts: count(options.restartMaxAttempts, "restart-max-attempts", task.restart.maxAttempts),
				window: nanoseconds(options.restartWindow, "restartWindow", task.restart.window),
			},
		},
		update: {
			parallelism: count(options.updateParallelism, "update-parallelism", spec.update.parallelism),
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
			parallelism: count(options.rollbackParallelism, "rollback-parallelism", spec.rollback.parallelism),
			delay: nanoseconds(options.rollbackDelay, "rollbackDelay", spec.rollback.delay),
			failureAction: failureAction(options.rollbackFailureAction, spec.rollback, ["pause", "continue"]),
			monitor: nanoseconds(options.rollbackMonitor, "rollbackMonitor", spec.rollback.monitor),
			maxFailureRatio: options.rollbackMaxFailureRatio ?? spec.rollback.maxFailureRatio,
			order: order(options.rollbackOrder, spec.rollback),
		},
		endpoint: { ...spec.endpoint, mode: resolution(options.endpointMode, spec.endpoint.mode) },
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
		...(dns === undefined ? {} : { dns: servers(dns) }),
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

/** `reference.TagNameOnly` of what is a reference; managers refuse the rest as it is. */
const tagged = (image: string): string =>
	!isImage(image) || image.includes("@") || /:[^/]*$/.test(image) ? image : `${image}:latest`;

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

type RestartCondition = TaskSpec["restart"]["condition"];

function restartCondition(value: RestartCondition | undefined, old: RestartCondition): RestartCondition {
	if (value !== undefined && !RESTARTS.includes(value))
		throw new DockerError(400, `invalid RestartCondition: ${JSON.stringify(value)}`);
	return value ?? old;
}

type Resolution = ServiceSpec["endpoint"]["mode"];

function resolution(value: Resolution | undefined, old: Resolution): Resolution {
	if (value !== undefined && !RESOLUTIONS.includes(value))
		throw new DockerError(400, `invalid resolution mode: ${JSON.stringify(value)}`);
	return value ?? old;
}
