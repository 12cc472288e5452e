import fc from "fast-check";
import type { Proposal } from "../../src/swarm/messages/index.ts";
import {
	type ClusterObject,
	type NetworkObject,
	type NodeObject,
	type ServiceObject,
	TASK_STATES,
	type TaskObject,
	type TaskSpec,
	type TaskStatus,
	type StoreObject,
	type StoreSnapshot,
} from "../../src/swarm/index.ts";
import type { RaftMessage } from "../../src/swarm/raft/index.ts";

// Objects of a cluster as managers keep them: what is absent is absent, not empty.

const id = fc.string({ minLength: 1, maxLength: 25 });
const text = fc.string();
const labels = fc.dictionary(fc.string(), fc.string(), { maxKeys: 3, noNullPrototype: true });
const count = fc.nat(1e6);
const nanoseconds = fc.nat(1e6).map((microseconds) => microseconds * 1000);
const instant = fc
	.record({ second: fc.integer({ min: 0, max: 3e9 }), nanos: fc.nat(999_999_999) })
	.map(({ second, nanos }) => {
		const rest = nanos === 0 ? "" : `.${String(nanos).padStart(9, "0").replace(/0+$/, "")}`;
		return `${new Date(second * 1000).toISOString().slice(0, 19)}${rest}Z`;
	});
const meta = fc.record({ version: count, createdAt: instant, updatedAt: instant });
const some = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(of, { maxLength: 3 });
const few = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(of, { minLength: 1, maxLength: 3 });
const full = fc.dictionary(fc.string(), fc.string(), { minKeys: 1, maxKeys: 3, noNullPrototype: true });

const port = fc.record({
	name: text,
	protocol: fc.constantFrom("tcp" as const, "udp" as const, "sctp" as const),
	targetPort: fc.nat(65_535),
	publishedPort: fc.nat(65_535),
	publishMode: fc.constantFrom("ingress" as const, "host" as const),
});

const state = fc.constantFrom(...TASK_STATES);
/** From a task's start on there is a container, and once it ended an exit code. */
export const taskStatuses: fc.Arbitrary<TaskStatus> = fc
	.tuple(
		fc.record({ state, timestamp: instant, message: text, err: text }),
		fc.record(
			{ containerId: id, ports: few(port) },
			{ noNullPrototype: true, requiredKeys: ["containerId"] },
		),
		fc.integer({ min: -1, max: 255 }),
		fc.record({ appliedBy: id, appliedAt: instant }, { noNullPrototype: true, requiredKeys: [] }),
	)
	.map(([status, container, exitCode, applied]) => {
		const order = TASK_STATES.indexOf(status.state);
		return {
			...status,
			...(order >= TASK_STATES.indexOf("starting") ? container : {}),
			...(order > TASK_STATES.indexOf("running") ? { exitCode } : {}),
			...applied,
		};
	});

const containers = fc.record(
	{
		image: text,
		args: some(text),
		hostname: id,
		labels,
		hosts: few(text),
		dns: few(text),
		dnsSearch: few(text),
		dnsOptions: few(text),
		sysctls: fc.dictionary(fc.string(), fc.integer(), { minKeys: 1, maxKeys: 2, noNullPrototype: true }),
		stopGracePeriod: nanoseconds,
		healthcheck: fc.record({
			interval: nanoseconds,
			timeout: nanoseconds,
			retries: fc.nat(100),
			startPeriod: nanoseconds,
		}),
	},
	{ noNullPrototype: true, requiredKeys: ["image", "args", "labels", "stopGracePeriod"] },
);
const placement = fc.record(
	{
		constraints: some(text),
		preferences: some(fc.record({ spread: text })),
		maxReplicas: count,
		platforms: few(fc.record({ architecture: text, os: text })),
	},
	{ noNullPrototype: true, requiredKeys: ["constraints", "preferences", "maxReplicas"] },
);
const restart = fc.record({
	condition: fc.constantFrom("any" as const, "on-failure" as const, "none" as const),
	delay: nanoseconds,
	maxAttempts: count,
	window: nanoseconds,
});
const wanted = fc.record(
	{ target: text, aliases: some(text), addresses: few(text), driverOptions: full },
	{ noNullPrototype: true, requiredKeys: ["target", "aliases"] },
);
const taskSpecs: fc.Arbitrary<TaskSpec> = fc
	.record({ container: containers, networks: some(wanted), placement, restart, forceUpdate: count })
	.chain((spec) =>
		fc.oneof(
			fc.constant({ ...spec, runtime: "container" as const }),
			id.map((attachmentContainerId) => ({
				...spec,
				runtime: "attachment" as const,
				attachmentContainerId,
				container: { image: "", args: [], labels: {}, stopGracePeriod: 0 },
			})),
		),
	);

