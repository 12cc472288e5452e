import type {
	ContainerSpec,
	EndpointSpec,
	ServiceEndpoint,
	ServiceObject,
	ServicePort,
	ServiceSpec,
	TaskSpec,
	UpdateConfig,
} from "../objects.ts";

/** A port in `docker service inspect`. */
export interface ServicePortJson {
	readonly Name?: string;
	readonly Protocol: string;
	readonly TargetPort: number;
	readonly PublishedPort?: number;
	readonly PublishMode: string;
}

/** `EndpointSpec` in `docker service inspect`. */
export interface EndpointSpecJson {
	readonly Mode?: string;
	readonly Ports?: readonly ServicePortJson[];
}

/** `UpdateConfig` and `RollbackConfig` in `docker service inspect`. */
export interface UpdateConfigJson {
	readonly Parallelism: number;
	readonly Delay?: number;
	readonly FailureAction: string;
	readonly Monitor: number;
	readonly MaxFailureRatio: number;
	readonly Order: string;
}

/** `Spec` in `docker service inspect`. */
export interface ServiceSpecJson {
	readonly Name: string;
	readonly Labels: Readonly<Record<string, string>>;
	readonly TaskTemplate: Readonly<Record<string, unknown>>;
	readonly Mode: { readonly Replicated: { readonly Replicas: number } } | { readonly Global: object };
	readonly UpdateConfig: UpdateConfigJson;
	readonly RollbackConfig: UpdateConfigJson;
	readonly EndpointSpec: EndpointSpecJson;
}

/** What `docker service inspect` prints, keys in its order. */
export interface ServiceJson {
	readonly ID: string;
	readonly Version: { readonly Index: number };
	readonly CreatedAt: string;
	readonly UpdatedAt: string;
	readonly Spec: ServiceSpecJson;
	readonly PreviousSpec?: ServiceSpecJson;
	readonly Endpoint: {
		readonly Spec: EndpointSpecJson;
		readonly Ports?: readonly ServicePortJson[];
		readonly VirtualIPs?: readonly { readonly NetworkID: string; readonly Addr: string }[];
	};
	readonly UpdateStatus?: {
		readonly State: string;
		readonly StartedAt: string;
		readonly CompletedAt?: string;
		readonly Message: string;
	};
}

/** A service as `docker service inspect` prints it (moby api/types/swarm). */
export function serviceJson({
	id,
	meta,
	spec,
	previousSpec,
	endpoint,
	updateStatus,
}: ServiceObject): ServiceJson {
	return {
		ID: id,
		Version: { Index: meta.version },
		CreatedAt: meta.createdAt,
		UpdatedAt: meta.updatedAt,
		Spec: specJson(spec),
		...(previousSpec === undefined ? {} : { PreviousSpec: specJson(previousSpec) }),
		Endpoint: endpointJson(endpoint),
		...(updateStatus === undefined
			? {}
			: {
					UpdateStatus: {
						State: updateStatus.state,
						StartedAt: updateStatus.startedAt,
						...(updateStatus.completedAt === undefined ? {} : { CompletedAt: updateStatus.completedAt }),
						Message: updateStatus.message,
					},
				}),
	};
}

const specJson = (spec: ServiceSpec): ServiceSpecJson => ({
	Name: spec.name,
	Labels: spec.labels,
	TaskTemplate: taskJson(spec.task),
	Mode: spec.mode.kind === "global" ? { Global: {} } : { Replicated: { Replicas: spec.mode.replicas } },
	UpdateConfig: updateJson(spec.update),
	RollbackConfig: updateJson(spec.rollback),
	EndpointSpec: endpointSpecJson(spec.endpoint),
});

