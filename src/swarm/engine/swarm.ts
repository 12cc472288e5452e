import type { Docker, DockerError } from "../../cnm/index.ts";
import { NetError } from "../../errors.ts";
import type { Operation, Rng, Settle } from "../../sim/index.ts";
import type { IpNamespace } from "../../stack/index.ts";
import { ManagerApi, type Nodes, type Services } from "../api/index.ts";
import type { Executor } from "../executor.ts";
import type { SwarmInfo, SwarmInitOptions, SwarmJoinOptions } from "../membership.ts";
import { SwarmNode } from "../node.ts";
import type { EncryptionKey, NodeRole } from "../objects.ts";
import { checkAvailability, noLeader, noSwarm, notManager } from "../refusals.ts";
import type { Store } from "../store/store.ts";
import { NodeControlApi } from "./control.ts";
import { EngineExecutor } from "./executor.ts";
import { Gossip } from "../gossip/index.ts";
import { GossipAgent } from "./gossip-agent.ts";
import { SwarmProvider } from "./provider.ts";
import { clusterChange, type SwarmUpdateOptions } from "./update-options.ts";

/** What `docker swarm join` takes. */
export interface JoinOptions extends Omit<SwarmJoinOptions, "remoteAddrs"> {
	/** A manager's address, port 2377 unless said. */
	readonly address: string;
	/**
	 * `waits`: the node's gossip joins nobody's until `lab.settle` makes it one of the cluster at once, for labs of
	 * hundreds of nodes. `joins` unless said, as ever outside of labs.
	 */
	readonly gossip?: "joins" | "waits";
}

/** The machine that is to be a node. */
export interface SwarmMachine<N extends IpNamespace> {
	readonly name: string;
	readonly netns: N;
	readonly rng: Rng;
}

/** What is there while the daemon runs. */
interface Running<N extends IpNamespace> {
	readonly docker: Docker<N>;
	readonly executor: EngineExecutor<N>;
	readonly gossip: GossipAgent<N>;
}

/** How nodes go on that were made to know of each other. */
export interface SettleOptions {
	/**
	 * `joins`, unless said: they probe each other and tell each other what happens later, as nodes do. `waits`: they stay
	 * silent, until they are settled again, for labs in which gossip among thousands would take longer than all else.
	 */
	readonly gossip?: "joins" | "waits";
}

/**
 * `docker swarm …` of one machine, and on managers `docker service` and `docker node`. The membership is the machine's: it
 * outlives its daemon, which takes it up again when it starts anew.
 */
export class Swarm<N extends IpNamespace = IpNamespace> {
	readonly #machine: SwarmMachine<N>;
	readonly #rng: Rng;
	readonly #control: NodeControlApi;
	readonly #node: SwarmNode;
	#running: Running<N> | undefined;
	#starts = 0;
	#api: { readonly store: Store; readonly api: ManagerApi } | undefined;
	#waiting: Settle<this>[] = [];
	#failure: NetError | undefined;
	#pending = false;