const endpointSpec = fc.record({
	mode: fc.constantFrom("vip" as const, "dnsrr" as const),
	ports: some(port),
});
const endpoint = fc
	.record({
		spec: endpointSpec,
		ports: some(port),
		virtualIps: some(fc.record({ networkId: id, addr: text })),
	})
	.map((of) => ({ ...of, mode: of.spec.mode }));
const attachment = fc.record(
	{ networkId: id, addresses: some(text), aliases: some(text), driverOptions: full },
	{ noNullPrototype: true, requiredKeys: ["networkId", "addresses", "aliases"] },
);

export const tasks: fc.Arbitrary<TaskObject> = fc.record({
	kind: fc.constant("task" as const),
	id,
	meta,
	serviceId: text,
	serviceName: text,
	slot: count,
	nodeId: text,
	spec: taskSpecs,
	specVersion: fc.option(count, { nil: undefined }),
	status: taskStatuses,
	desiredState: state,
	networks: some(attachment),
	endpoint: fc.option(endpoint, { nil: undefined }),
});

const ipamConfig = fc.record(
	{ subnet: text, range: id, gateway: id, reserved: full },
	{ noNullPrototype: true, requiredKeys: ["subnet"] },
);
const PREDEFINED = "com.docker.swarm.predefined";
export const networks: fc.Arbitrary<NetworkObject> = fc
	.record({
		kind: fc.constant("network" as const),
		id,
		meta,
		spec: fc.record({
			name: id,
			labels,
			driver: id,
			options: labels,
			internal: fc.boolean(),
			attachable: fc.boolean(),
			ingress: fc.boolean(),
			ipam: fc.record({ options: fc.option(full), configs: some(ipamConfig) }),
		}),
		allocated: fc.option(
			fc.record({ options: labels, configs: some(fc.record({ subnet: text, gateway: text })) }),
			{ nil: undefined },
		),
		predefined: fc.boolean(),
	})
	.map((of) =>
		of.predefined
			? {
					...of,
					allocated: undefined,
					spec: { ...of.spec, labels: { ...of.spec.labels, [PREDEFINED]: "true" } },
				}
			: of,
	);

const update = fc.record({
	parallelism: count,
	delay: nanoseconds,
	failureAction: fc.constantFrom("pause" as const, "continue" as const, "rollback" as const),
	monitor: nanoseconds,
	// As typed on a command line.
	maxFailureRatio: fc.nat(100).map((percent) => percent / 100),
	order: fc.constantFrom("stop-first" as const, "start-first" as const),
});
const serviceSpec = fc.record({
	name: text,
	labels,
	task: taskSpecs,
	mode: fc.oneof(
		fc.record({ kind: fc.constant("replicated" as const), replicas: count }),
		fc.record({ kind: fc.constant("global" as const) }),
	),
	update,
	rollback: update,
	endpoint: endpointSpec,
});
export const services: fc.Arbitrary<ServiceObject> = fc.record({
	kind: fc.constant("service" as const),
	id,
	meta,
	spec: serviceSpec,
	specVersion: count,
	previousSpec: fc.option(serviceSpec, { nil: undefined }),
	previousSpecVersion: fc.option(count, { nil: undefined }),
	endpoint: fc.option(endpoint, { nil: undefined }),
	updateStatus: fc.option(
		fc.record(
			{
				state: fc.constantFrom("updating" as const, "paused" as const, "rollback_completed" as const),
				startedAt: instant,
				completedAt: instant,
				message: text,
			},
			{ noNullPrototype: true, requiredKeys: ["state", "startedAt", "message"] },
		),
		{ nil: undefined },
	),
});

const role = fc.constantFrom("worker" as const, "manager" as const);
export const nodes: fc.Arbitrary<NodeObject> = fc.record(
	{
		kind: fc.constant("node" as const),
		id,
		meta,
		spec: fc.record({
			role,
			availability: fc.constantFrom("active" as const, "pause" as const, "drain" as const),
			labels,
		}),
		role,
		description: fc.option(
			fc.record({
				hostname: text,
				platform: fc.record({ architecture: text, os: text }),
				engineVersion: text,
				engineLabels: labels,
				plugins: some(fc.record({ type: fc.constantFrom("Log" as const, "Network" as const), name: text })),
			}),
			{ nil: undefined },
		),
		status: fc.record({
			state: fc.constantFrom("unknown" as const, "down" as const, "ready" as const, "disconnected" as const),
			message: text,
			addr: text,
		}),
		managerStatus: fc.option(
			fc.record({
				raftId: fc.maxSafeNat(),
				addr: text,
				leader: fc.boolean(),
				reachability: fc.constantFrom("reachable" as const, "unreachable" as const),
			}),
			{ nil: undefined },
		),
		dataPathPort: fc.integer({ min: 1, max: 65_535 }),
		attachments: some(attachment),
	},
	{
		noNullPrototype: true,
		requiredKeys: ["kind", "id", "meta", "spec", "description", "status", "managerStatus", "attachments"],
	},
);

