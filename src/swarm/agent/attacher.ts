import type { ClusterAttachment } from "../../cnm/index.ts";
import { type NetError } from "../../errors.ts";
import { seconds, Timer } from "../../sim/index.ts";
import type { Clock } from "../clock.ts";
import { type Channel, RpcError, unary } from "../control/index.ts";
import { clusterNetwork } from "../cluster-network.ts";
import { attachNetwork, detachNetwork } from "../methods.ts";
import type { NetworkObject, TaskObject } from "../objects.ts";
import { failed, refusalOf } from "../refusals.ts";

/** How long a container waits for its place on a network (`swarmRequestTimeout`). */
const TIMEOUT = seconds(20);
const TIMED_OUT =
	"attaching to network failed, make sure your network options are correct and check manager logs: context deadline exceeded";

type Done = (result: ClusterAttachment | NetError) => void;

interface Wanted {
	readonly target: string;
	readonly containerId: string;
	taskId: string | undefined;
	/** Nobody waits any more once it is told. */
	done: Done | undefined;
	readonly timer: Timer;
}

/** The places of a node's standalone containers on the cluster's networks (daemon/cluster/networks.go). */
export class Attacher {
	readonly #clock: Clock;
	readonly #channel: () => Channel | undefined;
	readonly #wanted: Wanted[] = [];
	/** Places that are known, by task: they may be assigned before the manager's answer is here. */
	readonly #assigned = new Map<string, ClusterAttachment>();

	constructor(clock: Clock, channel: () => Channel | undefined) {
		this.#clock = clock;
		this.#channel = channel;
	}

	/** A container wants to be on a network, at addresses of its own choice if there are any. */
	attach(target: string, containerId: string, addresses: readonly string[], done: Done): void {
		const channel = this.#channel();
		if (channel === undefined) {
			done(
				refusalOf(
					new RpcError("Unavailable", "agent: session closed"),
					`Could not attach to network ${target}: `,
				),
			);
			return;
		}
		const timer = new Timer(() => {
			this.#told(wanted, failed(TIMED_OUT));
			this.detach(target, containerId);
		});
		const wanted: Wanted = { target, containerId, taskId: undefined, done, timer };
		this.#wanted.push(wanted);
		this.#clock.after(TIMEOUT, timer);
		unary(
			channel,
			attachNetwork,
			{ target, addresses, containerId },
			(reply) => {
				if (reply instanceof RpcError) {
					this.#forget(wanted);
					this.#told(wanted, refusalOf(reply, `Could not attach to network ${target}: `));
					return;
				}
				wanted.taskId = reply.attachmentId;
				if (wanted.done === undefined) this.#release(reply.attachmentId);
				else this.#match(wanted);
			},
			{ timeout: TIMEOUT },
		);
	}

	/** A place was assigned, with its address. */
	assigned(task: TaskObject, network: NetworkObject): void {
		const [attachment] = task.networks;
		if (attachment === undefined || attachment.addresses.length === 0) return;
		this.#assigned.set(task.id, {
			network: clusterNetwork(network),
			addresses: attachment.addresses,
			taskId: task.id,
		});
		for (const wanted of [...this.#wanted]) this.#match(wanted);
	}

	#match(wanted: Wanted): void {
		const place = wanted.taskId === undefined ? undefined : this.#assigned.get(wanted.taskId);
		if (place !== undefined) this.#told(wanted, place);
	}

	#told(wanted: Wanted, result: ClusterAttachment | NetError): void {
		const { done } = wanted;
		wanted.done = undefined;
		wanted.timer.cancel();
		done?.(result);
	}

	/** It is there no longer. */
	detach(target: string, containerId: string): void {
		const found = this.#wanted.find(
			(each) =>
				each.containerId === containerId &&
				(each.target === target || this.#assigned.get(each.taskId ?? "")?.network.id === target),
		);
		if (found === undefined) return;
		this.#forget(found);
		found.timer.cancel();
		if (found.taskId !== undefined) this.#release(found.taskId);
	}

	#forget(wanted: Wanted): void {
		const index = this.#wanted.indexOf(wanted);
		if (index >= 0) this.#wanted.splice(index, 1);
	}

	#release(attachmentId: string): void {
		this.#assigned.delete(attachmentId);
		const channel = this.#channel();
		if (channel !== undefined)
			unary(channel, detachNetwork, { attachmentId }, () => undefined, { timeout: TIMEOUT });
	}

	/** The machine stopped, or left the cluster. */
	forget(): void {
		for (const { timer } of this.#wanted.splice(0)) timer.cancel();
		this.#assigned.clear();
	}
}
