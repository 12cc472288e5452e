import { contains, parseIp4, parsePrefix4 } from "../../addr/index.ts";
import type { ContainerSpec, EndpointSpec, NetworkSpec, ServiceSpec, UpdateConfig } from "../objects.ts";
import { parseConstraints } from "../manager/constraint.ts";
import { hostnameProblem } from "../template.ts";
import { rpcError } from "./rpc-error.ts";

const DNS_NAME = /^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$/;
/** `reference.ParseNormalizedNamed`: path components, then a tag or a digest. */
const IMAGE =
	/^(?:[a-zA-Z0-9][a-zA-Z0-9.-]*(?::\d+)?\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?(?:@[a-z0-9+._-]+:[0-9a-fA-F]{32,})?$/;
const MILLISECOND = 1e6;

/** Whether that can name an image at all. */
export const isImage = (text: string): boolean => IMAGE.test(text);

/** A service's or network's name. Throws `DockerError`. */
export function validateName(name: string): void {
	if (name === "") throw rpcError("InvalidArgument", "meta: name must be provided");
	if (!DNS_NAME.test(name)) throw rpcError("InvalidArgument", "name must be valid as a DNS name component");
	if (name.length > 63) throw rpcError("InvalidArgument", "name must be 63 characters or fewer");
}

/** What can be said of a service's spec without looking at the cluster (swarmkit controlapi/service.go). Throws `DockerError`. */
export function validateServiceSpec(spec: ServiceSpec): void {
	validateName(spec.name);
	const { restart, placement, container } = spec.task;
	if (restart.delay < 0) throw rpcError("InvalidArgument", "TaskSpec: restart-delay cannot be negative");
	if (restart.window < 0) throw rpcError("InvalidArgument", "TaskSpec: restart-window cannot be negative");
	const constraints = parseConstraints(placement.constraints);
	if (typeof constraints === "string") throw rpcError("Unknown", constraints);
	validateContainer(container);
	validateUpdate(spec.update);
	validateUpdate(spec.rollback);
	validateEndpoint(spec.endpoint);
	if (spec.mode.kind === "replicated" && !(Number.isInteger(spec.mode.replicas) && spec.mode.replicas >= 0))
		throw rpcError("InvalidArgument", "Number of replicas must be non-negative");
}

function validateContainer({ image, hostname, healthcheck }: ContainerSpec): void {
	if (image === "") throw rpcError("InvalidArgument", "ContainerSpec: image reference must be provided");
	if (!isImage(image))
		throw rpcError(
			"InvalidArgument",
			`ContainerSpec: ${JSON.stringify(image)} is not a valid repository/tag`,
		);
	const problem = hostnameProblem(hostname ?? "");
	if (problem !== undefined) throw rpcError("InvalidArgument", problem);
	if (healthcheck === undefined) return;
	const durations = [
		["Interval", healthcheck.interval],
		["Timeout", healthcheck.timeout],
		["StartPeriod", healthcheck.startPeriod],
	] as const;
	for (const [name, duration] of durations) {
		if (duration !== 0 && duration < MILLISECOND)
			throw rpcError("InvalidArgument", `ContainerSpec: ${name} in HealthConfig cannot be less than 1ms`);
	}
	if (healthcheck.retries < 0)
		throw rpcError("InvalidArgument", "ContainerSpec: Retries in HealthConfig cannot be negative");
}

function validateUpdate({ delay, monitor, maxFailureRatio }: UpdateConfig): void {
	if (delay < 0) throw rpcError("InvalidArgument", "TaskSpec: update-delay cannot be negative");
	if (monitor < 0) throw rpcError("InvalidArgument", "TaskSpec: update-monitor cannot be negative");
	if (!(maxFailureRatio >= 0 && maxFailureRatio <= 1)) {
		throw rpcError(
			"InvalidArgument",
			"TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1",
		);
	}
}

function validateEndpoint({ mode, ports }: EndpointSpec): void {
	const published = new Set<string>();
	for (const { publishMode, publishedPort, protocol } of ports) {
		if (mode === "dnsrr" && publishMode === "ingress") {
			throw rpcError(
				"InvalidArgument",
				"EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
			);
		}
		if (publishedPort === 0) continue;
		const key = `${String(publishedPort)}/${protocol}`;
		if (published.has(key))
			throw rpcError("InvalidArgument", "EndpointSpec: duplicate published ports provided");
		published.add(key);
	}
}

/** What can be said of a network's spec by itself (swarmkit controlapi/network.go). Throws `DockerError`. */
export function validateNetworkSpec({ name, labels, ingress, attachable, ipam }: NetworkSpec): void {
	if (ingress && attachable) throw rpcError("InvalidArgument", "ingress network cannot be attachable");
	validateName(name);
	if ("com.docker.swarm.internal" in labels) {
		throw rpcError(
			"PermissionDenied",
			"label com.docker.swarm.internal is for predefined internal networks and cannot be applied by users",
		);
	}
	for (const { subnet, range, gateway } of ipam.configs) {
		const wanted = subnet.includes("/") ? parsePrefix4(subnet) : undefined;
		if (wanted === undefined)
			throw rpcError("InvalidArgument", `ipam configuration: invalid subnet ${subnet}`);
		if (range !== undefined && range !== "") {
			const part = parsePrefix4(range);
			if (part === undefined) throw rpcError("InvalidArgument", `ipam configuration: invalid range ${range}`);
			if (!contains(wanted, part.address)) {
				throw rpcError(
					"InvalidArgument",
					`ipam configuration: subnet ${subnet} does not contain range ${range}`,
				);
			}
		}
		if (gateway === undefined || gateway === "") continue;
		const ip = parseIp4(gateway);
		if (ip === undefined) throw rpcError("InvalidArgument", `ipam configuration: invalid gateway ${gateway}`);
		if (!contains(wanted, ip)) {
			throw rpcError(
				"InvalidArgument",
				`ipam configuration: subnet ${subnet} does not contain gateway ${gateway}`,
			);
		}
	}
}
