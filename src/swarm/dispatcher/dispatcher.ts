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
import type { StoreEvent } from "../store/store.ts";
import { rootCertificate } from "../certificates.ts";
import { descriptionIn } from "../description.ts";
import { Assignments } from "./assignments.ts";
import type { Leadership } from "./leadership.ts";
import { NodeSessions } from "./node-sessions.ts";

/** What nodes report is written together, once in so long (`maxBatchInterval`). */
const BATCH = milliseconds(100);
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
	readonly #assignments: Assignments;
	/** Says to a node what is new of it and of the cluster, by its id: of each the session that began last. */
	readonly #tellers = new Map<string, () => void>();
	#batchIsDue = false;

	constructor(reign: Leadership) {
		this.#reign = reign;
		this.#sessions = new NodeSessions(reign, (nodeId, message) => {
			this.#setState([nodeId], "down", message);
		});
		this.#assignments = new Assignments(reign);
		reign.atEnd(
			reign.store.watch((events) => {
				this.#changed(events);
			}),
		);
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
		for (const tell of [...this.#tellers.values()]) tell();
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
		const tell = (): void => {
			exchange.reply(this.#about(nodeId, sessionId));
		};
		this.#tellers.set(nodeId, tell);
		const silence = (): void => {
			if (this.#tellers.get(nodeId) === tell) this.#tellers.delete(nodeId);
		};
		endings.push(() => {
			silence();
			exchange.end(stopped());
		});
		exchange.onCancel = silence;
		tell();
	}

	#changed(events: readonly StoreEvent[]): void {
		const updated = events.flatMap(({ op, object }) => (op === "update" ? [object] : []));
		if (updated.some(({ kind }) => kind === "cluster")) {
			this.managersChanged();
			return;
		}
		const nodes = new Set(updated.flatMap(({ kind, id }) => (kind === "node" ? [id] : [])));
		// Those concerned in the order in which they registered.
		if (nodes.size > 1) {
			for (const [nodeId, tell] of [...this.#tellers]) if (nodes.has(nodeId)) tell();
		} else for (const id of nodes) this.#tellers.get(id)?.();
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
		let sequence = 0;
		const silence = this.#assignments.listen(nodeId, (changes) => {
			const appliesTo = sequence === 0 ? "" : String(sequence);
			const type = sequence === 0 ? "complete" : "incremental";
			exchange.reply({ type, appliesTo, resultsIn: String(++sequence), changes });
		});
		endings.push(() => {
			silence();
			exchange.end(stopped());
		});
		exchange.onCancel = silence;
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