	constructor(machine: SwarmMachine<N>) {
		this.#machine = machine;
		this.#rng = machine.rng.fork("swarm");
		this.#control = new NodeControlApi(machine.netns.kernel, this.#rng.fork("control"));
		this.#node = new SwarmNode({
			ns: machine.netns,
			rng: this.#rng.fork("node"),
			executor: this.#executor(),
			logic: (store) => this.#control.logic(store),
		});
		this.#control.node = this.#node;
		this.#node.onChange = () => {
			this.#changed();
		};
	}

	/** Whoever's daemon runs now. */
	#executor(): Executor {
		const now = (): EngineExecutor<N> => {
			if (this.#running !== undefined) return this.#running.executor;
			throw new NetError("ESRCH", "Cannot connect to the Docker daemon. Is the docker daemon running?");
		};
		return {
			describe: () => now().describe(),
			configure: (node, networks) => {
				now().configure(node, networks);
			},
			setNetworkKeys: (keys, node) => {
				now().setNetworkKeys(keys, node);
			},
			controller: (task, networks) => now().controller(task, networks),
		};
	}

	// ── the daemon ────────────────────────────────────────────────────────────────────────────────

	/** The machine's daemon starts: a member of a cluster takes its place in it again. */
	start(docker: Docker<N>, engineLabels: Readonly<Record<string, string>>): void {
		const { netns, name } = this.#machine;
		const rng = this.#rng.fork(`gossip/${String(++this.#starts)}`);
		const gossip = new GossipAgent(docker, netns, name, rng);
		const onKeys = (keys: readonly EncryptionKey[], dataPathPort: number): void => {
			const { nodeAddress: address, dataPathAddress } = this.#node;
			gossip.setKeys(keys, { address, dataPathAddress, dataPathPort, managers: this.#managers() });
		};
		const { kernel } = netns;
		const whenJoined = (action: () => void): void => {
			gossip.whenJoined(action);
		};
		const executor = new EngineExecutor({
			docker,
			kernel,
			hostname: name,
			engineLabels,
			onKeys,
			whenJoined,
		});
		this.#running = { docker, executor, gossip };
		if (this.#node.nodeId === "") return;
		this.#provide();
		this.#node.restart();
	}

	#managers(): string[] {
		return this.#node.info().remoteManagers.map(({ addr }) => addr.slice(0, addr.lastIndexOf(":")));
	}

	#provide(): void {
		if (this.#running === undefined) return;
		this.#running.docker.controller.cluster = new SwarmProvider(this.#node, () => this.#manager());
	}

	/** The machine loses power: nothing is said to anybody. */
	crash(): void {
		this.#node.crash();
		this.#running?.gossip.crash();
		this.#running = undefined;
		this.#api = undefined;
	}

	// ── docker swarm ──────────────────────────────────────────────────────────────────────────────

	/**
	 * `docker swarm init`: a cluster with this node as its manager. It is there at once, and takes commands when `ready`
	 * settles. Throws `DockerError`, nothing changed.
	 */
	init(options: SwarmInitOptions = {}): this {
		checkAvailability(options.availability);
		this.#begin(() => {
			this.#node.init(options, (result) => {
				this.#ended(result instanceof NetError ? result : undefined);
			});
		});
		return this;
	}

	/** `docker swarm join`. Throws `DockerError` for what is refused at once; the operation rejects with what a manager refuses. */
	join({ address, gossip = "joins", ...options }: JoinOptions): Operation<this> {
		checkAvailability(options.availability);
		this.#begin(() => {
			if (this.#running !== undefined) this.#running.gossip.waits = gossip === "waits";
			this.#node.join({ ...options, remoteAddrs: [address] }, (error) => {
				this.#ended(error);
			});
		});
		return this.ready;
	}

	/**
	 * A command of those that the daemon does one after the other: it waits until all is said of the membership before. Throws
	 * what `command` throws when it need not wait; it fails later with it otherwise.
	 */
	#begin(command: () => void): void {
		this.#pending = true;
		this.#failure = undefined;
		const begin = (): void => {
			command();
			this.#provide();
		};
		const waits = this.#running?.gossip.afterGoodbye(() => {
			try {
				begin();
			} catch (error) {
				if (!(error instanceof NetError)) throw error;
				this.#ended(error);
			}
		});
		if (waits === true) return;
		try {
			begin();
		} catch (error) {
			this.#pending = false;
			throw error;
		}
	}

	#ended(error: NetError | undefined): void {
		this.#pending = false;
		this.#failure = error;
		if (error !== undefined && this.#node.nodeId === "" && this.#running !== undefined)
			this.#running.docker.controller.cluster = undefined;
		for (const settle of this.#waiting.splice(0)) this.#settle(settle);
	}

	#settle(settle: Settle<this>): void {
		if (this.#failure === undefined) settle.resolve(this);
		else settle.reject(this.#failure);
	}

	/** The node is in its cluster; rejects with `DockerError` when joining failed. */
	get ready(): Operation<this> {
		return this.#machine.netns.kernel.driver.operation<this>(
			(settle) => {
				if (this.#pending) this.#waiting.push(settle);
				else this.#settle(settle);
			},
			{ what: `docker swarm on ${this.#machine.name}` },
		);
	}

	/**
	 * Makes nodes of one cluster that all have been it for long: what each should have heard of the others by gossip it
	 * knows, nodes, networks and entries, and nothing is sent. Nodes whose gossip does not run are passed over.
	 */
	static settle<N extends IpNamespace>(nodes: readonly Swarm<N>[], { gossip }: SettleOptions): void {
		const running = nodes.flatMap((each) => each.#running?.gossip.gossip ?? []);
		Gossip.settle(running, { silent: gossip === "waits" });
	}

	/** `docker swarm leave [--force]`. Throws `DockerError`. */
	leave(options: { readonly force?: boolean } = {}): void {
		this.#node.leave(options);
		const running = this.#running;
		if (running === undefined) return;
		running.executor.end();
		running.docker.controller.leaveCluster();
		running.gossip.leave();
	}

	/** `docker swarm update`. Throws `DockerError` on a node that is no manager, `NetError` where the CLI refuses. */
	update(options: SwarmUpdateOptions): Operation<undefined> {
		this.#store();
		const change = clusterChange(options);
		return this.#machine.netns.kernel.driver.operation<undefined>(
			(settle) => {
				this.#node.updateCluster(change, (error) => {
					if (error === undefined) settle.resolve(undefined);
					else settle.reject(error);
				});
			},
			{ what: "docker swarm update" },
		);
	}

	/** `docker swarm join-token -q`. Throws `DockerError` on a node that is no manager, and while nobody leads. */
	joinToken(role: NodeRole): string {
		const [cluster] = this.#store().all("cluster");
		if (cluster === undefined) throw this.#notManager();
		if (!this.#node.hasLeader) throw noLeader();
		return cluster.tokens[role];
	}

	/** `docker swarm join-token --rotate -q`: the old one is good no longer. Throws `DockerError` on a node that is no manager. */
	rotateJoinToken(role: NodeRole): Operation<string> {
		this.#store();
		return this.#machine.netns.kernel.driver.operation<string>(
			(settle) => {
				this.#node.joinToken(role, { rotate: true }, (result) => {
					if (result instanceof NetError) settle.reject(result);
					else settle.resolve(result);
				});
			},
			{ what: `docker swarm join-token --rotate ${role}` },
		);
	}

	/**
	 * The keys that managers made and told: of the gossip, by which captures of port 7946 are read (`gossipSights`), and of
	 * encrypted networks. Throws `DockerError` on a node that is no manager.
	 */
	get keys(): readonly EncryptionKey[] {
		return this.#store()
			.all("cluster")
			.flatMap(({ keys }) => keys);
	}

	/** The part of `docker info` that is about the swarm. */
	info(): SwarmInfo {
		return this.#node.info();
	}

	// ── managers ──────────────────────────────────────────────────────────────────────────────────

	/** `docker service …`. Throws `DockerError` on a node that is no manager, and while nobody leads the managers. */
	get services(): Services {
		return this.#led().services;
	}

	/** `docker node …`. Throws `DockerError` on a node that is no manager, and while nobody leads the managers. */
	get nodes(): Nodes {
		return this.#led().nodes;
	}

	/** Commands that only read ask the leader too. */
	#led(): ManagerApi {
		const api = this.#manager();
		if (!this.#node.hasLeader) throw noLeader();
		return api;
	}

	#store(): Store {
		const { store } = this.#node;
		if (store === undefined || !this.#node.isManager) throw this.#notManager();
		return store;
	}

	#notManager(): DockerError {
		return this.#node.nodeId === "" ? noSwarm() : notManager();
	}

	#manager(): ManagerApi {
		const store = this.#store();
		if (this.#api?.store === store) return this.#api.api;
		const api = new ManagerApi({
			store,
			client: this.#control,
			kernel: this.#machine.netns.kernel,
			rng: this.#rng.fork("names"),
			nodeId: this.#node.nodeId,
			managerStatus: (id) => this.#node.managerStatus(id),
			localNetwork: (term) =>
				this.#running?.docker.controller.networks.find(
					({ id, name, about }) => about.scope === "local" && (id === term || name === term),
				)?.name,
		});
		this.#api = { store, api };
		return api;
	}

	/** It joined, left, became a manager or is one no longer. */
	#changed(): void {
		if (this.#node.nodeId === "") return;
		this.#provide();
	}
}
