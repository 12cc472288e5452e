import type { NodeObject } from "../objects.ts";
import { rank } from "../manager/part.ts";
import type { Reader } from "../store/tables.ts";
import type { Transaction } from "../store/transaction.ts";
import type { NodeChanges } from "./requests.ts";
import { rpcError } from "./rpc-error.ts";

/** What is known of a manager in the group, by its id; undefined for a node that is none. */
export type ManagerStatusOf = (nodeId: string) => NodeObject["managerStatus"];

function node(reader: Reader, id: string): NodeObject {
	const found = reader.get("node", id);
	if (found === undefined) throw rpcError("NotFound", `node ${id} not found`);
	return found;
}

/** `UpdateNode` (swarmkit controlapi/node.go). Throws `DockerError`. */
export function checkNodeUpdate(
	reader: Reader,
	id: string,
	{ role }: NodeChanges,
	statusOf: ManagerStatusOf,
): void {
	const found = node(reader, id);
	if (found.spec.role !== "manager" || role !== "worker") return;
	const managers = reader.all("node").filter(({ spec }) => spec.role === "manager");
	if (managers.length === 1)
		throw rpcError("FailedPrecondition", "attempting to demote the last manager of the swarm");
	if (statusOf(id) === undefined) throw rpcError("NotFound", "can't find manager in raft memberlist");
	const left = managers.flatMap((each) => (each.id === id ? [] : (statusOf(each.id) ?? [])));
	const reachable = left.filter(({ reachability }) => reachability === "reachable");
	if (reachable.length < Math.floor(left.length / 2) + 1) {
		throw rpcError(
			"FailedPrecondition",
			"can't remove member from the raft: this would result in a loss of quorum",
		);
	}
}

export function updateNode(
	tx: Transaction,
	id: string,
	changes: NodeChanges,
	statusOf: ManagerStatusOf,
	now: string,
): void {
	checkNodeUpdate(tx, id, changes, statusOf);
	const found = node(tx, id);
	const labels = Object.fromEntries(
		Object.entries({ ...found.spec.labels, ...changes.labelAdd }).filter(
			([name]) => changes.labelRm?.includes(name) !== true,
		),
	);
	tx.update({
		...found,
		meta: { ...found.meta, updatedAt: now },
		spec: {
			role: changes.role ?? found.spec.role,
			availability: changes.availability ?? found.spec.availability,
			labels,
		},
	});
}

/** `RemoveNode`. Throws `DockerError`. */
export function checkNodeRemove(reader: Reader, id: string, force: boolean, statusOf: ManagerStatusOf): void {
	const found = node(reader, id);
	if (found.spec.role === "manager" && statusOf(id) !== undefined) {
		throw rpcError(
			"FailedPrecondition",
			`node ${id} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`,
		);
	}
	if (!force && found.status.state === "ready")
		throw rpcError("FailedPrecondition", `node ${id} is not down and can't be removed`);
}

export function removeNode(
	tx: Transaction,
	id: string,
	force: boolean,
	statusOf: ManagerStatusOf,
	now: string,
): void {
	checkNodeRemove(tx, id, force, statusOf);
	// Nobody will hear of its tasks again.
	for (const task of tx.tasksOn(id)) {
		if (rank(task.status.state) >= rank("complete")) continue;
		const message = "Task belonged to a node that has been deleted";
		tx.update({
			...task,
			meta: { ...task.meta, updatedAt: now },
			status: { ...task.status, state: "orphaned", timestamp: now, message, err: "" },
		});
	}
	// Its certificate is good no longer.
	const [cluster] = tx.all("cluster");
	if (cluster !== undefined) tx.update({ ...cluster, removedNodes: [...(cluster.removedNodes ?? []), id] });
	tx.delete("node", id);
}
