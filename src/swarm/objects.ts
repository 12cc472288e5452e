/**
 * What managers keep of a cluster: plain data (swarmkit api/objects.proto, specs.proto); `messages/` has what it is on
 * the wire. Ids are 25 digits and small letters. Instants are RFC 3339 texts, durations nanoseconds.
 */

/** Stands in every object. */
export interface Meta {
	/** The index of the write that made it what it is. */
	readonly version: number;
	readonly createdAt: string;
	readonly updatedAt: string;
}

/** What a node is to be. */
export type NodeRole = (typeof NODE_ROLES)[number];
/** All roles, in the order of swarmkit's numbers. */
export const NODE_ROLES: readonly ["worker", "manager"] = ["worker", "manager"];
/** What the managers know of a node: `down` after its heartbeats were missed. */
export type NodeState = "unknown" | "down" | "ready" | "disconnected";
/** Whether a node gets tasks: `pause` keeps those it has, `drain` loses them. */
export type NodeAvailability = (typeof NODE_AVAILABILITIES)[number];
/** All of them, in the order of swarmkit's numbers. */
export const NODE_AVAILABILITIES: readonly ["active", "pause", "drain"] = ["active", "pause", "drain"];

/** What a node says of itself. */
export interface NodeDescription {
	readonly hostname: string;
	readonly platform: { readonly architecture: string; readonly os: string };
	readonly engineVersion: string;
	readonly engineLabels: Readonly<Record<string, string>>;
	/** Drivers that its engine has; those of Docker 20.10 itself unless said. */
	readonly plugins?: readonly { readonly type: "Log" | "Network" | "Volume"; readonly name: string }[];
}

/** An address on a network: a task's, or a node's for its load balancer there. */
export interface NetworkAttachment {
	readonly networkId: string;
	/** `10.0.1.6/24`; empty until allocated. */
	readonly addresses: readonly string[];
	readonly aliases: readonly string[];
	readonly driverOptions?: Readonly<Record<string, string>>;
}

/** A node of the cluster. */
export interface NodeObject {
	readonly kind: "node";
	readonly id: string;
	readonly meta: Meta;
	readonly spec: {
		readonly role: NodeRole;
		readonly availability: NodeAvailability;
		readonly labels: Readonly<Record<string, string>>;
	};
	/** What its certificate says; `spec.role` is what it is to become. Undefined until a certificate was issued. */
	readonly role?: NodeRole;
	readonly description: NodeDescription | undefined;
	readonly status: { readonly state: NodeState; readonly message: string; readonly addr: string };
	readonly managerStatus:
		| {
				readonly raftId: number;
				readonly addr: string;
				readonly leader: boolean;
				readonly reachability: "reachable" | "unreachable";
		  }
		| undefined;
	/** The cluster's port of overlays, as nodes are told it; 4789 unless said. */
	readonly dataPathPort?: number;
	/** Addresses of its load balancers, one per network it has tasks on; on ingress always. */
	readonly attachments: readonly NetworkAttachment[];
}

/** One subnet of a network, as asked for or as allocated. */
export interface NetworkIpamConfig {
	readonly subnet: string;
	readonly range?: string;
	readonly gateway?: string;
	readonly reserved?: Readonly<Record<string, string>>;
}

/** A network of the cluster's, as asked for. */
export interface NetworkSpec {
	readonly name: string;
	readonly labels: Readonly<Record<string, string>>;
	readonly driver: string;
	readonly options: Readonly<Record<string, string>>;
	readonly internal: boolean;
	readonly attachable: boolean;
	readonly ingress: boolean;
	readonly ipam: {
		readonly options: Readonly<Record<string, string>> | null;
		readonly configs: readonly NetworkIpamConfig[];
	};
}

/** A network of the cluster's. */
export interface NetworkObject {
	readonly kind: "network";
	readonly id: string;
	readonly meta: Meta;
	readonly spec: NetworkSpec;
	/** Undefined until allocated. */
	readonly allocated:
		| {
				/** Of the spec and of the driver's allocation: `com.docker.network.driver.overlay.vxlanid_list`. */
				readonly options: Readonly<Record<string, string>>;
				readonly configs: readonly Required<Pick<NetworkIpamConfig, "subnet" | "gateway">>[];
		  }
		| undefined;
	/** The cluster's names for each node's own `bridge` and `host`: nothing is allocated. */
	readonly predefined: boolean;
}

