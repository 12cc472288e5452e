import { timestamp } from "../../cnm/index.ts";
import { VXLAN_PORT } from "../../link/index.ts";
import { milliseconds } from "../../sim/index.ts";
import { type Caller, type Exchange, RpcError, type RpcServer } from "../control/index.ts";
import { nodeTold } from "../messages/index.ts";
import {
	assignments,
	type AssignmentsMessage,
	heartbeat,
	listenSubscriptions,
	session,
	type SessionMessage,
	updateTaskStatus,
} from "../methods.ts";
import {
	type ClusterObject,
	type NodeDescription,
	type NodeObject,
	type NodeState,
	TASK_STATES,
	type TaskStatus,
} from "../objects.ts";
import { rootCertificate } from "../certificates.ts";
import { descriptionIn } from "../description.ts";
import { AssignmentSet } from "./assignment-set.ts";
import type { Leadership } from "./leadership.ts";
import { NodeSessions } from "./node-sessions.ts";

/** What nodes report is written together, once in so long (`maxBatchInterval`). */
const BATCH = milliseconds(100);
/** Changes of what a node is to run wait so long for more of them (`batchingWaitTime`). */
const ASSIGNMENT_WAIT = milliseconds(100);
/** How much a manager counts when one is chosen (`remotes.DefaultObservationWeight`). */
const WEIGHT = 10;

interface Registration {
	readonly description: NodeDescription | undefined;
	readonly addr: string;
	readonly done: () => void;
}

/**
 * What a leader tells nodes and hears from them (swarmkit manager/dispatcher): they register, say every five seconds that
 * they are there, hear what they are to run and with which keys, and report what became of it.
 */
export class Dispatcher {
	readonly #reign: Leadership;
	readonly #sessions: NodeSessions;
	readonly #taskUpdates = new Map<string, TaskStatus>();
	readonly #nodeUpdates = new Map<string, Registration>();
	readonly #tellers = new Set<() => void>();
	#batchIsDue = false;

