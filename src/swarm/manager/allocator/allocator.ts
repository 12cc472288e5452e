import type { NetworkObject, NetworkSpec, NodeObject, ServiceObject, TaskObject } from "../../objects.ts";
import type { StoreEvent } from "../../store/store.ts";
import type { Transaction } from "../../store/transaction.ts";
import { clusterOf, type Context, live, TurningPart, rank } from "../part.ts";
import { same } from "../same.ts";
import { AllocationError } from "./allocation-error.ts";
import { Attachments } from "./attachments.ts";
import { Endpoints, ingressOf } from "./endpoint.ts";
import { NetworkPools } from "./network-pools.ts";
import { PortSpaces } from "./port-spaces.ts";

/**
 * Gives networks their subnets and VNIs, services their virtual IPs and ports, tasks their addresses, and nodes those of
 * their load balancers; takes back what is not used any more (swarmkit manager/allocator).
 *
 * What cannot be given stays as it is, is said in the log, and is tried again when something was given back.
 */
export class Allocator extends TurningPart {
	readonly #pools: NetworkPools;
	readonly #ports = new PortSpaces();
	readonly #endpoints: Endpoints;
	readonly #attachments: Attachments;
	// What is to be looked at, in the order in which it came.
	readonly #networks = new Set<string>();
	readonly #services = new Set<string>();
	readonly #tasks = new Set<string>();
	readonly #nodes = new Set<string>();
	/** Tasks that have addresses. */
	readonly #held = new Set<string>();
	/** What could not be given: kind and id, and why. */
	readonly #waiting = new Map<string, string>();
	#released = false;

	constructor(context: Context) {
		super(context);
		const cluster = clusterOf(context.store);
		this.#pools =
			cluster === undefined || cluster.defaultAddressPool.length === 0
				? new NetworkPools()
				: new NetworkPools({ blocks: cluster.defaultAddressPool, size: cluster.subnetSize });
		this.#endpoints = new Endpoints(this.#pools, this.#ports);
		this.#attachments = new Attachments(this.#pools);
	}

	/** Addresses in use on a network, those of the net, the gateway and for everyone among them. */
	addresses(networkId: string): readonly string[] {
		return this.#pools.taken(networkId);
	}

	/** VNIs in use. */
	get vnis(): readonly number[] {
		return this.#pools.vnis;
	}

	/** Ports of ingress mode in use: `8080/tcp`. */
	get ports(): readonly string[] {
		return this.#ports.taken;
	}

	/** First what is allocated is taken, so that nothing of it is given to others; then the rest gets its own. */
	start(): void {
		const { store } = this.context;
		for (const network of store.all("network"))
			if (network.allocated !== undefined) this.#pools.allocate(network);
		for (const node of store.all("node")) {
			this.#attachments.take(node.attachments);
			this.#nodes.add(node.id);
		}
		for (const service of store.all("service")) {
			this.#endpoints.restore(service);
			this.#services.add(service.id);
		}
		for (const task of store.all("task")) {
			if (live(task.status) && rank(task.status.state) >= rank("pending")) {
				this.#attachments.take(task.networks);
				this.#held.add(task.id);
			}
			this.#tasks.add(task.id);
		}
		for (const { id } of store.all("network")) this.#networks.add(id);
		this.turn();
	}

	changed(events: readonly StoreEvent[]): void {
		for (const { op, object, previous } of events) {
			const gone = op === "delete";
			switch (object.kind) {
				case "network":
					if (gone) this.#networkGone(object);
					else if (object.allocated === undefined) this.#networks.add(object.id);
					break;
				case "service":
					if (gone) this.#serviceGone(object);
					else this.#services.add(object.id);
					break;
				case "node":
					if (gone) this.#nodeGone(object);
					else if (op === "create") this.#nodes.add(object.id);
					break;
				case "task":
					this.#taskChanged(object, previous?.kind === "task" ? previous : undefined, gone);
					break;
				case "cluster":
					break;
			}
		}
		const dirty = this.#networks.size + this.#services.size + this.#tasks.size + this.#nodes.size;
		if (dirty > 0 || (this.#released && this.#waiting.size > 0)) this.turn();
	}

	#networkGone(network: NetworkObject): void {
		this.#pools.free(network.id);
		this.#networks.delete(network.id);
		this.#waiting.delete(`network ${network.id}`);
		this.#released = true;
		// Their load balancers leave it.
		for (const { id, attachments } of this.context.store.all("node")) {
			if (attachments.some(({ networkId }) => networkId === network.id)) this.#nodes.add(id);
		}
	}

	#serviceGone(service: ServiceObject): void {
		this.#endpoints.release(service);
		this.#services.delete(service.id);
		this.#waiting.delete(`service ${service.id}`);
		this.#released = true;
	}

