import { parsePrefix4 } from "../../addr/index.ts";
import type { Docker, Network, NetworkListener } from "../../cnm/index.ts";
import { VXLAN_PORT } from "../../link/index.ts";
import type { IpNamespace, Kernel } from "../../stack/index.ts";
import { clusterNetwork } from "../cluster-network.ts";
import type { Executor, TaskController } from "../executor.ts";
import type { EncryptionKey, NetworkObject, NodeDescription, NodeObject, TaskObject } from "../objects.ts";
import { ContainerTask } from "./container-task.ts";

/** As the recorded nodes say of themselves. */
const ENGINE_VERSION = "20.10.24+dfsg1";
/** Who needs the ingress network on a node: the node itself. */
const INGRESS_USER = "ingress";

/** What an executor works with. */
export interface EngineExecutorOptions<N extends IpNamespace> {
	readonly docker: Docker<N>;
	readonly kernel: Kernel;
	readonly hostname: string;
	/** `labels` of `daemon.json`. */
	readonly engineLabels: Readonly<Record<string, string>>;
	/** The keys came, first or anew. */
	readonly onKeys: (keys: readonly EncryptionKey[], dataPathPort: number) => void;
	/** Does something when this node's gossip knows the others. */
	readonly whenJoined: (action: () => void) => void;
}

/** The engine of a node as its cluster sees it (daemon/cluster/executor/container/executor.go). */
export class EngineExecutor<N extends IpNamespace> implements Executor, NetworkListener {
	readonly #options: EngineExecutorOptions<N>;
	/** This node's addresses for its load balancers, by network. */
	#addresses: ReadonlyMap<string, string> = new Map();
	#ingress: string | undefined;

	constructor(options: EngineExecutorOptions<N>) {
		this.#options = options;
		options.docker.controller.listeners.add(this);
	}

	describe(): NodeDescription {
		const { hostname, engineLabels } = this.#options;
		return {
			hostname,
			platform: { architecture: "x86_64", os: "linux" },
			engineVersion: ENGINE_VERSION,
			engineLabels,
		};
	}

	configure(node: NodeObject, networks: readonly NetworkObject[]): void {
		this.#addresses = new Map(
			node.attachments.flatMap(({ networkId, addresses }) => {
				const [address = ""] = addresses;
				return parsePrefix4(address) === undefined ? [] : [[networkId, address] as const];
			}),
		);
		const { controller } = this.#options.docker;
		const ingress = networks.find(({ id, spec }) => spec.ingress && this.#addresses.has(id));
		if (this.#ingress !== undefined && this.#ingress !== ingress?.id) {
			controller.deleteManagedNetwork(this.#ingress, INGRESS_USER);
			this.#ingress = undefined;
		}
		if (ingress !== undefined && this.#ingress === undefined) {
			const { id } = ingress;
			this.#ingress = id;
			// Only then is it told at once what is on the network.
			this.#options.whenJoined(() => {
				if (this.#ingress === id) controller.createManagedNetwork(clusterNetwork(ingress), INGRESS_USER);
			});
		}
		for (const network of controller.networks) this.#balance(network);
	}

	/** A network of the cluster's came to this node: it is balanced from the beginning on. */
	networkCreated(network: Network): void {
		this.#balance(network);
	}

	#balance(network: Network): void {
		if (network.about.scope !== "swarm") return;
		const address = parsePrefix4(this.#addresses.get(network.id) ?? "");
		const { services } = this.#options.docker;
		if (address === undefined) services.deleteLoadBalancer(network);
		else services.createLoadBalancer(network, address.address);
	}

	setNetworkKeys(keys: readonly EncryptionKey[], node: NodeObject | undefined): void {
		this.#options.onKeys(keys, node?.dataPathPort ?? VXLAN_PORT);
	}

	controller(task: TaskObject, networks: readonly NetworkObject[]): TaskController {
		const { docker, kernel } = this.#options;
		return new ContainerTask(docker, kernel, task, networks, this.describe());
	}

	/** The node leaves its cluster. */
	end(): void {
		this.#addresses = new Map();
		this.#ingress = undefined;
	}
}