	constructor(reign: Leadership) {
		this.#reign = reign;
		this.#sessions = new NodeSessions(reign, (nodeId, message) => {
			this.#setState([nodeId], "down", message);
		});
	}

	/** Nobody is known to be there yet: nodes have fifteen seconds to say so. */
	start(): void {
		const known = this.#reign.store.all("node").filter(({ status }) => status.state !== "down");
		const registered = known.filter(({ description }) => description !== undefined);
		for (const { id } of registered) this.#sessions.addUnknown(id);
		const ids = registered.map(({ id }) => id);
		this.#setState(ids, "unknown", 'Node moved to "unknown" state due to leadership change in cluster');
	}

	/** Managers came or went: all nodes are told. */
	managersChanged(): void {
		for (const tell of [...this.#tellers]) tell();
	}

	/** Answers at a manager that leads. */
	serve(rpc: RpcServer): void {
		rpc.handle(session, ({ description }, exchange) => {
			this.#register(description === undefined ? undefined : descriptionIn(description), exchange);
		});
		rpc.handle(heartbeat, ({ sessionId }, exchange) => {
			const { nodeId } = this.#sessionOf(exchange.caller, sessionId);
			const period = this.#sessions.beat(nodeId);
			exchange.answer({ period: { seconds: Math.floor(period / 1e9), nanos: period % 1e9 } });
		});
		rpc.handle(assignments, ({ sessionId }, exchange) => {
			this.#assign(this.#sessionOf(exchange.caller, sessionId), exchange);
		});
		rpc.handle(updateTaskStatus, ({ sessionId, updates }, exchange) => {
			const { nodeId } = this.#sessionOf(exchange.caller, sessionId);
			for (const update of updates) {
				const task = this.#reign.store.get("task", update.taskId);
				if (task !== undefined && task.nodeId !== nodeId)
					throw new RpcError("PermissionDenied", "cannot update a task not assigned this node");
				if (update.status !== undefined && task !== undefined)
					this.#taskUpdates.set(update.taskId, update.status);
			}
			this.#writeSoon();
			exchange.answer({});
		});
		rpc.handle(listenSubscriptions, (_, exchange) => {
			this.#reign.atEnd(() => {
				exchange.end(stopped());
			});
		});
	}

	#sessionOf({ identity }: Caller, sessionId: string): ReturnType<NodeSessions["add"]> {
		const found = identity === undefined ? undefined : this.#sessions.find(identity.nodeId, sessionId);
		if (found === undefined) throw new RpcError("InvalidArgument", "session invalid");
		return found;
	}

	// ── a node registers, and hears of what concerns it ───────────────────────────────────────────

	#register(description: NodeDescription | undefined, exchange: Exchange<SessionMessage>): void {
		const nodeId = exchange.caller.identity?.nodeId ?? "";
		if (this.#reign.store.get("node", nodeId) === undefined) throw new RpcError("NotFound", "node not found");
		this.#nodeUpdates.set(nodeId, {
			description,
			addr: exchange.caller.address,
			done: () => {
				if (!exchange.over && !this.#reign.over) this.#begin(nodeId, exchange);
			},
		});
		this.#writeSoon();
	}

	#begin(nodeId: string, exchange: Exchange<SessionMessage>): void {
		const { sessionId, endings } = this.#sessions.add(nodeId);
		const { store } = this.#reign;
		const tell = (): void => {
			exchange.reply(this.#about(nodeId, sessionId));
		};
		const unwatch = store.watch((events) => {
			const concerned = events.some(
				({ op, object }) =>
					op === "update" && (object.kind === "cluster" || (object.kind === "node" && object.id === nodeId)),
			);
			if (concerned) tell();
		});
		this.#tellers.add(tell);
		const silence = (): void => {
			unwatch();
			this.#tellers.delete(tell);
		};
		endings.push(() => {
			silence();
			exchange.end(stopped());
		});
		exchange.onCancel = silence;
		tell();
	}

	#about(nodeId: string, sessionId: string): SessionMessage {
		const { store, raft, cluster } = this.#reign;
		const node = store.get("node", nodeId);
		const told = node && { ...node, ...portOf(cluster) };
		return {
			sessionId,
			node: told && nodeTold(told, cluster?.id ?? "", (id) => store.get("network", id)),
			managers: raft.members.map(({ nodeId: id, addr }) => ({ peer: { nodeId: id, addr }, weight: WEIGHT })),
			keys: cluster?.keys ?? [],
			rootCa: rootCertificate(cluster?.id ?? ""),
		};
	}

	// ── what it is to run ─────────────────────────────────────────────────────────────────────────

	#assign(
		{ nodeId, endings }: ReturnType<NodeSessions["add"]>,
		exchange: Exchange<AssignmentsMessage>,
	): void {
		const { store } = this.#reign;
		const set = new AssignmentSet(store, nodeId);
		let sequence = 0;
		let waiting: (() => void) | undefined;
		const tell = (type: AssignmentsMessage["type"], changes: AssignmentsMessage["changes"]): void => {
			const appliesTo = sequence === 0 ? "" : String(sequence);
			exchange.reply({ type, appliesTo, resultsIn: String(++sequence), changes });
		};
		const unwatch = store.watch((events) => {
			if (!events.some(({ object }) => object.kind === "task" || object.kind === "network")) return;
			waiting ??= this.#reign.after(ASSIGNMENT_WAIT, () => {
				waiting = undefined;
				const changes = set.changes();
				if (changes.length > 0) tell("incremental", changes);
			});
		});
		const silence = (): void => {
			unwatch();
			waiting?.();
		};
		endings.push(() => {
			silence();
			exchange.end(stopped());
		});
		exchange.onCancel = silence;
		tell("complete", set.changes());
	}

	// ── what it reports ───────────────────────────────────────────────────────────────────────────

	#writeSoon(): void {
		if (this.#batchIsDue) return;
		this.#batchIsDue = true;
		this.#reign.after(BATCH, () => {
			this.#batchIsDue = false;
			this.#write();
		});
	}

	#write(): void {
		const tasks = [...this.#taskUpdates];
		const nodes = [...this.#nodeUpdates];
		this.#taskUpdates.clear();
		this.#nodeUpdates.clear();
		const now = timestamp(this.#reign.kernel);
		const { raft } = this.#reign;
		const appliedBy = raft.member(raft.id)?.nodeId ?? "";
		this.#reign.store.update(
			(tx) => {
				for (const [id, status] of tasks) {
					const task = tx.get("task", id);
					// A late report never takes a task back.
					if (task === undefined || orderOf(status) < orderOf(task.status)) continue;
					const applied = { ...status, appliedBy, appliedAt: now };
					tx.update({ ...task, status: applied, meta: { ...task.meta, updatedAt: now } });
				}
				for (const [id, { description, addr }] of nodes) {
					const node = tx.get("node", id);
					if (node === undefined) continue;
					const told = description ?? node.description;
					const meta = { ...node.meta, updatedAt: now };
					tx.update({ ...node, meta, description: told, status: { state: "ready", message: "", addr } });
				}
			},
			(error) => {
				if (error === undefined) for (const [, { done }] of nodes) done();
			},
		);
	}

	#setState(ids: readonly string[], state: NodeState, message: string): void {
		this.#reign.store.update((tx) => {
			for (const id of ids) {
				const node = tx.get("node", id);
				if (node !== undefined) tx.update({ ...node, status: { ...node.status, state, message } });
			}
		});
	}
}

const orderOf = ({ state }: TaskStatus): number => TASK_STATES.indexOf(state);
const stopped = (): RpcError => new RpcError("Aborted", "dispatcher is stopped");

/** The port of overlays, for nodes to know: said when it is not the usual one. */
const portOf = (cluster: ClusterObject | undefined): Pick<NodeObject, "dataPathPort"> =>
	cluster === undefined || cluster.dataPathPort === VXLAN_PORT ? {} : { dataPathPort: cluster.dataPathPort };