	#nodeGone(node: NodeObject): void {
		this.#attachments.release(node.attachments);
		this.#nodes.delete(node.id);
		this.#released = true;
	}

	#taskChanged(task: TaskObject, previous: TaskObject | undefined, gone: boolean): void {
		const over = gone || !live(task.status);
		if (over && this.#held.delete(task.id)) {
			this.#attachments.release(task.networks);
			this.#released = true;
		}
		if (over) {
			this.#tasks.delete(task.id);
			this.#waiting.delete(`task ${task.id}`);
		} else if (task.status.state === "new") {
			this.#tasks.add(task.id);
		}
		const moved =
			previous?.nodeId !== task.nodeId ||
			live(previous.status) === over ||
			(previous.networks !== task.networks && previous.networks.length !== task.networks.length);
		if (task.nodeId !== "" && moved) this.#nodes.add(task.nodeId);
	}

	protected work(tx: Transaction): void {
		if (this.#released) this.#again();
		this.#released = false;
		for (const id of drain(this.#networks)) this.#allocateNetwork(tx, id);
		// What waits for the network that is there now is looked at in this turn, ingress attachments before all else.
		for (const id of drain(this.#nodes)) this.#allocateNode(tx, id);
		for (const id of drain(this.#services)) this.#allocateService(tx, id);
		for (const id of drain(this.#tasks)) this.#allocateTask(tx, id);
	}

	/** Something was given back: what waits is tried again. */
	#again(): void {
		for (const key of [...this.#waiting.keys()]) {
			const [kind = "", id = ""] = key.split(" ");
			const sets: Readonly<Record<string, Set<string>>> = {
				network: this.#networks,
				service: this.#services,
				task: this.#tasks,
				node: this.#nodes,
			};
			sets[kind]?.add(id);
		}
	}

	#try(key: string, allocate: () => void): boolean {
		try {
			allocate();
			this.#waiting.delete(key);
			return true;
		} catch (error) {
			if (!(error instanceof AllocationError)) throw error;
			const [kind, id] = key.split(" ");
			if (this.#waiting.get(key) !== error.message)
				this.context.log(`Failed allocation for ${String(kind)} ${String(id)}: ${error.message}`);
			this.#waiting.set(key, error.message);
			return false;
		}
	}

	#allocateNetwork(tx: Transaction, id: string): void {
		const network = tx.get("network", id);
		if (network === undefined || this.#pools.has(id)) return;
		const done = this.#try(`network ${id}`, () => {
			const allocated = this.#pools.allocate(network);
			tx.update(this.with(network, { allocated, spec: withGateways(network.spec, allocated) }));
		});
		if (!done) return;
		this.#again();
		if (network.spec.ingress) for (const node of tx.all("node")) this.#nodes.add(node.id);
	}

	/** A node has an address on ingress, and on each network while one of its tasks is there. */
	#allocateNode(tx: Transaction, id: string): void {
		const node = tx.get("node", id);
		if (node === undefined) return;
		const { attachments, released, failed } = this.#attachments.ofNode(tx, node);
		this.#released = this.#released || released;
		this.#try(`node ${id}`, () => {
			if (failed !== undefined) throw failed;
		});
		if (!same(attachments, node.attachments)) tx.update(this.with(node, { attachments }));
	}

	#allocateService(tx: Transaction, id: string): void {
		const service = tx.get("service", id);
		if (service === undefined) return;
		const ingress = ingressOf(tx);
		if (this.#endpoints.complete(service, ingress)) {
			this.#waiting.delete(`service ${id}`);
			return;
		}
		const done = this.#try(`service ${id}`, () => {
			tx.update(this.with(service, { endpoint: this.#endpoints.allocate(service, ingress) }));
		});
		if (!done) return;
		this.#released = this.#released || service.endpoint !== undefined;
		for (const task of tx.tasksOf(id)) if (task.status.state === "new") this.#tasks.add(task.id);
	}

	#allocateTask(tx: Transaction, id: string): void {
		const task = tx.get("task", id);
		if (task?.status.state !== "new" || rank(task.desiredState) > rank("running")) return;
		const service = task.serviceId === "" ? undefined : tx.get("service", task.serviceId);
		if (task.serviceId !== "" && service === undefined) return;
		this.#try(`task ${id}`, () => {
			if (service !== undefined && !this.#endpoints.complete(service, ingressOf(tx))) {
				throw new AllocationError(
					`service ${service.id} to which task ${id} belongs has pending allocations`,
				);
			}
			const networks = this.#attachments.ofTask(tx, task, service);
			this.#held.add(id);
			tx.update(
				this.with(task, {
					networks,
					endpoint: service?.endpoint ?? task.endpoint,
					status: this.status(task.status, "pending", "pending task scheduling"),
				}),
			);
		});
	}
}

/** The subnets asked for get their gateways in what was asked for, too: in swarmkit both are one (cnmallocator, `allocatePools`). */
const withGateways = (
	spec: NetworkSpec,
	{ configs }: NonNullable<NetworkObject["allocated"]>,
): NetworkSpec => ({
	...spec,
	ipam: {
		...spec.ipam,
		configs: spec.ipam.configs.map((config, i) => {
			const gateway = config.gateway ?? configs[i]?.gateway;
			return gateway === undefined ? config : { ...config, gateway };
		}),
	},
});

/** Takes all out of a set, in its order; what is added meanwhile is taken too. */
function* drain(set: Set<string>): Generator<string> {
	for (const id of set) {
		set.delete(id);
		yield id;
	}
}
