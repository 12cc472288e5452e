import type { Duration } from "../../sim/index.ts";
import type { RestartPolicy, UpdateConfig } from "../objects.ts";
import type { PublishOptions } from "./publish.ts";

/** A network of a service's tasks. */
export interface ServiceNetworkOptions {
	/** Name or id. */
	readonly name: string;
	readonly aliases?: readonly string[];
	/** `driver-opt`. */
	readonly driverOptions?: Readonly<Record<string, string>>;
}

/** `HEALTHCHECK`. Zero is the engine's default. */
export interface HealthcheckOptions {
	readonly interval?: Duration;
	readonly timeout?: Duration;
	readonly retries?: number;
	readonly startPeriod?: Duration;
}

/** What both `docker service create` and `update` take. */
export interface ServiceOptions {
	/** `box:latest`; `:latest` is put behind a name without a tag. */
	readonly image?: string;
	/** The command's arguments. */
	readonly args?: readonly string[];
	readonly replicas?: number;
	readonly endpointMode?: "vip" | "dnsrr";
	/** `node.role==manager`, `node.hostname!=node3`, `node.labels.zone==a`. */
	readonly constraints?: readonly string[];
	/** `spread=node.labels.zone`. */
	readonly placementPref?: readonly string[];
	/** Tasks on one node at most; 0 for no limit. */
	readonly replicasMaxPerNode?: number;
	/** Tasks replaced at once; 0 for all. 1 unless said. */
	readonly updateParallelism?: number;
	readonly updateDelay?: Duration;
	readonly updateOrder?: UpdateConfig["order"];
	/** `pause` unless said. */
	readonly updateFailureAction?: UpdateConfig["failureAction"];
	/** 5 s unless said. */
	readonly updateMonitor?: Duration;
	readonly updateMaxFailureRatio?: number;
	readonly rollbackParallelism?: number;
	readonly rollbackDelay?: Duration;
	readonly rollbackOrder?: UpdateConfig["order"];
	readonly rollbackFailureAction?: "pause" | "continue";
	readonly rollbackMonitor?: Duration;
	readonly rollbackMaxFailureRatio?: number;
	/** `any` unless said. */
	readonly restartCondition?: RestartPolicy["condition"];
	/** 5 s unless said. */
	readonly restartDelay?: Duration;
	/** 0 for no limit. */
	readonly restartMaxAttempts?: number;
	readonly restartWindow?: Duration;
	readonly hostname?: string;
	readonly labels?: Readonly<Record<string, string>>;
	readonly containerLabels?: Readonly<Record<string, string>>;
	readonly dns?: readonly string[];
	readonly dnsSearch?: readonly string[];
	readonly dnsOptions?: readonly string[];
	/** `--host`: "name:address". */
	readonly host?: readonly string[];
	readonly healthcheck?: HealthcheckOptions;
	/** 10 s unless said. */
	readonly stopGracePeriod?: Duration;
	readonly sysctls?: Readonly<Record<string, number>>;
}

/** What `docker service create` takes. */
export interface ServiceCreateOptions extends ServiceOptions {
	/** Drawn unless said. */
	readonly name?: string;
	readonly image: string;
	/** `replicated` unless said. */
	readonly mode?: "replicated" | "global";
	/** One or several networks of the cluster's. */
	readonly network?: string | ServiceNetworkOptions | readonly (string | ServiceNetworkOptions)[];
	readonly publish?: readonly (string | PublishOptions)[];
}

/** What `docker service update` takes: what is not said stays. Lists are replaced by those given. */
export interface ServiceUpdateOptions extends ServiceOptions {
	readonly networkAdd?: readonly (string | ServiceNetworkOptions)[];
	readonly networkRm?: readonly string[];
	readonly publishAdd?: readonly (string | PublishOptions)[];
	/** By the port in the container, the protocol and the mode: `80`, `53/udp`, `target=80,mode=host`. */
	readonly publishRm?: readonly (string | PublishOptions)[];
	/** Tasks are replaced although nothing changed. */
	readonly force?: boolean;
	/** `docker service update --rollback`. */
	readonly rollback?: boolean;
}
