import type { Ip4 } from "../addr/index.ts";
import {
	ping,
	type PingOptions,
	type PingResult,
	type RecordType,
	type Resolution,
	resolve,
} from "../apps/index.ts";
import type { Driver, Operation } from "../sim/index.ts";
import type { NetError } from "../errors.ts";
import type { IpNamespace } from "../stack/index.ts";
import { conflict } from "./docker-error.ts";
import type { EmbeddedDns } from "./dns/embedded-dns.ts";
import type { DriverOptions } from "./driver.ts";
import type { Endpoint } from "./endpoint.ts";
import type { HealthMonitor, HealthStatus } from "./health.ts";
import { shortId } from "./ids.ts";
import type { Network } from "./network.ts";
import { Progress } from "./progress.ts";
import type { PortSpec } from "./publish.ts";
import { readRestart, type ContainerRestartPolicy } from "./restarts.ts";
import type { RunOptions } from "./run-options.ts";
import type { Sandbox } from "./sandbox.ts";
import type { ServiceOfTask } from "./service/index.ts";

/** What a container asks of a network. */
export interface AttachmentRequest {
	readonly ip: Ip4 | undefined;
	readonly macAddress: string | undefined;
	readonly aliases: readonly string[];
	readonly links: readonly string[];
	readonly driverOptions: DriverOptions | null;
	/** `docker network connect` made it: inspect shows empty objects where `run` leaves null. */
	readonly connected: boolean;
	/** What the container is there, as a service's task. */
	readonly service?: ServiceOfTask;
}

/** A network of the cluster's that a container is on while it runs: the cluster gives a place each time it starts. */
export interface ClusterRequest extends AttachmentRequest {
	/** Its name or id, as the user said it. */
	readonly target: string;
}

/** One network of a container: what was asked for, and the endpoint while it runs. */
export interface Attachment extends AttachmentRequest {
	readonly network: Network;
	/** Of a network of the cluster's: what it was asked for. Such an attachment is there while the container runs. */
	readonly target?: string;
	endpoint: Endpoint | undefined;
}

/** `--link` on docker0: another container, and what it is called in this one. */
export interface LegacyLink {
	readonly child: Container;
	readonly alias: string;
}

/** `State.Status` of `docker inspect`. */
export type ContainerStatus = "created" | "running" | "restarting" | "exited";

const NONE: readonly never[] = [];

/** A container, as far as networks are concerned: a namespace while it runs, and its networks. */
export class Container<N extends IpNamespace = IpNamespace> {
	readonly id: string;
	/** Without the `/` that the API writes in front. */
	readonly name: string;
	/** What it was run with. */
	readonly options: RunOptions;
	/** RFC 3339. */
	readonly created: string;
	readonly hostname: string;
	readonly ports: readonly PortSpec[];
	readonly restartPolicy: ContainerRestartPolicy;
	/** How often it was started again since a user started it. */
	restartCount = 0;
	/** `HostConfig.NetworkMode`. */
	readonly networkMode: string;
	/** By the network's id, in the order in which they were connected. */
	readonly attachments: Map<string, Attachment> = new Map();
	/** Networks of the cluster's, by what they are asked for. */
	readonly clusterRequests: Map<string, ClusterRequest> = new Map();
	/** Whom it is linked to, on docker0. */
	legacyLinks: readonly LegacyLink[] = [];
	/** Who is linked to it. */
	readonly linkedBy: Set<Container> = new Set();
	/** What /etc/hosts says of those it is linked to, as of its start or theirs. */
	linkedHosts: readonly (readonly [address: string, names: string])[] = [];
	status: ContainerStatus = "created";
	sandbox: Sandbox | undefined;
	/** `NetworkSettings.SandboxID`: of its sandbox, or of the last one it had. */
	sandboxId = "";
	/** Its name server, on networks that have names. */
	dns: EmbeddedDns | undefined;
	/** `State.ExitCode`: 0 while it runs. */
	exitCode = 0;
	/**
	 * What a health check asks: whether the container is well; its program sets it. One that nobody set says yes.
	 */
	probe: () => boolean = () => true;
	/** Asks it, while it runs and was run with a health check. */
	monitor: HealthMonitor | undefined;
	#exitListeners: readonly ((code: number) => void)[] = NONE;
	#healthListeners: readonly ((status: HealthStatus) => void)[] = NONE;
	#end: ((code: number) => void) | undefined;
	readonly #clock: Driver;
	#netns: N | undefined;
	#progress: Progress<Container<N>> | undefined;
	/** Gives up what is under way. */
	#cancel: (() => void) | undefined;
	/** What is to be done when that is done. */
	readonly #afterwards: (() => void)[] = [];

