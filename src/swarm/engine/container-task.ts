import { parsePrefix4 } from "../../addr/index.ts";
import {
	type Container,
	type Docker,
	DockerError,
	type ManagedEndpoint,
	type Network,
	NETWORK_RELEASE,
	type RunOptions,
	type ServiceOfTask,
} from "../../cnm/index.ts";
import { NetError } from "../../errors.ts";
import { milliseconds, type Nanoseconds, seconds, Timer } from "../../sim/index.ts";
import type { IpNamespace, Kernel } from "../../stack/index.ts";
import { clusterNetwork } from "../cluster-network.ts";
import type { TaskController, TaskExit } from "../executor.ts";
import type { NetworkObject, NodeDescription, ServicePort, TaskObject } from "../objects.ts";
import { expand, hostnameProblem, taskName } from "../template.ts";

/** What it takes to make a container, and to start its process, on an ordinary machine. */
const CREATE = milliseconds(150);
const START = milliseconds(250);
/** A task that winds down is stopped so long after it was told of: by then all nodes know (`defaultGossipConvergeDelay`). */
const CONVERGE = seconds(2);

const NONE: readonly never[] = [];

const unhealthy = (exitCode: number): string =>
	`task: non-zero exit (${String(exitCode)}): dockerexec: unhealthy container`;

/**
 * A service's task on its node: a container on the task's networks, and its share in the service (daemon/cluster/executor/
 * container/controller.go).
 */
export class ContainerTask<N extends IpNamespace> implements TaskController {
	readonly #docker: Docker<N>;
	readonly #kernel: Kernel;
	readonly #task: TaskObject;
	readonly #networks: readonly NetworkObject[];
	readonly #node: NodeDescription;
	#exitListeners: readonly ((exit: TaskExit) => void)[] = NONE;
	#timers: readonly Timer[] = NONE;
	#container: Container<N> | undefined;
	#stopping = false;
	#gone = false;

	constructor(
		docker: Docker<N>,
		kernel: Kernel,
		task: TaskObject,
		networks: readonly NetworkObject[],
		node: NodeDescription,
	) {
		this.#docker = docker;
		this.#kernel = kernel;
		this.#task = task;
		this.#networks = networks;
		this.#node = node;
	}

	get containerId(): string | undefined {
		return this.#container?.id;
	}

	/** Ports of mode host, as docker shows them among the task's: each with the number the node chose. */
	get ports(): readonly ServicePort[] {
		const mappings = this.#container?.sandbox?.endpoints.flatMap((endpoint) => endpoint.mappings) ?? [];
		return hostPorts(this.#task).flatMap((port) =>
			mappings
				.filter(({ port: target, proto }) => target === port.targetPort && proto === port.protocol)
				.map(({ hostPort }) => ({ ...port, publishedPort: hostPort })),
		);
	}

