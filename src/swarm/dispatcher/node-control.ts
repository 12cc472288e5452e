import { type NetError } from "../../errors.ts";
import { RpcError, rpcErrorOf } from "../control/index.ts";
import { newToken } from "../identity.ts";
import type { ClusterObject, NodeAvailability, NodeObject, NodeRole } from "../objects.ts";
import type { Leadership } from "./leadership.ts";

/** How a call of the control API ends: with plain data, or refused. */
export type ControlDone = (result: { readonly body: unknown } | NetError) => void;

/** What is to become of a node: what is left out stays. */
export interface NodeChange {
	readonly role?: NodeRole;
	readonly availability?: NodeAvailability;
	readonly labels?: Readonly<Record<string, string>>;
}

/** What is to become of the cluster: what is left out stays. */
export interface ClusterChange {
	/** Tasks kept of each slot; less than nothing: all. */
	readonly taskHistoryLimit?: number;
	/** Nanoseconds. */
	readonly dispatcherHeartbeat?: number;
}

/** What the control API says of nodes and of the cluster itself (swarmkit manager/controlapi/node.go, cluster.go). */
export class NodeControl {
	readonly #reign: Leadership;

	constructor(reign: Leadership) {
		this.#reign = reign;
	}

	/** Answers a call; false for one that is not about nodes or the cluster. */
	call(name: string, request: unknown, done: ControlDone): boolean {
		switch (name) {
			case "ListNodes":
				done({ body: this.#list() });
				return true;
			case "UpdateNode": {
				const { id, change } = request as { readonly id: string; readonly change: NodeChange };
				this.#update(id, change, done);
				return true;
			}
			case "RemoveNode": {
				const { id, force } = request as { readonly id: string; readonly force: boolean };
				this.#remove(id, force, done);
				return true;
			}
			case "GetCluster":
				done({ body: this.#reign.cluster });
				return true;
			case "UpdateCluster":
				this.#updateCluster(request as ClusterChange, done);
				return true;
			case "RotateToken":
				this.#rotate((request as { readonly role: NodeRole }).role, done);
				return true;
			default:
				return false;
		}
	}

	/** Managers with what the raft group knows of them. */
	#list(): NodeObject[] {
		const { store, raft } = this.#reign;
		return store.all("node").map((node) => {
			const managerStatus = raft.statusOf(node.id);
			return managerStatus === undefined ? node : { ...node, managerStatus };
		});
	}

	#update(id: string, change: NodeChange, done: ControlDone): void {
		const { store, raft } = this.#reign;
		store.update((tx) => {
			const node = tx.get("node", id);
			if (node === undefined) throw notFound(id);
			if (node.spec.role === "manager" && change.role === "worker") {
				const managers = tx.all("node").filter(({ spec }) => spec.role === "manager");
				if (managers.length === 1)
					throw new RpcError("FailedPrecondition", "attempting to demote the last manager of the swarm");
				const member = raft.members.find(({ nodeId }) => nodeId === id);
				if (member === undefined) throw new RpcError("NotFound", "can't find manager in raft memberlist");
				if (!raft.canRemove(member.raftId))
					throw new RpcError(
						"FailedPrecondition",
						"can't remove member from the raft: this would result in a loss of quorum",
					);
			}
			tx.update({ ...node, spec: { ...node.spec, ...change } });
		}, ended(done));
	}

	#remove(id: string, force: boolean, done: ControlDone): void {
		const { store, raft } = this.#reign;
		store.update((tx) => {
			const node = tx.get("node", id);
			if (node === undefined) throw notFound(id);
			if (node.spec.role === "manager" && raft.members.some(({ nodeId }) => nodeId === id))
				throw new RpcError(
					"FailedPrecondition",
					`node ${id} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`,
				);
			if (!force && node.status.state === "ready")
				throw new RpcError("FailedPrecondition", `node ${id} is not down and can't be removed`);
			const [cluster] = tx.all("cluster");
			if (cluster !== undefined)
				tx.update({ ...cluster, removedNodes: [...(cluster.removedNodes ?? []), id] });
			tx.delete("node", id);
		}, ended(done));
	}

	#updateCluster({ taskHistoryLimit, dispatcherHeartbeat }: ClusterChange, done: ControlDone): void {
		this.#change(
			(cluster) => ({
				...cluster,
				taskHistoryLimit: taskHistoryLimit ?? cluster.taskHistoryLimit,
				dispatcherHeartbeat: dispatcherHeartbeat ?? cluster.dispatcherHeartbeat,
			}),
			done,
		);
	}

	#rotate(role: NodeRole, done: ControlDone): void {
		const { rng } = this.#reign;
		this.#change(
			(cluster) => ({
				...cluster,
				tokens: { ...cluster.tokens, [role]: newToken(cluster.rootDigest, rng) },
			}),
			done,
		);
	}

	#change(changed: (cluster: ClusterObject) => ClusterObject, done: ControlDone): void {
		this.#reign.store.update((tx) => {
			const [cluster] = tx.all("cluster");
			if (cluster === undefined) throw new RpcError("NotFound", "cluster not found");
			tx.update(changed(cluster));
		}, ended(done));
	}
}

const notFound = (id: string): RpcError => new RpcError("NotFound", `node ${id} not found`);

const ended =
	(done: ControlDone) =>
	(error?: unknown): void => {
		done(error === undefined ? { body: {} } : rpcErrorOf(error));
	};
