import { type Rng, seconds, Timer } from "../../sim/index.ts";
import { MachineClock } from "../clock.ts";
import type { IpNamespace } from "../../stack/index.ts";
import {
	type Caller,
	type Exchange,
	GrpcServer,
	type Identity,
	LocalChannel,
	rawMethod,
	RpcError,
	RpcServer,
	unary,
} from "../control/index.ts";
import { type ControlDone, Leadership } from "../dispatcher/index.ts";
import type { ClusterLogicFactory } from "../cluster-logic.ts";
import { checkHealth, control, joinRaft, processRaftMessage } from "../methods.ts";
import type { ClusterObject, NodeObject } from "../objects.ts";
import { type ManagerDisk, type Member, RaftNode } from "../raft/index.ts";
import { NO_LEADER } from "../refusals.ts";
import { Store } from "../store/store.ts";
import { Peers } from "./peers.ts";
import { Reign } from "./reign.ts";

/** How long a call of the control API may take (`swarmRequestTimeout`). */
const REQUEST_TIMEOUT = seconds(20);
/** A new manager that could not join the group tries again after so long. */
const JOIN_AGAIN = seconds(1);

/** What a manager that makes a cluster begins with. */
export interface NewCluster {
	readonly cluster: ClusterObject;
	readonly node: NodeObject;
}

/** What a node's manager part is made of. */
export interface ManagerOptions {
	readonly ns: IpNamespace;
	readonly rng: Rng;
	readonly identity: Identity;
	/** Where it listens: an address of the machine's, or undefined for all of them. */
	readonly listenAddress: string | undefined;
	readonly listenPort: number;
	/** Where others find it: `172.31.1.5:2377`. */
	readonly advertise: string;
	readonly logic: ClusterLogicFactory;
	/** What is left of a former life. */
	readonly restored?: { readonly raftId: number; readonly disk: ManagerDisk };
	/** The cluster it makes. */
	readonly found?: NewCluster;
	/** The manager whose cluster it joins. */
	readonly joins?: string;
	/** It joined, or leads, or another one leads, or the group is another one. */
	readonly onChange: () => void;
	/** It is no member of the group any more. */
	readonly onRemoved: () => void;
}

/**
 * A node's part as manager: its copy of the cluster's state, its place in the raft group, the port where nodes and managers
 * call, and, while it leads, everything that decides. What is not its own to answer it hands on to the leader.
 */