function taskJson({
	container,
	restart,
	placement,
	networks,
	forceUpdate,
}: TaskSpec): Readonly<Record<string, unknown>> {
	return {
		ContainerSpec: containerJson(container),
		Resources: { Limits: {}, Reservations: {} },
		RestartPolicy: {
			Condition: restart.condition,
			Delay: restart.delay,
			MaxAttempts: restart.maxAttempts,
			...(restart.window === 0 ? {} : { Window: restart.window }),
		},
		Placement: {
			...present("Constraints", placement.constraints),
			...present(
				"Preferences",
				placement.preferences.map(({ spread }) => ({ Spread: { SpreadDescriptor: spread } })),
			),
			...(placement.maxReplicas === 0 ? {} : { MaxReplicas: placement.maxReplicas }),
			...present(
				"Platforms",
				(placement.platforms ?? []).map(({ architecture, os }) => ({ Architecture: architecture, OS: os })),
			),
		},
		...present(
			"Networks",
			networks.map(({ target, aliases, driverOptions }) => ({
				Target: target,
				...present("Aliases", aliases),
				...(driverOptions === undefined ? {} : { DriverOpts: driverOptions }),
			})),
		),
		ForceUpdate: forceUpdate,
		Runtime: "container",
	};
}

function containerJson(container: ContainerSpec): Readonly<Record<string, unknown>> {
	const { image, labels, args, hostname, stopGracePeriod, healthcheck, hosts = [], sysctls = {} } = container;
	return {
		Image: image,
		...presentRecord("Labels", labels),
		...present("Args", args),
		...(hostname === undefined || hostname === "" ? {} : { Hostname: hostname }),
		Init: false,
		StopGracePeriod: stopGracePeriod,
		...(healthcheck === undefined
			? {}
			: {
					Healthcheck: {
						...presentNumber("Interval", healthcheck.interval),
						...presentNumber("Timeout", healthcheck.timeout),
						...presentNumber("StartPeriod", healthcheck.startPeriod),
						...presentNumber("Retries", healthcheck.retries),
					},
				}),
		...present("Hosts", hosts),
		DNSConfig: {
			...present("Nameservers", container.dns ?? []),
			...present("Search", container.dnsSearch ?? []),
			...present("Options", container.dnsOptions ?? []),
		},
		Isolation: "default",
		...presentRecord(
			"Sysctls",
			Object.fromEntries(Object.entries(sysctls).map(([name, value]) => [name, String(value)])),
		),
	};
}

const updateJson = (config: UpdateConfig): UpdateConfigJson => ({
	Parallelism: config.parallelism,
	...(config.delay === 0 ? {} : { Delay: config.delay }),
	FailureAction: config.failureAction,
	Monitor: config.monitor,
	MaxFailureRatio: config.maxFailureRatio,
	Order: config.order,
});

const portJson = ({
	name,
	protocol,
	targetPort,
	publishedPort,
	publishMode,
}: ServicePort): ServicePortJson => ({
	...(name === "" ? {} : { Name: name }),
	Protocol: protocol,
	TargetPort: targetPort,
	...(publishedPort === 0 ? {} : { PublishedPort: publishedPort }),
	PublishMode: publishMode,
});

const endpointSpecJson = ({ mode, ports }: EndpointSpec): EndpointSpecJson => ({
	Mode: mode,
	...(ports.length === 0 ? {} : { Ports: ports.map(portJson) }),
});

/** A service without networks and ports, or by DNS round robin, has none of its own (recorded). */
const endpointJson = (endpoint: ServiceEndpoint | undefined): ServiceJson["Endpoint"] =>
	endpoint === undefined
		? { Spec: {} }
		: {
				Spec: endpointSpecJson(endpoint.spec),
				...(endpoint.ports.length === 0 ? {} : { Ports: endpoint.ports.map(portJson) }),
				...(endpoint.virtualIps.length === 0
					? {}
					: {
							VirtualIPs: endpoint.virtualIps.map(({ networkId, addr }) => ({
								NetworkID: networkId,
								Addr: addr,
							})),
						}),
			};

// Go's `omitempty`.
const present = (name: string, list: readonly unknown[]): object =>
	list.length === 0 ? {} : { [name]: list };
const presentRecord = (name: string, record: Readonly<Record<string, unknown>>): object =>
	Object.keys(record).length === 0 ? {} : { [name]: record };
const presentNumber = (name: string, value: number): object => (value === 0 ? {} : { [name]: value });