/** Protocols whose ports are published. */
export type PortProtocol = "tcp" | "udp" | "sctp";

/** A published port: by the load balancers of all nodes (`ingress`), or by the task's node alone (`host`). */
export interface ServicePort {
	readonly name: string;
	readonly protocol: PortProtocol;
	readonly targetPort: number;
	/** 0 until allocated, when the cluster is to choose. */
	readonly publishedPort: number;
	readonly publishMode: "ingress" | "host";
}

/** How tasks are replaced by those of a new spec, or of the previous one. */
export interface UpdateConfig {
	/** Tasks replaced at once; 0 for all. */
	readonly parallelism: number;
	readonly delay: number;
	readonly failureAction: "pause" | "continue" | "rollback";
	/** How long after a replacement a failure counts as the update's. */
	readonly monitor: number;
	readonly maxFailureRatio: number;
	readonly order: "stop-first" | "start-first";
}

/** When a task that ended has a successor. */
export interface RestartPolicy {
	readonly condition: "any" | "on-failure" | "none";
	readonly delay: number;
	/** 0 for no limit. */
	readonly maxAttempts: number;
	readonly window: number;
}

/** What a container of a task is made of. */
export interface ContainerSpec {
	readonly image: string;
	readonly args: readonly string[];
	readonly hostname?: string;
	readonly labels: Readonly<Record<string, string>>;
	/** Lines of the hosts file: `10.0.0.1 db`. */
	readonly hosts?: readonly string[];
	readonly dns?: readonly string[];
	readonly dnsSearch?: readonly string[];
	readonly dnsOptions?: readonly string[];
	readonly sysctls?: Readonly<Record<string, number>>;
	readonly stopGracePeriod: number;
	/** Seconds between `HEALTHCHECK`s and so on; none unless the service's program has one. */
	readonly healthcheck?: {
		readonly interval: number;
		readonly timeout: number;
		readonly retries: number;
		readonly startPeriod: number;
	};
}

/** What a task is to be. */
export interface TaskSpec {
	/** A service's container, or a standalone container's place on an attachable network. */
	readonly runtime: "container" | "attachment";
	readonly container: ContainerSpec;
	/** Of an attachment: the standalone container. */
	readonly attachmentContainerId?: string;
	readonly networks: readonly {
		readonly target: string;
		readonly aliases: readonly string[];
		readonly addresses?: readonly string[];
		readonly driverOptions?: Readonly<Record<string, string>>;
	}[];
	readonly placement: {
		readonly constraints: readonly string[];
		readonly preferences: readonly { readonly spread: string }[];
		/** Tasks of the service on one node at most; 0 for no limit. */
		readonly maxReplicas: number;
		/** What the image was built for; anything unless said. */
		readonly platforms?: readonly { readonly architecture: string; readonly os: string }[];
	};
	readonly restart: RestartPolicy;
	readonly forceUpdate: number;
}

/** How many tasks a service has: so many, or one on each node. */
export type ServiceMode =
	{ readonly kind: "replicated"; readonly replicas: number } | { readonly kind: "global" };

/** How a service is reached. */
export interface EndpointSpec {
	readonly mode: "vip" | "dnsrr";
	readonly ports: readonly ServicePort[];
}

/** How a service is reached, as allocated. */
export interface ServiceEndpoint {
	/** What it was allocated for. */
	readonly spec: EndpointSpec;
	readonly mode: "vip" | "dnsrr";
	readonly ports: readonly ServicePort[];
	/** `10.0.0.5/24`, ingress first. */
	readonly virtualIps: readonly { readonly networkId: string; readonly addr: string }[];
}

/** A service, as asked for. */
export interface ServiceSpec {
	readonly name: string;
	readonly labels: Readonly<Record<string, string>>;
	readonly task: TaskSpec;
	readonly mode: ServiceMode;
	readonly update: UpdateConfig;
	readonly rollback: UpdateConfig;
	readonly endpoint: EndpointSpec;
}

