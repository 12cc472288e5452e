import { NetError } from "../errors.ts";
import type { IpNamespace } from "../stack/index.ts";
import type { ClusterNetwork, ClusterProvider } from "./cluster.ts";
import type { Container } from "./container.ts";
import type { ContainerStore, ManagedEndpoint } from "./containers.ts";
import type { Departures } from "./departures.ts";
import { conflict, DockerError } from "./docker-error.ts";
import type { ClusterNode, DriverKey, NetworkDriver } from "./driver.ts";
import type { Ids } from "./ids.ts";
import type { Machine } from "./machine.ts";
import type { ManagedNetworks } from "./managed-networks.ts";
import type { Network, NetworkListener } from "./network.ts";
import type { NetworkServiceJson } from "./network-json.ts";
import type { NetworkTables } from "./network-tables.ts";
import type { NetworkStore } from "./networks.ts";
import type { RunOptions } from "./run-options.ts";
import { Sandbox } from "./sandbox.ts";

/** Digits of a sandbox's id that name its namespace in /var/run/docker/netns (`osl.GenerateKey`). */
const KEY_DIGITS = 12;
const IPSEC = "networking:ipsec";

/** A sandbox that is no container's. */
export interface NewSandboxOptions {
	/** `ingress-sbox`; `lb-` and a network's name: the key in `docker network inspect`. */
	readonly containerId: string;
	/** `ingress_sbox`, `lb_` and a network's id; drawn unless said. Its namespace is named by the first twelve characters. */
	readonly id?: string;
	/** It gets an endpoint on docker_gwbridge when its networks have no way out; true unless said. */
	readonly gateway?: boolean;
}

/** A key as managers tell it. */
export interface ClusterKey {
	/** `networking:gossip`, `networking:ipsec`. */
	readonly subsystem: string;
	/** 16 octets, hexadecimal. */
	readonly key: string;
	/** Its age. */
	readonly lamportTime: number;
}

/** The engine's place in a cluster's gossip. */
export interface AgentOptions extends ClusterNode {
	readonly tables: NetworkTables;
	readonly keys?: readonly ClusterKey[];
}

/** What the controller works with. */
export interface ControllerOptions<N extends IpNamespace> {
	readonly machine: Machine<N>;
	readonly networks: NetworkStore;
	readonly managed: ManagedNetworks;
	readonly containers: ContainerStore<N>;
	readonly departures: Departures;
	readonly drivers: readonly NetworkDriver[];
	readonly ids: Ids;
}

/**
 * What the layers above ask of an engine beside what users ask (libnetwork's controller, and the part of the daemon that
 * its cluster speaks to): the cluster's networks on this node, sandboxes that are no container's, the gossip.
 */
export class Controller<N extends IpNamespace = IpNamespace> {
	readonly #machine: Machine<N>;
	readonly #store: NetworkStore;
	readonly #managed: ManagedNetworks;
	readonly #containers: ContainerStore<N>;
	readonly #drivers: readonly NetworkDriver[];
	readonly #ids: Ids;
	readonly #departures: Departures;
	readonly #sandboxes = new Map<string, Sandbox>();
	/** Services on a network, for `docker network inspect --verbose`; what balances load on the node says them. */
	services: ((network: Network) => Readonly<Record<string, NetworkServiceJson>>) | undefined;

	constructor({ machine, networks, managed, containers, departures, drivers, ids }: ControllerOptions<N>) {
		this.#departures = departures;
		this.#machine = machine;
		this.#store = networks;
		this.#managed = managed;
		this.#containers = containers;
		this.#drivers = drivers;
		this.#ids = ids;
	}

	/** Networks on this node, in the order they were made. */
	get networks(): readonly Network[] {
		return this.#store.all;
	}

	/** Who hears of what happens on the networks; added and taken out at will. */
	get listeners(): Set<NetworkListener> {
		return this.#store.listeners;
	}

	// ── sandboxes ─────────────────────────────────────────────────────────────────────────────────

