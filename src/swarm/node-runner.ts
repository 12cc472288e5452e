import type { Rng } from "../sim/index.ts";
import { Timer } from "../sim/index.ts";
import { joinHostPort } from "./addresses.ts";
import { Agent, Attacher, CertificateRenewer, ConnectionBroker, type RemoteManager } from "./agent/index.ts";
import type { Clock } from "./clock.ts";
import type { Channel, RpcError } from "./control/index.ts";
import { Manager, type ManagerOptions, type NewCluster } from "./manager/index.ts";
import type { Membership, SwarmNodeOptions } from "./membership.ts";
import type { NetworkObject } from "./objects.ts";

/** How a node's manager part comes into its group, unless it was in it before. */
export interface ManagerBeginning {
	/** The cluster it makes. */
	readonly found?: NewCluster;
	/** The manager whose cluster it joins. */
	readonly joins?: string;
}

/** What a runner needs of its node. */
export interface NodeRunnerOptions extends SwarmNodeOptions {
	readonly clock: Clock;
	/** A stream of its own for each purpose, and each time. */
	readonly fork: (purpose: string) => Rng;
	readonly membership: () => Membership | undefined;
	/** A manager took the node in. */
	readonly onRegistered: () => void;
	/** The agent's session ended, by nobody's wish. */
	readonly onError: (error: RpcError) => void;
	/** The node's manager part has a place in its group, or learned of another leader or group. */
	readonly onManagers: () => void;
	/** The node has another role. */
	readonly onRole: () => void;
}

/**
 * The two parts of a node that is in a swarm, as they run: an agent always, a manager while the node's certificate is one's
 * (daemon/cluster/noderunner.go; swarmkit node/node.go, `superviseManager`).
 */
export class NodeRunner {
	/** Places of standalone containers on the cluster's networks. */
	readonly attacher: Attacher;
	readonly #options: NodeRunnerOptions;
	readonly #broker: ConnectionBroker;
	readonly #renewer: CertificateRenewer;
	#manager: Manager | undefined;
	#agent: Agent | undefined;
	#registered = false;

	constructor(options: NodeRunnerOptions) {
		this.#options = options;
		const { ns, clock, rng, fork, membership } = options;
		const local = (): Channel | undefined =>
			this.#manager?.ready === true ? this.#manager.local : undefined;
		this.#broker = new ConnectionBroker({
			ns,
			rng: rng.fork("remotes"),
			fork,
			identity: () => membership()?.identity,
			local,
			waitsForLocal: () => this.#manager !== undefined && membership()?.raft !== undefined,
		});
		this.#renewer = new CertificateRenewer({
			clock,
			fork,
			broker: this.#broker,
			membership,
			local,
			onRenewed: (role, manager) => {
				if (role === "manager") this.becomeManager({ joins: manager });
				else if (this.#manager !== undefined) this.#managerEnds(this.#manager);
				this.#agent?.reconnect();
				this.#options.onRole();
			},
		});
		this.attacher = new Attacher(clock, () => this.#agent?.channel);
	}

	// ── what runs ─────────────────────────────────────────────────────────────────────────────────

	/** It has begun: there is an agent. */
	get runs(): boolean {
		return this.#agent !== undefined;
	}

	/** A manager took the node in. */
	get registered(): boolean {
		return this.#registered;
	}

	/** The manager part, in its group or not yet. */
	get manager(): Manager | undefined {
		return this.#manager;
	}

	/** The networks it knows of: a manager all of them, a worker those it was told of. */
	get networks(): readonly NetworkObject[] {
		return this.#manager?.store.all("network") ?? this.#agent?.networks ?? [];
	}

	/** These are the managers now. */
	managersAre(managers: readonly RemoteManager[]): void {
		const membership = this.#options.membership();
		if (membership !== undefined) membership.managers = managers;
		this.#broker.replace(managers);
	}

	// ── the manager part ──────────────────────────────────────────────────────────────────────────

	/** Begins the manager part, unless it runs. Throws `NetError` when its port is not to be had. */
	becomeManager(how: ManagerBeginning): void {
		const membership = this.#options.membership();
		const identity = membership?.identity;
		if (membership === undefined || identity === undefined || this.#manager !== undefined) return;
		const { ns, logic, fork, clock } = this.#options;
		const { listen, advertise, raft } = membership;
		const options: ManagerOptions = {
			ns,
			rng: fork("manager"),
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
				clock.after(0, new Timer(() => void this.#managerEnds(manager)));
			},
		};
		const manager = new Manager(options);
		this.#manager = manager;
		manager.start();
	}

	#managersChanged(): void {
		const manager = this.#manager;
		if (manager?.ready !== true) return;
		this.managersAre(manager.members.map(({ nodeId, addr }) => ({ nodeId, addr })));
		if (this.#agent?.channel === undefined) this.#agent?.reconnect();
		this.#options.onManagers();
	}

	/** The group has it no longer. */
	#managerEnds(manager: Manager): void {
		if (this.#manager !== manager) return;
		manager.stop();
		this.#manager = undefined;
		const membership = this.#options.membership();
		if (membership !== undefined) membership.raft = undefined;
		this.#agent?.reconnect();
		this.#options.onRole();
	}

	// ── the worker part ───────────────────────────────────────────────────────────────────────────

	/** Begins the worker part. */
	startAgent(): void {
		const { ns, executor, fork, membership, onError } = this.#options;
		this.#agent = new Agent({
			kernel: ns.kernel,
			rng: fork("agent"),
			executor,
			cluster: () => membership()?.identity?.cluster ?? "",
			connect: () => this.#broker.connect(),
			onManagers: (managers) => {
				this.managersAre(managers);
			},
			onRole: (role) => {
				this.#renewer.want(role);
			},
			onAttachment: (task, network) => {
				this.attacher.assigned(task, network);
			},
			onReady: () => {
				this.#registered = true;
				this.#options.onRegistered();
			},
			onError,
		});
		this.#agent.start();
	}

	// ── its end ───────────────────────────────────────────────────────────────────────────────────

	/** The node leaves. */
	stop(): void {
		this.#agent?.stop();
		this.#manager?.stop();
		this.#broker.close();
		this.#reset();
	}

	/** The machine's power goes: nothing is sent. What is on the manager's disk stays. */
	forget(): void {
		const membership = this.#options.membership();
		if (membership !== undefined) membership.raft = this.#manager?.disk ?? membership.raft;
		this.#broker.forget();
		this.#manager?.forget();
		this.#agent?.forget();
		this.#reset();
	}

	#reset(): void {
		this.#renewer.forget();
		this.attacher.forget();
		this.#agent = undefined;
		this.#manager = undefined;
		this.#registered = false;
	}
}
