import { timestamp } from "../../cnm/index.ts";
import { milliseconds, type Nanoseconds, type Rng, seconds, Timer } from "../../sim/index.ts";
import { MachineClock } from "../clock.ts";
import type { Kernel } from "../../stack/index.ts";
import type { Channel, RpcError } from "../control/index.ts";
import { describe } from "../description.ts";
import type { Executor } from "../executor.ts";
import { networksAt } from "../messages/index.ts";
import type { SessionMessage } from "../methods.ts";
import type {
	EncryptionKey,
	NetworkObject,
	NodeDescription,
	NodeRole,
	TaskObject,
	TaskStatus,
} from "../objects.ts";
import type { RemoteManager } from "./remotes.ts";
import { isSame } from "./as-told.ts";
import { AgentSession } from "./session.ts";
import { Worker } from "./worker.ts";

/** How long an agent waits at most before it registers anew, after a first failure and after many (`…SessionFailureBackoff`). */
const FIRST_BACKOFF = milliseconds(100);
const MOST_BACKOFF = seconds(8);
/** How often a node looks whether what it says of itself is still true (`nodeUpdatePeriod`). */
const DESCRIBE = seconds(20);
/** A node writes down what it is assigned before it does anything about it (bbolt, which waits for the disk). */
const WRITTEN = milliseconds(2);
/** A report that was not heard is made again after so long. */
const REPORT_AGAIN = seconds(1);

/** A way to a manager. */
export interface AgentConnection {
	readonly channel: Channel;
	/** How it went with that manager. */
	readonly observe: (well: boolean) => void;
	/** It is needed no longer. */
	readonly release: () => void;
}

/** What an agent needs around it. */
export interface AgentOptions {
	readonly kernel: Kernel;
	readonly rng: Rng;
	readonly executor: Executor;
	/** The cluster's id. */
	readonly cluster: () => string;
	/** The way to a manager: the one on this node, or one of those known; undefined while none is known. */
	readonly connect: () => AgentConnection | undefined;
	readonly onManagers: (managers: readonly RemoteManager[]) => void;
	/** What the managers want this node to be. */
	readonly onRole: (role: NodeRole) => void;
	readonly onAttachment: (task: TaskObject, network: NetworkObject) => void;
	/** It is registered. */
	readonly onReady: () => void;
	/** Its session ended, by nobody's wish. */
	readonly onError: (error: RpcError) => void;
}

/**
 * A node's part as worker: it keeps a session with a manager, does what it is told and reports what became of it; while no
 * manager can be reached its tasks go on (swarmkit agent/agent.go).
 */
