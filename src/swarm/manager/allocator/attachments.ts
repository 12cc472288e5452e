import type { NetworkAttachment, NodeObject, ServiceObject, TaskObject } from "../../objects.ts";
import type { Reader } from "../../store/tables.ts";
import { live } from "../part.ts";
import { AllocationError } from "./allocation-error.ts";
import { ingressOf, needsIngress } from "./endpoint.ts";
import type { NetworkPools } from "./network-pools.ts";

/** What a node's attachments become. */
export interface NodeAttachments {
	readonly attachments: readonly NetworkAttachment[];
	/** Whether an address was given back. */
	readonly released: boolean;
	/** Why an address could not be given. */
	readonly failed: AllocationError | undefined;
}

/** Gives tasks, and nodes for their load balancers, their addresses on networks. */
export class Attachments {
	readonly #pools: NetworkPools;

	constructor(pools: NetworkPools) {
		this.#pools = pools;
	}

	/** Takes what somebody is known to have. Of a network that was removed nothing is left to take. */
	take(attachments: readonly NetworkAttachment[]): void {
		for (const { networkId, addresses } of attachments) {
			if (!this.#pools.gives(networkId)) continue;
			for (const address of addresses) this.#pools.take(networkId, address);
		}
	}

	/** Gives addresses back. */
	release(attachments: readonly NetworkAttachment[]): void {
		for (const { networkId, addresses } of attachments)
			for (const address of addresses) this.#pools.release(networkId, address);
	}

	/** A node has an address on ingress, and on each network while one of its tasks is there. */
	ofNode(reader: Reader, node: NodeObject): NodeAttachments {
		const wanted = this.#nodeNetworks(reader, node.id);
		const kept = node.attachments.filter(({ networkId }) => wanted.has(networkId));
		const attachments = [...kept];
		let failed: AllocationError | undefined;
		for (const networkId of wanted) {
			if (kept.some((each) => each.networkId === networkId)) continue;
			try {
				attachments.push({ networkId, addresses: [this.#pools.take(networkId)], aliases: [] });
			} catch (error) {
				if (!(error instanceof AllocationError)) throw error;
				failed = error;
			}
		}
		const gone = node.attachments.filter((attachment) => !kept.includes(attachment));
		this.release(gone);
		return { attachments, released: gone.length > 0, failed };
	}

	#nodeNetworks(reader: Reader, nodeId: string): ReadonlySet<string> {
		const found = new Set<string>();
		const ingress = ingressOf(reader);
		if (ingress !== undefined && this.#pools.gives(ingress)) found.add(ingress);
		for (const task of reader.tasksOn(nodeId)) {
			if (!live(task.status)) continue;
			for (const { networkId } of task.networks) if (this.#pools.gives(networkId)) found.add(networkId);
		}
		return found;
	}

	/** Addresses of a task, ingress first. Throws AllocationError, and nothing is taken then. */
	ofTask(reader: Reader, task: TaskObject, service: ServiceObject | undefined): readonly NetworkAttachment[] {
		const ingress = ingressOf(reader);
		const published = service !== undefined && needsIngress(service.spec.endpoint) && ingress !== undefined;
		const wanted = [...(published ? [{ target: ingress, aliases: [] }] : []), ...task.spec.networks];
		const taken: NetworkAttachment[] = [];
		try {
			for (const network of wanted) taken.push(this.#attachment(network, task.id));
			return taken;
		} catch (error) {
			this.release(taken);
			throw error;
		}
	}

	#attachment(wanted: TaskObject["spec"]["networks"][number], taskId: string): NetworkAttachment {
		const { target, aliases, addresses, driverOptions } = wanted;
		if (!this.#pools.has(target))
			throw new AllocationError(`network ${target} attached to task ${taskId} not allocated yet`);
		const given = !this.#pools.gives(target)
			? []
			: [
					this.#pools.take(
						target,
						addresses?.find((each) => each !== ""),
					),
				];
		return {
			networkId: target,
			addresses: given,
			aliases,
			...(driverOptions === undefined ? {} : { driverOptions }),
		};
	}
}