	prepare(done: (err?: string) => void): void {
		this.#after(CREATE, () => {
			done(
				this.#attempt(() => {
					this.#create();
				}),
			);
		});
	}

	#create(): void {
		const { controller } = this.#docker;
		const places = this.#task.networks.flatMap(({ networkId, addresses, aliases }): ManagedEndpoint[] => {
			const about = this.#networks.find(({ id }) => id === networkId);
			if (about === undefined) return [];
			const network = this.#network(about);
			const ip = addresses[0]?.split("/")[0];
			return [
				{ network, aliases, ...(ip === undefined ? {} : { ip }), service: serviceOf(this.#task, about) },
			];
		});
		const published = hostPorts(this.#task);
		// A task on no network is on docker0, as a container of the host's would be; ports of mode host lead by whatever leads out.
		if (places.length === 0) places.push({ network: this.#local("bridge") });
		this.#container = controller.createContainer(optionsOf(this.#task, published, this.#node), places);
		this.#container.onExit((code) => {
			this.#exited(code);
		});
	}

	#network(about: NetworkObject): Network {
		if (about.predefined) return this.#local(about.spec.name);
		return this.#docker.controller.createManagedNetwork(clusterNetwork(about), this.#task.id);
	}

	#local(name: string): Network {
		const found = this.#docker.controller.networks.find(
			(each) => each.name === name && each.about.scope === "local",
		);
		if (found === undefined) throw new NetError("ENOENT", `network ${name} not found`);
		return found;
	}

	start(done: (err?: string) => void): void {
		this.#after(START, () => {
			const container = this.#container;
			if (container === undefined) return;
			const err = this.#attempt(() => {
				this.#docker.start(container);
			});
			if (err !== undefined || container.health === undefined) {
				if (err === undefined) this.#activate(container);
				done(err);
				return;
			}
			this.#whenHealthy(container, done);
		});
	}

	/** Nobody is sent to it before it is well; one that turns out ill has failed. */
	#whenHealthy(container: Container<N>, done: (err?: string) => void): void {
		let open = true;
		const end = (err?: string): void => {
			if (!open) return;
			open = false;
			if (err === undefined) this.#activate(container);
			done(err);
		};
		container.onExit((code) => {
			end(`task: non-zero exit (${String(code)})`);
		});
		container.onHealth((status) => {
			if (status === "healthy") end();
			else if (status !== "unhealthy") return;
			else if (open) end("unhealthy container");
			else {
				// It winds down by itself, and its task has failed when it has stopped.
				this.shutdown((exitCode = 0) => {
					this.#tellExit({ exitCode, err: unhealthy(exitCode) });
				});
			}
		});
	}

	#activate({ sandbox }: Container<N>): void {
		if (sandbox !== undefined) this.#docker.services.activateService(sandbox);
	}

	onExit(listener: (exit: TaskExit) => void): void {
		this.#exitListeners = this.#exitListeners.concat(listener);
	}

	#exited(exitCode: number): void {
		if (this.#stopping || this.#gone) return;
		this.#tellExit({ exitCode, err: exitCode === 0 ? "" : `task: non-zero exit (${String(exitCode)})` });
	}

	#tellExit(exit: TaskExit): void {
		for (const listener of this.#exitListeners) listener(exit);
	}

	shutdown(done: (exitCode?: number) => void): void {
		this.#stopping = true;
		const container = this.#container;
		if (container?.sandbox === undefined) {
			done();
			return;
		}
		this.#docker.services.deactivateService(container.sandbox);
		this.#after(CONVERGE, () => {
			unlessUnknown(() => {
				this.#docker.stop(container);
			});
			this.#after(NETWORK_RELEASE, () => {
				done(container.exitCode);
			});
		});
	}

	remove(): void {
		if (this.#gone) return;
		this.#gone = true;
		for (const timer of this.#timers) timer.cancel();
		const container = this.#container;
		if (container !== undefined)
			unlessUnknown(() => {
				this.#docker.rm(container, { force: true });
			});
		for (const { id, predefined } of this.#networks)
			if (!predefined) this.#docker.controller.deleteManagedNetwork(id, this.#task.id);
	}

	#after(delay: Nanoseconds, action: () => void): void {
		const timer = new Timer(() => {
			this.#timers = this.#timers.filter((each) => each !== timer);
			if (!this.#gone) action();
		});
		this.#timers = this.#timers.concat(timer);
		this.#kernel.sleep(timer, delay);
	}

	/** What the engine refuses, or a program throws, is the task's error. */
	#attempt(work: () => void): string | undefined {
		try {
			work();
			return undefined;
		} catch (error) {
			if (error instanceof Error) return error.message.replace(/^Error response from daemon: /, "");
			throw error;
		}
	}
}

/** What is done to a container that somebody has removed by hand is done (`isUnknownContainer`). */
function unlessUnknown(work: () => void): void {
	try {
		work();
	} catch (error) {
		if (!(error instanceof DockerError && error.status === 404)) throw error;
	}
}

const hostPorts = ({ endpoint }: TaskObject): readonly ServicePort[] =>
	endpoint?.ports.filter(({ publishMode }) => publishMode === "host") ?? [];

/** What the task stands for on a network, to all who are on it (`CreateOptionService`). */
function serviceOf(task: TaskObject, { id, spec }: NetworkObject): ServiceOfTask {
	const { endpoint, serviceId, serviceName } = task;
	const vip = endpoint?.virtualIps.find(({ networkId }) => networkId === id);
	return {
		id: serviceId,
		name: serviceName,
		virtualIp: vip === undefined ? undefined : parsePrefix4(vip.addr)?.address,
		aliases: task.spec.networks.find(({ target }) => target === id || target === spec.name)?.aliases ?? [],
		ingressPorts: (endpoint?.ports ?? [])
			.filter(({ publishMode }) => publishMode === "ingress")
			.map(({ name, protocol, targetPort, publishedPort }) => ({
				name,
				protocol,
				targetPort,
				publishedPort,
			})),
	};
}

/** Throws NetError where the hostname cannot be expanded: managers took it for one that can. */
function hostnameOf(task: TaskObject, hostname: string, node: NodeDescription): string {
	const { id, serviceId, serviceName, slot, nodeId } = task;
	const expanded = expand(hostname, {
		service: { id: serviceId, name: serviceName },
		node: { ...node, id: nodeId },
		task: { id, name: taskName(serviceName, task), slot: slot > 0 ? String(slot) : nodeId },
	});
	if (typeof expanded === "string") return expanded;
	throw new NetError("EINVAL", hostnameProblem(hostname) ?? "");
}

function optionsOf(task: TaskObject, published: readonly ServicePort[], node: NodeDescription): RunOptions {
	const { container } = task.spec;
	const { healthcheck, hostname, hosts, dns, dnsSearch, dnsOptions, sysctls } = container;
	return {
		name: taskName(task.serviceName, task),
		image: container.image,
		labels: container.labels,
		publish: published.map(
			({ publishedPort, targetPort, protocol }) =>
				`${publishedPort > 0 ? `${String(publishedPort)}:` : ""}${String(targetPort)}/${protocol}`,
		),
		...(hostname === undefined ? {} : { hostname: hostnameOf(task, hostname, node) }),
		...(hosts === undefined ? {} : { addHost: hosts }),
		...(dns === undefined ? {} : { dns }),
		...(dnsSearch === undefined ? {} : { dnsSearch }),
		...(dnsOptions === undefined ? {} : { dnsOptions }),
		...(sysctls === undefined ? {} : { sysctls }),
		...(healthcheck === undefined
			? {}
			: {
					healthcheck: {
						interval: healthcheck.interval / 1e6,
						retries: healthcheck.retries,
						startPeriod: healthcheck.startPeriod / 1e6,
					},
				}),
	};
}
