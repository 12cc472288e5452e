import { type NetError } from "../../errors.ts";
import { RpcError, rpcErrorOf } from "../control/index.ts";
import { newToken } from "../identity.ts";
import type { ClusterObject, NodeRole } from "../objects.ts";
import type { Leadership } from "./leadership.ts";

/** How a call of the control API ends: with plain data, or refused. */
export type ControlDone = (result: { readonly body: unknown } | NetError) => void;

/** What is to become of the cluster: what is left out stays. */
export interface ClusterChange {
	/** Tasks kept of each slot; less than nothing: all. */
	readonly taskHistoryLimit?: number;
	/** Nanoseconds. */
	readonly dispatcherHeartbeat?: number;
}

/** What the control API says of the cluster itself (swarmkit manager/controlapi/cluster.go). */
export class ClusterControl {
	readonly #reign: Leadership;

	constructor(reign: Leadership) {
		this.#reign = reign;
	}

	/** Answers a call; false for one that is not about it. */
	call(name: string, request: unknown, done: ControlDone): boolean {
		switch (name) {
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

const ended =
	(done: ControlDone) =>
	(error?: unknown): void => {
		done(error === undefined ? { body: {} } : rpcErrorOf(error));
	};
