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
	joinHostPort,
	listenAddress,
	localAddress,
	remoteAddress,
} from "./addresses.ts";
import {
	Agent,
	type AgentConnection,
	Attacher,
	obtainCertificate,
	type RemoteManager,
	Remotes,
	requestCertificate,
} from "./agent/index.ts";
import { GrpcClient, type Identity, RpcError } from "./control/index.ts";
import type { ClusterChange, ControlDone, NodeChange } from "./dispatcher/index.ts";
import { digestIn } from "./identity.ts";
import type {
	Membership,
	SwarmInfo,
	SwarmInitOptions,
	SwarmJoinOptions,
	SwarmNodeOptions,
} from "./membership.ts";
import { Manager, type ManagerOptions, type NewCluster } from "./manager/index.ts";
import { newCluster } from "./new-cluster.ts";
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
/** A certificate that could not be had is asked for again after so long. */
const RENEW_AGAIN = seconds(2);

/**
 * A machine's membership in a swarm: in none, or with a part as worker, and one as manager while it has a manager's
 * certificate. Commands end by calling back, some virtual time later or at once.
 */
export class SwarmNode {
	readonly #options: SwarmNodeOptions;
	readonly #clock: MachineClock;
	readonly #attacher: Attacher;
	readonly #timeout = new Timer(() => {
		this.#settle(joinTimeout());
	});
	readonly #renewing = new Timer(() => {
		this.#renew();
	});
	#membership: Membership | undefined;
	#remotes: Remotes;
	#manager: Manager | undefined;
	#agent: Agent | undefined;
	#connection: GrpcClient | undefined;
	#giveUp: (() => void) | undefined;
	#waiting: ((error?: NetError) => void) | undefined;
	#wantedRole: NodeRole | undefined;
	#registered = false;
	#error = "";
	#forks = 0;
	/** The node joined, left, became a manager or is one no longer. */
	onChange: (() => void) | null = null;

	constructor(options: SwarmNodeOptions) {
		this.#options = options;
		this.#clock = new MachineClock(options.ns.kernel);
		this.#remotes = new Remotes(options.rng.fork("remotes"));
		this.#attacher = new Attacher(this.#clock, () => this.#agent?.channel);
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
			this.#becomeManager({ found });
		} catch (error) {
			this.#membership = undefined;
			throw error;
		}
		this.#waiting = (error) => {
			done(error ?? node.id);
		};
		this.#startAgent();
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
		membership.managers = [{ nodeId: "", addr: remote }];
		this.#remotes.replace(membership.managers);
		if (identity.role === "manager") this.#becomeManager({ joins: remote });
		this.#startAgent();
	}

	/** `docker swarm leave`. Throws `DockerError`. */
	leave({ force = false }: { readonly force?: boolean } = {}): void {
		if (this.#membership === undefined) throw notInSwarm();
		if (this.#manager !== undefined && !force) throw leaving(this.#managersSeen());
		this.#agent?.stop();
		this.#manager?.stop();
		this.#connection?.close();
		this.#giveUp?.();
		this.#reset();
		this.#membership = undefined;
		this.#remotes.replace([]);
		this.#settle(failed("context canceled"));
		this.onChange?.();
	}

	/** How many managers answer, as far as this one knows: it asks the leader only when that is itself. */
	#managersSeen(): { readonly reachable: number; readonly unreachable: number } | undefined {
		const manager = this.#manager;
		if (manager?.ready !== true) return undefined;
		const reachable = manager.members.filter(({ raftId }) => manager.isReachable(raftId)).length;
		return { reachable, unreachable: manager.members.length - reachable };
	}

	/** A call of the control API: the leader answers, wherever it is. Throws `DockerError` on a node that is no manager. */
	control(name: string, request: unknown, done: ControlDone): void {
		this.#managerHere().control(name, request, (result) => {
			done(result instanceof NetError ? refusalOf(result) : result);
		});
	}

	#managerHere(): Manager {
		if (this.#membership === undefined) throw noSwarm();
		if (this.#manager === undefined) throw notManager();
		return this.#manager;
	}

	/** `docker node ls`. Throws `DockerError` on a node that is no manager. */
	nodes(done: (result: readonly NodeObject[] | NetError) => void): void {
		this.control("ListNodes", undefined, (result) => {
			done(result instanceof NetError ? result : (result.body as readonly NodeObject[]));
		});
	}

	/** `docker node update`, `promote`, `demote`. Throws `DockerError` on a node that is no manager. */
	updateNode(id: string, change: NodeChange, done: (error?: NetError) => void): void {
		this.control("UpdateNode", { id, change }, (result) => {
			done(result instanceof NetError ? result : undefined);
		});
	}

	/** `docker node rm`. Throws `DockerError` on a node that is no manager. */
	removeNode(
		id: string,
		{ force = false }: { readonly force?: boolean },
		done: (error?: NetError) => void,
	): void {
		this.control("RemoveNode", { id, force }, (result) => {
			done(result instanceof NetError ? result : undefined);
		});
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
		this.#attacher.attach(network, containerId, addresses, done);
	}

	/** It is there no longer. */
	detachNetwork(network: string, containerId: string): void {
		this.#attacher.detach(network, containerId);
	}

	// ── what it is ────────────────────────────────────────────────────────────────────────────────

	/** The node is a manager, in the group, whether or not somebody leads it. */
	get isManager(): boolean {
		return this.#manager?.knowsCluster === true;
	}

	/** Somebody leads the managers, as far as this one knows. */
	get hasLeader(): boolean {
		return this.#manager?.leader !== undefined;
	}

	/** It decides for the cluster. */
	get isLeader(): boolean {
		return this.#manager?.leads === true;
	}

	/** What this manager knows of one in the group; undefined for a node that is none, or where this one is no manager. */
	managerStatus(nodeId: string): NodeObject["managerStatus"] {
		const manager = this.#manager;
		const member = manager?.members.find((each) => each.nodeId === nodeId);
		if (manager === undefined || member === undefined) return undefined;
		const { raftId, addr } = member;
		const reachability = manager.isReachable(raftId) ? "reachable" : "unreachable";
		return { raftId, addr, leader: manager.leader?.raftId === raftId, reachability };
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
		return this.#manager?.store;
	}

	/** The networks it knows of: a manager all of them, a worker those it was told of. */
	networks(): readonly ClusterNetwork[] {
		const all = this.#manager?.store.all("network") ?? this.#agent?.networks ?? [];
		return all.filter(({ predefined }) => !predefined).map(clusterNetwork);
	}

	/** `docker info`. */
	info(): SwarmInfo {
		const inside = this.#membership !== undefined;
		const state = this.#registered ? "active" : "pending";
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

	// ── its two parts ─────────────────────────────────────────────────────────────────────────────

	#fork(purpose: string): Rng {
		return this.#options.rng.fork(`${purpose}/${String(++this.#forks)}`);
	}

	#becomeManager(how: { readonly found?: NewCluster; readonly joins?: string }): void {
		const membership = this.#membership;
		const identity = membership?.identity;
		if (membership === undefined || identity === undefined || this.#manager !== undefined) return;
		const { ns, logic } = this.#options;
		const { listen, advertise, raft } = membership;
		const options: ManagerOptions = {
			ns,
			rng: this.#fork("manager"),
			identity: { ...identity, role: "manager" },
			listenAddress: listen.host === "0.0.0.0" ? undefined : listen.host,
			listenPort: listen.port,
			advertise: joinHostPort(advertise),
			logic,
			...(raft === undefined ? how : { restored: raft }),
			onChange: () => {
				this.#managersChanged();
			},
			onRemoved: () => {
				this.#clock.after(0, new Timer(() => void this.#managerEnds(manager)));
			},
		};
		const manager = new Manager(options);
		this.#manager = manager;
		manager.start();
	}

	#managersChanged(): void {
		const manager = this.#manager;
		if (manager?.ready !== true) return;
		const managers = manager.members.map(({ nodeId, addr }) => ({ nodeId, addr }));
		this.#managersAre(managers);
		if (this.#agent?.channel === undefined) this.#agent?.reconnect();
		this.#checkReady();
	}

	#managersAre(managers: readonly RemoteManager[]): void {
		if (this.#membership !== undefined) this.#membership.managers = managers;
		this.#remotes.replace(managers);
	}

	/** The group has it no longer. */
	#managerEnds(manager: Manager): void {
		if (this.#manager !== manager) return;
		manager.stop();
		this.#manager = undefined;
		if (this.#membership !== undefined) this.#membership.raft = undefined;
		this.#agent?.reconnect();
		this.onChange?.();
	}

	#startAgent(): void {
		const { ns, executor } = this.#options;
		this.#agent = new Agent({
			kernel: ns.kernel,
			rng: this.#fork("agent"),
			executor,
			cluster: () => this.#membership?.identity?.cluster ?? "",
			connect: () => this.#connect(),
			onManagers: (managers) => {
				this.#managersAre(managers);
			},
			onRole: (role) => {
				this.#roleWanted(role);
			},
			onAttachment: (task, network) => {
				this.#attacher.assigned(task, network);
			},
			onReady: () => {
				this.#registered = true;
				this.#error = "";
				this.#checkReady();
			},
			onError: (error) => {
				this.#error = error.message;
			},
		});
		this.#agent.start();
	}

	/** The way to a manager: the one on this node first (swarmkit connectionbroker). */
	#connect(): AgentConnection | undefined {
		const identity = this.#membership?.identity;
		if (this.#manager?.ready === true)
			return { channel: this.#manager.local, observe: () => undefined, release: () => undefined };
		const others = this.#manager === undefined || this.#membership?.raft === undefined;
		const remote = others ? this.#remotes.select() : undefined;
		if (remote === undefined || identity === undefined) return undefined;
		const client = this.#dial(remote.addr, "swarm-manager");
		this.#connection = client;
		return {
			channel: client,
			observe: (well) => {
				this.#remotes.observe(remote.addr, well);
			},
			release: () => {
				client.close();
			},
		};
	}

	#dial(addr: string, serverName: string): GrpcClient {
		const colon = addr.lastIndexOf(":");
		const identity = this.#membership?.identity;
		return new GrpcClient(this.#options.ns, {
			address: addr.slice(0, colon),
			port: Number(addr.slice(colon + 1)),
			serverName,
			identity,
			trusts: (peer) => peer?.role === "manager" && peer.cluster === identity?.cluster,
			rng: this.#fork("connection"),
		});
	}

	#checkReady(): void {
		const manager = this.#membership?.identity?.role === "manager";
		if (!this.#registered || (manager && this.#manager?.ready !== true)) return;
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

	// ── another role ──────────────────────────────────────────────────────────────────────────────

	#roleWanted(role: NodeRole): void {
		this.#wantedRole = role;
		if (role !== this.#membership?.identity?.role && !this.#renewing.pending)
			this.#clock.after(0, this.#renewing);
	}

	/** Asks for a certificate with the role that the managers want, and becomes what it says (swarmkit node.go, `superviseManager`). */
	#renew(): void {
		const membership = this.#membership;
		const identity = membership?.identity;
		const role = this.#wantedRole;
		const remote = this.#remotes.select();
		if (membership === undefined || identity === undefined || role === undefined || remote === undefined)
			return;
		if (role === identity.role) return;
		const local = this.#manager?.ready === true ? this.#manager.local : undefined;
		const client = local === undefined ? this.#dial(remote.addr, "swarm-ca") : undefined;
		const channel = local ?? client;
		if (channel === undefined) return;
		const request = { token: "", availability: "active", role } as const;
		requestCertificate(channel, this.#fork("renewal"), request, (result) => {
			client?.close();
			if (this.#membership !== membership) return;
			if (result instanceof RpcError || result.role === identity.role) {
				this.#clock.after(RENEW_AGAIN, this.#renewing);
				return;
			}
			membership.identity = { ...identity, role: result.role };
			if (result.role === "manager") this.#becomeManager({ joins: remote.addr });
			else if (this.#manager !== undefined) this.#managerEnds(this.#manager);
			this.#agent?.reconnect();
			this.onChange?.();
		});
	}

	// ── power ─────────────────────────────────────────────────────────────────────────────────────

	/** The machine's power goes: everything stops at once, nothing is sent, nobody is told. What is on its disk stays. */
	crash(): void {
		if (this.#membership !== undefined) this.#membership.raft = this.#manager?.disk ?? this.#membership.raft;
		this.#connection?.forget();
		this.#manager?.forget();
		this.#agent?.forget();
		this.#giveUp?.();
		this.#reset();
		if (this.#membership?.identity === undefined) this.#membership = undefined;
	}

	#reset(): void {
		this.#timeout.cancel();
		this.#renewing.cancel();
		this.#attacher.forget();
		this.#giveUp = undefined;
		this.#agent = undefined;
		this.#manager = undefined;
		this.#connection = undefined;
		this.#registered = false;
		this.#wantedRole = undefined;
		this.#error = "";
	}

	/** The machine is on again: the node goes on as what it was. */
	restart(): void {
		const membership = this.#membership;
		if (membership?.identity === undefined || this.#agent !== undefined) return;
		this.#remotes.replace(membership.managers);
		const [other] = membership.managers.filter(({ nodeId }) => nodeId !== membership.identity?.nodeId);
		if (membership.identity.role === "manager")
			this.#becomeManager(other === undefined ? {} : { joins: other.addr });
		this.#startAgent();
	}
}
