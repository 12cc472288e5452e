import { cliRefuses, DockerError, type Listing } from "../../cnm/index.ts";
import type { Operation } from "../../sim/index.ts";
import { NODE_AVAILABILITIES, NODE_ROLES, type NodeObject } from "../objects.ts";
import { findNode } from "./find.ts";
import { type NodeJson, nodeJson, type NodeLine, nodeLines, type TaskLine, taskLines } from "./lists.ts";
import type { ManagerContext } from "./manager-context.ts";
import { PendingCall } from "./pending-call.ts";
import type { NodeChanges } from "./requests.ts";
import { filtered, type TaskFilter } from "./task-filter.ts";

/** `docker node …` on a manager. Nodes are named by hostname, id, or `self`. */
export class Nodes {
	readonly #context: ManagerContext;

	constructor(context: ManagerContext) {
		this.#context = context;
	}

	/** `docker node ls`; `text()` of it is what the command prints. */
	ls(): Listing<NodeLine> {
		const { store, nodeId } = this.#context;
		return nodeLines(
			store.all("node").map((node) => this.#seen(node)),
			nodeId,
		);
	}

	/** `docker node inspect`. Throws `DockerError` 404. */
	inspect(term: string): NodeJson {
		return nodeJson(this.#seen(this.#find(term)));
	}

	/** `docker node ps`; `text()` of it is what the command prints. Throws `DockerError` 404. */
	ps(term = "self", filter: TaskFilter = {}): Listing<TaskLine> {
		const { store, clock } = this.#context;
		return taskLines(store, filtered(this.#context, store.tasksOn(this.#find(term).id), filter), clock);
	}

	/** `docker node update`. Throws `DockerError`, `NetError` where the CLI refuses. */
	update(term: string, changes: NodeChanges): Operation<undefined> {
		const { kernel, client } = this.#context;
		const found = this.#find(term);
		checkChanges(changes, found.spec.labels);
		const request = { method: "updateNode", id: found.id, changes } as const;
		return new PendingCall(kernel, client, request, `docker node update ${term}`).operation();
	}

	/** `docker node promote`. Throws `DockerError`. */
	promote(term: string): Operation<undefined> {
		return this.update(term, { role: "manager" });
	}

	/** `docker node demote`. Throws `DockerError`: the last manager stays one. */
	demote(term: string): Operation<undefined> {
		return this.update(term, { role: "worker" });
	}

	/** `docker node rm [-f]`. Throws `DockerError`: a node that is up is removed by force only. */
	rm(term: string, { force = false }: { readonly force?: boolean } = {}): Operation<undefined> {
		const { kernel, client } = this.#context;
		const request = { method: "removeNode", id: this.#find(term).id, force } as const;
		return new PendingCall(kernel, client, request, `docker node rm ${term}`).operation();
	}

	/** With what this manager knows of the group of managers, which is not in the store. */
	#seen(node: NodeObject): NodeObject {
		const status = this.#context.managerStatus(node.id);
		return status === undefined ? node : { ...node, managerStatus: status };
	}

	#find(term: string): NodeObject {
		return findNode(this.#context.store, term, this.#context.nodeId);
	}
}

/** What the CLI (command/node/update.go) and the daemon (`NodeSpecToGRPC`) refuse before a manager hears of it. */
function checkChanges(
	{ role, availability, labelAdd, labelRm = [] }: NodeChanges,
	labels: Readonly<Record<string, string>>,
): void {
	const known = new Set(Object.keys({ ...labels, ...labelAdd }));
	for (const name of labelRm)
		if (!known.delete(name)) throw cliRefuses(`key ${name} doesn't exist in node's labels`);
	if (role !== undefined && !NODE_ROLES.includes(role))
		throw new DockerError(400, `invalid Role: ${JSON.stringify(role)}`);
	if (availability !== undefined && !NODE_AVAILABILITIES.includes(availability))
		throw new DockerError(400, `invalid Availability: ${JSON.stringify(availability)}`);
}
