import { NetError } from "../../src/errors.ts";
import { Lab, type Operation } from "../../src/index.ts";
import { Rng, Timer } from "../../src/sim/index.ts";
import { type Method, type RpcError, RpcServer } from "../../src/swarm/control/index.ts";
import { Attachments } from "../../src/swarm/dispatcher/index.ts";
import {
	type ClusterObject,
	ControlApi,
	kernelClock,
	LeaderLogic,
	ManagerApi,
	type NodeObject,
	type ServicePort,
	Store,
	type StoreObject,
	TASK_STATES,
	type TaskObject,
	type TaskState,
} from "../../src/swarm/index.ts";
import { attachNetwork, detachNetwork } from "../../src/swarm/methods.ts";

/** Ids of the recorded nodes. */
export const RECORDED = {
	node1: "c1lyc05jxgy3p0idteiaicrto",
	node2: "0ksi7wd783yhczym3twj2ye4b",
	node3: "wfb1ii90sa3sk4reyo8htyvxq",
} as const;

const AFTER = new Map<TaskState, TaskState>([
	["assigned", "accepted"],
	["accepted", "preparing"],
	["preparing", "ready"],
	["ready", "starting"],
	["starting", "running"],
]);
const rank = (state: TaskState): number => TASK_STATES.indexOf(state);

/** How a task's program behaves: it runs; it cannot start; it ends so many seconds after it began, with an exit code. */
export type Behaviour = "runs" | "fails to start" | { readonly endsAfter: number; readonly exitCode: number };

export interface ClusterOptions {
	readonly seed?: number;
	/** Nodes, the first one a manager; their ids are the recorded ones, if there are. */
	readonly nodes?: readonly string[];
	/** Seconds between two states of a task. */
	readonly step?: number;
	readonly cluster?: Partial<ClusterObject>;
	/** Seconds until the managers have agreed upon a write; at once unless said. */
	readonly agreement?: number;
}

/** A cluster of one manager, whose nodes do what they are told in virtual time: the agents, made short. */
export class ManagerCluster {
	readonly lab: Lab;
	readonly store = new Store();
	readonly logic: LeaderLogic;
	readonly control: ControlApi;
	readonly api: ManagerApi;
	readonly log: string[] = [];
	readonly #rpc = new RpcServer();
	/** What tasks do, by service name and how often it was asked. */
	behaviour: (task: TaskObject) => Behaviour = () => "runs";
	readonly #scheduler;
	readonly #clock;
	readonly #step: number;
	readonly #timers = new Map<string, Timer>();
	readonly #offline = new Set<string>();
	/** Writes that come to nothing, as when a leader loses its followers. */
	lost = false;
	readonly #joined = new Map<string, number>();
	#names = 0;

