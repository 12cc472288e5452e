import { seconds } from "../../sim/index.ts";
import type { NodeObject } from "../objects.ts";
import type { Leadership } from "./leadership.ts";

/** How often what could not be done is tried again (swarmkit `roleReconcileInterval`). */
const RECONCILE = seconds(5);

/**
 * Has nodes become what they are to be: a promoted one may have a manager's certificate at once, a demoted one leaves the
 * raft group first (swarmkit manager/role_manager.go).
 */
export class RoleManager {
	readonly #reign: Leadership;
	#againIsDue = false;

	constructor(reign: Leadership) {
		this.#reign = reign;
	}

	/** Looks at all nodes, and from now on at what changes. */
	start(): void {
		const { store } = this.#reign;
		this.#reign.atEnd(
			store.watch((events) => {
				for (const { op, object } of events) {
					if (object.kind !== "node") continue;
					if (op === "delete") this.#removed(object);
					else this.#reconcile(object.id);
				}
			}),
		);
		for (const { id } of store.all("node")) this.#reconcile(id);
	}

	#reconcile(id: string): void {
		const node = this.#reign.store.get("node", id);
		if (node?.role === undefined || node.role === node.spec.role) return;
		if (node.spec.role === "worker" && !this.#hasLeft(node)) {
			this.#tryAgain();
			return;
		}
		this.#reign.store.update((tx) => {
			const now = tx.get("node", id);
			if (now?.role !== undefined && now.role !== now.spec.role) tx.update({ ...now, role: now.spec.role });
		});
	}

	#tryAgain(): void {
		if (this.#againIsDue) return;
		this.#againIsDue = true;
		this.#reign.after(RECONCILE, () => {
			this.#againIsDue = false;
			for (const { id } of this.#reign.store.all("node")) this.#reconcile(id);
		});
	}

	/** True when it is no member of the group any more; else it is asked to be none. */
	#hasLeft({ id }: NodeObject): boolean {
		const { raft } = this.#reign;
		const member = raft.members.find(({ nodeId }) => nodeId === id);
		if (member === undefined) return true;
		if (!raft.canRemove(member.raftId)) return false;
		if (member.raftId === raft.id) raft.handOver();
		else raft.proposeMember("remove", member);
		return false;
	}

	/** A node that was removed may not stay connected. */
	#removed({ id }: NodeObject): void {
		this.#reign.server()?.disconnect((identity) => identity?.nodeId === id);
	}
}