export const clusters: fc.Arbitrary<ClusterObject> = fc.record(
	{
		kind: fc.constant("cluster" as const),
		id,
		meta,
		tokens: fc.record({ worker: text, manager: text }),
		rootDigest: fc.stringMatching(/^[0-9a-z]{50}$/),
		defaultAddressPool: some(text),
		subnetSize: fc.nat(32),
		dataPathPort: fc.nat(65_535),
		dispatcherHeartbeat: nanoseconds,
		taskHistoryLimit: fc.integer({ min: -5, max: 100 }),
		keys: some(
			fc.record({
				subsystem: fc.constantFrom("networking:gossip" as const, "networking:ipsec" as const),
				key: fc.stringMatching(/^[0-9a-f]{32}$/),
				lamportTime: fc.maxSafeNat(),
			}),
		),
		keyLamportTime: fc.maxSafeNat(),
		removedNodes: few(id),
	},
	{
		noNullPrototype: true,
		requiredKeys: [
			"kind",
			"id",
			"meta",
			"tokens",
			"rootDigest",
			"defaultAddressPool",
			"subnetSize",
			"dataPathPort",
			"dispatcherHeartbeat",
			"taskHistoryLimit",
			"keys",
			"keyLamportTime",
		],
	},
);

const object: fc.Arbitrary<StoreObject> = fc.oneof(nodes, networks, services, tasks, clusters);
const proposal: fc.Arbitrary<Proposal> = fc.record({
	// Never 0: a proposal without a number and without actions is an entry that is empty.
	id: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
	actions: fc.array(
		fc.oneof(
			fc.record({ op: fc.constantFrom("create" as const, "update" as const), object }),
			fc.record({
				op: fc.constant("delete" as const),
				kind: fc.constantFrom("node" as const, "network" as const, "service" as const, "task" as const),
				id,
			}),
		),
		{ maxLength: 2 },
	),
});
const raftId = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const member = fc.record({ raftId, nodeId: id, addr: text });
const payload = fc.oneof(
	fc.record({ kind: fc.constant("empty" as const) }),
	fc.record({ kind: fc.constant("data" as const), data: proposal }),
	fc.record({
		kind: fc.constant("member" as const),
		op: fc.constantFrom("add" as const, "update" as const),
		member,
	}),
	fc.record({
		kind: fc.constant("member" as const),
		op: fc.constant("remove" as const),
		member: raftId.map((number) => ({ raftId: number, nodeId: "", addr: "" })),
	}),
);
const snapshot: fc.Arbitrary<StoreSnapshot> = fc
	.tuple(count, some(nodes), some(networks), some(services), some(tasks), some(clusters))
	.map(([version, ...kinds]) => ({ version, objects: kinds.flat() }));
const base = { from: raftId, to: raftId, term: count };
const kind = <Kind extends string>(of: Kind): fc.Arbitrary<Kind> => fc.constant(of);
export const raftMessage: fc.Arbitrary<RaftMessage<Proposal, StoreSnapshot>> = fc.oneof(
	fc.record({ ...base, kind: kind("vote"), lastIndex: count, lastTerm: count, transfer: fc.boolean() }),
	fc.record({ ...base, kind: kind("vote-reply"), granted: fc.boolean() }),
	fc.record({
		...base,
		kind: kind("append"),
		prevIndex: count,
		prevTerm: count,
		entries: fc.array(fc.record({ index: count, term: count, payload }), { maxLength: 3 }),
		commit: count,
	}),
	fc.record({ ...base, kind: kind("append-reply"), index: count, rejected: fc.boolean() }),
	fc.record({ ...base, kind: kind("heartbeat"), commit: count }),
	fc.record({ ...base, kind: kind("heartbeat-reply") }),
	fc.record({
		...base,
		kind: kind("snapshot"),
		snapshot: fc.record({
			index: count,
			term: count,
			members: some(member),
			removed: some(count),
			state: snapshot,
		}),
	}),
	fc.record({ ...base, kind: kind("timeout-now") }),
);
