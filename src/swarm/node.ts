import type { ClusterAttachment, ClusterNetwork } from "../cnm/index.ts";
import { NetError } from "../errors.ts";
import { type Rng, seconds, Timer } from "../sim/index.ts";
import { MachineClock } from "./clock.ts";
import { clusterNetwork } from "./cluster-network.ts";
import {
	addressPools,
	advertiseAddress,
	dataPathAddress,
	dataPathPort,
	listenAddress,
	localAddress,
	remoteAddress,
} from "./addresses.ts";
import { obtainCertificate } from "./agent/index.ts";
import type { Identity } from "./control/index.ts";
import type { ClusterChange, ControlDone } from "./dispatcher/index.ts";
import { digestIn } from "./identity.ts";
import type {
	Membership,
	SwarmInfo,
	SwarmInitOptions,
	SwarmJoinOptions,
	SwarmNodeOptions,
} from "./membership.ts";
import type { Manager } from "./manager/index.ts";
import { newCluster } from "./new-cluster.ts";
import { NodeRunner } from "./node-runner.ts";
import type { ClusterObject, NodeObject, NodeRole } from "./objects.ts";
import {
	alreadyInSwarm,
	failed,
	invalid,
	joinTimeout,
	leaving,
	noLeader,
	noSwarm,
	notInSwarm,
	notManager,
	refusalOf,
} from "./refusals.ts";
import type { Store } from "./store/store.ts";

/** How long `swarm join` waits (`swarmConnectTimeout`). */
const JOIN_TIMEOUT = seconds(20);

/**
 * A machine's membership in a swarm: in none, or in one, where `NodeRunner` has what runs of it (daemon/cluster). Commands
 * end by calling back, some virtual time later or at once.
 */