	constructor({
		seed = 1,
		nodes = ["node1", "node2", "node3"],
		step = 0.1,
		cluster,
		agreement,
	}: ClusterOptions = {}) {
		this.lab = new Lab({ seed });
		const { kernel } = this.lab.host("manager").netns;
		this.#scheduler = kernel.world.scheduler;
		this.#clock = kernelClock(kernel);
		this.#step = step;
		const { store } = this;
		const rng = new Rng(seed);
		this.control = new ControlApi({ store, kernel, rng: rng.fork("control") });
		new Attachments({ store, kernel, rng: rng.fork("attachments") }).serve(this.#rpc);
		this.logic = new LeaderLogic({
			store,
			kernel,
			rng: rng.fork("leader"),
			log: (message) => this.log.push(message),
		});
		this.api = new ManagerApi({
			store,
			client: this.control,
			kernel,
			rng: rng.fork("api"),
			nodeId: RECORDED.node1,
			localNetwork: (term) => (term === "localnet" ? term : undefined),
		});
		store.update((tx) => tx.create({ ...this.#cluster(), ...cluster }));
		if (agreement !== undefined) {
			store.proposer = {
				propose: (actions, done) => {
					const agreed = (): void => {
						if (this.lost) return done(new NetError("EAGAIN", "raft: proposal dropped"));
						// As it comes out of a log.
						store.apply(JSON.parse(JSON.stringify(actions)) as typeof actions);
						done();
					};
					this.#scheduler.after(Math.round(agreement * 1e9), new Timer(agreed));
				},
			};
		}
		this.logic.start();
		for (const node of nodes) this.join(node);
		store.watch((events) => {
			for (const { object, op } of events) {
				if (object.kind === "task" && op !== "delete") this.#look(object);
				if (object.kind === "task" && op === "delete") this.#timers.get(object.id)?.cancel();
			}
		});
	}

	#cluster(): ClusterObject {
		return {
			kind: "cluster",
			id: "cluster",
			meta: this.#meta(),
			tokens: { worker: "", manager: "" },
			rootDigest: "",
			defaultAddressPool: ["10.0.0.0/8"],
			subnetSize: 24,
			dataPathPort: 4789,
			dispatcherHeartbeat: 5e9,
			taskHistoryLimit: 5,
			keys: [],
			keyLamportTime: 0,
		};
	}

	#meta(): StoreObject["meta"] {
		const now = this.#clock.timestamp();
		return { version: 0, createdAt: now, updatedAt: now };
	}

	/** A node joins, ready and active. */
	join(hostname: string, about: Partial<NodeObject> = {}): string {
		const manager = this.store.all("node").length === 0;
		// A node that comes again is another one.
		const before = this.#joined.get(hostname) ?? 0;
		this.#joined.set(hostname, before + 1);
		const known = before === 0 ? (RECORDED as Readonly<Record<string, string>>)[hostname] : undefined;
		const id = known ?? `${hostname}z${before === 0 ? "" : `${String(before)}z`}`.padEnd(25, "0");
		this.store.update((tx) =>
			tx.create({
				kind: "node",
				id,
				meta: this.#meta(),
				spec: { role: manager ? "manager" : "worker", availability: "active", labels: {} },
				description: {
					hostname,
					platform: { architecture: "x86_64", os: "linux" },
					engineVersion: "20.10.24+dfsg1",
					engineLabels: {},
				},
				status: { state: "ready", message: "", addr: "172.31.1.5" },
				managerStatus: manager
					? { raftId: 1, addr: "172.31.1.5:2377", leader: true, reachability: "reachable" }
					: undefined,
				attachments: [],
				...about,
			}),
		);
		return id;
	}

	/** Seconds pass. Operations that settle stop the clock's run for whoever awaits them; nobody does here. */
	run(seconds: number): void {
		const until = this.#scheduler.now + Math.round(seconds * 1e9);
		while (this.#scheduler.run(until) > 0);
		this.#scheduler.runUntil(until);
	}

	/** Seconds since the lab's epoch. */
	get now(): number {
		return this.#scheduler.now / 1e9;
	}

	/** What an operation came to, in virtual time: "resolved", the error's text, or "waits". */
	outcome(operation: Operation<unknown>): () => string {
		let found = "waits";
		operation.then(
			() => (found = "resolved"),
			(error: unknown) => (found = error instanceof Error ? error.message : String(error)),
		);
		return () => found;
	}

	/** The node does not answer: the dispatcher says so after its heartbeats are missed. */
	down(hostname: string): void {
		const node = this.node(hostname);
		this.#offline.add(node.id);
		this.#state(node, "down", 'heartbeat failure for node in "unknown" state');
	}

	up(hostname: string): void {
		const node = this.node(hostname);
		this.#offline.delete(node.id);
		this.#state(node, "ready", "");
		for (const task of this.store.tasksOn(node.id)) this.#look(task);
	}

	#state(node: NodeObject, state: "down" | "ready", message: string): void {
		this.store.update((tx) => {
			const now = tx.get("node", node.id) ?? node;
			tx.update({ ...now, status: { ...now.status, state, message } });
		});
	}

	node(hostname: string): NodeObject {
		return this.store.all("node").find(({ description }) => description?.hostname === hostname)!;
	}

	/**
	 * `docker run --network …` on a node, whose agent asks the manager: the task that stands for the container; none yet
	 * while agreement takes time.
	 */
	attach(hostname: string, network: string, ip?: string): string {
		const containerId = `container${String(this.#names++)}`;
		const addresses = ip === undefined ? [] : [ip];
		const request = { target: network, addresses, containerId };
		return this.#ask(this.node(hostname).id, attachNetwork, request)?.attachmentId ?? "";
	}

	/** The container is gone: its node says so, unless another one does. */
	detach(taskId: string, nodeId = this.store.get("task", taskId)?.nodeId ?? ""): void {
		this.#ask(nodeId, detachNetwork, { attachmentId: taskId });
	}

	/** A node calls the manager: what is answered at once. Throws what it is refused with. */
	#ask<Q, R>(nodeId: string, { path, request, reply }: Method<Q, R>, message: Q): R | undefined {
		let answer: R | undefined;
		let refusal: RpcError | undefined;
		const identity = { nodeId, role: "worker", cluster: "cluster" } as const;
		this.#rpc.serve(
			path,
			request.write(message),
			{ identity, address: "172.31.1.5" },
			{
				reply: (octets) => (answer = reply.read(octets)),
				end: (error) => (refusal = error),
			},
		);
		if (refusal !== undefined) throw refusal as Error;
		return answer;
	}