/** How far an update or a rollback is. */
export interface UpdateStatus {
	readonly state:
		"updating" | "paused" | "completed" | "rollback_started" | "rollback_paused" | "rollback_completed";
	readonly startedAt: string;
	readonly completedAt?: string;
	readonly message: string;
}

/** A service. */
export interface ServiceObject {
	readonly kind: "service";
	readonly id: string;
	readonly meta: Meta;
	readonly spec: ServiceSpec;
	/** Another one with each change of the spec: tasks of another one are looked at, and replaced if they differ. */
	readonly specVersion: number;
	readonly previousSpec: ServiceSpec | undefined;
	readonly previousSpecVersion: number | undefined;
	/** Undefined until allocated, and for a service that has no networks and no ports. */
	readonly endpoint: ServiceEndpoint | undefined;
	readonly updateStatus: UpdateStatus | undefined;
}

/** In the order in which a task goes through them. */
export const TASK_STATES = [
	"new",
	"pending",
	"assigned",
	"accepted",
	"preparing",
	"ready",
	"starting",
	"running",
	"complete",
	"shutdown",
	"failed",
	"rejected",
	"remove",
	"orphaned",
] as const;

/** Where a task is on its way. */
export type TaskState = (typeof TASK_STATES)[number];

/** What is known of a task; once it is assigned, what its node says. */
export interface TaskStatus {
	readonly state: TaskState;
	readonly timestamp: string;
	readonly message: string;
	readonly err: string;
	readonly containerId?: string;
	readonly exitCode?: number;
	/** Ports of mode host, as the node has published them. */
	readonly ports?: readonly ServicePort[];
	/** The manager that took the report, and when. */
	readonly appliedBy?: string;
	readonly appliedAt?: string;
}

/** One container of a service on one node, or the attachment of a standalone one to a network. */
export interface TaskObject {
	readonly kind: "task";
	readonly id: string;
	readonly meta: Meta;
	/** "" for a network attachment. */
	readonly serviceId: string;
	readonly serviceName: string;
	/** From 1; 0 for tasks of global services and attachments. */
	readonly slot: number;
	/** "" until scheduled. */
	readonly nodeId: string;
	readonly spec: TaskSpec;
	readonly specVersion: number | undefined;
	readonly status: TaskStatus;
	readonly desiredState: TaskState;
	readonly networks: readonly NetworkAttachment[];
	/** The service's endpoint when the task got its addresses. */
	readonly endpoint: ServiceEndpoint | undefined;
}

/** A key of the gossip's or the encrypted networks', as managers make and tell them. */
export interface EncryptionKey {
	readonly subsystem: "networking:gossip" | "networking:ipsec";
	/** 16 octets, hexadecimal. */
	readonly key: string;
	/** Its age in Lamport time; the low 32 bits are the tag that ESP's SPIs are made of. */
	readonly lamportTime: number;
}

/** What belongs to the cluster as a whole; there is one. */
export interface ClusterObject {
	readonly kind: "cluster";
	readonly id: string;
	readonly meta: Meta;
	readonly tokens: { readonly worker: string; readonly manager: string };
	/** SHA-256 of the root certificate, as it stands in the tokens: base 36. */
	readonly rootDigest: string;
	readonly defaultAddressPool: readonly string[];
	readonly subnetSize: number;
	readonly dataPathPort: number;
	readonly dispatcherHeartbeat: number;
	readonly taskHistoryLimit: number;
	readonly keys: readonly EncryptionKey[];
	readonly keyLamportTime: number;
	/** Nodes that were removed: their certificates are no longer good. */
	readonly removedNodes?: readonly string[];
}

/** All that managers keep. */
export type StoreObject = NodeObject | NetworkObject | ServiceObject | TaskObject | ClusterObject;
/** Kinds of objects. */
export type ObjectKind = StoreObject["kind"];
/** The object of a kind. */
export type ObjectOf<K extends ObjectKind> = Extract<StoreObject, { readonly kind: K }>;
