import { NetError } from "../../errors.ts";
import { type Instant, type Operation, Timer } from "../../sim/index.ts";
import type { Kernel } from "../../stack/index.ts";
import type { Clock } from "../manager/clock.ts";
import { live, rank } from "../manager/part.ts";
import { isDirty, placeKey, placeOf } from "../manager/orchestrator/task.ts";
import type { ServiceObject, TaskObject } from "../objects.ts";
import type { Store } from "../store/store.ts";
import type { Reader } from "../store/tables.ts";
import type { PendingCall } from "./pending-call.ts";

/**
 * What `docker service create` and `update` wait for without `-d`: all tasks run, and go on running for the monitoring
 * period, 5 s unless the service says otherwise (docker/cli service/progress). Fails with `NetError` when an update or a
 * rollback is paused, or the service is removed.
 */
export function converged(
	store: Store,
	kernel: Kernel,
	clock: Clock,
	call: PendingCall,
	name: string,
): Operation<undefined> {
	return kernel.driver.operation<undefined>(
		(settle) => {
			let since: Instant | undefined;
			const finish = (error?: NetError): void => {
				timer.cancel();
				unwatch();
				if (error === undefined) settle.resolve(undefined);
				else settle.reject(error);
			};
			const look = (): void => {
				const serviceId = call.id;
				if (serviceId === undefined) return;
				const service = store.get("service", serviceId);
				if (service === undefined) return finish(new NetError("ENOENT", `Error: No such service: ${name}`));
				const { updateStatus, spec } = service;
				const done = reached(store, service);
				if (updateStatus?.state === "paused")
					return finish(new NetError("EIO", `service update paused: ${updateStatus.message}`));
				if (updateStatus?.state === "rollback_paused")
					return finish(new NetError("EIO", `service rollback paused: ${updateStatus.message}`));
				if (updateStatus?.state === "completed" && since === undefined && !done) return finish();
				if (!done) {
					since = undefined;
					timer.cancel();
					return;
				}
				since ??= clock.now;
				const left = spec.update.monitor - (clock.now - since);
				if (left <= 0) finish();
				else if (!timer.pending) clock.arm(timer, left);
			};
			const timer = new Timer(look);
			const unwatch = store.watch((events) => {
				if (events.some(({ object }) => object.kind !== "network" && object.kind !== "cluster")) look();
			});
			call.whenEnded((error) => {
				if (error === undefined) look();
				else finish(error);
			});
		},
		{ what: `docker service create ${name}` },
	);
}

/** Whether every slot, or every node, has a task of the service's spec that runs. */
function reached(reader: Reader, service: ServiceObject): boolean {
	const places = new Map<string, TaskObject>();
	for (const task of reader.tasksOf(service.id)) {
		if (isDirty(reader, service, task)) continue;
		const key = placeKey(placeOf(service, task));
		const other = places.get(key);
		if (other !== undefined && !before(task, other)) continue;
		if (service.spec.mode.kind === "replicated" && task.nodeId !== "" && !active(reader, task.nodeId))
			continue;
		places.set(key, task);
	}
	const running = [...places.values()].filter(
		(task) =>
			rank(task.desiredState) <= rank("running") &&
			task.status.state === "running" &&
			active(reader, task.nodeId),
	).length;
	return service.spec.mode.kind === "global"
		? places.size > 0 && running === places.size
		: running === service.spec.mode.replicas;
}

/** Of two tasks in one place the one that counts: the lower desired state, then the lower state. */
function before(task: TaskObject, other: TaskObject): boolean {
	const byDesired = rank(task.desiredState) - rank(other.desiredState);
	if (byDesired !== 0) return byDesired < 0;
	return live(task.status) === live(other.status)
		? rank(task.status.state) < rank(other.status.state)
		: live(task.status);
}

const active = (reader: Reader, nodeId: string): boolean => {
	const node = reader.get("node", nodeId);
	return node !== undefined && node.status.state !== "down";
};