export class SwarmNode {
	readonly #options: SwarmNodeOptions;
	readonly #clock: MachineClock;
	readonly #runner: NodeRunner;
	readonly #timeout = new Timer(() => {
		this.#settle(joinTimeout());
	});
	#membership: Membership | undefined;
	#giveUp: (() => void) | undefined;
	#waiting: ((error?: NetError) => void) | undefined;
	#error = "";
	#forks = 0;
	/** The node joined, left, became a manager or is one no longer. */
	onChange: (() => void) | null = null;

	constructor(options: SwarmNodeOptions) {
		this.#options = options;
		this.#clock = new MachineClock(options.ns.kernel);
		this.#runner = new NodeRunner({
			...options,
			clock: this.#clock,
			fork: (purpose) => this.#fork(purpose),
			membership: () => this.#membership,
			onRegistered: () => {
				this.#error = "";
				this.#checkReady();
			},
			onError: ({ message }) => {
				this.#error = message;
			},
			onManagers: () => {
				this.#checkReady();
			},
			onRole: () => {
				this.onChange?.();
			},
		});
	}

	#fork(purpose: string): Rng {
		return this.#options.rng.fork(`${purpose}/${String(++this.#forks)}`);
	}

	// ── commands ──────────────────────────────────────────────────────────────────────────────────

	/** `docker swarm init`: the node's id, or why not. Throws `DockerError` for what is refused at once. */
	init(options: SwarmInitOptions, done: (result: string | NetError) => void): void {
		if (this.#membership !== undefined) throw alreadyInSwarm();
		const { ns } = this.#options;
		const listen = listenAddress(ns, options.listenAddr);
		const advertise = advertiseAddress(ns, options.advertiseAddr, listen.port);
		const dataPath = dataPathAddress(ns, options.dataPathAddr);
		const pools = addressPools(options.defaultAddrPool, options.defaultAddrPoolMaskLength);
		const found = newCluster(ns.kernel, this.#fork("cluster"), {
			...pools,
			dataPathPort: dataPathPort(options.dataPathPort),
			availability: options.availability ?? "active",
			address: advertise.host,
		});
		const { node, cluster } = found;
		const identity = { nodeId: node.id, role: "manager", cluster: cluster.id } as const;
		const address = advertise.host;
		this.#membership = { identity, listen, advertise, address, dataPath, managers: [], raft: undefined };
		try {
			this.#runner.becomeManager({ found });
		} catch (error) {
			this.#membership = undefined;
			throw error;
		}
		this.#waiting = (error) => {
			done(error ?? node.id);
		};
		this.#runner.startAgent();
	}

	/** `docker swarm join`. Throws `DockerError` for what is refused at once. */
	join(options: SwarmJoinOptions, done: (error?: NetError) => void): void {
		if (this.#membership !== undefined) throw alreadyInSwarm();
		const { ns } = this.#options;
		const { token, availability = "active" } = options;
		const remote = remoteAddress(options.remoteAddrs);
		const listen = listenAddress(ns, options.listenAddr);
		const advertise =
			options.advertiseAddr === undefined
				? { host: "0.0.0.0", port: listen.port }
				: advertiseAddress(ns, options.advertiseAddr, listen.port);
		const dataPath = dataPathAddress(ns, options.dataPathAddr);
		if (digestIn(token) === undefined) throw invalid("invalid join token");
		const address = advertise.host === "0.0.0.0" ? localAddress(ns, listen, remote) : advertise.host;
		const identity = undefined;
		this.#membership = { identity, listen, advertise, address, dataPath, managers: [], raft: undefined };
		this.#error = "";
		this.#waiting = done;
		this.#clock.after(JOIN_TIMEOUT, this.#timeout);
		this.#giveUp = obtainCertificate(
			{ ns, rng: this.#fork("join"), remote, token, availability },
			(result) => {
				this.#giveUp = undefined;
				if ("error" in result) {
					this.#membership = undefined;
					this.#error = result.error;
					this.#settle(failed(result.error));
				} else this.#admitted(result, remote);
			},
		);
	}

	#admitted(identity: Identity, remote: string): void {
		const membership = this.#membership;
		if (membership === undefined) return;
		membership.identity = identity;
		this.#runner.managersAre([{ nodeId: "", addr: remote }]);
		if (identity.role === "manager") this.#runner.becomeManager({ joins: remote });
		this.#runner.startAgent();
	}

	/** `docker swarm leave`. Throws `DockerError`. */
	leave({ force = false }: { readonly force?: boolean } = {}): void {
		if (this.#membership === undefined) throw notInSwarm();
		const { manager } = this.#runner;
		if (manager !== undefined && !force) throw leaving(manager.ready ? manager.reachability : undefined);
		this.#runner.stop();
		this.#giveUp?.();
		this.#reset();
		this.#membership = undefined;
		this.#runner.managersAre([]);
		this.#settle(failed("context canceled"));
		this.onChange?.();
	}

	/** A call of the control API: the leader answers, wherever it is. Throws `DockerError` on a node that is no manager. */
	control(name: string, request: unknown, done: ControlDone): void {
		this.#managerHere().control(name, request, (result) => {
			done(result instanceof NetError ? refusalOf(result) : result);
		});
	}

	#managerHere(): Manager {
		if (this.#membership === undefined) throw noSwarm();
		const { manager } = this.#runner;
		if (manager === undefined) throw notManager();
		return manager;
	}

	/** `docker swarm update`. Throws `DockerError` on a node that is no manager. */
	updateCluster(change: ClusterChange, done: (error?: NetError) => void): void {
		this.control("UpdateCluster", change, (result) => {
			done(result instanceof NetError ? result : undefined);
		});
	}

	/** `docker swarm join-token`, with `--rotate` a new one. Throws `DockerError` on a node that is no manager. */
	joinToken(
		role: NodeRole,
		{ rotate = false }: { readonly rotate?: boolean },
		done: (result: string | NetError) => void,
	): void {
		const read = (): void => {
			this.control("GetCluster", undefined, (result) => {
				done(result instanceof NetError ? result : (result.body as ClusterObject).tokens[role]);
			});
		};
		if (!rotate) read();
		else
			this.control("RotateToken", { role }, (result) => {
				if (result instanceof NetError) done(result);
				else read();
			});
	}

	/** A standalone container wants to be on a network of the cluster's, at addresses of its own choice if there are any. */
	attachNetwork(
		network: string,
		containerId: string,
		addresses: readonly string[],
		done: (result: ClusterAttachment | NetError) => void,
	): void {
		this.#runner.attacher.attach(network, containerId, addresses, done);
	}

	/** It is there no longer. */
	detachNetwork(network: string, containerId: string): void {
		this.#runner.attacher.detach(network, containerId);
	}

	// ── what it is ────────────────────────────────────────────────────────────────────────────────

	/** The node is a manager, in the group, whether or not somebody leads it. */
	get isManager(): boolean {
		return this.#runner.manager?.knowsCluster === true;
	}

	/** Somebody leads the managers, as far as this one knows. */
	get hasLeader(): boolean {
		return this.#runner.manager?.leader !== undefined;
	}

	/** It decides for the cluster. */
	get isLeader(): boolean {
		return this.#runner.manager?.leads === true;
	}

	/** What this manager knows of one in the group; undefined for a node that is none, or where this one is no manager. */
	managerStatus(nodeId: string): NodeObject["managerStatus"] {
		return this.#runner.manager?.statusOf(nodeId);
	}

	/** Its id in the cluster; "" while it has none. */
	get nodeId(): string {
		return this.#membership?.identity?.nodeId ?? "";
	}

	/** Where its containers' packets go out to other nodes, and come in: `--data-path-addr`, or as it is advertised. */
	get dataPathAddress(): string {
		return this.#membership?.dataPath ?? this.nodeAddress;
	}

	/** The address it is known by; "" outside of a cluster. */
	get nodeAddress(): string {
		return this.#membership?.address ?? "";
	}

	/** A manager's copy of the cluster's state. */
	get store(): Store | undefined {
		return this.#runner.manager?.store;
	}

	/** The networks it knows of: a manager all of them, a worker those it was told of. */
	networks(): readonly ClusterNetwork[] {
		return this.#runner.networks.filter(({ predefined }) => !predefined).map(clusterNetwork);
	}

	/** `docker info`. */
	info(): SwarmInfo {
		const inside = this.#membership !== undefined;
		const state = this.#runner.registered ? "active" : "pending";
		return {
			localNodeState: inside ? state : this.#error === "" ? "inactive" : "error",
			nodeId: this.nodeId,
			nodeAddr: this.nodeAddress,
			controlAvailable: this.isManager,
			// A manager asks the leader about the rest.
			error: this.isManager && !this.hasLeader ? noLeader().daemonMessage : this.#error,
			remoteManagers: this.#membership?.managers.filter(({ nodeId }) => nodeId !== "") ?? [],
		};
	}

	// ── how it becomes what it is to be ───────────────────────────────────────────────────────────

	#checkReady(): void {
		const manager = this.#membership?.identity?.role === "manager";
		if (!this.#runner.registered || (manager && this.#runner.manager?.ready !== true)) return;
		this.#settle();
	}

	#settle(error?: NetError): void {
		this.#timeout.cancel();
		const done = this.#waiting;
		this.#waiting = undefined;
		if (done === undefined) return;
		done(error);
		this.onChange?.();
	}

	// ── power ─────────────────────────────────────────────────────────────────────────────────────

	/** The machine's power goes: everything stops at once, nothing is sent, nobody is told. What is on its disk stays. */
	crash(): void {
		this.#runner.forget();
		this.#giveUp?.();
		this.#reset();
		if (this.#membership?.identity === undefined) this.#membership = undefined;
	}

	#reset(): void {
		this.#timeout.cancel();
		this.#giveUp = undefined;
		this.#error = "";
	}

	/** The machine is on again: the node goes on as what it was. */
	restart(): void {
		const membership = this.#membership;
		if (membership?.identity === undefined || this.#runner.runs) return;
		this.#runner.managersAre(membership.managers);
		const [other] = membership.managers.filter(({ nodeId }) => nodeId !== membership.identity?.nodeId);
		if (membership.identity.role === "manager")
			this.#runner.becomeManager(other === undefined ? {} : { joins: other.addr });
		this.#runner.startAgent();
	}
}