export class Manager {
	readonly store: Store = new Store();
	/** What is answered here, whoever leads. */
	readonly rpc: RpcServer = new RpcServer();
	readonly #options: ManagerOptions;
	readonly #clock: MachineClock;
	readonly #peers: Peers;
	readonly #server: GrpcServer;
	readonly #local: LocalChannel;
	#raft: RaftNode | undefined;
	/** A reign that waits for its cluster to be made. */
	#pending: Leadership | undefined;
	#reign: Reign | undefined;
	readonly #joining = new Timer(() => {
		if (this.#options.joins !== undefined) this.#join(this.#options.joins);
	});
	#over = false;

	/** Listens at once. Throws `NetError` EADDRINUSE, EADDRNOTAVAIL. */
	constructor(options: ManagerOptions) {
		this.#options = options;
		this.#clock = new MachineClock(options.ns.kernel);
		const { ns, rng, identity, listenAddress, listenPort } = options;
		const trusts = (peer: Identity | undefined): boolean => this.#trusts(peer);
		this.#peers = new Peers({ ns, rng: rng.fork("peers"), identity: () => identity, trusts });
		this.#serve();
		this.#server = new GrpcServer(ns, this.rpc, {
			...(listenAddress === undefined ? {} : { address: listenAddress }),
			port: listenPort,
			identity,
			trusts,
			rng: rng.fork("server"),
		});
		this.#local = new LocalChannel(this.#clock, this.rpc, () => this.#self);
	}

	/** Takes its place in the group. */
	start(): void {
		const { restored, found, joins, identity, advertise, rng } = this.#options;
		if (restored !== undefined) this.#begin(restored.raftId, restored.disk, undefined);
		else if (found !== undefined) {
			const raftId = 1 + rng.fork("raft id").below(2 ** 48);
			this.#begin(raftId, undefined, { raftId, nodeId: identity.nodeId, addr: advertise });
		} else if (joins !== undefined) this.#join(joins);
	}

	get #self(): Caller {
		const { advertise, identity } = this.#options;
		return { identity, address: advertise.slice(0, advertise.lastIndexOf(":")) };
	}

	/** Who is no longer in the cluster, or was never, is not listened to. */
	#trusts(peer: Identity | undefined): boolean {
		if (peer === undefined) return true;
		const removed = this.store.all("cluster")[0]?.removedNodes ?? [];
		return peer.cluster === this.#options.identity.cluster && !removed.includes(peer.nodeId);
	}

	/** The way to this manager from its own node. */
	get local(): LocalChannel {
		return this.#local;
	}

	/** This node leads. */
	get leads(): boolean {
		return this.#reign !== undefined;
	}

	/** It knows the cluster: commands are its own, though nobody may lead. */
	get knowsCluster(): boolean {
		return this.store.all("cluster").length > 0;
	}

	/** It is in the group, and has been told who leads. */
	get ready(): boolean {
		return this.leader !== undefined && this.knowsCluster;
	}

	/** Who leads, if somebody is known to. */
	get leader(): Member | undefined {
		return this.#raft?.leader;
	}

	/** The managers. */
	get members(): readonly Member[] {
		return this.#raft?.members ?? [];
	}

	/** What it knows of a node as manager; undefined for one that is none. */
	statusOf(nodeId: string): NodeObject["managerStatus"] {
		return this.#raft?.statusOf(nodeId);
	}

	/** How many managers answer, as far as this one knows; undefined before it is in the group. */
	get reachability(): RaftNode["reachability"] | undefined {
		return this.#raft?.reachability;
	}

	/** What outlives a crash; undefined before it is in the group. */
	get disk(): { readonly raftId: number; readonly disk: ManagerDisk } | undefined {
		const disk = this.#raft?.disk;
		return this.#raft === undefined || disk === undefined ? undefined : { raftId: this.#raft.id, disk };
	}

	// ── calls ─────────────────────────────────────────────────────────────────────────────────────

	/** A call of the control API by a program on this node: answered by the leader, wherever it is. */
	control(name: string, request: unknown, done: ControlDone): void {
		const method = control(name);
		if (method === undefined) throw new RpcError("Unimplemented", `unknown method ${name}`);
		unary(
			this.#local,
			method,
			{ body: request },
			(reply) => {
				done(reply);
			},
			{ timeout: REQUEST_TIMEOUT },
		);
	}

	#serve(): void {
		this.rpc.handle(processRaftMessage(this.store), ({ message }, exchange) => {
			if (exchange.caller.identity?.role !== "manager")
				throw new RpcError("PermissionDenied", "Permission denied: not a manager");
			if (this.#raft === undefined)
				throw new RpcError("Unavailable", "raft: node is not part of a cluster yet");
			if (message !== undefined) this.#raft.receive(message);
			exchange.answer({});
		});
		this.rpc.handle(checkHealth, (_, exchange) => {
			exchange.answer({ serving: true });
		});
		this.rpc.fallback = (path, request, exchange) => {
			if (this.#reign === undefined) this.#forward(path, request, exchange);
			else this.#reign.answer(path, request, exchange);
		};
	}

	/** To the leader, in the name of who called. */
	#forward(path: string, request: Uint8Array, exchange: Exchange<Uint8Array>): void {
		const leader = this.#raft?.leader;
		if (leader === undefined || leader.raftId === this.#raft?.id) throw noLeader();
		exchange.onCancel = this.#peers.channel(leader.addr).call(
			rawMethod(path),
			request,
			{
				reply: (message) => {
					exchange.reply(message);
				},
				end: (error) => {
					exchange.end(error);
				},
			},
			{ forwardedFor: exchange.caller },
		);
	}

	// ── the group ─────────────────────────────────────────────────────────────────────────────────

	#join(addr: string): void {
		unary(
			this.#peers.channel(addr),
			joinRaft,
			{ addr: this.#options.advertise },
			(reply) => {
				if (this.#over) return;
				if (reply instanceof RpcError) this.#clock.after(JOIN_AGAIN, this.#joining);
				else {
					this.#begin(reply.raftId, undefined, undefined);
					this.#raft?.tell(reply.members);
				}
			},
			{ timeout: REQUEST_TIMEOUT },
		);
	}

	#begin(id: number, disk: ManagerDisk | undefined, bootstrap: Member | undefined): void {
		const { rng, onRemoved } = this.#options;
		this.#raft = new RaftNode({
			clock: this.#clock,
			rng: rng.fork("raft"),
			store: this.store,
			id,
			...(disk === undefined ? {} : { disk }),
			...(bootstrap === undefined ? {} : { bootstrap }),
			channel: ({ addr }) => this.#peers.channel(addr),
			onLeadership: (leads) => {
				if (leads) this.#lead();
				else this.#abdicate();
			},
			onChange: () => {
				this.#reign?.membersChanged();
				this.#options.onChange();
			},
			onRemoved,
		});
		this.#raft.start();
	}

	#lead(): void {
		const { ns, rng, found } = this.#options;
		const raft = this.#raft;
		if (raft === undefined) return;
		const leadership = new Leadership({
			kernel: ns.kernel,
			rng: rng.fork(`reign/${String(this.store.version)}`),
			store: this.store,
			raft,
			server: () => this.#server,
		});
		if (this.store.all("cluster").length === 0 && found !== undefined) {
			this.store.update(
				(tx) => {
					tx.create(found.cluster);
					tx.create(found.node);
				},
				(error) => {
					if (error === undefined && !leadership.over) this.#reignBegins(leadership);
				},
			);
			this.#pending = leadership;
		} else this.#reignBegins(leadership);
	}

	#reignBegins(leadership: Leadership): void {
		this.#pending = undefined;
		const logic = this.#options.logic(this.store);
		const reign = new Reign(leadership, logic, (addr) => this.#peers.channel(addr));
		this.#reign = reign;
		reign.begin();
		this.#options.onChange();
	}

	#abdicate(): void {
		this.#pending?.end();
		this.#pending = undefined;
		const reign = this.#reign;
		this.#reign = undefined;
		reign?.end();
	}

	/** Lets another one lead, closes its port and its connections: what it knows stays on its disk. */
	stop(): void {
		if (this.#over) return;
		this.#over = true;
		this.#joining.cancel();
		this.#abdicate();
		this.#raft?.stop();
		this.#local.close();
		this.#server.close();
		this.#peers.close();
	}

	/** Lets another manager lead, as long as there is one (swarmkit does so before it stops). */
	handOver(): void {
		if (this.leads) this.#raft?.handOver();
	}

	/** The machine stopped: nothing is sent. */
	forget(): void {
		this.#over = true;
		this.#joining.cancel();
		this.#abdicate();
		this.#raft?.forget();
		this.#server.forget();
		this.#peers.forget();
	}
}

const noLeader = (): RpcError => new RpcError("Unknown", NO_LEADER);