	constructor(
		id: string,
		name: string,
		options: RunOptions,
		created: string,
		ports: readonly PortSpec[],
		networkMode: string,
		clock: Driver,
	) {
		this.#clock = clock;
		this.id = id;
		this.name = name;
		this.options = options;
		this.created = created;
		this.hostname = options.hostname ?? shortId(id);
		this.ports = ports;
		this.restartPolicy = readRestart(options.restart);
		this.networkMode = networkMode;
	}

	/** The first twelve digits of its id. */
	get shortId(): string {
		return shortId(this.id);
	}

	/** Whether it runs. */
	get running(): boolean {
		return this.status === "running";
	}

	/** The namespace it runs in. Throws `DockerError` 409 while it does not run. */
	get netns(): N {
		if (this.#netns !== undefined) return this.#netns;
		if (this.status === "restarting") throw isRestarting(this);
		throw conflict(`Container ${this.id} is not running`, { context: { container: this.name } });
	}

	/**
	 * When it is where it was to be: at once on networks of the host, and when the cluster gave it its places on networks of
	 * the cluster's. Rejects with `DockerError` when that failed.
	 */
	get ready(): Operation<Container<N>> {
		return (this.#progress ?? Progress.done<Container<N>>(this.#clock, this)).operation;
	}

	/** Whether the cluster was asked for a place and has not answered. */
	get busy(): boolean {
		return this.#progress?.pending === true;
	}

	/** The engine begins what takes time; `cancel` gives it up. */
	begin(progress: Progress<Container<N>>, cancel: () => void): void {
		this.#progress = progress;
		this.#cancel = cancel;
	}

	/** What it takes time for, to be awaited; it begins by `begin`. */
	progress(what: string): Progress<Container<N>> {
		return new Progress<Container<N>>(this.#clock, what);
	}

	/** Does it now, or when what is under way is done. */
	whenFree(work: () => void): void {
		if (this.busy) this.#afterwards.push(work);
		else work();
	}

	/** What was under way is done, or failed. */
	end(error?: NetError): void {
		if (error === undefined) this.#progress?.resolve(this);
		else this.#progress?.reject(error);
		this.#cancel = undefined;
		while (!this.busy) {
			const work = this.#afterwards.shift();
			if (work === undefined) return;
			work();
		}
	}

	/** Gives up what is under way, and all that waits for it. */
	cancel(error: NetError): void {
		if (!this.busy) return;
		this.#cancel?.();
		this.#afterwards.length = 0;
		this.end(error);
	}

	/** The engine starts and stops it; `end` is what its program ends it by. */
	runIn(ns: N | undefined, end?: (code: number) => void): void {
		this.#netns = ns;
		this.#end = end;
	}

	/** Its program ends by itself: the container has exited with this code. Nothing when it does not run. */
	exit(code = 0): void {
		this.#end?.(code);
	}

	/** Calls back whenever it stops running, by itself or not; returns what ends it. */
	onExit(listener: (code: number) => void): () => void {
		this.#exitListeners = this.#exitListeners.concat(listener);
		return () => {
			this.#exitListeners = this.#exitListeners.filter((each) => each !== listener);
		};
	}

	/** Calls back when a health check finds it in another state; returns what ends it. */
	onHealth(listener: (status: HealthStatus) => void): () => void {
		this.#healthListeners = this.#healthListeners.concat(listener);
		return () => {
			this.#healthListeners = this.#healthListeners.filter((each) => each !== listener);
		};
	}

	/** `State.Health.Status`; undefined without a health check, or while it does not run. */
	get health(): HealthStatus | undefined {
		return this.monitor?.status;
	}

	/** The engine says that it has stopped. */
	exited(): void {
		for (const listener of this.#exitListeners) listener(this.exitCode);
	}

	/** The engine says how it is. */
	healthChanged(status: HealthStatus): void {
		for (const listener of this.#healthListeners) listener(status);
	}

	/** Its address on its first network, or on the one of a name; "" for none, or while it does not run. */
	ip(network?: string): string {
		for (const each of this.attachments.values()) {
			if (network === undefined || each.network.name === network) return each.endpoint?.ip ?? "";
		}
		return "";
	}

	/** A name as programs in it see it: `docker exec NAME getent hosts …`. Rejects with `NetError` EAI_NONAME, EAI_AGAIN. */
	resolve(name: string, type: RecordType = "A"): Operation<Resolution> {
		return resolve(this.netns, name, type);
	}

	/** `docker exec NAME ping …`. Rejects with `NetError` where ping ends at once. */
	ping(destination: Ip4 | string, options: PingOptions = {}): Operation<PingResult> {
		return ping(this.netns, destination, options);
	}
}

/** What the daemon says of one that waits to be started again. */
export const isRestarting = ({ id, name }: Pick<Container, "id" | "name">): Error =>
	conflict(`Container ${id} is restarting, wait until the container is running`, {
		context: { container: name },
	});
