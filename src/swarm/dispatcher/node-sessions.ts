import { type Nanoseconds, seconds } from "../../sim/index.ts";
import { newId } from "../identity.ts";
import type { Leadership } from "./leadership.ts";

/** How often a node says that it is there, less or more by up to half a second (`DefaultHeartBeatPeriod`, `defaultHeartBeatEpsilon`). */
export const HEARTBEAT: Nanoseconds = seconds(5);
const EPSILON = seconds(0.5);
/** So many periods of silence make a node down. */
const GRACE = 3;

/** A node that is registered. */
export interface NodeSession {
	readonly nodeId: string;
	readonly sessionId: string;
	/** Called when the session is over: another one took its place, the node is down, or the leader is another one. */
	readonly endings: (() => void)[];
}

/** Which nodes are registered, and who of them is silent (swarmkit manager/dispatcher/nodes.go). */
export class NodeSessions {
	readonly #reign: Leadership;
	readonly #sessions = new Map<string, NodeSession>();
	readonly #expiries = new Map<string, () => void>();
	readonly #down: (nodeId: string, message: string) => void;

	/** `down` is told of nodes that were silent for too long, and in which words. */
	constructor(reign: Leadership, down: (nodeId: string, message: string) => void) {
		this.#reign = reign;
		this.#down = down;
		reign.atEnd(() => {
			for (const session of this.#sessions.values()) finish(session);
		});
	}

	get #period(): Nanoseconds {
		return this.#reign.cluster?.dispatcherHeartbeat ?? HEARTBEAT;
	}

	/** A node begins anew; what it had before is over. */
	add(nodeId: string): NodeSession {
		this.end(nodeId);
		const session: NodeSession = { nodeId, sessionId: newId(this.#reign.rng), endings: [] };
		this.#sessions.set(nodeId, session);
		this.#expect(nodeId, "heartbeat failure");
		return session;
	}

	/** A node that the leader before knew: it has as long to come as others to say that they are there. */
	addUnknown(nodeId: string): void {
		this.#expect(nodeId, 'heartbeat failure for node in "unknown" state');
	}

	#expect(nodeId: string, message: string): void {
		this.#expiries.get(nodeId)?.();
		this.#expiries.set(
			nodeId,
			this.#reign.after(GRACE * this.#period, () => {
				this.end(nodeId);
				this.#down(nodeId, message);
			}),
		);
	}

	/** The session, if it is the node's present one. */
	find(nodeId: string, sessionId: string): NodeSession | undefined {
		const session = this.#sessions.get(nodeId);
		return session?.sessionId === sessionId ? session : undefined;
	}

	/** It is there. Says after how long it is to say so again. */
	beat(nodeId: string): Nanoseconds {
		this.#expect(nodeId, "heartbeat failure");
		return this.#period + this.#reign.rng.below(2 * EPSILON) - EPSILON;
	}

	/** A node's session is over. */
	end(nodeId: string): void {
		this.#expiries.get(nodeId)?.();
		this.#expiries.delete(nodeId);
		const session = this.#sessions.get(nodeId);
		this.#sessions.delete(nodeId);
		if (session !== undefined) finish(session);
	}
}

function finish(session: NodeSession): void {
	for (const ending of session.endings.splice(0)) ending();
}
