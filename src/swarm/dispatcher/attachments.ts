import { timestamp } from "../../cnm/index.ts";
import { type Caller, RpcError, type RpcServer } from "../control/index.ts";
import { newId } from "../identity.ts";
import { attachmentTask } from "../manager/attachment-task.ts";
import { attachNetwork, detachNetwork } from "../methods.ts";
import type { NetworkObject } from "../objects.ts";
import type { Leadership } from "./leadership.ts";

/** What places are kept in, and made with. */
type Reign = Pick<Leadership, "store" | "rng" | "kernel">;

/** Standalone containers' places on attachable networks: a task each (swarmkit manager/resourceapi). */
export class Attachments {
	readonly #reign: Reign;

	constructor(reign: Reign) {
		this.#reign = reign;
	}

	/** Answers at a manager that leads. */
	serve(rpc: RpcServer): void {
		const { store } = this.#reign;
		rpc.handle(attachNetwork, ({ target, addresses, containerId }, exchange) => {
			const network = this.#network(target);
			const nodeId = nodeOf(exchange.caller);
			const { rng, kernel } = this.#reign;
			const task = attachmentTask(newId(rng), timestamp(kernel), {
				nodeId,
				containerId,
				networkId: network.id,
				addresses,
			});
			store.update(
				(tx) => {
					tx.create(task);
				},
				(error) => {
					if (error === undefined) exchange.answer({ attachmentId: task.id });
					else
						exchange.end(new RpcError("Unknown", error instanceof Error ? error.message : "not agreed upon"));
				},
			);
		});
		rpc.handle(detachNetwork, ({ attachmentId }, exchange) => {
			const nodeId = nodeOf(exchange.caller);
			store.update(
				(tx) => {
					const task = tx.get("task", attachmentId);
					if (task === undefined) throw new RpcError("NotFound", `attachment ${attachmentId} not found`);
					if (task.nodeId !== nodeId)
						throw new RpcError("PermissionDenied", `attachment ${attachmentId} doesn't belong to this node`);
					tx.delete("task", attachmentId);
				},
				(error) => {
					if (error === undefined) exchange.answer({});
					else if (error instanceof RpcError) exchange.end(error);
					else exchange.end(new RpcError("Unknown", "not agreed upon"));
				},
			);
		});
	}

	#network(target: string): NetworkObject {
		const { store } = this.#reign;
		const named = store.all("network").filter(({ spec }) => spec.name === target);
		const network = store.get("network", target) ?? (named.length === 1 ? named[0] : undefined);
		if (network === undefined) throw new RpcError("NotFound", `network ${target} not found`);
		if (!network.spec.attachable)
			throw new RpcError("PermissionDenied", `network ${target} not manually attachable`);
		return network;
	}
}

function nodeOf({ identity }: Caller): string {
	if (identity === undefined)
		throw new RpcError("PermissionDenied", "Permission denied: unauthorized peer role: rpc error");
	return identity.nodeId;
}