	network(name: string, options: Parameters<ManagerApi["networks"]["create"]>[1] = {}): string {
		let id = "";
		this.api.networks.create(name, options, (result) => {
			if ("id" in result) id = result.id;
		});
		return id;
	}

	/** Tasks of a service, oldest first. */
	tasks(service: string): readonly TaskObject[] {
		const found = this.store.all("service").find(({ spec }) => spec.name === service);
		return found === undefined ? [] : this.store.tasksOf(found.id);
	}

	running(service: string): readonly TaskObject[] {
		return this.tasks(service).filter(
			({ status, desiredState }) => status.state === "running" && desiredState === "running",
		);
	}

	// The agents.

	#look(task: TaskObject): void {
		if (task.nodeId === "" || rank(task.status.state) < rank("assigned")) return;
		if (rank(task.status.state) > rank("running") || this.#timers.get(task.id)?.pending === true) return;
		const timer = new Timer(() => this.#act(task.id));
		this.#timers.set(task.id, timer);
		this.#scheduler.after(Math.round(this.#step * 1e9), timer);
	}

	#act(id: string): void {
		const task = this.store.get("task", id);
		if (task === undefined || this.#offline.has(task.nodeId) || rank(task.status.state) > rank("running"))
			return;
		if (rank(task.desiredState) > rank("running")) return this.#report(id, "shutdown", "shutdown");
		const behaviour = this.behaviour(task);
		if (task.status.state === "starting" && behaviour === "fails to start")
			return this.#report(id, "failed", "starting", "task: non-zero exit (1)");
		if (task.status.state === "ready" && task.desiredState !== "running") return;
		const next = AFTER.get(task.status.state);
		if (next === undefined) return;
		this.#report(id, next, next);
		if (next !== "running" || typeof behaviour === "string") return;
		const { endsAfter, exitCode } = behaviour;
		this.#scheduler.after(
			Math.round(endsAfter * 1e9),
			new Timer(() => {
				if (exitCode === 0) this.#report(id, "complete", "finished");
				else this.#report(id, "failed", "started", `task: non-zero exit (${String(exitCode)})`);
			}),
		);
	}

	#report(id: string, state: TaskState, message: string, err = ""): void {
		this.store.update(
			(tx) => {
				const task = tx.get("task", id);
				if (task === undefined || rank(task.status.state) >= rank(state)) return;
				const host = (task.endpoint?.ports ?? []).filter(({ publishMode }) => publishMode === "host");
				// Published for IPv4 and IPv6.
				const ports: readonly ServicePort[] = state === "running" ? host.flatMap((port) => [port, port]) : [];
				tx.update({
					...task,
					status: { ...task.status, state, message, err, timestamp: this.#clock.timestamp(), ports },
				});
			},
			(error) => {
				// What did not come through is said again.
				const task = this.store.get("task", id);
				if (error !== undefined && task !== undefined) this.#look(task);
			},
		);
	}
}