export class Agent {
	readonly #options: AgentOptions;
	readonly #worker: Worker;
	readonly #clock: MachineClock;
	readonly #reports = new Map<string, TaskStatus>();
	readonly #beginning = new Timer(() => {
		this.#begin();
	});
	readonly #describing = new Timer(() => {
		this.#describeAgain();
	});
	readonly #reportingAgain = new Timer(() => {
		this.#report();
	});
	readonly #assigning = new Set<Timer>();
	#session: AgentSession | undefined;
	#connection: AgentConnection | undefined;
	#backoff: Nanoseconds = 0;
	#description: NodeDescription;
	#reportUnderWay = false;
	/** The session that was told of as ready. */
	#registered = "";
	#configured: unknown;
	#keys: readonly EncryptionKey[] = [];
	#networks: readonly NetworkObject[] = [];
	#over = false;

	constructor(options: AgentOptions) {
		this.#options = options;
		this.#clock = new MachineClock(options.kernel);
		const { executor, kernel, onAttachment } = options;
		this.#description = executor.describe();
		this.#worker = new Worker({
			executor,
			now: () => timestamp(kernel),
			report: (taskId, status) => {
				this.#reports.set(taskId, status);
				this.#report();
			},
			onAttachment,
		});
	}

	/** Registers. */
	start(): void {
		this.#clock.after(DESCRIBE, this.#describing);
		this.#begin();
	}

	/** The way to the manager it is registered at; undefined while it is not. */
	get channel(): Channel | undefined {
		return this.#session === undefined || this.#session.id === "" ? undefined : this.#connection?.channel;
	}

	/** The networks this node was told of. */
	get networks(): readonly NetworkObject[] {
		const all = [...this.#networks, ...this.#worker.networks];
		return [...new Map(all.map((network) => [network.id, network])).values()];
	}

	#begin(): void {
		if (this.#over || this.#session !== undefined) return;
		const connection = this.#options.connect();
		if (connection === undefined) {
			this.#beginLater();
			return;
		}
		this.#connection = connection;
		this.#description = this.#options.executor.describe();
		const described = describe(this.#description, this.#options.cluster());
		this.#session = new AgentSession(connection.channel, this.#clock, described, "", {
			message: (message) => {
				this.#heard(message);
			},
			assigned: (message) => {
				const written = new Timer(() => {
					this.#assigning.delete(written);
					this.#worker.assign(message);
				});
				this.#assigning.add(written);
				this.#clock.after(WRITTEN, written);
			},
			failed: (error) => {
				connection.observe(false);
				this.#endSession();
				this.#options.onError(error);
				this.#beginLater();
			},
		});
	}

	#endSession(): void {
		this.#session?.close();
		this.#session = undefined;
		this.#connection?.release();
		this.#connection = undefined;
		this.#reportUnderWay = false;
	}

	#beginLater(): void {
		if (this.#over) return;
		this.#backoff = Math.min(MOST_BACKOFF, FIRST_BACKOFF + 2 * this.#backoff);
		const delay = this.#options.rng.below(this.#backoff);
		this.#clock.after(delay, this.#beginning);
	}

	/** Registers anew, at a manager that may be another one: the one it had goes, or its own began or ended. */
	reconnect(): void {
		if (this.#over) return;
		this.#endSession();
		this.#backoff = 0;
		this.#clock.after(0, this.#beginning);
	}

	#heard(message: SessionMessage): void {
		const node = message.node?.node;
		const networks = message.node === undefined ? [] : networksAt(message.node);
		const first = this.#registered !== message.sessionId;
		this.#registered = message.sessionId;
		this.#backoff = 0;
		this.#connection?.observe(true);
		const managers = message.managers.flatMap(({ peer }) => peer ?? []);
		if (managers.length > 0) this.#options.onManagers(managers);
		const { keys } = message;
		if (keys.length > 0 && !isSame(keys, this.#keys)) {
			this.#keys = keys;
			this.#options.executor.setNetworkKeys(keys, node);
		}
		this.#networks = networks;
		if (node !== undefined) {
			const shape = [node.attachments, node.spec, node.role, networks];
			if (!isSame(shape, this.#configured)) {
				this.#configured = shape;
				this.#options.executor.configure(node, this.#networks);
			}
			if (node.role !== undefined) this.#options.onRole(node.role);
		}
		if (!first) return;
		for (const [taskId, status] of this.#worker.statuses()) this.#reports.set(taskId, status);
		this.#report();
		this.#options.onReady();
	}

	#describeAgain(): void {
		this.#clock.after(DESCRIBE, this.#describing);
		const now = JSON.stringify(this.#options.executor.describe());
		if (this.channel !== undefined && now !== JSON.stringify(this.#description)) this.reconnect();
	}

	/** A task at a time, and of each the last word: what comes while one is under way goes next (swarmkit agent/reporter.go). */
	#report(): void {
		const session = this.#session;
		if (this.#over || this.#reportUnderWay || this.#reportingAgain.pending) return;
		if (session === undefined || session.id === "") return;
		const [next] = this.#reports;
		if (next === undefined) return;
		const [taskId, status] = next;
		this.#reports.delete(taskId);
		this.#reportUnderWay = true;
		session.report(taskId, status, (heard) => {
			if (!heard && !this.#reports.has(taskId)) this.#reports.set(taskId, status);
			if (this.#session !== session) return;
			this.#reportUnderWay = false;
			if (heard) this.#report();
			else this.#clock.after(REPORT_AGAIN, this.#reportingAgain);
		});
	}

	/** The node leaves: its tasks end, its session too. */
	stop(): void {
		if (this.#over) return;
		this.#end();
		this.#endSession();
		this.#worker.close();
	}

	#end(): void {
		this.#over = true;
		this.#beginning.cancel();
		this.#describing.cancel();
		this.#reportingAgain.cancel();
		for (const written of this.#assigning) written.cancel();
	}

	/** The machine stopped: nothing is sent, the tasks' programs are gone. */
	forget(): void {
		this.#end();
		this.#worker.forget();
		this.#session?.close();
		this.#session = undefined;
	}
}
