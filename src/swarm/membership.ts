import type { Rng } from "../sim/index.ts";
import type { IpNamespace } from "../stack/index.ts";
import type { HostPort } from "./addresses.ts";
import type { RemoteManager } from "./agent/index.ts";
import type { Identity } from "./control/index.ts";
import type { Executor } from "./executor.ts";
import type { ClusterLogicFactory } from "./cluster-logic.ts";
import type { NodeAvailability } from "./objects.ts";
import type { ManagerDisk } from "./raft/index.ts";

/** What a node's membership needs of the outside. */
export interface SwarmNodeOptions {
	/** The machine's own namespace: its addresses are the node's. */
	readonly ns: IpNamespace;
	/** Chance of the daemon's own. */
	readonly rng: Rng;
	/** The engine that runs tasks. */
	readonly executor: Executor;
	/** What decides for the cluster while the node leads. */
	readonly logic: ClusterLogicFactory;
}

/** `docker swarm init`. */
export interface SwarmInitOptions {
	/** Address or interface, with a port if need be. */
	readonly advertiseAddr?: string;
	readonly listenAddr?: string;
	readonly dataPathAddr?: string;
	/** 1024 to 49151; 4789 unless said. */
	readonly dataPathPort?: number;
	readonly defaultAddrPool?: readonly string[];
	readonly defaultAddrPoolMaskLength?: number;
	readonly availability?: NodeAvailability;
}

/** `docker swarm join`. */
export interface SwarmJoinOptions {
	readonly token: string;
	/** A manager's address, port 2377 unless said. */
	readonly remoteAddrs: readonly string[];
	readonly advertiseAddr?: string;
	readonly listenAddr?: string;
	readonly dataPathAddr?: string;
	readonly availability?: NodeAvailability;
}

/** The part of `docker info` that is about the swarm. */
export interface SwarmInfo {
	readonly localNodeState: "inactive" | "pending" | "active" | "error";
	readonly nodeId: string;
	readonly nodeAddr: string;
	readonly controlAvailable: boolean;
	readonly error: string;
	readonly remoteManagers: readonly RemoteManager[];
}

/** A node's membership as it outlives a crash. */
export interface Membership {
	identity: Identity | undefined;
	readonly listen: HostPort;
	readonly advertise: HostPort;
	/** Its address as others see it: what it advertises, or else what it calls from. */
	readonly address: string;
	readonly dataPath: string | undefined;
	managers: readonly RemoteManager[];
	raft: { readonly raftId: number; readonly disk: ManagerDisk } | undefined;
}