	/** Sandboxes made by `newSandbox`. */
	get sandboxes(): readonly Sandbox[] {
		return [...this.#sandboxes.values()];
	}

	/**
	 * A sandbox that is no container's (`NewSandbox`): a load balancer's, ingress. What it is to be on joins it:
	 * `sandbox.join(network.createEndpoint({ id, name, ip, dnsNames: [], loadBalancer: true }))`. Throws `DockerError` 409.
	 */
	newSandbox({ containerId, id = this.#ids.id(), gateway = true }: NewSandboxOptions): Sandbox {
		if (this.#sandboxes.has(id)) throw conflict(`sandbox with id ${id} already exists`);
		const ns = this.#machine.addNetns(id.slice(0, KEY_DIGITS));
		// It is in /var/run/docker/netns, where `ip netns` does not look.
		ns.named = false;
		const sandbox = new Sandbox({
			id,
			containerId,
			ns,
			own: true,
			loadBalancer: !gateway,
			...(gateway ? { gateway: this.#store.gateway } : {}),
		});
		this.#sandboxes.set(id, sandbox);
		return sandbox;
	}

	/** Its endpoints leave and are deleted, its namespace goes. */
	deleteSandbox(sandbox: Sandbox): void {
		if (!this.#sandboxes.delete(sandbox.id)) return;
		const { endpoints } = sandbox;
		sandbox.clear();
		for (const endpoint of endpoints)
			if (endpoint.network.endpoints.includes(endpoint)) endpoint.network.deleteEndpoint(endpoint);
		this.#machine.delNetns(sandbox.id.slice(0, KEY_DIGITS));
	}

	/** An id for an endpoint. */
	newId(): string {
		return this.#ids.id();
	}

	// ── networks of the cluster's ─────────────────────────────────────────────────────────────────

	/**
	 * A network of the cluster's is needed on this node by `user`, a task's or container's id (`CreateManagedNetwork`);
	 * made when it is not here. Throws `DockerError`, nothing changed.
	 */
	createManagedNetwork(network: ClusterNetwork, user: string): Network {
		return this.#managed.need(network, user);
	}

	/**
	 * `user` does not need it any more (`DeleteManagedNetwork`); it goes from this node with the last one, unless containers
	 * are on it.
	 */
	deleteManagedNetwork(id: string, user: string): void {
		this.#managed.drop(id, user);
	}

	/** A container of a task: on these networks, with addresses that the cluster gave already. Throws `DockerError`. */
	createContainer(options: RunOptions, places: readonly ManagedEndpoint[]): Container<N> {
		return this.#containers.create(options, places);
	}

	/** What is still taken away of containers that have stopped is gone now. */
	settle(): void {
		this.#departures.finish();
	}

	/** The machine loses power: nothing that waits is done any more. */
	crash(): void {
		this.#departures.forget();
		this.#containers.crash();
	}

	// ── the cluster ───────────────────────────────────────────────────────────────────────────────

	/** The cluster this node is in (`SetClusterProvider`). */
	get cluster(): ClusterProvider | undefined {
		return this.#store.cluster;
	}

	/** It is in this one now, or in none. */
	set cluster(provider: ClusterProvider | undefined) {
		this.#store.cluster = provider;
	}

	/** The gossip runs on this node (`agentSetup`): drivers hear of its addresses and keys, networks take part. */
	startAgent({ tables, keys = [], ...node }: AgentOptions): void {
		for (const driver of this.#drivers) driver.nodeJoined?.(node);
		this.setKeys(keys);
		for (const listener of this.listeners) listener.agentStarted?.(tables);
		this.#store.agent.start(tables);
	}

	/** Keys of the cluster, at first and after each rotation: those for encrypted networks reach their drivers. */
	setKeys(keys: readonly ClusterKey[]): void {
		const ipsec = keys
			.filter(({ subsystem }) => subsystem === IPSEC)
			.sort((a, b) => a.lamportTime - b.lamportTime);
		// The second oldest is the one to send with: all nodes have had it for a while (`getPrimaryKeyTag`).
		const [oldest, primary, ...rest] = ipsec;
		const ordered = primary === undefined || oldest === undefined ? ipsec : [primary, oldest, ...rest];
		const told = ordered.map((each): DriverKey => ({ value: octets(each.key), tag: each.lamportTime >>> 0 }));
		for (const driver of this.#drivers) driver.setKeys?.(told);
	}

	/** The gossip ends here. */
	stopAgent(): void {
		for (const listener of this.listeners) listener.agentStopping?.();
		this.#store.agent.stop();
	}

	/**
	 * The node leaves its cluster (`DaemonLeavesCluster`): containers leave the cluster's networks and run on, the networks
	 * go, the gossip ends.
	 */
	leaveCluster(): void {
		for (const listener of this.listeners) listener.agentStopping?.();
		for (const network of this.#store.all) {
			if (network.about.scope !== "swarm") continue;
			this.#containers.evict(network);
			this.#managed.forget(network.id);
			try {
				this.#store.release(network);
			} catch (error) {
				// A task's container is still on it: it goes when the task does.
				if (!(error instanceof DockerError)) throw error;
			}
		}
		this.stopAgent();
		this.cluster = undefined;
	}
}

/** Hexadecimal digits. Throws `NetError` EINVAL for what is none. */
function octets(text: string): Uint8Array {
	if (!/^([0-9a-f]{2})+$/i.test(text)) {
		throw new NetError("EINVAL", `invalid key: ${text}`, { remedy: "A key is 32 hexadecimal digits." });
	}
	return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
