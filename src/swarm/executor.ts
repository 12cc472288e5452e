import type {
	EncryptionKey,
	NetworkObject,
	NodeDescription,
	NodeObject,
	ServicePort,
	TaskObject,
} from "./objects.ts";

/** How a program of a task ended. */
export interface TaskExit {
	readonly exitCode: number;
	readonly err: string;
}

/**
 * One task on its node: what the agent has the engine do, step by step (swarmkit agent/exec `Controller`). Each step
 * says its end by calling back, with an error's text when it failed; calls come in this order, `shutdown` at any time.
 */
export interface TaskController {
	/** Networks and the container are made. */
	prepare(done: (err?: string) => void): void;
	/** The container runs; once it is healthy its service is told of it. */
	start(done: (err?: string) => void): void;
	/** When the program of its own accord ends. */
	onExit(listener: (exit: TaskExit) => void): void;
	/** Its service is told that it goes, later it is stopped; `done` hears what its program ended with, if there was one. */
	shutdown(done: (exitCode?: number) => void): void;
	/** The container and all of the task's are gone. */
	remove(): void;
	/** For the task's status; undefined before `prepare` is done. */
	readonly containerId: string | undefined;
	/** Ports of mode host, as they were published. */
	readonly ports: readonly ServicePort[];
}

/** What an agent needs of the engine on its node. Declared here, implemented by `swarm/engine`. */
export interface Executor {
	/** What the node says of itself to managers. */
	describe(): NodeDescription;
	/** The node's own object changed: its load balancers' networks come and go. */
	configure(node: NodeObject, networks: readonly NetworkObject[]): void;
	/** The keys to gossip and to encrypt with, after a rotation too; `node` as it is told of itself with them. */
	setNetworkKeys(keys: readonly EncryptionKey[], node: NodeObject | undefined): void;
	/** A task this node is to run; `networks` are those it is on. */
	controller(task: TaskObject, networks: readonly NetworkObject[]): TaskController;
}
